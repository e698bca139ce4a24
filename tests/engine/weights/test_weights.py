"""Weights: the laws of the record, what it refuses, and the way through libpysal."""

import copy
import pickle
import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sparse

from spillover.engine.weights.weights import Weights
from spillover.kernels.errors import WeightsError

LABELS = ["oslo", "bergen", "åre", "x4", "x5", "x6", "x7"]


def hostile(n: int = 7, seed: int = 3) -> np.ndarray:
    """Asymmetric in pattern and values, non-normal, every unit with a neighbour, with cycles."""
    rng = np.random.default_rng(seed)
    dense = rng.uniform(0.1, 5.0, (n, n)) * (rng.uniform(size=(n, n)) < 0.4)
    dense[np.arange(n), (np.arange(n) + 1) % n] = rng.uniform(1.0, 2.0, n)
    np.fill_diagonal(dense, 0.0)
    return dense


DENSE = hostile()
KINDS = {
    "ndarray": lambda a: a,
    "nested list": lambda a: a.tolist(),
    "float32": lambda a: a.astype(np.float32).astype(float).astype(np.float32),
    "csr_array": sparse.csr_array,
    "csc_matrix": sparse.csc_matrix,
    "coo_array, unsorted": lambda a: sparse.coo_array(
        (a[a > 0][::-1], tuple(k[::-1] for k in np.nonzero(a)))
    ),
    "lil_array": sparse.lil_array,
    "frame, columns shuffled": lambda a: pd.DataFrame(a, index=LABELS, columns=LABELS)[
        LABELS[::-1]
    ],
}


@pytest.fixture
def W() -> Weights:
    return Weights(DENSE, LABELS)


@pytest.mark.parametrize("kind", KINDS)
def test_keeps_the_values_of_every_kind_of_matrix(kind):
    given = KINDS[kind](DENSE.copy())
    W = Weights(given) if isinstance(given, pd.DataFrame) else Weights(given, LABELS)
    want = DENSE.astype(np.float32) if kind == "float32" else DENSE
    np.testing.assert_array_equal(W.to_scipy().toarray(), want)
    assert (W.n, W.ids.tolist(), W.transform, W.islands) == (7, LABELS, "raw", [])
    assert W.matrix.dtype == np.float64
    assert W.matrix.indices.dtype == W.matrix.indptr.dtype == np.int32
    assert isinstance(W.matrix, sparse.csr_array)


def test_canonical_form_sorts_sums_and_drops_zeros():
    messy = sparse.csr_array(
        (np.array([2.0, 0.0, 1.0, 3.0, 4.0]), np.array([2, 1, 2, 0, 0]), np.array([0, 3, 4, 5])),
        shape=(3, 3),
    )
    W = Weights(messy)
    np.testing.assert_array_equal(W.matrix.indices, [2, 0, 0])
    np.testing.assert_array_equal(W.matrix.data, [3.0, 3.0, 4.0])
    assert messy.nnz == 5  # what was given is left as it was


def test_neither_the_callers_arrays_nor_ours_leak():
    given, ids = sparse.csr_array(DENSE), np.array(LABELS, dtype=object)
    W = Weights(given, ids)
    before = W.digest
    given.data[:] = 99.0
    ids[0] = "elsewhere"
    out = W.to_scipy()
    out.data[:] = 7.0
    np.testing.assert_array_equal(W.to_scipy().toarray(), DENSE)
    assert W.ids[0] == "oslo"
    with pytest.raises(ValueError, match="read-only"):
        W.matrix.data[0] = 1.0
    with pytest.raises(AttributeError):
        W.transform = "row"
    assert Weights(W.matrix, W.ids).digest == before


def changed(i, j, value):
    dense = DENSE.copy()
    dense[i, j] = value
    return dense


REFUSED = {
    "not square": (DENSE[:, :3], None, [r"\(7, 3\)", "square"]),
    "one dimension": (np.ones(3), None, [r"\(3,\)"]),
    "sparse, one dimension": (sparse.coo_array(np.ones(3)), None, [r"\(3,\)"]),
    "empty": (np.empty((0, 0)), None, ["empty"]),
    "NaN": (changed(0, 2, np.nan), LABELS, ["'oslo' → 'åre' = nan", "NaN"]),
    "infinite": (sparse.csr_array(changed(3, 0, np.inf)), LABELS, ["'x4' → 'oslo' = inf"]),
    "negative": (
        changed(1, 0, -2.5),
        LABELS,
        ["1 weights are negative", "'bergen' → 'oslo' = -2.5"],
    ),
    "diagonal": (changed(4, 4, 0.5), LABELS, ["'x5' → 'x5' = 0.5", "diagonal to 0"]),
    "a diagonal of positions": (changed(4, 4, 0.5), None, ["4 → 4 = 0.5"]),
    "many culprits": (np.eye(9), None, ["9 weights", "and 4 more"]),
    "island": (
        np.array([[0.0, 1, 0], [1, 0, 0], [1, 1, 0]]).T,
        ["p", "q", "r"],
        ["'r'", 'islands="allow"'],
    ),
    "repeated ids": (DENSE, [*LABELS[:6], "oslo"], ["more than once: 'oslo'"]),
    "too few ids": (DENSE, LABELS[:5], ["5 ids for 7 units"]),
    "missing id": (DENSE, [*LABELS[:6], None], ["position 6"]),
    "ids with levels": (
        DENSE,
        pd.MultiIndex.from_product([range(7), ["a"]], names=["unit", "year"]),
        ["'unit', 'year'"],
    ),
    "one string for ids": (DENSE, "abcdefg", ["abcdefg"]),
    "text": (np.array([["0", "1"], ["1", "0"]]), None, ["real numbers"]),
    "text in objects": (np.array([[0, "1"], ["1", 0]], dtype=object), None, ["real numbers"]),
    "complex": (DENSE * 1j, None, ["complex128"]),
    "complex sparse": (sparse.csr_array(DENSE * 1j), None, ["complex128"]),
    "not a matrix": (object(), None, ["object"]),
    "frame and ids": (pd.DataFrame(DENSE), LABELS, ["leave ids out"]),
    "frame with other columns": (
        pd.DataFrame(DENSE, index=LABELS),
        None,
        ["'oslo'", "frame.to_numpy"],
    ),
    "frame with a text column": (
        pd.DataFrame({"a": [0, 1], "b": ["1", "x"]}, index=["a", "b"]),
        None,
        ["columns 'b'"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_and_names_the_culprit(case):
    matrix, ids, wanted = REFUSED[case]
    with pytest.raises(WeightsError) as caught:
        Weights(matrix, ids)
    for text in wanted:
        assert re.search(text, str(caught.value)), f"{text!r} not in {caught.value}"


def test_refuses_an_unknown_island_policy():
    with pytest.raises(WeightsError, match=r"'keep'.*allow"):
        Weights(DENSE, islands="keep")


@pytest.mark.parametrize("name", ["row", "spectral"])
def test_standardising(W, name):
    W.bounds  # noqa: B018 (a cached value must not travel to the new weights)
    S = W.row_standardize() if name == "row" else W.spectral_standardize()
    dense = S.to_scipy().toarray()
    assert (S.transform, W.transform) == (name, "raw")
    assert np.abs(np.linalg.eigvals(dense)).max() == pytest.approx(1, abs=1e-12)
    assert S.bounds[1] == pytest.approx(1, abs=1e-12)
    assert S.bounds != W.bounds
    ratios = dense[DENSE > 0] / DENSE[DENSE > 0]
    if name == "row":
        np.testing.assert_allclose(dense.sum(axis=1), 1, atol=1e-14)
        np.testing.assert_allclose(dense, DENSE / DENSE.sum(axis=1, keepdims=True), rtol=1e-15)
    else:
        np.testing.assert_allclose(ratios, ratios[0], rtol=1e-15)
    assert S.is_row_standardized == (name == "row")
    again = S.row_standardize() if name == "row" else S.spectral_standardize()
    assert again.digest == S.digest


def test_is_row_standardized_looks_at_the_values():
    assert Weights(DENSE / DENSE.sum(axis=1, keepdims=True)).is_row_standardized
    assert not Weights(DENSE / DENSE.sum(axis=0)).is_row_standardized
    assert (
        not Weights([[0, 1, 0], [1, 0, 0], [0, 0, 0]], islands="allow")
        .row_standardize()
        .is_row_standardized
    )
    assert not Weights([[0, 1 + 1e-9], [1, 0]]).is_row_standardized


@pytest.mark.parametrize(
    ("matrix", "want"),
    [
        (DENSE, False),
        (DENSE + DENSE.T, True),
        ((DENSE > 0) * 1.0, False),
        ((DENSE + DENSE.T) * (1 + 1e-15 * np.arange(49).reshape(7, 7)), True),
        ((DENSE + DENSE.T) * (1 + 1e-9 * np.arange(49).reshape(7, 7)), False),
    ],
)
def test_is_symmetric(matrix, want):
    assert Weights(matrix).is_symmetric is want


@pytest.mark.parametrize("transform", ["raw", "row", "spectral"])
def test_bounds_enclose_the_nonsingular_rho(W, transform):
    W = {"raw": W, "row": W.row_standardize(), "spectral": W.spectral_standardize()}[transform]
    lower, upper = W.bounds
    dense = W.to_scipy().toarray()
    for rho in np.linspace(lower, upper, 41)[1:-1]:
        assert np.linalg.slogdet(np.eye(W.n) - rho * dense)[0] > 0
    assert abs(np.linalg.det(np.eye(W.n) - upper * dense)) < 1e-12
    assert W.bounds is W.bounds


def test_given_bounds_follow_what_they_were_given_for(W):
    lower, upper = W.bounds
    given = Weights(DENSE, LABELS, bounds=(lower / 2, upper / 2))
    assert given.bounds == (lower / 2, upper / 2)
    assert given[LABELS[::-1]].bounds == given.bounds
    assert given.row_standardize().bounds == W.row_standardize().bounds
    np.testing.assert_allclose(
        given.spectral_standardize().bounds,
        np.array(W.spectral_standardize().bounds) / 2,
        rtol=1e-12,
    )
    assert Weights(DENSE, bounds=(lower, upper)).bounds == (lower, upper)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (0,)])
def test_lag_is_the_dense_product(W, shape):
    x = np.random.default_rng(1).normal(size=(7, *shape))
    np.testing.assert_allclose(W @ x, DENSE @ x, rtol=1e-14)
    np.testing.assert_allclose(W.lag(x), DENSE @ x, rtol=1e-14)
    assert (W @ x).shape == x.shape


@pytest.mark.parametrize("seed", range(3))
def test_lag_of_a_table_goes_by_label(W, seed):
    rng = np.random.default_rng(seed)
    order = rng.permutation(7)
    table = pd.DataFrame(
        {"a": rng.normal(size=7), "b": rng.integers(0, 9, 7)}, index=pd.Index(LABELS, name="city")
    )
    want = pd.DataFrame(DENSE @ table.to_numpy(), index=table.index, columns=table.columns).iloc[
        order
    ]
    pd.testing.assert_frame_equal(W @ table.iloc[order], want)
    pd.testing.assert_series_equal(W.lag(table["b"].iloc[order]), want["b"])


def test_lag_spreads_a_missing_value_to_those_it_neighbours(W):
    x = pd.Series(1.0, index=LABELS).astype("Float64")
    x["åre"] = pd.NA
    np.testing.assert_array_equal((W @ x).isna(), DENSE[:, 2] > 0)


TABLE = pd.Series(1.0, index=LABELS)
MISFITS = {
    "too short": (np.ones(6), [r"\(6,\)", r"\(7, k\)"]),
    "three dimensions": (np.ones((7, 2, 2)), [r"\(7, 2, 2\)"]),
    "a number": (3.0, [r"\(\)"]),
    "text": (np.array(LABELS), ["real numbers"]),
    "complex": (np.ones(7) * 1j, ["complex128"]),
    "sparse": (sparse.csr_array(DENSE), ["csr_array"]),
    "a text column": (pd.DataFrame({"ok": 1.0, "name": LABELS}, index=LABELS), ["columns 'name'"]),
    "other labels": (
        TABLE.rename({"oslo": "rome", "x4": "bonn"}),
        ["in the data but not in W: 'rome', 'bonn'", "in W but not in the data: 'oslo', 'x4'"],
    ),
    "one unit short": (TABLE.iloc[1:], ["in W but not in the data: 'oslo'"]),
    "one unit more": (
        pd.concat([TABLE, pd.Series({"rome": 1.0})]),
        ["in the data but not in W: 'rome'"],
    ),
    "labels of another type": (TABLE.reset_index(drop=True), ["type integer", "type string"]),
    "a panel": (pd.concat([TABLE, TABLE]), ["repeat the units 'oslo'", "and 2 more"]),
    "levels": (TABLE.to_frame().assign(year=1).set_index("year", append=True), ["levels"]),
    "no rows": (TABLE.iloc[:0], ["in W but not in the data: 'oslo'"]),
}


@pytest.mark.parametrize("case", MISFITS)
def test_lag_refuses_what_does_not_fit(W, case):
    x, wanted = MISFITS[case]
    with pytest.raises(WeightsError) as caught:
        W @ x
    for text in wanted:
        assert re.search(text, str(caught.value)), f"{text!r} not in {caught.value}"


def test_an_array_does_not_swallow_the_weights(W):
    with pytest.raises(TypeError):
        np.ones(7) @ W


@pytest.mark.parametrize("seed", range(3))
def test_reordering_is_p_w_p_transposed(W, seed):
    order = np.random.default_rng(seed).permutation(7)
    P = np.eye(7)[order]
    R = W.row_standardize()[W.ids[order]]
    np.testing.assert_array_equal(
        W[[LABELS[k] for k in order]].to_scipy().toarray(), P @ DENSE @ P.T
    )
    assert R.ids.tolist() == [LABELS[k] for k in order]
    assert (R.transform, R.is_row_standardized) == ("row", True)
    np.testing.assert_allclose(R.bounds, W.row_standardize().bounds, rtol=1e-10)
    assert R[LABELS] == W.row_standardize()


def test_a_subset_keeps_the_values_and_says_it_is_no_longer_standardised():
    W = Weights(DENSE + 0.1 - 0.1 * np.eye(7), LABELS).row_standardize()
    part = W[["x7", "oslo", "x4"]]
    np.testing.assert_array_equal(
        part.to_scipy().toarray(), W.to_scipy().toarray()[np.ix_([6, 0, 3], [6, 0, 3])]
    )
    assert (part.transform, part.is_row_standardized) == ("raw", False)
    np.testing.assert_allclose(part.row_standardize().to_scipy().toarray().sum(axis=1), 1)


STAR = [[0, 1, 1], [1, 0, 0], [1, 0, 0]]
UNFIT = {
    "unknown": (["hub", "nowhere"], ["nowhere"]),
    "another type": ([0, 1], ["not among the ids of W: 0, 1", "type integer"]),
    "repeated": (["hub", "hub"], ["more than once: 'hub'"]),
    "none": ([], ["empty"]),
    "one label": ("hub", ["'hub'.*list"]),
    "a number": (0, ["W\\[0\\].*list"]),
    "slice": (slice(0, 2), ["W.ids\\[:10\\]"]),
    "mask": (np.array([True, False, True]), ["W.ids\\[mask\\]"]),
    "islands arise": (["a", "b"], ["2 of 2 units have no neighbours: 'a', 'b'"]),
}


@pytest.mark.parametrize("case", UNFIT)
def test_getitem_refuses(case):
    labels, wanted = UNFIT[case]
    with pytest.raises(WeightsError) as caught:
        Weights(STAR, ["hub", "a", "b"])[labels]
    for text in wanted:
        assert re.search(text, str(caught.value)), f"{text!r} not in {caught.value}"


def test_islands_allowed_stay_zero_rows_all_the_way():
    W = Weights(STAR, ["hub", "a", "b"], islands="allow")
    assert W[["a", "b"]].islands == ["a", "b"]
    W = Weights([[0, 3, 1], [2, 0, 0], [0, 0, 0]], ["hub", "a", "b"], islands="allow")
    for S in (W.row_standardize(), W.spectral_standardize(), W[["b", "hub", "a"]]):
        assert S.islands == ["b"]
        assert np.isfinite(S.to_scipy().toarray()).all()
    np.testing.assert_array_equal(W @ np.ones(3), [4, 2, 0])


def test_repr_counts():
    W = Weights([[0, 3, 1], [2, 0, 0], [0, 0, 0]], islands="allow").row_standardize()
    assert (
        repr(W) == "Weights(n=3, links=3, mean neighbours=1.00, max neighbours=2, islands=1,"
        " transform='row')"
    )


def test_digest_and_equality_go_by_content(W):
    same = Weights(sparse.coo_array(DENSE), pd.Index(LABELS))
    assert (same == W, hash(W) == hash(same), W.digest == same.digest) == (True, True, True)
    assert len(W.digest) == 64
    others = [
        W.row_standardize(),
        W[LABELS[::-1]],
        Weights(DENSE.T, LABELS),
        Weights(changed(0, 1, DENSE[0, 1] * (1 + 1e-15)), LABELS),
    ]
    assert len({W.digest, *(o.digest for o in others)}) == 5
    assert all(other != W for other in others)
    assert Weights(DENSE).digest == W.digest
    assert Weights(DENSE) != W
    assert (DENSE.tolist() == W) is False
    assert Weights(DENSE, LABELS, bounds=(-0.01, 0.01)) != W
    # the same columns and values, row by row, in other rows
    moved = [
        np.zeros((4, 4)),
        np.zeros((4, 4)),
    ]
    moved[0][[0, 1, 1], [1, 0, 2]] = moved[1][[0, 1, 3], [1, 0, 2]] = 1.0
    assert Weights(moved[0], islands="allow").digest != Weights(moved[1], islands="allow").digest
    shapes = {Weights(np.zeros((n, n)), islands="allow").digest for n in (1, 2, 3)}
    assert len(shapes) == 3
    for twin in (copy.copy(W), copy.deepcopy(W), pickle.loads(pickle.dumps(W))):
        assert twin == W
