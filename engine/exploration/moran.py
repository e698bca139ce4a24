"""Tests for spatial autocorrelation: Moran's I of a variable, of every period, of every unit."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sparse
import scipy.stats

from spillover.engine.data.columns import check_columns
from spillover.engine.labels import align, as_numbers, check_periods, check_told_apart, few
from spillover.engine.weights.checks import SAME
from spillover.engine.weights.weights import Weights, as_weights
from spillover.kernels.arguments import choice, flag, front_door, label, real, whole
from spillover.kernels.arguments import seed as as_seed
from spillover.kernels.errors import DataError
from spillover.models import moran as moran_formulas

ASSUMPTIONS = ("randomisation", "normality")
ISLANDS = ("adjust", "count")
MOST_PERMUTATIONS = 10_000_000
FEWEST = 4  # units, at least: the variance under randomisation divides by n - 3
UNCLEAR, NOWHERE = "not significant", "no neighbours"


@dataclass(frozen=True, eq=False, repr=False)
class Moran:
    """Moran's I of one variable, and its test against no spatial autocorrelation.

    Attributes
    ----------
    name : str
        Name of the variable.
    statistic : float
        Moran's I.
    expected, sd : float
        Mean and standard deviation of I without spatial autocorrelation, under the `assumption`.
    z : float
        (I - expected) / sd.
    p_value : float
        The tail of the normal distribution beyond `z`.
    p_permutation : float
        The p-value from `permutations` random arrangements of the values; NaN without any.
    permutations : int
        Number of random arrangements.
    n : int
        Number of units in the formulas, which may leave out units without neighbours.
    alternative : str
        "greater", "less" or "two-sided".
    assumption : str
        "randomisation" or "normality".
    scatter : DataFrame
        The Moran scatter plot, by unit: `value`, x standardised by its population standard
        deviation, and `lag`, n / S0 times the spatial lag of value, so that I is the slope of lag
        on value. Where the rows of W sum to one, this is the plain lag.

    See Also
    --------
    moran : Makes it.
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
        """I, expected, sd, z, p and p_permutation, under these names."""
        values = (self.statistic, self.expected, self.sd, self.z, self.p_value, self.p_permutation)
        return dict(zip(("I", "expected", "sd", "z", "p", "p_permutation"), values, strict=True))

    def __repr__(self) -> str:
        return _format_table(pd.DataFrame([self.row], index=[self.name]))


@dataclass(frozen=True, eq=False, repr=False)
class MoranPanel:
    """Moran's I of every period of a panel.

    Attributes
    ----------
    tests : tuple of Moran
        The test of each period.
    periods : Index
        The labels of the periods, in the same order.

    See Also
    --------
    moran_by_period : Makes it from a long table.
    """

    tests: tuple[Moran, ...]
    periods: pd.Index

    @cached_property
    def table(self) -> pd.DataFrame:
        """I, expected, sd, z, p and p_permutation, one row per period."""
        return pd.DataFrame([test.row for test in self.tests], index=self.periods)

    def __repr__(self) -> str:
        return _format_table(self.table)


@dataclass(frozen=True, eq=False, repr=False)
class MoranLocal:
    """Local Moran's I of every unit.

    Attributes
    ----------
    name : str
        Name of the variable.
    table : DataFrame
        One row per unit; `moran_local` describes the columns.
    permutations : int
        Number of random arrangements.
    alternative : str
        "greater", "less" or "two-sided".
    conditional : bool
        Whether the moments are conditional on the unit's own value.
    fdr : float
        The false-discovery rate of the clusters.

    See Also
    --------
    moran_local : Makes it.
    """

    name: str
    table: pd.DataFrame
    permutations: int
    alternative: str
    conditional: bool
    fdr: float

    def __repr__(self) -> str:
        sizes = self.table["cluster"].value_counts().sort_index()
        counts = ", ".join(f"{count} {label}" for label, count in sizes.items())
        return (
            f"Local Moran's I of {self.name} at a false-discovery rate of {self.fdr:g}:"
            f" {counts}\n{_format_table(self.table)}"
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
    """Test for spatial autocorrelation by Moran's I.

    I is the slope of the spatial lag of x on x::

        I = (n / S0) z'Wz / z'z,   z = x - mean(x),   S0 = sum_ij w_ij,   E[I] = -1 / (n - 1)

    W is used as it is: row-standardise it first for the usual I.

    Parameters
    ----------
    x : array (N,), Series or DataFrame
        The variable. An array is in the order of `W.ids`; a Series is matched to them by its index.
        A DataFrame has one row per unit and one column per period, and each column is tested.
    W : Weights
        The spatial weights (N, N).
    permutations : int, default 999
        Number of random arrangements of the values over the units. The p-value from them is
        (count + 1) / (permutations + 1). With 0, `p_permutation` is NaN.
    seed : int, default 0
        Seed of the arrangements; each column of a DataFrame gets the same ones.
    alternative : {"greater", "less", "two-sided"}, default "greater"
        The alternative hypothesis: neighbours are alike, unlike, or either. The two-sided p-value
        is twice the smaller tail.
    assumption : {"randomisation", "normality"}, default "randomisation"
        What the analytic p-value rests on: every arrangement of the values over the units is
        equally likely, or the values are independent and normal.
    islands : {"adjust", "count"}, default "adjust"
        Whether units without neighbours count in n. "adjust" leaves them out, as R's spdep does.
        "count" includes them, as Python's esda does, with exact moments. In either case they are
        part of x and of z'z.

    Returns
    -------
    Moran or MoranPanel
        A `MoranPanel` for a DataFrame, a `Moran` for anything else.

    Raises
    ------
    DataError
        For missing values, an array of another length, a constant x, fewer than 4 units with
        neighbours, and a variance of I that is not positive.
    WeightsError
        For labels other than those of the weights, and for values that are not numbers.
    SpecificationError
        For a W that is not a `Weights`, and for options that do not exist.

    See Also
    --------
    moran_by_period : The same from a long table.
    moran_local : Which units make the clusters.

    Examples
    --------
    >>> from spillover.engine.data.datasets import munnell
    >>> frame, W = munnell()
    >>> unemp = frame[frame["year"] == 1986].set_index("state")["unemp"]
    >>> moran(unemp, W.row_standardize())
               I  expected      sd     z         p  p_permutation
    unemp 0.4752  -0.02128 0.09685 5.126 1.477e-07          0.002

    References
    ----------
    Cliff & Ord (1981), Spatial Processes, chapters 1 and 2.
    """
    _check_options(W, permutations, seed, alternative)
    choice("is no assumption", assumption, ASSUMPTIONS)
    choice("is no way with islands", islands, ISLANDS)
    deviations, names = _center(x, W)
    n = W.n - (len(W.islands) if islands == "adjust" else 0)
    if n < FEWEST:
        raise DataError(f"{n} units with neighbours: the variance of I needs at least {FEWEST}.")
    about = moran_formulas.sums(W.matrix, n)
    options = _Options(permutations, seed, alternative, assumption)
    tests = tuple(
        _test(z, W, about, str(name), options) for name, z in zip(names, deviations, strict=True)
    )
    return MoranPanel(tests, names) if isinstance(x, pd.DataFrame) else tests[0]


@front_door
def moran_by_period(
    frame: pd.DataFrame, column: str, W: Weights, *, unit: str, period: str, **options: Any
) -> MoranPanel:
    """Test a column of a long table for spatial autocorrelation, period by period.

    This is `moran` of the column, laid out as units by periods.

    Parameters
    ----------
    frame : DataFrame
        One row per (unit, period), in any order.
    column : str
        The column to test.
    W : Weights
        The spatial weights of the units.
    unit, period : str
        The columns that name the unit and the period of a row.
    **options
        `permutations`, `seed`, `alternative`, `assumption` and `islands` of `moran`.

    Returns
    -------
    MoranPanel
        A test for each period.

    Raises
    ------
    DataError
        For columns that do not exist, missing labels, periods that are numbers stored as text and
        sort in the wrong order, and (unit, period) pairs that are repeated or have no value.
    WeightsError, SpecificationError
        As for `moran`.

    Examples
    --------
    >>> from spillover.engine.data.datasets import munnell
    >>> frame, W = munnell()
    >>> tests = moran_by_period(frame, "unemp", W.row_standardize(), unit="state", period="year")
    >>> tests.table["I"].round(3).head(3)
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
    tests: MoranPanel = moran(frame.pivot(index=unit, columns=period, values=column), W, **options)
    return tests


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
    """Find spatial clusters by local Moran's I: how much each unit is like its neighbours.

    The statistic of unit i is, as in R's spdep (Python's esda divides by z'z / (n - 1))::

        I_i = z_i (Wz)_i / m2,   z = x - mean(x),   m2 = z'z / n

    Parameters
    ----------
    x : array (N,) or Series
        The variable. An array is in the order of `W.ids`; a Series is matched to them by its index.
    W : Weights
        The spatial weights (N, N).
    permutations : int, default 999
        Number of random arrangements, in which the unit keeps its value and its neighbours' values
        are drawn from the other units. No two-sided p-value is below 2 / (permutations + 1), so
        take more where a few units among many could form a cluster. With 0, the normal p-values
        decide.
    seed : int, default 0
        Seed of the arrangements.
    alternative : {"two-sided", "greater", "less"}, default "two-sided"
        The alternative hypothesis of each test: the unit is like or unlike its neighbours, like
        them, or unlike them.
    conditional : bool, default True
        Whether the moments of I_i are conditional on z_i, rather than over all arrangements of the
        values.
    fdr : float in (0, 1), default 0.05
        The false-discovery rate over the units, by Benjamini and Hochberg.

    Returns
    -------
    MoranLocal
        Its table has one row per unit:

        - `I`; its moments `expected` and `sd`; `z` = (I - expected) / sd; `p`, the normal tail.
        - `p_permutation`: the p-value from the arrangements, NaN without any.
        - `p_adjusted`: `p_permutation`, or else `p`, adjusted for the false-discovery rate.
        - `quadrant`: HH, LH, LL or HL, the unit first, then its neighbours. High means above 0, in
          z and in Wz.
        - `cluster`: the quadrant where p_adjusted <= fdr, "not significant" elsewhere.

        A unit without neighbours has I = 0, NaN in z and every p, and "no neighbours" as its
        quadrant and cluster.

    Raises
    ------
    DataError, WeightsError, SpecificationError
        As for `moran`; DataError also for a DataFrame.

    Examples
    --------
    >>> from spillover.engine.data.datasets import munnell
    >>> frame, W = munnell()
    >>> unemp = frame[frame["year"] == 1986].set_index("state")["unemp"]
    >>> local = moran_local(unemp, W.row_standardize(), permutations=9999, fdr=0.1)
    >>> sorted(local.table.index[local.table["cluster"] == "HH"])
    ['ARKANSAS', 'LOUISIANA', 'MISSISSIPPI', 'TEXAS']

    References
    ----------
    Anselin (1995), Geographical Analysis 27. Moments: Sokal, Oden & Thomson (1998), Geographical
    Analysis 30. False discoveries: Caldas de Castro & Singer (2006), Geographical Analysis 38.
    """
    _check_options(W, permutations, seed, alternative)
    flag("conditional", conditional)
    real("fdr", fdr, 0, 1, example=0.05)
    if isinstance(x, pd.DataFrame):
        raise DataError("moran_local takes one variable: give a column of the table, x[name].")
    (deviation, *_), names = _center(x, W)
    if W.n < FEWEST:
        raise DataError(f"{W.n} units: local Moran's I needs at least {FEWEST}.")
    matrix, isolated = W.matrix, np.diff(W.matrix.indptr) == 0
    table = _test_units(deviation, matrix, alternative, conditional)
    table["p_permutation"] = np.nan
    if permutations:
        counts = moran_formulas.count_local_extremes(
            deviation, matrix, permutations, np.random.default_rng(seed)
        )
        table["p_permutation"] = moran_formulas.p_permutation(*counts, permutations, alternative)
    table.loc[isolated, "p_permutation"] = np.nan
    table["p_adjusted"] = _adjust(table["p_permutation" if permutations else "p"].to_numpy())
    table["quadrant"] = np.where(isolated, NOWHERE, _name_quadrants(deviation, matrix @ deviation))
    named = (table["p_adjusted"] <= fdr).to_numpy() | isolated
    table["cluster"] = table["quadrant"].where(named, UNCLEAR)
    return MoranLocal(
        name=str(names[0]),
        table=table.set_axis(W.ids),
        permutations=permutations,
        alternative=alternative,
        conditional=conditional,
        fdr=fdr,
    )


@dataclass(frozen=True)
class _Options:
    """The options of a test."""

    permutations: int
    seed: int
    alternative: str
    assumption: str


def _test(
    z: np.ndarray, W: Weights, about: moran_formulas.Sums, name: str, options: _Options
) -> Moran:
    """Test one column of deviations."""
    moments = (
        moran_formulas.normality(about)
        if options.assumption == "normality"
        else moran_formulas.randomisation(z, about)
    )
    if moments.variance <= SAME / about.n:  # Var[I] is of the order 1 / n
        raise DataError(
            f"The variance of I of {name} under {options.assumption} is {moments.variance:.3g}: W"
            " links every unit to every other alike, or has too few units with neighbours; with"
            ' islands say islands="count".'
        )
    expected, sd = float(moments.mean), float(np.sqrt(moments.variance))
    observed = float(moran_formulas.statistic(z, W.matrix, about))
    score, value = (observed - expected) / sd, z / np.sqrt((z * z).mean())
    by_chance = np.nan
    if options.permutations:
        drawn = moran_formulas.permute(
            z, W.matrix, about, options.permutations, np.random.default_rng(options.seed)
        )
        # ties are judged relative to the size of the terms that I sums
        size = float(moran_formulas.statistic(np.abs(z), W.matrix, about))
        by_chance = float(
            moran_formulas.p_permutation(
                *moran_formulas.count_extremes(drawn, observed, size),
                options.permutations,
                options.alternative,
            )
        )
    return Moran(
        name=name,
        statistic=observed,
        expected=expected,
        sd=sd,
        z=score,
        p_value=float(moran_formulas.p_normal(np.array(score), options.alternative)),
        p_permutation=by_chance,
        permutations=options.permutations,
        n=about.n,
        alternative=options.alternative,
        assumption=options.assumption,
        scatter=pd.DataFrame(
            {"value": value, "lag": about.n / about.s0 * (W.matrix @ value)}, index=W.ids
        ),
    )


def _test_units(
    z: np.ndarray, W: sparse.csr_array, alternative: str, conditional: bool
) -> pd.DataFrame:
    """Compute I, expected, sd, z and p of every unit.

    z and p are NaN where every arrangement gives the same I_i.
    """
    observed = moran_formulas.local(z, W)
    mean, variance = (
        moran_formulas.local_conditional if conditional else moran_formulas.local_unconditional
    )(z, W)
    # the size of the terms that the variance sums: what is tiny beside it is rounding
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
            "p": moran_formulas.p_normal(score, alternative),
        }
    )


def _name_quadrants(z: np.ndarray, lag: np.ndarray) -> np.ndarray:
    return np.where(z > 0, np.where(lag > 0, "HH", "HL"), np.where(lag > 0, "LH", "LL"))


def _adjust(p: np.ndarray) -> np.ndarray:
    """Adjust the p-values for the false-discovery rate; NaN is left out and stays NaN."""
    out, there = np.full(len(p), np.nan), ~np.isnan(p)
    if there.any():
        out[there] = scipy.stats.false_discovery_control(p[there], method="bh")
    return out


def _center(x: Any, W: Weights) -> tuple[np.ndarray, pd.Index]:
    """Compute deviations from the mean, (columns, N), with units in the order of W.ids.

    Returns also the names of the columns.
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
                f"x has shape {values.shape}: give ({W.n},), one value per unit in the order of"
                " W.ids; for several periods a DataFrame."
            )
    values = values.reshape(W.n, -1)
    if not values.shape[1]:
        raise DataError("x has no columns: give one for each period.")
    _check_values(values, W.ids, names, several=isinstance(x, pd.DataFrame))
    # contiguous: a column is summed in the same order alone and among others
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
    as_weights("W", W)
    if len(W.islands) == W.n:
        raise DataError("No unit has neighbours: W is zero.")
    whole("permutations", permutations, least=0, most=MOST_PERMUTATIONS, example=999)
    as_seed(seed)
    choice("is no alternative", alternative, moran_formulas.ALTERNATIVES)


def _format_table(table: pd.DataFrame) -> str:
    return str(table.to_string(float_format=lambda number: f"{number:.4g}"))
