"""Lagrange-multiplier tests of spatial dependence in least-squares residuals.

docs/mathematics.md 8 derives them:

    d_e = e'We / s2 + c,   d_l = e'Wy / s2 + c,   H = (WDb)'P(WDb) / s2 + tr

    LM_error  = d_e^2 / tr
    LM_lag    = d_l^2 / H
    RLM_error = (d_e - (tr / H) d_l)^2 / (tr (1 - tr / H))
    RLM_lag   = (d_l - d_e)^2 / (H - tr)
    SARMA     = LM_error + RLM_lag

Here b is the least-squares estimate, P projects off the regressors D, e = P y are the residuals and
s2 = e'e / nu. Without dependence, e'We / s2 has the mean -c and the variance tr.

Anselin (1988); Anselin, Bera, Florax & Yoon (1996); for panels Anselin, Le Gallo & Jayet (2008),
Debarsy & Ertur (2010).
"""

from typing import NamedTuple

import numpy as np
import scipy.linalg
import scipy.sparse as sparse

from spillover.kernels.moments import Moments


class Centre(NamedTuple):
    """The moments of e'We / s2 without dependence, s2 = e'e / nu.

    `shift`: minus the mean. `variance`: the variance. `nu`: degrees of freedom of s2.
    """

    shift: float
    variance: float
    nu: float


class Statistics(NamedTuple):
    """The five statistics: chi-squared with one degree of freedom each, `sarma` with two."""

    lm_error: float
    lm_lag: float
    robust_lm_error: float
    robust_lm_lag: float
    sarma: float


def centre(matrix: sparse.csr_array, *, multiplicity: int, over_units: bool, nu: float) -> Centre:
    """The moments of e'We / s2 without dependence.

        mean = J tr(A),    variance = J tr(AA + A'A) - 2 (J tr(A))^2 / nu,    A = QWQ

    J is the `multiplicity`, the number of contrasts over time. Q = I - iota iota' / N where the
    means of the periods are removed (`over_units`), else Q = I. For rows that sum to one

        tr(A)        = -1
        tr(AA + A'A) = tr(W'W + WW) - 1 - sum_j (column sum j)^2 / N
    """
    n = matrix.shape[0]
    trace = float((matrix.multiply(matrix.T) + matrix.multiply(matrix)).sum())
    if not over_units:
        return Centre(0.0, multiplicity * trace, nu)
    rows, columns = matrix.sum(axis=1), matrix.sum(axis=0)
    mean = float(rows.sum()) / n
    crossed = (2 * columns @ rows + rows @ rows + columns @ columns) / n
    shift = multiplicity * mean
    return Centre(shift, multiplicity * (trace - crossed + 2 * mean**2) - 2 * shift**2 / nu, nu)


def tests(moments: Moments, about: Centre) -> Statistics:
    """The statistics from R of [D, W D, y, W y], with effects removed from D and y.

    `moments.md` and `moments.my` hold the lags.
    """
    d, lagged, y, wy = (np.asarray(part) for part in (moments.d, moments.md, moments.y, moments.my))
    k = d.shape[1]
    b = scipy.linalg.solve_triangular(d[:k], y[:k])
    e, through = y - d @ b, lagged @ b
    s2 = e @ e / about.nu
    # d has its triangle on top: what lies below is orthogonal to the regressors
    outside = through[k:] @ through[k:]
    return combine(
        e @ (wy - through) / s2 + about.shift,
        e @ wy / s2 + about.shift,
        about.variance,
        outside / s2 + about.variance,
    )


def combine(error: float, lag: float, trace: float, information: float) -> Statistics:
    """The statistics from d_e, d_l, tr and H."""
    share = trace / information
    lm_error, robust_lag = error**2 / trace, (lag - error) ** 2 / (information - trace)
    robust_error = (error - share * lag) ** 2 / (trace * (1 - share))
    return Statistics(
        lm_error, lag**2 / information, robust_error, robust_lag, lm_error + robust_lag
    )
