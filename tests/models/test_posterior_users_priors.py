"""The posterior's density under distributions of the user, and under families other than the
default.
"""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from density_laws import (
    as_conjugate,
    beta_on,
    build,
    check,
    conjugate,
    excess,
    gamma_sigma,
    normal_beta,
    ridge_covariance,
)
from numpyro.distributions import transforms
from scipy import stats

from spillover.models.design import INTERCEPT
from spillover.models.priors import Flat, InverseGamma, Priors, Zellner


def cut_to(bounds):
    """A normal cut to an interval, and a beta stretched over it, as NumPyro has them."""
    lower, upper = bounds
    stretched = dist.TransformedDistribution(
        dist.Beta(2.0, 3.0), transforms.AffineTransform(lower, upper - lower)
    )
    shape = ((lower - 0.2) / 0.4, (upper - 0.2) / 0.4)
    return {
        "truncated": (
            dist.TruncatedNormal(0.2, 0.4, low=lower, high=upper),
            lambda v, *_: stats.truncnorm.logpdf(v, *shape, 0.2, 0.4),
        ),
        "stretched": (
            stretched,
            lambda v, *_: stats.beta.logpdf(v, 2, 3, loc=lower, scale=upper - lower),
        ),
    }


BETAS = {  # a prior for all coefficients, and its law
    "normal": (dist.Normal(0.3, 2.0), lambda b, _: stats.norm.logpdf(b, 0.3, 2.0).sum()),
    "student": (dist.StudentT(3.0, 0.0, 1.5), lambda b, _: stats.t.logpdf(b, 3, 0, 1.5).sum()),
    "joint": (
        dist.MultivariateNormal(jnp.zeros(3), jnp.diag(jnp.array([1.0, 2.0, 3.0]))),
        lambda b, _: stats.norm.logpdf(b, 0, np.sqrt([1, 2, 3])).sum(),
    ),
    "each": (
        dist.Normal(jnp.zeros(3), jnp.array([1.0, 2.0, 3.0])),
        lambda b, _: stats.norm.logpdf(b, 0, [1, 2, 3]).sum(),
    ),
}
SIGMAS = {
    "half normal": (dist.HalfNormal(0.8), lambda s: stats.halfnorm.logpdf(s, scale=0.8)),
    "half cauchy": (dist.HalfCauchy(1.3), lambda s: stats.halfcauchy.logpdf(s, scale=1.3)),
}


@pytest.mark.parametrize("name", BETAS)
def test_density_with_the_users_prior_of_every_coefficient(case, with_prior, name):
    chosen = case("knn", "SAR")
    own, law = BETAS[name]
    built = build(chosen, Priors(beta=own, sigma=InverseGamma(2.0, 1.5)), with_prior)
    check(built, {"beta": law, "sigma": gamma_sigma(2.0, 1.5), "rho": beta_on()})


@pytest.mark.parametrize("name", SIGMAS)
def test_density_with_the_users_prior_of_sigma(case, with_prior, name):
    chosen = case("knn", "SAR")
    own, law = SIGMAS[name]
    check(
        build(chosen, Priors(beta=as_conjugate(3), sigma=own), with_prior),
        {"beta": normal_beta(*conjugate(3)), "sigma": law, "rho": beta_on()},
    )


@pytest.mark.cover
@pytest.mark.parametrize("kind", ["truncated", "stretched"])
@pytest.mark.parametrize("name", ["knn", "binary"])
def test_density_with_the_users_prior_of_rho(case, with_prior, name, kind):
    chosen = case(name, "SAR")
    own, law = cut_to(chosen.bounds[0])[kind]
    priors = Priors(beta=as_conjugate(3), sigma=InverseGamma(2.0, 1.5), rho=own)
    check(
        build(chosen, priors, with_prior),
        {"beta": normal_beta(*conjugate(3)), "sigma": gamma_sigma(2.0, 1.5), "rho": law},
    )


def test_density_with_only_the_users_priors(case, with_prior):
    chosen = case("knn", "SAC")
    rho, law = cut_to(chosen.bounds[0])["truncated"]
    built = build(
        chosen,
        Priors(beta=BETAS["student"][0], sigma=SIGMAS["half cauchy"][0], rho=rho, lam=rho),
        with_prior,
    )
    check(built, {"beta": BETAS["student"][1], "sigma": SIGMAS["half cauchy"][1], "rho": law})


def test_density_with_the_users_prior_of_one_slope_and_the_default_of_the_others(case, with_prior):
    """The default is a law of alpha + means beta and of the other slopes; the slope named takes the
    user's in place of its own.
    """
    chosen = case("knn", "SAR")
    built = build(chosen, Priors(beta={"x1": dist.StudentT(4.0, 0.5, 0.7)}), with_prior)
    V0, d0 = ridge_covariance(chosen, theirs=1)
    A = np.eye(3)
    A[0] = chosen.problem.X.mean(axis=0)
    spread = np.sqrt(np.diag(A @ V0 @ A.T))

    def law(beta, sigma):
        gamma = A @ beta
        return stats.norm.logpdf(gamma[[0, 2]], 0, sigma * spread[[0, 2]]).sum() + stats.t.logpdf(
            beta[1], 4, 0.5, 0.7
        )

    check(built, {"beta": law, "sigma": gamma_sigma(1.0, d0), "rho": beta_on()})


def test_density_with_the_users_prior_of_the_intercept_and_the_default_of_the_slopes(
    case, with_prior
):
    chosen = case("knn", "SAR")
    built = build(chosen, Priors(beta={INTERCEPT: dist.Normal(1.0, 3.0)}), with_prior)
    V0, d0 = ridge_covariance(chosen, theirs=1)

    def law(beta, sigma):
        return stats.norm.logpdf(
            beta[1:], 0, sigma * np.sqrt(np.diag(V0)[1:])
        ).sum() + stats.norm.logpdf(beta[0], 1, 3)

    check(built, {"beta": law, "sigma": gamma_sigma(1.0, d0), "rho": beta_on()})


@pytest.mark.cover
@pytest.mark.parametrize("g", [None, 7.5])
@pytest.mark.parametrize("model", ["SAR", "SEM"])
def test_density_with_zellners_prior(case, with_prior, model, g):
    chosen = case("knn", model, "unit")
    X = chosen.problem.X
    V0 = (chosen.effects.nu if g is None else g) * np.linalg.inv(X.T @ X)
    built = build(
        chosen,
        Priors(beta=Zellner(g), sigma=InverseGamma(2.0, 1.5)),
        with_prior,
    )
    check(
        built,
        {
            "beta": normal_beta(np.zeros(X.shape[1]), V0),
            "sigma": gamma_sigma(2.0, 1.5),
            "rho": beta_on(),
        },
    )


@pytest.mark.cover
@pytest.mark.parametrize("model", ["SAR", "SEM", "GNS"])
@pytest.mark.parametrize("sigma", [Flat(), InverseGamma(2.0, 1.5)])
def test_density_with_flat_priors_up_to_their_constant(case, with_prior, model, sigma):
    """beta constant; 1 / sigma^2 for sigma^2 is 1 / sigma for sigma."""
    built = build(
        case("contiguity", model, "unit"),
        Priors(beta=Flat(), sigma=sigma),
        with_prior,
    )
    on_sigma = (lambda s: -np.log(s)) if isinstance(sigma, Flat) else gamma_sigma(2.0, 1.5)
    actual = excess(built, {"beta": lambda b, s: 0.0, "sigma": on_sigma, "rho": beta_on()})
    np.testing.assert_allclose(actual - actual[0], 0, atol=1e-6)
