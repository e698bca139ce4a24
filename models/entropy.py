"""Composite indices by the entropy method.

Indicators that tell the observations apart better weigh more:

    z_ij in [0, 1], rescaled           p_ij = z_ij / sum_i z_ij
    e_j = -sum_i p_ij ln p_ij / ln n   w_j = (1 - e_j) / sum_j (1 - e_j)
    index_i = sum_j w_j z_ij

for observations i = 1 ... n, units and periods pooled, and indicators j = 1 ... k. The entropy is
that of Shannon (1948), Bell System Technical Journal 27; the weights are those of Hwang & Yoon
(1981), Multiple Attribute Decision Making.
"""

import numpy as np
import scipy.special

# a range this small relative to the largest value is rounding, and such a column would get the
# largest weight of all
CONSTANT = 1e-12


def is_constant(x: np.ndarray) -> np.ndarray:
    """Which columns of x, (n, k), vary by no more than rounding: (k,), true or false.

    >>> is_constant(np.array([[1.0, 0.3], [2.0, 0.1 + 0.2]])).tolist()
    [False, True]
    """
    x = np.asarray(x, float)  # differences of small integers would overflow
    return np.asarray(np.ptp(x, axis=0) <= CONSTANT * np.abs(x).max(axis=0))


def rescale(x: np.ndarray, negative: np.ndarray | bool = False) -> np.ndarray:
    """Indicators rescaled to [0, 1], (n, k).

    z is (x - min) / (max - min), or (max - x) / (max - min) where more is worse, and 0 in constant
    columns.

    x is (n, k) in any units. `negative`, (k,) or one value for all, is true where more is worse.

    >>> rescale(
    ...     np.array([[10.0, 10.0], [30.0, 30.0], [20.0, 20.0]]), np.array([False, True])
    ... ).tolist()
    [[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]]
    """
    x = np.asarray(x, float)
    low, high, flat = x.min(axis=0), x.max(axis=0), is_constant(x)
    span = np.where(flat, 1.0, high - low)
    return np.where(flat, 0.0, np.where(negative, high - x, x - low) / span)


def shares(z: np.ndarray) -> np.ndarray:
    """The share of each observation in its column, (n, k): p_ij = z_ij / sum_i z_ij.

    The shares are even where a column is zero everywhere.

    >>> shares(np.array([[1.0, 0.0], [3.0, 0.0]])).tolist()
    [[0.25, 0.5], [0.75, 0.5]]
    """
    total = z.sum(axis=0)
    return np.where(total > 0, z / np.where(total > 0, total, 1.0), 1 / len(z))


def entropies(p: np.ndarray) -> np.ndarray:
    """The entropy of each column of shares, (k,), in [0, 1]: 1 for even shares.

    e_j = -sum_i p_ij ln p_ij / ln n, with 0 ln 0 = 0, for the shares p, (n, k), of n > 1
    observations.

    >>> entropies(np.array([[0.5, 1.0], [0.5, 0.0]])).tolist()
    [1.0, 0.0]
    """
    even = np.ptp(p, axis=0) == 0
    # the formula gives 1 up to rounding, which would become a weight
    return np.where(even, 1.0, scipy.special.entr(p).sum(axis=0) / np.log(len(p)))


def weights(e: np.ndarray) -> np.ndarray:
    """w_j = (1 - e_j) / sum_j (1 - e_j), (k,), from entropies e, (k,), that are not all 1.

    >>> weights(np.array([0.9, 0.7, 1.0])).round(12).tolist()
    [0.25, 0.75, 0.0]
    """
    return np.asarray((1 - e) / (1 - e).sum())


def index(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The index sum_j w_j z_ij, (n,), of rescaled indicators z, (n, k), and their weights, (k,).

    >>> values, w = index(np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.0]]))
    >>> values.tolist(), w.tolist()
    ([0.0, 1.0, 0.5], [1.0, 0.0])
    """
    w = weights(entropies(shares(z)))
    return z @ w, w
