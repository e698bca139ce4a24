"""l(rho) = log|I - rho W| of a sparse W as a series, from factorisations at some twenty rho.

    l(rho) = -sum_(j < k) tr(W^j) rho^j / j  +  rho^k p(x(rho))

The traces of low powers are exact. x is Jacobi's sn map of the plane slit along (-inf, a] and
[b, inf) onto an ellipse (`slits`), the map for which polynomials converge fastest. p is the
polynomial through weighted Leja points. These are nested, so that every factorisation first tests
the polynomial through the points before it. The result is expanded again in Chebyshev polynomials
of the logit variable, which the device evaluates.

Complex eigenvalues of W are singular points inside the slit plane; then the tests alone vouch for
the error: docs/mathematics.md 5, docs/numerics.md 2.1.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import scipy.sparse as sparse

from spillover.kernels import chebyshev, factor
from spillover.kernels.admissible import LANCZOS, Admissible, find_admissible
from spillover.kernels.errors import WeightsError
from spillover.kernels.laps import Laps
from spillover.kernels.logit import to_rho, to_s
from spillover.kernels.slits import SnMap, sn_map
from spillover.kernels.structure import Structure, canonicalize, examine

# shares of the interval that the series leaves out at its ends unless asked for: it covers
# (-0.96, 0.992) of (-1, 1)
LEFT, RIGHT = 2e-2, 4e-3
MOST = 60  # factorisations at most
FIRST = 4  # nodes before the first test
# tests passed in a row that end the search; of 1,152 trials 0.8 % had an error above the largest of
# these tests, by a factor of 1.4 at most
PASSES = 4
GRID = 4001  # candidates for the Leja points
SAFETY = 1.5  # times the largest of the last tests bounds the error
UNITS = 16  # rounding of rho and of the factors together, in units in the last place of rho
AT = 1e-6  # relative distance from given bounds at which the determinant is tried
TRIES = 9  # values of rho tried between a lower bound and the spectral radius
SAMPLED = 5_000  # units up to which l is sampled densely where the tests did not pass
SAMPLES = 1024  # intervals between such samples at most
CHECKS = 9  # further factorisations for larger W where the tests did not pass


class NodeResult(NamedTuple):
    """l(rho) as a Chebyshev series in the logit variable.

    Attributes
    ----------
    coef : numpy.ndarray, shape (K,)
        The coefficients.
    ends : tuple of float
        The range of the logit variable.
    bounds : tuple of float
        The bounds of rho that the logit variable belongs to.
    error : float
        A bound on the error of l: 1.5 times the largest of the last tests at a rho not used before,
        plus rounding.
    nodes : int
        The number of factorisations.
    nnz : int
        Entries of L + U; 0 from CHOLMOD, which does not report them.
    seconds : dict of str to float
        Processor time by phase.
    how : str
        The routine used: "SuperLU" or "CHOLMOD (...)".
    cautious : bool
        Whether the lower bound may be short of the lowest admissible rho.
    """

    coef: np.ndarray
    ends: tuple[float, float]
    bounds: tuple[float, float]
    error: float
    nodes: int
    nnz: int
    seconds: dict[str, float]
    how: str
    cautious: bool


def first_terms(traces: np.ndarray, rho: np.ndarray) -> np.ndarray:
    """The first terms of l around 0, -sum_j tr(W^j) rho^j / j."""
    powers = np.concatenate([[0.0], -traces / np.arange(1, len(traces) + 1)])
    terms: np.ndarray = np.polynomial.polynomial.polyval(rho, powers)
    return terms


def barycentric(nodes: np.ndarray, values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Values of the polynomial through some points, by the barycentric formula.

    Parameters
    ----------
    nodes, values : numpy.ndarray, shape (m,)
        The points.
    at : numpy.ndarray, shape (r,)
        Where to evaluate.

    Returns
    -------
    numpy.ndarray, shape (r,)
        The values.

    References
    ----------
    Berrut & Trefethen (2004).

    Examples
    --------
    >>> barycentric(np.array([-1.0, 0.0, 1.0]), np.array([1.0, 0.0, 1.0]), np.array([0.5])).tolist()
    [0.25]
    """
    # 2 is one over the capacity of [-1, 1]: with it the product neither over- nor underflows
    gaps = 2 * (nodes[:, None] - nodes)
    np.fill_diagonal(gaps, 1.0)
    distance = np.atleast_1d(at)[:, None] - nodes
    hit = distance == 0
    pull = 1 / np.where(hit, 1.0, distance) / gaps.prod(axis=1)
    result: np.ndarray = pull @ values / pull.sum(axis=1)
    rows, columns = np.nonzero(hit)
    result[rows] = values[columns]
    return result


class Effort(NamedTuple):
    """What a search may spend.

    Attributes
    ----------
    tolerance : float
        Tolerance of l.
    threads : int
        Factorisations at a time.
    memory : float or None
        Bytes that they may take together; None for half of what is free.
    """

    tolerance: float
    threads: int
    memory: float | None


def sparse_logdet(
    matrix: sparse.csr_array,
    *,
    bounds: tuple[float, float] | None = None,
    interval: tuple[float, float] | None = None,
    tolerance: float | None = None,
    threads: int = 2,
    memory: float | None = None,
) -> NodeResult:
    """Build l(rho) = log|I - rho W| for a sparse W.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (N, N)
        W, non-negative.
    bounds : tuple of float, optional
        The bounds a < 0 < b of rho; by default those of `find_admissible`.
    interval : tuple of float, optional
        The rho that the series covers; by default all between the bounds except the shares LEFT and
        RIGHT at the ends.
    tolerance : float, optional
        Tolerance of l in the tests; by default max(1e-8, 1e-12 N).
    threads : int
        Factorisations at a time.
    memory : float, optional
        Bytes that they may take together; by default half of what is free. If given, a W whose
        factors are unlikely to fit is tried all the same.

    Returns
    -------
    NodeResult
        The series, whose `error` may exceed the tolerance.

    Raises
    ------
    WeightsError
        For an acyclic W without bounds, for bounds that reach a singular I - rho W, and for an
        interval outside the bounds.
    FactorMemoryError
        Where the factors do not fit into memory, or are unlikely to.

    Examples
    --------
    >>> ring = sparse.csr_array(
    ...     sparse.diags_array([0.5, 0.5, 0.5, 0.5], offsets=[-4, -1, 1, 4], shape=(5, 5))
    ... )
    >>> result = sparse_logdet(ring, interval=(-0.9, 0.9))
    >>> result.error < 1e-8, result.nodes < 20, result.how[:7] in ("SuperLU", "CHOLMOD")
    (True, True, True)
    """
    if memory is None:
        factor.refuse_large(matrix.nnz, matrix.shape[0])
    lap = Laps()
    structure = examine(canonicalize(matrix))
    lap("structure")
    prepared = structure.pencil()
    lap("ordering")
    admissible = find_admissible(structure, bounds, prepared.order)
    lap("bounds")
    sure = 1 / structure.radius[1] if 0 < structure.radius[1] < np.inf else np.inf
    if bounds and structure.work.nnz:
        _check_given(bounds, prepared, sure)
    tolerance = max(1e-8, 1e-12 * matrix.shape[0]) if tolerance is None else tolerance
    effort = Effort(tolerance, threads, memory)
    try:
        return _build(structure, prepared, admissible, interval, effort=effort, lap=lap)
    except SingularError as error:
        # where the bounds were searched for, the part within the spectral radius is certain
        if bounds or not admissible.bounds[0] < -sure:
            raise WeightsError(str(error)) from error
    certain = admissible._replace(bounds=(-sure, admissible.bounds[1]), cautious=True)
    return _build(structure, prepared, certain, interval, effort=effort, lap=lap)


def _build(
    structure: Structure,
    prepared: factor.Pencil,
    admissible: Admissible,
    interval: tuple[float, float] | None,
    *,
    effort: Effort,
    lap: Laps,
) -> NodeResult:
    """The series on an interval."""
    ends = _ends(admissible, structure.radius[1], interval)
    empty = NodeResult(
        coef=np.zeros(chebyshev.BLOCK),
        ends=ends,
        bounds=admissible.bounds,
        error=0.0,
        nodes=0,
        nnz=0,
        seconds=lap.seconds,
        how="SuperLU",
        cautious=admissible.cautious,
    )
    if not structure.work.nnz:
        return empty
    plan = _plan(structure, admissible.bounds, _slits(admissible, ends), ends)
    how, build = next(iter(factor.routines(prepared).items()))
    evaluate = build(prepared)
    aim = effort._replace(tolerance=effort.tolerance / SAFETY)
    values, error, stored = _search(plan, evaluate, aim)
    count, passed = len(values), error < aim.tolerance
    large = len(prepared.order) > SAMPLED
    if not passed and large:
        error, count = max(error, _check_between(plan, values, evaluate, ends)), count + CHECKS
    lap("factors")
    if passed or large:
        coef, rest = _series(plan, values, ends, effort.tolerance)
    else:
        coef, error, sampled = _sample(plan, evaluate, ends, aim.tolerance)
        rest, count = effort.tolerance / 100, count + sampled
    lap("series")
    error = SAFETY * error + rest + rounding(coef, admissible.bounds, ends)
    return empty._replace(coef=coef, error=error, nodes=count, nnz=stored, how=how)


class SingularError(WeightsError):
    """det(I - rho W) is not positive within the bounds."""


def _check_given(bounds: tuple[float, float], prepared: factor.Pencil, sure: float) -> None:
    """Refuse given bounds with a singular I - rho W between one of them and 0.

    The signs of determinants show it, at the bounds and between the lower one and the spectral
    radius.
    """
    evaluate = factor.superlu(prepared)
    lower, upper = (bound * (1 - AT) for bound in bounds)
    for rho in (upper, lower, *(np.linspace(lower, -sure, TRIES) if lower < -sure else ())):
        sign = evaluate(float(rho)).sign
        if sign < 0 or (prepared.definite and sign == 0):
            raise WeightsError(_beyond(bounds, rho))


def _beyond(bounds: tuple[float, float], rho: float) -> str:
    return (
        f"bounds=({bounds[0]:.6g}, {bounds[1]:.6g}) reach beyond the admissible rho: det(I - rho W)"
        f" is not positive at rho = {rho:.6g} or between it and 0. Narrow them, or leave them out."
    )


def _ends(
    admissible: Admissible, radius: float, interval: tuple[float, float] | None
) -> tuple[float, float]:
    """The logit variable at the ends of the interval.

    Where complex eigenvalues lie further left than the lower bound, the series ends within the
    spectral radius unless more is asked for: beyond, their singular points may be near.
    """
    bounds, plain = admissible.bounds, admissible.plain
    if interval is None:
        low, high = 0.5 * float(np.log(LEFT / (1 - LEFT))), 0.5 * float(np.log((1 - RIGHT) / RIGHT))
        reach = -(1 - 2 * LEFT) / radius if np.isfinite(radius) and radius > 0 else -np.inf
        if bounds[0] < plain[0] * (1 + LANCZOS) and to_rho(np.array(low), bounds) < reach < 0:
            low = float(to_s(np.array(reach), bounds))
        return low, high
    if not bounds[0] < interval[0] < interval[1] < bounds[1]:
        raise WeightsError(
            f"interval={interval} does not lie inside the bounds ({bounds[0]:.6g}, {bounds[1]:.6g})"
            " of rho: narrow it."
        )
    low, high = to_s(np.asarray(interval), bounds)
    return float(low), float(high)


def _slits(admissible: Admissible, ends: tuple[float, float]) -> tuple[float, float]:
    """Where the slits of the map begin.

    At 1 over the least and the greatest real part of all eigenvalues, complex ones included, where
    these are known and leave room for the series; else at the bounds.
    """
    (low, high), (left, right) = admissible.bounds, admissible.plain
    first = float(to_rho(np.array(ends[0]), admissible.bounds))
    return (
        float(left) if np.isfinite(left) and left < first else float(low),
        float(max(high, right)) if np.isfinite(right) else float(high),
    )


def rounding(coef: np.ndarray, bounds: tuple[float, float], ends: tuple[float, float]) -> float:
    """How far l moves, at the ends of a series, when rho moves by UNITS in its last place."""
    slopes = np.polynomial.chebyshev.chebval([-1.0, 1.0], np.polynomial.chebyshev.chebder(coef))
    in_s = slopes * 2 / (ends[1] - ends[0])
    rho = to_rho(np.array(ends), bounds)
    slope = in_s * (bounds[1] - bounds[0]) / (2 * (rho - bounds[0]) * (bounds[1] - rho))
    return float(UNITS * np.finfo(float).eps * np.abs(rho * slope).max())


class NodePlan(NamedTuple):
    """Where to evaluate l, fixed before any value is known.

    Attributes
    ----------
    x : numpy.ndarray, shape (MOST,)
        The nodes in Leja order, in the variable of p: the image x under `sn`, or 2 x^2 - 1 where l
        is even.
    rho : numpy.ndarray, shape (MOST,)
        The nodes as values of rho.
    traces : numpy.ndarray, shape (4,)
        tr W, ..., tr W^4.
    power : int
        The power k in rho^k p.
    bounds : tuple of float
        Bounds of rho.
    slits : tuple of float
        Where the slits of the map begin.
    sn : SnMap
        The map of the logit variable between the slits.
    even : bool
        Whether l is treated as an even function of rho.
    """

    x: np.ndarray
    rho: np.ndarray
    traces: np.ndarray
    power: int
    bounds: tuple[float, float]
    slits: tuple[float, float]
    sn: SnMap
    even: bool

    def variable(self, rho: np.ndarray) -> np.ndarray:
        """The variable of p at rho."""
        x = self.sn.to_x(to_s(rho, self.slits))
        return 2 * x * x - 1 if self.even else x

    def logdet(self, values: np.ndarray, rho: np.ndarray) -> np.ndarray:
        """l(rho) from the values of p at the first nodes."""
        p = barycentric(self.x[: len(values)], values, self.variable(rho))
        value: np.ndarray = first_terms(self.traces, rho) + rho**self.power * p
        return value


def _plan(
    structure: Structure,
    bounds: tuple[float, float],
    slits: tuple[float, float],
    ends: tuple[float, float],
) -> NodePlan:
    """Choose weighted Leja points.

    Each maximises |rho|^k times the product of the distances to those before it, which is the shape
    of the error.
    """
    even = structure.even and bounds[0] == -bounds[1] and slits[0] == -slits[1]
    low, high = to_rho(np.asarray(ends), bounds)
    if even:  # one half of a range symmetric about 0 gives the other
        high = max(-low, high)
        low = -high
    # where l is even, tr W^5 = 0 is known too
    power = len(structure.traces) + (2 if even else 1)
    first, last = to_s(np.array([low, high]), slits)
    sn = sn_map((float(first), float(last)))
    x = np.cos(np.linspace(0, np.pi, GRID))
    rho = to_rho(sn.to_s(np.sqrt((1 + x) / 2) if even else x), slits)
    chosen: list[int] = []
    with np.errstate(divide="ignore"):
        weight = power * np.log(np.abs(rho))
        for _ in range(MOST):
            chosen.append(int(np.argmax(weight)))
            weight = weight + np.log(np.abs(x - x[chosen[-1]]))
    return NodePlan(
        x=x[chosen],
        rho=rho[chosen],
        traces=structure.traces,
        power=power,
        bounds=bounds,
        slits=slits,
        sn=sn,
        even=even,
    )


def _search(
    plan: NodePlan, evaluate: factor.Evaluate, effort: Effort
) -> tuple[np.ndarray, float, int]:
    """The values of p at as many nodes as needed, the largest of the last tests, and nnz(L + U).

    The first factorisation shows how many fit into memory at a time; no more are started than tests
    are missing.
    """
    values: list[float] = []
    tests: list[float] = []
    passed, stored, count = 0, 0, 1
    with ThreadPoolExecutor(max(effort.threads, 1)) as pool:
        while passed < PASSES and len(values) < len(plan.rho):
            batch = plan.rho[len(values) : len(values) + min(count, PASSES - passed)]
            for determinant in pool.map(evaluate, batch):
                p, test = _test_node(plan, values, determinant)
                values.append(p)
                if len(values) > FIRST:
                    tests.append(test)
                    passed = passed + 1 if test < effort.tolerance else 0
            # CHOLMOD reports no size and holds the interpreter lock, so that it runs one by one
            if len(values) == 1 and determinant.stored:
                stored = determinant.stored
                count = factor.workers(stored, effort.threads, effort.memory)
    return np.array(values), max(tests[-PASSES:]), stored


def _check_between(
    plan: NodePlan, values: np.ndarray, evaluate: factor.Evaluate, ends: tuple[float, float]
) -> float:
    """The largest error of l at CHECKS further rho, evenly spread over the logit variable."""
    rho = to_rho(chebyshev.spread(np.linspace(-1, 1, 2 * CHECKS + 1)[1::2], ends), plan.bounds)
    exact = np.array([_log_of(plan, float(one), evaluate(float(one))) for one in rho])
    return float(np.abs(plan.logdet(values, rho) - exact).max())


def _sample(
    plan: NodePlan, evaluate: factor.Evaluate, ends: tuple[float, float], tolerance: float
) -> tuple[np.ndarray, float, int]:
    """A series through dense samples of l, its hold-out error, and the number of samples.

    They are dense enough to show a dent between two nodes, such as a complex eigenvalue makes.
    """
    count = 0

    def function(s: np.ndarray) -> np.ndarray:
        nonlocal count
        count += len(s)
        rho = to_rho(s, plan.bounds)
        return np.array([_log_of(plan, float(one), evaluate(float(one))) for one in rho])

    coef, error = chebyshev.interpolate(function, tolerance, SAMPLES, ends)
    return coef, error, count


def _log_of(plan: NodePlan, rho: float, determinant: factor.Determinant) -> float:
    """The log of a determinant at rho; SingularError where it is not positive."""
    if not determinant.sign > 0:
        raise SingularError(_beyond(plan.bounds, rho))
    return determinant.log


def _test_node(
    plan: NodePlan, values: list[float], determinant: factor.Determinant
) -> tuple[float, float]:
    """p at the next node, and the error of l there as predicted from the nodes before it."""
    i = len(values)
    rho = plan.rho[i]
    p = float((_log_of(plan, rho, determinant) - first_terms(plan.traces, rho)) / rho**plan.power)
    if not values:
        return p, np.inf
    predicted = barycentric(plan.x[:i], np.array(values), plan.x[i : i + 1])[0]
    return p, float(abs((predicted - p) * rho**plan.power))


def _series(
    plan: NodePlan, values: np.ndarray, ends: tuple[float, float], tolerance: float
) -> tuple[np.ndarray, float]:
    """Chebyshev coefficients in the logit variable, and the sum of those that were left out."""
    coef, tail = chebyshev.expand(
        lambda s: plan.logdet(values, to_rho(s, plan.bounds)),
        ends,
        least=128,
        absolute=tolerance / 100,
    )
    padded, rest = chebyshev.trim(coef, tolerance / 100)
    return padded, max(rest, tail)
