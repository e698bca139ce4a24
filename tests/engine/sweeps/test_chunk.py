"""Members of a sweep: each is the single fit of the same model, whatever the chunks and the reach
of the log-determinant.
"""

from dataclasses import replace

import numpy as np
import pytest
from small_sweeps import DRAWS, KINDS, MODELS, build_single, run_sweep, weights_of

import spillover as so
from spillover.engine.estimation.problem import build_posterior
from spillover.engine.sweeps import chunk
from spillover.engine.sweeps import sweep as sweeps
from spillover.engine.weights.logdet import covers
from spillover.kernels import admissible
from spillover.models import exact as formulas


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


@pytest.mark.parametrize("model", MODELS)
def test_a_member_is_the_single_exact_fit(model, small, case, family, monte_carlo):
    for name, weights in weights_of(small, "spectral", "islands").items():
        fit = build_single(case, weights, model, "unit").fit("exact", draws=DRAWS, chains=1, seed=8)
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
    out = run_sweep(one, weights, models=["SAR"], effects=[effects])
    fit = build_single(one, weights["knn"], "SAR", effects).fit(
        "exact", draws=DRAWS, chains=1, seed=8
    )
    assert_member(out, {"weights": "knn", "model": "SAR", "effects": effects}, fit, monte_carlo)


def test_chunks_do_not_change_the_numbers(small, case, monkeypatch):
    """Three members in one stack, or in a stack of two and one left over."""
    weights = weights_of(small, "spectral", "islands", "sinks")
    options = {"models": ["SAR"], "effects": ["unit"], "keep_draws": True}
    whole = run_sweep(case, weights, **options)
    monkeypatch.setattr(sweeps, "STACK", 2)
    parts = run_sweep(case, weights, **options)
    np.testing.assert_allclose(parts.draws["parameters"], whole.draws["parameters"], rtol=1e-9)
    for name in ("log_marginal_likelihood", "mean", "sd", "quantile"):
        np.testing.assert_allclose(parts.summary[name], whole.summary[name], rtol=1e-9)


def test_a_posterior_beyond_the_usual_log_determinant_is_fitted_on_a_longer_one(small, monkeypatch):
    """Exact nodes leave out the ends of the interval; given bounds that the data press against put
    rho there. The truth has all eigenvalues, which reach as far as is wanted.
    """
    case = small("SAR", "unit", "knn")
    ids = [f"u{i:02d}" for i in range(13)]

    def fitted() -> tuple[so.Sweep, so.LogDet]:
        weights = so.Weights(case.W, ids, bounds=(-0.9, 0.1))
        return run_sweep(
            case, {"knn": weights, "again": weights}, models=["SAR"], effects=["unit"]
        ), so.LogDet.build(weights)

    truth, _ = fitted()
    with monkeypatch.context() as patch:
        patch.setattr(admissible, "DENSE", 1)
        patch.setattr(admissible, "FULL", 2.0)
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
    monkeypatch.setattr(admissible, "DENSE", 1)
    monkeypatch.setattr(admissible, "FULL", 2.0)
    so.cache.clear()
    problem = case.model().problem
    usual = np.asarray(build_posterior(problem).likelihood.error.ends)
    for reach in ((usual[0] - 0.5, 0.0), (0.0, usual[1] + 0.5)):
        error = build_posterior(problem, ((0.0, 0.0), reach)).likelihood.error
        assert covers(error, *reach)
    so.cache.clear()


def test_a_table_too_coarse_is_made_again_finer(small, case, family, monkeypatch):
    """With 17 points at first the integral is not good to 1e-9: the next table is, and the numbers
    are those of 257 points.
    """
    weights = weights_of(small, "spectral", "islands")
    monkeypatch.setattr(chunk.exact, "POINTS", (17, 257))
    out = run_sweep(case, weights, models=["SAR"], effects=["unit"])
    assert float(out.summary["quadrature_error"].max()) < chunk.exact.GOOD
    wanted = family.summary["log_marginal_likelihood"].sel(weights=list(weights), model=["SAR"])
    np.testing.assert_allclose(out.summary["log_marginal_likelihood"], wanted, atol=1e-9)
    monkeypatch.setattr(chunk.exact, "POINTS", (17,))
    monkeypatch.setattr(chunk.exact, "BAD", 0.0)
    failed = run_sweep(case, weights, models=["SAR"], effects=["unit"])
    assert failed.failures["reason"].str.contains("quadrature").all()
    assert np.isnan(failed.summary["mean"]).all()


def test_maximum_likelihood_members_are_fit_ml(small):
    """Estimates, standard errors, impacts by the delta method, the log-likelihood where
    it is one.
    """
    case, weights = small("SAR", "twoway", "spectral"), weights_of(small, "knn", "spectral")
    out = run_sweep(case, weights, models=["OLS", "SAR"], effects=["twoway"], sampler="ml")
    for model in ("OLS", "SAR"):
        for name in weights:
            ml = build_single(case, weights[name], model, "twoway").fit_ml()
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
    out = run_sweep(
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
    monkeypatch.setattr(formulas, "slice_at", lambda *given: traced.append(1) or SLICED(*given))
    rng = np.random.default_rng(9)
    other = case.frame.assign(y=rng.standard_normal(len(case.frame)))
    again = replace(case, frame=other)
    out = run_sweep(
        again,
        weights_of(small, "spectral", "sinks"),
        models=MODELS,
        effects=["unit"],
        keep_draws=True,
    )
    assert not len(out.failures)
    assert not traced
    run_sweep(
        again, weights_of(small, "spectral", "sinks"), models=["SAR"], effects=["unit"], draws=7
    )
    assert traced  # the counter counts


SLICED = formulas.slice_at
