"""A whole study through the command line: what the page and the files hold is what the functions of
the package give one by one.
"""

import browser
import numpy as np
import page_tables
import pandas as pd
import pytest
from typer.testing import CliRunner

import spillover as so
from spillover.engine.config.study import read_study
from spillover.engine.data.datasets import province_coordinates, province_indicators
from spillover.engine.studies import study as studies
from spillover.engine.studies.tables import slugify
from spillover.engine.terminal.cli import app
from spillover.engine.terminal.demo import write_demo
from spillover.models.prosperity import TRUTH

REGRESSORS = ["integration", "government", "openness", "human_capital", "industry", "technology"]
FORMULA = f"prosperity ~ {' + '.join(REGRESSORS)}"
FASTER = (  # fewer draws than the demo's
    ("draws = 1000\ntune = 1000\nchains = 4", "draws = 1000\ntune = 500\nchains = 2"),
    (
        'models = ["SAR", "SEM", "SDM"]\ndraws = 1000',
        'models = ["SAR", "SDM"]\nweights = ["contiguity", "economic_geography"]\ndraws = 500',
    ),
)
pytestmark = pytest.mark.usefixtures("no_cache")


def demo(folder, *changes):
    """The packaged study with a few changes to its text."""
    path = write_demo(folder, 0)
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The study as the command line ran it, what it printed, and the folder of its report."""
    folder, found = tmp_path_factory.mktemp("study"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spillover.engine.devices.keep_compiled", lambda: folder)
        patch.setattr("spillover.engine.cache.keep", lambda: folder)
        real = studies.run_study
        patch.setattr(
            studies, "run_study", lambda plan: found.append(real(plan, progress=False)) or found[0]
        )
        result = CliRunner().invoke(app, ["study", str(demo(folder, *FASTER))])
    assert result.exit_code == 0, result.output
    return found[0], result.output, folder / "report"


@pytest.fixture(scope="module")
def by_hand():
    """The prepared panel and the main weights, from the functions themselves."""
    frame, _ = so.provinces()
    frame = so.interpolate_panel(frame, unit="province", period="year").frame
    table = province_indicators()
    for name, rows in table.groupby("composite"):
        sides = {
            side: list(rows.index[rows["direction"] == side]) for side in ("positive", "negative")
        }
        frame[name] = so.entropy_index(frame, **sides).index
    near = so.Weights.inverse_distance(province_coordinates(), 2, metric="haversine")
    weights = so.Weights.economic_geography(
        near, frame.groupby("province")["gdp_per_capita"].mean()
    ).row_standardize()
    return frame, weights


def model(by_hand, name="SDM", effects="twoway"):
    return getattr(so, name)(FORMULA, *by_hand, effects=effects, unit="province", period="year")


@pytest.mark.verify
def test_every_table_stands_in_the_page_and_in_the_files(ran):
    """Each number of the page, to its last digit."""
    study, _, folder = ran
    page = page_tables.read_tables((folder / "report.html").read_text(encoding="utf-8"))
    assert set(page) == set(study.tables)
    for name, table in study.tables.items():
        page_tables.assert_same(page[name], table)
        stored = pd.read_csv(folder / "tables" / f"{name}.csv")
        assert len(stored) >= len(table)
        assert (folder / "tables" / f"{name}.tex").read_text().startswith(r"\begin{table}")
    for what in (
        "data",
        "filled",
        "index_prosperity",
        "dimensions_prosperity",
        "index_integration",
        "weights",
        "moran_prosperity",
    ):
        assert what in study.tables
    for what in (
        "tests",
        "coefficients",
        "impacts",
        "diagnostics",
        "sampler",
        "sensitivity",
        "truth",
    ):
        assert what in study.tables


@pytest.mark.verify
def test_the_page_says_what_it_was_made_with(ran):
    study, _, folder = ran
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "SIMULATED" in text
    assert so.__version__ in text
    assert all(sentence.replace("'", "&#39;") in text for sentence in study.selection.decisions)


@pytest.mark.verify
@browser.NEEDED
def test_the_page_is_drawn_and_fetches_nothing(ran):
    _, _, folder = ran
    found = browser.inspect(folder / "report.html")
    assert len(found.images) == len(list((folder / "figures").glob("*.png"))) > 10
    assert all(image.drawn for image in found.images), found.images
    assert found.fetched == found.refused == ()
    assert not found.overflows


@pytest.mark.verify
def test_data_and_indices_are_those_of_the_functions(ran, by_hand):
    study, frame = ran[0], by_hand[0]
    pd.testing.assert_frame_equal(study.frame, frame[study.frame.columns])
    assert (
        len(study.tables["filled"])
        == so.provinces()[0].isna().sum().sum()
        == study.tables["data"]["missing"].sum()
    )
    prosperity = province_indicators().query("composite == 'prosperity'")
    assert study.tables["dimensions_prosperity"]["weight"].sum() == pytest.approx(1)
    grouped = study.tables["index_prosperity"].groupby("dimension")["weight"].sum()
    np.testing.assert_allclose(
        study.tables["dimensions_prosperity"]["weight"],
        grouped[study.tables["dimensions_prosperity"].index],
    )
    assert dict(study.tables["index_prosperity"]["dimension"]) == dict(prosperity["dimension"])


@pytest.mark.verify
def test_moran_and_weights_are_those_of_the_functions(ran, by_hand):
    study, (frame, weights) = ran[0], by_hand
    assert study.weights["economic_geography"] == weights
    wide = frame.pivot(index="province", columns="year", values="prosperity")
    pd.testing.assert_frame_equal(
        study.tables["moran_prosperity"], so.moran(wide, weights, seed=0).table
    )
    local = so.moran_local(wide[2023], weights, permutations=studies.LOCAL_PERMUTATIONS, fdr=0.1)
    pd.testing.assert_frame_equal(study.tables["local_prosperity"], local.table)
    each = {
        name: so.moran(wide, one, permutations=0).table["I"].mean()
        for name, one in study.weights.items()
    }
    np.testing.assert_allclose(
        study.tables["weights"]["mean Moran's I"], list(each.values()), rtol=1e-12
    )
    assert study.tables["weights"]["posterior probability"].sum() == pytest.approx(1)


@pytest.mark.verify
def test_estimates_and_impacts_are_those_of_the_functions(ran, by_hand):
    study = ran[0]
    ml = model(by_hand).fit_ml()
    fit = model(by_hand).fit(draws=1000, tune=500, chains=2, seed=0, progress=False)
    table = study.tables["coefficients"]
    for term, value in ml.params.items():
        block = {"rho": "Spatial", "sigma": "Variance"}.get(
            term, "Wx" if term.startswith("W:") else "Main"
        )
        row = table.loc[(block, term.removeprefix("W:"))]
        assert row[("ML", "estimate")] == pytest.approx(value, rel=1e-12)
        assert row[("ML", "std_error")] == pytest.approx(ml.std_errors[term], rel=1e-12)
        draws = (
            fit.posterior["beta"].sel(term=term)
            if term in fit.posterior["term"]
            else fit.posterior[term]
        )
        assert row[("Bayes", "mean")] == pytest.approx(float(draws.mean()), rel=1e-12)
        assert row[("Bayes", "97.5 %")] == pytest.approx(float(draws.quantile(0.975)), rel=1e-12)
    assert list(dict.fromkeys(table.index.get_level_values("block"))) == [
        "Main",
        "Wx",
        "Spatial",
        "Variance",
    ]
    impacts, stated = fit.impacts(), ml.impacts()
    for (kind, term), row in study.tables["impacts"].iterrows():
        assert row[("Bayes", "mean")] == pytest.approx(
            float(impacts[kind].sel(term=term).mean()), rel=1e-12
        )
        assert row["ML"].to_numpy() == pytest.approx(stated.loc[(kind, term)].to_numpy(), rel=1e-12)
    other = model(by_hand, "SAR").fit_ml()
    assert study.tables["alternatives"].loc[
        ("Spatial", "rho"), ("SAR", "estimate")
    ] == pytest.approx(other.params["rho"], rel=1e-12)
    assert study.tables["fit_statistics"].loc["SAR", "AIC"] == pytest.approx(other.aic, rel=1e-12)
    statistics = study.tables["fit_statistics"]
    assert "no maximum-likelihood estimate" in statistics.loc["SEM", "note"]
    pd.testing.assert_frame_equal(
        study.tables["impacts"]["ML"][["estimate", "std_error"]],
        study.tables["alternative_impacts"]["SDM"],
    )
    impacts = study.tables["alternative_impacts"]["SAR"]
    np.testing.assert_allclose(
        impacts, other.impacts(method="delta")[["estimate", "std_error"]], rtol=1e-12
    )
    ols, frame = model(by_hand, "OLS").fit_ml(), by_hand[0]
    within = frame["prosperity"] - sum(
        frame.groupby(by)["prosperity"].transform("mean") for by in ("province", "year")
    )
    exact = 1 - 270 * ols.params["sigma"] ** 2 / ((within + frame["prosperity"].mean()) ** 2).sum()
    assert statistics.loc["OLS", "R^2"] == pytest.approx(exact, rel=1e-9)


@pytest.mark.verify
def test_tests_are_those_of_the_functions(ran, by_hand):
    study = ran[0]
    found = so.lm_tests(model(by_hand, "OLS"))
    np.testing.assert_allclose(
        study.tables["tests"].loc[list(found._fields), "statistic"],
        [one.statistic for one in found],
        rtol=1e-10,
    )
    wald = so.wald_no_lag(model(by_hand).fit_ml())
    assert study.tables["tests"].loc["Wald theta = 0", "statistic"] == pytest.approx(
        wald.statistic, rel=1e-10
    )
    assert (study.selection.model.spec.name, study.selection.model.spec.effects) == (
        "SDM",
        "twoway",
    )


@pytest.mark.verify
def test_the_truth_is_recovered(ran):
    """Every coefficient within 3.5 standard errors of the generator's, most of them inside their 95
    % interval.
    """
    table = ran[0].tables["truth"]
    labels = [
        (
            "Wx" if name.startswith("W:") else "Spatial" if name == "rho" else "Main",
            name.removeprefix("W:"),
        )
        for name in TRUTH
    ]
    np.testing.assert_array_equal(table.loc[labels, "truth"], list(TRUTH.values()))
    assert table["off by (std errors)"].abs().max() < 3.5
    assert table["inside"].sum() >= 10


@pytest.mark.verify
def test_the_posterior_is_there_to_be_loaded(ran):
    study, output, folder = ran
    np.testing.assert_array_equal(
        so.load(folder / "posterior.nc").posterior["rho"], study.fit.posterior["rho"]
    )
    for words in (
        "Specification tests",
        "integration",
        "The truth of the simulated data",
        "report.html",
    ):
        assert words in output


def test_the_file_lists_the_packaged_indicators(tmp_path):
    table, plan = province_indicators(), read_study(write_demo(tmp_path, 0))
    for name, rows in table.groupby("composite"):
        for side in ("positive", "negative"):
            assert set(plan.indices[name][side]) == set(rows.index[rows["direction"] == side])
    dimensions = plan.indices["prosperity"]["dimensions"]
    assert {one: name for name, ones in dimensions.items() for one in ones} == dict(
        table["dimension"].dropna()
    )
    assert dict(plan.truth) == dict(TRUTH)


WRONG = {
    "an unknown key": (("seed = 0\n", "sede = 0\n"), "unknown key sede: did you mean seed"),
    "an unknown key of the model": (
        ('effects = "twoway"', 'efects = "twoway"'),
        "unknown key model.efects: did you mean effects",
    ),
    "no formula": ((f'formula = "{FORMULA}"\n', ""), "lacks formula"),
    "unknown main weights": (('weights = "economic_geography"', 'weights = "trade"'), "'trade'"),
    "an unknown model": (('name = "SDM"', 'name = "SDX"'), 'key model.name: there is no "SDX"'),
    "gaps without [fill]": (("[fill] ", "# "), "missing values"),
    "an indicator that is not there": (('"freight", ', '"frieght", '), "'frieght'"),
    "a variable that is not there": (
        ('variables = ["integration"]', 'variables = ["trade"]'),
        "'trade'",
    ),
    "a column that is not there": (("+ technology", "+ patents"), "patents"),
    "no such file": (('data = "panel.csv"', 'data = "pannel.csv"'), "pannel.csv"),
    "a truth that is no parameter": (('"rho" = 0.396', '"rhoo" = 0.396'), "'rhoo'"),
    "weights of other units": (('file = "borders.csv"', 'file = "capitals.csv"'), "contiguity"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_file_is_refused_by_name_before_anything_is_fitted(what, tmp_path):
    change, culprit = WRONG[what]
    with pytest.raises(so.SpilloverError, match=culprit):
        so.study(demo(tmp_path, change), progress=False)


def test_a_map_without_a_unit_is_refused_before_anything_is_fitted(tmp_path):
    path = demo(
        tmp_path,
        ('[map]\ncoordinates = {file = "capitals.csv"', '[map]\ncoordinates = {file = "fewer.csv"'),
    )
    province_coordinates().drop("Zhejiang").to_csv(tmp_path / "fewer.csv")
    with pytest.raises(so.DataError, match=r"\[map\].*'Zhejiang'"):
        so.study(path, progress=False)


def test_slugs_are_names_of_files():
    assert slugify("np.log(gsp per head)") == "np_log_gsp_per_head"
