"""Laws of W, its interval, log|I - rho W|, its derivative, the filter and impacts for weights of
any shape and size.

Each law runs on a few random examples in `make test` and on hundreds in `make verify`. The truth is
dense NumPy.
"""

import numpy as np
import pytest
import scipy.sparse as sparse
import strategies
from hypothesis import assume, given, seed
from oracles import dense
from strategies import matrices, properties, scales, shares

from spillover.kernels import logdet as kernel
from spillover.kernels import sparse_operator, spectrum
from spillover.kernels import spatial_filter as spatial_filter
from spillover.kernels.factor import factorise
from spillover.kernels.logit import to_s
from spillover.models import impacts

N = 8  # units: as many as make every shape what it is
SHORT, LONG = 12, 400  # examples
EPS = np.finfo(float).eps


def short_and_long(law):
    """The law twice: on SHORT examples, and in `make verify` on LONG ones."""
    examples = (
        pytest.param(SHORT, id="short"),
        pytest.param(LONG, id="long", marks=pytest.mark.verify),
    )
    return pytest.mark.parametrize("examples", examples)(law)


def held(examples, law, **arguments):
    """Run a law on random arguments."""
    properties(examples)(seed(0)(given(**arguments)(law)))()


def record_of(W):
    """The record of W, its arrays of one size whatever W is, so that one program does for all:
    zeros add nothing.
    """
    matrix = sparse.csr_array(W)
    found = kernel.from_eigenvalues(spectrum.eigenvalues(matrix), None, matrix)
    coef, pairs = np.zeros(2048), np.zeros((N, 2))
    coef[: len(found.coef)], pairs[: len(found.pairs)] = found.coef, found.pairs
    return found._replace(coef=coef, pairs=pairs)


def inside(bounds, share):
    """rho at a share of the interval."""
    a, b = np.asarray(bounds)
    return float(a + share * (b - a))


def conditioning(W, rho):
    """How many times a relative error of W, or of rho, grows in S^-1 and log|S|."""
    S = np.eye(len(W)) - rho * W
    return float(
        np.linalg.norm(np.linalg.inv(S), 2) * np.linalg.norm(abs(S) + abs(rho) * abs(W), 2)
    )


@short_and_long
def test_the_interval_holds_no_singular_matrix_and_ends_at_one(examples):
    def law(W, share):
        bounds = spectrum.admissible_interval(spectrum.eigenvalues(sparse.csr_array(W)))
        assert bounds[0] < 0 < bounds[1]
        sign, _ = np.linalg.slogdet(np.eye(N) - inside(bounds, share) * W)
        assert sign > 0
        # Perron and Frobenius: the largest eigenvalue of W >= 0 is its spectral radius
        radius = np.abs(np.linalg.eigvals(W)).max()
        assert bounds[1] * radius == pytest.approx(1, rel=1e-6)

    held(examples, law, W=matrices(N), share=shares)


@short_and_long
def test_the_log_determinant_is_that_of_a_dense_factorisation_within_its_error(examples):
    def law(W, share):
        found = record_of(W)
        rho = inside(found.bounds, share)
        s = np.asarray(to_s(rho, found.bounds))
        truth = dense.logdet(rho, W)
        assert abs(float(kernel.evaluate_on_host(found, np.atleast_1d(s))[0]) - truth) <= float(
            found.error
        ) + 8 * N * EPS * conditioning(W, rho)

    held(examples, law, W=matrices(N), share=shares)


@short_and_long
def test_the_derivative_is_minus_the_trace_of_the_inverse_times_w(examples):
    def law(W, share):
        found = record_of(W)
        rho = inside(found.bounds, share)
        a, b = np.asarray(found.bounds)
        # of the nearest singular rho: the distance on which l changes by its own size
        near = min(rho - a, b - rho)
        truth = dense.dlogdet(rho, W)
        allowed = 1e-6 * (N / near) + 8 * N * EPS * conditioning(W, rho) * N / near
        assert abs(float(kernel.derivative(found, rho)) - truth) <= allowed

    held(examples, law, W=matrices(N), share=shares)


@short_and_long
def test_the_log_determinant_knows_nothing_of_the_order_and_the_scale_of_units(examples):
    def law(W, share, scale):
        order = np.random.default_rng(1).permutation(N)
        one, other = record_of(W), record_of(scale * W[np.ix_(order, order)])
        assert np.asarray(other.bounds) * scale == pytest.approx(np.asarray(one.bounds), rel=1e-6)
        rho = inside(one.bounds, 0.05 + 0.9 * share)
        values = [
            kernel.evaluate_on_host(found, np.atleast_1d(to_s(at, found.bounds)))[0]
            for found, at in ((one, rho), (other, rho / scale))
        ]
        assert abs(values[0] - values[1]) <= float(one.error) + float(
            other.error
        ) + 16 * N * EPS * conditioning(W, rho)

    held(examples, law, W=matrices(N, scaled=False), share=shares, scale=scales)


@short_and_long
def test_the_filter_and_its_transpose_are_undone(examples):
    """Backward stability: S x = b to rounding of |S| |x|, however badly S is conditioned."""

    def law(W, share, scale):
        bounds = spectrum.admissible_interval(spectrum.eigenvalues(sparse.csr_array(W)))
        rho = inside(bounds, share)
        b = scale * np.random.default_rng(2).standard_normal((N, 3))
        S, factor = np.eye(N) - rho * W, factorise(sparse.csr_array(W), rho)
        for matrix, x in ((S, factor.solve(b)), (S.T, factor.solve_transpose(b))):
            size = np.linalg.norm(matrix, 2) * np.linalg.norm(x, axis=0)
            assert (np.linalg.norm(b - matrix @ x, axis=0) <= 1e3 * EPS * size).all()

    held(examples, law, W=matrices(N), share=shares, scale=scales)


@short_and_long
def test_impacts_by_unit_are_those_of_the_dense_inverse(examples):
    def law(W, share, scale):
        bounds = spectrum.admissible_interval(spectrum.eigenvalues(sparse.csr_array(W)))
        rho = inside(bounds, share)
        beta, theta = scale * np.array([1.5, -0.7]), scale * np.array([0.0, 0.4])
        found = np.array(
            impacts.by_unit(sparse.csr_array(W), beta[None], theta[None], np.array([rho]))
        )[:, 0]
        truth = dense.unit_impacts(beta, theta, rho, W)
        size = (
            scale
            * (1 + np.linalg.norm(W, 2))
            * np.linalg.norm(np.linalg.inv(np.eye(N) - rho * W), 2)
            * N
        )
        assert np.abs(found - np.moveaxis(truth, 1, 0)).max() <= 1e2 * EPS * size * conditioning(
            W, rho
        )

    held(examples, law, W=matrices(N), share=shares, scale=scales)


@short_and_long
def test_average_impacts_are_those_of_the_dense_inverse(examples):
    """Direct by the derivative of the log-determinant, total by 1 / (1 - rho): rows of W that sum
    to one.
    """

    def law(W, share):
        assume((W.sum(axis=1) > 0).all())
        W = W / W.sum(axis=1, keepdims=True)
        found = record_of(W)
        rho = inside(found.bounds, 0.02 + 0.96 * share)
        beta, theta = np.array([1.5, -0.7]), np.array([0.0, 0.4])
        got = np.array(
            impacts.average(
                impacts.Channels(found, None, np.float64(1.0)), beta, theta, np.float64(rho)
            )
        ).T
        near = min(rho - found.bounds[0], found.bounds[1] - rho)
        allowed = 1e-6 / near + 1e2 * EPS * conditioning(W, rho) ** 2
        assert np.abs(got - dense.impacts(beta, theta, rho, W)).max() <= allowed

    held(examples, law, W=matrices(N, scaled=False), share=shares)


@pytest.mark.verify
@pytest.mark.parametrize("transpose", [False, True])
def test_the_filter_on_the_device_solves_or_says_that_it_did_not(transpose):
    """`converged` is true only of columns whose residual is small; the others are NaN, never a
    wrong number.
    """

    def law(W, share):
        bounds = spectrum.admissible_interval(spectrum.eigenvalues(sparse.csr_array(W)))
        rho = inside(bounds, share)
        op = sparse_operator.build(sparse.csr_array(W), similar=False, sort=False)
        b = np.random.default_rng(2).standard_normal((N, 2))
        found = spatial_filter.solve_info(op, rho, b, transpose=transpose)
        S = np.eye(N) - rho * (W.T if transpose else W)
        for j, converged in enumerate(np.asarray(found.converged)):
            x = np.asarray(found.value)[:, j]
            if not converged:
                assert np.isnan(x).all()
                continue
            rounding = 1e2 * EPS * np.linalg.norm(S, 2) * np.linalg.norm(x)
            assert (
                np.linalg.norm(b[:, j] - S @ x)
                <= EPS ** (2 / 3) * np.linalg.norm(b[:, j]) * (1 + 1e-6) + rounding
            )

    held(
        100,
        law,
        W=matrices(N, (strategies.uneven, strategies.alike, strategies.sparse_asymmetric)),
        share=shares,
    )
