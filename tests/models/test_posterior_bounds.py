"""The posterior's density under priors with hard bounds."""

import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from density_laws import beta_on, build, check, evaluate, gamma_sigma, resolve
from scipy import stats

from spillover.models.likelihood import point_at, regress_at
from spillover.models.posterior import flat_size
from spillover.models.priors import InverseGamma, Priors


def between(low, high):
    """Uniform, as NumPyro and as SciPy have it."""
    return (
        dist.Uniform(low, high),
        lambda value, *_: stats.uniform.logpdf(value, low, np.subtract(high, low)).sum(),
    )


HALF = dist.HalfNormal(0.7), lambda value, *_: stats.halfnorm.logpdf(value, scale=0.7).sum()
ANY = dist.Normal(0.0, 3.0), lambda value, *_: stats.norm.logpdf(value, 0, 3).sum()
FREE = InverseGamma(2.0, 1.5), gamma_sigma(2.0, 1.5)
BOUNDED = {  # model, beta, sigma, rho and lam; least squares are near (1.5, 0.5, -0.3), sigma 1
    "every coefficient by itself": (
        "SAR",
        between(np.array([1.0, 0.4, -9.0]), np.array([2.0, 0.9, 5.0])),
        FREE,
        None,
    ),
    "coefficients against the data": (
        "SAR",
        between(np.array([0.0, -9.0, 0.0]), np.array([9.0, -2.0, 9.0])),
        FREE,
        None,
    ),
    "sigma around the data's": ("SAR", ANY, between(0.9, 1.1), None),
    "sigma far below": ("SAR", ANY, between(0.0, 0.2), None),
    "sigma far above": ("SAR", ANY, between(3.0, 30.0), None),
    "rho and lam from 0 to the end": (
        "SAC",
        ANY,
        FREE,
        (dist.HalfNormal(0.6), lambda v, *_: stats.halfnorm.logpdf(v, scale=0.6)),
    ),
    "all of them": ("SAC", HALF, between(0.5, 0.8), between(-0.4, 0.3)),
}


@pytest.mark.parametrize("what", BOUNDED)
def test_density_within_hard_bounds(case, with_prior, what):
    """Every flat vector is inside the support, and the density there is likelihood x prior x
    Jacobian.
    """
    model, beta, sigma, around = BOUNDED[what]
    chosen = case("knn", model)
    dependence = {} if around is None else {"rho": around[0], "lam": around[0]}
    built = build(chosen, Priors(beta=beta[0], sigma=sigma[0], **dependence), with_prior)
    assert built.prior.supports is not None
    check(
        built,
        {"beta": beta[1], "sigma": sigma[1], "rho": beta_on() if around is None else around[1]},
    )


@pytest.mark.verify
def test_bounds_far_from_the_data_leave_the_geometry_as_it_is(case, with_prior):
    """A box of a thousand standard deviations: the same parameters at the same flat vector as
    without, in the order of the signs of R.
    """
    chosen = case("knn", "SAC")
    wide = Priors(
        beta=dist.Uniform(-1e3, 1e3),
        sigma=dist.Uniform(0.0, 1e4),
        rho=dist.Normal(),
        lam=dist.Normal(),
    )
    free = Priors(
        beta=dist.Normal(0.0, 1e3), sigma=dist.HalfNormal(1e4), rho=dist.Normal(), lam=dist.Normal()
    )
    ours, plain = (build(chosen, priors, with_prior) for priors in (wide, free))
    flat = np.random.default_rng(0).normal(size=flat_size(ours.posterior))
    point = regress_at(
        ours.posterior.likelihood,
        point_at(ours.posterior.likelihood, 0.6 * flat[4:] + np.array([0.3, 0.6])),
    )
    signs = np.append(np.sign(np.diagonal(point.triangle)), np.ones(3))
    moved, there = (
        evaluate(ours.posterior, jnp.asarray(flat))[1],
        evaluate(plain.posterior, jnp.asarray(signs * flat))[1],
    )
    for one, other in zip(moved, there, strict=True):
        if one is not None:
            np.testing.assert_allclose(one, other, rtol=1e-9)


def test_bounds_that_do_nothing_are_not_there(case):
    """Families of our own and distributions without ends inside the parameter's range keep the path
    without bounds.
    """
    priors = Priors(
        beta=dist.StudentT(4.0),
        sigma=dist.HalfCauchy(1.0),
        rho=dist.Normal(0.0, 0.3),
        lam=dist.Cauchy(),
    )
    assert resolve(case("knn", "SAC"), priors).supports is None
