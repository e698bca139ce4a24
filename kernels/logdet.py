"""log|I - rho W| as one small record that every builder returns and every model evaluates.

    l(rho) = log|I - rho W|,     l'(rho) = -tr((I - rho W)^-1 W)

A record holds arrays only, so that records of different W can be stacked, mapped and passed to one compiled program.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from spillover.kernels import chebyshev, spectrum
from spillover.kernels.errors import WeightsError

TOLERANCE = 1e-11  # hold-out error of l relative to N: far below any effect on a posterior, and 1e-8 of N for l'


class LogDet(NamedTuple):
    """l(rho) on `bounds`: (2,); `coef`: (K,) Chebyshev coefficients in the logit variable; `size`: N; `error`: hold-out error of l."""

    coef: jax.Array
    bounds: jax.Array
    size: jax.Array
    error: jax.Array

    def __call__(self, rho: ArrayLike) -> jax.Array:
        """l(rho) for rho of any shape inside the bounds."""
        return self.at(chebyshev.to_s(rho, self.bounds))

    def at(self, s: ArrayLike) -> jax.Array:
        """l at the logit variable s = 1/2 log((rho - a)/(b - rho))."""
        return chebyshev.evaluate(chebyshev.Series(self.coef), s)


@jax.jit
def derivative(logdet: LogDet, rho: ArrayLike) -> jax.Array:
    """l'(rho) = -tr((I - rho W)^-1 W), for rho of any shape."""
    rho = jnp.asarray(rho)
    return jax.jvp(logdet.__call__, (rho,), (jnp.ones_like(rho),))[1]


def from_eigenvalues(values: np.ndarray, bounds: tuple[float, float] | None = None) -> LogDet:
    """The record from all eigenvalues omega: l(rho) = sum log|1 - rho omega|, with complex omega where W has them.

    Raises WeightsError where an eigenvalue leaves no smooth function on the bounds. Ord (1975).
    """
    a, b = bounds or spectrum.admissible_interval(values)

    def function(s: np.ndarray) -> np.ndarray:
        return np.log(np.abs(_factors(values, s, a, b))).sum(axis=1)

    tolerance = TOLERANCE * len(values)
    coef, error = chebyshev.interpolate(function, tolerance)
    if not error <= 1e3 * tolerance:
        raise WeightsError(
            f"log|I - rho W| is not smooth on ({a:.6g}, {b:.6g}): an eigenvalue of W comes close to 1/rho inside. Give narrower bounds."
        )
    return LogDet(jnp.asarray(coef), jnp.asarray([a, b]), jnp.asarray(float(len(values))), jnp.asarray(error))


def _factors(values: np.ndarray, s: np.ndarray, a: float, b: float) -> np.ndarray:
    """1 - rho omega at each s (rows) for each omega (columns), from the nearer bound, where 1 - b omega is an exact zero."""
    near_b = s[:, None] > 0
    distance = (b - a) / (1 + np.exp(2 * np.abs(s)))[:, None]
    end = np.where(near_b, b, a)
    start = 1 - end * values
    start[np.abs(start) < 8 * np.finfo(float).eps] = 0
    return start + np.where(near_b, distance, -distance) * values


def without_unit_root(logdet: LogDet) -> LogDet:
    """l(rho) - log(1 - rho), the log-determinant on contrasts between units for a row-standardised W; finite at rho = 1.

    Lee & Yu (2010), equation 3.5; mathematics.md 2.
    """
    count = logdet.coef.shape[0]
    a, b = np.asarray(logdet.bounds)
    s = chebyshev.nodes(count)
    log_one_minus_rho = np.log((b - a) / b) - np.logaddexp(0, 2 * s)
    return logdet._replace(coef=jnp.asarray(np.asarray(logdet.coef) - chebyshev.coefficients(log_one_minus_rho)))
