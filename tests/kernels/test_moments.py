"""The lag basis and its R factor against Kronecker products and dense algebra."""

import numpy as np
import pytest
import scipy.sparse as sparse
import whole_arrays
from oracles import dense
from oracles.hostile import knn, row_standardise

from spillover.kernels import moments

HOSTILE = {name: W for name, (W, _) in dense.hostile().items()}
T = 3


def other(n):
    """Weights of the error beside any W."""
    return row_standardise(knn(n, 3, seed=5))


def panel(n, k=2, periods=T, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(periods, n)), rng.normal(size=(periods, n, k))


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("periods", [1, T])
def test_lag_is_the_kronecker_product(name, periods):
    W = HOSTILE[name]
    n = len(W)
    x = panel(n, periods=periods)[1]
    found = moments.lag(sparse.csr_array(W), x)
    assert found.shape == x.shape
    np.testing.assert_allclose(
        found.reshape(-1, 2), np.kron(np.eye(periods), W) @ x.reshape(-1, 2), rtol=1e-12, atol=1e-12
    )


PARTS = {
    (False, False): ("d", "d", "y"),
    (True, False): ("d", "d", "y", "wy"),
    (False, True): ("d", "d", "md", "md", "y", "my"),
    (True, True): ("d", "d", "md", "md", "y", "wy", "my", "mwy"),
}


@pytest.mark.parametrize("present", PARTS)
@pytest.mark.parametrize("name", ["sinks", "bent_ring", "binary"])
def test_lag_basis_has_its_columns_in_the_order_of_its_parts(name, present):
    W = HOSTILE[name]
    n, M = len(W), other(len(W))
    y, x = panel(n)
    basis, parts = whole_arrays.lag_basis(
        y,
        x,
        *(sparse.csr_array(A) if there else None for A, there in zip((W, M), present, strict=True)),
    )
    assert parts == PARTS[present]
    big_w, big_m = np.kron(np.eye(T), W), np.kron(np.eye(T), M)
    flat_y, flat_x = y.reshape(-1), x.reshape(-1, 2)
    whole = {
        "d": flat_x,
        "md": big_m @ flat_x,
        "y": flat_y,
        "wy": big_w @ flat_y,
        "my": big_m @ flat_y,
        "mwy": big_m @ big_w @ flat_y,
    }
    for part, values in whole.items():
        chosen = basis.reshape(n * T, -1)[:, [p == part for p in parts]]
        assert chosen.shape[1] in (0, values.reshape(n * T, -1).shape[1])
        if chosen.shape[1]:
            np.testing.assert_allclose(chosen, values.reshape(n * T, -1), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("shape", [(500, 6), (6, 6), (4, 6), (1, 6), (7, 20, 3), (50, 1)])
def test_r_factor_has_the_cross_products_and_is_triangular(shape):
    z = np.random.default_rng(2).normal(size=shape) * np.logspace(-3, 4, shape[-1])
    R = whole_arrays.r_factor(z)
    flat = z.reshape(-1, shape[-1])
    assert R.shape == (shape[-1], shape[-1])
    assert not np.tril(R, -1).any()
    size = np.sqrt((flat**2).sum(axis=0))
    np.testing.assert_allclose(
        R.T @ R / np.outer(size, size), flat.T @ flat / np.outer(size, size), rtol=0, atol=2e-14
    )


@pytest.mark.parametrize("rows", [1, 3, 7, 100, 499, 500])
def test_r_factor_does_not_depend_on_the_blocks(rows, monkeypatch):
    z = np.random.default_rng(2).normal(size=(500, 6))
    whole = whole_arrays.r_factor(z)
    monkeypatch.setattr(moments, "ROWS", rows)
    found = whole_arrays.r_factor(z)
    np.testing.assert_allclose(np.abs(found), np.abs(whole), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(found.T @ found, z.T @ z, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("noise", [1e-5, 1e-8])
def test_r_factor_keeps_the_small_residual_that_cross_products_lose(noise):
    """|Z v|^2 = |e|^2 for y = X b + e with a small e, as after a tight fit."""
    rng = np.random.default_rng(3)
    x, b, e = (
        rng.normal(size=(2000, 4)) + 3,
        np.array([2.0, -1.0, 0.5, 3.0]),
        noise * rng.normal(size=2000),
    )
    y = x @ b + e
    v, z = np.append(-b, 1.0), np.column_stack([x, y])
    exact = np.sum((y.astype(np.longdouble) - x.astype(np.longdouble) @ b) ** 2)
    by_r = abs(float(np.sum((whole_arrays.r_factor(z) @ v) ** 2) / exact) - 1)
    by_gram = abs(float(v @ (z.T @ z) @ v / exact) - 1)
    lost = 100 * np.finfo(float).eps * np.linalg.norm(y) / np.linalg.norm(e)
    assert by_r < lost
    assert by_gram > 100 * by_r


def test_split_gives_every_part_its_columns_and_none_where_it_is_missing():
    rng = np.random.default_rng(4)
    for present, parts in PARTS.items():
        R = rng.normal(size=(len(parts), len(parts)))
        cut = moments.split(R, parts)
        at = {part: [i for i, p in enumerate(parts) if p == part] for part in cut._fields}
        for part, value in cut._asdict().items():
            if at[part]:
                expected = R[:, at[part]] if part in ("d", "md") else R[:, at[part][0]]
                np.testing.assert_array_equal(value, expected)
            else:
                assert value is None
        assert (cut.wy is not None, cut.md is not None) == present


@pytest.mark.parametrize("present", PARTS)
def test_stacked_rows_touch_regressors_and_y_alone(present):
    parts = PARTS[present]
    rng = np.random.default_rng(5)
    z, d, y = rng.normal(size=(40, len(parts))), rng.normal(size=(3, 2)), rng.normal(size=3)
    found = moments.append_rows(whole_arrays.r_factor(z), parts, d, y)
    rows = np.zeros((3, len(parts)))
    rows[:, :2], rows[:, parts.index("y")] = d, y
    assert found.shape == (len(parts), len(parts))
    np.testing.assert_allclose(found.T @ found, z.T @ z + rows.T @ rows, rtol=1e-12, atol=1e-12)


def test_an_empty_prior_stacks_to_the_same_factor():
    z = np.random.default_rng(6).normal(size=(40, 3))
    found = moments.append_rows(
        whole_arrays.r_factor(z), PARTS[False, False], np.zeros((2, 2)), np.zeros(2)
    )
    np.testing.assert_allclose(np.abs(found), np.abs(whole_arrays.r_factor(z)), rtol=1e-12)
