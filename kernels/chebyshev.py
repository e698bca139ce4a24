"""Functions of rho on an open interval, as Chebyshev series in the logit variable s.

    f = c_0 T_0(t) + c_1 T_1(t) + ...,      t in [-1, 1] linear in s

The logit variable (`logit`) sends the slits (-inf, a] and [b, inf), where a log-determinant is
singular, to the lines Im s = +-pi/2. A series in s therefore converges geometrically where one in
rho does not: docs/mathematics.md 5 has the sources.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft
from jax.custom_derivatives import SymbolicZero
from jax.typing import ArrayLike

END = 0.5 * np.log(1e6)  # leaves out 1e-6 of the interval at either end
# the range of s that a series covers by default; beyond it the series goes on as a straight line
FULL = (-END, END)
# lengths are padded to multiples of this, so that different W share one compiled program
BLOCK = 32
# longest series whose recurrence is unrolled, which halves its time; a longer one would cost NUTS
# two seconds of compilation
UNROLLED = 64


class Series(NamedTuple):
    """A series between two ends of s, continued beyond them by its tangents.

    Attributes
    ----------
    coef : jax.Array, shape (K,)
        The coefficients c_0, c_1, ...
    ends : jax.Array, shape (2,)
        The s at t = -1 and at t = 1.
    """

    coef: jax.Array
    ends: jax.Array


@jax.custom_jvp
def polynomial(coef: jax.Array, t: jax.Array) -> jax.Array:
    """Sum of coef[k] T_k(t) by Clenshaw's recurrence.

    Its derivatives, of any order, are computed as series too. Automatic differentiation of the
    recurrence is slower and loses digits.
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


def _polynomial_jvp(
    primals: tuple[jax.Array, jax.Array], tangents: tuple[Any, Any]
) -> tuple[jax.Array, jax.Array]:
    """The tangent of `polynomial`; symbolic zeros, of the coefficients or of t, cost nothing."""
    (coef, t), (d_coef, d_t) = primals, tangents
    moved = [] if isinstance(d_t, SymbolicZero) else [polynomial(derivative(coef), t) * d_t]
    moved += [] if isinstance(d_coef, SymbolicZero) else [polynomial(d_coef, t)]
    value = polynomial(coef, t)
    return value, sum(moved, jnp.zeros_like(value))


polynomial.defjvp(_polynomial_jvp, symbolic_zeros=True)


def derivative(coef: jax.Array) -> jax.Array:
    """Coefficients of the derivative in t, of the same length, the last one zero.

        c'_j = 2 (sum of k c_k over k > j with k - j odd),      halved for j = 0

    Examples
    --------
    >>> derivative(jnp.array([5.0, 0.0, 1.0])).tolist()  # T_2' = 4 T_1
    [0.0, 4.0, 0.0]
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
    """Evaluate the series at logit variables s of any shape; beyond its range, a straight line."""
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
    """The s at t in [-1, 1]: the linear map of t onto the range between the ends."""
    low, high = ends
    return 0.5 * (low + high) + 0.5 * (high - low) * t


def nodes(count: int, ends: tuple[float, float] = FULL) -> np.ndarray:
    """`count` Chebyshev points of the second kind in s, both ends included, the upper end first."""
    return spread(np.cos(np.pi * np.arange(count) / (count - 1)), ends)


def coefficients(values: np.ndarray) -> np.ndarray:
    """Chebyshev coefficients of the polynomial through `values` at `nodes(len(values))`."""
    coef: np.ndarray = scipy.fft.dct(values, type=1, axis=0) / (len(values) - 1)
    coef[[0, -1]] /= 2
    return coef


def interpolate(
    function: Callable[[np.ndarray], np.ndarray],
    tolerance: float,
    most: int = 2048,
    ends: tuple[float, float] = FULL,
) -> tuple[np.ndarray, float]:
    """Coefficients of a host function of s that is expensive to evaluate.

    The nodes are doubled, keeping the old ones, until the series predicts the values at the new
    ones.

    Parameters
    ----------
    function : callable
        Values at an array of s between the ends.
    tolerance : float
        Absolute tolerance of the prediction.
    most : int
        Intervals between nodes, at most.
    ends : tuple of float
        The range of s.

    Returns
    -------
    coef : numpy.ndarray, shape (K,)
        The coefficients, without a tail that adds up to less than a hundredth of the tolerance, and
        padded to a multiple of BLOCK.
    error : float
        The largest error of the last prediction; above the tolerance where `most` intervals were
        not enough.
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
    """Coefficients of a host function of s that is cheap to evaluate.

    Their number is doubled until the last quarter of them is negligible.

    Parameters
    ----------
    function : callable
        Values at an array of s between the ends.
    ends : tuple of float
        The range of s.
    least, most : int
        The number of coefficients to begin with, and the number at which to stop.
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
    """Cut a tail of coefficients whose sizes add up to at most `negligible`.

    Returns the others, padded with zeros to a multiple of BLOCK, and the sum that was cut.

    Examples
    --------
    >>> coef, cut = trim(np.array([1.0, 0.5, 1e-9]), 1e-8)
    >>> coef.shape, coef[:3].tolist(), cut
    ((32,), [1.0, 0.5, 0.0], 1e-09)
    """
    tail = np.append(np.cumsum(np.abs(coef[::-1]))[::-1], 0.0)
    kept = max(int((tail > negligible).sum()), 1)
    padded = np.zeros(-(-kept // BLOCK) * BLOCK)
    padded[:kept] = coef[:kept]
    return padded, float(tail[kept])
