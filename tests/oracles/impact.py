"""Direct, indirect and total impacts from the dense matrix S^-1 (beta I + theta W). LeSage & Pace
(2009, ch. 2).
"""

import numpy as np
from oracles.transform import split


def effects_matrices(beta, theta, rho, W):
    """One N x N matrix of partial derivatives dy/dx_j' for each regressor j."""
    inverse = np.linalg.inv(np.eye(len(W)) - rho * W)
    return [inverse @ (b * np.eye(len(W)) + t * W) for b, t in zip(beta, theta, strict=True)]


def impacts(beta, theta, rho, W):
    """(k, 3): direct (mean diagonal), indirect, total (mean row sum)."""
    out = []
    for P in effects_matrices(beta, theta, rho, W):
        direct, total = np.trace(P) / len(W), P.sum() / len(W)
        out.append([direct, total - direct, total])
    return np.array(out)


def unit_impacts(beta, theta, rho, W):
    """(k, 3, N): diagonal, row sums (to a unit), column sums (from a unit)."""
    return np.array(
        [[np.diag(P), P.sum(axis=1), P.sum(axis=0)] for P in effects_matrices(beta, theta, rho, W)]
    )


def impacts_map(p, rho, k):
    """(3 k, p): impacts are linear in the coefficients b of p.X at a given rho; row 3 j + (0, 1, 2)
    is regressor j's.
    """
    return np.column_stack(
        [impacts(*split(p, row, k), rho, p.raw_W).ravel() for row in np.eye(p.X.shape[1])]
    )


def impacts_se(p, fit, k, which="observed"):
    """(k, 3) delta-method standard errors of the impacts at an ml() fit, the Jacobian by complex
    steps through the dense inverse.
    """
    size = len(fit["b"]) + p.has_rho
    cov = fit["cov_" + which][:size, :size]

    def f(v):
        return impacts(*split(p, v[: len(fit["b"])], k), v[-1] if p.has_rho else 0.0, p.raw_W)

    at, step = np.append(fit["b"], fit["rho"])[:size].astype(complex), 1e-30
    J = np.array([f(at + 1j * step * np.eye(size)[i]).imag / step for i in range(size)])
    return np.sqrt(np.einsum("iab,ij,jab->ab", J, cov, J))
