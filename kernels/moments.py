"""The lag basis of a spatial model and its R factor, all that a likelihood needs of the data.

    e = S_lam [ S(rho) y - D b ] = Z v(rho, lam, b),      Z = [ D, M D, y, W y, M y, M W y ]
    Z = Q R,      e'e = |R v|^2

D holds the regressors, lags of X included; W the weights of the lag; M those of the error. R keeps
the accuracy that Z'Z loses: docs/mathematics.md 3.
"""

from typing import NamedTuple

import jax
import numpy as np
import scipy.linalg
import scipy.sparse as sparse

from spillover.kernels.arrays import leaf

# rows made and factored at a time: the block of Z stays in the cache, and memory is bounded
ROWS = 8192
PANEL = 32  # columns that LAPACK factors at a time


class Moments(NamedTuple):
    """The columns of R, (q, columns), by their part in the model; None where the model lacks it.

    Attributes
    ----------
    d : jax.Array, shape (q, k)
        Regressors D.
    md : jax.Array or None, shape (q, k)
        M D, in models with an error process.
    y : jax.Array, shape (q,)
        The response.
    wy : jax.Array or None, shape (q,)
        W y, in models with a lag of y.
    my : jax.Array or None, shape (q,)
        M y, in models with an error process.
    mwy : jax.Array or None, shape (q,)
        M W y, in models with both.
    """

    d: jax.Array
    md: jax.Array | None
    y: jax.Array
    wy: jax.Array | None
    my: jax.Array | None
    mwy: jax.Array | None


def lag(matrix: sparse.csr_array, values: np.ndarray) -> np.ndarray:
    """W x in every period.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (m, N)
        W, or some of its rows.
    values : numpy.ndarray, shape (T, N, columns)
        x.

    Returns
    -------
    numpy.ndarray, shape (T, m, columns)
        W x, or those rows of it.
    """
    periods, units, columns = values.shape
    wide = values.transpose(1, 0, 2).reshape(units, periods * columns)
    lags: np.ndarray = matrix @ wide
    return lags.reshape(matrix.shape[0], periods, columns).transpose(1, 0, 2)


def parts_of(k: int, has_lag: bool, has_error: bool) -> tuple[str, ...]:
    """The part of the model that each column of Z belongs to, with k regressors.

    Parameters
    ----------
    k : int
        Columns of D.
    has_lag, has_error : bool
        Whether the model has a lag of y, and an error process.

    Returns
    -------
    tuple of str
        Names of fields of `Moments`, one for each column.

    Examples
    --------
    >>> parts_of(2, True, False)
    ('d', 'd', 'y', 'wy')
    """
    ends = ("y", "wy") if has_lag else ("y",)
    if not has_error:
        return ("d",) * k + ends
    return ("d",) * k + ("md",) * k + ends + tuple("m" + end for end in ends)


def merge(*blocks: np.ndarray) -> np.ndarray:
    """R of the rows of all blocks together.

    Parameters
    ----------
    *blocks : numpy.ndarray, shape (rows, c)
        Data, or R factors of data.

    Returns
    -------
    numpy.ndarray, shape (c, c)
        Upper triangular, with rows of zeros where there are fewer rows than columns.

    Examples
    --------
    >>> whole = merge(np.array([[3.0], [0.0]]), np.array([[4.0]]))
    >>> abs(float(whole[0, 0]))
    5.0
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
    """R, (q, columns), cut into the parts of the model that `parts` names for its columns."""

    def columns(part: str) -> jax.Array | None:
        return leaf(factor[:, [p == part for p in parts]]) if part in parts else None

    def column(part: str) -> jax.Array | None:
        return leaf(factor[:, parts.index(part)]) if part in parts else None

    d = leaf(factor[:, [p == "d" for p in parts]])
    return Moments(
        d=d,
        md=columns("md"),
        y=leaf(factor[:, parts.index("y")]),
        wy=column("wy"),
        my=column("my"),
        mwy=column("mwy"),
    )


def append_rows(
    factor: np.ndarray, parts: tuple[str, ...], d: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """R with further observations, to which no spatial filter applies.

    A conjugate prior is equivalent to such observations.

    Parameters
    ----------
    factor : numpy.ndarray, shape (q, columns)
        R of the data.
    parts : tuple of str
        The part of each column, as `parts_of` names it.
    d : numpy.ndarray, shape (p, k)
        Regressors of the new observations.
    y : numpy.ndarray, shape (p,)
        Their responses.

    Returns
    -------
    numpy.ndarray, shape (columns, columns)
        R of all observations.
    """
    rows = np.zeros((len(y), len(parts)))
    rows[:, [p == "d" for p in parts]] = d
    rows[:, parts.index("y")] = y
    return merge(factor, rows)
