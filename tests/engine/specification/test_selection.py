"""The decision path: every number is that of the test called by itself, and simulated truths are
found.
"""

import jax
import numpy as np
import pandas as pd
import pytest
from oracles.hostile import knn, row_standardise

import spillover as so
from spillover.engine.specification.selection import respecify
from spillover.models.simulate import simulate

N, T = 40, 8
W = row_standardise(knn(N, 4, seed=2))


@pytest.fixture(scope="module")
def found(produc):
    return so.select_model(produc("SDM", "twoway"), draws=4000, seed=1)


def test_every_row_is_the_test_by_itself(found, produc):
    steps = found.steps
    rows = [*so.lm_tests(produc("OLS", "twoway"))]
    dummies = {
        effects: produc("SDM", effects).fit_ml(method="lsdv")
        for effects in ("unit", "period", "twoway")
    }
    rows += [so.lr_test(dummies[fewer], dummies["twoway"]) for fewer in ("unit", "period")]
    fits = {name: produc(name, "twoway").fit_ml() for name in ("SAR", "SEM", "SDM")}
    rows += [so.lr_test(fits["SAR"], fits["SDM"]), so.wald_no_lag(fits["SDM"])]
    rows += [so.lr_test(fits["SEM"], fits["SDM"]), so.wald_common_factor(fits["SDM"])]
    assert [row.name for row in rows] == list(steps.index[:-2])
    np.testing.assert_allclose(
        steps["statistic"].iloc[:-2], [row.statistic for row in rows], rtol=1e-9
    )
    np.testing.assert_allclose(steps["p_value"].iloc[:-2], [row.p_value for row in rows], rtol=1e-7)
    assert steps["df"].iloc[:-2].tolist() == [row.df for row in rows]
    assert (found.model.spec.name, found.model.spec.effects, len(found.decisions)) == (
        "SDM",
        "twoway",
        6,
    )


def test_hausman_with_both_effects_has_the_periods_among_the_regressors(found, produc):
    """48 states: random effects beside dummies of the years, written out as regressors by hand."""
    frame, weights = so.munnell()
    formula = "np.log(gsp) ~ np.log(pcap) + np.log(pc) + np.log(emp) + unemp + C(year)"
    lagged = list(produc("SDM", "twoway").design.variables)
    panel = {"unit": "state", "period": "year", "lagged": lagged}
    random = so.SDM(formula, frame, weights.row_standardize(), effects="random", **panel).fit_ml()
    stated = so.hausman(produc("SDM", "twoway").fit_ml(), random)
    np.testing.assert_allclose(
        found.steps.loc[["Hausman", "Mundlak"], "statistic"],
        [one.statistic for one in stated],
        rtol=1e-6,
    )


@pytest.mark.verify
def test_probabilities_are_those_of_the_exact_evidences(found, produc):
    evidence = {
        name: (
            produc(name, "twoway").fit(sampler="exact", draws=250, chains=4).log_marginal_likelihood
        )
        for name in ("OLS", "SAR", "SEM", "SAC", "SDM")
    }
    pairs = {
        "lm_lag": ("OLS", "SAR"),
        "lm_error": ("OLS", "SEM"),
        "robust_lm_lag": ("SEM", "SAC"),
        "LR SAR in SDM": ("SAR", "SDM"),
    }
    for test, (small, large) in pairs.items():
        exact = 1 / (1 + np.exp(evidence[large] - evidence[small]))
        assert found.steps.loc[test, "probability_of_null"] == pytest.approx(exact, rel=1e-6)
    effects = found.steps.loc[found.steps["step"] == "effects"]
    assert effects["probability_of_null"].isna().all()
    assert effects["note"].str.contains("other data").all()


def test_the_common_factor_is_that_of_the_joint_draws(found, produc):
    posterior = produc("SDM", "twoway").fit(sampler="exact", draws=4000, chains=1, seed=1).posterior
    beta, rho = posterior["beta"].isel(chain=0), posterior["rho"].isel(chain=0)
    for name in produc("SDM", "twoway").design.variables:
        theta = beta.sel(term="W:" + name)
        draws = theta + rho * beta.sel(term=name)
        row = found.common_factor.loc[("theta + rho beta", name)]
        np.testing.assert_allclose(
            [row["mean"], row["sd"], row["2.5%"]],
            [draws.mean(), draws.std(ddof=1), draws.quantile(0.025)],
            rtol=1e-10,
        )
        assert found.common_factor.loc[("theta", name), "mean"] == pytest.approx(
            float(theta.mean()), rel=1e-10
        )


def panel_of(rho=0.0, lam=0.0, theta=0.0, spread=1.0, correlated=1.0, seed=5):
    """A panel with a strong signal; its unit effects follow the regressors' means (`correlated`) or
    do not.
    """
    rng = np.random.default_rng(seed)
    level = rng.standard_normal((N, 2))
    x = rng.standard_normal((T, N, 2)) + level
    effects = (
        spread * (correlated * level.sum(axis=1) + rng.standard_normal(N))
        + np.linspace(0, 2, T)[:, None] * correlated
    )
    given = {
        "beta": np.array([1.0, -0.7]),
        "theta": theta * np.array([1.0, 0.5]),
        "rho": rho,
        "lam": lam,
        "sigma": 0.5,
    }
    y = simulate(so.Weights(W).matrix, x, effects=effects, rng=rng, **given)
    index = pd.MultiIndex.from_product([range(T), range(N)], names=["year", "unit"])
    return pd.DataFrame(
        {"y": y.ravel(), "x1": x[..., 0].ravel(), "x2": x[..., 1].ravel()}, index
    ).reset_index()


TRUTHS = {
    "SDM": ({"rho": 0.4, "theta": 0.8}, "SDM", "twoway"),
    "SAR": ({"rho": 0.5}, "SAR", "twoway"),
    "SEM": ({"lam": 0.6}, "SEM", "twoway"),
    "OLS": ({}, "OLS", "twoway"),
    "random": ({"rho": 0.5, "correlated": 0.0}, "SAR", "random"),
}


@pytest.mark.cover(truth=["OLS"])
@pytest.mark.parametrize("truth", TRUTHS)
def test_the_truth_is_found(truth):
    """Strong signals, 40 units x 8 periods; the level is low enough that a true null is hardly ever
    rejected.
    """
    given, name, effects = TRUTHS[truth]
    start = "unit" if effects == "random" else "twoway"
    model = so.SDM(
        "y ~ x1 + x2", panel_of(**given), so.Weights(W), effects=start, unit="unit", period="year"
    )
    found = so.select_model(model, alpha=0.002, bayes=False)
    assert (found.model.spec.name, found.model.spec.effects) == (name, effects), found


@pytest.mark.verify
def test_effects_that_the_data_do_not_ask_for_are_left_out():
    """No period effects in the data: the unit effects stay."""
    frame = panel_of(rho=0.4, theta=0.8, correlated=0.0, spread=2.0)
    model = so.SDM(
        "y ~ x1 + x2", frame, so.Weights(W), effects="twoway", unit="unit", period="year"
    )
    found = so.select_model(model, alpha=0.002, bayes=False)
    assert "Effects: unit" in found.decisions[1]


def test_columbus_is_a_spatial_lag_by_the_rule_of_anselin(city):
    """Neither robust test rejects at 5 %, the plain lag test is the stronger, and the SDM does not
    reject SAR.
    """
    found = so.select_model(city("SDM"), bayes=False)
    assert found.steps.loc[["robust_lm_lag", "robust_lm_error"], "p_value"].min() > 0.05
    assert (found.model.spec.name, found.model.spec.effects) == ("SAR", "none")


def test_a_w_that_is_not_row_standardised_has_no_common_factor_ratio(munnell):
    """The lag of the constant is no constant there: the Wald test of the coefficients alone
    decides, and the record says so.
    """
    frame, _ = munnell
    _, contiguity = so.munnell()
    panel = {"effects": "none", "unit": "state", "period": "year"}
    found = so.select_model(
        so.SDM("np.log(gsp) ~ np.log(pc) + unemp", frame, contiguity, **panel), bayes=False
    )
    assert "LR SEM in SDM" not in found.steps.index
    assert "Wald theta + rho beta = 0" in found.steps.index
    assert any(sentence.startswith("SEM is no restriction of SDM") for sentence in found.decisions)


@pytest.mark.verify
def test_a_quasi_likelihood_is_decided_by_wald_tests(munnell):
    """Period effects and such a W: no likelihood ratio and no probability, which the
    record says.
    """
    frame, _ = munnell
    _, contiguity = so.munnell()
    panel = {"effects": "twoway", "unit": "state", "period": "year"}
    found = so.select_model(
        so.SDM("np.log(gsp) ~ np.log(pc) + unemp", frame, contiguity, **panel), draws=200
    )
    assert found.decisions[1].startswith("Effects: twoway")
    durbin = found.steps[found.steps["step"] == "durbin"]
    assert durbin.index.tolist() == ["Wald theta = 0", "Wald theta + rho beta = 0"]
    assert durbin["note"].str.contains("quasi-likelihood").all()
    assert found.steps.loc[found.steps["step"] != "level", "probability_of_null"].isna().all()
    assert sum("not a density" in sentence for sentence in found.decisions) == 2


@pytest.mark.parametrize("effects", ["none", "unit", "random"])
def test_a_variant_is_the_model_specified_afresh(effects, produc):
    """Same regressors, same R: the intercept comes and goes with the effects."""
    own, fresh = respecify(produc("SDM", "twoway"), "SAR", effects), produc("SAR", effects)
    assert own.design.terms == fresh.design.terms
    with jax.enable_x64(True):
        np.testing.assert_allclose(
            np.abs(own.problem.factor.triangle),
            np.abs(fresh.problem.factor.triangle),
            rtol=1e-9,
            atol=1e-9,
        )


def test_the_record_prints_the_choice_the_table_and_the_sentences(found):
    lines = repr(found).splitlines()
    assert lines[0] == "Chosen: SDM, effects='twoway'"
    assert lines[-1] == found.decisions[-1]


def test_effects_of_which_either_alone_will_do_are_tested_together():
    """Neither unit nor period effects in the data: both are left out, by a third test on N + T - 2
    degrees of freedom.
    """
    frame = panel_of(rho=0.4, theta=0.8, correlated=0.0, spread=0.0)
    model = so.SDM(
        "y ~ x1 + x2", frame, so.Weights(W), effects="twoway", unit="unit", period="year"
    )
    found = so.select_model(model, alpha=0.002, bayes=False)
    assert found.decisions[1].startswith("Effects: none")
    assert found.steps.loc["LR none in twoway", "df"] == N + T - 2
    assert found.steps.loc["LR none in twoway", "null"] == "no unit or period effects"
    assert (found.model.spec.name, found.model.spec.effects) == ("SDM", "none")


@pytest.mark.parametrize(("options", "culprit"), [({"alpha": 5}, "alpha=5"), ({}, "random")])
def test_what_makes_no_sense_is_refused_by_name(options, culprit, produc):
    with pytest.raises(so.SpecificationError, match=culprit):
        so.select_model(produc("SAR", "random" if not options else "unit"), **options)
