"""Coordinates in which a regression is well conditioned, whatever the scales, means and
near-collinearity of its columns.

    S_lam D = Q T,     b_y, b_wy = T^-1 Q'S_lam (y, W y),     gamma = T (beta - b_y + rho b_wy)

The same likelihood then has the orthonormal regressors Q, and what these leave of y and W y, in
place of D, y and W y. A covariance found there goes back to beta by triangular solves, so that the
condition number of D enters it once; inverting an information matrix of beta squares it.
"""

from typing import NamedTuple

import jax
import numpy as np
from scipy.linalg import solve_triangular

from spillover.kernels.arrays import leaf
from spillover.kernels.moments import Moments
from spillover.models.likelihood import Likelihood


class Frame(NamedTuple):
    """beta = triangle^-1 (gamma + level - rho slope). `triangle`: T, (k, k); `level`, `slope`: T
    b_y and T b_wy, (k,), `slope` None without rho.
    """

    triangle: np.ndarray
    level: np.ndarray
    slope: np.ndarray | None


def whiten(
    likelihood: Likelihood, lam: float | None = None, weight: float | None = None
) -> tuple[Likelihood, Frame]:
    """The likelihood in coordinates made for one (lam, w), and these. By default for lam = 0 and w
    = 1: S_lam D is then conditioned as S_lam is, at any lam.
    """
    levels = (
        [likelihood.moments]
        if likelihood.between is None
        else [likelihood.moments, likelihood.between]
    )
    shares = (1.0, 1.0 if weight is None else weight)
    k = likelihood.moments.d.shape[1]
    rows = [
        share * _columns(moments, 0.0 if lam is None else lam)
        for share, moments in zip(shares[: len(levels)], levels, strict=True)
    ]
    factor = np.asarray(np.linalg.qr(np.vstack(rows), mode="r"))
    frame = Frame(
        factor[:k, :k], factor[:k, k], None if likelihood.moments.wy is None else factor[:k, k + 1]
    )
    moved = [_move(moments, frame) for moments in levels]
    return (
        likelihood._replace(
            moments=moved[0], between=None if likelihood.between is None else moved[1]
        ),
        frame,
    )


def _columns(moments: Moments, lam: float) -> np.ndarray:
    """S_lam of D, y and, where the model has it, W y."""

    def filtered(base: jax.Array, part: jax.Array | None) -> np.ndarray:
        return np.asarray(base) if part is None else np.asarray(base) - lam * np.asarray(part)

    ends = [filtered(moments.y, moments.my)] + (
        [] if moments.wy is None else [filtered(moments.wy, moments.mwy)]
    )
    return np.column_stack([filtered(moments.d, moments.md), *ends])


def _move(moments: Moments, frame: Frame) -> Moments:
    """D T^-1 and M D T^-1 for D and M D; y - D b_y, W y - D b_wy and M times these for y, W y, M y
    and M W y.
    """
    d = transform_columns(frame, np.asarray(moments.d))
    md = None if moments.md is None else transform_columns(frame, np.asarray(moments.md))

    def less(
        values: jax.Array | None, columns: np.ndarray | None, shift: np.ndarray | None
    ) -> jax.Array | None:
        return (
            None
            if values is None or columns is None or shift is None
            else leaf(np.asarray(values) - columns @ shift)
        )

    return Moments(
        d=leaf(d),
        md=None if md is None else leaf(md),
        y=leaf(np.asarray(moments.y) - d @ frame.level),
        wy=less(moments.wy, d, frame.slope),
        my=less(moments.my, md, frame.level),
        mwy=less(moments.mwy, md, frame.slope),
    )


def transform_columns(frame: Frame, columns: np.ndarray) -> np.ndarray:
    """Columns of regressors, (..., k), in the frame: times T^-1."""
    flat = columns.reshape(-1, columns.shape[-1])
    return solve_triangular(frame.triangle, flat.T, trans="T").T.reshape(columns.shape)


def restore_coefficients(frame: Frame, gamma: np.ndarray, rho: float | None) -> np.ndarray:
    """beta at gamma and rho."""
    level = gamma + frame.level
    return solve_triangular(
        frame.triangle, level if frame.slope is None else level - rho * frame.slope
    )


def restore_root(frame: Frame, root: np.ndarray) -> np.ndarray:
    """A root of the covariance of (gamma, rho, ...), (p, p), as one of (beta, rho, ...)."""
    k = len(frame.triangle)
    spread = root[:k] if frame.slope is None else root[:k] - frame.slope[:, None] * root[k]
    return np.vstack([solve_triangular(frame.triangle, spread), root[k:]])
