"""Exploration of spatial autocorrelation: Moran's I of a variable, of every period of a panel, and
of every unit.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sparse
import scipy.stats

from spillover.engine.data.interpolation import check_columns
from spillover.engine.labels import align, as_numbers, check_periods, check_told_apart, few
from spillover.engine.weights.checks import SAME, how_to_make
from spillover.engine.weights.weights import Weights
from spillover.kernels.arguments import choice, expect, flag, front_door, label, real, whole
from spillover.kernels.arguments import seed as as_seed
from spillover.kernels.errors import DataError
from spillover.models import moran as formulas

ASSUMPTIONS = ("randomisation", "normality")
ISLANDS = ("adjust", "count")
MOST_PERMUTATIONS = 10_000_000
FEWEST = 4  # units: the variance under randomisation divides by n - 3
UNCLEAR, NOWHERE = "not significant", "no neighbours"


@dataclass(frozen=True, eq=False, repr=False)
class Moran:
    """Moran's I of one variable and its test against no spatial autocorrelation.

    `statistic`: I; `expected`, `sd`: its mean and standard deviation under the `assumption`, z = (I
    - expected) / sd and `p_value` its normal tail; `p_permutation`: from `permutations` random
    arrangements, NaN without any; `n`: the number of units in the formulas. `scatter`: by unit,
    `value` (x standardised by its population sd) and `lag` (n / S0 times the lag of value, so that
    the slope of lag on value is I; for W whose rows sum to one the plain lag).
    """

    name: str
    statistic: float
    expected: float
    sd: float
    z: float
    p_value: float
    p_permutation: float
    permutations: int
    n: int
    alternative: str
    assumption: str
    scatter: pd.DataFrame

    @property
    def row(self) -> dict[str, float]:
        """I, expected, sd, z, p and p_permutation."""
        values = (self.statistic, self.expected, self.sd, self.z, self.p_value, self.p_permutation)
        return dict(zip(("I", "expected", "sd", "z", "p", "p_permutation"), values, strict=True))

    def __repr__(self) -> str:
        return _printed(pd.DataFrame([self.row], index=[self.name]))


@dataclass(frozen=True, eq=False, repr=False)
class MoranPanel:
    """Moran's I of every period: `tests`, a `Moran` for each of `periods`, in their order."""

    tests: tuple[Moran, ...]
    periods: pd.Index

    @cached_property
    def table(self) -> pd.DataFrame:
        """I, expected, sd, z, p and p_permutation by period."""
        return pd.DataFrame([test.row for test in self.tests], index=self.periods)

    def __repr__(self) -> str:
        return _printed(self.table)


@dataclass(frozen=True, eq=False, repr=False)
class MoranLocal:
    """Local Moran's I of every unit; see `moran_local` for the columns of `table`, which is indexed
    by unit.
    """

    name: str
    table: pd.DataFrame
    permutations: int
    alternative: str
    conditional: bool
    fdr: float

    def __repr__(self) -> str:
        counts = ", ".join(
            f"{count} {label}"
            for label, count in self.table["cluster"].value_counts().sort_index().items()
        )
        return (
            f"Local Moran's I of {self.name} at a false-discovery rate of {self.fdr:g}:"
            f" {counts}\n{_printed(self.table)}"
        )


@front_door
def moran(
    x: Any,
    W: Weights,
    *,
    permutations: int = 999,
    seed: int = 0,
    alternative: str = "greater",
    assumption: str = "randomisation",
    islands: str = "adjust",
) -> Any:  # Moran | MoranPanel, by the type of x, which pandas does not declare
    """Moran's I, the slope of the spatial lag of x on x, and its test against no spatial
    autocorrelation.

    I = (n / S0) z'Wz / z'z, z = x - mean(x), S0 = sum_ij w_ij; E[I] = -1 / (n - 1). W is used as it
    is: row-standardise it first for the usual I.

    `x`: an array (n,) in the order of W.ids, or a Series matched to W.ids by its index: a `Moran`.
    A DataFrame, units down and periods across, also matched by its index: a `MoranPanel`, a test a
    column (see `moran_by_period` for a long table). `assumption`: of the analytic p-value,
    "randomisation" (every arrangement of the values over the units is equally likely) or
    "normality". `p_permutation` is (count + 1) / (permutations + 1); each column meets the same
    arrangements, those of `seed`. `alternative`: "greater" (neighbours are alike), "less" or
    "two-sided" (twice the smaller tail). `islands`: units without neighbours belong to x and to z'z
    in any case; "adjust" leaves them out of n, as R's spdep does, "count" counts them, for which
    the moments are exact, as Python's esda does.

    Raises DataError for missing values, a constant x, fewer than 4 units and a variance of I that
    is not positive, WeightsError for other labels or shapes, and SpecificationError for options
    that do not exist.

    >>> from spillover.engine.data.datasets import munnell
    >>> frame, W = munnell()
    >>> unemp = frame[frame["year"] == 1986].set_index("state")["unemp"]
    >>> moran(unemp, W.row_standardize())
               I  expected      sd     z         p  p_permutation
    unemp 0.4752  -0.02128 0.09685 5.126 1.477e-07          0.002

    Source: Cliff & Ord (1981), Spatial Processes, chapters 1 and 2.
    """
    _check_options(W, permutations, seed, alternative)
    choice("is no assumption", assumption, ASSUMPTIONS)
    choice("is no way with islands", islands, ISLANDS)
    deviations, names = _columns(x, W)
    n = W.n - (len(W.islands) if islands == "adjust" else 0)
    if n < FEWEST:
        raise DataError(f"{n} units with neighbours: the variance of I needs at least {FEWEST}.")
    about = formulas.sums(W.matrix, n)
    plan = _Plan(permutations, seed, alternative, assumption)
    tests = tuple(
        _moran(z, W, about, str(name), plan) for name, z in zip(names, deviations, strict=True)
    )
    return MoranPanel(tests, names) if isinstance(x, pd.DataFrame) else tests[0]


@front_door
def moran_by_period(
    frame: pd.DataFrame, column: str, W: Weights, *, unit: str, period: str, **options: Any
) -> MoranPanel:
    """Moran's I of a column of a long table in every period: `moran` of that column laid out as
    units by periods.

    `frame`: one row a (unit, period), in any order; `unit`, `period`: the columns that name them;
    `options`: those of `moran`. Raises DataError for columns that are not there, missing labels,
    periods that are numbers stored as text out of their order, and (unit, period) pairs that are
    repeated or have no value.

    >>> from spillover.engine.data.datasets import munnell
    >>> frame, W = munnell()
    >>> moran_by_period(frame, "unemp", W.row_standardize(), unit="state", period="year").table[
    ...     "I"
    ... ].round(3).head(3)
    year
    1970    0.270
    1971    0.310
    1972    0.373
    Name: I, dtype: float64
    """
    for name, value in (("column", column), ("unit", unit), ("period", period)):
        label(name, value)
    check_columns(frame, [column, unit, period])
    for name in (unit, period):
        if frame[name].isna().any():
            raise DataError(
                f"Column {name!r} is missing in {frame[name].isna().sum()} rows: drop them or fill"
                " them in."
            )
    twice = frame.duplicated([unit, period])
    if twice.any():
        pairs = list(frame.loc[twice, [unit, period]].itertuples(index=False, name=None))
        raise DataError(
            f"{len(pairs)} rows repeat a unit and period: {few(pairs)}. Aggregate them or drop the"
            " copies."
        )
    check_told_apart(pd.Index(frame[unit].unique()), f"labels in column {unit!r}", DataError)
    check_periods(pd.Index(frame[period].unique()), period)
    return moran(frame.pivot(index=unit, columns=period, values=column), W, **options)


@front_door
def moran_local(
    x: Any,
    W: Weights,
    *,
    permutations: int = 999,
    seed: int = 0,
    alternative: str = "two-sided",
    conditional: bool = True,
    fdr: float = 0.05,
) -> MoranLocal:
    """Local Moran's I: how much each unit is like its neighbours, and which units form clusters.

    I_i = z_i (Wz)_i / m2, z = x - mean(x), m2 = z'z / n (R's spdep; Python's esda divides by z'z /
    (n - 1)). `x`: an array (n,) in the order of W.ids, or a Series matched to W.ids by its index.

    Columns of the table: `I`; `expected` and `sd`, given z_i with conditional=True, over all
    arrangements with conditional=False; `z` = (I - expected) / sd and `p`, its normal tail;
    `p_permutation`, with x_i held and its neighbours drawn from the others, NaN without
    permutations; `p_adjusted`, of p_permutation (of p without permutations) for the false-discovery
    rate over the units (Benjamini & Hochberg); `quadrant`, the unit, then its neighbours: HH, LH,
    LL or HL, high meaning above 0 in z and in Wz; `cluster`: the quadrant where p_adjusted <=
    `fdr`, else "not significant". Units without neighbours have I = 0, NaN in z and every p, and
    "no neighbours". With two-sided tests no p_permutation is below 2 / (permutations + 1): take
    more of them where few units of many could form a cluster.

    Raises what `moran` raises.

    >>> from spillover.engine.data.datasets import munnell
    >>> frame, W = munnell()
    >>> unemp = frame[frame["year"] == 1986].set_index("state")["unemp"]
    >>> found = moran_local(unemp, W.row_standardize(), permutations=9999, fdr=0.1)
    >>> sorted(found.table.index[found.table["cluster"] == "HH"])
    ['ARKANSAS', 'LOUISIANA', 'MISSISSIPPI', 'TEXAS']

    Source: Anselin (1995, Geographical Analysis 27); moments: Sokal, Oden & Thomson (1998,
    Geographical Analysis 30); false discoveries: Caldas de Castro & Singer (2006, Geographical
    Analysis 38).
    """
    _check_options(W, permutations, seed, alternative)
    flag("conditional", conditional)
    real("fdr", fdr, 0, 1, example=0.05)
    if isinstance(x, pd.DataFrame):
        raise DataError("moran_local takes one variable: give a column of the table, x[name].")
    (deviation, *_), names = _columns(x, W)
    if W.n < FEWEST:
        raise DataError(f"{W.n} units: local Moran's I needs at least {FEWEST}.")
    matrix, lonely = W.matrix, np.diff(W.matrix.indptr) == 0
    table = _local_tests(deviation, matrix, alternative, conditional)
    table["p_permutation"] = np.nan
    if permutations:
        counts = formulas.count_local_extremes(
            deviation, matrix, permutations, np.random.default_rng(seed)
        )
        table["p_permutation"] = formulas.p_permutation(*counts, permutations, alternative)
    table.loc[lonely, "p_permutation"] = np.nan
    table["p_adjusted"] = _adjusted(table["p_permutation" if permutations else "p"].to_numpy())
    table["quadrant"] = np.where(lonely, NOWHERE, _quadrants(deviation, matrix @ deviation))
    found = (table["p_adjusted"] <= fdr).to_numpy() | lonely
    table["cluster"] = table["quadrant"].where(found, UNCLEAR)
    return MoranLocal(
        str(names[0]), table.set_axis(W.ids), permutations, alternative, conditional, fdr
    )


@dataclass(frozen=True)
class _Plan:
    """The options of a test."""

    permutations: int
    seed: int
    alternative: str
    assumption: str


def _moran(z: np.ndarray, W: Weights, about: formulas.Sums, name: str, plan: _Plan) -> Moran:
    """The test of one column of deviations."""
    moments = (
        formulas.normality(about)
        if plan.assumption == "normality"
        else formulas.randomisation(z, about)
    )
    if moments.variance <= SAME / about.n:  # Var[I] is of the order 1 / n
        raise DataError(
            f"The variance of I of {name} under {plan.assumption} is {moments.variance:.3g}: W"
            " links every unit to every other alike, or has too few units with neighbours; with"
            ' islands say islands="count".'
        )
    expected, sd = float(moments.mean), float(np.sqrt(moments.variance))
    observed, value = float(formulas.statistic(z, W.matrix, about)), z / np.sqrt((z * z).mean())
    score, by_chance = (observed - expected) / sd, np.nan
    if plan.permutations:
        drawn = formulas.permute(
            z, W.matrix, about, plan.permutations, np.random.default_rng(plan.seed)
        )
        size = float(formulas.statistic(np.abs(z), W.matrix, about))  # of the terms that I adds
        by_chance = float(
            formulas.p_permutation(
                *formulas.count_extremes(drawn, observed, size), plan.permutations, plan.alternative
            )
        )
    return Moran(
        name=name,
        statistic=observed,
        expected=expected,
        sd=sd,
        z=score,
        p_value=float(formulas.p_normal(np.array(score), plan.alternative)),
        p_permutation=by_chance,
        permutations=plan.permutations,
        n=about.n,
        alternative=plan.alternative,
        assumption=plan.assumption,
        scatter=pd.DataFrame(
            {"value": value, "lag": about.n / about.s0 * (W.matrix @ value)}, index=W.ids
        ),
    )


def _local_tests(
    z: np.ndarray, W: sparse.csr_array, alternative: str, conditional: bool
) -> pd.DataFrame:
    """I, expected, sd, z and p of every unit; z and p are NaN where every arrangement gives the
    same I_i.
    """
    observed = formulas.local(z, W)
    mean, variance = (formulas.local_conditional if conditional else formulas.local_unconditional)(
        z, W
    )
    # of the terms of the variance
    size = np.asarray((W * W).sum(axis=1)) * (z * z / (z * z).mean() if conditional else 1.0)
    random = variance > SAME * size
    sd = np.sqrt(np.where(random, variance, 0.0))
    score = np.divide(observed - mean, sd, out=np.full(len(z), np.nan), where=random)
    return pd.DataFrame(
        {
            "I": observed,
            "expected": mean,
            "sd": sd,
            "z": score,
            "p": formulas.p_normal(score, alternative),
        }
    )


def _quadrants(z: np.ndarray, lag: np.ndarray) -> np.ndarray:
    return np.where(z > 0, np.where(lag > 0, "HH", "HL"), np.where(lag > 0, "LH", "LL"))


def _adjusted(p: np.ndarray) -> np.ndarray:
    """p adjusted for the false-discovery rate among those that are not NaN."""
    out, there = np.full(len(p), np.nan), ~np.isnan(p)
    if there.any():
        out[there] = scipy.stats.false_discovery_control(p[there], method="bh")
    return out


def _columns(x: Any, W: Weights) -> tuple[np.ndarray, pd.Index]:
    """Deviations from the mean, (columns, n), units in the order of W.ids, and the names of the
    columns.
    """
    values = as_numbers(x, "x")
    if isinstance(x, pd.Series | pd.DataFrame):
        values = values[align(W.ids, x.index)]
        names = (
            x.columns
            if isinstance(x, pd.DataFrame)
            else pd.Index(["x" if x.name is None else x.name])
        )
    else:
        names = pd.Index(["x"])
        if values.shape != (W.n,):
            raise DataError(
                f"x has shape {values.shape}: give ({W.n},), a value a unit in the order of W.ids;"
                " for several periods a DataFrame."
            )
    values = values.reshape(W.n, -1)
    if not values.shape[1]:
        raise DataError("x has no columns: give one for each period.")
    _check_values(values, W.ids, names, several=isinstance(x, pd.DataFrame))
    # a column is summed in the same order alone and among others
    columns = np.ascontiguousarray(values.T)
    return columns - columns.mean(axis=1, keepdims=True), names


def _check_values(values: np.ndarray, ids: pd.Index, names: pd.Index, *, several: bool) -> None:
    row, column = np.nonzero(~np.isfinite(values))
    if len(row):
        units, periods = ids[row].tolist(), names[column].tolist()
        where = list(zip(units, periods, strict=True)) if several else units
        raise DataError(
            f"{len(row)} values are missing or infinite: {few(where)}. Fill them in, or leave those"
            " units out of x and of W with W[ids]."
        )
    constant = np.ptp(values, axis=0) <= SAME * np.abs(values).max(axis=0)
    if constant.any():
        raise DataError(
            f"{few(names[constant], str)} is the same in every unit: Moran's I needs a variable"
            " that varies."
        )


def _check_options(W: Any, permutations: Any, seed: Any, alternative: Any) -> None:
    expect("W", W, Weights, how_to_make(W))
    if len(W.islands) == W.n:
        raise DataError("No unit has neighbours: W is zero.")
    whole("permutations", permutations, least=0, most=MOST_PERMUTATIONS, example=999)
    as_seed(seed)
    choice("is no alternative", alternative, formulas.ALTERNATIVES)


def _printed(table: pd.DataFrame) -> str:
    return table.to_string(float_format=lambda number: f"{number:.4g}")
