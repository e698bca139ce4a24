"""Fixed effects removed by demeaning."""

import numpy as np


def demean(values: np.ndarray, *, over_periods: bool, over_units: bool) -> np.ndarray:
    """Q x for panel columns x of shape (T, N, columns).

    Q_T = I - J/T takes out unit effects (`over_periods`), Q_N = I - J/N takes out period effects
    (`over_units`). The cross-products of Q x equal those of x on an orthonormal basis of the
    contrasts: Q = F F'. Lee & Yu (2010).
    """
    if over_periods:
        values = values - values.mean(axis=0, keepdims=True)
    if over_units:
        values = values - values.mean(axis=1, keepdims=True)
    return values
