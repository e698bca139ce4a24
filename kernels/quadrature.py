"""Densities of one variable, given by their logs, as tables: where the mass is, its integral, its
distribution function and quantiles.

On an equidistant grid whose ends lie where the density has died out the trapezoidal rule converges
geometrically, and every other point of the grid tells how far it is. Trefethen & Weideman (2014),
SIAM Review 56. All of it runs inside one compiled program.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

FARTHEST = 18.0  # of a logit variable: a flat density of rho has 2e-16 of its mass beyond
DEPTH = 34.0  # log units below the top where a density has died out: exp(-34) = 2e-15
POINTS = 97  # of a grid that looks for the mass
MOST = 12  # such grids; each is up to 48 times as fine as the one before
# of Newton's method inside a cell of the table, where two are enough but in the outermost tails
STEPS = 5

LogDensity = Callable[[jax.Array], jax.Array]


class DensityTable(NamedTuple):
    """A density at m points `s`: `density` and `below`, its distribution function, normalised; the
    log of the integral, and its relative `error`: the difference that every other point makes,
    times how much smaller it is than that of every fourth.
    """

    s: jax.Array
    density: jax.Array
    below: jax.Array
    log_integral: jax.Array
    error: jax.Array


def locate(
    log_density: LogDensity, low: float = -FARTHEST, high: float = FARTHEST
) -> tuple[jax.Array, jax.Array]:
    """The interval that holds all but exp(-DEPTH) of the mass, by grids that close in.

    log_density: (m,) -> (m,). A grid too coarse to see a narrow peak sees the parabola through
    three points, whose vertex is compared.
    """

    def close_in(state: tuple) -> tuple:
        (low, high), _, count = state
        s = jnp.linspace(low, high, POINTS)
        height = _vertices(_finite(log_density(s)))
        kept = height > jnp.max(height) - DEPTH
        first, last = jnp.argmax(kept), POINTS - 1 - jnp.argmax(kept[::-1])
        ends = s[jnp.maximum(first - 1, 0)], s[jnp.minimum(last + 1, POINTS - 1)]
        return ends, (ends[1] - ends[0]) / (high - low), count + 1

    def is_wide(state: tuple) -> jax.Array:
        return (state[1] < 0.6) & (state[2] < MOST)

    start = (jnp.asarray(low, float), jnp.asarray(high, float)), jnp.zeros(()), jnp.zeros((), int)
    return jax.lax.while_loop(is_wide, close_in, start)[0]


def _finite(value: jax.Array) -> jax.Array:
    return jnp.where(jnp.isnan(value), -jnp.inf, value)


def _vertices(value: jax.Array) -> jax.Array:
    """At each inner point the top of the parabola through it and its neighbours, where that lies
    between them; else the value.
    """
    left, mid, right = value[:-2], value[1:-1], value[2:]
    bend, tilt = left + right - 2 * mid, (right - left) / 2
    peak = (bend < 0) & (jnp.abs(tilt) <= -bend) & jnp.isfinite(bend)
    return value.at[1:-1].set(
        jnp.where(peak, mid - tilt**2 / (2 * jnp.where(peak, bend, -1.0)), mid)
    )


def tabulate(
    log_density: LogDensity, ends: tuple[jax.Array, jax.Array], count: int
) -> DensityTable:
    """The table at `count` (4 n + 1) points between the ends.

    Cell by cell by the trapezoid with its end correction, h/2 (p_0 + p_1) + h^2/12 (p_0' - p_1'),
    which leaves an error of order h^5.
    """
    s = jnp.linspace(*ends, count)
    h = (ends[1] - ends[0]) / (count - 1)
    log_p = _finite(log_density(s))
    top = jnp.max(log_p)
    p = jnp.exp(log_p - top)
    slope = jnp.where(p > 0, p * _slope(jnp.where(p > 0, log_p - top, -DEPTH), h), 0.0)
    cells = jnp.maximum(h / 2 * (p[1:] + p[:-1]) + h**2 / 12 * (slope[:-1] - slope[1:]), 0.0)
    # a sum in parallel falls by a rounding here and there
    below = jax.lax.cummax(jnp.concatenate([jnp.zeros(1), jnp.cumsum(cells)]))
    return DensityTable(
        s, p / below[-1], below / below[-1], top + jnp.log(_trapezoid(p, h)), _error(p)
    )


def _trapezoid(p: jax.Array, h: jax.Array) -> jax.Array:
    return h * (jnp.sum(p) - 0.5 * (p[0] + p[-1]))


def _error(p: jax.Array) -> jax.Array:
    """Of the trapezoid: where halving h squares the error q, the two last differences are q^2 and
    q, and q^3 is above the q^4 that is left; where it halves the error, as at a jump, the last
    difference stays.
    """
    fine, coarse, coarser = (
        _trapezoid(p[::stride], jnp.asarray(float(stride))) for stride in (1, 2, 4)
    )
    last, before = jnp.abs(coarse / fine - 1), jnp.abs(coarser / fine - coarse / fine)
    return last * jnp.where(2 * last < before, 2 * last / before, 1.0)


def _slope(value: jax.Array, h: jax.Array) -> jax.Array:
    """Derivatives by central differences of fourth order, of second order next to the ends."""
    inner = (value[:-4] - 8 * value[1:-3] + 8 * value[3:-1] - value[4:]) / (12 * h)
    return (jnp.asarray(jnp.gradient(value)) / h).at[2:-2].set(inner)


def quantile(table: DensityTable, u: jax.Array) -> jax.Array:
    """s with distribution function u, for u of any shape: Newton's method on the cubic through the
    cell's ends with their densities.
    """
    cell = jnp.clip(jnp.searchsorted(table.below, u, side="right") - 1, 0, table.s.shape[0] - 2)
    h = (table.s[-1] - table.s[0]) / (table.s.shape[0] - 1)
    start, mass = table.below[cell], table.below[cell + 1] - table.below[cell]
    p, q = h * table.density[cell], h * table.density[cell + 1]
    b, c = 3 * mass - 2 * p - q, p + q - 2 * mass
    wanted = u - start
    t = jnp.clip(wanted / jnp.where(mass > 0, mass, 1.0), 0.0, 1.0)
    for _ in range(STEPS):
        rate = p + t * (2 * b + 3 * t * c)
        t = jnp.clip(
            t - (t * (p + t * (b + t * c)) - wanted) / jnp.where(rate > 0, rate, jnp.inf), 0.0, 1.0
        )
    return table.s[cell] + h * t


def stencil(at: jax.Array, count: int, order: int) -> tuple[jax.Array, list[jax.Array]]:
    """The first of `order` neighbours of a position among `count` equidistant nodes, and Lagrange's
    weight of each of them.
    """
    first = jnp.clip(jnp.floor(at).astype(int) - (order // 2 - 1), 0, count - order)
    t = at - first
    return first, [
        math.prod([(t - m) / (j - m) for m in range(order) if m != j], start=jnp.ones(()))
        for j in range(order)
    ]
