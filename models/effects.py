"""What each kind of fixed effects does to the data, the degrees of freedom and the log-determinant:
one table.

    effects   observations        log-determinant, rows of W summing to c     any other W none
    N T                 T l(rho)                                    the same unit      N (T-1)
    (T-1) l(rho)                                the same period    (N-1) T             T [l(rho) -
    log(1 - c rho)]                 T [l(rho) - q(rho)] twoway    (N-1)(T-1)          (T-1) [l(rho)
    - log(1 - c rho)]             (T-1) [l(rho) - q(rho)] random    N T                 T l(rho)
    the same

Lee & Yu (2010). The transformed likelihood is the flat prior on the reduced-form effects S(rho)^-1
alpha.

For any W, q(rho) = iota' log(I - rho W) iota / N with q' = -iota' (I - rho W)^-1 W iota / N makes
the score's mean 0 at the truth: that of T l(rho) with demeaned residuals Q e is tr(P U), U =
dA/drho A^-1, P = I - Q, whatever the effects and the law of the errors, and L = tr(Q log A) takes
it off (Yang 2018, J. Econometrics 205, corrects scores the same way). Where all rows of W sum to c,
q is log(1 - c rho), contrasts of y exist that are free of the effects, and L is their
log-determinant. Elsewhere L makes a quasi-likelihood: its maximum and its posterior are centred on
the truth, but it is no density of any data, so that there is no evidence, likelihood ratio or
information criterion; the standard deviation that its curvature gives was 1.01 of the true one in
simulations of 25 units x 10 periods. lam has the same function of M, where M = W or both have rows
of one sum; else the corrected score is no gradient.

Random effects of the units are part of the error, u_t = lam M u_t + alpha + e_t (Kapoor, Kelejian &
Prucha 2007): the contrasts over time have variance sigma^2, the scaled means sqrt(T) y-bar sigma^2
+ T sigma_alpha^2, so that an R factor of either is all there is to know. Correlated ones add the
means of X and of W X over time to the regressors. Mundlak (1978); Debarsy (2012).
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sparse

from spillover.kernels import lag_basis
from spillover.kernels.demean import demean
from spillover.kernels.lag_basis import Piece, Regressors
from spillover.kernels.moments import merge, parts_of
from spillover.models.spec import Spec


@dataclass(frozen=True)
class Transformation:
    """How fixed effects leave: demeaning `over_periods` and `over_units`, or period `dummies`; with
    what remains of the likelihood.

    `nu` observations; the log-determinant counts `multiplicity` times, on `contrasts` between units
    less log(1 - c rho), or q(rho) where it is `quasi`; `lag_first`: W before demeaning, as the
    likelihood has it, or after, as several packages do.
    """

    over_periods: bool
    over_units: bool
    dummies: int
    nu: int
    multiplicity: int
    contrasts: bool
    lag_first: bool = True
    quasi: bool = False


QUASI = (
    "With period effects and rows of W that do not all have one sum the likelihood is a"
    " quasi-likelihood: its score is unbiased, but it is not a density"
)


def choose_transformation(
    spec: Spec, units: int, periods: int, *, closed: bool, likelihood: str = "transformed"
) -> Transformation:
    """The row of the table for `spec`; `likelihood` "direct" and "lsdv" keep N T observations and T
    l(rho).

    `closed`: whether every W that y or the errors depend on through rho or lam has rows of one sum,
    so that period effects stay such.
    """
    over_periods = spec.effects in ("unit", "twoway")
    period = spec.effects in ("period", "twoway")
    free_periods = periods - 1 if over_periods else periods
    if likelihood == "direct":
        return Transformation(
            over_periods, period, 0, units * periods, periods, False, lag_first=False
        )
    if likelihood == "lsdv":
        # S_lam maps the period dummies to themselves, so that demeaning removes them, where the
        # rows of M have one sum.
        as_columns = period and not closed
        return Transformation(
            over_periods,
            period and not as_columns,
            free_periods * as_columns,
            units * periods,
            periods,
            False,
        )
    free_units = units - 1 if period else units
    return Transformation(
        over_periods,
        period,
        0,
        free_units * free_periods,
        free_periods,
        period,
        quasi=period and not closed,
    )


def use_dummies(effects: Transformation, periods: int) -> Transformation:
    """The same with period effects as dummies among the regressors, where their lags W D are wanted
    too: without rho and lam the residuals are those of demeaning.
    """
    free = periods - 1 if effects.over_periods else periods
    return replace(effects, over_units=False, dummies=free, contrasts=False, quasi=False)


def factorize(
    y: np.ndarray,
    regressors: np.ndarray | Regressors,
    effects: Transformation,
    weights: sparse.csr_array | None,
    error_weights: sparse.csr_array | None,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """R of the transformed lag basis and the part each column plays. y: (T, N); regressors: (T, N,
    k), an array or described.

    One pass over the data; beside them it holds the lags of one period, never the basis or demeaned
    data.
    """
    given = regressors if isinstance(regressors, Regressors) else Regressors(regressors)
    parts = parts_of(given.shape[2], weights is not None, error_weights is not None)
    mean, mean_y = (
        values.mean(axis=0) if effects.over_periods else None for values in (given.x, y)
    )
    factor = np.zeros((len(parts), len(parts)))
    for periods in lag_basis.spans(*y.shape):
        own, response = (
            given.pieces(periods, mean),
            y[periods] if mean_y is None else y[periods] - mean_y,
        )
        if effects.over_units and not effects.lag_first:
            own = [Piece(_across(lag_basis.product(piece).values)) for piece in own]
            response = _across(response[:, :, None])[:, :, 0]
        pieces = lag_basis.basis(response, own, weights, error_weights)
        shift = lag_basis.unit_means(pieces) if effects.over_units and effects.lag_first else 0.0
        for rows in lag_basis.rows(pieces):
            factor = merge(factor, (rows - shift).reshape(-1, len(parts)))
    return factor, parts


def factorize_levels(
    y: np.ndarray,
    regressors: Regressors,
    effects: Transformation,
    weights: sparse.csr_array | None,
    error_weights: sparse.csr_array | None,
) -> tuple[np.ndarray, np.ndarray]:
    """R of the contrasts over time, and R of sqrt(T) times the means over time. Arguments as
    `factorize`.
    """
    root = np.sqrt(len(y))
    within, _ = factorize(
        y, regressors, replace(effects, over_periods=True), weights, error_weights
    )
    means = replace(regressors, x=root * regressors.x.mean(axis=0)[None])
    return within, factorize(root * y.mean(axis=0)[None], means, effects, weights, error_weights)[0]


def _across(values: np.ndarray) -> np.ndarray:
    return demean(values, over_periods=False, over_units=True)
