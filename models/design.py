"""The regressors of a model: X, the lags of X, period dummies where they are needed, and a check that they can be told apart."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse as sparse

from spillover.kernels.errors import DataError
from spillover.kernels.moments import lag, r_factor
from spillover.kernels.within import demean
from spillover.models.effects import Transformation

LAG = "W:"  # a lagged regressor's label is this before the regressor's
INTERCEPT = "Intercept"
DEPENDENT = 1e-9  # share of a column that must lie outside the others for its coefficient to have nine digits left of sixteen


@dataclass(frozen=True)
class Design:
    """Regressor columns in time-major order, before demeaning, with their labels.

    `columns`: (T, N, k); `terms`: k labels. `own` and `lagged` give for each explanatory variable the position of its own column and of
    its lag, -1 where there is none; `variables` their names.
    """

    columns: np.ndarray
    terms: tuple[str, ...]
    variables: tuple[str, ...]
    own: np.ndarray
    lagged: np.ndarray


def build(
    x: np.ndarray, names: tuple[str, ...], lagged: tuple[str, ...], weights: sparse.csr_array | None, periods: tuple[str, ...]
) -> Design:
    """X, then W X for the `lagged` names, then a dummy for each label in `periods` (the last ones). x: (T, N, k)."""
    blocks, terms = [x], list(names)
    if lagged and weights is not None:
        blocks.append(lag(weights, x[:, :, [names.index(name) for name in lagged]]))
        terms += [LAG + name for name in lagged]
    if periods:
        dummies = np.zeros((*x.shape[:2], len(periods)))
        first = x.shape[0] - len(periods)
        dummies[np.arange(first, x.shape[0]), :, np.arange(len(periods))] = 1
        blocks.append(dummies)
        terms += list(periods)
    variables = tuple(name for name in names if name != INTERCEPT)
    own = np.array([terms.index(name) for name in variables], int)
    lags = np.array([terms.index(LAG + name) if LAG + name in terms else -1 for name in variables], int)
    return Design(np.concatenate(blocks, axis=2), tuple(terms), variables, own, lags)


def check(design: Design, effects: Transformation) -> None:
    """Refuse, by name, a column that the effects absorb or that the columns before it reproduce; DataError says which and the way out."""
    raw = np.sqrt((design.columns**2).sum(axis=(0, 1)))
    within = demean(design.columns, over_periods=effects.over_periods, over_units=effects.over_units)
    norms = np.sqrt((within**2).sum(axis=(0, 1)))
    for term, before, after in zip(design.terms, raw, norms, strict=True):
        if after <= DEPENDENT * before:
            raise DataError(_absorbed(term, effects, zero=before == 0))
    factor = r_factor(within / norms)
    for j, term in enumerate(design.terms):
        if abs(factor[j, j]) <= DEPENDENT:
            shares = np.abs(scipy.linalg.lstsq(factor[:, :j], factor[:, j])[0])
            others = [design.terms[i] for i in np.flatnonzero(shares > 1e-6)]
            raise DataError(f"Column {term!r} is a linear combination of {', '.join(map(repr, others))}: {_way_out(term)}")


def _absorbed(term: str, effects: Transformation, *, zero: bool) -> str:
    if zero:
        return f"Column {term!r} is zero everywhere: {_way_out(term)}"
    across = [word for word, out in (("over time", effects.over_periods), ("across units", effects.over_units)) if out]
    variation = " once it is demeaned ".join(across)
    return f"Column {term!r} is absorbed by the effects, because it does not vary {variation}: {_way_out(term)}"


def _way_out(term: str) -> str:
    if term.startswith(LAG):
        return f"leave {term.removeprefix(LAG)!r} out of lagged=[...]."
    return "leave it out of the formula, or choose other effects."
