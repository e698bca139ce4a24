"""log|I - rho W| as one small record that every builder returns and every model evaluates.

    l(rho) = log|I - rho W|,     l'(rho) = -tr((I - rho W)^-1 W)

A record holds arrays only, so that records of different W can be stacked, mapped and passed to one
compiled program.
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

# hold-out error of l relative to N: far below any effect on a posterior, and 1e-8 of N for l'
TOLERANCE = 1e-11
NEAR = 0.35  # distance in the logit variable, where real eigenvalues are at pi/2
PAIRS = (
    8  # their number is padded to multiples of this, so that different W share one compiled program
)
UNITS = 8  # in the last place of an eigenvalue, those of its routine and of rho
GRID = 65  # values of rho at which their effect is looked at
# of the covered range of s: where eigenvalues are compared with factorisations
AT = (
    -1.0,
    -0.6,
    -0.2,
    0.2,
    0.6,
    1.0,
)
# further ones, next to complex eigenvalues; times the largest distance bounds the error
PINCHES, SAFETY = (
    3,
    3.0,
)
EQUAL = 1e-13  # eigenvalues this close, relative, are one: the routines return them no better


class LogDetSeries(NamedTuple):
    """l(rho) on `bounds`: (2,); `coef`: (K,) Chebyshev coefficients in the logit variable between
    its `ends`: (2,), beyond which l goes on as a straight line; `size`: N; `error`: of l, see the
    builders; `pairs`: (R, 2) real and imaginary parts of complex eigenvalues that stay outside the
    series, each for itself and its conjugate.
    """

    coef: jax.Array
    bounds: jax.Array
    size: jax.Array
    error: jax.Array
    pairs: jax.Array
    ends: jax.Array

    def __call__(self, rho: ArrayLike) -> jax.Array:
        """l(rho) for rho of any shape inside the bounds."""
        return self.at(logit.to_s(rho, self.bounds))

    def at(self, s: ArrayLike) -> jax.Array:
        """l at the logit variable s = 1/2 log((rho - a)/(b - rho))."""
        smooth = chebyshev.evaluate(chebyshev.Series(self.coef, self.ends), s)
        if not self.pairs.shape[0]:
            return smooth
        rho = logit.to_rho(s, self.bounds)[..., None]
        real, imaginary = jnp.expand_dims(self.pairs.T, tuple(range(1, rho.ndim)))
        return smooth + jnp.sum(jnp.log((1 - rho * real) ** 2 + (rho * imaginary) ** 2), axis=-1)


def evaluate_on_host(logdet: LogDetSeries, s: np.ndarray) -> np.ndarray:
    """l at logit variables s, (m,), as `LogDetSeries.at` has it, by NumPy: for a few values that no
    program need be compiled for.
    """
    coef, (low, high) = np.asarray(logdet.coef), np.asarray(logdet.ends)
    t = (2 * s - (low + high)) / (high - low)
    k = np.arange(len(coef))
    # of the series at the end that t lies beyond
    slope = np.where(t < 0, -((-1.0) ** k * k**2 @ coef), k**2 @ coef)
    value = np.cos(np.arccos(np.clip(t, -1, 1))[:, None] * k) @ coef + np.where(
        np.abs(t) > 1, slope * (t - np.sign(t)), 0.0
    )
    real, imaginary = np.asarray(logdet.pairs).T
    rho = logit.to_rho(s, np.asarray(logdet.bounds))[:, None]
    return value + np.log((1 - rho * real) ** 2 + (rho * imaginary) ** 2).sum(axis=1)


@jax.jit
def derivative(logdet: LogDetSeries, rho: ArrayLike) -> jax.Array:
    """l'(rho) = -tr((I - rho W)^-1 W), for rho of any shape."""
    rho = jnp.asarray(rho)
    return jax.jvp(logdet.__call__, (rho,), (jnp.ones_like(rho),))[1]


def from_eigenvalues(
    values: np.ndarray,
    bounds: tuple[float, float] | None = None,
    matrix: sparse.csr_array | None = None,
) -> LogDetSeries:
    """The record from all eigenvalues omega: l(rho) = sum log|1 - rho omega|, with complex omega
    where W has them.

    `matrix`: the W they are of. With it the error tells, beside the hold-out error, what the
    rounding of the eigenvalues does: by their size where all are real, of a matrix similar to a
    symmetric one, else measured against factorisations of I - rho W. Raises WeightsError where an
    eigenvalue leaves no smooth function on the bounds. Ord (1975).
    """
    a, b = bounds or spectrum.admissible_interval(values)

    apart = _near_the_axis(values, a, b)
    within = np.delete(
        values,
        np.concatenate(
            [apart, [np.argmin(np.abs(values - values[i].conj())) for i in apart]]
        ).astype(int),
    )

    def function(s: np.ndarray) -> np.ndarray:
        return np.log(np.abs(_factors(within, s, a, b))).sum(axis=1)

    tolerance = TOLERANCE * len(values)
    coef, error = chebyshev.interpolate(function, tolerance)
    if not error <= 1e3 * tolerance:
        raise WeightsError(
            f"log|I - rho W| is not smooth on ({a:.6g}, {b:.6g}): an eigenvalue of W comes close to"
            " 1/rho inside. Give narrower bounds."
        )
    pairs = np.zeros((-(-len(apart) // PAIRS) * PAIRS, 2))  # zeros add log 1
    pairs[: len(apart)] = np.column_stack([values[apart].real, values[apart].imag])
    if matrix is not None:
        error += _rounding(values, (a, b), apart) + _measure_error(
            coef, pairs, (a, b), matrix, values, apart
        )
    return _record(coef, (a, b), len(values), error, chebyshev.FULL, pairs)


def _rounding(values: np.ndarray, bounds: tuple[float, float], apart: np.ndarray) -> float:
    """What l moves by at most when every eigenvalue, and rho, move by UNITS in their last place."""
    a, b = bounds
    s = np.concatenate([np.linspace(*chebyshev.FULL, GRID), _pinches(values, bounds, apart)])
    factors = np.abs(_factors(values, s, a, b))
    share = np.divide(np.abs(1 - factors), factors, out=np.zeros_like(factors), where=factors > 0)
    return float(UNITS * np.finfo(float).eps * (share.sum(axis=1).max() + len(values)))


def _pinches(values: np.ndarray, bounds: tuple[float, float], apart: np.ndarray) -> np.ndarray:
    """The logit variable of the real rho nearest to the complex eigenvalues next to the axis."""
    rho = np.real(1 / values[apart])
    inside = rho[(rho > bounds[0]) & (rho < bounds[1])]
    return np.clip(0.5 * np.log((inside - bounds[0]) / (bounds[1] - inside)), *chebyshev.FULL)


def _measure_error(
    coef: np.ndarray,
    pairs: np.ndarray,
    bounds: tuple[float, float],
    matrix: sparse.csr_array,
    values: np.ndarray,
    apart: np.ndarray,
) -> float:
    """SAFETY times the largest distance from log|det(I - rho W)| by factorisation, at the ends and
    between; 0 where W is as good as symmetric, whose eigenvalues are as good as their last place.
    """
    if np.isrealobj(values):
        return 0.0
    a, b = bounds
    dense, worst = matrix.toarray(), 0.0
    for s in np.concatenate(
        [np.array(AT) * chebyshev.END, _pinches(values, bounds, apart)[:PINCHES]]
    ):
        near = (b - a) / (1 + np.exp(2 * abs(s)))
        rho = b - near if s > 0 else a + near
        sign, exact = np.linalg.slogdet(np.eye(len(dense)) - rho * dense)
        if sign <= 0:
            raise WeightsError(
                f"det(I - rho W) is not positive at rho = {rho:.6g}, or between it and 0, inside"
                f" ({a:.6g}, {b:.6g}): give narrower bounds."
            )
        found = np.polynomial.chebyshev.chebval(s / chebyshev.END, coef)
        found += np.log((1 - rho * pairs[:, 0]) ** 2 + (rho * pairs[:, 1]) ** 2).sum()
        worst = max(worst, abs(found - exact))
    return SAFETY * worst


def from_series(
    coef: np.ndarray,
    bounds: tuple[float, float],
    size: int,
    error: float,
    ends: tuple[float, float],
) -> LogDetSeries:
    """The record from Chebyshev coefficients in the logit variable between `ends`."""
    return _record(coef, bounds, size, error, ends, np.zeros((0, 2)))


def _record(
    coef: np.ndarray,
    bounds: tuple[float, float],
    size: int,
    error: float,
    ends: tuple[float, float],
    pairs: np.ndarray,
) -> LogDetSeries:
    leaves = (coef, np.array(bounds), np.float64(size), np.float64(error), pairs, np.array(ends))
    return LogDetSeries(*map(leaf, leaves))


def _near_the_axis(values: np.ndarray, a: float, b: float) -> np.ndarray:
    """Positions of the complex eigenvalues, one of each pair, whose singular point 1/omega lies so
    near to the real interval (a, b) that a series would need thousands of terms: plain nearest
    neighbours have some at rho < -1.
    """
    upper = np.flatnonzero(values.imag > spectrum.REAL * np.abs(values).max(initial=0))
    at = 1 / values[upper]
    distance = np.abs(0.5 * np.log((at - a) / (b - at)).imag)
    return upper[distance < NEAR]


def _factors(values: np.ndarray, s: np.ndarray, a: float, b: float) -> np.ndarray:
    """1 - rho omega at each s (rows) for each omega (columns), from the nearer bound, where 1 - b
    omega is an exact zero.
    """
    near_b = s[:, None] > 0
    distance = (b - a) / (1 + np.exp(2 * np.abs(s)))[:, None]
    end = np.where(near_b, b, a)
    start = 1 - end * values
    start[np.abs(start) < EQUAL] = 0
    return start + np.where(near_b, distance, -distance) * values


def remove_root(logdet: LogDetSeries, row_sum: float = 1.0) -> LogDetSeries:
    """l(rho) - log(1 - rho c), the log-determinant on contrasts between units where every row of W
    sums to c; finite at rho = 1 / c.

    Lee & Yu (2010), equation 3.5.
    """
    a, b = (float(end) for end in np.asarray(logdet.bounds))
    low, high = (float(end) for end in np.asarray(logdet.ends))
    s = chebyshev.nodes(logdet.coef.shape[0], (low, high))
    return subtract(
        logdet, chebyshev.coefficients(np.log(_factors(np.array([row_sum]), s, a, b)[:, 0])), 0.0
    )


def subtract(logdet: LogDetSeries, coef: np.ndarray, error: float) -> LogDetSeries:
    """l(rho) less a series between the same ends, which is off by no more than `error`."""
    whole = np.zeros(max(len(coef), logdet.coef.shape[0]))
    whole[: logdet.coef.shape[0]] = np.asarray(logdet.coef)
    whole[: len(coef)] -= coef
    return logdet._replace(coef=leaf(whole), error=leaf(np.asarray(logdet.error) + error))
