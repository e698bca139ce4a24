"""A normal variable cut to an interval, as a smooth function of a standard normal one.

A sampler of the standard normal variable v then meets no edge, although z has hard bounds.

    Phi(z) = Phi(a) + Phi(v) (Phi(b) - Phi(a)),      a < z < b
    log dz/dv = log(Phi(b) - Phi(a)) + (z^2 - v^2) / 2

Far from both ends z = v. Everything is computed in logs, and so is accurate far out in a tail too:
docs/mathematics.md 4.6.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import log_ndtr, ndtri

# distance, in standard deviations, at which an end has no effect; infinite ends are put there, so
# that no infinity enters a derivative
FAR = 1e6
# log probability below which the quantile is found by Newton's method: the probability itself would
# underflow
DIRECT = -60.0
STEPS = 3  # of Newton's method
# terms of the asymptotic series of Phi; the last is 1e-14 of the first at the quantile of DIRECT,
# -10.7
TERMS = 14
ORDER = 8  # of JAX's own series beyond -20, whose default of 3 leaves an error of 4e-9

Pair = tuple[jax.Array, jax.Array]


@jax.custom_jvp
def truncate(v: jax.Array, low: jax.Array, high: jax.Array) -> Pair:
    """Map a standard normal variable into an interval.

    Parameters
    ----------
    v : jax.Array
        Values of the standard normal variable.
    low, high : jax.Array
        Finite ends of the interval, low < high, in the shape of v; FAR for none.

    Returns
    -------
    z : jax.Array
        The variable cut to the interval.
    log_mass : jax.Array
        log(Phi(high) - Phi(low)).

    Examples
    --------
    The median of a half normal variable:

    >>> z, log_mass = truncate(jnp.array(0.0), jnp.array(0.0), jnp.array(FAR))
    >>> round(float(z), 4), round(float(jnp.exp(log_mass)), 4)
    (0.6745, 0.5)
    """
    parts = _cut(v, low, high)
    return parts.z, parts.log_mass


class _Cut(NamedTuple):
    """z, the log of the mass, log Phi(v) and log Phi(-v)."""

    z: jax.Array
    log_mass: jax.Array
    below: jax.Array
    above: jax.Array


def _cut(v: jax.Array, low: jax.Array, high: jax.Array) -> _Cut:
    """The variable cut to the interval, with what its derivatives need."""
    # where the mass is on the right, the mirror image has it on the left, where logs of the
    # distribution function lose nothing
    flip = low + high > 0
    a, b, u = jnp.where(flip, -high, low), jnp.where(flip, -low, high), jnp.where(flip, -v, v)
    to_a, to_b, to_u, from_u, from_b = log_ndtr(jnp.stack([a, b, u, -u, -b]), series_order=ORDER)
    log_mass = to_b + jnp.log(-jnp.expm1(to_a - to_b))
    below, above = jnp.logaddexp(to_a, to_u + log_mass), jnp.logaddexp(from_b, from_u + log_mass)
    z = jnp.clip(jnp.where(below < above, 1.0, -1.0) * _quantile(jnp.minimum(below, above)), a, b)
    return _Cut(
        jnp.where(flip, -z, z),
        log_mass,
        jnp.where(flip, from_u, to_u),
        jnp.where(flip, to_u, from_u),
    )


def _quantile(log_p: jax.Array) -> jax.Array:
    """z with log Phi(z) = log_p, for log_p up to log(1/2) or little more."""
    deep = jnp.minimum(log_p, DIRECT)
    z = -jnp.sqrt(-2 * deep - jnp.log(-4 * jnp.pi * deep))
    for _ in range(STEPS):
        # Phi(z) = phi(z) / -z times 1 - 1/z^2 (1 - 3/z^2 (1 - 5/z^2 ...))
        tail = jnp.ones_like(z)
        for odd in range(2 * TERMS - 1, 0, -2):
            tail = 1 - odd / z**2 * tail
        log_phi = -0.5 * z**2 - 0.5 * jnp.log(2 * jnp.pi) - jnp.log(-z) + jnp.log(tail)
        z = z + (log_phi - deep) * tail / z
    return jnp.where(log_p > DIRECT, ndtri(jnp.exp(jnp.maximum(log_p, DIRECT))), z)


def _jvp(
    primals: tuple[jax.Array, jax.Array, jax.Array],
    tangents: tuple[jax.Array, jax.Array, jax.Array],
) -> tuple[Pair, Pair]:
    """phi(z) dz = phi(v) mass dv + phi(low) Phi(-v) dlow + phi(high) Phi(v) dhigh."""
    (v, low, high), (d_v, d_low, d_high) = primals, tangents
    z, log_mass, to_v, from_v = _cut(v, low, high)
    rest, inner = 0.5 * z**2, -log_mass - 0.5 * jnp.log(2 * jnp.pi)
    d_z = jnp.exp(rest + log_mass - 0.5 * v**2) * d_v
    d_z += (
        jnp.exp(rest + from_v - 0.5 * low**2) * d_low
        + jnp.exp(rest + to_v - 0.5 * high**2) * d_high
    )
    return (z, log_mass), (
        d_z,
        jnp.exp(inner - 0.5 * high**2) * d_high - jnp.exp(inner - 0.5 * low**2) * d_low,
    )


truncate.defjvp(_jvp)
