"""The spatial filter S = S(rho) = I - rho W and its inverse.

    y = S x,      x = S^-1 b,      and both with S'

On the device W is an `Operator`. S^-1 b is found by conjugate gradients where W is similar to a
symmetric matrix, by BiCGSTAB otherwise, and by conjugate gradients on S'S where BiCGSTAB fails. It
is differentiable: for x = S^-1 b with cotangent c and l = S^-T c, the cotangents of b and rho are l
and l'W x.

On the host triangular factors are used, as long as they fit into memory.
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

from spillover.kernels import factor
from spillover.kernels.errors import ConvergenceError, FactorMemoryError
from spillover.kernels.sparse_operator import (
    Operator,
    apply,
    apply_transpose,
    build,
    enter,
    inner,
    keep_apart,
    leave,
    subtract_lag,
    symmetrize,
)

# iterations at most; a tolerance of 1e-8 takes 13 at rho = 0.5, 35 at 0.9, 110 at 0.99, for any n
LIMIT = 2_000
Matvec = Callable[[jax.Array], jax.Array]
# (b, goal, limit) -> (x, iterations), |b - S x| <= goal |b|
Method = Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
# iterations, residuals, which of them are small enough
Report = tuple[jax.Array, jax.Array, jax.Array]


class Solution(NamedTuple):
    """S^-1 b and how good it is.

    Attributes
    ----------
    value : jax.Array
        In the shape of b; NaN in the columns that did not converge.
    iterations : jax.Array, shape ()
        The number of iterations, all methods together.
    residual : jax.Array
        |b - S x| / |b| of each column.
    converged : jax.Array of bool
        Whether the residual of each column is within the tolerance.
    """

    value: jax.Array
    iterations: jax.Array
    residual: jax.Array
    converged: jax.Array


@partial(jax.jit, static_argnames="transpose")
def multiply(op: Operator, rho: ArrayLike, x: ArrayLike, *, transpose: bool = False) -> jax.Array:
    """S x, or S'x, for x of shape (n,) or (n, p)."""
    lag: jax.Array = apply_transpose(op, x) if transpose else apply(op, x)
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
    solution: Solution = solve_info(
        op, rho, b, transpose=transpose, tolerance=tolerance, limit=limit, low=low
    )
    return solution.value


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
    """S^-1 b, or S^-T b, by iterations, with a report.

    Parameters
    ----------
    op : Operator
        W on the device; not differentiated.
    rho : array_like, shape ()
        The spatial parameter, differentiable.
    b : array_like, shape (n,) or (n, p)
        Right-hand sides, differentiable at the price of one solve with the transpose.
    transpose : bool
        Solve with S' in place of S.
    tolerance : array_like, optional
        |b - S x| <= tolerance |b| in every column; by default eps^(2/3) of the operator's
        precision.
    limit : array_like
        Iterations at most.
    low : type, optional
        Iterate in this precision, such as ``np.float32``, and refine by residuals in the
        operator's own.

    Returns
    -------
    Solution
        The value, and by column whether it can be trusted.

    Examples
    --------
    >>> pair = sparse.csr_array(np.array([[0.0, 1.0], [1.0, 0.0]]))
    >>> solve_info(build(pair, np.float32), 0.5, jnp.array([3.0, 0.0])).value.round(3).tolist()
    [4.0, 2.0]
    """
    b = jnp.asarray(b, jnp.result_type(b, op.forward.values))
    within, rho = inner(lax.stop_gradient(op)), jnp.asarray(rho, b.dtype)
    lowest = jnp.dtype(b.dtype if low is None else low)
    tolerance = jnp.asarray(
        np.finfo(b.dtype).eps ** (2 / 3) if tolerance is None else tolerance, b.dtype
    )

    def inverse(flip: bool) -> Callable[[Matvec, jax.Array], tuple[jax.Array, Report]]:
        methods = _methods(within, rho, flip, lowest)
        return lambda matvec, v: _refine(
            matvec, methods, v, tolerance, limit=jnp.asarray(limit), low=lowest
        )

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
    """The iterative methods in `dtype`, each for where the one before it fails.

    Where W' = D W D^-1, S x = b is the symmetric system

        (D^1/2 S D^-1/2) (D^1/2 x) = D^1/2 b

    and S'x = b is the same with D^-1 in place of D.
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


class _Progress(NamedTuple):
    """Where a refinement stands.

    x, the residual `left` of b, its relative size by column, the iterations so far, and the number
    of the current method.
    """

    x: jax.Array
    left: jax.Array
    size: jax.Array
    iterations: jax.Array
    which: jax.Array


def _refine(
    matvec: Matvec,
    methods: tuple[Method, ...],
    b: jax.Array,
    tolerance: jax.Array,
    *,
    limit: jax.Array,
    low: jnp.dtype,
) -> tuple[jax.Array, Report]:
    """Solve for the true residual, in the precision `low`, again and again.

    It ends when the residual is small in every column or the last method no longer reduces any.
    Returns x and the report on it.
    """
    finest = 8 * np.finfo(low).eps
    branches = [partial(_take_turn, method, index) for index, method in enumerate(methods)]
    norm = _positive(_norm(b))

    def goes_on(now: _Progress) -> jax.Array:
        return jnp.any(now.size > tolerance) & (now.which < len(methods)) & (now.iterations < limit)

    def again(now: _Progress) -> _Progress:
        scale = _positive(now.size) * norm
        goal = jnp.maximum(0.5 * tolerance / _positive(now.size), finest)
        goal = jnp.where(now.size > tolerance, goal, jnp.inf)
        rest = limit - now.iterations
        budget = jnp.where(now.which < len(methods) - 1, (rest + 1) // 2, rest)
        step, more = lax.switch(
            now.which,
            branches,
            *((now.left / scale).astype(low), goal.astype(low), budget, now.which),
        )
        trial = now.x + scale * step.astype(now.x.dtype)
        left = b - matvec(trial)
        size = _norm(left) / norm
        better = size < now.size
        return _Progress(
            jnp.where(better, trial, now.x),
            jnp.where(better, left, now.left),
            jnp.where(better, size, now.size),
            now.iterations + more,
            now.which + ~jnp.any(size < 0.5 * now.size),
        )

    start = _Progress(
        jnp.zeros_like(b), b, _norm(b) / norm, jnp.zeros_like(limit), jnp.zeros((), int)
    )
    end = lax.while_loop(goes_on, again, start)
    converged = end.size <= tolerance
    return jnp.where(converged, end.x, jnp.nan), (end.iterations, end.size, converged)


def _take_turn(
    method: Method, index: int, b: jax.Array, goal: jax.Array, limit: jax.Array, which: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Run the method, with no iterations out of its turn: under vmap every branch runs."""
    return method(b, goal, jnp.where(which == index, limit, 0))


def _norm(x: jax.Array) -> jax.Array:
    return jnp.sqrt(_square(x))


def _positive(size: jax.Array) -> jax.Array:
    """Sizes to divide by: 1 where they are zero."""
    return jnp.where(size > 0, size, 1)


def _dot(u: jax.Array, v: jax.Array) -> jax.Array:
    """u'v column by column: (1, p)."""
    return jnp.sum(u * v, axis=0, keepdims=True)


def _square(x: jax.Array) -> jax.Array:
    return _dot(x, x)


class _Descent(NamedTuple):
    """Where conjugate gradients stand.

    x, its residual, the direction, the inner product that sets the lengths of the steps, the
    squared residual, and the iterations so far.
    """

    x: jax.Array
    residual: jax.Array
    direction: jax.Array
    steering: jax.Array
    square: jax.Array
    iterations: jax.Array


def _begin(
    b: jax.Array, *, direction: jax.Array, steering: jax.Array, square: jax.Array, limit: jax.Array
) -> _Descent:
    """From x = 0, where b is the residual."""
    return _Descent(
        x=jnp.zeros_like(b),
        residual=b,
        direction=direction,
        steering=steering,
        square=square,
        iterations=jnp.zeros_like(limit),
    )


def _cg(
    matvec: Matvec, root: jax.Array, b: jax.Array, goal: jax.Array, limit: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Conjugate gradients on the unknown `root` x, every column with steps of its own.

    Hestenes & Stiefel (1952).
    """
    b = root * b
    start = _square(b)
    stop = goal**2 * start

    def goes_on(now: _Descent) -> jax.Array:
        return jnp.any(now.square > stop) & (now.iterations < limit)

    def step(now: _Descent) -> _Descent:
        active = now.square > stop
        q = matvec(now.direction)
        alpha = jnp.where(active, now.square / _dot(now.direction, q), 0)
        x, residual = now.x + alpha * now.direction, now.residual - alpha * q
        square = _square(residual)
        beta = jnp.where(active, square / now.square, 0)
        direction = residual + beta * now.direction
        return now._replace(
            x=x,
            residual=residual,
            direction=direction,
            steering=square,
            square=square,
            iterations=now.iterations + 1,
        )

    first = _begin(b, direction=b, steering=start, square=start, limit=limit)
    end = lax.while_loop(goes_on, step, first)
    return end.x / root, end.iterations


def _bicgstab(
    matvec: Matvec, witness: jax.Array, b: jax.Array, goal: jax.Array, limit: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """BiCGSTAB, every column with steps of its own; one that breaks down stands still.

    Van der Vorst (1992).
    """

    def over(u: jax.Array, v: jax.Array, square: jax.Array) -> jax.Array:
        ratio = u / v
        return jnp.where((square > stop) & jnp.isfinite(ratio), ratio, 0)

    start = _dot(b, b)
    stop = goal**2 * start

    def goes_on(now: _Descent) -> jax.Array:
        return jnp.any((now.square > stop) & (now.steering != 0)) & (now.iterations < limit)

    def step(now: _Descent) -> _Descent:
        v = matvec(now.direction)
        alpha = over(now.steering, _dot(b, v), now.square)
        s = now.residual - alpha * v
        t = keep_apart(matvec, s, witness)
        omega = over(_dot(t, s), _dot(t, t), now.square)
        x, residual = now.x + alpha * now.direction + omega * s, s - omega * t
        steering, square = _dot(b, residual), _dot(residual, residual)
        beta = over(steering * alpha, now.steering * omega, now.square)
        direction = residual + beta * (now.direction - omega * v)
        return now._replace(
            x=x,
            residual=residual,
            direction=direction,
            steering=steering,
            square=square,
            iterations=now.iterations + 1,
        )

    first = _begin(b, direction=b, steering=start, square=start, limit=limit)
    end = lax.while_loop(goes_on, step, first)
    return end.x, end.iterations


def _cg_normal(
    matvec: Matvec,
    transposed: Matvec,
    witness: jax.Array,
    b: jax.Array,
    goal: jax.Array,
    limit: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Conjugate gradients on S'S x = S'b: slow, but the residual falls for any eigenvalues.

    Hestenes & Stiefel (1952), 10.
    """
    stop = goal**2 * _square(b)

    def goes_on(now: _Descent) -> jax.Array:
        return jnp.any((now.square > stop) & (now.steering > 0)) & (now.iterations < limit)

    def step(now: _Descent) -> _Descent:
        active = (now.square > stop) & (now.steering > 0)
        q = matvec(now.direction)
        alpha = jnp.where(active, now.steering / _square(q), 0)
        x, residual = now.x + alpha * now.direction, now.residual - alpha * q
        z = keep_apart(transposed, residual, witness)
        steering = _square(z)
        direction = z + jnp.where(active, steering / now.steering, 0) * now.direction
        return now._replace(
            x=x,
            residual=residual,
            direction=direction,
            steering=steering,
            square=_square(residual),
            iterations=now.iterations + 1,
        )

    z = transposed(b)
    first = _begin(b, direction=z, steering=_square(z), square=_square(b), limit=limit)
    end = lax.while_loop(goes_on, step, first)
    return end.x, end.iterations


def solve_on_host(matrix: sparse.csr_array, rho: float, b: np.ndarray) -> np.ndarray:
    """S^-1 b for NumPy arrays.

    By triangular factors, or by iterations on the device where these are unlikely to fit into
    memory.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (n, n)
        W.
    rho : float
        The spatial parameter, inside the admissible interval.
    b : numpy.ndarray, shape (n,) or (n, p)
        Right-hand sides.

    Returns
    -------
    numpy.ndarray
        In the shape of b. Iterations leave a residual of at most 4e-11 of each column of b.

    Raises
    ------
    WeightsError
        Where S is singular.
    ConvergenceError
        Where neither the factors fit into memory nor the iterations converge.

    Examples
    --------
    >>> pair = sparse.csr_array(np.array([[0.0, 1.0], [1.0, 0.0]]))
    >>> solve_on_host(pair, 0.5, np.array([3.0, 0.0])).round(12).tolist()
    [4.0, 2.0]
    """
    matrix = sparse.csr_array(matrix)
    try:
        factor.refuse_large(matrix.nnz, matrix.shape[0])
        return factor.factorise(matrix, rho).solve(b)
    except FactorMemoryError as error:
        with jax.enable_x64(True):
            solution = solve_info(build(matrix), rho, b)
            value, converged = np.asarray(solution.value), np.asarray(solution.converged)
        if not converged.all():
            raise ConvergenceError(
                f"(I - rho W)^-1 at rho = {rho:.6g} was not found in {LIMIT:,} iterations, and"
                " triangular factors do not fit into memory: take a rho further inside the"
                " admissible interval, or a W with fewer neighbours."
            ) from error
        return value
