"""The posterior of every model as one NumPyro model with one flat site, close to a standard normal.

    beta = b(rho, lam) + sigma L^-T z,    log sigma = 1/2 log(SSR(rho, lam) / nu) + w / sqrt(2 nu),    (rho, lam) by their logit variables

with b and SSR the least squares at (rho, lam), prior rows included, and L L' = V_n^-1 (mathematics.md 4, "Geometry for NUTS"): the
quadratic form of the density is exactly SSR / sigma^2 + z'z.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import gammaln

from spillover.models.likelihood import Likelihood, Regression, dependence, log_determinant, parameters, regress
from spillover.models.priors import Prior, log_dependence, log_prob


class Posterior(NamedTuple):
    """A likelihood whose moments include the prior's rows, the prior, and `centre`, `scale` of the logit variables of (rho, lam)."""

    likelihood: Likelihood
    prior: Prior
    centre: jax.Array
    scale: jax.Array


class Draw(NamedTuple):
    """One draw: `beta`: (k,); `rho`, `lam`: None where the model lacks them; `sigma`."""

    beta: jax.Array
    rho: jax.Array | None
    lam: jax.Array | None
    sigma: jax.Array


def size(posterior: Posterior) -> int:
    """Length of the flat site: k coefficients, sigma, and the dependence parameters."""
    return posterior.likelihood.moments.d.shape[1] + 1 + len(dependence(posterior.likelihood))


def _place(posterior: Posterior, flat: jax.Array) -> tuple[Draw, Regression, jax.Array]:
    """The draw at a flat vector, the regression behind it, and the logit variables."""
    likelihood = posterior.likelihood
    k = likelihood.moments.d.shape[1]
    s = posterior.centre + posterior.scale * flat[k + 1 :]
    rho, lam = parameters(likelihood, s)
    fit = regress(likelihood.moments, rho, lam)
    nu = likelihood.nu
    sigma = jnp.sqrt(fit.ssr / nu) * jnp.exp(flat[k] / jnp.sqrt(2 * nu))
    return Draw(fit.beta + sigma * solve_triangular(fit.triangle, flat[:k]), rho, lam, sigma), fit, s


def constrain(posterior: Posterior, flat: jax.Array) -> Draw:
    """The parameters at a flat vector."""
    return _place(posterior, flat)[0]


def log_density(posterior: Posterior, flat: jax.Array) -> jax.Array:
    """log of likelihood times prior, times the Jacobian of the flat vector."""
    likelihood = posterior.likelihood
    draw, fit, s = _place(posterior, flat)
    k, nu, log_sigma = draw.beta.shape[0], likelihood.nu, jnp.log(draw.sigma)
    data = log_determinant(likelihood, s) - nu * (log_sigma + 0.5 * jnp.log(2 * jnp.pi))
    data -= 0.5 * (fit.ssr / draw.sigma**2 + jnp.sum(flat[:k] ** 2))
    jacobian = k * log_sigma - jnp.sum(jnp.log(jnp.abs(jnp.diagonal(fit.triangle)))) - 0.5 * jnp.log(2 * nu)
    return data + jacobian + _log_prior(posterior, draw, s) + jnp.sum(jnp.log(posterior.scale))


def _log_prior(posterior: Posterior, draw: Draw, s: jax.Array) -> jax.Array:
    """Prior of beta (but for its quadratic form, which is in the moments), of log sigma, and of the logit variables."""
    prior, log_sigma = posterior.prior, jnp.log(draw.sigma)
    total = prior.log_constant + prior.half_log - (prior.rank + 2 * prior.a0) * log_sigma - prior.d0 / draw.sigma**2
    for positions, distribution in prior.beta.items():
        total += jnp.sum(log_prob(distribution, draw.beta[jnp.asarray(positions)]))
    if prior.sigma is not None:
        total += log_prob(prior.sigma, draw.sigma) + log_sigma
    return total + _log_prior_dependence(posterior.likelihood, prior, s)


def _log_prior_dependence(likelihood: Likelihood, prior: Prior, s: jax.Array) -> jax.Array:
    terms = [log_dependence(p, value, part.bounds) for p, value, part in zip(prior.dependence, s, dependence(likelihood), strict=True)]
    return sum(terms, jnp.zeros(()))


def collapsed(likelihood: Likelihood, prior: Prior, s: jax.Array) -> jax.Array:
    """log p(y, s), beta and sigma integrated out, at the logit variables s of (rho, lam): conjugate priors, mathematics.md 4.

    Where the user's own distributions take the place of conjugate ones they are left out, as if flat.
    """
    fit = regress(likelihood.moments, *parameters(likelihood, s))
    k = fit.beta.shape[0]
    shape = prior.a0 + 0.5 * (likelihood.nu + prior.rank - k)
    constants = prior.log_constant + prior.half_log - 0.5 * (likelihood.nu - k) * jnp.log(2 * jnp.pi) - jnp.log(2.0) + gammaln(shape)
    volume = jnp.sum(jnp.log(jnp.abs(jnp.diagonal(fit.triangle))))
    density = log_determinant(likelihood, s) - shape * jnp.log(prior.d0 + 0.5 * fit.ssr) - volume
    return constants + density + _log_prior_dependence(likelihood, prior, s)


def model(posterior: Posterior) -> None:
    """The NumPyro model: a standard normal site "flat", the factor that makes it the posterior, the parameters as deterministic sites."""
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
