"""Sweeps: every member is the single fit of the same model, whatever the chunks, devices, workers
and interruptions.
"""

from dataclasses import replace

import numpy as np
import numpyro.distributions as dist
import pytest
from small_sweeps import DRAWS, PANEL, swept, weights_of

import spillover as so
from spillover.engine.sweeps import chunk
from spillover.engine.sweeps import sweep as sweeps
from spillover.engine.sweeps.results import LEVELS
from spillover.engine.weights.logdet import covers
from spillover.kernels import sparse_logdet
from spillover.models import exact as formulas

MODELS = ("OLS", "SLX", "SAR", "SEM", "SDM", "SAC")
KINDS = ("direct", "indirect", "total")
NO_INTERVAL = np.triu(np.ones((13, 13)), 1)  # nilpotent: log|I - rho W| = 0 everywhere


def single(case, weights: so.Weights, model: str, effects: str) -> so.Model:
    """The same member by itself."""
    options = {"lagged": ["x1"]} if model in ("SLX", "SDM") else {}
    return getattr(so, model)(
        case.formula, case.frame, weights, effects=effects, unit="unit", period="year", **options
    )


def assert_member(out: so.Sweep, label: dict, fit: so.Fit, monte_carlo) -> None:
    """Evidence to 1e-8; parameters and impacts within the Monte Carlo errors of both."""
    summary, impacts = out.summary.sel(label), out.impacts.sel(label)
    assert float(summary["log_marginal_likelihood"]) == pytest.approx(
        fit.log_marginal_likelihood, abs=1e-8
    )
    posterior = fit.posterior
    draws = {term: posterior["beta"].sel(term=term) for term in posterior["term"].to_numpy()}
    draws |= {name: posterior[name] for name in ("rho", "lam", "sigma") if name in posterior}
    found = summary["mean"].to_series().dropna()
    assert set(found.index) == set(draws)
    for name, values in draws.items():
        compare(monte_carlo(values), summary.sel(parameter=name), name)
    for kind in KINDS:
        for term in fit.impacts()["term"].to_numpy():
            numbers = impacts[kind].sel(term=term)
            own = {key: numbers.sel(statistic=key) for key in ("mean", "sd")}
            compare(monte_carlo(fit.impacts()[kind].sel(term=term)), own, (kind, term))


def compare(truth, own, what) -> None:
    """Two independent samples of one size: the difference has sqrt(2) times the error of either."""
    for key, error in (("mean", truth.mean_error), ("sd", truth.sd_error)):
        assert abs(float(own[key]) - getattr(truth, key)) <= 4.5 * np.sqrt(2) * error + 1e-12, (
            what,
            key,
            own[key],
            truth,
        )


@pytest.fixture(scope="module")
def case(small):
    """A SAR with unit effects."""
    return small("SAR", "unit", "spectral", columns=2)


@pytest.fixture(scope="module")
def family(small, case):
    """Six models on W of which not every row sums to one."""
    return swept(
        case,
        weights_of(small, "spectral", "islands", "sinks"),
        models=MODELS,
        effects=["unit"],
        keep_draws=True,
    )


@pytest.mark.parametrize("model", MODELS)
def test_a_member_is_the_single_exact_fit(model, small, case, family, monte_carlo):
    for name, weights in weights_of(small, "spectral", "islands").items():
        fit = single(case, weights, model, "unit").fit("exact", draws=DRAWS, chains=1, seed=8)
        assert_member(
            family, {"weights": name, "model": model, "effects": "unit"}, fit, monte_carlo
        )


@pytest.mark.parametrize("effects", ["none", "unit", "twoway"])
def test_a_member_with_row_standardised_weights_is_the_single_exact_fit(
    effects, small, monte_carlo
):
    """Every kind of effects; the same number of columns, so that all share their programs."""
    one = small("SAR", effects, "knn")
    weights = weights_of(small, "knn", "contiguity")
    out = swept(one, weights, models=["SAR"], effects=[effects])
    fit = single(one, weights["knn"], "SAR", effects).fit("exact", draws=DRAWS, chains=1, seed=8)
    assert_member(out, {"weights": "knn", "model": "SAR", "effects": effects}, fit, monte_carlo)


@pytest.fixture(scope="module")
def mixed(small):
    """Two-way effects, one W whose rows all have one sum and one whose rows have not."""
    case = small("SAR", "twoway", "spectral")
    return case, swept(
        case, weights_of(small, "knn", "spectral"), models=["OLS", "SAR"], effects=["twoway"]
    )


def test_weights_with_rows_of_several_sums_have_estimates_but_no_evidence(small, mixed):
    """Least squares have no W in them; where rho meets period effects and such a W there is a
    posterior and no probability, with a note.
    """
    case, out = mixed
    weights = weights_of(small, "knn", "spectral")
    label = {"weights": "spectral", "model": "SAR", "effects": "twoway"}
    fit = single(case, weights["spectral"], "SAR", "twoway").fit(
        "exact", draws=DRAWS, chains=1, seed=8
    )
    medians = out.summary["quantile"].sel(label).sel(level=0.5)
    draws = [(fit.posterior[name], medians.sel(parameter=name)) for name in ("rho", "sigma")]
    draws += [
        (part.sel(term="x1"), out.impacts[kind].sel(label).sel(term="x1", statistic="0.5"))
        for kind, part in fit.impacts().items()
    ]
    for values, median in draws:  # impacts have no second moment here
        assert abs(float((values < float(median)).mean()) - 0.5) < 4.5 * np.sqrt(2 * 0.25 / DRAWS)
    evidence = out.summary["log_marginal_likelihood"].squeeze("effects")
    np.testing.assert_allclose(*evidence.sel(model="OLS"), rtol=1e-12)
    assert np.isnan(evidence.sel(weights="spectral", model="SAR"))
    assert np.isnan(out.members.sel(weights="spectral", model="SAR")).all()
    np.testing.assert_allclose(out.members.sum(), 1.0, rtol=1e-12)
    assert out.notes[["weights", "model", "effects"]].to_numpy().tolist() == [
        ["spectral", "SAR", "twoway"]
    ]
    assert "not a density" in out.notes["note"].item()
    assert "not a density" in out.members.attrs["note"]
    assert "1 without evidence" in repr(out)
    notes = out.to_frame()["note"]
    assert (notes != "").to_numpy().sum() == 1
    assert "not a density" in notes["spectral", "SAR", "twoway"]
    assert not len(out.failures)


def test_averages_leave_out_what_has_no_probability_and_say_so(small, mixed):
    case, out = mixed
    with pytest.warns(so.SpilloverWarning, match="1 members have no probability"):
        average = out.average()["total"].sel(statistic="mean", term="x1").squeeze()
    means = out.impacts["total"].sel(statistic="mean", term="x1").squeeze()
    wanted = (out.members.squeeze() * means.where(out.summary["quasi"].squeeze() == 0)).sum()
    np.testing.assert_allclose(average, wanted, rtol=1e-12)
    alone = swept(case, weights_of(small, "spectral"), models=["SAR"], effects=["twoway"], draws=50)
    with pytest.raises(so.SpecificationError, match="row-standardise W"):
        alone.average()


def test_probabilities_are_evidences_normalised_within_effects(small):
    """p(m) = exp(log evidence) / sum, for each kind of effects by itself."""
    case = small("SAR", "unit", "knn")
    out = swept(
        case,
        weights_of(small, "knn", "contiguity"),
        models=["SAR", "OLS"],
        effects=["unit", "twoway"],
    )
    for effects in ("unit", "twoway"):
        chosen = out.summary.sel(effects=effects)
        likelihoods = np.exp(
            chosen["log_marginal_likelihood"] - float(chosen["log_marginal_likelihood"].max())
        )
        np.testing.assert_allclose(
            chosen["posterior_probability"], likelihoods / likelihoods.sum(), rtol=1e-12
        )


def test_chunks_do_not_change_the_numbers(small, case, monkeypatch):
    """Three members in one stack, or in a stack of two and one left over."""
    weights = weights_of(small, "spectral", "islands", "sinks")
    options = {"models": ["SAR"], "effects": ["unit"], "keep_draws": True}
    whole = swept(case, weights, **options)
    monkeypatch.setattr(sweeps, "STACK", 2)
    parts = swept(case, weights, **options)
    np.testing.assert_allclose(parts.draws["parameters"], whole.draws["parameters"], rtol=1e-9)
    for name in ("log_marginal_likelihood", "mean", "sd", "quantile"):
        np.testing.assert_allclose(parts.summary[name], whole.summary[name], rtol=1e-9)


def test_summaries_are_those_of_the_kept_draws(family):
    for label in ({"weights": "islands", "model": "SAC"}, {"weights": "sinks", "model": "SDM"}):
        draws = family.draws["parameters"].sel(effects="unit", **label).dropna("parameter")
        summary = family.summary.sel(effects="unit", parameter=draws["parameter"], **label)
        np.testing.assert_allclose(summary["mean"], draws.mean("sample"), rtol=1e-10)
        np.testing.assert_allclose(summary["sd"], draws.std("sample", ddof=1), rtol=1e-10)
        np.testing.assert_allclose(summary["positive"], (draws > 0).mean("sample"))
        np.testing.assert_allclose(
            summary["quantile"].T, draws.quantile(list(LEVELS), dim="sample"), rtol=1e-9, atol=1e-12
        )
        for kind in KINDS:
            own = family.impacts[kind].sel(effects="unit", statistic="mean", **label)
            np.testing.assert_allclose(
                own,
                family.draws[kind].sel(effects="unit", **label).mean("sample"),
                rtol=1e-10,
                atol=1e-14,
            )


def test_averages_are_the_mixture_of_the_members(family):
    """Mean and sd in closed form; quantiles of draws pooled and resampled by probability, within
    their Monte Carlo error.
    """
    rng, size = np.random.default_rng(5), 400_000
    share = family.members.squeeze("effects").stack(member=("weights", "model"))
    chosen = rng.choice(share.size, size=size, p=share.to_numpy())
    for out in (family, replace(family, draws=None)):
        found = out.average().squeeze("effects")
        for kind in KINDS:
            members_ = family.draws[kind].squeeze("effects").stack(member=("weights", "model"))
            for term in ("x1", "x2"):
                draws = members_.sel(term=term).transpose("member", "sample").to_numpy()
                pooled = draws[chosen, rng.integers(0, draws.shape[1], size)]
                mean = share.to_numpy() @ draws.mean(axis=1)
                sd = np.sqrt(
                    share.to_numpy()
                    @ (draws.var(axis=1, ddof=1) + (draws.mean(axis=1) - mean) ** 2)
                )
                own = found[kind].sel(term=term)
                np.testing.assert_allclose(
                    own.sel(statistic=["mean", "sd"]), [mean, sd], rtol=1e-10
                )
                np.testing.assert_allclose(
                    own.sel(statistic="positive"), (pooled > 0).mean(), atol=5 * 0.5 / np.sqrt(size)
                )
                for level in LEVELS[1:-1]:
                    near = np.quantile(pooled, [max(level - 0.015, 0), min(level + 0.015, 1)])
                    assert (
                        near[0] - 1e-12 <= float(own.sel(statistic=f"{level:g}")) <= near[1] + 1e-12
                    ), (kind, term, level)


def test_a_mixture_of_normals_has_their_quantiles():
    """The distribution function at the quantile is the level, for normal components far apart and a
    point mass; levels inside a step belong to it.
    """
    from scipy.stats import norm

    from spillover.engine.sweeps.results import _quantiles

    means, sds, shares = (
        np.array([-1.0, 0.4, 3.0]),
        np.array([0.5, 0.1, 0.3]),
        np.array([0.5, 0.2, 0.3]),
    )
    values = means[:, None] + sds[:, None] * norm.ppf(LEVELS)
    below = (shares * norm.cdf((_quantiles(values, shares)[:, None] - means) / sds)).sum(axis=1)
    np.testing.assert_allclose(below, LEVELS, atol=2e-3)
    single = _quantiles(values[:1], np.ones(1))
    np.testing.assert_allclose(single, values[0], atol=1e-12)
    values[1] = 0.4
    found = dict(zip(LEVELS, _quantiles(values, shares), strict=True))
    assert all(
        found[level] == pytest.approx(0.4, abs=1e-9) for level in LEVELS if 0.5 < level < 0.69
    )


def test_averages_over_some_dimensions(family):
    """Over W alone: within each model, by p(W | model, y)."""
    found = family.average(over=["weights"])["total"].sel(
        statistic="mean", term="x1", model="SAR", effects="unit"
    )
    chosen = family.summary.sel(model="SAR", effects="unit")["posterior_probability"]
    means = family.impacts["total"].sel(statistic="mean", term="x1", model="SAR", effects="unit")
    np.testing.assert_allclose(found, float((chosen * means).sum() / chosen.sum()), rtol=1e-12)
    with pytest.raises(so.SpecificationError, match="effects"):
        family.average(over=["effects"])


def test_conclusions_count_members(family):
    table = family.conclusions()
    total = family.impacts["total"].sel(term="x1")
    row = table.loc[("total", "x1")]
    assert row["members"] == 18
    assert row["lowest"] == float(total.sel(statistic="mean").min())
    assert row["significantly_positive"] == float((total.sel(statistic="0.025") > 0).mean())
    assert row["positive"] == float((total.sel(statistic="mean") > 0).mean())
    np.testing.assert_allclose(
        row["probability_positive"],
        (family.members * total.sel(statistic="positive")).sum(),
        rtol=1e-12,
    )
    by = family.conclusions(by=["model"])
    assert by.loc[("SDM", "total", "x1"), "members"] == 3
    with pytest.raises(so.SpecificationError, match="levels"):
        family.conclusions(interval=(0.1234, 0.9))


def test_the_frame_has_a_row_a_member(family):
    frame = family.to_frame()
    assert len(frame) == 18
    at = ("islands", "SDM", "unit")
    assert frame.loc[at, "rho mean"] == float(
        family.summary["mean"].sel(weights="islands", model="SDM", effects="unit", parameter="rho")
    )
    assert frame.loc[at, "total x1 sd"] == float(
        family.impacts["total"].sel(
            weights="islands", model="SDM", effects="unit", term="x1", statistic="sd"
        )
    )
    assert repr(family) == "Sweep of 'y ~ x1 + x2': 3 weights x 6 model x 1 effects, by 'exact'"


def test_a_posterior_beyond_the_usual_log_determinant_is_fitted_on_a_longer_one(small, monkeypatch):
    """Exact nodes leave out the ends of the interval; given bounds that the data press against put
    rho there. The truth has all eigenvalues, which reach as far as is wanted.
    """
    case = small("SAR", "unit", "knn")
    ids = [f"u{i:02d}" for i in range(13)]

    def fitted() -> tuple[so.Sweep, so.LogDet]:
        weights = so.Weights(case.W, ids, bounds=(-0.9, 0.1))
        return swept(
            case, {"knn": weights, "again": weights}, models=["SAR"], effects=["unit"]
        ), so.LogDet.build(weights)

    truth, _ = fitted()
    with monkeypatch.context() as patch:
        patch.setattr(sparse_logdet, "DENSE", 1)
        patch.setattr(sparse_logdet, "FULL", 2.0)
        so.cache.clear()
        found, logdet = fitted()
    so.cache.clear()
    assert logdet.method == "sparse"
    assert (
        float(truth.summary["quantile"].sel(parameter="rho", level=0.995, weights="knn").squeeze())
        > logdet.interval[1]
    )
    assert not len(found.failures)
    np.testing.assert_allclose(
        found.summary["log_marginal_likelihood"],
        truth.summary["log_marginal_likelihood"],
        atol=1e-6,
    )
    np.testing.assert_allclose(found.impacts["total"], truth.impacts["total"], rtol=1e-4)


def test_a_model_of_the_errors_alone_gets_the_reach_of_lam(small, monkeypatch):
    """Exact nodes stop short of the ends of the interval: where lam needs more, the log-determinant
    reaches there.
    """
    case = small("SEM", "unit", "knn")
    monkeypatch.setattr(sparse_logdet, "DENSE", 1)
    monkeypatch.setattr(sparse_logdet, "FULL", 2.0)
    so.cache.clear()
    model = case.model()
    usual = np.asarray(model.unplaced().likelihood.error.ends)
    for reach in ((usual[0] - 0.5, 0.0), (0.0, usual[1] + 0.5)):
        error = model.unplaced(((0.0, 0.0), reach)).likelihood.error
        assert covers(error, *reach)
    so.cache.clear()


def test_a_table_too_coarse_is_made_again_finer(small, case, family, monkeypatch):
    """With 17 points at first the integral is not good to 1e-9: the next table is, and the numbers
    are those of 257 points.
    """
    weights = weights_of(small, "spectral", "islands")
    monkeypatch.setattr(chunk.exact, "POINTS", (17, 257))
    out = swept(case, weights, models=["SAR"], effects=["unit"])
    assert float(out.summary["quadrature_error"].max()) < chunk.exact.GOOD
    wanted = family.summary["log_marginal_likelihood"].sel(weights=list(weights), model=["SAR"])
    np.testing.assert_allclose(out.summary["log_marginal_likelihood"], wanted, atol=1e-9)
    monkeypatch.setattr(chunk.exact, "POINTS", (17,))
    monkeypatch.setattr(chunk.exact, "BAD", 0.0)
    failed = swept(case, weights, models=["SAR"], effects=["unit"])
    assert failed.failures["reason"].str.contains("quadrature").all()
    assert np.isnan(failed.summary["mean"]).all()


def test_maximum_likelihood_members_are_fit_ml(small):
    """Estimates, standard errors, impacts by the delta method, the log-likelihood where
    it is one.
    """
    case, weights = small("SAR", "twoway", "spectral"), weights_of(small, "knn", "spectral")
    out = swept(case, weights, models=["OLS", "SAR"], effects=["twoway"], sampler="ml")
    for model in ("OLS", "SAR"):
        for name in weights:
            ml = single(case, weights[name], model, "twoway").fit_ml()
            own = out.summary.sel(weights=name, model=model, effects="twoway")
            terms = list(ml.params.index)
            np.testing.assert_allclose(
                own["mean"].sel(parameter=terms), ml.params[terms], rtol=1e-10
            )
            np.testing.assert_allclose(
                own["sd"].sel(parameter=terms), ml.std_errors[terms], rtol=1e-10
            )
            assert ml.quasi == (model == "SAR" and name == "spectral")
            np.testing.assert_allclose(own["loglik"], np.nan if ml.quasi else ml.loglik, rtol=1e-12)
            table = ml.impacts(method="delta")["estimate"]
            own = out.impacts.sel(weights=name, model=model, effects="twoway", statistic="mean")
            for kind in KINDS:
                np.testing.assert_allclose(
                    own[kind].sel(term=table[kind].index), table[kind], rtol=1e-10, atol=1e-14
                )
    ols = out.summary["loglik"].sel(model="OLS").squeeze()
    # no W in it: the same data, the same value
    np.testing.assert_allclose(ols[0], ols[1], rtol=1e-12)
    assert np.isnan(out.members).all()
    with pytest.raises(so.SpecificationError, match="sampler='exact'"):
        out.average()


@pytest.mark.verify
def test_nuts_agrees_with_exact(small, case, family, monte_carlo):
    """Chains and members side by side; two samples within their errors, ArviZ's effective sizes
    being those of the chains.
    """
    weights = weights_of(small, "spectral", "islands")
    out = swept(
        case,
        weights,
        models=["SAR"],
        effects=["unit"],
        sampler="nuts",
        draws=500,
        tune=500,
        chains=2,
        keep_draws=True,
    )
    assert int(out.summary["divergences"].sum()) == 0
    assert float(out.summary["r_hat"].max()) < 1.05
    for name in weights:
        label = {"weights": name, "model": "SAR", "effects": "unit"}
        for parameter in ("x1", "x2", "rho", "sigma"):
            own = monte_carlo(
                out.draws["parameters"].sel(parameter=parameter, **label).to_numpy().reshape(2, 500)
            )
            truth = family.summary.sel(parameter=parameter, **label)
            assert abs(own.mean - truth["mean"]) < 4.5 * np.hypot(
                own.mean_error, truth["sd"] / np.sqrt(DRAWS)
            )
            assert abs(own.sd - truth["sd"]) < 4.5 * np.hypot(
                own.sd_error, truth["sd"] / np.sqrt(DRAWS)
            )


def test_a_second_sweep_of_the_same_shapes_is_not_traced_again(small, case, family, monkeypatch):
    """Other data, other W, as many members or fewer."""
    traced = []
    monkeypatch.setattr(formulas, "sliced", lambda *given: traced.append(1) or SLICED(*given))
    rng = np.random.default_rng(9)
    other = case.frame.assign(y=rng.standard_normal(len(case.frame)))
    again = replace(case, frame=other)
    out = swept(
        again,
        weights_of(small, "spectral", "sinks"),
        models=MODELS,
        effects=["unit"],
        keep_draws=True,
    )
    assert not len(out.failures)
    assert not traced
    swept(again, weights_of(small, "spectral", "sinks"), models=["SAR"], effects=["unit"], draws=7)
    assert traced  # the counter counts


SLICED = formulas.sliced


def test_members_that_fail_are_rows_and_the_others_finish(small, case):
    """No admissible interval, other units, a regressor that the effects absorb, a variable with a
    missing value.
    """
    ids = [f"u{i:02d}" for i in range(13)]
    frame = case.frame.assign(
        fixed=lambda data: data["unit"].str[1:].astype(int) * 1.0, gap=lambda data: data["x1"]
    )
    frame.loc[frame.index[0], "gap"] = np.nan
    weights = weights_of(small, "spectral", "islands")
    weights["nilpotent"] = so.Weights(NO_INTERVAL, ids, islands="allow")
    weights["elsewhere"] = so.Weights(small("OLS").W, [f"v{i}" for i in range(13)])
    controls = {"none": "", "fixed": "fixed", "gap": "gap"}
    options = {"models": ["SAR"], "effects": ["unit"], "lagged": None, "controls": controls}
    out = swept(replace(case, frame=frame), weights, **options)
    reasons = out.failures.set_index(["weights", "controls"])["reason"]
    assert set(reasons.index) == {
        ("nilpotent", "none"),
        *((name, "fixed") for name in weights),
        *((name, "gap") for name in weights),
        ("elsewhere", "none"),
    }
    assert "give the bounds yourself" in reasons["nilpotent", "none"]
    assert "v0" in reasons["elsewhere", "none"] or "u00" in reasons["elsewhere", "none"]
    assert "'fixed' is absorbed" in reasons["spectral", "fixed"]
    assert "gap" in reasons["spectral", "gap"]
    fine = out.summary["mean"].sel(
        parameter="rho", controls="none", weights=["spectral", "islands"]
    )
    assert np.isfinite(fine).all()
    assert "failed" in repr(out)
    assert out.conclusions().loc[("total", "x1"), "members"] == 2
    probabilities = out.members.sel(controls="none").squeeze()
    np.testing.assert_allclose(probabilities.sum(), 1.0, rtol=1e-12)


def test_controls_priors_and_windows_are_dimensions(small):
    """A window of two of three years is the fit to these years; a control is the fit with it."""
    case = small("SAR", "unit", "knn")
    weights = weights_of(small, "knn")
    priors = {"default": so.Priors(), "improper": so.Priors.reference()}
    windows = {"all": (2001, 2003), "late": (2002, 2003)}
    out = so.sweep(
        "y ~ x1",
        case.frame,
        weights,
        models=["OLS"],
        effects=["unit"],
        controls={"few": "", "more": "x2"},
        priors=priors,
        windows=windows,
        draws=200,
        **PANEL,
    )
    assert dict(out.members.sizes) == {
        "weights": 1,
        "model": 1,
        "effects": 1,
        "controls": 2,
        "priors": 2,
        "window": 2,
    }
    late = case.frame[case.frame["year"] > 2001]
    for formula, control in (("y ~ x1", "few"), ("y ~ x1 + x2", "more")):
        fit = so.OLS(formula, late, weights["knn"], effects="unit", unit="unit", period="year").fit(
            "exact", draws=10, chains=1
        )
        label = {"controls": control, "priors": "default", "window": "late"}
        own = out.summary["log_marginal_likelihood"].sel(label).squeeze()
        np.testing.assert_allclose(own, fit.log_marginal_likelihood, atol=1e-8)
    assert np.isnan(out.members.sel(priors="improper")).all()
    np.testing.assert_allclose(out.members.sum(["controls", "priors"]), 1.0, rtol=1e-12)
    assert np.isnan(out.summary["mean"].sel(parameter="x2", controls="few")).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": "SAR"}, r"models='SAR': give a list"),
        ({"models": ["SARX"]}, "SARX"),
        ({"models": []}, "model is empty"),
        ({"models": ["SAR", "SAR"]}, "'SAR' is listed twice"),
        ({"effects": "unit"}, "effects='unit': give a list"),
        ({"effects": ["units"]}, "units"),
        ({"sampler": "gibbs"}, "gibbs"),
        ({"draws": 0}, "draws=0"),
        ({"seed": -1}, "seed=-1"),
        ({"weights": {}}, "weights is empty"),
        ({"weights": {"W": np.eye(3)}}, "ndarray"),
        ({"weights": {1: None}}, "1 is no name"),
        ({"weights": [1, 2]}, "weights is a list"),
        ({"controls": ["x2"]}, "controls is a list"),
        ({"controls": {}}, "controls is empty"),
        ({"priors": {"a": 3}}, "a Priors|Priors"),
        ({"priors": 3}, "priors is an int"),
        ({"windows": {"a": 3}}, "first and last"),
        ({"windows": {"a": (1900, 1910)}}, "No row"),
        ({"lagged": "x1"}, "lagged='x1': give a list"),
        ({"unit": "county"}, "county"),
        ({"effects": ["unit"], "period": None, "unit": None}, "unit="),
    ],
)
def test_what_no_member_could_do_is_refused(change, message, small):
    case = small("SAR", "unit", "knn")
    given = {
        "weights": weights_of(small, "knn"),
        "models": ["SAR"],
        "effects": ["unit"],
        **PANEL,
    } | change
    with pytest.raises(so.SpilloverError, match=message):
        so.sweep("y ~ x1", case.frame, **given)


def test_priors_that_the_exact_sampler_cannot_use_are_failures_that_say_so(small):
    case = small("SAR", "unit", "knn")
    priors = so.Priors(sigma=dist.HalfNormal(1.0))
    out = swept(
        case, weights_of(small, "knn"), models=["OLS"], effects=["unit"], lagged=None, priors=priors
    )
    assert out.failures["reason"].str.contains("nuts").all()
