"""The scale of the errors, in NumPy: what the default priors are scaled to.

    s^2 = SSR(rho, lam) / (nu - k)

at the (rho, lam) that maximise

    L(rho, lam) - (nu - k)/2 log SSR(rho, lam) - 1/2 log |D_lam' D_lam| + log |d(rho, lam)/ds|

with D_lam = S_lam D. This is the posterior mode of the logit variables s of (rho, lam) under the
reference prior. Simpler scales fail. Least squares without rho and lam leaves residuals that are
many times too large where dependence is strong. Least squares with W y as a regressor leaves none
at all where W is nearly complete. And the likelihood itself, without the terms in k, may have no
maximum there.
"""

from typing import NamedTuple

import jax
import numpy as np
import scipy.linalg
from scipy.special import log_expit

from spillover.kernels.chebyshev import END
from spillover.kernels.logdet import LogDetSeries, evaluate_on_host
from spillover.kernels.logit import to_rho
from spillover.models.likelihood import Likelihood

SIDE = {1: (65, 9), 2: (33, 9)}  # points along a side of the first grid, and of the finer ones
# log units between the best point and those beside it, below which a parabola finds the mode
NEAR = {1: 1e-2, 2: 1e-5}
MOST = 60  # grids
RANK = 1e-10  # a regressor does not count when the others explain all but this share of it


class Grid(NamedTuple):
    """At every lam (rows) and rho (columns): the log `density`, up to a constant, and `ssr`."""

    density: np.ndarray
    ssr: np.ndarray


def residual_scale(likelihood: Likelihood) -> float:
    """s, the standard deviation of the errors at the mode, on nu - k degrees of freedom.

    The mode is found on finer and finer grids, and by a parabola at the end. For random effects,
    pass the moments of the contrasts over time, with their counts; `between` is ignored.
    """
    host: Likelihood = jax.tree.map(np.asarray, likelihood._replace(between=None))
    kept = _find_independent(np.asarray(host.moments.d))
    there = [host.error is not None, host.lag is not None]
    (side, later), near = SIDE[max(sum(there), 1)], NEAR[max(sum(there), 1)]
    centre, half = np.zeros(2), END
    for _ in range(MOST):
        ends = [(max(at - half, -END), min(at + half, END)) for at in centre]
        axes = [
            np.linspace(*pair, side) if has else np.zeros(1)
            for pair, has in zip(ends, there, strict=True)
        ]
        density = _grid(host, kept, *axes).density
        best = np.unravel_index(int(np.argmax(density)), density.shape)
        vertex, drop = _vertex(density, best)
        step = np.array(
            [axis[1] - axis[0] if has else 0.0 for axis, has in zip(axes, there, strict=True)]
        )
        centre = np.array([axis[i] for axis, i in zip(axes, best, strict=True)])
        on_edge = any(
            i in (0, len(axis) - 1) and abs(at) < END
            for axis, i, at, has in zip(axes, best, centre, there, strict=True)
            if has
        )
        if drop < near and not on_edge:
            break
        half, side = (half if on_edge else 1.5 * float(step.max())), later
    ssr = _grid(host, kept, *(centre + vertex * step)[:, None]).ssr[0, 0]
    return float(np.sqrt(ssr / (host.nu - len(kept))))


def _vertex(density: np.ndarray, best: tuple[np.intp, ...]) -> tuple[np.ndarray, float]:
    """The top of the parabolas through the best point of a grid and its neighbours.

    Returned in grid steps from that point, axis by axis, with the largest drop of the log density
    to a neighbour. At the edge of the grid the top is the point itself.
    """
    vertex, drop = np.zeros(2), 0.0
    for axis, i in enumerate(best):
        line = np.moveaxis(density, axis, 0)[:, best[1 - axis]]
        if not 0 < i < len(line) - 1:
            continue
        before, at, after = line[i - 1 : i + 2]
        drop = max(drop, float(at - before), float(at - after))
        curved = before - 2 * at + after
        vertex[axis] = 0.5 * (before - after) / curved if curved < 0 else 0.0
    return vertex, drop


def _find_independent(d: np.ndarray) -> np.ndarray:
    """Positions of linearly independent columns of d, (q, k).

    A column that is constant over time, for example, is zero after demeaning.
    """
    factor, order = scipy.linalg.qr(d, mode="r", pivoting=True)
    size = np.abs(np.diagonal(factor))
    rank = int((size > RANK * np.linalg.norm(d, axis=0)[order][: len(size)]).sum())
    return np.sort(order[:rank])


def _grid(host: Likelihood, kept: np.ndarray, lam_axis: np.ndarray, rho_axis: np.ndarray) -> Grid:
    """The density at every pair of logit variables.

    An axis has one point where the model lacks the parameter.
    """
    d, md, y, wy, my, mwy = host.moments
    columns = np.column_stack([d[:, kept], np.zeros_like(y) if wy is None else wy, y])[None]
    rest = np.zeros(len(lam_axis))
    if host.error is not None and md is not None and my is not None:
        lagged = np.column_stack([md[:, kept], np.zeros_like(y) if mwy is None else mwy, my])
        columns = columns - to_rho(lam_axis, np.asarray(host.error.bounds))[:, None, None] * lagged
        rest = _log_dependence(host, host.error, lam_axis)
    k = len(kept)
    factor = np.asarray(np.linalg.qr(columns, mode="r"))
    rest = rest - np.log(np.abs(np.diagonal(factor[:, :k, :k], axis1=1, axis2=2))).sum(axis=1)
    rho, own = np.zeros(1), np.zeros(1)
    if host.lag is not None:
        rho = to_rho(rho_axis, np.asarray(host.lag.bounds))
        own = _log_dependence(host, host.lag, rho_axis)
    ssr = ((factor[:, None, k:, k + 1] - rho[:, None] * factor[:, None, k:, k]) ** 2).sum(axis=2)
    return Grid(rest[:, None] + own - 0.5 * (host.nu - k) * np.log(ssr), ssr)


def _log_dependence(host: Likelihood, part: LogDetSeries, s: np.ndarray) -> np.ndarray:
    """The log-determinant plus the log slope of rho or lam, at logit variables s, (m,).

    The log-determinant of S(rho) or S_lam counts as often as in the likelihood.
    """
    logdet = np.asarray(host.multiplicity) * evaluate_on_host(part, s)
    return np.asarray(logdet + log_expit(2 * s) + log_expit(-2 * s))
