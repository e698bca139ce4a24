"""Composite indices by the entropy method: indicators that discriminate more between the
observations weigh more.

z_ij = rescaled to [0, 1],   p_ij = z_ij / sum_i z_ij,   e_j = -sum_i p_ij ln p_ij / ln n,   w_j =
(1 - e_j) / sum_j (1 - e_j)

for observations i = 1 … n, units and periods pooled, and indicators j; the index is sum_j w_j z_ij.
Sources: Shannon (1948, Bell System Technical Journal 27) for the entropy;
Hwang & Yoon (1981), Multiple Attribute Decision Making, for the weights.
"""

import numpy as np
import scipy.special

# a range this small beside the largest value is rounding: it would get the largest weight of all
CONSTANT = 1e-12


def is_constant(x: np.ndarray) -> np.ndarray:
    """Which columns of x (n, k) do not vary, rounding apart: (k,), true or false.

    >>> constant(np.array([[1.0, 0.3], [2.0, 0.1 + 0.2]])).tolist()
    [False, True]
    """
    x = np.asarray(x, float)  # differences of small integers would run over
    return np.ptp(x, axis=0) <= CONSTANT * np.abs(x).max(axis=0)


def rescale(x: np.ndarray, negative: np.ndarray | bool = False) -> np.ndarray:
    """z (n, k) in [0, 1]: (x - min) / (max - min), or (max - x) / (max - min) where more is worse;
    0 in constant columns.

    `x`: (n, k) in any units; `negative`: (k,) true where more is worse, or one value for all.

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
    """p (n, k) = z_ij / sum_i z_ij: the share of each observation in its column; even shares where
    a column is zero everywhere.

    >>> shares(np.array([[1.0, 0.0], [3.0, 0.0]])).tolist()
    [[0.25, 0.5], [0.75, 0.5]]
    """
    total = z.sum(axis=0)
    return np.where(total > 0, z / np.where(total > 0, total, 1.0), 1 / len(z))


def entropies(p: np.ndarray) -> np.ndarray:
    """e (k,) = -sum_i p_ij ln p_ij / ln n in [0, 1], 0 ln 0 = 0, for shares p (n, k) of n > 1
    observations; 1 for even shares.

    >>> entropies(np.array([[0.5, 1.0], [0.5, 0.0]])).tolist()
    [1.0, 0.0]
    """
    even = np.ptp(p, axis=0) == 0
    # the sum is 1 up to rounding, which would be a weight
    return np.where(even, 1.0, scipy.special.entr(p).sum(axis=0) / np.log(len(p)))


def weights(e: np.ndarray) -> np.ndarray:
    """w (k,) = (1 - e_j) / sum_j (1 - e_j) from entropies e (k,), not all 1: they sum to 1.

    >>> weights(np.array([0.9, 0.7, 1.0])).round(12).tolist()
    [0.25, 0.75, 0.0]
    """
    return (1 - e) / (1 - e).sum()


def index(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The index sum_j w_j z_ij, (n,), of rescaled indicators z (n, k), and their weights, (k,).

    >>> values, w = index(np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.0]]))
    >>> values.tolist(), w.tolist()
    ([0.0, 1.0, 0.5], [1.0, 0.0])
    """
    w = weights(entropies(shares(z)))
    return z @ w, w
