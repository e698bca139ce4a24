"""The posterior of every model as one NumPyro model with one flat site, close to a standard normal.

    beta = b(rho, lam) + sigma L^-T z,    log sigma = 1/2 log(SSR(rho, lam) / nu) + w / sqrt(2 nu),
    (rho, lam) by their logit variables

with b and SSR the least squares at (rho, lam), prior rows included, and L L' = V_n^-1
(docs/mathematics.md 4.5, "Geometry for NUTS"): the quadratic form of the density is exactly
SSR / sigma^2 + z'z. Where a prior has hard bounds, w and z are normals cut to them, and the logit
variables are those on the intersection of its support with the admissible interval (`supports`):
every flat vector is inside.
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

from spillover.kernels.chebyshev import END, log_slope
from spillover.models.likelihood import Likelihood, Regression, at, dependence, sigma_alpha, volume
from spillover.models.priors import Prior, log_dependence, log_prob, log_ratio
from spillover.models.supports import UNIT, located, outward, weight_ends, within


class Posterior(NamedTuple):
    """A likelihood whose moments include the prior's rows, the prior, and `centre`, `scale` of the
    logit variables of (rho, lam, w).
    """

    likelihood: Likelihood
    prior: Prior
    centre: jax.Array
    scale: jax.Array


class Draw(NamedTuple):
    """One draw: `beta`: (k,); `rho`, `lam`, `sigma_alpha`: None where the model lacks them;
    `sigma`.
    """

    beta: jax.Array
    rho: jax.Array | None
    lam: jax.Array | None
    sigma: jax.Array
    sigma_alpha: jax.Array | None = None


def size(posterior: Posterior) -> int:
    """Length of the flat site: k coefficients, sigma, and the parameters that least squares are
    conditional on.
    """
    return posterior.likelihood.moments.d.shape[1] + 1 + posterior.likelihood.dimensions


class Place(NamedTuple):
    """Where a flat vector lies: the draw, the regression behind it, its logit variables as the
    sampler has them (`s`) and on the admissible intervals (`full`), and what hard bounds add to the
    log Jacobian of coefficients and sigma.
    """

    draw: Draw
    fit: Regression
    s: jax.Array
    full: jax.Array
    log_mass: jax.Array | None


def _place(posterior: Posterior, flat: jax.Array) -> Place:
    likelihood, bounds = (
        posterior.likelihood,
        None if posterior.prior is None else posterior.prior.supports,
    )
    k = likelihood.moments.d.shape[1]
    s = posterior.centre + posterior.scale * flat[k + 1 :]
    point, full = located(likelihood, bounds, s)
    fit, nu = at(likelihood, point), likelihood.nu
    if bounds is None:
        sigma = jnp.sqrt(fit.ssr / nu) * jnp.exp(flat[k] / jnp.sqrt(2 * nu))
        beta, log_mass = fit.beta + sigma * solve_triangular(fit.triangle, flat[:k]), None
    else:
        sigma, beta, log_mass = within(likelihood, bounds, point, fit, flat)
    spread = None if point.weight is None else sigma_alpha(likelihood, sigma, point.weight)
    if spread is not None and bounds is not None and bounds.level is not None:
        spread = jnp.clip(spread, bounds.level[0], bounds.level[1])
    return Place(Draw(beta, point.rho, point.lam, sigma, spread), fit, s, full, log_mass)


def constrain(posterior: Posterior, flat: jax.Array) -> Draw:
    """The parameters at a flat vector."""
    return _place(posterior, flat).draw


def log_density(posterior: Posterior, flat: jax.Array) -> jax.Array:
    """log of likelihood times prior, times the Jacobian of the flat vector."""
    likelihood = posterior.likelihood
    draw, fit, s, full, log_mass = _place(posterior, flat)
    k, nu, log_sigma = draw.beta.shape[0], likelihood.nu, jnp.log(draw.sigma)
    data = volume(likelihood, full) - nu * (log_sigma + 0.5 * jnp.log(2 * jnp.pi))
    data -= 0.5 * (fit.ssr / draw.sigma**2 + jnp.sum(flat[:k] ** 2))
    jacobian = (
        k * log_sigma
        - jnp.sum(jnp.log(jnp.abs(jnp.diagonal(fit.triangle))))
        - 0.5 * jnp.log(2 * nu)
    )
    jacobian += 0.0 if log_mass is None else log_mass
    return data + jacobian + _log_prior(posterior, draw, s) + jnp.sum(jnp.log(posterior.scale))


def _log_prior(posterior: Posterior, draw: Draw, s: jax.Array) -> jax.Array:
    """Prior of beta (but for its quadratic form, which is in the moments), of log sigma, and of the
    logit variables.
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
    """Prior of the logit variables; the weight's needs sigma where it comes from a distribution of
    sigma_alpha, else is left as it is.
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
        weight = outward(s[-1], between, UNIT)
        terms.append(log_ratio(prior.level, weight, sigma, likelihood.multiplicity, level))
        if between is not None:
            terms.append(log_slope(s[-1], between) - log_slope(weight, UNIT))
    return sum(terms, jnp.zeros(()))


def collapsed(likelihood: Likelihood, prior: Prior, s: jax.Array) -> jax.Array:
    """log p(y, s), beta and sigma integrated out, at the logit variables s of (rho, lam, w):
    conjugate priors, docs/mathematics.md 4.2.

    Where the user's own distributions take the place of conjugate ones they are left out, as if
    flat.
    """
    point, full = located(likelihood, prior.supports, s)
    fit = at(likelihood, point)
    k = fit.beta.shape[0]
    shape = prior.a0 + 0.5 * (likelihood.nu + prior.rank - k)
    constants = (
        prior.log_constant
        + prior.half_log
        - 0.5 * (likelihood.nu - k) * jnp.log(2 * jnp.pi)
        - jnp.log(2.0)
        + gammaln(shape)
    )
    half_log = jnp.sum(jnp.log(jnp.abs(jnp.diagonal(fit.triangle))))
    density = volume(likelihood, full) - shape * jnp.log(prior.d0 + 0.5 * fit.ssr) - half_log
    return constants + density + _log_prior_point(likelihood, prior, s, None)


def growth(
    likelihood: Likelihood, prior: Prior
) -> tuple[list[np.ndarray], list[tuple[bool, bool]]]:
    """For rho and for lam, those that the model has: the bounds, and whether the posterior grows
    without end towards each of them.

    There least squares hardly change, the log-determinant and the prior are straight lines in the
    logit variable: their slopes decide. A log-determinant falls; what a quasi-likelihood has in its
    place can rise, and outweigh the prior.
    """
    out = END + jnp.array([1.0, 2.0])
    bounds, grows = [], []
    for part, family in zip(dependence(likelihood), prior.dependence, strict=True):
        ends = []
        for s in (-out, out):
            values = likelihood.multiplicity * part.at(s) + log_dependence(family, s, part.bounds)
            # a hard bound may end the prior before
            ends.append(bool(jnp.isfinite(values[1]) & (values[1] >= values[0])))
        bounds.append(np.asarray(part.bounds))
        grows.append((ends[0], ends[1]))
    return bounds, grows


def model(posterior: Posterior) -> None:
    """The NumPyro model: a standard normal site "flat", the factor that makes it the posterior, the
    parameters as deterministic sites.
    """
    base = dist.Normal().expand([size(posterior)]).to_event(1)
    flat = numpyro.sample("flat", base)
    numpyro.factor("posterior", log_density(posterior, flat) - base.log_prob(flat))
    for name, value in constrain(posterior, flat)._asdict().items():
        if value is not None:
            numpyro.deterministic(name, value)


def bind(posterior: Posterior) -> Callable[[], None]:
    """The model without arguments, for inference of one's own."""

    def spatial_model() -> None:
        model(posterior)

    return spatial_model
