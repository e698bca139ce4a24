"""Information matrices: the curvature of the log-likelihood, observed or expected.

Their parameters come in the order (beta, rho, lam, sigma_alpha, sigma^2), without those that the
model lacks.
"""

from functools import partial
from typing import cast

import jax
import numpy as np
import scipy.linalg
import scipy.sparse as sparse

from spillover.kernels.demean import demean
from spillover.models.effects import Transformation
from spillover.models.frame import Frame, restore_root, transform_columns
from spillover.models.likelihood import (
    ONCE,
    Likelihood,
    Parameters,
    log_likelihood,
    name_dependence,
)


def unpack(likelihood: Likelihood, vector: jax.Array | np.ndarray) -> Parameters:
    """The parameters by name, from a vector (beta, rho, lam, sigma_alpha, sigma^2)."""
    values = cast(jax.Array, vector)  # only sliced: a NumPy array stays one
    k = likelihood.moments.d.shape[1]
    end = -1 if likelihood.between is None else -2
    spread = None if likelihood.between is None else values[-2]
    rho, lam = name_dependence(likelihood, tuple(values[k:end]))
    return Parameters(values[:k], rho, lam, values[-1], spread)


@partial(jax.jit, compiler_options=ONCE)
def observed_information(likelihood: Likelihood, vector: jax.Array) -> jax.Array:
    """Minus the Hessian of the log-likelihood, by automatic differentiation."""
    value = jax.hessian(lambda v: log_likelihood(likelihood, unpack(likelihood, v)))(vector)
    return -cast(jax.Array, value)


@jax.jit
def score(likelihood: Likelihood, vector: jax.Array) -> jax.Array:
    """The gradient of the log-likelihood."""
    value = jax.grad(lambda v: log_likelihood(likelihood, unpack(likelihood, v)))(vector)
    return cast(jax.Array, value)


def expected_information(
    columns: np.ndarray,
    effects: Transformation,
    weights: sparse.csr_array,
    error_weights: sparse.csr_array,
    estimates: Parameters,
    *,
    frame: Frame | None = None,
) -> np.ndarray:
    """The expected information of a model without random effects. Ord (1975); Lee & Yu (2010).

    With G = W S^-1 and H = M S_lam^-1 on what the effects leave, G~ = S_lam G S_lam^-1, A = S_lam D
    and J the multiplicity of the log-determinant:

        I(beta, beta) = A'A / s2
        I(rho, beta)  = (S_lam G D beta)'A / s2
        I(rho, rho)   = J tr(G~G~ + G~'G~) + |S_lam G D beta|^2 / s2
        I(rho, lam)   = J tr(G~H + G~'H)
        I(lam, lam)   = J tr(HH + H'H)
        I(rho, s2)    = J tr(G) / s2
        I(lam, s2)    = J tr(H) / s2
        I(s2, s2)     = nu / (2 s2^2)

    Parameters
    ----------
    columns : array (T, N, k)
        The regressors D, lags included where the model has them, not demeaned.
    effects : Transformation
        How the effects are removed.
    weights, error_weights : sparse array (N, N)
        W and M. Both become dense here.
    estimates : Parameters
        The parameters at which the information is computed.
    frame : Frame, optional
        Gives the information of gamma in place of beta: D T^-1 replaces D, and
        ``S_lam (G D beta - D b_wy)`` replaces ``S_lam G D beta``.

    Returns
    -------
    array (p, p)
        The information of (beta, rho, lam, sigma^2), without those that the model lacks.
    """
    rho, lam, sigma2 = estimates.rho, estimates.lam, estimates.sigma2
    n, k = columns.shape[1:]
    basis = _contrasts(n) if effects.contrasts else np.eye(n)
    w, m = (basis.T @ matrix.toarray() @ basis for matrix in (weights, error_weights))
    s_lam = (identity := np.eye(len(w))) - (lam or 0.0) * m
    within = demean(columns, over_periods=effects.over_periods, over_units=effects.over_units)
    inside, beta, slope = _enter_frame(within, np.asarray(estimates.beta), frame)
    reached = np.einsum("nr,tnk->trk", basis, inside)
    spill, spill_lam = (
        np.linalg.solve((identity - (value or 0.0) * x).T, x.T).T
        for value, x in ((rho, w), (lam, m))
    )
    similar = np.linalg.solve(s_lam.T, (s_lam @ spill).T).T
    filtered = _take_out_periods(s_lam @ reached, effects).reshape(-1, k)
    signal = spill @ (reached @ beta)[:, :, None] - (reached @ slope)[:, :, None]
    shifted = _take_out_periods(s_lam @ signal, effects).reshape(-1)
    j = effects.multiplicity
    info = np.zeros((k + 3, k + 3))
    info[:k, :k] = filtered.T @ filtered / sigma2
    info[k, :k] = filtered.T @ shifted / sigma2
    info[k, k] = j * _pair_trace(similar, similar) + shifted @ shifted / sigma2
    info[k + 1, k] = j * _pair_trace(similar, spill_lam)
    info[k + 1, k + 1] = j * _pair_trace(spill_lam, spill_lam)
    info[k + 2, k] = j * np.trace(spill) / sigma2
    info[k + 2, k + 1] = j * np.trace(spill_lam) / sigma2
    info[k + 2, k + 2] = effects.nu / (2 * sigma2**2)
    info = np.tril(info) + np.tril(info, -1).T
    there = [True] * k + [rho is not None, lam is not None, True]
    return info[np.ix_(there, there)]


def covariance_root(information: np.ndarray, frame: Frame) -> np.ndarray:
    """A root C of the covariance C C' of the estimates, from an information in a frame.

    Both are (p, p), of (beta, rho, lam, sigma_alpha, sigma^2).

    Raises
    ------
    numpy.linalg.LinAlgError
        Where the information is not positive definite.
    """
    diagonal = np.diag(information)
    # a diagonal that is not positive makes the factorisation below fail, as it should
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    lower = np.linalg.cholesky(information / np.outer(scale, scale))
    inverse = scipy.linalg.solve_triangular(lower, np.diag(1 / scale), lower=True)
    return restore_root(frame, inverse.T)


def _enter_frame(
    columns: np.ndarray, beta: np.ndarray, frame: Frame | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """In a frame D T^-1, T beta and T b_wy; without one D, beta and zeros."""
    if frame is None:
        return columns, beta, np.zeros(len(beta))
    slope = np.zeros(len(beta)) if frame.slope is None else frame.slope
    return transform_columns(frame, columns), frame.triangle @ beta, slope


def _take_out_periods(columns: np.ndarray, effects: Transformation) -> np.ndarray:
    """Filtered columns, (T, N, k), minus their means over the units where these are still there.

    They are where demeaning follows W and no basis of contrasts has removed the means before.
    """
    if effects.lag_first and effects.over_units and not effects.contrasts:
        return np.asarray(columns - columns.mean(axis=1, keepdims=True))
    return columns


def _pair_trace(a: np.ndarray, b: np.ndarray) -> float:
    """tr(AB + A'B)."""
    return float(np.sum(a.T * b) + np.sum(a * b))


def _contrasts(n: int) -> np.ndarray:
    """An orthonormal basis of the contrasts between n units, (n, n - 1): Helmert's."""
    return np.asarray(scipy.linalg.helmert(n).T)
