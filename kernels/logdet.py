"""log|I - rho W| as one small record that every method makes and every model evaluates.

    l(rho) = log|I - rho W|,      l'(rho) = -tr((I - rho W)^-1 W)

A record holds arrays only, so that records of different W can be stacked, mapped over and passed to
one compiled program: docs/numerics.md 2.2.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sparse
from jax.typing import ArrayLike

from spillover.kernels import chebyshev, logit, spectrum
from spillover.kernels.arrays import leaf
from spillover.kernels.errors import WeightsError

# tolerated hold-out error of l, relative to N: far below what a posterior notices; the error of l'
# is then 1e-8 N
TOLERANCE = 1e-11
# distance from the real axis, in the logit variable, below which the singular point of a complex
# eigenvalue counts as near; the singular points of real eigenvalues are at pi/2
NEAR = 0.35
# the number of such eigenvalues is padded to multiples of this, so that different W share one
# compiled program
PAIRS = 8
UNITS = 8  # rounding of an eigenvalue and of rho together, in units in the last place
GRID = 65  # values of rho at which the effect of this rounding is computed
# where eigenvalues are compared with factorisations, as shares of the covered range of s
AT = (-1.0, -0.6, -0.2, 0.2, 0.6, 1.0)
PINCHES = 3  # further such values, next to complex eigenvalues
SAFETY = 3.0  # times the largest distance bounds the error
EQUAL = 1e-13  # 1 - b omega is zero below this size: eigenvalue routines are no more accurate


class LogDetSeries(NamedTuple):
    """l(rho) as a Chebyshev series in the logit variable, plus a few complex eigenvalues.

    Attributes
    ----------
    coef : jax.Array, shape (K,)
        The coefficients.
    bounds : jax.Array, shape (2,)
        The admissible interval of rho.
    size : jax.Array, shape ()
        N.
    error : jax.Array, shape ()
        Error of l; each function that builds a record says what it means.
    pairs : jax.Array, shape (R, 2)
        Real and imaginary parts of complex eigenvalues that would spoil the series and are kept out
        of it. Each stands for itself and its conjugate; rows of zeros are padding.
    ends : jax.Array, shape (2,)
        The range of the logit variable. Beyond it l goes on as a straight line.
    """

    coef: jax.Array
    bounds: jax.Array
    size: jax.Array
    error: jax.Array
    pairs: jax.Array
    ends: jax.Array

    def __call__(self, rho: jax.Array | logit.Host) -> jax.Array:
        """l(rho) for rho of any shape inside the bounds."""
        return self.at(logit.to_s(rho, self.bounds))

    def at(self, s: jax.Array | logit.Host) -> jax.Array:
        """l at the logit variable s = 1/2 log((rho - a)/(b - rho))."""
        smooth: jax.Array = chebyshev.evaluate(chebyshev.Series(self.coef, self.ends), s)
        if not self.pairs.shape[0]:
            return smooth
        rho = logit.to_rho(s, self.bounds)[..., None]
        real, imaginary = jnp.expand_dims(self.pairs.T, tuple(range(1, rho.ndim)))
        return smooth + jnp.sum(jnp.log((1 - rho * real) ** 2 + (rho * imaginary) ** 2), axis=-1)


def evaluate_on_host(logdet: LogDetSeries, s: np.ndarray) -> np.ndarray:
    """l at logit variables s, (m,), by NumPy.

    The same as `LogDetSeries.at`, for a few values that are not worth compiling a program.
    """
    coef, (low, high) = np.asarray(logdet.coef), np.asarray(logdet.ends)
    t = (2 * s - (low + high)) / (high - low)
    k = np.arange(len(coef))
    # the slope of the series at the end that t lies beyond
    slope = np.where(t < 0, -((-1.0) ** k * k**2 @ coef), k**2 @ coef)
    inside: np.ndarray = np.cos(np.arccos(np.clip(t, -1, 1))[:, None] * k) @ coef
    value: np.ndarray = inside + np.where(np.abs(t) > 1, slope * (t - np.sign(t)), 0.0)
    real, imaginary = np.asarray(logdet.pairs).T
    rho = logit.to_rho(s, np.asarray(logdet.bounds))[:, None]
    value = value + np.log((1 - rho * real) ** 2 + (rho * imaginary) ** 2).sum(axis=1)
    return value


@jax.jit
def derivative(logdet: LogDetSeries, rho: ArrayLike) -> jax.Array:
    """l'(rho) = -tr((I - rho W)^-1 W), for rho of any shape."""
    rho = jnp.asarray(rho)
    _, slope = jax.jvp(logdet.__call__, (rho,), (jnp.ones_like(rho),))
    return jnp.asarray(slope)


def from_eigenvalues(
    values: np.ndarray,
    bounds: tuple[float, float] | None = None,
    matrix: sparse.csr_array | None = None,
) -> LogDetSeries:
    """Make the record from all eigenvalues, complex ones included. Ord (1975).

        l(rho) = sum_i log|1 - rho omega_i|

    Parameters
    ----------
    values : numpy.ndarray, shape (N,)
        The eigenvalues omega of W.
    bounds : tuple of float, optional
        Bounds of rho; by default those of `spectrum.admissible_interval`.
    matrix : scipy.sparse.csr_array, shape (N, N), optional
        W. With it, the error includes, beside the hold-out error of the series, the effect of
        rounded eigenvalues on l: a bound from their last places and, where they are complex, the
        largest distance from factorisations of I - rho W.

    Returns
    -------
    LogDetSeries
        The record.

    Raises
    ------
    WeightsError
        Where an eigenvalue keeps l from being smooth inside the bounds.

    Examples
    --------
    >>> pair = from_eigenvalues(np.array([-0.5, 0.5]))
    >>> f"{float(pair(1.0)):.4f}"  # log(1 - 1/4)
    '-0.2877'
    """
    a, b = bounds or spectrum.admissible_interval(values)
    apart = _near_the_axis(values, a, b)
    conjugates = [np.argmin(np.abs(values - values[i].conj())) for i in apart]
    within = np.delete(values, np.concatenate([apart, conjugates]).astype(int))

    def function(s: np.ndarray) -> np.ndarray:
        logs: np.ndarray = np.log(np.abs(_factors(within, s, a, b))).sum(axis=1)
        return logs

    tolerance = TOLERANCE * len(values)
    coef, error = chebyshev.interpolate(function, tolerance)
    if not error <= 1e3 * tolerance:
        raise WeightsError(
            f"log|I - rho W| is not smooth on ({a:.6g}, {b:.6g}): an eigenvalue of W comes close to"
            " 1/rho inside. Give narrower bounds."
        )
    pairs = np.zeros((-(-len(apart) // PAIRS) * PAIRS, 2))  # a pair of zeros adds log 1 = 0
    pairs[: len(apart)] = np.column_stack([values[apart].real, values[apart].imag])
    record = LogDetSeries(
        coef=leaf(coef),
        bounds=leaf((a, b)),
        size=leaf(len(values)),
        error=leaf(error),
        pairs=leaf(pairs),
        ends=leaf(chebyshev.FULL),
    )
    if matrix is None:
        return record
    pinches = _pinches(values[apart], (a, b))
    error += _rounding(values, (a, b), pinches)
    # eigenvalues of a matrix similar to a symmetric one are good to their last place
    error += 0.0 if np.isrealobj(values) else _measure_error(record, matrix, pinches)
    return record._replace(error=leaf(error))


def _rounding(values: np.ndarray, bounds: tuple[float, float], pinches: np.ndarray) -> float:
    """How far l moves at most when every eigenvalue, and rho, move by UNITS in their last place."""
    s = np.concatenate([np.linspace(*chebyshev.FULL, GRID), pinches])
    factors = np.abs(_factors(values, s, *bounds))
    share = np.divide(np.abs(1 - factors), factors, out=np.zeros_like(factors), where=factors > 0)
    return float(UNITS * np.finfo(float).eps * (share.sum(axis=1).max() + len(values)))


def _pinches(values: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    """The logit variables of the real rho nearest to the singular points of complex eigenvalues."""
    rho = np.real(1 / values)
    inside = rho[(rho > bounds[0]) & (rho < bounds[1])]
    s: np.ndarray = np.clip(logit.to_s(inside, bounds), *chebyshev.FULL)
    return s


def _measure_error(record: LogDetSeries, matrix: sparse.csr_array, pinches: np.ndarray) -> float:
    """SAFETY times the largest distance of a record from log|det(I - rho W)| by factorisation.

    Compared are the ends, values between them and some next to complex eigenvalues.
    """
    a, b = (float(end) for end in np.asarray(record.bounds))
    coef, pairs = np.asarray(record.coef), np.asarray(record.pairs)
    dense, worst = matrix.toarray(), 0.0
    for s in np.concatenate([np.array(AT) * chebyshev.END, pinches[:PINCHES]]):
        near = (b - a) / (1 + np.exp(2 * abs(s)))
        rho = b - near if s > 0 else a + near
        sign, exact = np.linalg.slogdet(np.eye(len(dense)) - rho * dense)
        if sign <= 0:
            raise WeightsError(
                f"det(I - rho W) is not positive at rho = {rho:.6g}, or between it and 0, inside"
                f" ({a:.6g}, {b:.6g}): give narrower bounds."
            )
        value = np.polynomial.chebyshev.chebval(s / chebyshev.END, coef)
        value += np.log((1 - rho * pairs[:, 0]) ** 2 + (rho * pairs[:, 1]) ** 2).sum()
        worst = max(worst, abs(value - exact))
    return SAFETY * worst


def from_series(
    coef: np.ndarray,
    bounds: tuple[float, float],
    size: int,
    error: float,
    ends: tuple[float, float],
) -> LogDetSeries:
    """Make the record from Chebyshev coefficients in the logit variable.

    Parameters
    ----------
    coef : numpy.ndarray, shape (K,)
        The coefficients.
    bounds : tuple of float
        The bounds of rho that the logit variable belongs to.
    size : int
        N.
    error : float
        Error of l.
    ends : tuple of float
        The range of the logit variable.

    Returns
    -------
    LogDetSeries
        The record, with no eigenvalues beside the series.
    """
    return LogDetSeries(
        coef=leaf(coef),
        bounds=leaf(bounds),
        size=leaf(size),
        error=leaf(error),
        pairs=leaf(np.zeros((0, 2))),
        ends=leaf(ends),
    )


def _near_the_axis(values: np.ndarray, a: float, b: float) -> np.ndarray:
    """Positions of the complex eigenvalues, one of each pair, near the interval (a, b).

    The singular point 1/omega lies so close that a series would need thousands of terms. Weights of
    nearest neighbours have such points at rho < -1.
    """
    upper = np.flatnonzero(values.imag > spectrum.REAL * np.abs(values).max(initial=0))
    at = 1 / values[upper]
    distance = np.abs(0.5 * np.log((at - a) / (b - at)).imag)
    return upper[distance < NEAR]


def _factors(values: np.ndarray, s: np.ndarray, a: float, b: float) -> np.ndarray:
    """1 - rho omega at each s (rows) for each omega (columns).

    Computed from the nearer bound, where 1 - b omega may be an exact zero.
    """
    near_b = s[:, None] > 0
    distance = (b - a) / (1 + np.exp(2 * np.abs(s)))[:, None]
    end = np.where(near_b, b, a)
    start = 1 - end * values
    start[np.abs(start) < EQUAL] = 0
    factors: np.ndarray = start + np.where(near_b, distance, -distance) * values
    return factors


def remove_root(logdet: LogDetSeries, row_sum: float = 1.0) -> LogDetSeries:
    """The log-determinant on contrasts between units, for a W whose rows all sum to c.

        l(rho) - log(1 - rho c),      finite at rho = 1/c

    Parameters
    ----------
    logdet : LogDetSeries
        l.
    row_sum : float
        c, an eigenvalue of W.

    Returns
    -------
    LogDetSeries
        l without the eigenvalue c.

    References
    ----------
    Lee & Yu (2010), equation 3.5.
    """
    a, b = (float(end) for end in np.asarray(logdet.bounds))
    low, high = (float(end) for end in np.asarray(logdet.ends))
    s = chebyshev.nodes(logdet.coef.shape[0], (low, high))
    factor = np.log(_factors(np.array([row_sum]), s, a, b)[:, 0])
    return subtract(logdet, chebyshev.coefficients(factor), 0.0)


def subtract(logdet: LogDetSeries, coef: np.ndarray, error: float) -> LogDetSeries:
    """Subtract a series from l.

    Parameters
    ----------
    logdet : LogDetSeries
        l.
    coef : numpy.ndarray, shape (K,)
        A series between the same ends.
    error : float
        A bound on its error.

    Returns
    -------
    LogDetSeries
        The difference.
    """
    whole = np.zeros(max(len(coef), logdet.coef.shape[0]))
    whole[: logdet.coef.shape[0]] = np.asarray(logdet.coef)
    whole[: len(coef)] -= coef
    return logdet._replace(coef=leaf(whole), error=leaf(np.asarray(logdet.error) + error))
