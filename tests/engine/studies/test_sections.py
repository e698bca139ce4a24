"""What a report says in words of its tables."""

from types import SimpleNamespace

import pandas as pd
import pytest

import spillover as so
from spillover.engine.studies import sections
from spillover.engine.studies.sections import PACKAGES, describe_origin


def words(section) -> str:
    return " ".join(section.paragraphs)


@pytest.mark.parametrize(("cells", "said"), [(0, "missing."), (2, "missing and filled within")])
def test_gaps_are_counted(cells, said, make_findings, plan):
    filled = SimpleNamespace(cells=pd.DataFrame(index=range(cells)))
    findings = make_findings(
        plan=plan, filled=filled, frame=pd.DataFrame(index=range(9)), indices={}
    )
    tables = {"data": pd.DataFrame(), "filled": pd.DataFrame()}
    section = sections.report_data(findings, tables)
    assert words(section).startswith(f"9 rows. {cells} cells were {said}")
    assert [part.name for part in section.parts] == ["data", "filled"][: 1 + bool(cells)]


@pytest.mark.parametrize(("most", "said"), [(0.6, "0.600"), (0.99991, "above 0.999")])
def test_the_preferred_weights_are_named(most, said, make_findings, plan):
    table = pd.DataFrame({"posterior probability": {"w": 1 - most, "v": most}})
    tables = {"weights": table, "moran_by_weights": pd.DataFrame()}
    section = sections.report_weights(make_findings(plan=plan), tables)
    assert f"the data prefer v: posterior probability {said}, summed" in words(section)


@pytest.mark.parametrize("geometry", [False, True])
def test_maps_are_drawn_where_the_places_are_known(
    geometry, make_findings, plan, munnell, monkeypatch
):
    """Clusters from any places; the values of y, and of y alone, from polygons."""
    drawn = []
    for name in ("moran", "moran_local", "moran_over_time", "choropleth"):
        monkeypatch.setattr(
            sections.explore_plots, name, lambda *_, name=name, **__: drawn.append(name)
        )
    frame, weights = munnell
    model = so.OLS("gsp ~ unemp", frame, weights, effects="none", unit="state", period="year")
    wide = {name: frame.pivot(index="state", columns="year", values=name) for name in ("gsp", "pc")}
    findings = make_findings(
        plan=plan,
        model=model,
        moran={name: so.moran(table, weights, permutations=0) for name, table in wide.items()},
        local={
            name: so.moran_local(table[1986].rename(name), weights, permutations=99)
            for name, table in wide.items()
        },
    )
    tables = {f"{kind}_{name}": pd.DataFrame() for kind in ("moran", "local") for name in wide}
    plain = sections.report_exploration(findings, tables)
    assert "choropleth" not in drawn
    assert "moran_local" not in drawn
    assert [part.title for part in plain.parts if part.name == "local_pc"] == [
        "Local Moran's I of pc, 1986"
    ]
    assert words(plain).count("significant at 5 % in") == 2
    plan.places = SimpleNamespace(geometry=None) if geometry else pd.DataFrame({"x": [], "y": []})
    names = [part.name for part in sections.report_exploration(findings, tables).parts]
    assert {"clusters_gsp", "clusters_pc"} <= set(names)
    assert ("map_gsp" in names) == geometry
    assert "map_pc" not in names


def test_the_estimates_say_equation_likelihood_priors_and_what_is_missing(
    make_findings, plan, fits
):
    model = fits["SAR"].problem
    findings = make_findings(
        plan=plan,
        model=SimpleNamespace(
            spec=fits["SAR"].spec, panel=model.panel, priors=so.Priors(), problem=model
        ),
        ml=fits["SAR"],
        alternatives=fits,
    )
    tables = dict.fromkeys(("coefficients", "alternatives", "fit_statistics"), pd.DataFrame())
    said = sections.report_estimates(findings, tables).paragraphs
    assert said[0] == (
        "y_t = rho W y_t + X_t beta + e_t, e_t ~ N(0, sigma^2 I); y: np.log(gsp); W: w."
    )
    assert said[1].startswith(f"Log-likelihood {fits['SAR'].loglik:.2f}, of the 816 observations")
    assert said[2] == (
        "Priors: beta Ridge(scale=2.5); sigma InverseGamma(shape=1.0, scale=None); rho Uniform()."
    )
    assert said[3].startswith("SEM is not among the alternatives: no maximum-likelihood estimate")


@pytest.mark.parametrize("sure", [False, True])
def test_indirect_impacts_that_are_sure_are_named(sure, make_findings, plan, monkeypatch):
    monkeypatch.setattr(sections.fit_plots, "impacts", lambda fit: None)
    index = pd.MultiIndex.from_tuples([("direct", "x"), ("indirect", "x")])
    numbers = {
        "mean": [1.0, -0.51234],
        "2.5 %": [0.5, -1.0],
        "97.5 %": [2.0, -0.2 if sure else 0.2],
    }
    table = pd.concat({"Bayes": pd.DataFrame(numbers, index)}, axis=1)
    findings = make_findings(plan=plan, alternatives={})
    section = sections.report_impacts(findings, {"impacts": table})
    assert words(section).endswith("means: x (-0.512)." if sure else "means: none.")


def test_a_study_of_simulated_data_counts_the_intervals_that_hold_the_truth():
    index = pd.MultiIndex.from_tuples([("Main", "x"), ("Wx", "x")])
    table = pd.DataFrame(
        {"truth": 1.0, "posterior mean": 1.1, "2.5 %": 0.5, "97.5 %": 2.5, "inside": [True, False]},
        index,
    )
    assert "1 of 2 lie inside" in words(sections.report_truth({"truth": table}))


def test_the_foot_says_how_to_run_the_study_again(make_findings, plan):
    fit = SimpleNamespace(tree=SimpleNamespace(attrs={"data_sha256": "d", "weights_sha256": "w"}))
    about = describe_origin(make_findings(plan=plan, fit=fit))
    assert about["seed"] == "3"
    assert about["sampler"] == "defaults"
    assert {*PACKAGES, "Python", "formula"} < set(about)
    assert (about["data SHA-256"], about["W SHA-256"]) == ("d", "w")
    plan.sampler = {"draws": 10, "chains": 2}
    assert describe_origin(make_findings(plan=plan, fit=fit))["sampler"] == "draws 10, chains 2"
