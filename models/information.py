"""Information matrices of the Gaussian spatial models: the curvature of the log-likelihood,
observed or expected.

Parameters in the order (beta, rho, lam, sigma_alpha, sigma^2), those between beta and sigma^2 where
the model has them.
"""

from functools import partial

import jax
import numpy as np
import scipy.linalg
import scipy.sparse as sparse

from spillover.kernels.demean import demean
from spillover.models.effects import Transformation
from spillover.models.frame import Frame, restore_root, transform_columns
from spillover.models.likelihood import ONCE, Likelihood, log_likelihood, name_dependence


def unpack(likelihood: Likelihood, vector: jax.Array | np.ndarray) -> tuple:
    """(beta, rho, lam, sigma^2) of a vector of parameters, and sigma_alpha where there is one."""
    k = likelihood.moments.d.shape[1]
    if likelihood.between is None:
        return (vector[:k], *name_dependence(likelihood, tuple(vector[k:-1])), vector[-1])
    return (vector[:k], *name_dependence(likelihood, tuple(vector[k:-2])), vector[-1], vector[-2])


@partial(jax.jit, compiler_options=ONCE)
def observed_information(likelihood: Likelihood, vector: jax.Array) -> jax.Array:
    """Minus the Hessian of the log-likelihood, by automatic differentiation."""
    return -jax.hessian(lambda v: log_likelihood(likelihood, *unpack(likelihood, v)))(vector)


@jax.jit
def score(likelihood: Likelihood, vector: jax.Array) -> jax.Array:
    """The gradient of the log-likelihood."""
    return jax.grad(lambda v: log_likelihood(likelihood, *unpack(likelihood, v)))(vector)


def expected_information(
    columns: np.ndarray,
    effects: Transformation,
    weights: sparse.csr_array,
    error_weights: sparse.csr_array,
    estimates: tuple,
    frame: Frame | None = None,
) -> np.ndarray:
    """The expected information; with G = W S^-1 and H = M S_lam^-1 on what the effects leave, G~ =
    S_lam G S_lam^-1, A = S_lam D:

        I(beta, beta) = A'A / s2                  I(rho, beta) = (S_lam G D beta)'A / s2 I(rho, rho)
        = J tr(G~G~ + G~'G~) + |S_lam G D beta|^2 / s2 I(rho, lam) = J tr(G~H + G~'H)
        I(lam, lam) = J tr(HH + H'H) I(rho, s2) = J tr(G) / s2                 I(lam, s2) = J tr(H)
        / s2            I(s2, s2) = nu / (2 s2^2)

    columns: (T, N, k), lagged where the model has lags, not demeaned; estimates: (beta, rho, lam,
    sigma^2). With a `frame` it is that of gamma in the place of beta: D is D T^-1, and S_lam (G D
    beta - D b_wy) takes the place of S_lam G D beta. Dense in N. Ord (1975); Lee & Yu (2010).
    """
    beta, rho, lam, sigma2 = estimates
    n, k = columns.shape[1], columns.shape[2]
    basis = _contrasts(n) if effects.contrasts else np.eye(n)
    w, m = (basis.T @ matrix.toarray() @ basis for matrix in (weights, error_weights))
    s_lam = (identity := np.eye(len(w))) - (lam or 0.0) * m
    inside, beta, slope = _placed(_within(columns, effects), beta, frame)
    reached = np.einsum("nr,tnk->trk", basis, inside)
    spill, spill_lam = (
        np.linalg.solve((identity - (value or 0.0) * x).T, x.T).T
        for value, x in ((rho, w), (lam, m))
    )
    similar = np.linalg.solve(s_lam.T, (s_lam @ spill).T).T
    filtered = _left(s_lam @ reached, effects).reshape(-1, k)
    shifted = _left(
        s_lam @ (spill @ (reached @ beta)[:, :, None] - (reached @ slope)[:, :, None]), effects
    ).reshape(-1)
    j = effects.multiplicity
    info = np.zeros((k + 3, k + 3))
    info[:k, :k] = filtered.T @ filtered / sigma2
    info[k, :k] = filtered.T @ shifted / sigma2
    info[k, k] = j * _pair(similar, similar) + shifted @ shifted / sigma2
    info[k + 1, k] = j * _pair(similar, spill_lam)
    info[k + 1, k + 1] = j * _pair(spill_lam, spill_lam)
    info[k + 2, k] = j * np.trace(spill) / sigma2
    info[k + 2, k + 1] = j * np.trace(spill_lam) / sigma2
    info[k + 2, k + 2] = effects.nu / (2 * sigma2**2)
    info = np.tril(info) + np.tril(info, -1).T
    kept = [
        *range(k),
        *([k] if rho is not None else []),
        *([k + 1] if lam is not None else []),
        k + 2,
    ]
    return info[np.ix_(kept, kept)]


def covariance_root(information: np.ndarray, frame: Frame) -> np.ndarray:
    """A root C of the covariance of (beta, rho, lam, sigma_alpha, sigma^2), C C', by an information
    matrix in a frame.

    numpy.linalg.LinAlgError where the information is not positive definite.
    """
    diagonal = np.diag(information)
    # what is not positive the factorisation finds
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    lower = np.linalg.cholesky(information / np.outer(scale, scale))
    inverse = scipy.linalg.solve_triangular(lower, np.diag(1 / scale), lower=True)
    return restore_root(frame, inverse.T)


def _placed(
    columns: np.ndarray, beta: np.ndarray, frame: Frame | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """D, the coefficients that make D beta of it, and b_wy, in a frame; D, beta and zeros without
    one.
    """
    if frame is None:
        return columns, beta, np.zeros(len(beta))
    return (
        transform_columns(frame, columns),
        frame.triangle @ beta,
        np.zeros(len(beta)) if frame.slope is None else frame.slope,
    )


def _within(columns: np.ndarray, effects: Transformation) -> np.ndarray:
    return demean(columns, over_periods=effects.over_periods, over_units=effects.over_units)


def _left(columns: np.ndarray, effects: Transformation) -> np.ndarray:
    """What period dummies leave of filtered columns, where W comes before demeaning and no basis of
    contrasts has removed them yet.
    """
    return (
        columns - columns.mean(axis=1, keepdims=True)
        if effects.lag_first and effects.over_units and not effects.contrasts
        else columns
    )


def _pair(a: np.ndarray, b: np.ndarray) -> float:
    """tr(AB + A'B)."""
    return float(np.sum(a.T * b) + np.sum(a * b))


def _contrasts(n: int) -> np.ndarray:
    """An orthonormal basis of the contrasts between n units, (n, n - 1): Helmert's."""
    return scipy.linalg.helmert(n).T
