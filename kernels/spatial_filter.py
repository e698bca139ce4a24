"""The spatial filter S(rho) = I - rho W and its inverse, S for short, on the device and on the
host.

    y = S x,      x = S^-1 b,      and with S';      for x = S^-1 b and a cotangent c of x:    d b =
    l,   d rho = l'W x,   l = S^-T c

On the device W goes in as an `Operator` and S^-1 by conjugate gradients where W is similar to a
symmetric matrix, by BiCGSTAB otherwise, and by conjugate gradients on S'S where that fails. On the
host a sparse factorisation (`factor`) serves many solves at one rho.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sparse
from jax import lax
from jax.typing import ArrayLike

from spillover.kernels.factor import Factor
from spillover.kernels.sparse_operator import (
    Operator,
    apply,
    apply_transpose,
    enter,
    inner,
    keep_apart,
    leave,
    subtract_lag,
    symmetrize,
)

LIMIT = (
    2_000  # iterations; tolerance 1e-8 takes 13 at rho = 0.5, 35 at 0.9, 110 at 0.99 whatever n is
)
Matvec = Callable[[jax.Array], jax.Array]
# (b, goal, limit) -> (x, iterations), |b - S x| <= goal |b|
Method = Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]


class Solution(NamedTuple):
    """`value`: as b, NaN in the columns that failed; `iterations` in all; by column the `residual`
    |b - S x| / |b|, and `converged`.
    """

    value: jax.Array
    iterations: jax.Array
    residual: jax.Array
    converged: jax.Array


@partial(jax.jit, static_argnames="transpose")
def multiply(op: Operator, rho: ArrayLike, x: ArrayLike, *, transpose: bool = False) -> jax.Array:
    """S x, or S'x, for x of shape (n,) or (n, p)."""
    lag = apply_transpose(op, x) if transpose else apply(op, x)
    return jnp.asarray(x) - jnp.asarray(rho, lag.dtype) * lag


def solve(
    op: Operator,
    rho: ArrayLike,
    b: ArrayLike,
    *,
    transpose: bool = False,
    tolerance: ArrayLike | None = None,
    limit: ArrayLike = LIMIT,
    low: type | None = None,
) -> jax.Array:
    """S^-1 b, or S^-T b: the `value` of `solve_info`."""
    return solve_info(
        op, rho, b, transpose=transpose, tolerance=tolerance, limit=limit, low=low
    ).value


@partial(jax.jit, static_argnames=("transpose", "low"))
def solve_info(
    op: Operator,
    rho: ArrayLike,
    b: ArrayLike,
    *,
    transpose: bool = False,
    tolerance: ArrayLike | None = None,
    limit: ArrayLike = LIMIT,
    low: type | None = None,
) -> Solution:
    """S^-1 b, or S^-T b, with |b - S x| <= tolerance |b| in every column of b, (n,) or (n, p),
    within `limit` iterations.

    `tolerance`: by default eps^(2/3) of the operator's precision. `low`: iterate in this precision,
    such as float32, and refine by residuals in the operator's. Differentiable in rho and b, at the
    price of one solve with the transpose.

    >>> from spillover.kernels import operator
    >>> pair = sparse.csr_array(np.array([[0.0, 1.0], [1.0, 0.0]]))
    >>> solve(operator.build(pair, np.float32), 0.5, jnp.array([3.0, 0.0])).round(3).tolist()
    [4.0, 2.0]
    """
    b = jnp.asarray(b, jnp.result_type(b, op.forward.values))
    within, rho = inner(lax.stop_gradient(op)), jnp.asarray(rho, b.dtype)
    lowest = jnp.dtype(b.dtype if low is None else low)
    tolerance = jnp.asarray(
        jnp.finfo(b.dtype).eps ** (2 / 3) if tolerance is None else tolerance, b.dtype
    )

    def inverse(flip: bool) -> Callable[[Matvec, jax.Array], tuple[jax.Array, tuple]]:
        methods = _methods(within, rho, flip, lowest)
        return lambda matvec, v: _refine(matvec, methods, v, tolerance, jnp.asarray(limit), lowest)

    value, (iterations, residual, converged) = lax.custom_linear_solve(
        lambda x: multiply(within, rho, x, transpose=transpose),
        enter(op, b).reshape(b.shape[0], -1),
        inverse(transpose),
        inverse(not transpose),
        has_aux=True,
    )
    return Solution(
        leave(op, value.reshape(b.shape)),
        iterations,
        residual.reshape(b.shape[1:]),
        converged.reshape(b.shape[1:]),
    )


def _methods(op: Operator, rho: jax.Array, transpose: bool, dtype: jnp.dtype) -> tuple[Method, ...]:
    """Iterations in `dtype`, the next for where the one before fails.

    With W' = D W D^-1, S x = b is (D^1/2 S D^-1/2) (D^1/2 x) = D^1/2 b, symmetric, and S' x = b the
    same with D^-1.
    """
    op = jax.tree.map(
        lambda leaf: leaf.astype(dtype) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, op
    )
    rho = rho.astype(dtype)
    if op.d is not None:
        root = jnp.sqrt(1 / op.d if transpose else op.d)[:, None]
        return (partial(_cg, partial(subtract_lag, symmetrize(op), rho), root),)
    slots = (op.backward, op.forward) if transpose else (op.forward, op.backward)
    one, other = (partial(subtract_lag, way, rho) for way in slots)
    witness = op.forward.columns
    return partial(_bicgstab, one, witness), partial(_cg_normal, one, other, witness)


def _refine(
    matvec: Matvec,
    methods: tuple[Method, ...],
    b: jax.Array,
    tolerance: jax.Array,
    limit: jax.Array,
    low: jnp.dtype,
) -> tuple[jax.Array, tuple]:
    """Solve, in `low`, for what the true residual leaves until it is small in every column or the
    last method helps none.

    Returns x and the report on it: iterations, residuals, which of them are small enough.
    """
    finest = 8 * jnp.finfo(low).eps
    branches = [partial(_in_turn, method, index) for index, method in enumerate(methods)]
    norm = _positive(_norm(b))

    def unfinished(state: tuple) -> jax.Array:
        _, _, size, count, which = state
        return jnp.any(size > tolerance) & (which < len(methods)) & (count < limit)

    def again(state: tuple) -> tuple:
        x, left, size, count, which = state
        scale = _positive(size) * norm
        goal = jnp.where(
            size > tolerance, jnp.maximum(0.5 * tolerance / _positive(size), finest), jnp.inf
        )
        budget = jnp.where(which < len(methods) - 1, (limit - count + 1) // 2, limit - count)
        step, more = lax.switch(
            which, branches, (left / scale).astype(low), goal.astype(low), budget, which
        )
        trial = x + scale * step.astype(x.dtype)
        left_then = b - matvec(trial)
        size_then = _norm(left_then) / norm
        better = size_then < size
        which = which + ~jnp.any(size_then < 0.5 * size)
        return (
            jnp.where(better, trial, x),
            jnp.where(better, left_then, left),
            jnp.where(better, size_then, size),
            count + more,
            which,
        )

    start = (jnp.zeros_like(b), b, _norm(b) / norm, jnp.zeros_like(limit), jnp.zeros((), int))
    x, _, size, count, _ = lax.while_loop(unfinished, again, start)
    converged = size <= tolerance
    return jnp.where(converged, x, jnp.nan), (count, size, converged)


def _in_turn(
    method: Method, index: int, b: jax.Array, goal: jax.Array, limit: jax.Array, which: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The method, idle when it is another's turn: under vmap every branch runs."""
    return method(b, goal, jnp.where(which == index, limit, 0))


def _norm(x: jax.Array) -> jax.Array:
    return jnp.sqrt(_square(x))


def _positive(size: jax.Array) -> jax.Array:
    """Sizes to divide by: 1 where there is none."""
    return jnp.where(size > 0, size, 1)


def _dot(u: jax.Array, v: jax.Array) -> jax.Array:
    """u'v column by column: (1, p)."""
    return jnp.sum(u * v, axis=0, keepdims=True)


def _square(x: jax.Array) -> jax.Array:
    return _dot(x, x)


def _cg(
    matvec: Matvec, root: jax.Array, b: jax.Array, goal: jax.Array, limit: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Conjugate gradients on the unknown `root` x, every column with steps of its own. Hestenes &
    Stiefel (1952).
    """
    b = root * b
    start = _square(b)
    stop = goal**2 * start

    def unfinished(state: tuple) -> jax.Array:
        return jnp.any(state[3] > stop) & (state[4] < limit)

    def step(state: tuple) -> tuple:
        x, r, p, rr, count = state
        q = matvec(p)
        alpha = jnp.where(rr > stop, rr / _dot(p, q), 0)
        x, r = x + alpha * p, r - alpha * q
        rr_then = _square(r)
        beta = jnp.where(rr > stop, rr_then / rr, 0)
        return x, r, r + beta * p, rr_then, count + 1

    x, _, _, _, count = lax.while_loop(
        unfinished, step, (jnp.zeros_like(b), b, b, start, jnp.zeros_like(limit))
    )
    return x / root, count


def _bicgstab(
    matvec: Matvec, witness: jax.Array, b: jax.Array, goal: jax.Array, limit: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """BiCGSTAB, every column with steps of its own; one that breaks down stands still. van der
    Vorst (1992).
    """

    def over(u: jax.Array, v: jax.Array, rr: jax.Array) -> jax.Array:
        ratio = u / v
        return jnp.where((rr > stop) & jnp.isfinite(ratio), ratio, 0)

    start = _dot(b, b)
    stop = goal**2 * start

    def unfinished(state: tuple) -> jax.Array:
        _, _, _, br, rr, count = state
        return jnp.any((rr > stop) & (br != 0)) & (count < limit)

    def step(state: tuple) -> tuple:
        x, r, p, br, rr, count = state
        v = matvec(p)
        alpha = over(br, _dot(b, v), rr)
        s = r - alpha * v
        t = keep_apart(matvec, s, witness)
        omega = over(_dot(t, s), _dot(t, t), rr)
        x, r = x + alpha * p + omega * s, s - omega * t
        br_then, rr_then = _dot(b, r), _dot(r, r)
        beta = over(br_then * alpha, br * omega, rr)
        return x, r, r + beta * (p - omega * v), br_then, rr_then, count + 1

    x, *_, count = lax.while_loop(
        unfinished, step, (jnp.zeros_like(b), b, b, start, start, jnp.zeros_like(limit))
    )
    return x, count


def _cg_normal(
    matvec: Matvec,
    transposed: Matvec,
    witness: jax.Array,
    b: jax.Array,
    goal: jax.Array,
    limit: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Conjugate gradients on S'S x = S'b: slow, but the residual falls whatever the eigenvalues
    are. Hestenes & Stiefel (1952), 10.
    """

    stop = goal**2 * _square(b)

    def unfinished(state: tuple) -> jax.Array:
        return jnp.any((state[4] > stop) & (state[3] > 0)) & (state[5] < limit)

    def step(state: tuple) -> tuple:
        x, r, p, zz, rr, count = state
        active = (rr > stop) & (zz > 0)
        q = matvec(p)
        alpha = jnp.where(active, zz / _square(q), 0)
        x, r = x + alpha * p, r - alpha * q
        z = keep_apart(transposed, r, witness)
        zz_then = _square(z)
        return x, r, z + jnp.where(active, zz_then / zz, 0) * p, zz_then, _square(r), count + 1

    z = transposed(b)
    x, *_, count = lax.while_loop(
        unfinished, step, (jnp.zeros_like(b), b, z, _square(z), _square(b), jnp.zeros_like(limit))
    )
    return x, count


def host_pullback(
    matrix: sparse.csr_array,
    factor: Factor,
    value: np.ndarray,
    cotangent: np.ndarray,
    *,
    transpose: bool = False,
) -> tuple[float, np.ndarray]:
    """(d rho, d b) of `value` = S^-1 b, or S^-T b, by a `factor` of S, for a `cotangent` of the
    same shape: one more solve.
    """
    adjoint = factor.solve(cotangent) if transpose else factor.solve_transpose(cotangent)
    lag = (matrix.T if transpose else matrix) @ value
    return float(np.sum(adjoint * lag)), adjoint
