"""What each kind of effects does to the data and to the likelihood, in one table.

    effects   observations   log-determinant,                    log-determinant,
                             all rows of W summing to c          any other W

    none      N T            T l(rho)                            the same
    unit      N (T-1)        (T-1) l(rho)                        the same
    period    (N-1) T        T [l(rho) - log(1 - c rho)]         T [l(rho) - q(rho)]
    twoway    (N-1)(T-1)     (T-1) [l(rho) - log(1 - c rho)]     (T-1) [l(rho) - q(rho)]
    random    N T            T l(rho)                            the same

with l(rho) = log |I - rho W|. Lee & Yu (2010). The transformed likelihood is also what remains when
the reduced-form effects S(rho)^-1 alpha have a flat prior and are integrated out.

**Any W.** The correction

    q(rho)  = iota' log(I - rho W) iota / N
    q'(rho) = -iota' (I - rho W)^-1 W iota / N

gives the score mean 0 at the truth. With A = I - rho W and residuals e, demeaned to Q e, the score
of l(rho) has in each period the mean

    tr(P U),      U = dA/drho A^-1,  P = I - Q

for any effects and any distribution of the errors. Replacing l by L = tr(Q log A) removes it; Yang
(2018), J. Econometrics 205, corrects scores the same way. Where all rows of W sum to c,
q = log(1 - c rho), there are contrasts of y that are free of the effects, and L is their
log-determinant. Elsewhere L makes a quasi-likelihood: its maximum and its posterior are centred on
the truth, but it is not a density of any data, so that there is no marginal likelihood, likelihood
ratio or information criterion. Its 95 % posterior intervals of SAR held the
truth 94 to 96 % of the time (bench/coverage.py). lam has the same function of M where M = W or
where the rows of both have equal sums; otherwise the corrected score is not a gradient.

**Random effects** of the units are part of the error, u_t = lam M u_t + alpha + e_t (Kapoor,
Kelejian & Prucha 2007). The contrasts over time have variance sigma^2, and the means over time,
times sqrt(T), have variance sigma^2 + T sigma_alpha^2, so that one R of each is sufficient.
Correlated random effects add the means of X and of W X over time to the regressors: Mundlak (1978);
Debarsy (2012).
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
    """How effects are removed from the data, and what remains of the likelihood.

    `over_periods`, `over_units`: demeaning of each unit over the periods, and of each period over
    the units. `dummies`: how many period dummies are among the regressors instead. `nu`: the number
    of observations left. `multiplicity`: how many times the log-determinant counts. `contrasts`:
    whether it is that of contrasts between units, l(rho) - log(1 - c rho), or l(rho) - q(rho) where
    `quasi`. `lag_first`: whether W is applied before demeaning, as the likelihood requires, or
    after it, as in several packages.
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
    """Choose the row of the table for a specification.

    Parameters
    ----------
    spec : Spec
        Model and effects.
    units, periods : int
        N and T.
    closed : bool
        Whether the rows of W, where the model has rho, and of M, where it has lam, have equal sums,
        so that the lag of a period effect is a period effect.
    likelihood : {"transformed", "direct", "lsdv"}
        "transformed" is the table; "direct" and "lsdv" keep N T observations and T l(rho).
    """
    over_periods = spec.effects in ("unit", "twoway")
    period = spec.effects in ("period", "twoway")
    free_periods = periods - 1 if over_periods else periods
    if likelihood == "transformed":
        free_units = units - 1 if period else units
        return Transformation(
            over_periods=over_periods,
            over_units=period,
            dummies=0,
            nu=free_units * free_periods,
            multiplicity=free_periods,
            contrasts=period,
            quasi=period and not closed,
        )
    # where the rows of M have equal sums, S_lam maps period dummies to multiples of themselves, so
    # that demeaning removes them
    as_columns = likelihood == "lsdv" and period and not closed
    return Transformation(
        over_periods=over_periods,
        over_units=period and not as_columns,
        dummies=free_periods if as_columns else 0,
        nu=units * periods,
        multiplicity=periods,
        contrasts=False,
        lag_first=likelihood == "lsdv",
    )


def use_dummies(effects: Transformation, periods: int) -> Transformation:
    """Turn demeaning over units into period dummies among the regressors.

    Tests need the lags of the dummies too. Without rho and lam the residuals are those of
    demeaning.
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
    """R of the transformed lag basis, (columns, columns), and the part of each column.

    It takes one pass over the data. Besides these it holds the lags of a few periods, never the
    whole basis or all demeaned data.

    Parameters
    ----------
    y : array (T, N)
        The response.
    regressors : array (T, N, k) or Regressors
        The regressors D, as an array or as their description.
    effects : Transformation
        How the effects are removed.
    weights, error_weights : sparse array (N, N) or None
        W and M, None where the model lacks rho or lam.
    """
    given = regressors if isinstance(regressors, Regressors) else Regressors(regressors)
    parts = parts_of(given.shape[2], weights is not None, error_weights is not None)
    mean, mean_y = (
        values.mean(axis=0) if effects.over_periods else None for values in (given.x, y)
    )
    factor = np.zeros((len(parts), len(parts)))
    for periods in lag_basis.spans(*y.shape):
        own = given.pieces(periods, mean)
        response = y[periods] if mean_y is None else y[periods] - mean_y
        if effects.over_units and not effects.lag_first:
            own = [Piece(_demean_periods(lag_basis.product(piece).values)) for piece in own]
            response = _demean_periods(response[:, :, None])[:, :, 0]
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
    """R of the contrasts over time and R of the means over time, for random effects.

    The means are multiplied by sqrt(T). Arguments as in `factorize`.
    """
    root, inside = np.sqrt(len(y)), replace(effects, over_periods=True)
    within, _ = factorize(y, regressors, inside, weights, error_weights)
    means = replace(regressors, x=root * regressors.x.mean(axis=0)[None])
    mean_y = root * y.mean(axis=0)[None]
    between, _ = factorize(mean_y, means, effects, weights, error_weights)
    return within, between


def _demean_periods(values: np.ndarray) -> np.ndarray:
    """Values (T, N, k) minus their mean over the units in every period."""
    return demean(values, over_periods=False, over_units=True)
