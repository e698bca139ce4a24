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
import scipy.sparse.linalg
from jax.typing import ArrayLike

from spillover.kernels import chebyshev, spectrum

TOLERANCE = 1e-10
DENSE = 0.05  # share of non-zero entries from which one eigendecomposition is cheaper than a sparse factorisation a node


class Multiplier(NamedTuple):
    """m'(rho) times (rho - a)(b - rho), which takes out the poles at both bounds, as a series in the logit variable; `bounds`: (2,)."""

    coef: jax.Array
    bounds: jax.Array

    def __call__(self, rho: ArrayLike) -> jax.Array:
        """m'(rho), for rho of any shape inside the bounds."""
        rho = jnp.asarray(rho)
        a, b = self.bounds
        smooth = chebyshev.evaluate(chebyshev.Series(self.coef), chebyshev.to_s(rho, self.bounds))
        return smooth / ((rho - a) * (b - rho))


def build(matrix: sparse.csr_array, bounds: tuple[float, float]) -> Multiplier:
    """m'(rho) by solves at Chebyshev nodes."""
    mean = _mean_resolvent(matrix)
    a, b = bounds

    def function(s: np.ndarray) -> np.ndarray:
        rho = np.asarray(chebyshev.to_rho(s, np.asarray(bounds)))
        return np.array([mean(value) for value in rho]) * (rho - a) * (b - rho)

    coef, _ = chebyshev.interpolate(function, TOLERANCE)
    return Multiplier(jnp.asarray(coef), jnp.asarray(np.asarray(bounds)))


def _mean_resolvent(matrix: sparse.csr_array) -> Callable[[float], float]:
    """rho -> iota'(I - rho W)^-1 W iota / N."""
    n = matrix.shape[0]
    d = spectrum.symmetrizer(matrix) if n <= spectrum.DENSE_LIMIT and matrix.nnz > DENSE * n * n else None
    if d is not None:  # W = D^-1/2 V diag(omega) V' D^1/2
        values, vectors = scipy.linalg.eigh(spectrum.symmetrized(matrix).toarray())
        weights = (vectors.T @ (1 / np.sqrt(d))) * (vectors.T @ np.sqrt(d)) * values / n
        return lambda rho: float(np.sum(weights / (1 - rho * values)))
    identity, row_sums = sparse.eye_array(n, format="csc"), matrix.sum(axis=1)
    columns = matrix.tocsc()
    return lambda rho: float(scipy.sparse.linalg.splu(sparse.csc_array(identity - rho * columns)).solve(row_sums).mean())
