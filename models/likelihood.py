"""Gaussian likelihoods on the R factor of the data.

The cost of an evaluation or of a gradient does not depend on N or T.

    log p(y | beta, rho, lam, sigma)
        = L(rho, lam) - nu/2 log(2 pi sigma^2) - |R v(rho, lam, beta)|^2 / (2 sigma^2)

R, (q, columns), is the triangle of the lag basis (`kernels.moments`), and L the log-determinant of
S(rho) and S_lam on what the effects leave.

Random effects of N units over T periods give one R of the contrasts over time, and one of the means
over time, multiplied by sqrt(T). The ratio of their standard deviations is the weight of the means,

    w = sigma / sqrt(sigma^2 + T sigma_alpha^2),    R = [R_within; w R_between]

and N log w is added to L.
"""

from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular

from spillover.kernels import logit
from spillover.kernels.logdet import LogDetSeries
from spillover.kernels.moments import Moments

A = TypeVar("A", jax.Array, np.ndarray)

# for programs that run a few times: to optimise them would cost more time than it saves
ONCE = {"xla_backend_optimization_level": 0}


class Likelihood(NamedTuple):
    """The data of a Gaussian spatial model, as arrays.

    `moments`: R by its columns. `lag`, `error`: the log-determinants of S(rho) and S_lam on what
    the effects leave, None where the model lacks rho or lam. `nu`: the number of observations that
    the effects leave, (). `multiplicity`: how many times the log-determinants count, (). `between`:
    with random effects, R of the means over time; `moments` are then those within units.
    """

    moments: Moments
    lag: LogDetSeries | None
    error: LogDetSeries | None
    nu: jax.Array
    multiplicity: jax.Array
    between: Moments | None = None

    @property
    def dimensions(self) -> int:
        """The number of logit variables: one for each of rho, lam and w that the model has."""
        return len(dependence(self)) + (self.between is not None)


class Point(NamedTuple):
    """The parameters that least squares are conditional on, None where the model lacks them."""

    rho: jax.Array | None
    lam: jax.Array | None
    weight: jax.Array | None


class Parameters(NamedTuple):
    """All parameters: `beta`, (k,); the others scalars, None where the model lacks them."""

    beta: jax.Array
    rho: jax.Array | None
    lam: jax.Array | None
    sigma2: jax.Array
    sigma_alpha: jax.Array | None = None


class Regression(NamedTuple):
    """Least squares at given (rho, lam).

    `beta`: (k,). `triangle`: R of the filtered regressors, (k, k). `ssr`: the residual sum of
    squares.
    """

    beta: jax.Array
    triangle: jax.Array
    ssr: jax.Array


def dependence(likelihood: Likelihood) -> tuple[LogDetSeries, ...]:
    """The log-determinants of the dependence parameters that the model has, rho before lam."""
    return tuple(part for part in (likelihood.lag, likelihood.error) if part is not None)


def name_dependence(
    likelihood: Likelihood, values: tuple[jax.Array, ...]
) -> tuple[jax.Array | None, jax.Array | None]:
    """(rho, lam) from the values of those in the model, None for the others."""
    left = list(values)
    return (
        left.pop(0) if likelihood.lag is not None else None,
        left.pop(0) if likelihood.error is not None else None,
    )


def apply_filters(
    moments: Moments, rho: jax.Array | None, lam: jax.Array | None
) -> tuple[jax.Array, jax.Array]:
    """S_lam D and S_lam S(rho) y in the coordinates of R: (q, k) and (q,)."""
    y = _subtract(moments.y, rho, moments.wy)
    if lam is None or moments.my is None:
        return moments.d, y
    return _subtract(moments.d, lam, moments.md), y - lam * _subtract(moments.my, rho, moments.mwy)


def _subtract(base: jax.Array, factor: jax.Array | None, part: jax.Array | None) -> jax.Array:
    """base - factor * part, where the model has them."""
    return base if factor is None or part is None else base - factor * part


def regress(moments: Moments, rho: jax.Array | None, lam: jax.Array | None) -> Regression:
    """The beta that minimises |S_lam (S(rho) y - D beta)|^2.

    By the leading triangle of R, or by a small QR where there is lam.
    """
    return _least_squares(*apply_filters(moments, rho, lam), triangular=lam is None)


def _least_squares(d: jax.Array, y: jax.Array, *, triangular: bool) -> Regression:
    """Least squares of y, (q,), on d, (q, k), which may be upper `triangular` already."""
    k = d.shape[1]
    if not triangular:
        factor = jnp.linalg.qr(jnp.column_stack([d, y]), mode="r")
        d, y = factor[:, :k], factor[:, k]
    triangle = d[:k]
    return Regression(solve_triangular(triangle, y[:k]), triangle, jnp.sum(y[k:] ** 2))


def filter_at(likelihood: Likelihood, point: Point) -> tuple[jax.Array, jax.Array]:
    """`apply_filters` at a point.

    With random effects these are the rows within units, then w times those of the means.

    The rows are filtered first and never factored before. Columns of the basis may coincide (W X
    among D, and M D where M = W), and no derivative passes through the QR of such columns.
    """
    own = apply_filters(likelihood.moments, point.rho, point.lam)
    if point.weight is None or likelihood.between is None:
        return own
    means = apply_filters(likelihood.between, point.rho, point.lam)
    return jnp.concatenate([own[0], point.weight * means[0]]), jnp.concatenate(
        [own[1], point.weight * means[1]]
    )


def regress_at(likelihood: Likelihood, point: Point) -> Regression:
    """Least squares at a point."""
    return _least_squares(
        *filter_at(likelihood, point), triangular=point.lam is None and point.weight is None
    )


def volume(likelihood: Likelihood, s: jax.Array) -> jax.Array:
    """L(rho, lam) + N log w at the logit variables s of those of rho, lam and w in the model."""
    parts = [part.at(value) for part, value in _pair_with_logits(likelihood, s)]
    logdet = likelihood.multiplicity * sum(parts, jnp.zeros(()))
    if likelihood.between is None:
        return logdet
    return logdet + units(likelihood) * jax.nn.log_sigmoid(2 * s[-1])


def _pair_with_logits(likelihood: Likelihood, s: jax.Array) -> list[tuple[LogDetSeries, jax.Array]]:
    """The log-determinants of rho and lam, each with its logit variable.

    The logit variable of w, the last of s, is left out.
    """
    parts = dependence(likelihood)
    return list(zip(parts, s[: len(parts)], strict=True))


def units(likelihood: Likelihood) -> jax.Array:
    """N, of a likelihood with random effects.

    There nu = N T, and the log-determinant counts T times.
    """
    return likelihood.nu / likelihood.multiplicity


def point_at(likelihood: Likelihood, s: jax.Array) -> Point:
    """(rho, lam, w) at the logit variables s of those that the model has."""
    pairs = _pair_with_logits(likelihood, s)
    values = tuple(logit.to_rho(value, part.bounds) for part, value in pairs)
    weight = None if likelihood.between is None else jax.nn.sigmoid(2 * s[-1])
    return Point(*name_dependence(likelihood, values), weight)


def sigma_alpha(sigma: A, weight: A, periods: A | int) -> A:
    """The standard deviation of the effects of the units, sigma sqrt((1/w^2 - 1) / T).

    NumPy computes it for NumPy arrays, such as draws from a prior.
    """
    share = (1 / weight**2 - 1) / periods
    return sigma * (jnp.sqrt(share) if isinstance(share, jax.Array) else np.sqrt(share))


def log_likelihood(likelihood: Likelihood, parameters: Parameters) -> jax.Array:
    """The log-likelihood at all parameters."""
    beta, rho, lam, sigma2, spread = parameters
    weight = None
    if spread is not None:
        weight = jnp.sqrt(sigma2 / (sigma2 + likelihood.multiplicity * spread**2))
    d, y = filter_at(likelihood, Point(rho, lam, weight))
    parts = [
        part(value)
        for part, value in ((likelihood.lag, rho), (likelihood.error, lam))
        if part is not None and value is not None
    ]
    logdet = likelihood.multiplicity * sum(parts, jnp.zeros(()))
    logdet += 0.0 if weight is None else units(likelihood) * jnp.log(weight)
    return (
        logdet
        - 0.5 * likelihood.nu * jnp.log(2 * jnp.pi * sigma2)
        - 0.5 * jnp.sum((y - d @ beta) ** 2) / sigma2
    )


def concentrated_log_likelihood(likelihood: Likelihood, s: jax.Array) -> jax.Array:
    """The log-likelihood maximised over beta and sigma, at the logit variables s of (rho, lam, w).

        L - nu/2 (log(2 pi SSR / nu) + 1)

    with SSR that of least squares at s.
    """
    ssr, nu = regress_at(likelihood, point_at(likelihood, s)).ssr, likelihood.nu
    return volume(likelihood, s) - 0.5 * nu * (jnp.log(2 * jnp.pi * ssr / nu) + 1)
