"""The lag basis Z (`moments`), made a few thousand rows at a time.

Neither Z nor the demeaned data are ever held whole. Short periods are processed several at once, a
long one in blocks of its units. Means over periods are subtracted first, from X alone, because they
commute with W; means over units are subtracted from the finished rows: docs/numerics.md 10.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse as sparse

from spillover.kernels import moments
from spillover.kernels.moments import lag


class Piece(NamedTuple):
    """Columns of a basis in some periods, as a product that may still have to be computed.

    Attributes
    ----------
    values : numpy.ndarray, shape (t, N, c)
        The columns, or what `matrix` multiplies to give them.
    matrix : scipy.sparse.csr_array or None, shape (N, N)
        W or M; None where `values` are the columns.
    """

    values: np.ndarray
    matrix: sparse.csr_array | None = None


@dataclass(frozen=True, eq=False)
class Regressors:
    """The regressors D = [X, W X, dummies of periods], (T, N, k), described rather than held.

    Attributes
    ----------
    x : numpy.ndarray, shape (T, N, columns)
        X.
    weights : scipy.sparse.csr_array or None, shape (N, N)
        W, where some columns are lagged.
    lagged : tuple of int
        The columns of X whose lag W X is a regressor too.
    dummies : int
        How many of the last periods have a dummy variable.

    Examples
    --------
    >>> two = Regressors(
    ...     np.array([[[1.0], [3.0]]]), sparse.csr_array([[0.0, 1.0], [0.5, 0.0]]), (0,)
    ... )
    >>> two.whole()
    array([[[1. , 3. ],
            [3. , 0.5]]])
    """

    x: np.ndarray
    weights: sparse.csr_array | None = None
    lagged: tuple[int, ...] = ()
    dummies: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, N, k)."""
        periods, units, columns = self.x.shape
        return periods, units, columns + len(self.lagged) + self.dummies

    def pieces(self, periods: slice, mean: np.ndarray | None = None) -> list[Piece]:
        """The columns in some periods.

        Parameters
        ----------
        periods : slice
            Which periods.
        mean : numpy.ndarray, shape (N, columns), optional
            The mean of x over all periods, to be subtracted; the dummies lose theirs too.

        Returns
        -------
        list of Piece
            The columns of X, of W X and of the dummies, where the model has them.
        """
        x = self.x[periods] if mean is None else self.x[periods] - mean
        columns = [Piece(x)]
        if self.lagged:
            every = self.lagged == tuple(range(x.shape[2]))
            own = x if every else x[:, :, list(self.lagged)]
            columns.append(Piece(np.ascontiguousarray(own), self.weights))
        if self.dummies:
            total = len(self.x)
            last = np.arange(total - self.dummies, total)
            ones = (np.arange(total)[periods, None] == last).astype(float)
            ones -= 0.0 if mean is None else 1 / total
            shape = (len(x), x.shape[1], self.dummies)
            columns.append(Piece(np.broadcast_to(ones[:, None], shape)))
        return columns

    def whole(self) -> np.ndarray:
        """All regressors in all periods, (T, N, k)."""
        return np.concatenate([product(piece).values for piece in self.pieces(slice(None))], axis=2)


def basis(
    y: np.ndarray,
    own: list[Piece],
    weights: sparse.csr_array | None,
    error_weights: sparse.csr_array | None,
) -> list[Piece]:
    """The lag basis Z = [D, M D, y, W y, M y, M W y] in some periods.

    Parameters
    ----------
    y : numpy.ndarray, shape (t, N)
        The response.
    own : list of Piece
        The pieces of D, as `Regressors.pieces` gives them.
    weights : scipy.sparse.csr_array or None, shape (N, N)
        W, in models with a lag of y.
    error_weights : scipy.sparse.csr_array or None, shape (N, N)
        M, in models with an error process.

    Returns
    -------
    list of Piece
        The columns of Z in the order of `moments.parts_of`.
    """
    ends = [Piece(np.ascontiguousarray(y)[:, :, None])]
    if weights is not None:
        ends.append(ends[0]._replace(matrix=weights))
    if error_weights is None:
        return own + ends
    own, ends = [product(piece) for piece in own], [product(piece) for piece in ends]
    filtered, filtered_ends = (
        [piece._replace(matrix=error_weights) for piece in pieces] for pieces in (own, ends)
    )
    return own + filtered + ends + filtered_ends


def product(piece: Piece) -> Piece:
    """The piece with its product computed."""
    return Piece(
        np.ascontiguousarray(piece.values)
        if piece.matrix is None
        else lag(piece.matrix, piece.values)
    )


def spans(periods: int, units: int) -> Iterator[slice]:
    """Slices of the periods, in turn, each of about `moments.ROWS` rows."""
    step = max(moments.ROWS // units, 1)
    return (slice(start, start + step) for start in range(0, periods, step))


def rows(pieces: list[Piece]) -> Iterator[np.ndarray]:
    """The columns of all pieces side by side, (t, units, c), by blocks of units.

    A block has at most `moments.ROWS` units.
    """
    units = pieces[0].values.shape[1]
    for start in range(0, units, moments.ROWS):
        block = slice(start, min(start + moments.ROWS, units))
        whole = block == slice(0, units)
        matrices = {id(piece.matrix): piece.matrix for piece in pieces if piece.matrix is not None}
        parts = matrices if whole else {key: matrix[block] for key, matrix in matrices.items()}
        yield np.concatenate(
            [v[:, block] if m is None else lag(parts[id(m)], v) for v, m in pieces], axis=2
        )


def unit_means(pieces: list[Piece]) -> np.ndarray:
    """The mean over units of every column in every period, (t, 1, c).

        iota'(W x) / N = (W'iota / N)'x

    W x itself is not computed.
    """
    shares = {id(matrix): _share(matrix, values.shape[1]) for values, matrix in pieces}
    means = [np.tensordot(shares[id(matrix)], values, (0, 1)) for values, matrix in pieces]
    return np.concatenate(means, axis=1)[:, None]


def _share(matrix: sparse.csr_array | None, units: int) -> np.ndarray:
    """W'iota / N, (N,): the column sums of W, or of the identity, over N."""
    return (
        np.full(units, 1 / units)
        if matrix is None
        else np.bincount(matrix.indices, matrix.data, units) / units
    )
