"""The search for the mass and the peaks of a density of up to three logit variables.

A grid zooms in on the mass; Newton's method then finds the peaks.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike

from spillover.kernels.chebyshev import END
from spillover.kernels.errors import ConvergenceError

Derivatives = tuple[ArrayLike, ArrayLike, ArrayLike]  # value, gradient (p,), Hessian (p, p)

POINTS = {1: 257, 2: 65, 3: 33}  # along each side of the grid, by the number of variables
DEPTH = 18.0  # log units below the top that still count as mass: exp(-18) = 1.5e-8
MOST = 12  # zooms; each shrinks a side up to 30-fold


class Mass(NamedTuple):
    """A density on the points of a grid.

    `points`: (m, p). `value`: the log-density there, (m,). `weight`: the density normalised to sum
    to one, (m,). `peaks`: positions of the local maxima among the points, the highest first.
    """

    points: np.ndarray
    value: np.ndarray
    weight: np.ndarray
    peaks: np.ndarray

    @property
    def inside(self) -> np.ndarray:
        """The points that carry mass."""
        carry = self.value > self.value.max() - DEPTH
        return np.asarray(self.points[carry])


def explore(
    density: Callable[[np.ndarray], jax.Array],
    dimensions: int,
    reach: Sequence[float] | None = None,
) -> Mass:
    """Find a grid over the part of the logit range that carries the mass of a density.

    Parameters
    ----------
    density : callable
        From logit variables, (m, p), to log-densities, (m,).
    dimensions : int
        p, at most 3.
    reach : sequence of float, optional
        How far the first grid extends from 0 in each variable, in both directions. By default it
        covers the admissible interval except 1e-6 of it at either end.

    Raises
    ------
    ConvergenceError
        Where no point of a grid has a finite log-density.
    """
    if dimensions == 0:
        none = np.zeros((1, 0))
        return Mass(none, np.asarray(density(none)), np.ones(1), np.zeros(1, int))
    high = np.full(dimensions, END) if reach is None else np.array(reach, float)
    low = -high
    for _ in range(MOST):
        axes = [np.linspace(*ends, POINTS[dimensions]) for ends in zip(low, high, strict=True)]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, dimensions)
        value = np.asarray(density(points))
        value = np.where(np.isfinite(value), value, -np.inf)
        if not np.isfinite(value).any():
            raise ConvergenceError(
                "No rho or lam has a density that 64-bit floats hold: look for a prior that allows"
                " next to nothing, and at the units of the data."
            )
        inside = points[value > value.max() - DEPTH]
        spacing = (high - low) / (POINTS[dimensions] - 1)
        closer = (
            np.maximum(inside.min(axis=0) - spacing, low),
            np.minimum(inside.max(axis=0) + spacing, high),
        )
        # stop when no side shrinks any more: one may go on long after the others
        if np.min((closer[1] - closer[0]) / (high - low)) > 0.5:
            break
        low, high = closer
    weight = np.exp(value - value.max())
    return Mass(
        points,
        value,
        weight / weight.sum(),
        _local_maxima(value.reshape([POINTS[dimensions]] * dimensions)),
    )


def _local_maxima(grid: np.ndarray) -> np.ndarray:
    """Flat positions of the points not below any neighbour, the highest first."""
    padded = np.pad(grid, 1, constant_values=-np.inf)
    best = np.full(grid.shape, -np.inf)
    for offset in np.ndindex(*[3] * grid.ndim):
        window = tuple(slice(o, o + length) for o, length in zip(offset, grid.shape, strict=True))
        if set(offset) != {1}:
            best = np.maximum(best, padded[window])
    peaks = np.flatnonzero((grid >= best).ravel() & np.isfinite(grid.ravel()))
    return peaks[np.argsort(-grid.ravel()[peaks])]


def centre_and_scale(mass: Mass) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the mass, (p,) each, the latter at least a grid step."""
    centre = mass.weight @ mass.points
    spread = np.sqrt(mass.weight @ (mass.points - centre) ** 2)
    dimensions = mass.points.shape[1]
    side = round(len(mass.points) ** (1 / max(dimensions, 1)))
    step = np.ptp(mass.points, axis=0) / max(side - 1, 1)
    return centre, np.maximum(spread, step)


def centre_and_root(mass: Mass) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the mass, (p,), and the Cholesky root of its covariance, (p, p)."""
    centre = mass.weight @ mass.points
    apart = mass.points - centre
    return centre, np.linalg.cholesky(apart.T @ (mass.weight[:, None] * apart))


def newton(
    derivatives: Callable[[np.ndarray], Derivatives],
    start: np.ndarray,
    reach: float,
    steps: int = 50,
) -> np.ndarray:
    """The local maximum near `start`, (p,), by Newton's method.

    At most `steps` steps are taken. No variable moves by more than `reach` in one of them, and each
    is halved until the density does not fall.

    `derivatives` gives value, gradient and Hessian at a point. Where the curvature is not that of a
    maximum the step follows the gradient. Variables are first scaled to equal curvature: a tight
    fit may determine rho to 1e-10 and lam hardly at all, and the rounding of the larger curvature
    would drown the smaller one in a common eigendecomposition.
    """
    point = start
    value, gradient, hessian = map(np.asarray, derivatives(point))
    for _ in range(steps):
        unit = 1 / np.sqrt(np.maximum(np.abs(np.diag(hessian)), 1e-12))
        curvature, axes = np.linalg.eigh(hessian * np.outer(unit, unit))
        step = unit * (axes @ ((axes.T @ (unit * gradient)) / np.maximum(np.abs(curvature), 1e-12)))
        step *= min(1.0, reach / max(np.abs(step).max(), 1e-300))
        new = tuple(map(np.asarray, derivatives(point + step)))
        while not new[0] >= value - 1e-13 * abs(value) and np.abs(step).max() > 1e-12:
            step /= 2
            new = tuple(map(np.asarray, derivatives(point + step)))
        point, (value, gradient, hessian) = point + step, new
        if np.abs(step).max() < 1e-11:
            break
    return point
