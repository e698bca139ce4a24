"""Moran's I, global and local: statistics, moments and permutation distributions.

z holds deviations from the mean, (n,) or (n, columns). W is a sparse array (n, n) with a zero
diagonal, not necessarily symmetric.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import scipy.sparse as sparse
import scipy.stats

ALTERNATIVES = ("greater", "less", "two-sided")
# statistics that differ by less, relative to their terms, count as equal: they may be the same sum
# in another order
TIE = 1e-12
BLOCK = 2**22  # numbers (32 MB) in the largest array while permuting


class Sums(NamedTuple):
    """What the moments of I need of W: the number of units, `n`, and the sums S0, S1 and S2."""

    n: int
    s0: float
    s1: float
    s2: float


class MoranMoments(NamedTuple):
    """Mean and variance of a statistic where there is no spatial autocorrelation."""

    mean: np.ndarray
    variance: np.ndarray


def sums(W: sparse.csr_array, n: int) -> Sums:
    """Compute the sums of any W that the moments of I need.

    Cliff & Ord (1981), Spatial Processes, 1.5.

        S0 = sum_ij w_ij
        S1 = sum_ij (w_ij + w_ji)^2 / 2
        S2 = sum_i (w_i. + w_.i)^2

    >>> sums(sparse.csr_array([[0.0, 1.0], [3.0, 0.0]]), 2)
    Sums(n=2, s0=4.0, s1=16.0, s2=32.0)
    """
    both = W + W.T
    ends = np.asarray(W.sum(axis=1)) + np.asarray(W.sum(axis=0))
    return Sums(n, float(W.sum()), float((both * both).sum()) / 2, float(ends @ ends))


def statistic(z: np.ndarray, W: sparse.csr_array, about: Sums) -> np.ndarray:
    """I = (n / S0) z'Wz / z'z of every column of z."""
    return np.asarray(about.n / about.s0 * (z * (W @ z)).sum(axis=0) / (z * z).sum(axis=0))


def normality(about: Sums) -> MoranMoments:
    """The moments of I for independent normal values.

        E   = -1 / (n - 1)
        Var = (n^2 S1 - n S2 + 3 S0^2) / (S0^2 (n^2 - 1)) - E^2

    Cliff & Ord (1981), 2.3.
    """
    n, s0, s1, s2 = about
    mean = np.array(-1 / (n - 1))
    square = (n * n * s1 - n * s2 + 3 * s0 * s0) / (s0 * s0 * (n * n - 1))
    return MoranMoments(mean, square - mean**2)


def randomisation(z: np.ndarray, about: Sums) -> MoranMoments:
    """The moments of I over all n! arrangements of the values, equally likely.

    n is at least 4. Cliff & Ord (1981), 2.3.

        E   = -1 / (n - 1)
        Var = (n [(n^2 - 3n + 3) S1 - n S2 + 3 S0^2] - b [(n^2 - n) S1 - 2n S2 + 6 S0^2])
              / ((n - 1)(n - 2)(n - 3) S0^2) - E^2

    with b = m4 / m2^2, the kurtosis of the values.
    """
    n, s0, s1, s2 = about
    kurtosis = (z**4).mean(axis=0) / (z * z).mean(axis=0) ** 2
    free = n * ((n * n - 3 * n + 3) * s1 - n * s2 + 3 * s0 * s0)
    tied = (n * n - n) * s1 - 2 * n * s2 + 6 * s0 * s0
    mean = np.array(-1 / (n - 1))
    square = (free - kurtosis * tied) / ((n - 1) * (n - 2) * (n - 3) * s0 * s0)
    return MoranMoments(mean, square - mean**2)


def permute(
    z: np.ndarray, W: sparse.csr_array, about: Sums, permutations: int, rng: np.random.Generator
) -> np.ndarray:
    """I of random arrangements of the values z, (n,): (permutations,)."""
    blocks = (statistic(z[order], W, about) for order in _random_orders(W, permutations, rng))
    return np.concatenate([np.empty(0), *blocks])


def count_extremes(simulated: np.ndarray, observed: float, size: float) -> tuple[int, int]:
    """How many simulated statistics are at least, and how many at most, the observed one.

    `size` is the size of their terms, relative to which ties are recognised.
    """
    slack = TIE * size
    return int((simulated >= observed - slack).sum()), int((simulated <= observed + slack).sum())


def local(z: np.ndarray, W: sparse.csr_array) -> np.ndarray:
    """Local Moran statistics, (n,): I_i = z_i (Wz)_i / m2, m2 = z'z / n.

    They sum to z'Wz / m2. Anselin (1995), Geographical Analysis 27.
    """
    return np.asarray(z * (W @ z) / (z * z).mean())


def local_unconditional(z: np.ndarray, W: sparse.csr_array) -> MoranMoments:
    """The moments of I_i over all arrangements of the values, (n,) each.

    Sokal, Oden & Thomson (1998), Geographical Analysis 30, A3 and A4.

        E   = -w_i / (n - 1)
        Var = v_i (n - b) / (n - 1) + (w_i^2 - v_i)(2b - n) / ((n - 1)(n - 2)) - E^2

    with w_i the row sums of W, v_i those of its squares and b = m4 / m2^2.
    """
    n, (total, squares) = len(z), _row_sums(W)
    kurtosis = (z**4).mean() / (z * z).mean() ** 2
    mean = -total / (n - 1)
    apart = (total**2 - squares) * (2 * kurtosis - n) / ((n - 1) * (n - 2))
    return MoranMoments(mean, squares * (n - kurtosis) / (n - 1) + apart - mean**2)


def local_conditional(z: np.ndarray, W: sparse.csr_array) -> MoranMoments:
    """The moments of I_i over the arrangements of the other values around unit i, (n,) each.

    Sokal, Oden & Thomson (1998), A7 and A8.

        E   = -z_i^2 w_i / ((n - 1) m2)
        Var = (z_i / m2)^2 n / (n - 2) (v_i - w_i^2 / (n - 1)) (m2 - z_i^2 / (n - 1))

    with w_i and v_i as in `local_unconditional`.
    """
    n, (total, squares) = len(z), _row_sums(W)
    m2 = (z * z).mean()
    mean = -(z**2) * total / ((n - 1) * m2)
    variance = (z / m2) ** 2 * n / (n - 2) * (squares - total**2 / (n - 1))
    return MoranMoments(mean, variance * (m2 - z**2 / (n - 1)))


def count_local_extremes(
    z: np.ndarray, W: sparse.csr_array, permutations: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Count the arrangements around unit i with an I_i at least, and at most, the observed one.

    The values of the other units are rearranged. The counts are (n,) each.

    One random order serves every unit: unit i changes places with the unit that stands at i, which
    leaves the others in a uniformly random order. So a permutation costs one product with W and one
    look-up. With j the place that the order gave to unit i, and k the unit that stands at i, the
    exchange adds w_ij (z_k - z_i) to (Wz)_i.
    """
    units = np.arange(len(z))[:, None]
    lag, sign = W @ z, np.sign(z)[:, None]
    slack = (TIE * np.abs(z).max() * np.asarray(W.sum(axis=1)))[:, None]
    above, below = np.zeros(len(z), np.int64), np.zeros(len(z), np.int64)
    for order in _random_orders(W, permutations, rng):
        shuffled = W @ z[order]
        place = np.empty_like(order)
        np.put_along_axis(place, order, units, axis=0)  # where the order has put each unit
        weight = W[np.broadcast_to(units, place.shape).ravel(), place.ravel()]
        shuffled += np.asarray(weight).reshape(place.shape) * (z[order] - z[:, None])
        excess = sign * (shuffled - lag[:, None])
        above += (excess >= -slack).sum(axis=1)
        below += (excess <= slack).sum(axis=1)
    return above, below


def p_permutation(
    above: np.ndarray | int, below: np.ndarray | int, permutations: int, alternative: str
) -> np.ndarray:
    """The p-value of a permutation test: (count + 1) / (permutations + 1).

    The count is that of the tail of the alternative. A two-sided p-value is twice the smaller one,
    at most 1. Davison & Hinkley (1997), Bootstrap Methods and their Application, 4.3.

    >>> p_permutation(49, 950, 999, "greater"), p_permutation(49, 950, 999, "two-sided")
    (array(0.05), array(0.1))
    """
    greater, less = ((np.asarray(count) + 1) / (permutations + 1) for count in (above, below))
    tails = {
        "greater": greater,
        "less": less,
        "two-sided": np.minimum(1.0, 2 * np.minimum(greater, less)),
    }
    return np.asarray(tails[alternative])


def p_normal(z: np.ndarray, alternative: str) -> np.ndarray:
    """The p-value of a standard normal statistic z; NaN stays NaN."""
    norm = scipy.stats.norm
    tails = {"greater": norm.sf(z), "less": norm.cdf(z), "two-sided": 2 * norm.sf(np.abs(z))}
    return np.asarray(tails[alternative])


def _row_sums(W: sparse.csr_array) -> tuple[np.ndarray, np.ndarray]:
    """Row sums of W and of its squares, (n,) each."""
    return np.asarray(W.sum(axis=1)), np.asarray((W * W).sum(axis=1))


def _random_orders(
    W: sparse.csr_array, permutations: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Random orders of the units, (n, width) at a time.

    The width keeps a product with W within BLOCK numbers.
    """
    units = np.arange(W.shape[0])
    width = max(1, BLOCK // max(W.nnz, len(units)))
    for start in range(0, permutations, width):
        count = min(width, permutations - start)
        yield np.ascontiguousarray(rng.permuted(np.tile(units, (count, 1)), axis=1).T)
