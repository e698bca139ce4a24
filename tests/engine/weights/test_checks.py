"""Bounds of rho: those that eigenvalues tell, by whatever way they are found, and those given."""

import numpy as np
import pytest
import scipy.sparse as sparse

from spillover.engine.weights.checks import spectral_radius
from spillover.engine.weights.weights import Weights
from spillover.kernels import spectrum
from spillover.kernels.errors import WeightsError


def hostile(n: int = 7, seed: int = 3) -> np.ndarray:
    """Asymmetric in pattern and values, non-normal, every unit with a neighbour, with cycles."""
    rng = np.random.default_rng(seed)
    dense = rng.uniform(0.1, 5.0, (n, n)) * (rng.uniform(size=(n, n)) < 0.4)
    dense[np.arange(n), (np.arange(n) + 1) % n] = rng.uniform(1.0, 2.0, n)
    np.fill_diagonal(dense, 0.0)
    return dense


DENSE = hostile()


@pytest.mark.parametrize(
    "bounds", [(0.0, 1.0), (-1.0, 0.0), (1.0, -1.0), (-1.0, np.inf), (-1.0,), "x"]
)
def test_refuses_bounds_that_are_no_interval_around_zero(bounds):
    with pytest.raises(WeightsError, match="bounds"):
        Weights(DENSE, bounds=bounds)


CHAIN = np.triu(np.ones((4, 4)), 1)


def test_an_acyclic_matrix_needs_bounds_and_keeps_them():
    with pytest.raises(WeightsError, match="bounds"):
        Weights(CHAIN, islands="allow").bounds  # noqa: B018
    W = Weights(CHAIN, list("abcd"), islands="allow", bounds=(-2, 3))
    assert W.bounds == W.row_standardize().bounds == W[["b", "d", "a"]].bounds == (-2.0, 3.0)
    with pytest.raises(WeightsError, match="row_standardize"):
        W.spectral_standardize()


@pytest.mark.parametrize("bounds", [(-0.1, 0.6), (-5.0, 0.1)])
def test_given_bounds_beyond_the_singularity_are_refused(bounds):
    with pytest.raises(WeightsError, match="admissible"):
        Weights(hostile(), bounds=bounds).bounds  # noqa: B018


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e6])
@pytest.mark.parametrize("case", ["hostile", "symmetric", "bipartite", "acyclic"])
def test_spectral_radius_of_large_and_small_matrices_agree(case, scale, monkeypatch):
    n = 60
    dense = {
        "hostile": hostile(n),
        "symmetric": hostile(n) + hostile(n).T,
        "bipartite": np.diag(np.arange(1.0, n), 1) + np.diag(np.arange(2.0, n + 1), -1),
        "acyclic": np.triu(hostile(n), 1),
    }[case] * scale
    want = np.abs(np.linalg.eigvals(dense)).max() if case != "acyclic" else 0.0
    matrix = sparse.csr_array(dense)
    assert spectral_radius(matrix) == pytest.approx(want, rel=1e-9)
    monkeypatch.setattr(spectrum, "DENSE_LIMIT", 10)
    monkeypatch.setattr(spectrum, "eigenvalues", None)
    assert spectral_radius(matrix) == pytest.approx(want, rel=1e-9)
    assert spectral_radius(matrix) == spectral_radius(matrix)
