"""W as an operator on the device: W x, W'x and their derivatives by gathers alone.

    (W x)_i = sum over slots s of values[s, i] x[columns[s, i]]

The format is slot-major ELL: every row has as many slots as most rows have neighbours, and the
further neighbours of long rows are kept in separate pieces. An unrolled loop over the slots becomes
one fused pass over memory: docs/numerics.md 5; Bell & Garland (2009).
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sparse
import scipy.sparse.csgraph as csgraph
from jax import lax
from jax.typing import ArrayLike

from spillover.kernels import spectrum

SHARE = 95  # per cent of the rows that fit into the slots; 75 to 99 measured the same
# slots unrolled at a time, and the longest piece of a long row; bounds what is compiled for a dense
# or a star-shaped W
BLOCK = 16
# where half of the links are shorter than this many rows, 16 right-hand sides stay in the cache and
# the rows need no sorting
NEAR = 4096
# largest max(d) / min(d) for which an error in the D-inner product means about the same as in the
# plain one
SPREAD = 1e6


class Ell(NamedTuple):
    """A sparse matrix of n rows, by slots.

    Attributes
    ----------
    columns, values : jax.Array, shape (slots, n)
        The neighbours of each row and their weights; an empty slot repeats a neighbour with weight
        zero.
    rows : jax.Array of int32, shape (m,)
        The row of each piece of a long row, ascending.
    more_columns, more_values : jax.Array, shape (length, m)
        The pieces.
    """

    columns: jax.Array
    values: jax.Array
    rows: jax.Array
    more_columns: jax.Array
    more_values: jax.Array


class Operator(NamedTuple):
    """W on the device.

    Attributes
    ----------
    forward : Ell
        The slots of W.
    backward : Ell or None
        The slots of W'; None where `d` replaces them.
    d : jax.Array or None, shape (n,)
        The diagonal of D in W' = D W D^-1; None where there are slots of W'.
    order, rank : jax.Array of int32 or None, shape (n,)
        The caller's number of each row of the slots, and the inverse; None where the caller's order
        is kept.
    """

    forward: Ell
    backward: Ell | None
    d: jax.Array | None
    order: jax.Array | None
    rank: jax.Array | None


def build(
    matrix: sparse.csr_array,
    dtype: type = np.float64,
    *,
    sort: bool | None = None,
    similar: bool | None = None,
) -> Operator:
    """Put W on the device.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (n, n)
        W.
    dtype : type
        Type of the values.
    sort : bool, optional
        Keep the rows in reverse Cuthill-McKee order internally; by default where the caller's order
        is not local.
    similar : bool, optional
        Use W' = D W D^-1 in place of slots of W'; by default where W is similar to a symmetric
        matrix.

    Returns
    -------
    Operator
        For `apply` and `apply_transpose`. Operators to be stacked need `sort` and `similar` given.

    Examples
    --------
    >>> ring = sparse.csr_array(np.roll(np.eye(5), 1, axis=1))
    >>> apply(build(ring, np.float32), jnp.arange(5.0)).tolist()
    [1.0, 2.0, 3.0, 4.0, 0.0]
    """
    matrix = sparse.csr_array(matrix)
    order = _order(matrix) if sort is None else None
    if sort:
        order = csgraph.reverse_cuthill_mckee(matrix)
    d = None if similar is False else _balance(matrix)
    if order is not None:
        matrix, d = matrix[order][:, order], d if d is None else d[order]
    with jax.enable_x64(True):
        return Operator(
            forward=ell(matrix, dtype),
            backward=ell(matrix.T.tocsr(), dtype) if d is None else None,
            d=None if d is None else jnp.asarray(d.astype(dtype)),
            order=None if order is None else jnp.asarray(order.astype(np.int32)),
            rank=None if order is None else jnp.asarray(np.argsort(order).astype(np.int32)),
        )


def _order(matrix: sparse.csr_array) -> np.ndarray | None:
    """The reverse Cuthill-McKee order.

    None where half of the links are short already, or where the order does not halve their length.
    """
    links = matrix.tocoo()
    if links.nnz == 0 or (before := np.median(np.abs(links.row - links.col))) <= NEAR:
        return None
    order = csgraph.reverse_cuthill_mckee(matrix)
    rank = np.argsort(order)
    return order if 2 * np.median(np.abs(rank[links.row] - rank[links.col])) < before else None


def _balance(matrix: sparse.csr_array) -> np.ndarray | None:
    """d with W' = D W D^-1 and geometric mean 1 in every component.

    None where there is none, or where its values spread too far.
    """
    d = None if (matrix.data < 0).any() else spectrum.symmetrizer(matrix)
    if d is None:
        return None
    count, label = csgraph.connected_components(matrix, directed=False)
    log_d = np.log(d)
    log_d -= (np.bincount(label, log_d, count) / np.bincount(label, minlength=count))[label]
    balance: np.ndarray = np.exp(log_d)
    return balance if np.ptp(log_d) <= np.log(SPREAD) else None


def ell(matrix: sparse.csr_array, dtype: type) -> Ell:
    """Lay a sparse matrix out in slots.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (n, n)
        The matrix; its indices are sorted in place.
    dtype : type
        Type of the values.

    Returns
    -------
    Ell
        The slots on the device.
    """
    matrix.sort_indices()
    n, degree = matrix.shape[0], np.diff(matrix.indptr)
    width = max(int(np.percentile(degree, SHARE, method="higher")), 1)
    width = width if width <= BLOCK else -(-width // BLOCK) * BLOCK
    row = np.repeat(np.arange(n), degree)
    slot = np.arange(matrix.nnz) - matrix.indptr[row]
    over = np.maximum(degree - width, 0)
    length = max(min(int(over.max()), BLOCK), 1)
    pieces = -(-over // length)
    rows = np.repeat(np.arange(n), pieces)
    some = np.arange(n)  # a neighbour of each row; an island is its own
    some[row] = matrix.indices
    main = slot < width
    piece = (np.cumsum(pieces) - pieces)[row] + (slot - width) // length
    places = slot[main], row[main]
    columns, values = _fill(places, matrix.indices[main], matrix.data[main], some, width)
    places = (slot[~main] - width) % length, piece[~main]
    more_columns, more_values = _fill(
        places, matrix.indices[~main], matrix.data[~main], some[rows], length
    )
    return Ell(
        columns=jnp.asarray(columns),
        values=jnp.asarray(values.astype(dtype)),
        rows=jnp.asarray(rows.astype(np.int32)),
        more_columns=jnp.asarray(more_columns),
        more_values=jnp.asarray(more_values.astype(dtype)),
    )


def _fill(
    places: tuple[np.ndarray, np.ndarray],
    column: np.ndarray,
    value: np.ndarray,
    some: np.ndarray,
    width: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Columns and values, (width, rows), of links at given places (slot, row).

    The other places hold the column in `some`, (rows,), and weight zero.
    """
    columns, values = np.tile(some.astype(np.int32), (width, 1)), np.zeros((width, len(some)))
    columns[places], values[places] = column, value
    return columns, values


def _take(x: jax.Array, rows: jax.Array) -> jax.Array:
    """Rows of x by positions known to be valid, so that no check is compiled."""
    return x.at[rows].get(mode="promise_in_bounds", wrap_negative_indices=False)


def _beside(values: jax.Array, x: jax.Array) -> jax.Array:
    """(n,) values shaped to multiply the rows of x, (n,) or (n, p)."""
    return values.reshape(values.shape + (1,) * (x.ndim - 1))


def _gather(columns: jax.Array, values: jax.Array, x: jax.Array) -> jax.Array:
    """The sum over slots, BLOCK of them unrolled at a time."""

    def add(total: jax.Array, block: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        for slot_columns, slot_values in zip(*block, strict=True):
            total = total + _beside(slot_values, x) * _take(x, slot_columns)
        return total, None

    width, n = columns.shape
    total = jnp.zeros((n, *x.shape[1:]), jnp.result_type(values, x))
    if width <= BLOCK:
        return add(total, (columns, values))[0]
    return lax.scan(add, total, (columns.reshape(-1, BLOCK, n), values.reshape(-1, BLOCK, n)))[0]


@jax.jit  # traced once, however often a program uses it
def _product(slots: Ell, x: jax.Array) -> jax.Array:
    """The product of a matrix with x, (n,) or (n, p)."""
    total = _gather(slots.columns, slots.values, x)
    if slots.rows.shape[0] == 0:
        return total
    more = _gather(slots.more_columns, slots.more_values, x)
    return total.at[slots.rows].add(more, indices_are_sorted=True, mode="promise_in_bounds")


@jax.jit
def subtract_lag(slots: Ell, rho: jax.Array, x: jax.Array) -> jax.Array:
    """x - rho W x in one pass, rows in the order of the slots, for the solvers' iterations.

    Not to be differentiated: a derivative would scatter.
    """
    total = x - rho * _gather(slots.columns, slots.values, x)
    if slots.rows.shape[0] == 0:
        return total
    more = _gather(slots.more_columns, slots.more_values, x)
    return total.at[slots.rows].add(-rho * more, indices_are_sorted=True, mode="promise_in_bounds")


def symmetrize(op: Operator) -> Ell:
    """The slots of D^1/2 W D^-1/2, for an operator with `d`."""
    slots, root = op.forward, jnp.sqrt(jnp.asarray(op.d))
    values = slots.values * root[None] / _take(root, slots.columns)
    more = slots.more_values * _take(root, slots.rows)[None] / _take(root, slots.more_columns)
    return slots._replace(values=values, more_values=more)


def keep_apart(
    function: Callable[[jax.Array], jax.Array], x: jax.Array, witness: jax.Array
) -> jax.Array:
    """function(x), not fused with the computation of x.

    Without this XLA would compute x anew in every slot: at n = 10^6 a product between two
    permutations took 17 times as long. XLA drops `optimization_barrier` on the CPU before it fuses,
    but keeps a branch on data. `witness`: any array of indices, which are never negative.
    """
    value: jax.Array = lax.cond(witness.ravel()[0] >= 0, function, jnp.zeros_like, x)
    return value


def _linear(
    forward: Callable[[jax.Array], jax.Array],
    backward: Callable[[jax.Array], jax.Array],
    x: jax.Array,
) -> jax.Array:
    """forward(x), linear and square, with `backward` for its transpose.

    It works under jit, vmap and derivatives of either mode and any order, unlike custom_vjp (no
    forward mode) and linear_call (no vmap). custom_linear_solve allows all of these; only its
    `solve` ever runs.
    """
    value: jax.Array = lax.custom_linear_solve(
        lambda y: y, x, lambda _, b: forward(b), lambda _, b: backward(b)
    )
    return value


def enter(op: Operator, x: jax.Array) -> jax.Array:
    """Rows of x from the caller's order into the operator's."""
    if op.order is None or op.rank is None:
        return x
    order, rank = op.order, op.rank
    return _linear(lambda v: _take(v, order), lambda v: _take(v, rank), x)


def leave(op: Operator, x: jax.Array) -> jax.Array:
    """Rows of x from the operator's order back into the caller's."""
    return enter(op._replace(order=op.rank, rank=op.order), x)


def inner(op: Operator) -> Operator:
    """The same operator for vectors in its own order.

    This is what an iteration uses between `enter` and `leave`.
    """
    return op._replace(order=None, rank=None)


@jax.jit
def apply(op: Operator, x: ArrayLike) -> jax.Array:
    """W x for x of shape (n,) or (n, p). W is data: only x is differentiated."""
    return _both(op, x, False)


@jax.jit
def apply_transpose(op: Operator, x: ArrayLike) -> jax.Array:
    """W'x for x of shape (n,) or (n, p)."""
    return _both(op, x, True)


def _both(op: Operator, x: ArrayLike, transpose: bool) -> jax.Array:
    """W x or W'x, each the other's transpose."""
    op = lax.stop_gradient(op)
    x = enter(op, jnp.asarray(x, jnp.result_type(x, op.forward.values)))
    one, other = (_backward, _forward) if transpose else (_forward, _backward)
    return leave(op, _linear(partial(_guard, one, op), partial(_guard, other, op), x))


def _guard(
    way: Callable[[Operator, jax.Array], jax.Array], op: Operator, x: jax.Array
) -> jax.Array:
    """One way through the operator, kept apart from the permutation before it."""
    return way(op, x) if op.order is None else keep_apart(lambda v: way(op, v), x, op.order)


def _forward(op: Operator, x: jax.Array) -> jax.Array:
    """W x."""
    value: jax.Array = _product(op.forward, x)
    return value


def _backward(op: Operator, x: jax.Array) -> jax.Array:
    """W'x.

    With D W D^-1 it takes 1.0 to 1.15 times as long as with slots of W', in half the memory.
    """
    value: jax.Array
    if op.d is None:
        value = _product(op.backward, x)
    else:
        d = _beside(op.d, x)
        value = d * _product(op.forward, x / d)
    return value
