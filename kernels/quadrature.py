"""Tables of a density of one variable that is given by its log: where its mass is, its integral,
its distribution function and its quantiles.

On an equidistant grid whose ends lie where the density has died out, the trapezoidal rule converges
geometrically, and the rule on every other point shows how far it has converged: docs/numerics.md 9;
Trefethen & Weideman (2014). All of it runs inside one compiled program.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

FARTHEST = 18.0  # a logit variable beyond which a flat density of rho has 2e-16 of its mass
DEPTH = 34.0  # log units below the top at which a density has died out: exp(-34) = 2e-15
POINTS = 97  # points of a grid that looks for the mass
MOST = 12  # such grids at most; each is up to 48 times as fine as the one before
# steps of Newton's method inside a cell of the table; two are enough except in the outermost tails
STEPS = 5

LogDensity = Callable[[jax.Array], jax.Array]
# the ends of an interval, its length relative to the one before, and the number of grids so far
_Search = tuple[tuple[jax.Array, jax.Array], jax.Array, jax.Array]


class DensityTable(NamedTuple):
    """A density and its distribution function at m equidistant points.

    Attributes
    ----------
    s : jax.Array, shape (m,)
        The points.
    density, below : jax.Array, shape (m,)
        The density and the distribution function, normalised.
    log_integral : jax.Array, shape ()
        The log of the integral of the density as it was given.
    error : jax.Array, shape ()
        Relative error of the integral, from the rule on every other and on every fourth point.
    """

    s: jax.Array
    density: jax.Array
    below: jax.Array
    log_integral: jax.Array
    error: jax.Array


def locate(
    log_density: LogDensity, low: float = -FARTHEST, high: float = FARTHEST
) -> tuple[jax.Array, jax.Array]:
    """Find the interval that holds all but exp(-DEPTH) of the mass, by grids that close in on it.

    Parameters
    ----------
    log_density : callable
        Log densities, (m,), at points (m,). NaN counts as -inf.
    low, high : float
        The interval to search.

    Returns
    -------
    tuple of jax.Array
        The ends of the interval.

    Notes
    -----
    A peak that falls between two points of a coarse grid still shows in the parabola through three
    of them, so the vertices of these parabolas are compared, not the values alone.
    """

    def close_in(state: _Search) -> _Search:
        (low, high), _, count = state
        s = jnp.linspace(low, high, POINTS)
        height = _vertices(_finite(log_density(s)))
        kept = height > jnp.max(height) - DEPTH
        first, last = jnp.argmax(kept), POINTS - 1 - jnp.argmax(kept[::-1])
        ends = s[jnp.maximum(first - 1, 0)], s[jnp.minimum(last + 1, POINTS - 1)]
        return ends, (ends[1] - ends[0]) / (high - low), count + 1

    def is_wide(state: _Search) -> jax.Array:
        _, shrinkage, count = state
        return (shrinkage < 0.6) & (count < MOST)

    start = (jnp.asarray(low, float), jnp.asarray(high, float)), jnp.zeros(()), jnp.zeros((), int)
    ends, _, _ = jax.lax.while_loop(is_wide, close_in, start)
    return ends


def _finite(value: jax.Array) -> jax.Array:
    return jnp.where(jnp.isnan(value), -jnp.inf, value)


def _vertices(value: jax.Array) -> jax.Array:
    """The values, with inner ones replaced by the top of a parabola.

    The parabola goes through the point and its two neighbours; its top is taken where it lies
    between these.
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
    """Tabulate a density between two ends.

    The distribution function grows from cell to cell by the corrected trapezoid, whose error is of
    order h^5:

        h/2 (p_0 + p_1) + h^2/12 (p_0' - p_1')

    Parameters
    ----------
    log_density : callable
        Log densities, (m,), at points (m,).
    ends : tuple of jax.Array
        Where the density has died out, as `locate` finds it.
    count : int
        Points of the table: a multiple of 4, plus 1.

    Returns
    -------
    DensityTable
        The table; its `error` says whether more points are needed.

    Examples
    --------
    >>> table = tabulate(lambda s: -0.5 * s**2, (jnp.array(-9.0), jnp.array(9.0)), 65)
    >>> f"{float(jnp.exp(table.log_integral)) ** 2 / (2 * math.pi):.4f}"
    '1.0000'
    >>> f"{float(quantile(table, jnp.array(0.975))):.2f}"
    '1.96'
    """
    s = jnp.linspace(*ends, count)
    h = (ends[1] - ends[0]) / (count - 1)
    log_p = _finite(log_density(s))
    top = jnp.max(log_p)
    p = jnp.exp(log_p - top)
    slope = jnp.where(p > 0, p * _slope(jnp.where(p > 0, log_p - top, -DEPTH), h), 0.0)
    cells = jnp.maximum(h / 2 * (p[1:] + p[:-1]) + h**2 / 12 * (slope[:-1] - slope[1:]), 0.0)
    # a parallel sum may fall by a rounding here and there; a distribution function never does
    below = jax.lax.cummax(jnp.concatenate([jnp.zeros(1), jnp.cumsum(cells)]))
    return DensityTable(
        s, p / below[-1], below / below[-1], top + jnp.log(_trapezoid(p, h)), _error(p)
    )


def _trapezoid(p: jax.Array, h: jax.Array) -> jax.Array:
    """The trapezoidal rule for values p at points a distance h apart."""
    return h * (jnp.sum(p) - 0.5 * (p[0] + p[-1]))


def _error(p: jax.Array) -> jax.Array:
    """The relative error of the trapezoidal rule for values p.

    Where halving h squares the error, the rules with steps 4h, 2h and h have the errors q, q^2 and
    q^4, and differ by about q and q^2. The last difference times twice the ratio of the two is
    2 q^3, which exceeds the remaining q^4. Where halving h only halves the error, as at a jump, the
    last difference is the error.
    """
    fine, coarse, coarser = (
        _trapezoid(p[::stride], jnp.asarray(float(stride))) for stride in (1, 2, 4)
    )
    last, before = jnp.abs(coarse / fine - 1), jnp.abs(coarser / fine - coarse / fine)
    return last * jnp.where(2 * last < before, 2 * last / before, 1.0)


def _slope(value: jax.Array, h: jax.Array) -> jax.Array:
    """Derivatives by central differences, of fourth order inside and second order at the ends."""
    inner = (value[:-4] - 8 * value[1:-3] + 8 * value[3:-1] - value[4:]) / (12 * h)
    return (jnp.asarray(jnp.gradient(value)) / h).at[2:-2].set(inner)


def quantile(table: DensityTable, u: jax.Array) -> jax.Array:
    """The points s at which the distribution function has given values.

    Inside its cell the function is the cubic with the values and densities of the cell's ends, and
    Newton's method solves it.

    Parameters
    ----------
    table : DensityTable
        A density.
    u : jax.Array
        Probabilities, of any shape.

    Returns
    -------
    jax.Array
        s, in the shape of u.
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
    """Weights for an interpolation between equidistant nodes.

    Parameters
    ----------
    at : jax.Array
        Fractional positions among the nodes, counted from 0, of any shape.
    count : int
        How many nodes there are.
    order : int
        How many neighbours of a position take part.

    Returns
    -------
    first : jax.Array of int
        The first of these neighbours, in the shape of `at`.
    weights : list of jax.Array
        Lagrange's weight of each neighbour, in the shape of `at`.

    Examples
    --------
    >>> first, weights = stencil(jnp.array(2.5), 6, 2)
    >>> int(first), [float(weight) for weight in weights]
    (2, [0.5, 0.5])
    """
    first = jnp.clip(jnp.floor(at).astype(int) - (order // 2 - 1), 0, count - order)
    t = at - first
    return first, [
        math.prod([(t - m) / (j - m) for m in range(order) if m != j], start=jnp.ones(()))
        for j in range(order)
    ]
