"""m'(rho), the mean row sum of (I - rho W)^-1 W, against the dense inverse, and its integral
against the matrix's logarithm.
"""

import jax
import numpy as np
import pytest
import scipy.sparse as sparse
from oracles import dense
from oracles.hostile import rook

from spillover.kernels import multiplier, spectrum
from spillover.kernels.errors import WeightsError

HOSTILE = {name: W for name, (W, _) in dense.hostile().items()}
GENERAL = [name for name, W in HOSTILE.items() if not dense.row_standardised(W)]
S = np.array([-6.5, -4.0, -2.0, -0.6, 0.0, 0.5, 1.5, 3.0, 4.5, 6.5])


def bounds_of(W):
    return (-1.2, 1.7) if not np.linalg.matrix_power(W, len(W)).any() else dense.interval(W)


def rounding(rho, W):
    """How far rounding moves the dense solve, relative to it."""
    return 16 * np.finfo(float).eps * np.linalg.cond(np.eye(len(W)) - rho * W)


def compare(built, W, bounds):
    """Nine digits of what the series holds, m' times (rho - a)(b - rho), and seven of m' itself
    away from the ends.
    """
    a, b = bounds
    rho = b - (b - a) / (1 + np.exp(2 * S))
    truth = np.array(
        [np.linalg.solve(np.eye(len(W)) - value * W, W.sum(axis=1)).mean() for value in rho]
    )
    poles = (rho - a) * (b - rho)
    tolerance = 1e-9 * np.abs(truth * poles).max() / poles + [
        rounding(value, W) for value in rho
    ] * np.abs(truth)
    assert np.all(np.abs(np.asarray(built(rho)) - truth) <= tolerance)
    inner = np.abs(S) <= 3
    np.testing.assert_allclose(built(rho[inner]), truth[inner], rtol=1e-7)


@pytest.mark.parametrize("name", GENERAL)
def test_multiplier_is_the_dense_mean_row_sum(name):
    W = HOSTILE[name]
    compare(multiplier.build(sparse.csr_array(W), bounds_of(W)), W, bounds_of(W))


@pytest.mark.parametrize("name", ["knn", "complete", "economic"])
def test_multiplier_of_a_row_standardised_w_is_in_closed_form(name):
    W = HOSTILE[name]
    built = multiplier.build(sparse.csr_array(W), bounds_of(W))
    rho = np.array([-0.9, 0.0, 0.4, 0.99, 0.9999])
    np.testing.assert_allclose(built(rho), 1 / (1 - rho), rtol=1e-8)


def test_sparse_and_dense_routes_agree():
    W = rook(9, 9) * 1.0
    matrix = sparse.csr_array(W)
    assert matrix.nnz < multiplier.DENSE * len(W) ** 2
    compare(multiplier.build(matrix, spectrum.interval(matrix)), W, dense.interval(W))


@pytest.mark.parametrize("name", ["binary", "sinks"])
@pytest.mark.parametrize("scale", [1e-5, 1e6])
def test_multiplier_scales_with_w(name, scale):
    """m' of c W at rho / c is c times m' of W at rho, from a series of the same length."""
    W = HOSTILE[name]
    a, b = dense.interval(W)
    plain = multiplier.build(sparse.csr_array(W), (a, b))
    scaled = multiplier.build(sparse.csr_array(scale * W), (a / scale, b / scale))
    rho = np.linspace(0.95 * a, 0.95 * b, 9)
    np.testing.assert_allclose(scaled(rho / scale), scale * np.asarray(plain(rho)), rtol=1e-9)
    assert scaled.coef.shape == plain.coef.shape


@pytest.mark.parametrize("name", ["sinks"])
def test_multiplier_under_jit_vmap_and_grad(name):
    W = HOSTILE[name]
    a, b = dense.interval(W)
    built = multiplier.build(sparse.csr_array(W), (a, b))
    rho = np.linspace(0.9 * a, 0.9 * b, 6)
    loop = np.array([float(built(value)) for value in rho])
    np.testing.assert_allclose(jax.jit(lambda built, rho: built(rho))(built, rho), loop, rtol=1e-12)
    np.testing.assert_allclose(jax.vmap(built)(rho), loop, rtol=1e-12)
    inverse = [np.linalg.inv(np.eye(len(W)) - value * W) for value in rho]
    slope = [(x @ W @ x @ W).sum() / len(W) for x in inverse]
    np.testing.assert_allclose(jax.vmap(jax.grad(built))(rho), slope, rtol=1e-6)


def mean_log(W, s, bounds):
    """q by the matrix's logarithm at the logit variables s, and how far rounding moves it."""
    a, b = bounds
    rho = b - (b - a) / (1 + np.exp(2 * s))
    return rho, np.array([dense.mean_log(value, W) for value in rho])


@pytest.mark.parametrize("name", HOSTILE)
def test_mean_log_is_that_of_the_matrix_within_its_error(name):
    """q = iota' log(I - rho W) iota / N, also 1e-6 of the interval before a pole, and where it is
    one of higher order.
    """
    W, bounds = HOSTILE[name], bounds_of(HOSTILE[name])
    coef, error = multiplier.mean_log(built := multiplier.build(sparse.csr_array(W), bounds))
    low, high = np.asarray(built.ends)
    rho, truth = mean_log(W, S, bounds)
    found = np.polynomial.chebyshev.chebval((2 * S - low - high) / (high - low), coef)
    rounding_of = np.array([rounding(value, W) for value in rho])
    assert np.all(np.abs(found - truth) <= error + rounding_of)
    # of q itself where the pole is double
    assert error < 2e-8 * max(1, np.abs(truth).max() * (float(built.order) > 1))


@pytest.mark.parametrize("name", ["knn", "complete", "blocks"])
def test_mean_log_of_a_row_standardised_w_is_log_of_one_minus_rho(name):
    W = HOSTILE[name]
    coef, _ = multiplier.mean_log(built := multiplier.build(sparse.csr_array(W), bounds_of(W)))
    low, high = np.asarray(built.ends)
    rho, _ = mean_log(W, S, bounds_of(W))
    np.testing.assert_allclose(
        np.polynomial.chebyshev.chebval((2 * S - low - high) / (high - low), coef),
        np.log1p(-rho),
        atol=2e-9,
    )


def test_mean_log_that_no_series_resolves_is_refused():
    """A complex pair of eigenvalues at -1 +- 4e-5 i, inside given bounds: the poles of m' are as
    near to real rho.
    """
    W = np.array([[0.0, 1.0, 1.0], [1.5, 0.0, 3 + 3e-8], [0.5, 1 / 3, 0.0]])
    with pytest.raises(WeightsError, match="narrower bounds"):
        multiplier.mean_log(multiplier.build(sparse.csr_array(W), (-1.5, 0.499)))
