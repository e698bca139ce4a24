"""A whole study through the command line: what the page and the files hold is what the functions of
the package give one by one. And its folder: the old report is there whole until the new one is, and
what is not ours is left alone.
"""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import browser
import numpy as np
import page_tables
import pandas as pd
import pytest
from changed_demo import demo
from typer.testing import CliRunner

import spillover as so
from spillover.engine.data.datasets import province_coordinates, province_indicators
from spillover.engine.reporting.page import Report, Section, Table
from spillover.engine.studies import study as studies
from spillover.engine.studies.findings import Findings
from spillover.engine.terminal.cli import app
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


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The study as the command line ran it, what it printed, and the folder of its report."""
    folder, kept = tmp_path_factory.mktemp("study"), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("spillover.engine.devices.keep_compiled", lambda: folder)
        patch.setattr("spillover.engine.cache.keep", lambda: folder)
        real = studies.run_study
        patch.setattr(
            studies, "run_study", lambda plan: kept.append(real(plan, progress=False)) or kept[0]
        )
        result = CliRunner().invoke(app, ["study", str(demo(folder, *FASTER))])
    assert result.exit_code == 0, result.output
    return kept[0], result.output, folder / "report"


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
    seen = browser.inspect(folder / "report.html")
    assert len(seen.images) == len(list((folder / "figures").glob("*.png"))) > 10
    assert all(image.drawn for image in seen.images), seen.images
    assert seen.fetched == seen.refused == ()
    assert not seen.overflows


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
    tests = so.lm_tests(model(by_hand, "OLS"))
    np.testing.assert_allclose(
        study.tables["tests"].loc[list(tests._fields), "statistic"],
        [one.statistic for one in tests],
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


@pytest.fixture
def write(tmp_path, monkeypatch):
    """write(text, folder, save): `Study.write` of a study whose report has one table that says
    `text`.
    """

    def act(
        text: str, folder: Path | None = None, save=lambda path: path.write_text("draws"), **options
    ) -> list[Path]:
        table = Table(f"of_{text}", text, pd.DataFrame({"score": [text]}))
        page = Report("Scores", "", (Section("Data", parts=(table,)),), {})
        monkeypatch.setattr(studies, "make_tables", lambda findings: {})
        monkeypatch.setattr(studies, "make_report", lambda findings, tables: page)
        fields = dict.fromkeys(field.name for field in dataclasses.fields(Findings))
        fields["plan"] = SimpleNamespace(output=tmp_path / "report")
        fields["fit"] = SimpleNamespace(save=save)
        return so.Study(Findings(**fields)).write(folder, **options)

    return act


def names(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".spillover.json"
    }


def test_a_new_report_replaces_the_old_one_as_a_whole(write, tmp_path):
    write("old")
    paths = write("new")
    assert {path.relative_to(tmp_path / "report").as_posix() for path in paths} == names(
        tmp_path / "report"
    )
    assert names(tmp_path / "report") == {
        "report.html",
        "posterior.nc",
        "tables/of_new.csv",
        "tables/of_new.tex",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_fault_at_the_last_file_leaves_the_old_report(write, tmp_path):
    write("old", tmp_path / "out")
    before = {name: (tmp_path / "out" / name).read_bytes() for name in names(tmp_path / "out")}

    def full(path):
        raise so.StorageError("No space left on device")

    with pytest.raises(so.StorageError, match="No space left"):
        write("new", tmp_path / "out", full)
    assert {
        name: (tmp_path / "out" / name).read_bytes() for name in names(tmp_path / "out")
    } == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["study.toml", "report.html", "sweep.zarr/zarr.json"])
def test_a_folder_with_other_files_is_refused_and_kept(name, write, tmp_path):
    mine = tmp_path / "report" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(so.StorageError, match=r"which spillover did not write: .*overwrite=True"):
        write("new")
    assert mine.read_text() == "mine"
    assert names(tmp_path / "report") == {name}
    write("new", overwrite=True)
    # over files of the same names only
    assert (mine.read_text() == "mine") == (name != "report.html")
    assert names(tmp_path / "report") == {
        name,
        "report.html",
        "posterior.nc",
        "tables/of_new.csv",
        "tables/of_new.tex",
    }


@pytest.mark.parametrize("folder", [3, "", b"out"])
def test_what_is_no_folder_is_refused(folder, write):
    with pytest.raises(so.SpecificationError, match=r"folder=.*: give a path"):
        write("new", folder)
