"""Gaussian likelihoods on the R factor: what a draw or a gradient costs does not depend on N or T.

log p(y | beta, rho, lam, sigma) = L(rho, lam) - nu/2 log(2 pi sigma^2) - |R v(rho, lam, beta)|^2 / (2 sigma^2)
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from spillover.kernels import chebyshev
from spillover.kernels.logdet import LogDet
from spillover.kernels.moments import Moments

ONCE = {"xla_backend_optimization_level": 0}  # programs that run a few times: they cost more to optimise than they could ever save


class Likelihood(NamedTuple):
    """The data of a Gaussian spatial model: `moments`; l on what the effects leave, for rho (`lag`) and lam (`error`), None without;
    `nu` observations; `multiplicity` of the log-determinant."""

    moments: Moments
    lag: LogDet | None
    error: LogDet | None
    nu: jax.Array
    multiplicity: jax.Array


class Regression(NamedTuple):
    """Least squares at given (rho, lam): `beta`: (k,); `triangle`: R of the filtered regressors, (k, k); `ssr`: residual sum of squares."""

    beta: jax.Array
    triangle: jax.Array
    ssr: jax.Array


def dependence(likelihood: Likelihood) -> tuple[LogDet, ...]:
    """The log-determinants of the model's dependence parameters, rho before lam."""
    return tuple(part for part in (likelihood.lag, likelihood.error) if part is not None)


def named(likelihood: Likelihood, values: tuple[jax.Array, ...]) -> tuple[jax.Array | None, jax.Array | None]:
    """(rho, lam) from the values of the parameters that the model has, None for the others."""
    left = list(values)
    return (left.pop(0) if likelihood.lag is not None else None, left.pop(0) if likelihood.error is not None else None)


def filtered(moments: Moments, rho: jax.Array | None, lam: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """S_lam D and S_lam S(rho) y on the basis of R: (q, k) and (q,)."""
    y = _less(moments.y, rho, moments.wy)
    if lam is None or moments.my is None:
        return moments.d, y
    return _less(moments.d, lam, moments.md), y - lam * _less(moments.my, rho, moments.mwy)


def _less(base: jax.Array, factor: jax.Array | None, part: jax.Array | None) -> jax.Array:
    """base - factor * part, where the model has them."""
    return base if factor is None or part is None else base - factor * part


def regress(moments: Moments, rho: jax.Array | None, lam: jax.Array | None) -> Regression:
    """beta minimising |S_lam (S(rho) y - D beta)|^2, by the leading triangle of R or, with lam, by a small QR."""
    d, y = filtered(moments, rho, lam)
    k = d.shape[1]
    if lam is not None:
        factor = jnp.linalg.qr(jnp.column_stack([d, y]), mode="r")
        d, y = factor[:, :k], factor[:, k]
    triangle = d[:k]
    return Regression(solve_triangular(triangle, y[:k]), triangle, jnp.sum(y[k:] ** 2))


def log_determinant(likelihood: Likelihood, s: jax.Array) -> jax.Array:
    """L(rho, lam), at the logit variables s of the dependence parameters that the model has."""
    parts = [part.at(value) for part, value in zip(dependence(likelihood), s, strict=True)]
    return likelihood.multiplicity * sum(parts, jnp.zeros(()))


def parameters(likelihood: Likelihood, s: jax.Array) -> tuple[jax.Array | None, jax.Array | None]:
    """(rho, lam) at the logit variables s."""
    return named(likelihood, tuple(chebyshev.to_rho(value, part.bounds) for part, value in zip(dependence(likelihood), s, strict=True)))


def joint(likelihood: Likelihood, beta: jax.Array, rho: jax.Array | None, lam: jax.Array | None, sigma2: jax.Array) -> jax.Array:
    """The log-likelihood at all parameters."""
    d, y = filtered(likelihood.moments, rho, lam)
    values = [(part, value) for part, value in ((likelihood.lag, rho), (likelihood.error, lam)) if part is not None and value is not None]
    logdet = likelihood.multiplicity * sum((part(value) for part, value in values), jnp.zeros(()))
    return logdet - 0.5 * likelihood.nu * jnp.log(2 * jnp.pi * sigma2) - 0.5 * jnp.sum((y - d @ beta) ** 2) / sigma2


def concentrated(likelihood: Likelihood, s: jax.Array) -> jax.Array:
    """The log-likelihood maximised over beta and sigma, at the logit variables s of (rho, lam)."""
    ssr = regress(likelihood.moments, *parameters(likelihood, s)).ssr
    nu = likelihood.nu
    return log_determinant(likelihood, s) - 0.5 * nu * (jnp.log(2 * jnp.pi * ssr / nu) + 1)
