"""Moran's I beside R's spdep (stored) and Python's esda (live), and what the functions make of
labels, panels, islands and bad input.
"""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from oracles.hostile import contiguity, knn

import spillover as so

SIDES = {"greater": "greater", "less": "less", "two-sided": "two.sided"}
COLUMNS = {"I": "I", "expected": "expected", "sd": "variance", "z": "z", "p": "p"}
DRAWS = 9999


@pytest.fixture
def esda():
    """esda(name, *data, **options): a statistic of esda, which warns, as what it imports does, and
    leaves filters of its own.
    """

    def statistic(name, *data, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from esda import moran

            # "O": the weights as they are
            return getattr(moran, name)(*data, transformation="O", **options)

    return statistic


@pytest.fixture(scope="module")
def crime(columbus):
    return columbus[0]["CRIME"]


@pytest.fixture(scope="module")
def weights(columbus):
    """The four weights of reference/moran.R, by the same rules."""
    row, (i, j) = columbus[1], np.nonzero(columbus[1].to_scipy().toarray())

    def linked(kept, w):
        dense = np.zeros((row.n, row.n))
        dense[i[kept], j[kept]] = w[kept]
        return so.Weights(dense, row.ids, islands="allow")

    one = np.ones(len(i))
    return {
        "row": row,
        "binary": linked(one > 0, one),
        "directed": linked((i + 2 * j) % 5 != 0, 1.0 + (3 * i + j) % 4),
        "islands": linked((i != 4) & (j != 4) & (i != 11), one),
    }


@pytest.fixture(scope="module")
def small():
    """A Series of 30 units and an asymmetric W of any row sums."""
    rng = np.random.default_rng(21)
    ids = [f"u{k:02d}" for k in range(30)]
    W = so.Weights(knn(30, 4) * rng.uniform(0.2, 2.0, (30, 30)), ids)
    return pd.Series(rng.gamma(2.0, size=30), ids, name="income"), W


def as_stored(column, values):
    """What R stores of a column: it has variances in place of standard deviations."""
    return np.square(values) if column == "sd" else values


@pytest.mark.parametrize("alternative", SIDES)
@pytest.mark.parametrize("assumption", ["randomisation", "normality"])
@pytest.mark.parametrize("name", ["row", "binary", "directed", "islands", "islands_counted"])
def test_global_is_that_of_spdep(name, assumption, alternative, crime, weights, reference):
    stored = reference("moran_r")["global"][name][assumption][SIDES[alternative]]
    W, islands = (
        weights[name.removesuffix("_counted")],
        "count" if name.endswith("counted") else "adjust",
    )
    test = so.moran(
        crime, W, permutations=0, assumption=assumption, alternative=alternative, islands=islands
    )
    for column, theirs in COLUMNS.items():
        np.testing.assert_allclose(
            as_stored(column, test.row[column]), stored[theirs], rtol=1e-9, err_msg=column
        )
    assert np.isnan(test.p_permutation)


@pytest.mark.parametrize("law", ["conditional", "unconditional"])
@pytest.mark.parametrize("name", ["row", "binary", "directed", "islands"])
def test_local_is_that_of_spdep(name, law, crime, weights, reference):
    stored = reference("moran_r")["local"][name]
    table = so.moran_local(
        crime, weights[name], permutations=0, conditional=law == "conditional"
    ).table
    for column, theirs in COLUMNS.items():
        wanted = np.array(stored[law][theirs], dtype=float)  # null where there is no variance
        np.testing.assert_allclose(
            as_stored(column, table[column]), wanted, rtol=1e-9, atol=1e-15, err_msg=column
        )
    linked = np.isfinite(table["z"].to_numpy())
    assert linked.sum() == 49 - len(weights[name].islands)
    theirs = np.array(
        [
            label.replace("High", "H").replace("Low", "L").replace("-", "")
            for label in stored["conditional"]["quadrant"]
        ]
    )
    np.testing.assert_array_equal(table["quadrant"][linked], theirs[linked])
    assert (table["quadrant"][~linked] == "no neighbours").all()


@pytest.mark.parametrize("alternative", ["greater", "less"])
def test_one_sided_local_tests_are_those_of_spdep(alternative, crime, weights, reference):
    table = so.moran_local(
        crime, weights["directed"], permutations=0, alternative=alternative
    ).table
    np.testing.assert_allclose(
        table["p"], reference("moran_r")["local"]["directed"][f"p_{alternative}"], rtol=1e-9
    )


@pytest.fixture(scope="module", params=["columbus", "asymmetric"])
def both(request, crime, weights, small):
    """x, W and the same W for esda."""
    x, W = (crime, weights["row"]) if request.param == "columbus" else small
    return x, W, W.to_libpysal()


def test_global_is_that_of_esda(both, esda):
    x, W, theirs = both
    found = esda("Moran", x.to_numpy(), theirs, permutations=0)
    for assumption, law in (("randomisation", "rand"), ("normality", "norm")):
        test = so.moran(x, W, permutations=0, assumption=assumption, alternative="two-sided")
        ours = (test.statistic, test.expected, test.sd**2, test.z, test.p_value)
        stored = (found.I, found.EI, *(getattr(found, f"{key}_{law}") for key in ("VI", "z", "p")))
        np.testing.assert_allclose(ours, stored, rtol=1e-10)


def test_global_permutations_agree_with_esda(both, esda):
    x, W, theirs = both
    np.random.seed(5)  # noqa: NPY002 - esda draws from the global generator
    found = esda("Moran", x.to_numpy(), theirs, permutations=DRAWS)
    ours = min(
        so.moran(x, W, permutations=DRAWS, alternative=side).p_permutation
        for side in ("greater", "less")
    )
    close(ours, found.p_sim)


def test_local_is_that_of_esda(both, esda):
    x, W, theirs = both
    found = esda("Moran_Local", x.to_numpy(), theirs, permutations=0)
    given, whole = (
        so.moran_local(x, W, permutations=0, conditional=law).table for law in (True, False)
    )
    # esda divides z'z by n - 1
    np.testing.assert_allclose(given["I"], found.Is * W.n / (W.n - 1), rtol=1e-10)
    for table, mean, variance in ((given, found.EIc, found.VIc), (whole, found.EI, found.VI)):
        np.testing.assert_allclose(table["expected"], mean, rtol=1e-10)
        np.testing.assert_allclose(table["sd"] ** 2, variance, rtol=1e-10)
    assert given["quadrant"].tolist() == [("HH", "LH", "LL", "HL")[q - 1] for q in found.q]


def test_local_permutations_agree_with_esda(both, esda):
    x, W, theirs = both
    found = esda("Moran_Local", x.to_numpy(), theirs, permutations=DRAWS, seed=5)
    tails = [
        so.moran_local(x, W, permutations=DRAWS, alternative=side).table["p_permutation"]
        for side in ("greater", "less")
    ]
    close(np.minimum(*tails), found.p_sim)


def close(ours, theirs):
    """Two Monte Carlo estimates of the same probabilities, within five standard errors of their
    difference.
    """
    p = (np.asarray(ours) + theirs) / 2
    np.testing.assert_array_less(np.abs(ours - theirs), 5 * np.sqrt(2 * p * (1 - p) / DRAWS))


def test_two_sided_permutation_p_is_twice_the_smaller_tail(small):
    x, W = small
    greater, less, both = (
        so.moran_local(x, W, alternative=side).table["p_permutation"] for side in SIDES
    )
    np.testing.assert_allclose(both, np.minimum(1, 2 * np.minimum(greater, less)))


def test_units_are_matched_by_label_and_arrays_by_order(small):
    x, W = small
    shuffled = x.sample(frac=1.0, random_state=2)
    assert repr(so.moran(shuffled, W)) == repr(so.moran(x, W))
    pd.testing.assert_frame_equal(so.moran_local(shuffled, W).table, so.moran_local(x, W).table)
    by_position = so.moran(x.to_numpy(), W)
    assert (by_position.name, by_position.row) == ("x", so.moran(x, W).row)
    assert so.moran_local(x.to_numpy(), W).table.index.equals(W.ids)


def test_results_depend_on_the_seed_alone(small):
    x, W = small
    pd.testing.assert_frame_equal(
        so.moran_local(x, W, seed=3).table, so.moran_local(x, W, seed=3).table
    )
    assert (
        so.moran_local(x, W, seed=3).table["p_permutation"]
        != so.moran_local(x, W, seed=4).table["p_permutation"]
    ).any()
    draws = {so.moran(x, W, seed=seed).p_permutation for seed in range(5)}
    assert len(draws) > 1


def test_i_is_the_slope_of_the_scatter(small):
    for W in (small[1], small[1].row_standardize()):
        test = so.moran(small[0], W, permutations=0)
        slope = scipy.stats.linregress(test.scatter["value"], test.scatter["lag"]).slope
        np.testing.assert_allclose(slope, test.statistic, rtol=1e-12)
    lag = W.to_scipy().toarray() @ scipy.stats.zscore(small[0].to_numpy())
    # rows that sum to one: the plain lag
    np.testing.assert_allclose(test.scatter["lag"], lag, atol=1e-12)


def test_local_statistics_sum_to_the_global_one(small):
    x, W = small
    total = W.to_scipy().sum()
    np.testing.assert_allclose(
        so.moran_local(x, W, permutations=0).table["I"].sum(),
        so.moran(x, W, permutations=0).statistic * total,
    )


def test_a_panel_has_a_row_a_period_each_as_on_its_own(munnell):
    frame, W = munnell
    panel = so.moran_by_period(
        frame.sample(frac=1.0, random_state=5),
        "unemp",
        W,
        unit="state",
        period="year",
        permutations=99,
    )
    assert panel.table.index.tolist() == list(range(1970, 1987))
    assert panel.table.columns.tolist() == ["I", "expected", "sd", "z", "p", "p_permutation"]
    for year in (1970, 1986):
        alone = so.moran(
            frame[frame["year"] == year].set_index("state")["unemp"], W, permutations=99
        )
        assert panel.table.loc[year].to_dict() == alone.row
    wide = frame.pivot(index="state", columns="year", values="unemp")
    pd.testing.assert_frame_equal(so.moran(wide.iloc[::-1], W, permutations=99).table, panel.table)


def test_islands_count_for_nothing_or_for_one(weights, crime):
    W = weights["islands"]
    adjusted, counted = (
        so.moran(crime, W, permutations=99, islands=how) for how in ("adjust", "count")
    )
    assert (adjusted.n, counted.n) == (47, 49)
    np.testing.assert_allclose(adjusted.statistic / counted.statistic, 47 / 49)
    assert adjusted.p_permutation == counted.p_permutation
    table = so.moran_local(crime, W, permutations=99).table.loc[W.islands]
    assert (table[["I", "expected", "sd"]] == 0).all(axis=None)
    assert table[["z", "p", "p_permutation", "p_adjusted"]].isna().all(axis=None)
    assert (table["cluster"] == "no neighbours").all()


@pytest.mark.parametrize("permutations", [0, 999])
def test_clusters_are_the_quadrants_that_survive_the_false_discovery_rate(
    permutations, crime, weights
):
    found = so.moran_local(crime, weights["row"], permutations=permutations, fdr=0.1)
    table = found.table
    p = table["p_permutation" if permutations else "p"].to_numpy()
    order = np.argsort(p)
    # Benjamini & Hochberg (1995): reject up to the last step within the rate
    steps = p[order] * len(p) / np.arange(1, len(p) + 1)
    rejected = set(order[: np.flatnonzero(steps <= 0.1).max() + 1])
    assert 0 < len(rejected) < len(p)
    chosen = np.isin(np.arange(len(p)), list(rejected))
    assert (
        table["cluster"].tolist() == np.where(chosen, table["quadrant"], "not significant").tolist()
    )
    assert f"{(table['cluster'] == 'HH').sum()} HH" in repr(found)


def test_a_value_at_the_mean_has_no_local_test(small):
    x = np.array([0.0, *range(1, 15), *range(-13, 0), -6.0, -8.0])
    assert x.sum() == 0
    table = so.moran_local(x, small[1]).table
    assert table["z"].isna().tolist() == [True] + [False] * 29
    assert table["p_permutation"].iloc[0] == 1.0


def test_reprs_are_tables(small):
    x, W = small
    test = so.moran(x, W)
    header, row = repr(test).splitlines()
    assert header.split() == ["I", "expected", "sd", "z", "p", "p_permutation"]
    assert row.split()[:2] == ["income", f"{test.statistic:.4g}"]
    assert (test.permutations, test.n, test.alternative, test.assumption) == (
        999,
        30,
        "greater",
        "randomisation",
    )
    assert repr(so.moran(x.to_frame(1970), W)).splitlines()[1].split()[0] == "1970"


BAD = {
    "constant": ({"x": lambda x: x * 0 + 0.1}, so.DataError, r"income is the same in every unit"),
    "missing": (
        {"x": lambda x: x.where(x.index != "u03")},
        so.DataError,
        r"1 values are missing or infinite: 'u03'",
    ),
    "infinite": ({"x": lambda x: x.replace(x.iloc[4], np.inf)}, so.DataError, r"'u04'"),
    "short": ({"x": lambda x: x.to_numpy()[:5]}, so.DataError, r"shape \(5,\): give \(30,\)"),
    "square": ({"x": lambda x: np.ones((30, 2))}, so.DataError, r"several periods a DataFrame"),
    "labels": (
        {"x": lambda x: x.rename({"u07": "elsewhere"})},
        so.WeightsError,
        r"'elsewhere'.*'u07'",
    ),
    "text": ({"x": lambda x: x.astype(str)}, so.WeightsError, r"real numbers"),
    "matrix": (
        {"W": lambda W: W.to_scipy()},
        so.SpecificationError,
        r"make it one with spillover.Weights",
    ),
    "empty": (
        {"W": lambda W: so.Weights(0 * W.to_scipy(), W.ids, islands="allow")},
        so.DataError,
        r"No unit has neighbours",
    ),
    "permutations": ({"permutations": -1}, so.SpecificationError, r"permutations=-1"),
    "half": ({"permutations": 0.5}, so.SpecificationError, r"permutations=0.5"),
    "alternative": (
        {"alternative": "bigger"},
        so.SpecificationError,
        r"'bigger'; choose one of 'greater', 'less', 'two-sided'",
    ),
}
BAD_GLOBAL = {
    "assumption": (
        {"assumption": "luck"},
        so.SpecificationError,
        r"'luck'; choose one of 'randomisation', 'normality'",
    ),
    "islands": (
        {"islands": "drop"},
        so.SpecificationError,
        r"'drop'; choose one of 'adjust', 'count'",
    ),
    "complete": (
        {"W": lambda W: so.Weights(1 - np.eye(30), W.ids)},
        so.DataError,
        r"every unit to every other alike",
    ),
    "no columns": ({"x": lambda x: x.to_frame()[[]]}, so.DataError, r"no columns"),
    "missing in a period": (
        {"x": lambda x: pd.DataFrame({1: x, 2: x.where(x > x.min())})},
        so.DataError,
        r"\('u\d\d', 2\)",
    ),
    "constant in a period": (
        {"x": lambda x: pd.DataFrame({1: x, 2: 0 * x})},
        so.DataError,
        r"^2 is the same",
    ),
}
BAD_LOCAL = {
    "rate": ({"fdr": 1.0}, so.SpecificationError, r"fdr=1.0"),
    "table": ({"x": lambda x: x.to_frame()}, so.DataError, r"a column of the table"),
}
CASES = [
    *((so.moran, case) for case in (BAD | BAD_GLOBAL).values()),
    *((so.moran_local, case) for case in (BAD | BAD_LOCAL).values()),
]


@pytest.mark.parametrize(
    ("function", "case"), CASES, ids=lambda value: getattr(value, "__name__", None)
)
def test_bad_input_is_refused_by_name(function, case, small):
    change, error, message = case
    given = dict(zip(("x", "W"), small, strict=True))
    options = {
        name: value(given[name]) if callable(value) else value for name, value in change.items()
    }
    with pytest.raises(error, match=message):
        function(**(given | options))


@pytest.mark.parametrize("islands", ["adjust", "count"])
def test_too_few_units_are_refused(islands):
    tiny = contiguity(5)[:3, :3] + 1 - np.eye(3)
    with pytest.raises(so.DataError, match="at least 4"):
        so.moran(np.arange(3.0), so.Weights(tiny), islands=islands)
    with pytest.raises(so.DataError, match="at least 4"):
        so.moran_local(np.arange(3.0), so.Weights(tiny))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.drop(columns="unemp"), "There is no column 'unemp'"),
        (
            lambda frame: frame.assign(year=frame["year"].where(frame.index != 7)),
            "Column 'year' is missing in 1 rows",
        ),
        (
            lambda frame: pd.concat([frame, frame.iloc[[3]]]),
            re.escape("1 rows repeat a unit and period: ('ALABAMA', 1973)"),
        ),
        (
            lambda frame: frame.drop(index=3),
            re.escape("1 values are missing or infinite: ('ALABAMA', 1973)"),
        ),
        (lambda frame: frame[frame["state"] != "OHIO"], "'OHIO'"),
    ],
    ids=["column", "label", "repeated", "unbalanced", "unit"],
)
def test_bad_tables_are_refused_by_name(change, message, munnell):
    frame, W = munnell
    with pytest.raises(so.SpilloverError, match=message):
        so.moran_by_period(change(frame), "unemp", W, unit="state", period="year")
