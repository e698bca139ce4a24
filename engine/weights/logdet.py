"""log|I - rho W| of any W: which method, how good, how long it took."""

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from spillover.engine import cache, programs
from spillover.engine.labels import as_numbers
from spillover.engine.weights.checks import how_to_make
from spillover.engine.weights.weights import Weights
from spillover.kernels import admissible, local_logdet, spectrum, stochastic_logdet
from spillover.kernels import logdet as kernel
from spillover.kernels import sparse_logdet as nodes
from spillover.kernels.arguments import choice, expect, front_doors, items, real, show
from spillover.kernels.arrays import leaf
from spillover.kernels.chebyshev import END
from spillover.kernels.errors import SpecificationError, WeightsError
from spillover.kernels.logit import to_rho
from spillover.models.mode_search import Mass

METHODS = ("auto", "eigenvalues", "sparse", "stochastic")
LARGE = 1_000_000  # units beyond which exact nodes over the whole interval take minutes
TARGET = 0.02  # standard deviations that a stochastic log-determinant may move a posterior by
NARROWEST = 1e-6  # standard deviation of a posterior
ROUNDING = 1e-6  # of the logit variable
STORED = "logdet 2"  # what is kept on disk: another number for other arrays or other bounds
OUTERMOST = 1e-6  # share of the interval left out where a posterior needs all of it


@front_doors
@dataclass(frozen=True, eq=False, repr=False)
class LogDet:
    """l(rho) = log|I - rho W| on the admissible interval, with its derivative, at a cost that does
    not depend on N.

    `record`: the arrays that models evaluate (`spillover.kernels.logdet.LogDetSeries`); `method`:
    "eigenvalues" (all of them), "sparse" (exact factorisations at `nodes` values of rho),
    "stochastic" (random probes, `nodes` of them) or "local" (these, refined by `nodes`
    factorisations around a posterior); `error`: of l, measured at rho not used, for "stochastic"
    and "local" its standard error; `shift`: what the error of l' can move the mode of a posterior
    by, in its standard deviations, 0 where l is exact; `interval`: where both hold; `cautious`:
    `bounds` may be short of the lowest admissible rho; `seconds`: of processor time it took to
    make.

    The bounds are (1/omega_min, 1/omega_max) by the extreme real eigenvalues, the upper one always
    to 1e-6. The lower one is that of all eigenvalues, or where W is similar to a symmetric matrix
    that of Lanczos iterations, up to 0.1 % short; else that of Arnoldi and inverse iterations,
    which find the lowest real eigenvalue but prove nothing. Where they end without one, the lower
    bound is `cautious`. det(I - rho W) > 0 is certain from minus the upper bound on, and was seen
    at every node.

    >>> import spillover as so
    >>> W = so.Weights([[0, 1, 1], [1, 0, 0], [1, 0, 0]]).row_standardize()
    >>> ld = so.LogDet.build(W)
    >>> round(float(ld(0.5)), 6)  # log(1 - 0.5^2)
    -0.287682
    """

    record: kernel.LogDetSeries
    method: str
    nodes: int
    shift: float
    seconds: float
    interval: tuple[float, float]
    cautious: bool = False

    @classmethod
    def build(
        cls,
        W: Weights,
        method: str = "auto",
        *,
        interval: tuple[float, float] | None = None,
        tol: float | None = None,
    ) -> "LogDet":
        """The log-determinant of W, from memory where it was made before.

        `method`: "auto" takes all eigenvalues up to 500 units and for dense W, sparse
        factorisations up to 10^6 units as far as memory goes, random probes beyond. `interval`: of
        rho, to be covered to within `tol`; by default all but the outermost ends, which
        "eigenvalues" always covers. `tol`: of l; for "stochastic" of `shift`, by default 0.02.

        WeightsError for weights whose method or interval cannot be had. Ord (1975); Barry & Pace
        (1999); Pace & LeSage (2009), chapter 4.
        """
        expect("W", W, Weights, how_to_make(W))
        choice("is no method", method, METHODS)
        interval = None if interval is None else _interval(interval)
        tol = None if tol is None else real("tol", tol, 0, 1, example=1e-6)
        key = (W.digest, W.given_bounds, STORED, method, interval, tol)
        found = cache.remembered(key, lambda: _arrays(_build(W, method, interval, tol)))
        return _from_arrays(found)

    def __call__(self, rho: ArrayLike) -> Any:
        """l(rho), for rho of any shape inside the bounds."""
        return self._evaluated(lambda record, rho: record(rho), rho)

    def derivative(self, rho: ArrayLike) -> Any:
        """l'(rho) = -tr((I - rho W)^-1 W)."""
        return self._evaluated(kernel.derivative, rho)

    def _evaluated(self, function: Any, rho: ArrayLike) -> Any:
        values = as_numbers(rho, "rho")
        a, b = self.bounds
        if not ((values > a) & (values < b)).all():
            raise WeightsError(
                f"rho={show(rho)} is not inside the admissible interval ({a:.6g}, {b:.6g})."
            )
        programs.enter()
        with jax.enable_x64(True):
            found = np.asarray(function(self.record, jnp.asarray(values)))
        return found[()]

    @property
    def bounds(self) -> tuple[float, float]:
        """The admissible interval of rho."""
        a, b = np.asarray(self.record.bounds)
        return float(a), float(b)

    @property
    def error(self) -> float:
        """Of l, on the interval: towards the bounds, l goes on as a straight line in the logit of
        rho.
        """
        return float(self.record.error)

    def __repr__(self) -> str:
        kinds = {
            "eigenvalues": "all eigenvalues",
            "sparse": "exact nodes",
            "stochastic": "probes",
            "local": "exact nodes around a posterior",
        }
        count = (
            kinds[self.method]
            if self.method == "eigenvalues"
            else f"{self.nodes} {kinds[self.method]}"
        )
        shift = f", posterior shift <= {self.shift:.2g} sd" if self.method == "stochastic" else ""
        (a, b), (lower, upper) = self.interval, self.bounds
        where = f"rho in ({a:.4g}, {b:.4g})"
        short = f", cautious bounds ({lower:.4g}, {upper:.4g})" if self.cautious else ""
        error = (
            f"{'standard ' if self.method in ('stochastic', 'local') else ''}error {self.error:.1e}"
        )
        return (
            f"LogDet(n={int(self.record.size)}, {count}, {where}, {error}{shift}{short},"
            f" {self.seconds:.2g} s)"
        )


def _interval(given: Any) -> tuple[float, float]:
    """Two numbers in order; whether they are admissible, the kernels say."""
    pair = items("interval", given, example="(-0.5, 0.5)")
    low, high = (real("interval", end) for end in pair) if len(pair) == 2 else (0.0, 0.0)
    if not low < high:
        raise SpecificationError(
            f"interval={show(pair)}: give two values of rho, the smaller first, such as (-0.5,"
            " 0.5)."
        )
    return low, high


def build_covering(W: Weights, low: float, high: float) -> LogDet:
    """The log-determinant, good for logit variables from `low` to `high`: the usual one, or one of
    all but OUTERMOST of the interval.
    """
    usual = LogDet.build(W)
    if covers(usual.record, low, high):
        return usual
    a, b = usual.bounds
    return LogDet.build(W, interval=(a + OUTERMOST * (b - a), b - OUTERMOST * (b - a)))


def improved(W: Weights, usual: LogDet, mass: Mass, dimension: int) -> LogDet:
    """The log-determinant for a posterior whose mass, by the usual one, lies there: the usual one,
    one that reaches further, or beyond LARGE units one that is exact around it.
    """
    s = mass.inside[:, dimension]
    if usual.method != "stochastic":
        return (
            usual
            if covers(usual.record, float(s.min()), float(s.max()))
            else build_covering(W, float(s.min()), float(s.max()))
        )
    with jax.enable_x64(True):
        rho = np.asarray(to_rho(mass.points[:, dimension], usual.record.bounds))
    centre = float(mass.weight @ rho)
    sd = max(float(np.sqrt(mass.weight @ (rho - centre) ** 2)), NARROWEST)
    key = (W.digest, W.given_bounds, STORED, "local", round(centre / sd), sd)
    try:
        return _from_arrays(cache.remembered(key, lambda: _arrays(_local(W, centre, sd))))
    except WeightsError as error:
        # factors of this W do not fit: the probes tell how far off the posterior may be
        if "memory" not in str(error):
            raise
        return usual


def _local(W: Weights, centre: float, sd: float) -> LogDet:
    """The pilot with exact factorisations around the posterior."""
    start = time.process_time()
    structure, pilot = _pilot(W, None, None, TARGET)
    made = local_logdet.refine(structure, pilot, centre, sd)
    _pilot.cache_clear()  # it holds another copy of W
    record = kernel.from_series(made.coef, made.bounds, W.n, made.error, made.ends)
    return LogDet(
        record, "local", made.nodes, 0.0, time.process_time() - start, made.window, pilot.cautious
    )


@lru_cache(maxsize=1)
def _pilot(
    W: Weights,
    bounds: tuple[float, float] | None,
    interval: tuple[float, float] | None,
    target: float,
) -> tuple[Any, Any]:
    """The stochastic log-determinant, and what was learnt of W on the way: kept until it is
    refined.
    """
    structure = stochastic_logdet.prepare(W.matrix)
    return structure, stochastic_logdet.stochastic_logdet(
        structure, bounds=bounds, interval=interval, target=target
    )


def covers(record: kernel.LogDetSeries, low: float, high: float) -> bool:
    """Whether logit variables from `low` to `high` lie on the series, or as far out as any series
    goes.
    """
    ends = np.asarray(record.ends)
    return bool(max(low, -END) >= ends[0] - ROUNDING and min(high, END) <= ends[1] + ROUNDING)


def _build(
    W: Weights, method: str, interval: tuple[float, float] | None, tol: float | None
) -> LogDet:
    programs.enter()
    start = time.process_time()
    given = None if W.given_bounds is None else W.bounds  # the property checks them
    with jax.enable_x64(True):
        route = _automatic if method == "auto" else _ROUTES[method]
        record, name, count, shift, held, cautious = route(W, given, interval, tol)
    return LogDet(
        record, name, count, shift, time.process_time() - start, held or _covered(record), cautious
    )


def _covered(record: kernel.LogDetSeries) -> tuple[float, float]:
    """The rho between the ends of a series."""
    with jax.enable_x64(True):
        low, high = np.asarray(to_rho(record.ends, record.bounds))
    return float(low), float(high)


Found = tuple[kernel.LogDetSeries, str, int, float, tuple[float, float] | None, bool]


def _automatic(
    W: Weights,
    bounds: tuple[float, float] | None,
    interval: tuple[float, float] | None,
    tol: float | None,
) -> Found:
    dense = W.matrix.nnz > admissible.FULL * W.n**2
    if W.n <= admissible.DENSE or (dense and W.n <= spectrum.DENSE_LIMIT):
        return _eigenvalues(W, bounds, interval, tol)
    if W.n > LARGE or dense:
        return _stochastic(W, bounds, interval, tol)
    try:
        return _sparse(W, bounds, interval, tol)
    except WeightsError as error:
        if "memory" not in str(error):
            raise
        return _stochastic(W, bounds, interval, tol)


def _eigenvalues(
    W: Weights,
    bounds: tuple[float, float] | None,
    interval: tuple[float, float] | None,
    tol: float | None,
) -> Found:
    values = spectrum.eigenvalues(W.matrix)
    bounds, cautious = (bounds, False) if bounds else spectrum.cautious_interval(W.matrix, values)
    return (
        kernel.from_eigenvalues(values, bounds, W.matrix),
        "eigenvalues",
        W.n,
        0.0,
        None,
        cautious,
    )


def _sparse(
    W: Weights,
    bounds: tuple[float, float] | None,
    interval: tuple[float, float] | None,
    tol: float | None,
) -> Found:
    made = nodes.sparse_logdet(W.matrix, bounds=bounds, interval=interval, tolerance=tol)
    return (
        kernel.from_series(made.coef, made.bounds, W.n, made.error, made.ends),
        "sparse",
        made.nodes,
        0.0,
        None,
        made.cautious,
    )


def _stochastic(
    W: Weights,
    bounds: tuple[float, float] | None,
    interval: tuple[float, float] | None,
    tol: float | None,
) -> Found:
    made = _pilot(W, bounds, interval, TARGET if tol is None else tol)[1]
    record = kernel.from_series(made.coef, made.bounds, W.n, made.error, made.ends)
    return record, "stochastic", made.probes, made.shift, made.held, made.cautious


_ROUTES = {"eigenvalues": _eigenvalues, "sparse": _sparse, "stochastic": _stochastic}


def _arrays(made: LogDet) -> dict[str, np.ndarray]:
    about = {"method": np.array(made.method), "nodes": np.array(made.nodes)}
    about |= {"shift": np.array(made.shift), "seconds": np.array(made.seconds)}
    about |= {"interval": np.array(made.interval), "cautious": np.array(made.cautious)}
    return {**{name: np.asarray(leaf) for name, leaf in made.record._asdict().items()}, **about}


def _from_arrays(arrays: cache.Arrays) -> LogDet:
    record = kernel.LogDetSeries(*(leaf(arrays[name]) for name in kernel.LogDetSeries._fields))
    low, high = arrays["interval"]
    about = (
        str(arrays["method"]),
        int(arrays["nodes"]),
        float(arrays["shift"]),
        float(arrays["seconds"]),
    )
    return LogDet(record, *about, (float(low), float(high)), bool(arrays["cautious"]))
