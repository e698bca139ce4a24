"""The lag basis of whole arrays, and R of one: what the package makes block by block."""

import numpy as np

from spillover.kernels import moments
from spillover.kernels.moments import lag, merge, parts_of


def lag_basis(y, regressors, weights, error_weights):
    """Z, (T, N, columns), and the part of the model that each column belongs to, in the order of
    `Moments`.

    y: (T, N); regressors: (T, N, k); `weights` is None without a spatial lag, `error_weights` None
    without a spatial error.
    """
    own, ends = [regressors], [y[:, :, None]]
    if weights is not None:
        ends.append(lag(weights, ends[0]))
    if error_weights is not None:
        own, ends = (
            [*columns, *(lag(error_weights, column) for column in columns)]
            for columns in (own, ends)
        )
    return np.concatenate(own + ends, axis=2), parts_of(
        regressors.shape[2], weights is not None, error_weights is not None
    )


def r_factor(columns):
    """The triangular factor of the rows of `columns`, (..., c), block by block: factors of blocks
    stack and factor again (TSQR).
    """
    width = columns.shape[-1]
    rows = columns.reshape(-1, width)
    factor = np.zeros((width, width))
    for start in range(0, len(rows), moments.ROWS):
        factor = merge(factor, rows[start : start + moments.ROWS])
    return factor
