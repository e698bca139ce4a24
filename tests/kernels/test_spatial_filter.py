"""(I - rho W) x and its inverse against dense algebra, in both halves of the admissible interval,
with derivatives and failures.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sparse
from oracles import dense
from oracles.hostile import knn, row_standardise

from spillover.kernels import factor, sparse_operator
from spillover.kernels import spatial_filter as filters
from spillover.kernels.errors import ConvergenceError, WeightsError

HOSTILE = {name: W for name, (W, _) in dense.hostile().items()}
ACYCLIC = (-2.0, 2.5)
SHARES = (-0.97, -0.5, 0.5, 0.97)
FEW = ["economic", "knn"]  # one solved by CG, one by BiCGSTAB
# what every hostile W fits into: one program for all of them
UNITS, SLOTS, LENGTH, PIECES = (
    44,
    32,
    16,
    4,
)


def bounds(name):
    return ACYCLIC if name == "acyclic" else dense.interval(HOSTILE[name])


def rho_at(name, share):
    """rho at a share of the way from 0 to the upper (positive) or lower (negative) bound."""
    lower, upper = bounds(name)
    return share * upper if share > 0 else -share * lower


def padded(W, *, sort=False):
    """The operator of W with islands up to UNITS, its slots padded with zero weights to
    one shape.
    """
    op = sparse_operator.build(sparse.csr_array(np.pad(W, (0, UNITS - len(W)))), sort=sort)

    def ell(slots):
        extra = [(0, SLOTS - slots.columns.shape[0]), (0, 0)]
        more = [(0, LENGTH - slots.more_columns.shape[0]), (0, PIECES - slots.rows.shape[0])]
        last = {"constant_values": UNITS - 1}
        widths = (extra, {}), (extra, {}), (more[1], last), (more, {}), (more, {})
        return sparse_operator.Ell(
            *[
                jnp.asarray(np.pad(leaf, width, **fill))
                for leaf, (width, fill) in zip(slots, widths, strict=True)
            ]
        )

    return op._replace(
        forward=ell(op.forward), backward=None if op.backward is None else ell(op.backward)
    )


def problem(name, share, count=3, seed=0):
    W, rho = np.pad(HOSTILE[name], (0, UNITS - len(HOSTILE[name]))), float(rho_at(name, share))
    return W, rho, np.eye(UNITS) - rho * W, np.random.default_rng(seed).normal(size=(UNITS, count))


def error_bound(S, b, tolerance):
    """|x - S^-1 b| that a residual of tolerance |b| allows, and what rounding adds to a dense
    solve.
    """
    return (
        (tolerance + 100 * np.finfo(float).eps * np.linalg.cond(S))
        * np.linalg.norm(np.linalg.inv(S), 2)
        * np.linalg.norm(b, axis=0).max()
    )


@pytest.mark.cover
@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("name", HOSTILE)
def test_solutions_are_the_dense_ones(name, share):
    W, rho, S, b = problem(name, share)
    op, tolerance = padded(W), 1e-11
    for transpose, A in ((False, S), (True, S.T)):
        found = filters.solve_info(op, rho, b, transpose=transpose, tolerance=tolerance)
        assert np.asarray(found.converged).tolist() == [True] * 3
        np.testing.assert_allclose(
            found.value, np.linalg.solve(A, b), rtol=0, atol=error_bound(S, b, tolerance)
        )
        true = np.linalg.norm(b - A @ np.asarray(found.value), axis=0) / np.linalg.norm(b, axis=0)
        np.testing.assert_allclose(found.residual, true, rtol=0, atol=1e-14 * np.linalg.cond(S))
        np.testing.assert_allclose(
            filters.multiply(op, rho, b, transpose=transpose),
            A @ b,
            rtol=0,
            atol=1e-12 * np.abs(A).sum(),
        )


@pytest.mark.parametrize("name", HOSTILE)
def test_the_inverse_undoes_the_filter(name):
    W, rho, S, b = problem(name, 0.8)
    op, tolerance = padded(W), 1e-11
    for transpose in (False, True):
        filtered = filters.multiply(op, rho, b, transpose=transpose)
        back = filters.solve(op, rho, filtered, transpose=transpose, tolerance=tolerance)
        np.testing.assert_allclose(
            back, b, rtol=0, atol=error_bound(S, np.asarray(filtered), tolerance)
        )


def test_the_table_uses_both_methods():
    kinds = {
        name: sparse_operator.build(sparse.csr_array(W)).d is not None
        for name, W in HOSTILE.items()
    }
    assert kinds["economic"]
    assert kinds["islands"]
    assert not kinds["knn"]
    assert not kinds["acyclic"]


@pytest.mark.parametrize("name", FEW)
def test_a_permuted_operator_and_a_single_right_hand_side(name):
    W, rho, S, b = problem(name, -0.7)
    op = padded(W, sort=True)
    found = filters.solve_info(op, rho, b[:, 0], transpose=True, tolerance=1e-12)
    assert found.value.shape == (UNITS,)
    assert found.residual.shape == found.converged.shape == ()
    np.testing.assert_allclose(
        found.value, np.linalg.solve(S.T, b[:, 0]), rtol=0, atol=error_bound(S, b, 1e-12)
    )


@partial(jax.jit, static_argnames="transpose")
def value_and_gradients(op, rho, b, weight, limit, transpose):
    """f = sum weight sin(S^-1 b), and its gradients in rho and b."""

    def function(rho, b):
        return jnp.sum(
            weight
            * jnp.sin(filters.solve(op, rho, b, transpose=transpose, tolerance=1e-13, limit=limit))
        )

    return jax.value_and_grad(function, argnums=(0, 1))(rho, b)


@pytest.mark.parametrize("share", [-0.6, 0.7])
@pytest.mark.parametrize(("name", "transpose"), [("economic", True), ("knn", False)])
def test_gradients(name, transpose, share):
    """By finite differences and by the adjoint: d b = S^-T (w cos x), d rho = d b' W x."""
    W, rho, S, b = problem(name, share)
    A, lag = (S.T, W.T) if transpose else (S, W)
    op, weight = padded(W, sort=True), np.random.default_rng(1).normal(size=b.shape)
    _, (by_rho, by_b) = value_and_gradients(op, rho, b, weight, 1000, transpose)
    x = np.linalg.solve(A, b)
    adjoint = np.linalg.solve(A.T, weight * np.cos(x))
    size = np.linalg.norm(np.linalg.inv(S), 2) ** 2 * np.linalg.norm(b) * np.linalg.norm(weight)
    np.testing.assert_allclose(by_b, adjoint, rtol=0, atol=1e-11 * size)
    np.testing.assert_allclose(
        by_rho, np.sum(adjoint * (lag @ x)), rtol=0, atol=1e-11 * size * np.linalg.norm(W, 2)
    )
    step, direction = 1e-5, np.random.default_rng(2).normal(size=b.shape)

    def value(move):
        return value_and_gradients(op, rho + move, b + move * direction, weight, 1000, transpose)[0]

    slope = by_rho + np.sum(np.asarray(by_b) * direction)
    np.testing.assert_allclose(
        (value(step) - value(-step)) / (2 * step), slope, rtol=1e-6, atol=1e-7
    )


@pytest.mark.parametrize("name", FEW)
def test_the_derivative_in_rho_is_the_resolvent_twice(name):
    """d S^-1 b / d rho = S^-1 W S^-1 b, in forward mode."""
    W, rho, S, b = problem(name, 0.6)
    op = padded(W)
    tangent = jax.jit(
        lambda op: jax.jvp(lambda rho: filters.solve(op, rho, b, tolerance=1e-13), (rho,), (1.0,))[
            1
        ]
    )(op)
    np.testing.assert_allclose(
        tangent, np.linalg.solve(S, W @ np.linalg.solve(S, b)), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("name", FEW)
def test_vmap_over_rho_is_a_loop(name):
    W, _, _, b = problem(name, 0.5)
    op, rho = (
        sparse_operator.build(sparse.csr_array(W)),
        np.array([rho_at(name, share) for share in (-0.8, 0.0, 0.9)]),
    )
    mapped = jax.jit(jax.vmap(partial(filters.solve, tolerance=1e-12), in_axes=(None, 0, None)))(
        op, rho, b
    )
    for value, found in zip(rho, mapped, strict=True):
        np.testing.assert_allclose(
            found, np.linalg.solve(np.eye(UNITS) - value * W, b), rtol=0, atol=1e-10
        )


@pytest.mark.parametrize("name", FEW)
def test_single_precision_refined_by_double_residuals(name):
    """Plain float32 stays near 1e-6; refined it reaches 1e-10 and better, with the iterations in
    float32 all the same.
    """
    W, rho, S, b = problem(name, 0.9)
    matrix, expected, op = sparse.csr_array(W), np.linalg.solve(S, b), padded(W)
    refined = filters.solve_info(op, rho, b, tolerance=1e-12, low=np.float32)
    assert np.asarray(refined.converged).all()
    assert np.abs(refined.value - expected).max() < 1e-10 * np.abs(expected).max()
    text = str(jax.make_jaxpr(lambda b: filters.solve(op, rho, b, low=np.float32))(b))
    assert f"f32[{UNITS},3]" in text
    with jax.enable_x64(False):
        plain = filters.solve_info(
            sparse_operator.build(matrix, np.float32), np.float32(rho), b.astype(np.float32)
        )
    assert plain.value.dtype == np.float32
    assert np.asarray(plain.converged).all()
    assert 1e-9 < np.abs(plain.value - expected).max() / np.abs(expected).max() < 1e-3


@pytest.mark.parametrize(("name", "transpose"), [("economic", True), ("knn", False)])
def test_what_does_not_converge_is_reported_as_a_value(name, transpose):
    """Also where it is the gradient's solve that fails."""
    W, rho, _, b = problem(name, 0.9)
    op = padded(W)
    short = filters.solve_info(op, rho, b, tolerance=1e-11, limit=3, transpose=transpose)
    assert not np.asarray(short.converged).any()
    assert np.isnan(short.value).all()
    assert int(short.iterations) == 3
    assert (np.asarray(short.residual) > 1e-6).all()
    for limit, finite in ((3, False), (1000, True)):
        assert (
            np.isfinite(
                filters.solve(op, rho, b, tolerance=1e-11, limit=limit, transpose=transpose)
            ).all()
            == finite
        )
        _, (by_rho, by_b) = value_and_gradients(padded(W, sort=True), rho, b, b, limit, transpose)
        assert np.isfinite(by_rho) == np.isfinite(by_b).all() == finite


@pytest.mark.parametrize("name", FEW)
def test_a_failed_column_leaves_the_others(name):
    """A column with an infinity fails, one of zeros is solved by zeros, the rest as if alone."""
    W, rho, S, b = problem(name, 0.5)
    b[:, 1] = 0
    b[4, 0] = np.inf
    found = filters.solve_info(padded(W), rho, b, tolerance=1e-11)
    assert np.asarray(found.converged).tolist() == [False, True, True]
    assert np.isnan(found.value[:, 0]).all()
    np.testing.assert_array_equal(found.value[:, 1], 0)
    np.testing.assert_allclose(found.value[:, 2], np.linalg.solve(S, b[:, 2]), rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", ["contiguity", "knn"])
def test_a_singular_filter_has_no_solution(name):
    """At rho = 1 the rows of S sum to zero: no x has S x = b for b outside its range."""
    W, _, _, b = problem(name, 0.5)
    found = filters.solve_info(padded(W), 1.0, b + 1, tolerance=1e-11, limit=200)
    assert not np.asarray(found.converged).any()
    assert np.isnan(found.value).all()
    assert int(found.iterations) <= 200


def test_a_tighter_tolerance_takes_more_iterations_and_leaves_less():
    W, rho, _, b = problem("economic", 0.95)
    op = padded(W)
    loose, tight = (
        filters.solve_info(op, rho, b, tolerance=tolerance) for tolerance in (1e-3, 1e-10)
    )
    assert int(loose.iterations) < int(tight.iterations)
    assert np.all(np.asarray(tight.residual) < 1e-10)
    assert np.all(np.asarray(loose.residual) < 1e-3)


@pytest.mark.parametrize("name", FEW)
def test_converged_says_that_the_residual_is_within_the_tolerance(name):
    """Whatever the iterations allowed: some of these stop just short of it."""
    W, rho, _, b = problem(name, 0.9)
    op, tolerance = padded(W), 1e-11
    found = [
        filters.solve_info(op, rho, b, tolerance=tolerance, limit=limit) for limit in range(8, 80)
    ]
    residual = np.stack([solution.residual for solution in found])
    assert ((residual > tolerance) & (residual < 100 * tolerance)).any()
    np.testing.assert_array_equal(
        np.stack([solution.converged for solution in found]), residual <= tolerance
    )
    np.testing.assert_array_equal(
        np.isnan(np.stack([solution.value[0] for solution in found])), residual > tolerance
    )


def test_iterations_follow_rho_and_not_the_number_of_units():
    """Chebyshev's bound, ln(2 / tolerance) / arccosh(1 / rho) for a spectrum in [-1, 1], and a few
    for the change of norm.
    """
    A = np.maximum(knn(1200, 6), knn(1200, 6).T)
    op = sparse_operator.build(sparse.csr_array(row_standardise(A)))
    found = filters.solve_info(op, 0.9, np.random.default_rng(0).normal(size=1200), tolerance=1e-8)
    assert int(found.iterations) <= np.log(2 / 1e-8) / np.arccosh(1 / 0.9) + 4


@pytest.mark.parametrize("share", [-0.9, 0.9])
@pytest.mark.parametrize("name", HOSTILE)
def test_host_solutions_are_the_dense_ones(name, share):
    W, rho, S, b = problem(name, share)
    found = factor.factorise(sparse.csr_array(W), rho)
    for solve, A in ((found.solve, S), (found.solve_transpose, S.T)):
        np.testing.assert_allclose(
            solve(b), np.linalg.solve(A, b), rtol=0, atol=error_bound(S, b, 0)
        )
        np.testing.assert_allclose(
            solve(b[:, 0]), np.linalg.solve(A, b)[:, 0], rtol=0, atol=error_bound(S, b, 0)
        )


@pytest.mark.parametrize("name", FEW)
def test_iterations_take_the_place_of_factors_that_do_not_fit(name, monkeypatch):
    W, rho, S, b = problem(name, 0.9)
    by_factors = filters.solve_on_host(sparse.csr_array(W), rho, b)
    monkeypatch.setattr(factor, "available_memory", lambda: 1e3)
    monkeypatch.setattr(factor, "factorise", lambda *_: pytest.fail("it factorised"))
    for one, expected in ((b, by_factors), (b[:, 0], by_factors[:, 0])):
        found = filters.solve_on_host(sparse.csr_array(W), rho, one)
        assert isinstance(found, np.ndarray)
        assert np.abs(found - expected).max() <= error_bound(S, b, 1e-10)


def test_what_neither_factors_nor_iterations_solve_is_refused(monkeypatch):
    W, _, _, b = problem("knn", 0.5)
    monkeypatch.setattr(factor, "available_memory", lambda: 1e3)
    with pytest.raises(ConvergenceError, match="take a rho further inside"):
        filters.solve_on_host(sparse.csr_array(W), 1.0, b)


def test_host_names_the_rho_at_which_the_filter_is_singular():
    pair = sparse.csr_array(np.array([[0, 1.0], [1.0, 0]]))
    with pytest.raises(
        WeightsError, match=r"singular at rho = 1: .* inside the admissible interval"
    ):
        factor.factorise(pair, 1.0)
