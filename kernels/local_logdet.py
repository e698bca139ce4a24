"""A stochastic l(rho) made exact where a posterior lies, by a few factorisations there.

The pilot is an estimate of l from random probes (`stochastic_logdet`). Its error is

    sum_j w_j(rho) e_j,      w_j(rho) = d l / d m_j

with known weights w_j and the errors e_j of the traces m_j, whose covariance the probes estimate.
Exact values of l at a few rho of a window then correct the traces, by the conditional expectation
of e (kriging). l stays one smooth function. Inside the window it interpolates the exact values.
Outside, the correction removes the part of the error that the errors in the window predict, which
is most of it on the same side of 0. docs/numerics.md 4.2.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sparse

from spillover.kernels import factor, logit, stochastic_logdet
from spillover.kernels.errors import WeightsError
from spillover.kernels.laps import Laps
from spillover.kernels.structure import Structure

WIDTH = 10  # standard deviations on either side of the centre of a window
LEAST, MOST = 4, 12  # factorisations, at least and at most
CANDIDATES = 201  # values of rho from which a node is chosen
# share of the covariance that comes from the residuals of the probes, which are few; the rest is
# its diagonal alone, which gives it full rank
MIXED = 0.95
TOLERANCE = (1e-7, 1e-12)  # of l: max(1e-7, 1e-12 N)
ROUNDING = 1e-2  # share of the tolerance that counts as the error of a factorisation


class LocalResult(NamedTuple):
    """l(rho) as a Chebyshev series in the logit variable, exact on a window.

    Attributes
    ----------
    coef, ends, bounds, nodes, nnz, seconds, how
        As in `sparse_logdet.NodeResult`.
    error : float
        Of l on the window: the larger of the last test and the remaining standard error, plus what
        the series leaves out.
    window : tuple of float
        The rho for which l is exact to within `error`.
    expansion : stochastic_logdet.Expansion
        The corrected traces, for `stochastic_logdet.standard_errors` and `mode_shift` inside the
        window and outside.
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
    """Make the pilot exact around a posterior, by about six factorisations of I - rho W.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (N, N), or Structure
        The W of the pilot, or its structure.
    pilot : StochasticResult
        An estimate of l.
    centre, sd : float
        Mean and standard deviation of rho in the posterior, by the pilot. The window is centre
        +- 10 sd, cut to what the pilot covers.
    tolerance : float, optional
        Tolerance of l on the window; by default max(1e-7, 1e-12 N).
    memory : float, optional
        Bytes for a factorisation; by default half of what is free.

    Returns
    -------
    LocalResult
        The corrected series, whose `error` may exceed the tolerance. Outside the window
        `stochastic_logdet.standard_errors` estimates the remaining error, and may understate it by
        a third.

    Raises
    ------
    WeightsError
        For a centre that the pilot does not cover, an sd that is not positive, and a determinant
        that is not positive.
    FactorMemoryError
        Where the factors do not fit into memory.

    Examples
    --------
    >>> angle = 2 * np.pi * np.arange(101) / 101
    >>> ring = sparse.csr_array(
    ...     sparse.diags_array([0.5, 0.5, 0.5, 0.5], offsets=[-100, -1, 1, 100], shape=(101, 101))
    ... )
    >>> result = refine(ring, stochastic_logdet.stochastic_logdet(ring), 0.5, 0.02)
    >>> value = stochastic_logdet.value(result.expansion, np.array([0.4]))[0]
    >>> bool(abs(value - np.log(1 - 0.4 * np.cos(angle)).sum()) < 1e-7)
    True
    """
    lap = Laps()
    window = _window(pilot, centre, sd)
    structure = matrix if isinstance(matrix, Structure) else stochastic_logdet.prepare(matrix)
    lap("structure")
    prepared = structure.pencil()
    lap("ordering")
    how, build = next(iter(factor.routines(prepared).items()))
    if tolerance is None:
        tolerance = max(TOLERANCE[0], TOLERANCE[1] * pilot.expansion.size)
    search = _search(pilot.expansion, build(prepared), window, tolerance, memory)
    lap("factors")
    low, high = logit.to_rho(np.array(pilot.ends), pilot.bounds)
    coef, ends = stochastic_logdet.series(search.expansion, pilot.bounds, (float(low), float(high)))
    lap("series")
    return LocalResult(
        coef=coef,
        ends=ends,
        bounds=pilot.bounds,
        error=search.error + stochastic_logdet.TAIL * float(np.abs(coef).max()),
        nodes=search.nodes,
        nnz=search.stored,
        seconds=lap.seconds,
        how=how,
        window=window,
        expansion=search.expansion,
    )


def _window(
    pilot: stochastic_logdet.StochasticResult, centre: float, sd: float
) -> tuple[float, float]:
    """The window of rho, cut to what the pilot covers."""
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


class _Search(NamedTuple):
    """The result of the search for nodes.

    `expansion`: corrected. `error`: of l on the window. `nodes`: the number of factorisations.
    `stored`: entries of L + U in one of them.
    """

    expansion: stochastic_logdet.Expansion
    error: float
    nodes: int
    stored: int


def _search(
    pilot: stochastic_logdet.Expansion,
    evaluate: factor.Evaluate,
    window: tuple[float, float],
    tolerance: float,
    memory: float | None,
) -> _Search:
    """Factor at one node after another until the tests pass.

    Each node is placed where the remaining standard error is largest. Its exact value first tests
    the expansion made without it.
    """
    rho = 0.5 * (window[0] + window[1]) - 0.5 * (window[1] - window[0]) * np.cos(
        np.linspace(0, np.pi, CANDIDATES)
    )
    expansion, at, exact, error, stored = pilot, np.zeros(0), np.zeros(0), np.inf, 0
    for count in range(1, MOST + 1):
        left, _ = stochastic_logdet.standard_errors(expansion, rho)
        node = rho[np.argmax(np.where(np.isin(rho, at), -1.0, left))]
        determinant = evaluate(float(node))
        if not determinant.sign > 0:
            raise WeightsError(
                f"det(I - rho W) is not positive at rho = {node:.6g}, or between it and 0: narrow"
                " the bounds of the pilot."
            )
        if determinant.stored:
            stored = determinant.stored
            factor.workers(stored, 1, memory)
        value = float(stochastic_logdet.value(expansion, np.array([node]))[0])
        test = abs(determinant.log - value)
        at, exact = np.append(at, node), np.append(exact, determinant.log)
        expansion = correct(pilot, at, exact, ROUNDING * tolerance)
        left, _ = stochastic_logdet.standard_errors(expansion, rho)
        error = max(test, float(left.max()))
        if count >= LEAST and error < tolerance:
            break
    return _Search(expansion, error, len(at), stored)


def correct(
    pilot: stochastic_logdet.Expansion, rho: np.ndarray, exact: np.ndarray, rounding: float
) -> stochastic_logdet.Expansion:
    """Correct the traces by exact values of l.

    Let A A' be the covariance of the errors e = A u of the traces, and F = w(rho)' A. Then

        E u = F'(F F' + rounding^2 I)^-1 (exact - l)

    Parameters
    ----------
    pilot : stochastic_logdet.Expansion
        l by estimated traces.
    rho, exact : numpy.ndarray, shape (m,)
        Where l is known, and its values.
    rounding : float
        The standard error of these values.

    Returns
    -------
    stochastic_logdet.Expansion
        The expected traces, and the remaining covariance of their errors.
    """
    own = np.sqrt(1 - MIXED) * np.diag(np.linalg.norm(pilot.noise, axis=0))
    root = np.hstack([np.sqrt(MIXED) * pilot.noise.T, own])
    u, s, v = np.linalg.svd(stochastic_logdet.weights(pilot, rho) @ root, full_matrices=False)
    gain = np.divide(s, s**2 + rounding**2, out=np.zeros_like(s), where=s > 0)
    shift = root @ (v.T @ (gain * (u.T @ (exact - stochastic_logdet.value(pilot, rho)))))
    left = root - (root @ v.T) * (gain * s) @ v
    return pilot._replace(moments=pilot.moments + shift, noise=left.T)
