"""Demeaning, which removes fixed effects."""

import numpy as np


def demean(values: np.ndarray, *, over_periods: bool, over_units: bool) -> np.ndarray:
    """Subtract means over periods, over units or over both from the columns of a panel.

        Q_T x_it = x_it - mean over periods,      Q_N x_it = x_it - mean over units

    Parameters
    ----------
    values : numpy.ndarray, shape (T, N, k)
        Columns x of a panel.
    over_periods : bool
        Apply Q_T = I - J/T, which removes unit effects.
    over_units : bool
        Apply Q_N = I - J/N, which removes period effects.

    Returns
    -------
    numpy.ndarray, shape (T, N, k)
        Q x. Its cross-products equal those of x on an orthonormal basis F of the contrasts, since
        Q = F F'.

    References
    ----------
    Lee & Yu (2010).

    Examples
    --------
    >>> demean(np.array([[[1.0], [2.0]], [[3.0], [8.0]]]), over_periods=True, over_units=False)
    array([[[-1.],
            [-3.]],
    <BLANKLINE>
           [[ 1.],
            [ 3.]]])
    """
    if over_periods:
        values = values - values.mean(axis=0, keepdims=True)
    if over_units:
        values = values - values.mean(axis=1, keepdims=True)
    return values
