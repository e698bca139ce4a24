"""sampler="exact": NUTS, stored exact posteriors and brute force agree with it; what it refuses,
and what a fit keeps of it.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import xarray as xr
from dense_posterior import assert_dense_posterior
from oracles import dense, grid
from scipy import stats

import spillover as so
from spillover.engine.estimation import exact

FLAT = so.Priors.reference()
DRAWS = 3000  # of each of four chains: each number of draws is a program to compile
STORED = ("SAR", "SEM", "SDM", "SDEM")


def quantities(fit):
    """(chain, draw) of every scalar parameter."""
    posterior = fit.posterior
    found = {str(term): posterior["beta"].sel(term=term) for term in posterior["term"].to_numpy()}
    found |= {name: posterior[name] for name in ("rho", "lam") if name in posterior}
    return {
        name: values.to_numpy()
        for name, values in (found | {"sigma2": posterior["sigma"] ** 2}).items()
    }


def drawn(model, draws=DRAWS, **options):
    return model.fit("exact", draws=draws, **{"seed": 3, **options})


@pytest.mark.cover
@pytest.mark.parametrize("effects", dense.EFFECTS)
@pytest.mark.parametrize("name", dense.MODELS)
def test_every_model_has_the_posterior_of_quadrature(name, effects, small, monte_carlo):
    """Under the default prior, on an asymmetric W, from the rows of the data to the names of the
    draws.
    """
    case = small(name, effects)
    model = case.model()
    assert_dense_posterior(case, model, drawn(model), monte_carlo)


def assert_stored(fit, entry, named):
    """Every moment, quantile and correlation of a stored posterior; the draws are independent, so
    that errors are sd / sqrt(n).
    """
    found = quantities(fit)
    pairs = [
        (named(term), mean, entry["coef_sd"][term])
        for term, mean in entry["coef_mean"].items()
        if mean is not None
    ]
    pairs += [
        (named(what), entry[what]["mean"], entry[what]["sd"])
        for what in ("rho", "lambda", "sigma2")
        if what in entry
    ]
    for what, mean, sd in pairs:
        draws = found[what].ravel()
        assert abs(draws.mean() - mean) < 4.5 * sd / np.sqrt(draws.size), what
        spread = ((draws - mean) ** 2).std() / np.sqrt(draws.size) / (2 * sd)
        assert abs(draws.std() - sd) < 4.5 * spread, what
    for stored in {"rho", "lambda"} & set(entry):
        draws = found[named(stored)].ravel()
        for level, value in zip(dense.LEVELS, entry[stored]["quantiles"], strict=True):
            assert abs((draws < value).mean() - level) < 4.5 * np.sqrt(
                level * (1 - level) / draws.size
            ), (stored, level)
        others = {named(term): r for term, r in entry[stored]["corr_coef"].items() if r is not None}
        others |= (
            {"rho": entry["corr_rho_lambda"]}
            if stored == "lambda" and "corr_rho_lambda" in entry
            else {}
        )
        for what, r in others.items():
            x, z = stats.zscore(draws), stats.zscore(found[what].ravel())
            own = (x * z).mean()
            error = (x * z - own * (x**2 + z**2) / 2).std() / np.sqrt(draws.size)
            assert abs(own - r) < 4.5 * error, (stored, what, own, r)


def log_integral(model):
    """log of the integral of the posterior under the reference prior; the oracle's measure is d
    sigma^2 / sigma^2, twice ours.
    """
    with jax.enable_x64(True):
        posterior, _ = model.problem.placed
        _, quality = exact.sample(
            posterior,
            exact.make_noise(posterior, 4 * DRAWS, np.random.default_rng(0)),
            points=exact.POINTS[0],
        )
    return float(quality.log_evidence) + np.log(2)


@pytest.mark.cover(name=["SAR"])
@pytest.mark.parametrize("name", ["SAR", "SEM", "SAC"])
def test_columbus_has_the_stored_posterior(name, city, reference, named):
    model, entry = (
        city(name, bounds=(-1, 1), priors=FLAT),
        reference("columbus_exact")["posterior"][name],
    )
    assert_stored(drawn(model), entry, named)
    assert log_integral(model) == pytest.approx(entry["log_integral"], abs=1e-6)


@pytest.mark.cover
@pytest.mark.parametrize("effects", ["unit", "twoway"])
@pytest.mark.parametrize("name", STORED)
def test_produc_has_the_stored_posterior(name, effects, produc, reference, named):
    """The stored prior of rho and lam is uniform on (-1, 1), ours on the whole interval."""
    model, entry = (
        produc(name, effects, priors=FLAT),
        reference("produc_exact")["posterior"][effects]["transformed"][name],
    )
    fit = drawn(model)
    assert_stored(fit, entry, named)
    lower, upper = dense.interval(model.weights.matrix.toarray())
    assert log_integral(model) == pytest.approx(
        entry["log_integral"] - np.log((upper - lower) / 2), abs=1e-6
    )


@pytest.mark.parametrize("name", ["SAR", "SDM"])
def test_impacts_of_produc_are_the_stored_ones(name, produc, reference, named):
    impacts = drawn(produc(name, "twoway", priors=FLAT)).impacts()
    entry = reference("produc_exact")["posterior"]["twoway"]["transformed"][name]
    for kind in ("direct", "indirect", "total"):
        for stored, mean in entry["impacts_mean"][kind].items():
            draws, sd = (
                impacts[kind].sel(term=named(stored)).to_numpy().ravel(),
                entry["impacts_sd"][kind][stored],
            )
            assert abs(draws.mean() - mean) < 4.5 * sd / np.sqrt(draws.size)
            assert abs(draws.std() - sd) < 4.5 * ((draws - mean) ** 2).std() / np.sqrt(
                draws.size
            ) / (2 * sd)


class Conjugate:
    """A conjugate prior of a small model for the package, and for the oracle in the order of its
    columns.
    """

    def __init__(self, case, **families):
        self.problem = case.problem()
        labels, terms = case.labels(self.problem), case.model().design.terms
        k = len(terms)
        mean, variance = np.linspace(0.5, -0.5, k), np.linspace(0.5, 3, k)
        beta = so.Conjugate(tuple(mean), tuple(map(tuple, np.diag(variance))))
        self.model = case.model(
            priors=so.Priors(beta=beta, sigma=so.InverseGamma(2.5, 0.8), **families)
        )
        order = [terms.index(label) for label in labels]
        self.prior = {"b0": mean[order], "V0": np.diag(variance[order]), "a0": 2.5, "d0": 0.8}

    def evidence(self, log_prior, bounds):
        return grid.grid(self.problem, bounds, self.prior, log_prior, (24, 16)).log_integral


def uniform(bounds):
    constant = -sum(np.log(hi - lo) for lo, hi in bounds)
    return lambda rho, lam: np.full_like(rho, constant)


@pytest.mark.parametrize("name", ["OLS", "SLX", "SAR", "SDM", "SEM", "SAC"])
def test_the_evidence_is_the_integral(name, small):
    case = small(name, "unit")
    conjugate = Conjugate(case)
    bounds = [dense.interval(case.W)] * sum(dense.MODELS[name][::2])
    expected = conjugate.evidence(uniform(bounds), bounds)
    assert drawn(conjugate.model).log_marginal_likelihood == pytest.approx(expected, abs=1e-8)


@pytest.mark.verify
def test_a_distribution_of_the_user_is_cut_to_the_interval_and_normalised_there(small):
    """A normal with a third of its mass outside."""
    case = small("SAR", "unit")
    bounds = [dense.interval(case.W)]
    conjugate, law = Conjugate(case, rho=dist.Normal(0.7, 0.7)), stats.norm(0.7, 0.7)
    inside = np.diff(law.cdf(bounds[0]))[0]
    assert 0.3 < inside < 0.7
    expected = conjugate.evidence(lambda rho, _: law.logpdf(rho) - np.log(inside), bounds)
    assert drawn(conjugate.model).log_marginal_likelihood == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(
    ("wide", "narrow", "effects"),
    [("SAR", "OLS", "none"), ("SDM", "SLX", "twoway"), ("SAC", "SAR", "unit")],
)
def test_bayes_factors_are_savage_and_dickeys_ratio(wide, narrow, effects, small):
    """p(y | wide) / p(y | narrow) = prior / posterior density of rho (or lam) at 0 in the wider
    model, the priors of the rest being one.
    """
    case = small(wide, effects)
    bounds = [dense.interval(case.W)] * sum(dense.MODELS[wide][::2])
    big = Conjugate(case)
    ids = [f"u{i:02d}" for i in range(len(case.W))]
    lagged = {"lagged": ["x1"]} if dense.MODELS[narrow][1] else {}
    little = getattr(so, narrow)(
        case.formula,
        case.frame,
        so.Weights(case.W, ids),
        effects=effects,
        unit="unit",
        period="year",
        priors=big.model.priors,
        **lagged,
    )
    which = 1 if narrow == "SAR" else 0
    truth = grid.grid(big.problem, bounds, big.prior, uniform(bounds), (24, 16))
    x, density = truth.density(which)
    nodes = np.argsort(np.abs(x))[:8]
    at_zero = np.polynomial.Polynomial.fit(x[nodes], np.log(density[nodes]), 7)(0.0)
    expected = -np.log(np.diff(bounds[which])[0]) - at_zero
    found = drawn(big.model).log_marginal_likelihood - drawn(little).log_marginal_likelihood
    assert found == pytest.approx(expected, abs=1e-6)


def test_evidence_does_not_depend_on_draws_or_seed(small):
    model = small("SAC", "twoway").model()
    assert (
        drawn(model, seed=1).log_marginal_likelihood == drawn(model, seed=2).log_marginal_likelihood
    )


@pytest.mark.parametrize(
    "priors",
    [
        so.Priors(beta=dist.Normal(0.0, 1.0)),
        so.Priors(beta={"x1": dist.Normal(0.0, 1.0)}),
        so.Priors(sigma=dist.HalfNormal(1.0)),
    ],
)
def test_priors_that_are_not_conjugate_are_for_nuts(priors, small):
    with pytest.raises(so.SpecificationError, match="sampler='nuts'"):
        small("SAR", "unit").model(priors=priors).fit("exact")


def test_unknown_samplers_and_no_draws_are_refused(small):
    model = small("SAR", "unit").model()
    with pytest.raises(so.SpecificationError, match=r"'gibbs'.*'nuts', 'exact'"):
        model.fit("gibbs")
    for options in ({"draws": 0}, {"chains": 0}):
        with pytest.raises(so.SpecificationError, match="=0: give a whole number from 1 on"):
            model.fit("exact", **options)


@pytest.mark.parametrize("priors", [FLAT, so.Priors(beta=so.Flat()), so.Priors(sigma=so.Flat())])
def test_no_evidence_under_a_flat_prior(priors, small):
    fit = drawn(small("SAR", "unit").model(priors=priors))
    with pytest.raises(so.SpecificationError, match="proper conjugate priors"):
        _ = fit.log_marginal_likelihood


class Step(dist.Distribution):
    """A density that falls to a third inside its support, where the posterior of rho
    has its mass.
    """

    arg_constraints: ClassVar[dict] = {}
    support = dist.constraints.real

    def log_prob(self, value):
        return jnp.where(value > 0.45, 0.0, -1.0)

    def sample(self, key, sample_shape=()):
        return jax.random.uniform(key, sample_shape)


def test_a_jump_in_the_prior_is_seen(small):
    """No rule converges there: an error of a thousandth is refused and not let through. The ends of
    a support are no such jump.
    """
    model = small("SAR", "unit").model(priors=so.Priors(rho=Step()))
    with pytest.raises(so.ConvergenceError, match="sampler='nuts'"):
        drawn(model)


@pytest.mark.verify
def test_nuts_stays_within_the_support_of_a_prior(small, sampled):
    """Of rho, of sigma and of a coefficient, each with much of the likelihood outside."""
    case = small("SAR", "unit")
    free = quantities(drawn(case.model()))
    cut = {name: float(np.quantile(values, 0.3)) for name, values in free.items()}
    priors = so.Priors(
        rho=dist.Uniform(cut["rho"], 5.0),
        sigma=dist.Uniform(np.sqrt(cut["sigma2"]), 9.0),
        beta={"x1": dist.Uniform(cut["x1"], 9.0)},
    )
    found = quantities(sampled(case.model(priors=priors), quiet=True))
    for name in ("rho", "sigma2", "x1"):
        assert cut[name] < found[name].min() < np.quantile(free[name], 0.5)


def test_seeds_reproduce_the_draws(small):
    model = small("SAC", "twoway").model()
    one, same, other = (drawn(model, seed=seed).posterior for seed in (3, 3, 4))
    xr.testing.assert_equal(one, same)
    for name in one:
        assert (one[name] != other[name]).all()
    assert not (one["rho"][0] == one["rho"][1]).any()


def test_draws_are_independent(small, monte_carlo):
    """No autocorrelation, and the same law in every chain: the effective sample size is the number
    of draws.
    """
    fit = drawn(small("SAC", "twoway").model())
    table = fit.summary()
    assert (table["r_hat"] < 1.005).all()
    assert (table["ess_bulk"] > 0.8 * 4 * DRAWS).all()
    for name in ("rho", "lam"):
        draws = fit.posterior[name].to_numpy()
        for lag in (1, 2, 5):
            r = np.corrcoef(draws[:, :-lag].ravel(), draws[:, lag:].ravel())[0, 1]
            assert abs(r) < 4.5 / np.sqrt(draws.size)


@pytest.mark.parametrize(("name", "priors"), [("SAC", so.Priors()), ("OLS", FLAT)])
def test_a_saved_fit_keeps_evidence_and_quality(name, priors, small, tmp_path):
    fit = drawn(small(name, "twoway").model(priors=priors))
    fit.save(tmp_path / "fit.nc")
    loaded = so.load(tmp_path / "fit.nc")
    xr.testing.assert_identical(loaded.posterior, fit.posterior)
    quality = loaded.tree["sample_stats"].to_dataset()
    assert set(quality) == {"quadrature_error", "quadrature_points"}
    assert 0 <= float(quality["quadrature_error"]) < 1e-9
    assert int(quality["quadrature_points"]) in exact.POINTS
    assert loaded.tree.attrs["sampler"] == "exact"
    if priors is FLAT:
        assert "log_marginal_likelihood" not in loaded.tree.attrs
    else:
        assert loaded.log_marginal_likelihood == fit.log_marginal_likelihood


def test_one_draw_of_one_chain(small):
    posterior = drawn(small("OLS", "twoway").model(), draws=1, chains=1).posterior
    assert posterior["beta"].dims == ("chain", "draw", "term")
    assert (posterior.sizes["chain"], posterior.sizes["draw"]) == (1, 1)


def test_the_precision_of_the_user_is_untouched(small):
    fit = drawn(small("SAC", "twoway").model())
    assert jnp.ones(1).dtype == jnp.float32
    assert all(fit.posterior[name].dtype == np.float64 for name in fit.posterior)


def test_a_second_fit_of_the_same_shapes_is_not_compiled_again(small):
    drawn(small("SAC", "twoway").model())
    size = exact.sample._cache_size()
    drawn(small("SAC", "unit", seed=7).model(priors=so.Priors(rho=so.ScaledBeta(2, 2))))
    assert exact.sample._cache_size() == size
