"""What priors do to a posterior, against exact quadrature with that prior."""

import jax
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from numpyro.infer.util import log_density
from oracles import dense
from scipy import stats

import spillover as so


def assert_rho(fit: so.Fit, exact: dict, monte_carlo) -> None:
    own = monte_carlo(fit.posterior["rho"])
    own.assert_mean(exact["spatial_mean"][0])
    own.assert_sd(exact["spatial_sd"][0])


@pytest.mark.verify
@pytest.mark.parametrize(("a", "b"), [(60.0, 6.0), (2.0, 12.0)])
def test_a_scaled_beta_of_rho_shifts_the_posterior_as_quadrature_says(
    a, b, small, sampled, monte_carlo
):
    """The reference prior elsewhere; the uniform prior's posterior is far away, so that ignoring
    the prior would be seen.
    """
    case = small("SAR", "unit")
    p = case.problem()
    lower, upper = dense.interval(case.W)
    law = stats.beta(a, b, loc=lower, scale=upper - lower)
    exact = dense.posterior(p, bounds=[(lower, upper)], log_prior=lambda rho, lam: law.logpdf(rho))
    uniform = dense.posterior(p, bounds=[(lower, upper)])
    assert (
        abs(exact["spatial_mean"][0] - uniform["spatial_mean"][0]) > 0.2 * uniform["spatial_sd"][0]
    )
    priors = so.Priors(beta=so.Flat(), sigma=so.Flat(), rho=so.ScaledBeta(a, b))
    fit = sampled(case.model(priors=priors), draws=4000)
    assert_rho(fit, exact, monte_carlo)
    drawn = monte_carlo(fit.tree["prior"]["rho"])
    drawn.assert_mean(law.mean())
    drawn.assert_sd(law.std())


@pytest.mark.verify
def test_a_scaled_beta_of_lam(small, sampled, monte_carlo):
    case = small("SEM", "twoway")
    lower, upper = dense.interval(case.W)
    law = stats.beta(6.0, 6.0, loc=lower, scale=upper - lower)
    exact = dense.posterior(
        case.problem(), bounds=[(lower, upper)], log_prior=lambda rho, lam: law.logpdf(lam)
    )
    fit = sampled(
        case.model(priors=so.Priors(beta=so.Flat(), sigma=so.Flat(), lam=so.ScaledBeta(6, 6))),
        draws=4000,
    )
    own = monte_carlo(fit.posterior["lam"])
    own.assert_mean(exact["spatial_mean"][0])
    own.assert_sd(exact["spatial_sd"][0])


@pytest.mark.verify
def test_a_conjugate_prior_enters_as_it_is_written(small, sampled, monte_carlo):
    """Full covariance and a mean away from the data: b | sigma2 ~ N(b0, sigma2 V0), sigma2 ~
    InvGamma(a0, d0).
    """
    case = small("SAR", "unit")
    b0 = np.array([0.5, -2.0, 0.0, 1.0])
    root = np.random.default_rng(2).standard_normal((4, 4)) + 2 * np.eye(4)
    prior = {"b0": b0, "V0": 0.02 * root @ root.T, "a0": 4.0, "d0": 1.5}
    exact = dense.posterior(case.problem(), bounds=[dense.interval(case.W)], prior=prior)
    family = so.Conjugate(tuple(b0), tuple(map(tuple, prior["V0"])))
    fit = sampled(
        case.model(priors=so.Priors(beta=family, sigma=so.InverseGamma(4.0, 1.5))), draws=2000
    )
    assert_rho(fit, exact, monte_carlo)
    for j, term in enumerate(case.labels(case.problem())):
        own = monte_carlo(fit.posterior["beta"].sel(term=term))
        own.assert_mean(exact["b_mean"][j], term)
        own.assert_sd(exact["b_sd"][j], term)
    sigma2 = monte_carlo(fit.posterior["sigma"] ** 2)
    sigma2.assert_mean(exact["sigma2_mean"])
    sigma2.assert_sd(exact["sigma2_sd"])


@pytest.mark.verify
def test_zellners_prior_is_g_times_the_least_squares_covariance(small, sampled, monte_carlo):
    case = small("SAR", "unit")
    p = case.problem()
    prior = {"b0": np.zeros(4), "V0": 5.0 * np.linalg.inv(p.X.T @ p.X), "a0": 4.0, "d0": 1.5}
    exact = dense.posterior(p, bounds=[dense.interval(case.W)], prior=prior)
    fit = sampled(
        case.model(priors=so.Priors(beta=so.Zellner(5.0), sigma=so.InverseGamma(4.0, 1.5))),
        draws=2000,
    )
    assert_rho(fit, exact, monte_carlo)
    for j, term in enumerate(case.labels(p)):
        monte_carlo(fit.posterior["beta"].sel(term=term)).assert_mean(exact["b_mean"][j], term)


def test_the_default_ridge_is_the_width_its_docstring_says(small):
    """At sigma = s_0 one sd of x moves y by 2.5 sd of y: sd(beta_j | sigma) = sigma 2.5 s_y / (s_j
    s_0), seen in the prior's own draws.
    """
    case = small("OLS", "unit")
    fit, p = case.model().fit("exact", draws=1000), case.problem()
    prior = fit.tree["prior"].to_dataset().isel(chain=0)
    residual = p.y - p.X @ np.linalg.lstsq(p.X, p.y, rcond=None)[0]
    k = p.X.shape[1]
    s_0 = np.sqrt((1 + k / 2) * residual @ residual / (p.nu - k))
    s_y = np.sqrt((p.y**2).mean())  # after unit effects everything has mean zero
    for j, term in enumerate(case.labels(p)):
        z = (
            prior["beta"].sel(term=term)
            / prior["sigma"]
            * np.sqrt((p.X[:, j] ** 2).mean())
            * s_0
            / (2.5 * s_y)
        )
        assert abs(float(z.mean())) < 4.5 / np.sqrt(z.size)
        assert abs(float(z.std()) - 1) < 4.5 / np.sqrt(2 * z.size)
    precision = s_0**2 / prior["sigma"] ** 2  # Gamma(1, 1): mean one, sd one
    assert abs(float(precision.mean()) - 1) < 4.5 / np.sqrt(precision.size)


@pytest.fixture(scope="module")
def tight(small, sampled):
    """A prior for one coefficient, far from the data and as good as fixed."""
    model = small("SDM", "unit").model(priors=so.Priors(beta={"W:x1": dist.Normal(-3.0, 0.02)}))
    return sampled(model, quiet=True)


@pytest.mark.verify
def test_a_distribution_for_one_term_is_for_that_term(tight, small):
    beta = tight.posterior["beta"]
    np.testing.assert_allclose(beta.sel(term="W:x1"), -3.0, atol=0.2)
    ml = small("SDM", "unit").model().fit_ml()
    assert (
        np.abs(
            beta.mean(("chain", "draw")).sel(term=["x2", "x3", "x4"])
            - ml.params[["x2", "x3", "x4"]]
        )
        < 1.0
    ).all()
    prior = tight.tree["prior"]["beta"].sel(term=["W:x1", "x2"]).std(("chain", "draw"))
    assert float(prior[0]) < 0.03 < 0.1 < float(prior[1])  # the other terms keep the default


def test_a_distribution_for_all_terms(small):
    """A scalar one is for every coefficient alike, a vector has one a coefficient: each adds its
    own log-density to the flat one.
    """
    case = small("OLS", "unit")
    assert case.labels(case.problem()) == ["x1", "x2", "x3", "x4"]

    def density(beta: dist.Distribution | so.Flat) -> tuple[float, np.ndarray]:
        with jax.enable_x64(True), jax.numpy_rank_promotion("allow"):
            bound = case.model(priors=so.Priors(beta=beta)).numpyro_model
            value, trace = log_density(bound, (), {}, {"flat": np.linspace(-1.0, 1.0, 5)})
        return float(value), np.asarray(trace["beta"]["value"])

    flat, beta = density(so.Flat())
    for location, scale in (
        (1.0, 0.5),
        (np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.5, 1.0, 2.0, 3.0])),
    ):
        value, same = density(dist.Normal(location, scale))
        np.testing.assert_array_equal(beta, same)
        np.testing.assert_allclose(
            value - flat, stats.norm(location, scale).logpdf(beta).sum(), rtol=1e-9
        )


REFUSED = {
    "unknown parameter": (lambda: so.Priors(tau=so.Flat()), ["'tau'", "beta, sigma, rho, lam"]),
    "no distribution for a term": (lambda: so.Priors(beta={"x1": 2.0}), ["'x1'", "2.0", "NumPyro"]),
    "a number": (lambda: so.Priors(rho=0.5), ["rho", "0.5", "ScaledBeta", "NumPyro"]),
    "a family of another parameter": (
        lambda: so.Priors(rho=so.Ridge()),
        ["rho", "Ridge", "ScaledBeta"],
    ),
    "a family for sigma": (lambda: so.Priors(sigma=so.Uniform()), ["sigma", "InverseGamma"]),
    "a class, not a distribution": (
        lambda: so.Priors(sigma=dist.HalfNormal),
        ["sigma", "HalfNormal"],
    ),
    "a dict for rho": (lambda: so.Priors(rho={"rho": dist.Normal()}), ["rho"]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_priors_that_cannot_be_are_refused(what):
    make, words = REFUSED[what]
    with pytest.raises(so.PriorError) as error:
        make()
    assert all(word in str(error.value) for word in words)


UNFIT = {
    "unknown term": (so.Priors(beta={"income": dist.Normal()}), ["'income'", "x1", "W:x1"]),
    "a vector for one term": (
        so.Priors(beta={"x1": dist.Normal(np.zeros(3), 1.0)}),
        ["'x1'", "(3,)"],
    ),
    "the wrong number": (so.Priors(beta=dist.Normal(np.zeros(3), 1.0)), ["(3,)", "5 coefficients"]),
    "a conjugate of the wrong size": (so.Priors(beta=so.Conjugate((0.0,), ((1.0,),))), ["5 terms"]),
}


@pytest.mark.parametrize("what", UNFIT)
def test_priors_that_do_not_fit_the_model_are_refused(what, small):
    priors, words = UNFIT[what]
    with pytest.raises(so.PriorError) as error:
        small("SDM", "unit").model(priors=priors).fit(progress=False)
    assert all(word in str(error.value) for word in words)


HYPERPARAMETERS = {
    "ridge": lambda: so.Priors(beta=so.Ridge(-1.0)),
    "beta": lambda: so.Priors(rho=so.ScaledBeta(0.0, 1.0)),
    "gamma": lambda: so.Priors(sigma=so.InverseGamma(-1.0)),
    "zellner": lambda: so.Priors(beta=so.Zellner(0.0)),
    "covariance": lambda: so.Priors(beta=so.Conjugate((0.0,) * 5, tuple(map(tuple, -np.eye(5))))),
}


@pytest.mark.parametrize("what", HYPERPARAMETERS)
def test_hyperparameters_out_of_range_are_refused(what, small, sampled):
    """Where the prior is made or where it meets the model, but not as a posterior of NaN."""
    with pytest.raises(so.PriorError):
        sampled(small("SDM", "unit").model(priors=HYPERPARAMETERS[what]()), draws=50, quiet=True)


def test_the_prior_prints_itself():
    text = repr(so.Priors(beta={"x": dist.StudentT(3.0, 0.0, 1.0)}, rho=so.ScaledBeta(2, 3)))
    assert all(
        word in text
        for word in (
            "x: StudentT",
            "df=3.0",
            "InverseGamma",
            "ScaledBeta(a=2, b=3)",
            "lam         Uniform()",
        )
    )


def test_the_reference_prior_is_flat():
    assert repr(so.Priors.reference()).count("Flat()") == 2


def test_a_prior_that_lies_outside_the_interval_is_noticed(small, sampled):
    """A normal around 3 cut to an interval that ends at 1: rho piles up at the end, and none of the
    prior's draws can be shown.
    """
    rng = np.random.default_rng(6)
    frame = pd.DataFrame(rng.standard_normal((13, 2)), columns=["y", "x"])
    priors = so.Priors(
        beta={"x": dist.StudentT(3.0, 0.0, 1.0)},
        sigma=dist.HalfNormal(1.0),
        rho=dist.Normal(3.0, 0.05),
    )
    fit = sampled(
        so.SAR("y ~ 0 + x", frame, so.Weights(small("SAR").W), priors=priors), draws=50, quiet=True
    )
    assert float(fit.posterior["rho"].mean()) > 0.9
    assert "rho" not in fit.tree["prior"]


def test_maximum_likelihood_does_not_look_at_the_prior(small):
    case = small("SDM", "unit")
    plain, informed = (
        case.model(priors=priors).fit_ml()
        for priors in (so.Priors(), so.Priors(beta=so.Ridge(0.01), rho=so.ScaledBeta(9, 2)))
    )
    pd.testing.assert_series_equal(plain.params, informed.params)
