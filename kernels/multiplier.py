"""The mean row sum of (I - rho W)^-1 W, which total impacts need where the rows of W do not all sum to one.

m'(rho) = iota' (I - rho W)^-1 W iota / N,      m(rho) = iota' (I - rho W)^-1 iota / N = 1 + rho m'(rho)
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.linalg
import scipy.sparse as sparse
from jax.typing import ArrayLike

from spillover.kernels import chebyshev, spectrum
from spillover.kernels.factor import factorise
from spillover.kernels.leaf import leaf
from spillover.kernels.ordering import elimination_order

TOLERANCE = 1e-9  # noise of the solves next to a pole is a tenth of it
DENSE = 0.05  # share of non-zero entries from which one eigendecomposition is cheaper than a sparse factorisation a node


class Multiplier(NamedTuple):
    """m'(rho) (b - a) p^order as a series in the logit variable between its `ends`: (2,). p = 4 (rho - a)(b - rho) / (b - a)^2 takes
    out the poles at the bounds, simple ones unless an extreme eigenvalue is defective. `bounds`: (2,)."""

    coef: jax.Array
    bounds: jax.Array
    order: jax.Array
    ends: jax.Array

    def __call__(self, rho: ArrayLike) -> jax.Array:
        """m'(rho), for rho of any shape inside the bounds."""
        rho = jnp.asarray(rho)
        a, b = self.bounds
        smooth = chebyshev.evaluate(chebyshev.Series(self.coef, self.ends), chebyshev.to_s(rho, self.bounds))
        return smooth / (b - a) / (4 * (rho - a) * (b - rho) / (b - a) ** 2) ** self.order


def build(matrix: sparse.csr_array, bounds: tuple[float, float], ends: tuple[float, float] = chebyshev.FULL) -> Multiplier:
    """m'(rho) by solves at Chebyshev nodes of the logit variable between `ends`, with as many poles taken out as it has."""
    mean = _mean_resolvent(matrix)
    a, b = bounds
    low, high = ends

    def function(s: np.ndarray, order: float = 1.0) -> np.ndarray:
        rho = np.asarray(chebyshev.to_rho(s, np.asarray(bounds)))
        return np.array([mean(value) for value in rho]) * (b - a) / np.cosh(s) ** (2 * order)

    at_end = function(np.array([low, low + 1, high - 1, high]))
    growth = max(abs(at_end[0] / at_end[1]), abs(at_end[3] / at_end[2])) if at_end.all() else 1.0
    order = 1.0 + round(max(np.log(growth), 0) / 2)  # each pole left over grows by exp(2) over a unit of s
    coef, _ = chebyshev.interpolate(lambda s: function(s, order), TOLERANCE, ends=ends)
    leaves = (coef, np.asarray(bounds), np.float64(order), np.asarray(ends))
    return Multiplier(*map(leaf, leaves))


def _mean_resolvent(matrix: sparse.csr_array) -> Callable[[float], float]:
    """rho -> iota'(I - rho W)^-1 W iota / N."""
    n = matrix.shape[0]
    d = spectrum.symmetrizer(matrix) if n <= spectrum.DENSE_LIMIT and matrix.nnz > DENSE * n * n else None
    if d is not None:  # W = D^-1/2 V diag(omega) V' D^1/2
        values, vectors = scipy.linalg.eigh(spectrum.symmetrized(matrix).toarray())
        weights = (vectors.T @ (1 / np.sqrt(d))) * (vectors.T @ np.sqrt(d)) * values / n
        return lambda rho: float(np.sum(weights / (1 - rho * values)))
    order, row_sums = elimination_order(matrix), matrix.sum(axis=1)
    return lambda rho: float(factorise(matrix, rho, order=order).solve(row_sums).mean())
