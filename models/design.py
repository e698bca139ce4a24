"""The regressors of a model, and checks that they and the response are fit for estimation.

The regressors are X, lags of X, and period dummies where they are needed.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse as sparse

from spillover.kernels import lag_basis
from spillover.kernels.errors import DataError
from spillover.kernels.lag_basis import Regressors
from spillover.kernels.moments import merge
from spillover.models.effects import Transformation

MEAN = "mean({})"  # the label of a regressor's mean over time
LAG = "W:"  # prefix of the label of a lagged regressor
INTERCEPT = "Intercept"
# the share of a column that must lie outside the span of the others: at this share its coefficient
# loses nine of sixteen digits
DEPENDENT = 1e-9
# the share of y that must be left unexplained: at this share the rounding of R moves sigma by 1e-4
# of itself, and at a tenth of it by ten times as much
TIGHT = 2e-12


@dataclass(frozen=True)
class Design:
    """The regressors, before demeaning, with their labels.

    `regressors`: their description, (T, N, k), whose columns are computed as they are needed.
    `terms`: k labels. `variables`: the names of the explanatory variables. `own`, `lagged`: for
    each of these the position of its own column and of its lag, -1 where there is none.
    """

    regressors: Regressors
    terms: tuple[str, ...]
    variables: tuple[str, ...]
    own: np.ndarray
    lagged: np.ndarray

    @property
    def columns(self) -> np.ndarray:
        """The regressors as one array, (T, N, k), computed anew at every call."""
        return self.regressors.whole()


def build(
    x: np.ndarray,
    names: tuple[str, ...],
    lagged: tuple[str, ...],
    weights: sparse.csr_array | None,
    periods: tuple[str, ...],
    others: tuple[str, ...] = (),
) -> Design:
    """Build the design: X, then W X, then period dummies.

    Parameters
    ----------
    x : array (T, N, k)
        X by period and unit.
    names : tuple of str
        Labels of the k columns.
    lagged : tuple of str
        The names of the columns whose lag is a regressor too.
    weights : sparse array (N, N) or None
        W; None in a model without W X.
    periods : tuple of str
        Labels of the dummies, which are for the last periods.
    others : tuple of str, optional
        Names whose impacts are of no interest, such as means over time.
    """
    repeated = lagged if weights is not None else ()
    terms = (*names, *(LAG + name for name in repeated), *periods)
    variables = tuple(name for name in names if name != INTERCEPT and name not in others)
    own = np.array([terms.index(name) for name in variables], int)
    lags = np.array(
        [terms.index(LAG + name) if LAG + name in terms else -1 for name in variables], int
    )
    regressors = Regressors(x, weights, tuple(names.index(name) for name in repeated), len(periods))
    return Design(regressors, terms, variables, own, lags)


def average_over_time(
    x: np.ndarray, names: tuple[str, ...], weights: sparse.csr_array
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The means over time of the regressors and of their lags, for correlated random effects.

    Returns the means, (N, m), and their m labels. Mundlak (1978).

    Regressors that do not vary both over time and across units are left out: their means are
    regressors already, or constant.
    """
    own = [i for i, name in enumerate(names) if name != INTERCEPT]
    x, labels = x[:, :, own], [names[i] for i in own]
    mean = x.mean(axis=0)
    size = np.abs(x).max(axis=(0, 1), initial=0.0)
    over_time = np.ptp(x, axis=0).max(axis=0) > DEPENDENT * size
    across_units = np.ptp(mean, axis=0) > DEPENDENT * size
    kept = np.flatnonzero(over_time & across_units)
    lag = weights @ mean[:, kept]
    marked = tuple(MEAN.format(mark + labels[i]) for mark in ("", LAG) for i in kept)
    return np.hstack([mean[:, kept], lag]), marked


def check(design: Design, effects: Transformation) -> None:
    """Refuse a column that the effects absorb, or a combination of the columns before it.

    Raises
    ------
    DataError
        Names the column and says what to do.
    """
    factor, raw = _factorise(design.regressors, effects)
    norms = np.sqrt((factor**2).sum(axis=0))
    for term, before, after in zip(design.terms, raw, norms, strict=True):
        if after <= DEPENDENT * before:
            raise DataError(_explain_absorption(term, effects, zero=before == 0))
    refuse_dependent(factor, design.terms)


def refuse_dependent(factor: np.ndarray, terms: tuple[str, ...]) -> None:
    """Refuse a column that is a linear combination of those before it.

    `factor` is R of the columns, (k, k), none of which is zero.
    """
    factor = factor / np.sqrt((factor**2).sum(axis=0))
    for j, term in enumerate(terms):
        if abs(factor[j, j]) <= DEPENDENT:
            shares = np.abs(scipy.linalg.lstsq(factor[:, :j], factor[:, j])[0])
            others = [terms[i] for i in np.flatnonzero(shares > 1e-6)]
            raise DataError(
                f"Column {term!r} is a linear combination of {', '.join(map(repr, others))}:"
                f" {_way_out(term)}"
            )


def check_response(
    name: str,
    size: float,
    factor: np.ndarray,
    parts: tuple[str, ...],
    terms: tuple[str, ...],
    effects: Transformation,
) -> None:
    """Refuse a response that leaves nothing to estimate sigma from.

    Parameters
    ----------
    name : str
        Name of the response.
    size : float
        Norm of y before the effects are removed.
    factor : array (q, columns)
        R of the lag basis after they are removed.
    parts : tuple of str
        The part of each column of R, as `kernels.moments.parts_of` names them.
    terms : tuple of str
        Labels of the regressors.
    effects : Transformation
        How the effects are removed.

    Raises
    ------
    DataError
        Names the columns that explain the response, and says what to do.
    """
    base, y = factor[:, : len(terms)], factor[:, parts.index("y")]
    if np.linalg.norm(y) <= TIGHT * size:
        raise DataError(
            f"{name!r} is absorbed by the effects, because it does not vary {_direction(effects)}:"
            " choose other effects."
        )
    beta, rest = _least_squares(base, y)
    if np.linalg.norm(rest) <= TIGHT * size:
        shares = np.abs(beta) * np.sqrt((base**2).sum(axis=0))
        makers = np.flatnonzero(shares > 1e-6 * np.linalg.norm(y))
        raise DataError(
            f"{name!r} is a linear combination of {', '.join(repr(terms[i]) for i in makers)},"
            f" {_nothing_left(rest, size)}: leave out"
            " what repeats it."
        )
    if "wy" not in parts:
        return
    _, lag = _least_squares(base, factor[:, parts.index("wy")])
    rho = rest @ lag / max(lag @ lag, np.finfo(float).tiny)
    if np.linalg.norm(rest - rho * lag) <= TIGHT * size:
        raise DataError(
            f"{name!r} is {rho:.6g} times its spatial lag plus a linear combination of the"
            f" regressors, {_nothing_left(rest - rho * lag, size)}: leave out what repeats it, or"
            " give more observations than coefficients."
        )


def _least_squares(base: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The coefficients of values, (q,), on the columns of base, (q, k), and what is left."""
    beta = scipy.linalg.lstsq(base, values)[0]
    return beta, values - base @ beta


def _nothing_left(rest: np.ndarray, size: float) -> str:
    """How little is left of a response of this size, in words."""
    return (
        f"to {np.linalg.norm(rest) / size:.0e} of its size, where the rounding of 64-bit numbers"
        " begins; nothing is left for sigma"
    )


def _factorise(regressors: Regressors, effects: Transformation) -> tuple[np.ndarray, np.ndarray]:
    """R of the demeaned columns, (k, k), and the norms of the columns before, (k,).

    The norms come from |x|^2 = |x - x-bar|^2 + T |x-bar|^2, x-bar the mean over the periods.
    """
    periods, units, k = regressors.shape
    mean = regressors.x.mean(axis=0) if effects.over_periods else None
    factor, squares = np.zeros((k, k)), np.zeros(k)
    for span in lag_basis.spans(periods, units):
        pieces = regressors.pieces(span, mean)
        shift = lag_basis.unit_means(pieces) if effects.over_units else 0.0
        for rows in lag_basis.rows(pieces):
            squares += np.einsum("tnk,tnk->k", rows, rows)
            factor = merge(factor, (rows - shift).reshape(-1, k))
    if mean is not None:
        about = Regressors(mean[None], regressors.weights, regressors.lagged)
        level = sum(
            np.einsum("tnk,tnk->k", rows, rows)
            for rows in lag_basis.rows(about.pieces(slice(None)))
        )
        squares += np.append(periods * level, np.full(regressors.dummies, units / periods))
    return factor, np.sqrt(squares)


def _explain_absorption(term: str, effects: Transformation, *, zero: bool) -> str:
    """Why nothing is left of a column, and what to do."""
    if zero:
        return f"Column {term!r} is zero everywhere: {_way_out(term)}"
    return (
        f"Column {term!r} is absorbed by the effects, because it does not vary"
        f" {_direction(effects)}: {_way_out(term)}"
    )


def _direction(effects: Transformation) -> str:
    """In which direction a column has to vary to survive the effects, in words."""
    across = [
        word
        for word, out in (("over time", effects.over_periods), ("across units", effects.over_units))
        if out
    ]
    return " once it is demeaned ".join(across)


def _way_out(term: str) -> str:
    """What to do about a column that cannot stay."""
    if term.startswith(LAG):
        return f"leave {term.removeprefix(LAG)!r} out of lagged=[...]."
    return "leave it out of the formula, or choose other effects."
