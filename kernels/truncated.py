"""A standard normal variable cut to an interval, as a smooth function of a standard normal one: what hard bounds do to a geometry.

    Phi(z) = Phi(a) + Phi(v) (Phi(b) - Phi(a)),    a < z < b,      log dz/dv = log(Phi(b) - Phi(a)) + (z^2 - v^2) / 2

Far from both ends z = v. All of it in logs, so that it holds far out in a tail too.
"""

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr, ndtri

FAR = 1e6  # standard deviations away where an end does nothing, and where infinite ends are put: no infinity enters a derivative
DIRECT = -60.0  # log probability below which its quantile is found by Newton's method: the probability itself would underflow
STEPS = 4  # of it, from the leading terms of the asymptotic series
Pair = tuple[jax.Array, jax.Array]


@jax.custom_jvp
def truncated(v: jax.Array, low: jax.Array, high: jax.Array) -> Pair:
    """z and log(Phi(high) - Phi(low)), for finite low < high; scalars or arrays of one shape.

    >>> z, log_mass = truncated(jnp.array(0.0), jnp.array(0.0), jnp.array(FAR))  # the median of a half normal
    >>> round(float(z), 4), round(float(jnp.exp(log_mass)), 4)
    (0.6745, 0.5)
    """
    flip = low + high > 0  # the mirror image has its mass on the left, where logs of the distribution function lose nothing
    a, b, u = jnp.where(flip, -high, low), jnp.where(flip, -low, high), jnp.where(flip, -v, v)
    log_mass = log_ndtr(b) + jnp.log(-jnp.expm1(log_ndtr(a) - log_ndtr(b)))
    below = jnp.logaddexp(log_ndtr(a), log_ndtr(u) + log_mass)
    above = jnp.logaddexp(log_ndtr(-b), log_ndtr(-u) + log_mass)
    z = jnp.clip(jnp.where(below < above, 1.0, -1.0) * _quantile(jnp.minimum(below, above)), a, b)
    return jnp.where(flip, -z, z), log_mass


def _quantile(log_p: jax.Array) -> jax.Array:
    """z with log Phi(z) = log_p, for log_p up to log(1/2) or little more."""
    twice = -2 * jnp.minimum(log_p, DIRECT)
    z = -jnp.sqrt(twice - jnp.log(2 * jnp.pi * twice))
    for _ in range(STEPS):
        z = z - (log_ndtr(z) - log_p) * jnp.exp(log_ndtr(z) + 0.5 * z**2) * jnp.sqrt(2 * jnp.pi)
    return jnp.where(log_p > DIRECT, ndtri(jnp.exp(jnp.maximum(log_p, DIRECT))), z)


def _jvp(primals: tuple, tangents: tuple) -> tuple[Pair, Pair]:
    """phi(z) dz = phi(v) mass dv + phi(low) Phi(-v) dlow + phi(high) Phi(v) dhigh."""
    (v, low, high), (d_v, d_low, d_high) = primals, tangents
    z, log_mass = truncated(v, low, high)

    def ratio(at: jax.Array, over: jax.Array) -> jax.Array:
        """exp(over) phi(at)."""
        return jnp.exp(over - 0.5 * at**2)

    rest = 0.5 * z**2
    d_z = ratio(v, rest + log_mass) * d_v + ratio(low, rest + log_ndtr(-v)) * d_low + ratio(high, rest + log_ndtr(v)) * d_high
    inner = -log_mass - 0.5 * jnp.log(2 * jnp.pi)
    return (z, log_mass), (d_z, ratio(high, inner) * d_high - ratio(low, inner) * d_low)


truncated.defjvp(_jvp)
