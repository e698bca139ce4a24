"""The lag basis made a few thousand rows at a time, so that neither it nor demeaned data are ever
held whole.

A panel goes through period by period (several at once where they are short), a long period by
blocks of its units. Means over periods come first and leave X_t - X-bar, because they commute with
W; means over units are subtracted from the finished rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse as sparse

from spillover.kernels import moments
from spillover.kernels.moments import lag


class Piece(NamedTuple):
    """Columns of a basis for some periods: `values`, (t, N, c), or where there is a `matrix` its
    product with them.
    """

    values: np.ndarray
    matrix: sparse.csr_array | None = None


@dataclass(frozen=True, eq=False)
class Regressors:
    """[X, W X of the columns `lagged`, dummies of the last periods], (T, N, k), described rather
    than held. x: (T, N, columns).

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
        """The columns in some periods, less those of `mean`, the mean of x over all periods, (N,
        columns), where it is given.
        """
        x = self.x[periods] if mean is None else self.x[periods] - mean
        found = [Piece(x)]
        if self.lagged:
            every = self.lagged == tuple(range(x.shape[2]))
            found.append(
                Piece(
                    np.ascontiguousarray(x if every else x[:, :, list(self.lagged)]), self.weights
                )
            )
        if self.dummies:
            total = len(self.x)
            ones = (
                np.arange(total)[periods, None] == np.arange(total - self.dummies, total)
            ).astype(float)
            ones -= 0.0 if mean is None else 1 / total
            found.append(Piece(np.broadcast_to(ones[:, None], (len(x), x.shape[1], self.dummies))))
        return found

    def whole(self) -> np.ndarray:
        """All of it, (T, N, k)."""
        return np.concatenate([product(piece).values for piece in self.pieces(slice(None))], axis=2)


def basis(
    y: np.ndarray,
    own: list[Piece],
    weights: sparse.csr_array | None,
    error_weights: sparse.csr_array | None,
) -> list[Piece]:
    """Z = [D, M D, y, W y, M y, M W y] for some periods; y: (t, N), `own` the pieces of D.
    `moments` says what the columns are.
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
    """The piece with its matrix multiplied out."""
    return Piece(
        np.ascontiguousarray(piece.values)
        if piece.matrix is None
        else lag(piece.matrix, piece.values)
    )


def spans(periods: int, units: int) -> Iterator[slice]:
    """The periods in turn, as many at once as make `moments.ROWS` rows."""
    step = max(moments.ROWS // units, 1)
    return (slice(start, start + step) for start in range(0, periods, step))


def rows(pieces: list[Piece]) -> Iterator[np.ndarray]:
    """The columns of all pieces side by side, (t, units, c), in blocks of at most `moments.ROWS`
    units.
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
    """The mean over units of every column in every period, (t, 1, c): 1'W x / N = (W'1 / N)'x,
    without W x.
    """
    shares = {id(matrix): _share(matrix, values.shape[1]) for values, matrix in pieces}
    means = [np.tensordot(shares[id(matrix)], values, (0, 1)) for values, matrix in pieces]
    return np.concatenate(means, axis=1)[:, None]


def _share(matrix: sparse.csr_array | None, units: int) -> np.ndarray:
    """The column sums of W over N, of the identity without W."""
    return (
        np.full(units, 1 / units)
        if matrix is None
        else np.bincount(matrix.indices, matrix.data, units) / units
    )
