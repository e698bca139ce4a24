"""The lag basis of a spatial model and its R factor: all that a Gaussian likelihood needs of the
data.

    S_lam [ S(rho) y - D b ] = e     is linear in     Z = [ D, M D, y, W y, M y, M W y ],     e = Z
    v(rho, lam, b),     e'e = |R v|^2,

with D the regressors (lags of X included), W the weights of the lag, M those of the error, Z = Q R.
R keeps the accuracy that Z'Z loses.
"""

from typing import NamedTuple

import jax
import numpy as np
import scipy.linalg
import scipy.sparse as sparse

from spillover.kernels.arrays import leaf

ROWS = (
    8192  # rows made and factored at a time: the block of Z stays in the cache, the memory bounded
)
PANEL = 32  # columns that LAPACK factors at a time


class Moments(NamedTuple):
    """The columns of R by their part in the model: `d`, `md`: (q, k); `y`, `wy`, `my`, `mwy`: (q,).
    None where the model lacks it.
    """

    d: jax.Array
    md: jax.Array | None
    y: jax.Array
    wy: jax.Array | None
    my: jax.Array | None
    mwy: jax.Array | None


def lag(matrix: sparse.csr_array, values: np.ndarray) -> np.ndarray:
    """W x within every period, for x of shape (T, N, columns); some rows of W give those rows of W
    x.
    """
    periods, units, columns = values.shape
    wide = values.transpose(1, 0, 2).reshape(units, periods * columns)
    return (matrix @ wide).reshape(matrix.shape[0], periods, columns).transpose(1, 0, 2)


def parts_of(k: int, has_lag: bool, has_error: bool) -> tuple[str, ...]:
    """The part of the model of every column of Z for k regressors.

    >>> parts_of(2, True, False)
    ('d', 'd', 'y', 'wy')
    """
    ends = ("y", "wy") if has_lag else ("y",)
    if not has_error:
        return ("d",) * k + ends
    return ("d",) * k + ("md",) * k + ends + tuple("m" + end for end in ends)


def merge(*blocks: np.ndarray) -> np.ndarray:
    """R, (c, c), of the rows of all blocks, each (rows, c); rows of zeros where there are fewer
    rows than columns.
    """
    width = blocks[0].shape[1]
    rows = np.zeros((max(sum(map(len, blocks)), width), width), order="F")
    at = 0
    for block in blocks:
        rows[at : at + len(block)] = block
        at += len(block)
    return np.triu(
        scipy.linalg.lapack.dgeqrf(rows, lwork=PANEL * width, overwrite_a=True)[0][:width]
    )


def split(factor: np.ndarray, parts: tuple[str, ...]) -> Moments:
    """R cut into the parts of the model."""

    def columns(part: str) -> jax.Array | None:
        return leaf(factor[:, [p == part for p in parts]]) if part in parts else None

    def column(part: str) -> jax.Array | None:
        return leaf(factor[:, parts.index(part)]) if part in parts else None

    d = leaf(factor[:, [p == "d" for p in parts]])
    return Moments(
        d,
        columns("md"),
        leaf(factor[:, parts.index("y")]),
        column("wy"),
        column("my"),
        column("mwy"),
    )


def append_rows(
    factor: np.ndarray, parts: tuple[str, ...], d: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """R with more observations [d, y] below it that no filter reaches, such as those a conjugate
    prior stands for. d: (p, k); y: (p,).
    """
    rows = np.zeros((len(y), len(parts)))
    rows[:, [p == "d" for p in parts]] = d
    rows[:, parts.index("y")] = y
    return merge(factor, rows)
