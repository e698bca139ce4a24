"""A stochastic l(rho) made exact where a posterior lies, by a few factorisations there.

The error of the pilot is sum_j w_j(rho) e_j, with w_j(rho) = d l / d m_j known and e_j the errors
of its traces m_j, whose covariance the probes tell. Given exact l at a few rho in the window, the
expectation of e corrects the traces (kriging): l stays one smooth function, in the window
interpolated by the w_j, outside the pilot less the part of its error that the window tells.
Elsewhere on the side of the window that is most of it. docs/numerics.md 4.2.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sparse

from spillover.kernels import factor, logit, stochastic_logdet
from spillover.kernels.errors import WeightsError
from spillover.kernels.laps import Laps
from spillover.kernels.structure import Structure

WIDTH = 10  # standard deviations on either side
LEAST, MOST = 4, 12  # factorisations
CANDIDATES = 201  # for a node
# share of the covariance told by the residuals, of few probes; the rest is the variances alone, of
# full rank
MIXED = 0.95
TOLERANCE = (1e-7, 1e-12)  # of l: at least, and by unit
ROUNDING = 1e-2  # of the tolerance, the error that factorisations are thought to have


class LocalResult(NamedTuple):
    """l(rho) as in `sparse_logdet.NodeResult`, exact on `window`.

    `error`: on the window, the larger of the last test and of the standard error that is left, and
    what the series leaves out; `expansion`: for `stochastic_logdet.standard_errors` and
    `stochastic_logdet.mode_shift` inside and outside.
    """

    coef: np.ndarray
    ends: tuple[float, float]
    bounds: tuple[float, float]
    error: float
    nodes: int
    nnz: int
    seconds: dict[str, float]
    how: str
    window: tuple[float, float]
    expansion: stochastic_logdet.Expansion


def refine(
    matrix: sparse.csr_array | Structure,
    pilot: stochastic_logdet.StochasticResult,
    centre: float,
    sd: float,
    *,
    tolerance: float | None = None,
    memory: float | None = None,
) -> LocalResult:
    """The pilot with exact l on centre +- 10 sd, cut at the ends of the pilot, by about six
    factorisations of I - rho W.

    `matrix`: the W of the pilot, or its structure; `centre`, `sd`: of the posterior of rho by the
    pilot; `tolerance`: of l on the window, by default max(1e-7, 1e-12 n); `memory`: in bytes, by
    default half of what is free.

    Outside the window `stochastic_logdet.standard_errors` tells the error that is left, and may
    understate it by a third. A result may miss the tolerance: `error` tells. Raises WeightsError
    for a centre the pilot does not cover, a sd that is not positive, and factors that do not fit
    into memory.

    >>> angle = 2 * np.pi * np.arange(101) / 101
    >>> ring = sparse.csr_array(
    ...     sparse.diags_array([0.5, 0.5, 0.5, 0.5], offsets=[-100, -1, 1, 100], shape=(101, 101))
    ... )
    >>> result = refine(ring, stochastic_logdet.stochastic_logdet(ring), 0.5, 0.02)
    >>> found = stochastic_logdet.value(result.expansion, np.array([0.4, 0.6]))
    >>> bool(
    ...     np.allclose(
    ...         found,
    ...         [np.log(1 - rho * np.cos(angle)).sum() for rho in (0.4, 0.6)],
    ...         rtol=0,
    ...         atol=1e-7,
    ...     )
    ... )
    True
    """
    lap = Laps()
    window = _window(pilot, centre, sd)
    structure = matrix if isinstance(matrix, Structure) else stochastic_logdet.prepare(matrix)
    lap("structure")
    prepared = structure.pencil()
    lap("ordering")
    how, build = next(iter(factor.routines(prepared).items()))
    tolerance = (
        max(TOLERANCE[0], TOLERANCE[1] * pilot.expansion.size) if tolerance is None else tolerance
    )
    expansion, error, count, stored = _search(
        pilot.expansion, build(prepared), window, tolerance, memory
    )
    lap("factors")
    interval = logit.to_rho(np.array(pilot.ends), pilot.bounds)
    coef, ends = stochastic_logdet.series(
        expansion, pilot.bounds, (float(interval[0]), float(interval[1]))
    )
    lap("series")
    error += stochastic_logdet.TAIL * float(np.abs(coef).max())
    return LocalResult(
        coef, ends, pilot.bounds, error, count, stored, lap.seconds, how, window, expansion
    )


def _window(
    pilot: stochastic_logdet.StochasticResult, centre: float, sd: float
) -> tuple[float, float]:
    low, high = logit.to_rho(np.array(pilot.ends), pilot.bounds)
    if not low < centre < high:
        raise WeightsError(
            f"centre={centre:.6g} lies outside ({low:.6g}, {high:.6g}), which the pilot covers:"
            " give it another interval."
        )
    if not 0 < sd < np.inf:
        raise WeightsError(
            f"sd={sd:.6g}: the standard deviation of rho is needed, a positive number."
        )
    return max(float(low), centre - WIDTH * sd), min(float(high), centre + WIDTH * sd)


def _search(
    pilot: stochastic_logdet.Expansion,
    evaluate: factor.Evaluate,
    window: tuple[float, float],
    tolerance: float,
    memory: float | None,
) -> tuple[stochastic_logdet.Expansion, float, int, int]:
    """The corrected expansion, its error, the factorisations, and nnz(L + U). Each node is where
    the error left is largest, and first tests the expansion without it.
    """
    rho = 0.5 * (window[0] + window[1]) - 0.5 * (window[1] - window[0]) * np.cos(
        np.linspace(0, np.pi, CANDIDATES)
    )
    expansion, at, exact, error, stored = pilot, np.zeros(0), np.zeros(0), np.inf, 0
    for count in range(1, MOST + 1):
        left = stochastic_logdet.standard_errors(expansion, rho)[0]
        node = rho[np.argmax(np.where(np.isin(rho, at), -1.0, left))]
        found = evaluate(float(node))
        if not found.sign > 0:
            raise WeightsError(
                f"det(I - rho W) is not positive at rho = {node:.6g}, or between it and 0: narrow"
                " the bounds of the pilot."
            )
        if found.stored:
            stored = found.stored
            factor.workers(stored, 1, memory)
        test = abs(found.log - float(stochastic_logdet.value(expansion, np.array([node]))[0]))
        at, exact = np.append(at, node), np.append(exact, found.log)
        expansion = correct(pilot, at, exact, ROUNDING * tolerance)
        error = max(test, float(stochastic_logdet.standard_errors(expansion, rho)[0].max()))
        if count >= LEAST and error < tolerance:
            break
    return expansion, error, len(at), stored


def correct(
    pilot: stochastic_logdet.Expansion, rho: np.ndarray, exact: np.ndarray, rounding: float
) -> stochastic_logdet.Expansion:
    """The expansion with the expected traces given l(rho) = exact up to `rounding`, and the
    covariance that is left of their errors.

    With A A' the covariance of the errors e = A u and F = w(rho)' A: E u = F'(F F' + rounding^2
    I)^-1 (exact - l).
    """
    own = np.sqrt(1 - MIXED) * np.diag(np.linalg.norm(pilot.noise, axis=0))
    root = np.hstack([np.sqrt(MIXED) * pilot.noise.T, own])
    u, s, v = np.linalg.svd(stochastic_logdet.weights(pilot, rho) @ root, full_matrices=False)
    gain = np.divide(s, s**2 + rounding**2, out=np.zeros_like(s), where=s > 0)
    shift = root @ (v.T @ (gain * (u.T @ (exact - stochastic_logdet.value(pilot, rho)))))
    left = root - (root @ v.T) * (gain * s) @ v
    return pilot._replace(moments=pilot.moments + shift, noise=left.T)
