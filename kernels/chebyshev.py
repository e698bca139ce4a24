"""Functions of rho on an open interval, as Chebyshev series in the logit variable.

    s = 1/2 log((rho - a) / (b - rho)),    a < rho < b

sends the slits (-inf, a] and [b, inf), where a log-determinant is singular, to the lines Im s =
+-pi/2; a series in s therefore converges geometrically where one in rho does not
(docs/mathematics.md 5 has the sources).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

END = 0.5 * np.log(1e6)  # leaves out 1e-6 of the interval at either end
# what a series covers unless its values are dear; beyond, it goes on as a straight line in s
FULL = (
    -END,
    END,
)
BLOCK = (
    32  # lengths are padded to multiples of this, so that different W share one compiled program
)
# longest series whose recurrence is written out, in half the time of a loop; a longer one costs
# NUTS two seconds to compile
UNROLLED = 64


class Series(NamedTuple):
    """c_0 T_0(t) + c_1 T_1(t) + ..., t in [-1, 1] linear in s between the `ends`: (2,), and its
    tangents beyond. `coef`: (K,).
    """

    coef: jax.Array
    ends: jax.Array


@jax.custom_jvp
def polynomial(coef: jax.Array, t: jax.Array) -> jax.Array:
    """Sum of coef[k] T_k(t) by Clenshaw's recurrence; its derivative rule is the differentiated
    series, to any order.
    """

    def step(
        carry: tuple[jax.Array, jax.Array], c: jax.Array
    ) -> tuple[tuple[jax.Array, jax.Array], None]:
        later, latest = carry
        return (latest, c + 2 * t * latest - later), None

    zero = jnp.zeros(jnp.shape(t), jnp.result_type(coef, t))
    length = coef.shape[0]
    (later, latest), _ = jax.lax.scan(
        step, (zero, zero), coef[:0:-1], unroll=length if length <= UNROLLED else 4
    )
    return coef[0] + t * latest - later


def _polynomial_jvp(primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    """Coefficients and t without a tangent cost nothing."""
    (coef, t), (d_coef, d_t) = primals, tangents
    moved = [] if isinstance(d_t, SymbolicZero) else [polynomial(derivative(coef), t) * d_t]
    moved += [] if isinstance(d_coef, SymbolicZero) else [polynomial(d_coef, t)]
    value = polynomial(coef, t)
    return value, sum(moved, jnp.zeros_like(value))


polynomial.defjvp(_polynomial_jvp, symbolic_zeros=True)


def derivative(coef: jax.Array) -> jax.Array:
    """Coefficients of d/dt of a series: c'_j = 2 (sum of k c_k over k > j, k - j odd), halved for j
    = 0. Same length, last one zero.
    """
    k = jnp.arange(coef.shape[0], dtype=coef.dtype)
    terms = 2 * k * coef
    pairs = jnp.pad(terms, (0, terms.shape[0] % 2)).reshape(-1, 2)
    after = jnp.cumsum(pairs[::-1], axis=0)[::-1]  # sums over one parity from each index on
    even = jnp.pad(after[1:, 0], (0, 1))
    rest = jnp.stack([after[:, 1], even], axis=1).reshape(-1)[: coef.shape[0]]
    return rest.at[0].multiply(0.5)


@jax.jit
def evaluate(series: Series, s: ArrayLike) -> jax.Array:
    """The series at the logit variable s, of any shape; straight beyond the covered range."""
    coef, (low, high) = series.coef, jnp.asarray(series.ends)
    t = (2 * jnp.asarray(s) - (low + high)) / (high - low)
    k = jnp.arange(coef.shape[0], dtype=coef.dtype)
    rising = jnp.sum(k**2 * coef)
    falling = jnp.sum(jnp.where(k % 2 == 0, -1.0, 1.0) * k**2 * coef)
    end = jnp.where(t < 0, -1.0, 1.0)
    inside = jnp.abs(t) <= 1
    beyond = jnp.where(inside, 0.0, jnp.where(t < 0, falling, rising) * (t - end))
    return polynomial(coef, jnp.where(inside, t, end)) + beyond


def spread(t: np.ndarray, ends: tuple[float, float] = FULL) -> np.ndarray:
    """The s between the ends at t in [-1, 1]."""
    low, high = ends
    return 0.5 * (low + high) + 0.5 * (high - low) * t


def nodes(count: int, ends: tuple[float, float] = FULL) -> np.ndarray:
    """Chebyshev points of the second kind between the ends of s, both included, from the upper end
    down.
    """
    return spread(np.cos(np.pi * np.arange(count) / (count - 1)), ends)


def coefficients(values: np.ndarray) -> np.ndarray:
    """Chebyshev coefficients of the polynomial through `values` at `nodes(len(values))`."""
    coef = scipy.fft.dct(values, type=1, axis=0) / (len(values) - 1)
    coef[[0, -1]] /= 2
    return coef


def interpolate(
    function: Callable[[np.ndarray], np.ndarray],
    tolerance: float,
    most: int = 2048,
    ends: tuple[float, float] = FULL,
) -> tuple[np.ndarray, float]:
    """Coefficients of a host function of s, doubling the intervals between nodes until a hold-out
    on the new nodes passes.

    Returns the coefficients, cut where the tail is below a hundredth of the tolerance and padded to
    a multiple of BLOCK, and the largest hold-out error of the series with half as many.
    """
    count, error = BLOCK, np.inf
    values = function(nodes(count + 1, ends))
    while error > tolerance and 2 * count <= most:
        finer = np.empty(2 * count + 1)
        finer[::2], finer[1::2] = values, function(nodes(2 * count + 1, ends)[1::2])
        predicted = np.polynomial.chebyshev.chebval(
            np.cos(np.pi * np.arange(1, 2 * count, 2) / (2 * count)), coefficients(values)
        )
        error = float(np.abs(predicted - finer[1::2]).max())
        values, count = finer, 2 * count
    return trim(coefficients(values), tolerance / 100)[0], error


def expand(
    function: Callable[[np.ndarray], np.ndarray],
    ends: tuple[float, float],
    *,
    least: int,
    most: int = 1024,
    absolute: float = 0.0,
    relative: float = 0.0,
) -> tuple[np.ndarray, float]:
    """Coefficients of a cheap host function of s, their number doubled from `least` until the last
    quarter of them is negligible, or until there are `most`.

    Parameters
    ----------
    function : callable
        Values at an array of s between the ends.
    ends : tuple of float
        The range of s.
    least, most : int
        How many coefficients to begin and to end with.
    absolute, relative : float
        The last quarter is negligible where its sizes add up to no more than ``absolute`` plus
        ``relative`` times the largest coefficient.

    Returns
    -------
    coef : numpy.ndarray, shape (K,)
        The coefficients.
    tail : float
        The sum of the sizes of the last quarter of them.
    """
    count = least
    while True:
        coef = coefficients(function(nodes(count, ends)))
        tail = float(np.abs(coef[-(count // 4) :]).sum())
        if tail <= absolute + relative * np.abs(coef).max() or count >= most:
            return coef, tail
        count *= 2


def trim(coef: np.ndarray, negligible: float) -> tuple[np.ndarray, float]:
    """The coefficients without a tail of sizes that add up to at most `negligible`, padded to a
    multiple of BLOCK, and that sum.
    """
    tail = np.append(np.cumsum(np.abs(coef[::-1]))[::-1], 0.0)
    kept = max(int((tail > negligible).sum()), 1)
    padded = np.zeros(-(-kept // BLOCK) * BLOCK)
    padded[:kept] = coef[:kept]
    return padded, float(tail[kept])
