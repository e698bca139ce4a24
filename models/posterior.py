"""The posterior of every model as one NumPyro model with one flat site, close to a standard normal.

    beta       = b(rho, lam) + sigma L^-T z
    log sigma  = 1/2 log(SSR(rho, lam) / nu) + v / sqrt(2 nu)
    (rho, lam)   by their logit variables

with b and SSR of least squares at (rho, lam), prior rows included, and L L' = V_n^-1
(docs/mathematics.md 4.5, "Geometry for NUTS"): the quadratic form of the density is exactly
SSR / sigma^2 + z'z. Where a prior has hard bounds, v and z are truncated to them, and the logit
variables are those on the intersection of its support with the admissible interval (`supports`), so
that every flat vector respects them.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import gammaln

from spillover.kernels.chebyshev import END
from spillover.kernels.logit import log_slope
from spillover.models.likelihood import (
    Likelihood,
    Regression,
    dependence,
    regress_at,
    sigma_alpha,
    volume,
)
from spillover.models.prior_arrays import Prior, log_dependence, log_prob, log_ratio
from spillover.models.supports import UNIT, cut_sigma_and_beta, locate_point, weight_ends, widen


class Posterior(NamedTuple):
    """What a sampler needs of a model with its data.

    `likelihood`: its moments include the rows of the prior. `prior`: the rest of the prior.
    `centre`, `scale`: of the logit variables of (rho, lam, w), (p,) each.
    """

    likelihood: Likelihood
    prior: Prior
    centre: jax.Array
    scale: jax.Array


class Draw(NamedTuple):
    """One draw of the parameters.

    `beta`: (k,). The others are scalars; `rho`, `lam` and `sigma_alpha` are None where the model
    lacks them.
    """

    beta: jax.Array
    rho: jax.Array | None
    lam: jax.Array | None
    sigma: jax.Array
    sigma_alpha: jax.Array | None = None


class Place(NamedTuple):
    """Where a flat vector lies.

    `draw`: the parameters. `fit`: the regression behind them. `s`, `full`: the logit variables, as
    the sampler has them and on the whole admissible intervals. `log_mass`: what hard bounds add to
    the log Jacobian of beta and sigma, None without such bounds.
    """

    draw: Draw
    fit: Regression
    s: jax.Array
    full: jax.Array
    log_mass: jax.Array | None


def flat_size(posterior: Posterior) -> int:
    """Length of the flat site.

    It holds k coefficients, sigma, and the parameters that least squares are conditional on.
    """
    return posterior.likelihood.moments.d.shape[1] + 1 + posterior.likelihood.dimensions


def constrain(posterior: Posterior, flat: jax.Array) -> Draw:
    """The parameters at a flat vector."""
    return _locate(posterior, flat).draw


def _locate(posterior: Posterior, flat: jax.Array) -> Place:
    """The place of a flat vector (z, v, logit variables)."""
    likelihood, bounds = posterior.likelihood, None
    if posterior.prior is not None:
        bounds = posterior.prior.supports
    k = likelihood.moments.d.shape[1]
    s = posterior.centre + posterior.scale * flat[k + 1 :]
    point, full = locate_point(likelihood, bounds, s)
    fit, nu = regress_at(likelihood, point), likelihood.nu
    if bounds is None:
        sigma = jnp.sqrt(fit.ssr / nu) * jnp.exp(flat[k] / jnp.sqrt(2 * nu))
        beta, log_mass = fit.beta + sigma * solve_triangular(fit.triangle, flat[:k]), None
    else:
        sigma, beta, log_mass = cut_sigma_and_beta(likelihood, bounds, point, fit, flat)
    spread = None
    if point.weight is not None:
        spread = sigma_alpha(sigma, point.weight, likelihood.multiplicity)
        if bounds is not None and bounds.level is not None:
            spread = jnp.clip(spread, bounds.level[0], bounds.level[1])
    return Place(Draw(beta, point.rho, point.lam, sigma, spread), fit, s, full, log_mass)


def log_density(posterior: Posterior, flat: jax.Array) -> jax.Array:
    """The log density of a flat vector: likelihood times prior times Jacobian."""
    likelihood = posterior.likelihood
    draw, fit, s, full, log_mass = _locate(posterior, flat)
    k, nu, log_sigma = draw.beta.shape[0], likelihood.nu, jnp.log(draw.sigma)
    data = volume(likelihood, full) - nu * (log_sigma + 0.5 * jnp.log(2 * jnp.pi))
    data -= 0.5 * (fit.ssr / draw.sigma**2 + jnp.sum(flat[:k] ** 2))
    jacobian = k * log_sigma - _log_triangle(fit) - 0.5 * jnp.log(2 * nu)
    jacobian += 0.0 if log_mass is None else log_mass
    return data + jacobian + _log_prior(posterior, draw, s) + jnp.sum(jnp.log(posterior.scale))


def _log_triangle(fit: Regression) -> jax.Array:
    """log |det R| of the filtered regressors, 1/2 log |V_n^-1|."""
    return jnp.sum(jnp.log(jnp.abs(jnp.diagonal(fit.triangle))))


def _log_prior(posterior: Posterior, draw: Draw, s: jax.Array) -> jax.Array:
    """The log prior of beta, of log sigma, and of the logit variables.

    The quadratic form of beta is left out: it is in the moments.
    """
    prior, log_sigma = posterior.prior, jnp.log(draw.sigma)
    total = (
        prior.log_constant
        + prior.half_log
        - (prior.rank + 2 * prior.a0) * log_sigma
        - prior.d0 / draw.sigma**2
    )
    for positions, distribution in prior.beta.items():
        total += jnp.sum(log_prob(distribution, draw.beta[jnp.asarray(positions)]))
    if prior.sigma is not None:
        total += log_prob(prior.sigma, draw.sigma) + log_sigma
    return total + _log_prior_point(posterior.likelihood, prior, s, draw.sigma)


def _log_prior_point(
    likelihood: Likelihood, prior: Prior, s: jax.Array, sigma: jax.Array | None
) -> jax.Array:
    """The log prior of the logit variables.

    That of w needs sigma where it comes from a distribution of sigma_alpha; without sigma it is
    that of a uniform share.
    """
    parts, bounds = dependence(likelihood), prior.supports
    ends = (None,) * len(parts) if bounds is None else bounds.dependence
    terms = [
        log_dependence(p, one, part.bounds, own)
        for p, one, part, own in zip(prior.dependence, s[: len(parts)], parts, ends, strict=True)
    ]
    if likelihood.between is not None:
        between = None if bounds is None else weight_ends(likelihood, bounds)
        level = None if bounds is None else bounds.level
        weight = widen(s[-1], between, UNIT)
        terms.append(log_ratio(prior.level, weight, sigma, likelihood.multiplicity, level))
        if between is not None:
            terms.append(log_slope(s[-1], between) - log_slope(weight, UNIT))
    return sum(terms, jnp.zeros(()))


def sigma_shape(likelihood: Likelihood, prior: Prior) -> jax.Array:
    """The shape of the inverse gamma of sigma^2 given (rho, lam): a0 + (nu + rank V0^-1 - k) / 2.

    A coefficient with a flat prior takes a degree of freedom.
    """
    k = likelihood.moments.d.shape[1]
    return prior.a0 + 0.5 * (likelihood.nu + prior.rank - k)


def log_constant(likelihood: Likelihood, prior: Prior) -> jax.Array:
    """The constant in the log density of (rho, lam) when beta and sigma are integrated out."""
    k = likelihood.moments.d.shape[1]
    return (
        prior.log_constant
        + prior.half_log
        - 0.5 * (likelihood.nu - k) * jnp.log(2 * jnp.pi)
        - jnp.log(2.0)
        + gammaln(sigma_shape(likelihood, prior))
    )


def collapsed_log_density(likelihood: Likelihood, prior: Prior, s: jax.Array) -> jax.Array:
    """log p(y, s) with beta and sigma integrated out, for conjugate priors.

    s are the logit variables of (rho, lam, w). docs/mathematics.md 4.2.

    The user's own distributions of beta and sigma are ignored, as if they were flat.
    """
    point, full = locate_point(likelihood, prior.supports, s)
    fit, shape = regress_at(likelihood, point), sigma_shape(likelihood, prior)
    rest = shape * jnp.log(prior.d0 + 0.5 * fit.ssr)
    density = volume(likelihood, full) - rest - _log_triangle(fit)
    constant = log_constant(likelihood, prior)
    return constant + density + _log_prior_point(likelihood, prior, s, None)


def find_growth(
    likelihood: Likelihood, prior: Prior
) -> tuple[list[np.ndarray], list[tuple[bool, bool]]]:
    """Find out whether the posterior grows without end towards the bounds of rho and of lam.

    Returns, for each of the two that the model has, its bounds and the answer at either bound.

    Close to a bound, least squares hardly changes, and the log-determinant and the prior are
    straight lines in the logit variable, whose slopes decide. A log-determinant falls. What a
    quasi-likelihood has in its place can rise, and outweigh the prior.
    """
    out = END + jnp.array([1.0, 2.0])
    bounds, grows = [], []
    for part, family in zip(dependence(likelihood), prior.dependence, strict=True):
        ends = []
        for s in (-out, out):
            values = likelihood.multiplicity * part.at(s) + log_dependence(family, s, part.bounds)
            # a hard bound may end the prior before that
            ends.append(bool(jnp.isfinite(values[1]) & (values[1] >= values[0])))
        bounds.append(np.asarray(part.bounds))
        grows.append((ends[0], ends[1]))
    return bounds, grows


def model(posterior: Posterior) -> None:
    """The NumPyro model.

    It has a standard normal site "flat", the factor that makes it the posterior, and the parameters
    as deterministic sites.
    """
    base = dist.Normal().expand([flat_size(posterior)]).to_event(1)
    flat = numpyro.sample("flat", base)
    numpyro.factor("posterior", log_density(posterior, flat) - base.log_prob(flat))
    for name, value in constrain(posterior, flat)._asdict().items():
        if value is not None:
            numpyro.deterministic(name, value)


def bind(posterior: Posterior) -> Callable[[], None]:
    """The model as a function without arguments, for your own inference with NumPyro."""

    def spatial_model() -> None:
        model(posterior)

    return spatial_model
