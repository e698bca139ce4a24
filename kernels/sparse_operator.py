"""W as an operator on the device: W x and W'x by gathers alone, forwards and backwards.

    (W x)_i = sum over slots s of values[s, i] x[columns[s, i]]

Slot-major ELL: as many slots as most rows have neighbours, and what longer rows have beyond in
pieces of their own. An unrolled loop over the slots becomes one fused pass over memory. Bell &
Garland (2009), "Implementing sparse matrix-vector multiplication on throughput-oriented
processors".
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
# slots unrolled at a time, and the longest piece of a long row: bounds what is compiled for a dense
# or a star-shaped W
BLOCK = 16
# links half of which are shorter than this many rows keep 16 right-hand sides in the cache: no
# sorting needed
NEAR = 4096
# largest max(d) / min(d) for which the D-inner product measures an error as well as the plain one
# does
SPREAD = 1e6


class Ell(NamedTuple):
    """`columns`, `values`: (slots, n); `rows`: (m,), ascending, with the pieces `more_columns`,
    `more_values`: (length, m) of long rows.
    """

    columns: jax.Array
    values: jax.Array
    rows: jax.Array
    more_columns: jax.Array
    more_values: jax.Array


class Operator(NamedTuple):
    """W on the device. Exactly one of `backward`, the slots of W', and `d`, (n,), with W' = D W
    D^-1, is there.

    `order`, `rank`: (n,), the rows of the slots in the caller's numbering and its inverse; None
    where the caller's order is kept.
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
    """The operator of W, (n, n), with values of `dtype`.

    `sort`: rows in reverse Cuthill-McKee order inside, by default where the caller's order is not
    local. `similar`: whether to use W' = D W D^-1 instead of slots of W', by default where W is
    similar to a symmetric matrix. Operators to be stacked need both given.

    >>> ring = sparse.csr_array(np.roll(np.eye(5), 1, axis=1))
    >>> apply(build(ring, np.float32), jnp.arange(5.0)).tolist()
    [1.0, 2.0, 3.0, 4.0, 0.0]
    """
    matrix = sparse.csr_array(matrix)
    order = (
        _order(matrix) if sort is None else csgraph.reverse_cuthill_mckee(matrix) if sort else None
    )
    d = None if similar is False else _balance(matrix)
    if order is not None:
        matrix, d = matrix[order][:, order], d if d is None else d[order]
    with jax.enable_x64(True):
        forward, backward = ell(matrix, dtype), ell(matrix.T.tocsr(), dtype) if d is None else None
        device_order, rank = (
            (None, None)
            if order is None
            else (jnp.asarray(p.astype(np.int32)) for p in (order, np.argsort(order)))
        )
        return Operator(
            forward,
            backward,
            None if d is None else jnp.asarray(d.astype(dtype)),
            device_order,
            rank,
        )


def _order(matrix: sparse.csr_array) -> np.ndarray | None:
    """Reverse Cuthill-McKee, None where half of the links are short as they are or no order makes
    them so.
    """
    links = matrix.tocoo()
    if links.nnz == 0 or (before := np.median(np.abs(links.row - links.col))) <= NEAR:
        return None
    order = csgraph.reverse_cuthill_mckee(matrix)
    rank = np.argsort(order)
    return order if 2 * np.median(np.abs(rank[links.row] - rank[links.col])) < before else None


def _balance(matrix: sparse.csr_array) -> np.ndarray | None:
    """d with W' = D W D^-1 and geometric mean 1 in every component; None where there is none or it
    spreads too far.
    """
    d = None if (matrix.data < 0).any() else spectrum.symmetrizer(matrix)
    if d is None:
        return None
    count, label = csgraph.connected_components(matrix, directed=False)
    log_d = np.log(d)
    log_d -= (np.bincount(label, log_d, count) / np.bincount(label, minlength=count))[label]
    return np.exp(log_d) if np.ptp(log_d) <= np.log(SPREAD) else None


def ell(matrix: sparse.csr_array, dtype: type) -> Ell:
    """The slots of a CSR matrix; an empty slot repeats a neighbour with weight zero."""
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
    some = np.arange(n)  # a neighbour of each row, islands their own
    some[row] = matrix.indices
    main = slot < width
    piece = (np.cumsum(pieces) - pieces)[row] + (slot - width) // length
    more = _slots(
        length,
        some[rows],
        (slot[~main] - width) % length,
        piece[~main],
        matrix.indices[~main],
        matrix.data[~main],
    )
    columns, values = _slots(
        width, some, slot[main], row[main], matrix.indices[main], matrix.data[main]
    )
    arrays = (columns, values.astype(dtype), rows.astype(np.int32), more[0], more[1].astype(dtype))
    return Ell(*map(jnp.asarray, arrays))


def _slots(
    width: int,
    some: np.ndarray,
    slot: np.ndarray,
    row: np.ndarray,
    column: np.ndarray,
    value: np.ndarray,
) -> tuple:
    """(columns, values), each (width, rows), with `some` column and weight zero where a slot is
    empty.
    """
    columns, values = np.tile(some.astype(np.int32), (width, 1)), np.zeros((width, len(some)))
    columns[slot, row], values[slot, row] = column, value
    return columns, values


def _take(x: jax.Array, rows: jax.Array) -> jax.Array:
    return x.at[rows].get(mode="promise_in_bounds", wrap_negative_indices=False)


def _beside(values: jax.Array, x: jax.Array) -> jax.Array:
    """(n,) values shaped to multiply the rows of x, (n,) or (n, p)."""
    return values.reshape(values.shape + (1,) * (x.ndim - 1))


def _gather(columns: jax.Array, values: jax.Array, x: jax.Array) -> jax.Array:
    """Sum over slots, BLOCK of them unrolled."""

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
    total = _gather(slots.columns, slots.values, x)
    if slots.rows.shape[0] == 0:
        return total
    more = _gather(slots.more_columns, slots.more_values, x)
    return total.at[slots.rows].add(more, indices_are_sorted=True, mode="promise_in_bounds")


@jax.jit
def subtract_lag(slots: Ell, rho: jax.Array, x: jax.Array) -> jax.Array:
    """x - rho W x in one pass, in the order of the slots: what an iteration repeats. Not to be
    differentiated.
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
    """function(x), not fused with what makes x: XLA would make it anew in every slot. `witness`:
    any array of indices.

    XLA drops `optimization_barrier` on the CPU before it fuses; a branch on data stays. At n = 10^6
    an unguarded product between two permutations took 17 times as long.
    """
    return lax.cond(witness.ravel()[0] >= 0, function, jnp.zeros_like, x)


def _linear(
    forward: Callable[[jax.Array], jax.Array],
    backward: Callable[[jax.Array], jax.Array],
    x: jax.Array,
) -> jax.Array:
    """forward(x), linear and square, with backward for its transpose; under jit, vmap, and
    derivatives of either mode and any order.

    A custom_linear_solve whose `solve` is all that is ever run: custom_vjp has no forward mode,
    linear_call no vmap.
    """
    return lax.custom_linear_solve(
        lambda y: y, x, lambda _, b: forward(b), lambda _, b: backward(b)
    )


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
    """The same operator on vectors that have entered: what an iteration uses between `enter` and
    `leave`.
    """
    return op._replace(order=None, rank=None)


@jax.jit
def apply(op: Operator, x: ArrayLike) -> jax.Array:
    """W x for x of shape (n,) or (n, p). W is data: derivatives are with respect to x."""
    return _both(op, x, False)


@jax.jit
def apply_transpose(op: Operator, x: ArrayLike) -> jax.Array:
    """W'x for x of shape (n,) or (n, p)."""
    return _both(op, x, True)


def _both(op: Operator, x: ArrayLike, transpose: bool) -> jax.Array:
    op = lax.stop_gradient(op)
    x = enter(op, jnp.asarray(x, jnp.result_type(x, op.forward.values)))
    ways = _backward if transpose else _forward, _forward if transpose else _backward
    return leave(op, _linear(partial(_guard, ways[0], op), partial(_guard, ways[1], op), x))


def _guard(
    way: Callable[[Operator, jax.Array], jax.Array], op: Operator, x: jax.Array
) -> jax.Array:
    return way(op, x) if op.order is None else keep_apart(lambda v: way(op, v), x, op.order)


def _forward(op: Operator, x: jax.Array) -> jax.Array:
    return _product(op.forward, x)


def _backward(op: Operator, x: jax.Array) -> jax.Array:
    """By D W D^-1 at 1.0 to 1.15 times the cost of slots of W', and half the memory."""
    if op.d is None:
        return _product(op.backward, x)
    d = _beside(op.d, x)
    return d * _product(op.forward, x / d)
