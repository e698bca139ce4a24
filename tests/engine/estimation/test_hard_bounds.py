"""Priors with hard bounds: NUTS against independent weighted draws, the exact sampler against
quadrature on the bounds, refusals.
"""

import arviz_stats
import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from oracles import dense, weighted
from scipy import stats

import spillover as so
from spillover.engine.estimation import nuts
from spillover.engine.estimation.problem import draw_prior
from spillover.models import supports

LOWER, UPPER = np.array([1.5, -1.1, 0.0, -0.5]), np.array([1.9, 3.0, 9.0, -0.2])
BOXED = so.Priors(
    beta=dist.Uniform(LOWER, UPPER),
    sigma=dist.Uniform(0.45, 0.6),
    rho=dist.Uniform(0.0, 0.5),
    lam=dist.TruncatedNormal(0.0, 0.5, low=-0.2),
)


def everything(b, sigma, rho, lam):
    """log density of BOXED, up to its constant."""
    inside = ((b > LOWER) & (b < UPPER)).all(axis=1) & (sigma > 0.45) & (sigma < 0.6)
    return np.where(inside, stats.norm.logpdf(lam, 0, 0.5), -np.inf)


@pytest.fixture(scope="module")
def boxed(small, sampled):
    """A SAC with a hard bound on everything, each of which cuts into the posterior."""
    return sampled(small("SAC", "unit").model(priors=BOXED))


@pytest.mark.verify
def test_nuts_stays_inside_and_has_the_posterior_of_weighted_draws(boxed, small, monte_carlo):
    case = small("SAC", "unit")
    p, upper = case.problem(), dense.interval(case.W)[1]
    oracle = weighted.draws(p, [(0.0, 0.5), (-0.2, upper)], everything)
    beta = boxed.posterior["beta"].to_numpy()
    assert ((beta > LOWER) & (beta < UPPER)).all()
    found = {
        str(j): boxed.posterior["beta"].sel(term=term) for j, term in enumerate(case.labels(p))
    }
    found |= {
        "sigma": boxed.posterior["sigma"],
        "rho": boxed.posterior["rho"],
        "lambda": boxed.posterior["lam"],
    }
    for name, (low, high) in {
        "sigma": (0.45, 0.6),
        "rho": (0.0, 0.5),
        "lambda": (-0.2, upper),
    }.items():
        assert low < float(found[name].min()) < float(found[name].max()) < high
    for name, draws in found.items():
        own, (mean, error), (sd, sd_error) = monte_carlo(draws), oracle.mean(name), oracle.sd(name)
        own.assert_mean(mean, name, errors=4.5 * np.hypot(1, error / own.mean_error))
        own.assert_sd(sd, name, errors=4.5 * np.hypot(1, sd_error / own.sd_error))


@pytest.mark.verify
def test_hard_bounds_cost_neither_divergences_nor_draws(boxed):
    """As without bounds, a draw is worth about one: `sampled` lets no warning pass."""
    quality = boxed.tree["sample_stats"].to_dataset()
    assert int(quality["diverging"].sum()) == 0
    ess = arviz_stats.ess(boxed.posterior)
    assert min(float(ess[name].min()) for name in ("beta", "rho", "lam", "sigma")) > 1000


B0, V0, A0, D0 = np.array([1.0, -1.0, 0.5, 0.0]), np.diag([1.0, 0.5, 2.0, 1.5]), 3.0, 1.2
CONJUGATE = {
    "beta": so.Conjugate(tuple(B0), tuple(map(tuple, V0))),
    "sigma": so.InverseGamma(A0, D0),
}
CUT = {  # model, priors of rho and lam, the interval of each, and their log density on it
    "rho, short of its mass": (
        "SAR",
        {"rho": dist.Uniform(0.1, 0.3)},
        [(0.1, 0.3)],
        lambda rho, lam: -np.log(0.2),
    ),
    "rho, far short of it": (
        "SAR",
        {"rho": dist.Uniform(-2.0, -1.0)},
        [(-2.0, -1.0)],
        lambda rho, lam: 0.0,
    ),
    "rho and lam": (
        "SAC",
        {"rho": dist.Uniform(0.0, 0.5), "lam": dist.Uniform(-0.2, 5.0)},
        [(0.0, 0.5), (-0.2, None)],
        lambda rho, lam: -np.log(0.5) - np.log(1.2),
    ),
}


@pytest.mark.parametrize(
    "what", [pytest.param(what, marks=[pytest.mark.verify] * (" and " in what)) for what in CUT]
)
def test_the_exact_sampler_integrates_on_the_support(what, small, monte_carlo):
    """The evidence to within the error that is claimed, which nothing that jumps spoils; moments of
    the draws; all of these inside.
    """
    name, around, bounds, law = CUT[what]
    case = small(name, "unit")
    bounds = [(low, dense.interval(case.W)[1] if high is None else high) for low, high in bounds]
    fit = case.model(priors=so.Priors(**CONJUGATE, **around)).fit("exact", draws=3000, seed=3)
    size = (40, 16) if len(bounds) == 1 else (8, 16)
    wanted = dense.posterior(
        case.problem(),
        bounds=bounds,
        prior={"b0": B0, "V0": V0, "a0": A0, "d0": D0},
        log_prior=law,
        size=size,
    )
    assert float(fit.tree["sample_stats"]["quadrature_error"]) < 1e-9
    assert fit.log_marginal_likelihood == pytest.approx(wanted["log_integral"], abs=1e-8)
    for i, (parameter, ends) in enumerate(zip(around, bounds, strict=True)):
        own = fit.posterior[parameter]
        assert ends[0] < float(own.min()) < float(own.max()) < ends[1]
        monte_carlo(own).assert_mean(wanted["spatial_mean"][i], parameter)
        monte_carlo(own).assert_sd(wanted["spatial_sd"][i], parameter)
        before = fit.tree["prior"][parameter]
        assert ends[0] < float(before.min()) < float(before.max()) < ends[1]


def test_every_start_is_inside(small):
    """Whatever the seed, and however far the bounds are from the data."""
    priors = so.Priors(
        beta=dist.Uniform(np.array([3.0, 0.0, -9.0, 0.5]), 9.0),
        sigma=dist.Uniform(0.0, 0.05),
        rho=dist.Uniform(-0.9, -0.8),
    )
    with jax.enable_x64(True):
        placed = small("SAR", "unit").model(priors=priors).problem.placed
        start = nuts.draw_starts(placed, 50, 0)
        found = {
            name: np.asarray(values)
            for name, values in nuts.parameters(placed.posterior, start[None]).items()
        }
    assert ((found["beta"] > [3.0, 0.0, -9.0, 0.5]) & (found["beta"] < 9.0)).all()
    assert ((found["sigma"] > 0) & (found["sigma"] < 0.05)).all()
    assert ((found["rho"] > -0.9) & (found["rho"] < -0.8)).all()


def test_draws_from_the_prior_are_inside(small):
    """A prior of sigma that reaches below zero is cut there, as the posterior takes it."""
    model = small("SAR", "unit").model(
        priors=so.Priors(
            beta=dist.HalfNormal(2.0), sigma=dist.Normal(0.5, 1.0), rho=dist.Uniform(0.2, 3.0)
        )
    )
    with jax.enable_x64(True):
        found = draw_prior(model.problem, 500, 0)
    assert (found["beta"] > 0).all()
    assert (found["sigma"] > 0).all()
    assert ((found["rho"] > 0.2) & (found["rho"] < 1.0)).all()
    assert all(len(values) == 500 for values in found.values())


REFUSED = {
    "outside the admissible interval": (
        so.Priors(rho=dist.Uniform(1.5, 2.0)),
        ["rho", "(1.5, 2)", "admissible interval"],
    ),
    "no positive sigma": (
        so.Priors(sigma=dist.Uniform(-2.0, -1.0)),
        ["sigma", "Uniform", "positive"],
    ),
    "a discrete one": (so.Priors(beta={"x2": dist.Poisson(3.0)}), ["'x2'", "Poisson", "discrete"]),
    "a point": (so.Priors(rho=dist.Delta(0.3)), ["rho", "Delta"]),
    "a simplex": (
        so.Priors(beta=dist.Dirichlet(np.ones(4))),
        ["beta", "Dirichlet", "interval of each number"],
    ),
    "a sum": (so.Priors(beta=dist.ZeroSumNormal(1.0, (4,))), ["beta", "ZeroSumNormal"]),
    "an empty one": (so.Priors(beta={"x1": dist.Uniform(1.0, 1.0)}), ["'x1'", "empty"]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_supports_that_cannot_be_are_refused_by_name(what, small):
    priors, words = REFUSED[what]
    with pytest.raises(so.PriorError) as error:
        small("SAR", "unit").model(priors=priors).fit(progress=False)
    assert all(word in str(error.value) for word in words), str(error.value)


MOVED = dist.TransformedDistribution(
    dist.Uniform(0.0, 1.0), dist.transforms.AffineTransform(3.0, -2.0)
)
SUPPORTS = {
    "exponential": (dist.Exponential(2.0), (0.0, np.inf)),
    "uniform, moved and stretched": (
        dist.TransformedDistribution(
            dist.Uniform(0.0, 1.0), dist.transforms.AffineTransform(3.0, -2.0)
        ),
        (1.0, 3.0),
    ),
    "log-uniform": (dist.LogUniform(0.5, 4.0), (0.5, 4.0)),
    "log-normal": (dist.LogNormal(0.0, 1.0), (0.0, np.inf)),
    "inverse gamma": (dist.InverseGamma(2.0, 1.0), (0.0, np.inf)),
    "beta": (dist.Beta(2.0, 3.0), (0.0, 1.0)),
    "cut on both sides": (dist.TruncatedNormal(0.0, 1.0, low=-0.5, high=2.0), (-0.5, 2.0)),
    "pareto": (dist.Pareto(2.0, 3.0), (2.0, np.inf)),
    "masked": (dist.HalfNormal(1.0).mask(True), (0.0, np.inf)),
    "t": (dist.StudentT(3.0), (-np.inf, np.inf)),
    "mixture": (
        dist.MixtureSameFamily(
            dist.Categorical(np.array([0.3, 0.7])), dist.Normal(np.array([0.0, 1.0]), 1.0)
        ),
        (-np.inf, np.inf),
    ),
}


@pytest.mark.parametrize("what", SUPPORTS)
def test_the_support_of_a_distribution(what):
    distribution, ends = SUPPORTS[what]
    np.testing.assert_allclose(supports.interval(distribution, "beta"), ends, rtol=1e-6)
