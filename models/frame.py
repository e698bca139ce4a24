"""Coordinates in which a regression is well conditioned.

They work whatever the scales, the means and the near-collinearity of its columns are:

    S_lam D = Q T
    b_y     = T^-1 Q'S_lam y
    b_wy    = T^-1 Q'S_lam W y
    gamma   = T (beta - b_y + rho b_wy)

In these coordinates the same likelihood has the orthonormal regressors Q in place of D, and the
residuals of y and W y on them in place of y and W y. A covariance of gamma is turned into one of
beta by triangular solves, so that the condition number of D enters it once. Inverting an
information matrix of beta would square it.
"""

from typing import NamedTuple

import jax
import numpy as np
from scipy.linalg import solve_triangular

from spillover.kernels.arrays import leaf
from spillover.kernels.moments import Moments
from spillover.models.likelihood import Likelihood


class Frame(NamedTuple):
    """The map between beta and gamma: beta = T^-1 (gamma + T b_y - rho T b_wy).

    `triangle`: T, (k, k). `level`, `slope`: T b_y and T b_wy, (k,); `slope` is None without rho.
    """

    triangle: np.ndarray
    level: np.ndarray
    slope: np.ndarray | None


def whiten(
    likelihood: Likelihood, lam: float | None = None, weight: float | None = None
) -> tuple[Likelihood, Frame]:
    """The likelihood in a frame made for one lam and one weight w of the means, and the frame.

    By default for lam = 0 and w = 1: at another lam, S_lam D is then conditioned as S_lam is.
    """
    own, between = likelihood.moments, likelihood.between
    k = own.d.shape[1]
    rows = _filter_columns(own, 0.0 if lam is None else lam)
    if between is not None:
        means = _filter_columns(between, 0.0 if lam is None else lam)
        rows = np.vstack([rows, (1.0 if weight is None else weight) * means])
    factor = np.asarray(np.linalg.qr(rows, mode="r"))
    slope = None if own.wy is None else factor[:k, k + 1]
    frame = Frame(factor[:k, :k], factor[:k, k], slope)
    moved = likelihood._replace(
        moments=_move(own, frame), between=None if between is None else _move(between, frame)
    )
    return moved, frame


def _filter_columns(moments: Moments, lam: float) -> np.ndarray:
    """S_lam D, S_lam y and, where the model has rho, S_lam W y, side by side."""

    def apply(base: jax.Array, part: jax.Array | None) -> np.ndarray:
        return np.asarray(base) if part is None else np.asarray(base) - lam * np.asarray(part)

    columns = [apply(moments.d, moments.md), apply(moments.y, moments.my)]
    if moments.wy is not None:
        columns.append(apply(moments.wy, moments.mwy))
    return np.column_stack(columns)


def _move(moments: Moments, frame: Frame) -> Moments:
    """The columns in the frame.

        D, y, W y        become    D T^-1, y - D b_y, W y - D b_wy
        M D, M y, M W y  become    M times these, in turn

    Columns that the model lacks stay None.
    """
    d = transform_columns(frame, np.asarray(moments.d))
    md = None if moments.md is None else transform_columns(frame, np.asarray(moments.md))

    def subtract(
        values: jax.Array | None, columns: np.ndarray | None, shift: np.ndarray | None
    ) -> jax.Array | None:
        if values is None or columns is None or shift is None:
            return None
        return leaf(np.asarray(values) - columns @ shift)

    return Moments(
        d=leaf(d),
        md=None if md is None else leaf(md),
        y=leaf(np.asarray(moments.y) - d @ frame.level),
        wy=subtract(moments.wy, d, frame.slope),
        my=subtract(moments.my, md, frame.level),
        mwy=subtract(moments.mwy, md, frame.slope),
    )


def transform_columns(frame: Frame, columns: np.ndarray) -> np.ndarray:
    """Columns of regressors, (..., k), in the frame: times T^-1."""
    flat = columns.reshape(-1, columns.shape[-1])
    return np.asarray(solve_triangular(frame.triangle, flat.T, trans="T")).T.reshape(columns.shape)


def restore_coefficients(frame: Frame, gamma: np.ndarray, rho: float | None) -> np.ndarray:
    """beta, (k,), at gamma, (k,), and rho."""
    level = gamma + frame.level
    if frame.slope is not None and rho is not None:
        level = level - rho * frame.slope
    return np.asarray(solve_triangular(frame.triangle, level))


def restore_root(frame: Frame, root: np.ndarray) -> np.ndarray:
    """A root of the covariance of (gamma, rho, ...), (p, p), as one of (beta, rho, ...)."""
    k = len(frame.triangle)
    spread = root[:k] if frame.slope is None else root[:k] - frame.slope[:, None] * root[k]
    return np.vstack([solve_triangular(frame.triangle, spread), root[k:]])
