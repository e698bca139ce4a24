"""Eigenvalues and the admissible interval against dense algebra and closed forms."""

import numpy as np
import pytest
import scipy.sparse as sparse
from oracles import dense
from oracles.hostile import contiguity, ring, rook, row_standardise

from spillover.kernels import spectrum
from spillover.kernels.errors import WeightsError

HOSTILE = {name: W for name, (W, _) in dense.hostile().items()}
LOOSE = {
    "zero": np.zeros((4, 4)),
    "scaled components": np.kron(np.diag([1.0, 50.0, 0.01]), row_standardise(contiguity(9))),
    "islands between components": np.pad(
        np.kron(np.eye(2), row_standardise(rook(2, 3))), ((1, 2), (1, 2))
    ),
    "a broken cycle": np.array([[0, 1, 2.0], [1, 0, 1], [2, 1.001, 0]]),
    "one-way link": np.array([[0, 1.0, 0], [1, 0, 1], [0, 0, 0]]),
    "long chain": row_standardise(rook(1, 100) * np.random.default_rng(1).uniform(0.1, 10, 100)),
}
CASES = HOSTILE | LOOSE


def dense_symmetrizer_exists(W):
    """log d_j - log d_i = log w_ij - log w_ji is a solvable linear system, on a
    symmetric pattern.
    """
    i, j = np.nonzero(W)
    if (W[j, i] == 0).any():
        return False
    incidence = np.zeros((len(i), len(W)))
    incidence[np.arange(len(i)), j] += 1
    incidence[np.arange(len(i)), i] -= 1
    target = np.log(W[i, j] / W[j, i])
    solution = np.linalg.lstsq(incidence, target, rcond=None)[0]
    return bool(np.abs(incidence @ solution - target).max(initial=0) < 1e-9)


@pytest.mark.parametrize("name", CASES)
def test_symmetrizer_is_there_exactly_where_one_exists(name):
    W = CASES[name]
    d = spectrum.symmetrizer(sparse.csr_array(W))
    assert (d is not None) == dense_symmetrizer_exists(W)
    if d is not None:
        assert np.all(d > 0)
        np.testing.assert_allclose(d[:, None] * W, (d[:, None] * W).T, rtol=1e-10, atol=0)
        root = np.sqrt(d)
        similar = root[:, None] * W / root
        np.testing.assert_allclose(
            spectrum.symmetrize(sparse.csr_array(W)).toarray(), similar, rtol=1e-8, atol=1e-15
        )


def test_symmetrizer_table_has_both_kinds():
    kinds = {
        name: spectrum.symmetrizer(sparse.csr_array(W)) is not None for name, W in CASES.items()
    }
    assert kinds["economic"]
    assert kinds["scaled components"]
    assert not kinds["a broken cycle"]
    assert not kinds["knn"]


@pytest.mark.parametrize("name", CASES)
def test_eigenvalues_have_the_power_sums_of_the_traces(name):
    """tr W^q = sum omega^q, which holds whatever the Jordan form; products of W are exact to
    rounding.
    """
    W = CASES[name]
    values = spectrum.eigenvalues(sparse.csr_array(W))
    assert values.shape == (len(W),)
    scale = max(np.abs(values).max(), 1e-3)
    power = np.eye(len(W))
    for q in range(1, 9):
        power = power @ W
        np.testing.assert_allclose(
            np.sum(values**q), np.trace(power), rtol=1e-10, atol=1e-11 * len(W) * scale**q
        )


@pytest.mark.parametrize("name", CASES)
def test_eigenvalues_solve_the_characteristic_equation(name):
    W = CASES[name]
    values = spectrum.eigenvalues(sparse.csr_array(W))
    for rho in (0.31, -0.47):
        t = rho / (np.abs(values).max() or 1.0)
        assert np.sum(np.log(np.abs(1 - t * values))) == pytest.approx(
            dense.logdet(t, W), abs=1e-11 * len(W)
        )


@pytest.mark.parametrize("name", CASES)
def test_eigenvalues_are_real_exactly_where_w_is_similar_to_a_symmetric_matrix(name):
    values = spectrum.eigenvalues(sparse.csr_array(CASES[name]))
    assert np.isrealobj(values) == dense_symmetrizer_exists(CASES[name])
    if np.isrealobj(values):
        np.testing.assert_allclose(
            np.sort(values),
            np.sort(np.linalg.eigvals(CASES[name]).real),
            atol=1e-7 * max(1, np.abs(values).max()),
        )


@pytest.mark.parametrize("name", ["knn", "bent_ring", "sinks"])
def test_complex_eigenvalues_keep_their_imaginary_parts(name):
    found, expected = (
        spectrum.eigenvalues(sparse.csr_array(HOSTILE[name])),
        np.linalg.eigvals(HOSTILE[name]),
    )
    distance = np.abs(found[:, None] - expected)
    assert distance.min(axis=0).max() < 1e-6
    assert distance.min(axis=1).max() < 1e-6
    assert np.abs(found.imag).max() > 0.05


def test_eigenvalues_of_an_acyclic_w_and_of_islands_are_exact_zeros():
    assert not spectrum.eigenvalues(sparse.csr_array(HOSTILE["acyclic"])).any()
    assert not spectrum.eigenvalues(sparse.csr_array(HOSTILE["islands"]))[[3, 17, 31]].any()


@pytest.mark.parametrize("name", [name for name in CASES if name not in ("acyclic", "zero")])
def test_interval_is_between_the_reciprocals_of_the_extreme_real_eigenvalues(name):
    np.testing.assert_allclose(
        spectrum.interval(sparse.csr_array(CASES[name])), dense.interval(CASES[name]), rtol=2e-8
    )


@pytest.mark.parametrize("name", [name for name, W in HOSTILE.items() if dense.row_standardised(W)])
def test_a_row_standardised_w_ends_at_exactly_one(name):
    assert spectrum.interval(sparse.csr_array(HOSTILE[name]))[1] == 1.0


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "acyclic"])
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_interval_scales_inversely_with_w(name, scale):
    a, b = spectrum.interval(sparse.csr_array(HOSTILE[name]))
    np.testing.assert_allclose(
        spectrum.interval(sparse.csr_array(scale * HOSTILE[name])),
        (a / scale, b / scale),
        rtol=1e-9,
    )


@pytest.mark.parametrize("name", ["acyclic", "zero"])
def test_interval_of_an_acyclic_w_must_be_given(name):
    with pytest.raises(WeightsError, match=r"no cycle of links.*bounds"):
        spectrum.interval(sparse.csr_array(CASES[name]))


def test_a_missing_sign_is_replaced_by_the_spectral_radius():
    assert spectrum.admissible_interval(np.array([-4.0, 2.0, 5j, -5j])) == (-0.25, 0.5)
    assert spectrum.admissible_interval(np.array([2.0, 1j, -1j])) == (-0.5, 0.5)
    assert spectrum.admissible_interval(np.array([-4.0, 2 + 1j, 2 - 1j])) == (-0.25, 0.25)
    np.testing.assert_allclose(
        spectrum.admissible_interval(np.array([3j, -3j])), (-1 / 3, 1 / 3), rtol=1e-15
    )
    np.testing.assert_allclose(
        spectrum.interval(sparse.csr_array(ring(25, ((1, 2.0),)))), (-0.5, 0.5), rtol=1e-12
    )


def circulant(n):
    """Both neighbours on a ring, half each: eigenvalues cos(2 pi k / n)."""
    return row_standardise(ring(n, ((1, 1.0), (n - 1, 1.0)))), np.cos(2 * np.pi * np.arange(n) / n)


@pytest.mark.parametrize("n", [3, 8, 101])
def test_eigenvalues_of_a_ring_in_closed_form(n):
    W, values = circulant(n)
    np.testing.assert_allclose(
        np.sort(spectrum.eigenvalues(sparse.csr_array(W))), np.sort(values), atol=1e-13
    )


def test_dense_eigenvalues_stop_at_the_limit_by_block(monkeypatch):
    monkeypatch.setattr(spectrum, "DENSE_LIMIT", 6)
    assert len(spectrum.eigenvalues(sparse.csr_array(HOSTILE["blocks"]))) == 30
    with pytest.raises(WeightsError, match="connected block of 40"):
        spectrum.eigenvalues(sparse.csr_array(HOSTILE["contiguity"]))
