"""Data from any model of the family, with known parameters.

y_t = S(rho)^-1 (X_t beta + W X_t theta + alpha + xi_t iota + u_t),      u_t = S_lam^-1 e_t
"""

import numpy as np
import scipy.sparse as sparse

from spillover.kernels.factor import factorise


def simulate(
    weights: sparse.csr_array,
    x: np.ndarray,
    *,
    beta: np.ndarray,
    theta: np.ndarray | None = None,
    rho: float = 0.0,
    lam: float = 0.0,
    sigma: float = 1.0,
    effects: np.ndarray | float = 0.0,
    error_weights: sparse.csr_array | None = None,
    rng: np.random.Generator,
) -> np.ndarray:
    """y, (T, N), for x: (T, N, k); beta, theta: (k,); effects: anything that broadcasts to (T, N).

    >>> import numpy as np, scipy.sparse as sparse
    >>> w = sparse.csr_array(np.array([[0, 1.0], [1.0, 0]]))
    >>> simulate(w, np.ones((1, 2, 1)), beta=np.array([2.0]), rho=0.5, sigma=0.0, rng=np.random.default_rng(0))
    array([[4., 4.]])
    """
    periods, n, _ = x.shape
    errors = sigma * rng.standard_normal((periods, n)).T
    if lam:
        m = weights if error_weights is None else error_weights
        errors = factorise(m, lam).solve(errors)
    signal = (x @ beta).T + np.broadcast_to(effects, (periods, n)).T
    if theta is not None:
        signal = signal + weights @ (x @ theta).T
    y = signal + errors
    if rho:
        y = factorise(weights, rho).solve(y)
    return y.T
