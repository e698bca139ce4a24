"""The mean row sum of (I - rho W)^-1 W, and its integral.

Total impacts need the mean where the rows of W do not all sum to one.

    m(rho)  = iota' (I - rho W)^-1 iota / N = 1 + rho m'(rho)
    m'(rho) = iota' (I - rho W)^-1 W iota / N
    q(rho)  = iota' log(I - rho W) iota / N,      q'(rho) = -m'(rho),      q(0) = 0

docs/mathematics.md 6 defines them; docs/numerics.md 2.3 says how they are computed.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
import scipy.sparse as sparse
from jax.typing import ArrayLike

from spillover.kernels import chebyshev, logit, spectrum
from spillover.kernels.arrays import leaf
from spillover.kernels.errors import WeightsError
from spillover.kernels.factor import factorise
from spillover.kernels.ordering import elimination_order

TOLERANCE = 1e-9  # of the series; the solves next to a pole are noisy by a tenth of it
ROUGH = 1e-4  # an error of q that would move a posterior
# share of non-zero entries from which one eigendecomposition is cheaper than a sparse factorisation
# at every node
DENSE = 0.05


class Multiplier(NamedTuple):
    """m'(rho), as a series in the logit variable once its poles at the bounds are divided out.

        series = m'(rho) (b - a) p^order,      p = 4 (rho - a)(b - rho) / (b - a)^2

    Attributes
    ----------
    coef : jax.Array, shape (K,)
        Chebyshev coefficients of the series.
    bounds : jax.Array, shape (2,)
        The admissible interval (a, b).
    order : jax.Array, shape ()
        Order of the poles: 1, unless an extreme eigenvalue is defective.
    ends : jax.Array, shape (2,)
        The range of the logit variable.
    error : jax.Array, shape ()
        Hold-out error of the series.
    """

    coef: jax.Array
    bounds: jax.Array
    order: jax.Array
    ends: jax.Array
    error: jax.Array

    def __call__(self, rho: ArrayLike) -> jax.Array:
        """m'(rho), for rho of any shape inside the bounds."""
        rho = jnp.asarray(rho)
        a, b = self.bounds
        series = chebyshev.Series(self.coef, self.ends)
        smooth: jax.Array = chebyshev.evaluate(series, logit.to_s(rho, self.bounds))
        poles = (4 * (rho - a) * (b - rho) / (b - a) ** 2) ** self.order
        value: jax.Array = smooth / (b - a) / poles
        return value


def build(
    matrix: sparse.csr_array,
    bounds: tuple[float, float],
    ends: tuple[float, float] = chebyshev.FULL,
) -> Multiplier:
    """Build m' by solves at Chebyshev nodes of the logit variable.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (N, N)
        W.
    bounds : tuple of float
        The admissible interval of rho.
    ends : tuple of float
        The range of the logit variable to cover.

    Returns
    -------
    Multiplier
        m', whose `error` may exceed the tolerance where m' is not smooth: `mean_log` says whether
        that matters.
    """
    mean = _mean_resolvent(matrix)
    a, b = bounds
    low, high = ends

    def function(s: np.ndarray, order: float = 1.0) -> np.ndarray:
        rho = logit.to_rho(s, bounds)
        means = np.array([mean(value) for value in rho])
        scaled: np.ndarray = means * (b - a) / np.cosh(s) ** (2 * order)
        return scaled

    at_end = function(np.array([low, low + 1, high - 1, high]))
    growth = max(abs(at_end[0] / at_end[1]), abs(at_end[3] / at_end[2])) if at_end.all() else 1.0
    # each order of a pole that is left grows by exp(2) per unit of s
    order = 1.0 + round(max(np.log(growth), 0) / 2)
    coef, error = chebyshev.interpolate(lambda s: function(s, order), TOLERANCE, ends=ends)
    leaves = (coef, np.asarray(bounds), np.float64(order), np.asarray(ends), np.float64(error))
    return Multiplier(*map(leaf, leaves))


def mean_log(multiplier: Multiplier) -> tuple[np.ndarray, float]:
    """Integrate m' to q.

    Let f be the series of m'. Since d rho / d s = (b - a) p / 2,

        dq/ds = -f p^(1 - order) / 2

    Where the poles are simple, this is -f / 2, and the integral of the series is exact. Where an
    eigenvalue at a bound is defective, dq/ds is expanded in a series of its own first.

    Parameters
    ----------
    multiplier : Multiplier
        m'.

    Returns
    -------
    coef : numpy.ndarray, shape (K,)
        q as Chebyshev coefficients in the logit variable between the ends of m'.
    error : float
        A bound on the error of q.

    Raises
    ------
    WeightsError
        Where m' is not smooth enough for an error below 1e-4, or below a millionth of the largest
        q.
    """
    low, high = np.asarray(multiplier.ends)
    coef, error = -0.5 * np.asarray(multiplier.coef), 0.5 * float(multiplier.error)
    beyond = float(multiplier.order) - 1
    if beyond:

        def slope(s: np.ndarray) -> np.ndarray:
            t = (2 * s - (low + high)) / (high - low)
            f = np.polynomial.chebyshev.chebval(t, coef)
            values: np.ndarray = f * np.cosh(s) ** (2 * beyond)
            return values

        steepest = np.abs(slope(np.array([low, high]))).max()
        amplified = error * np.cosh(max(-low, high)) ** (2 * beyond)
        coef, own = chebyshev.interpolate(slope, TOLERANCE * max(steepest, 1.0), ends=(low, high))
        error = amplified + own
    integral = np.polynomial.chebyshev.chebint(coef, scl=0.5 * (high - low))
    a, b = np.asarray(multiplier.bounds)
    # q(0) = 0; where the range leaves rho = 0 out, q starts at the nearer end
    zero = np.clip((np.log(-a / b) - (low + high)) / (high - low), -1, 1)
    integral[0] -= np.polynomial.chebyshev.chebval(zero, integral)
    integral, tail = chebyshev.trim(integral, TOLERANCE / 100)
    bound = error * (high - low) + tail
    largest = np.abs(np.polynomial.chebyshev.chebval(np.array([-1.0, 1.0]), integral)).max()
    if not bound <= max(ROUGH, 1e-6 * largest):
        raise WeightsError(
            f"The mean row sum of (I - rho W)^-1 is not smooth on ({a:.6g}, {b:.6g}): an eigenvalue"
            " of W comes close to 1/rho inside. Give narrower bounds."
        )
    return integral, float(bound)


def _mean_resolvent(matrix: sparse.csr_array) -> Callable[[float], float]:
    """The function rho -> iota'(I - rho W)^-1 W iota / N.

    It comes from the eigenvalues of a dense W similar to a symmetric matrix, and from a sparse
    factorisation for each rho of any other.
    """
    n = matrix.shape[0]
    d = (
        spectrum.symmetrizer(matrix)
        if n <= spectrum.DENSE_LIMIT and matrix.nnz > DENSE * n * n
        else None
    )
    if d is not None:  # W = D^-1/2 V diag(omega) V' D^1/2
        values, vectors = scipy.linalg.eigh(spectrum.symmetrize(matrix).toarray())
        weights = (vectors.T @ (1 / np.sqrt(d))) * (vectors.T @ np.sqrt(d)) * values / n
        return lambda rho: float(np.sum(weights / (1 - rho * values)))
    order, row_sums = elimination_order(matrix), matrix.sum(axis=1)
    return lambda rho: float(factorise(matrix, rho, order=order).solve(row_sums).mean())
