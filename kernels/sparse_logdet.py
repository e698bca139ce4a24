"""l(rho) = log|I - rho W| of a sparse W as a series, from factorisations at some twenty rho.

    l(rho) = -sum_(j < k) tr(W^j) rho^j / j  +  rho^k p(x(rho))

with the exact traces of low powers, x Jacobi's sn map of the plane slit along (-inf, a] and [b,
inf) onto an ellipse, the map of the best rate, and p the polynomial through weighted Leja points:
nested, so that every factorisation first tests the polynomial before it. The result is expanded
again in Chebyshev polynomials of the logit variable, which the device evaluates. W with complex
eigenvalues punctures the slit plane; then the tests alone vouch for the error.
docs/mathematics.md 5, docs/numerics.md 2.
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

# shares of the interval that the series leaves out at its ends, (-0.96, 0.992) of (-1, 1), unless
# asked for
LEFT, RIGHT = (
    2e-2,
    4e-3,
)
MOST = 60  # factorisations, at most
FIRST = 4  # nodes before the first test
# tests in a row that end the search: then the error passed the largest of them in 0.8 % of 1,152
# trials, by 1.4 at most
PASSES = 4
GRID = 4001  # candidates for the Leja points
SAFETY = 1.5  # times the largest of the last tests bounds the error
UNITS = 16  # in the last place of rho, for the rounding of the factors too
AT = 1e-6  # relative distance from given bounds at which they are tried
TRIES = 9  # values of rho between a lower one and the spectral radius
CHECKS = 9  # further factorisations where the tests did not pass, of a W of more than SAMPLED units
SAMPLED, SAMPLES = 5_000, 1024  # units up to which l is sampled there, at so many rho at most


class NodeResult(NamedTuple):
    """l(rho) = sum coef_k T_k(t), t in [-1, 1] linear in the logit variable on `bounds` between
    `ends`.

    `error`: 1.5 times the largest of the last tests of l at a rho not used, and the rounding;
    `nodes`: factorisations; `nnz`: entries of L + U (0 by CHOLMOD, which does not tell); `seconds`:
    of processor time by phase; `how`: "SuperLU" or "CHOLMOD"; `cautious`: the lower bound may be
    short of the lowest admissible rho.
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
    """The first terms of l around 0, -sum tr(W^j) rho^j / j."""
    return np.polynomial.polynomial.polyval(
        rho, np.concatenate([[0.0], -traces / np.arange(1, len(traces) + 1)])
    )


def barycentric(nodes: np.ndarray, values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """The polynomial through (nodes, values). Berrut & Trefethen (2004)."""
    # 2: one over the capacity of [-1, 1], so that the product neither over- nor underflows
    gaps = 2 * (nodes[:, None] - nodes)
    np.fill_diagonal(gaps, 1.0)
    distance = np.atleast_1d(at)[:, None] - nodes
    hit = distance == 0
    pull = 1 / np.where(hit, 1.0, distance) / gaps.prod(axis=1)
    result = pull @ values / pull.sum(axis=1)
    rows, columns = np.nonzero(hit)
    result[rows] = values[columns]
    return result


def sparse_logdet(
    matrix: sparse.csr_array,
    *,
    bounds: tuple[float, float] | None = None,
    interval: tuple[float, float] | None = None,
    tolerance: float | None = None,
    threads: int = 2,
    memory: float | None = None,
) -> NodeResult:
    """l(rho) = log|I - rho W| on `interval` as a Chebyshev series in the logit variable, for a
    sparse non-negative W.

    `bounds`: the ends a < 0 < b of the logit variable, by default those of `find_admissible`.
    `interval`: the range the series covers, by default all but a share LEFT and RIGHT of the bounds
    at their ends. `tolerance`: for the tests of l, by default max(1e-8, 1e-12 n). `threads`:
    factorisations at a time, fewer where `memory` (bytes; by default half of what is free) does not
    hold so many.

    A result may miss the tolerance: `error` tells. Raises WeightsError for an acyclic W without
    bounds, for bounds that reach a singular I - rho W, for an interval outside the bounds and for
    factors that do not fit into memory, or unless `memory` is given are not likely to.

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
    tolerance = max(1e-8, 1e-12 * matrix.shape[0]) if tolerance is None else tolerance
    prepared = structure.pencil()
    lap("ordering")
    found = find_admissible(structure, bounds, prepared.order)
    lap("bounds")
    sure = 1 / structure.radius[1] if 0 < structure.radius[1] < np.inf else np.inf
    if bounds and structure.work.nnz:
        _check_given(bounds, prepared, sure)
    try:
        return _build(structure, prepared, found, interval, tolerance, (threads, memory), lap)
    except SingularError as error:
        # of bounds found here the part within the spectral radius is certain
        if bounds or not found.bounds[0] < -sure:
            raise WeightsError(str(error)) from error
    certain = found._replace(bounds=(-sure, found.bounds[1]), cautious=True)
    return _build(structure, prepared, certain, interval, tolerance, (threads, memory), lap)


def _build(
    structure: Structure,
    prepared: factor.Pencil,
    found: Admissible,
    interval: tuple[float, float] | None,
    tolerance: float,
    means: tuple[int, float | None],
    lap: Laps,
) -> NodeResult:
    """The series on an interval; `means`: threads and memory."""
    bounds = found.bounds
    ends = _ends(found, structure.radius[1], interval)
    if not structure.work.nnz:
        return NodeResult(
            np.zeros(chebyshev.BLOCK),
            ends,
            bounds,
            0.0,
            0,
            0,
            lap.seconds,
            "SuperLU",
            found.cautious,
        )
    plan = _plan(structure, bounds, _slits(found, ends), ends)
    how, build = next(iter(factor.routines(prepared).items()))
    evaluate = build(prepared)
    values, error, stored = _search(plan, evaluate, tolerance / SAFETY, *means)
    count, passed = len(values), error < tolerance / SAFETY
    if not passed and len(prepared.order) > SAMPLED:
        error, count = max(error, _check_between(plan, values, evaluate, ends)), count + CHECKS
    lap("factors")
    if passed or len(prepared.order) > SAMPLED:
        coef, rest = _series(plan, values, ends, tolerance)
    else:
        coef, error, sampled = _sample(plan, evaluate, ends, tolerance / SAFETY)
        rest, count = tolerance / 100, count + sampled
    lap("series")
    error = SAFETY * error + rest + rounding(coef, bounds, ends)
    return NodeResult(coef, ends, bounds, error, count, stored, lap.seconds, how, found.cautious)


class SingularError(WeightsError):
    """det(I - rho W) is not positive within the bounds."""


def _check_given(bounds: tuple[float, float], prepared: factor.Pencil, sure: float) -> None:
    """Refuse given bounds with a singular I - rho W between one of them and 0, as far as the signs
    of determinants show it: at the bounds, and on the way to the lower one beyond the spectral
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
    found: Admissible, radius: float, interval: tuple[float, float] | None
) -> tuple[float, float]:
    """The logit variable at the ends of the interval.

    Where complex eigenvalues lie further left than the bounds, the series ends within the spectral
    radius unless asked for more: beyond, their singular points may be near.
    """
    bounds = found.bounds
    if interval is None:
        low, high = 0.5 * float(np.log(LEFT / (1 - LEFT))), 0.5 * float(np.log((1 - RIGHT) / RIGHT))
        reach = -(1 - 2 * LEFT) / radius if np.isfinite(radius) and radius > 0 else -np.inf
        if bounds[0] < found.plain[0] * (1 + LANCZOS) and to_rho(np.array(low), bounds) < reach < 0:
            low = float(to_s(np.array(reach), bounds))
        return low, high
    if not bounds[0] < interval[0] < interval[1] < bounds[1]:
        raise WeightsError(
            f"interval={interval} does not lie inside the bounds ({bounds[0]:.6g}, {bounds[1]:.6g})"
            " of rho: narrow it."
        )
    low, high = to_s(np.asarray(interval), bounds)
    return float(low), float(high)


def _slits(found: Admissible, ends: tuple[float, float]) -> tuple[float, float]:
    """Where the map has its slits: beyond the bounds as far as there is no eigenvalue, complex ones
    included.
    """
    left, right = found.plain
    inside = np.isfinite(left) and left < float(to_rho(np.array(ends[0]), found.bounds))
    return float(left if inside else found.bounds[0]), float(
        max(found.bounds[1], right) if np.isfinite(right) else found.bounds[1]
    )


def rounding(coef: np.ndarray, bounds: tuple[float, float], ends: tuple[float, float]) -> float:
    """How far l moves at the ends of a series when rho moves by some units in its last place."""
    turn = (
        np.polynomial.chebyshev.chebval([-1.0, 1.0], np.polynomial.chebyshev.chebder(coef))
        * 2
        / (ends[1] - ends[0])
    )
    rho = to_rho(np.array(ends), bounds)
    slope = turn * (bounds[1] - bounds[0]) / (2 * (rho - bounds[0]) * (bounds[1] - rho))
    return float(UNITS * np.finfo(float).eps * np.abs(rho * slope).max())


class NodePlan(NamedTuple):
    """Where to evaluate l, fixed before any value is known: `x`, `rho`: the nodes in Leja order, x
    squared (2 x^2 - 1) where l is even; `sn`: the map of the logit variable on `slits`.
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


def _plan(
    structure: Structure,
    bounds: tuple[float, float],
    slits: tuple[float, float],
    ends: tuple[float, float],
) -> NodePlan:
    """Weighted Leja points: each maximises |rho|^k times the product of the distances to those
    before, which is the shape of the error.
    """
    even = structure.even and bounds[0] == -bounds[1] and slits[0] == -slits[1]
    low, high = to_rho(np.asarray(ends), bounds)
    # then one half of a range symmetric about 0 tells the other, and the missing tr W^5 = 0 is
    # known too
    if even:
        high = max(-low, high)
        low = -high
    sn, power = (
        sn_map(tuple(to_s(np.array([low, high]), slits))),
        len(structure.traces) + (2 if even else 1),
    )
    x = np.cos(np.linspace(0, np.pi, GRID))
    rho = to_rho(sn.to_s(np.sqrt((1 + x) / 2) if even else x), slits)
    with np.errstate(divide="ignore"):
        weight, chosen = power * np.log(np.abs(rho)), []
        for _ in range(MOST):
            chosen.append(int(np.argmax(weight)))
            weight = weight + np.log(np.abs(x - x[chosen[-1]]))
    return NodePlan(x[chosen], rho[chosen], structure.traces, power, bounds, slits, sn, even)


def _search(
    plan: NodePlan, evaluate: factor.Evaluate, tolerance: float, threads: int, memory: float | None
) -> tuple[np.ndarray, float, int]:
    """The values of p at as many nodes as it takes, the largest of the last tests, and nnz(L + U).

    The first factorisation tells how many fit into memory at a time; never more are started than
    tests are missing.
    """
    values: list[float] = []
    tests: list[float] = []
    passed, stored, count = 0, 0, 1
    with ThreadPoolExecutor(max(threads, 1)) as pool:
        while passed < PASSES and len(values) < len(plan.rho):
            batch = plan.rho[len(values) : len(values) + min(count, PASSES - passed)]
            for found in pool.map(evaluate, batch):
                p, test = _test_node(plan, values, found)
                values.append(p)
                if len(values) > FIRST:
                    tests.append(test)
                    passed = passed + 1 if test < tolerance else 0
            # CHOLMOD tells no size, and holds the interpreter
            if len(values) == 1 and found.stored:
                stored, count = found.stored, factor.workers(found.stored, threads, memory)
    return np.array(values), max(tests[-PASSES:]), stored


def _check_between(
    plan: NodePlan, values: np.ndarray, evaluate: factor.Evaluate, ends: tuple[float, float]
) -> float:
    """The largest error of l at rho that no node knows of, evenly spread over the logit
    variable.
    """
    rho = to_rho(chebyshev.spread(np.linspace(-1, 1, 2 * CHECKS + 1)[1::2], ends), plan.bounds)
    exact = np.array([_log_of(plan, float(one), evaluate(float(one))) for one in rho])
    p = barycentric(plan.x[: len(values)], values, plan.variable(rho))
    return float(np.abs(first_terms(plan.traces, rho) + rho**plan.power * p - exact).max())


def _sample(
    plan: NodePlan, evaluate: factor.Evaluate, ends: tuple[float, float], tolerance: float
) -> tuple[np.ndarray, float, int]:
    """The series through so many values that a dent between two of them, next to a complex
    eigenvalue, is seen; its hold-out error; how many.
    """
    count = 0

    def function(s: np.ndarray) -> np.ndarray:
        nonlocal count
        count += len(s)
        return np.array(
            [_log_of(plan, float(rho), evaluate(float(rho))) for rho in to_rho(s, plan.bounds)]
        )

    coef, error = chebyshev.interpolate(function, tolerance, SAMPLES, ends)
    return coef, error, count


def _log_of(plan: NodePlan, rho: float, found: factor.Determinant) -> float:
    """log det where that is positive."""
    if not found.sign > 0:
        raise SingularError(_beyond(plan.bounds, rho))
    return found.log


def _test_node(
    plan: NodePlan, values: list[float], found: factor.Determinant
) -> tuple[float, float]:
    """p at the next node, and how far off l is there by the nodes before it."""
    i = len(values)
    rho = plan.rho[i]
    p = float((_log_of(plan, rho, found) - first_terms(plan.traces, rho)) / rho**plan.power)
    if not values:
        return p, np.inf
    predicted = barycentric(plan.x[:i], np.array(values), plan.x[i : i + 1])[0]
    return p, float(abs((predicted - p) * rho**plan.power))


def _series(
    plan: NodePlan, values: np.ndarray, ends: tuple[float, float], tolerance: float
) -> tuple[np.ndarray, float]:
    """The Chebyshev coefficients in the logit variable, padded to a multiple of BLOCK, and what was
    cut off.
    """

    def function(s: np.ndarray) -> np.ndarray:
        rho = to_rho(s, plan.bounds)
        p = barycentric(plan.x[: len(values)], values, plan.variable(rho))
        return first_terms(plan.traces, rho) + rho**plan.power * p

    coef, tail = chebyshev.expand(function, ends, least=128, absolute=tolerance / 100)
    padded, rest = chebyshev.trim(coef, tolerance / 100)
    return padded, max(rest, tail)
