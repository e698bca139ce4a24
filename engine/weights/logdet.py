"""The log-determinant `log|I - rho W|` of any W: its method, its error and its time."""

import time
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from spillover.engine import cache, programs
from spillover.engine.labels import as_numbers
from spillover.engine.weights.weights import Weights, as_weights
from spillover.kernels import (
    admissible,
    local_logdet,
    logdet,
    sparse_logdet,
    spectrum,
    stochastic_logdet,
)
from spillover.kernels.arguments import choice, front_doors, items, real, show
from spillover.kernels.arrays import leaf
from spillover.kernels.chebyshev import END
from spillover.kernels.errors import FactorMemoryError, SpecificationError, WeightsError
from spillover.kernels.logdet import LogDetSeries
from spillover.kernels.logit import to_rho
from spillover.kernels.stochastic_logdet import Expansion
from spillover.models.mode_search import Mass

METHODS = ("auto", "eigenvalues", "sparse", "stochastic")
LARGE = 1_000_000  # units beyond which exact nodes over the whole interval take minutes
TARGET = 0.02  # standard deviations that a stochastic log-determinant may move a posterior by
NARROWEST = 1e-6  # standard deviation of a posterior, at least
ROUNDING = 1e-6  # tolerance for the ends, in the logit variable
STORED = "logdet 3"  # version of what is kept on disk: raise it when arrays or bounds change
OUTERMOST = 1e-6  # share left out at each end where a posterior needs the whole interval
Pair = tuple[float, float]


@front_doors
@dataclass(frozen=True, eq=False, repr=False)
class LogDet:
    """The log-determinant l(rho) = log|I - rho W| as a function whose cost does not depend on N.

    `LogDet.build` makes one. It holds on the admissible interval of rho, and its derivative is::

        l'(rho) = -tr((I - rho W)^-1 W)

    Attributes
    ----------
    record : spillover.kernels.logdet.LogDetSeries
        The arrays that models evaluate.
    method : str
        "eigenvalues" (all of them), "sparse" (exact factorisations at some values of rho),
        "stochastic" (random probes), or "local" (probes, refined by factorisations around a
        posterior).
    nodes : int
        The number of eigenvalues, factorisations or probes.
    shift : float
        How far the error of l' can move the mode of a posterior, in its standard deviations; 0
        where l is exact.
    seconds : float
        The processor time that it took.
    interval : (float, float)
        The values of rho for which `error` and `shift` hold.
    cautious : bool
        Whether the lower bound may lie above the lowest admissible rho.
    expansion : spillover.kernels.stochastic_logdet.Expansion or None
        What the probes found, from which a "stochastic" log-determinant can be refined.

    Notes
    -----
    The bounds are (1/omega_min, 1/omega_max) for the extreme real eigenvalues of W. The upper one
    is always good to 1e-6. The lower one comes from all eigenvalues; or, where W is similar to a
    symmetric matrix, from Lanczos iterations, and may then be up to 0.1 % short; or else from
    Arnoldi and inverse iterations, which find the lowest real eigenvalue but do not prove that it
    is the lowest. Where they find none, the lower bound is `cautious`. det(I - rho W) > 0 is
    certain from minus the upper bound to the upper bound, and was confirmed at every node.

    References
    ----------
    Ord, J. K. (1975). Estimation methods for models of spatial interaction. Journal of the American
    Statistical Association 70, 120-126.

    Examples
    --------
    >>> import spillover as so
    >>> W = so.Weights([[0, 1, 1], [1, 0, 0], [1, 0, 0]]).row_standardize()
    >>> ld = so.LogDet.build(W)
    >>> round(float(ld(0.5)), 6)  # log(1 - 0.5^2)
    -0.287682
    """

    record: LogDetSeries
    method: str
    nodes: int
    shift: float
    seconds: float
    interval: Pair
    cautious: bool = False
    expansion: Expansion | None = None

    @classmethod
    def build(
        cls,
        W: Weights,
        method: str = "auto",
        *,
        interval: Pair | None = None,
        tol: float | None = None,
    ) -> "LogDet":
        """Compute the log-determinant of W, or take it from the cache.

        Parameters
        ----------
        W : Weights
            The weights of N units.
        method : {"auto", "eigenvalues", "sparse", "stochastic"}
            "auto" (default) uses all eigenvalues for up to 500 units and for dense W, sparse
            factorisations for up to 10^6 units where memory allows, and random probes otherwise.
        interval : (float, float), optional
            The values of rho to cover to within `tol`; by default all but the outermost ends.
            "eigenvalues" always covers everything.
        tol : float, optional
            The error of l allowed on `interval`; for "stochastic" the largest `shift`, by default
            0.02.

        Returns
        -------
        LogDet

        Raises
        ------
        WeightsError
            For a method or an interval that the weights do not allow.
        SpecificationError
            For an argument of the wrong type or out of its range.

        References
        ----------
        Ord, J. K. (1975). Estimation methods for models of spatial interaction. Journal of the
        American Statistical Association 70, 120-126.

        Barry, R. P. & Pace, R. K. (1999). Monte Carlo estimates of the log determinant of large
        sparse matrices. Linear Algebra and its Applications 289, 41-54.

        LeSage, J. & Pace, R. K. (2009). Introduction to Spatial Econometrics. CRC Press, chapter 4.

        Examples
        --------
        >>> W = Weights([[0, 1, 1], [1, 0, 0], [1, 0, 0]]).row_standardize()
        >>> LogDet.build(W, "eigenvalues").bounds
        (-1.0, 1.0)
        """
        W = as_weights("W", W)
        choice("is no method", method, METHODS)
        interval = None if interval is None else _as_interval(interval)
        tol = None if tol is None else real("tol", tol, 0, 1, example=1e-6)
        key = (W.digest, W.given_bounds, STORED, method, interval, tol)
        return _from_arrays(cache.recall(key, lambda: _to_arrays(_build(W, method, interval, tol))))

    def __call__(self, rho: ArrayLike) -> Any:
        """Evaluate l(rho), for rho of any shape inside the bounds.

        Parameters
        ----------
        rho : float or array
            Values inside the bounds; WeightsError for others.

        Returns
        -------
        float or array, of the shape of `rho`
        """
        values = self._inside(rho)
        with jax.enable_x64(True):
            return np.asarray(self.record(jnp.asarray(values)))[()]

    def derivative(self, rho: ArrayLike) -> Any:
        """Evaluate l'(rho) = -tr((I - rho W)^-1 W), for rho of any shape inside the bounds.

        Parameters
        ----------
        rho : float or array
            Values inside the bounds; WeightsError for others.

        Returns
        -------
        float or array, of the shape of `rho`

        Examples
        --------
        >>> W = Weights([[0, 1, 1], [1, 0, 0], [1, 0, 0]]).row_standardize()
        >>> round(float(LogDet.build(W).derivative(0.5)), 6)  # -2 rho / (1 - rho^2)
        -1.333333
        """
        values = self._inside(rho)
        with jax.enable_x64(True):
            return np.asarray(logdet.derivative(self.record, jnp.asarray(values)))[()]

    def _inside(self, rho: ArrayLike) -> np.ndarray:
        """The values of rho as numbers, all inside the bounds."""
        values = as_numbers(rho, "rho")
        a, b = self.bounds
        if not ((values > a) & (values < b)).all():
            raise WeightsError(
                f"rho={show(rho)} is not inside the admissible interval ({a:.6g}, {b:.6g})."
            )
        programs.enter()
        return values

    @property
    def bounds(self) -> Pair:
        """The admissible interval of rho."""
        a, b = np.asarray(self.record.bounds)
        return float(a), float(b)

    @property
    def error(self) -> float:
        """The error of l on `interval`; for "stochastic" and "local", its standard error.

        It is measured at values of rho that are not nodes. Beyond the interval, l is continued to
        the bounds as a straight line in the logit of rho.
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


def _as_interval(given: Any) -> Pair:
    """Check that the interval is two numbers in order; the kernels check the admissible range."""
    pair = items("interval", given, example="(-0.5, 0.5)")
    low, high = (real("interval", end) for end in pair) if len(pair) == 2 else (0.0, 0.0)
    if not low < high:
        raise SpecificationError(
            f"interval={show(pair)}: give two values of rho, the smaller first, such as (-0.5,"
            " 0.5)."
        )
    return low, high


def find_bounds(W: Weights) -> Pair:
    """Find the admissible interval of rho that models of W use.

    It is that of its log-determinant, which is computed once for each content of W.
    """
    return LogDet.build(W).bounds


def build_covering(W: Weights, low: float, high: float) -> LogDet:
    """Build the log-determinant, accurate for logit variables of rho from `low` to `high`.

    It is the usual one if that reaches so far, else one of all but OUTERMOST of the interval.
    """
    usual = LogDet.build(W)
    if covers(usual.record, low, high):
        return usual
    a, b = usual.bounds
    return LogDet.build(W, interval=(a + OUTERMOST * (b - a), b - OUTERMOST * (b - a)))


def improve(W: Weights, usual: LogDet, mass: Mass, dimension: int) -> LogDet:
    """Improve the log-determinant for a posterior that was located by the usual one.

    Parameters
    ----------
    W : Weights
        The weights.
    usual : LogDet
        Its log-determinant by `LogDet.build`.
    mass : Mass
        Where the posterior of the dependence parameters lies.
    dimension : int
        The position of W's parameter among them.

    Returns
    -------
    LogDet
        `usual` itself where it is good enough; one that reaches further; or, where `usual` comes
        from random probes, one that is exact around the posterior.
    """
    s = mass.inside[:, dimension]
    if usual.method != "stochastic":
        low, high = float(s.min()), float(s.max())
        return usual if covers(usual.record, low, high) else build_covering(W, low, high)
    with jax.enable_x64(True):
        rho = np.asarray(to_rho(mass.points[:, dimension], usual.record.bounds))
    centre = float(mass.weight @ rho)
    sd = max(float(np.sqrt(mass.weight @ (rho - centre) ** 2)), NARROWEST)
    key = (W.digest, W.given_bounds, STORED, "local", round(centre / sd), sd)
    try:
        return _from_arrays(cache.recall(key, lambda: _to_arrays(refine(W, usual, centre, sd))))
    except FactorMemoryError:  # `shift` still says how far off the posterior may be
        return usual


def covers(record: LogDetSeries, low: float, high: float) -> bool:
    """Whether a series reaches from `low` to `high` in the logit variable.

    A series that reaches as far as any can counts too.
    """
    ends = np.asarray(record.ends)
    return bool(max(low, -END) >= ends[0] - ROUNDING and min(high, END) <= ends[1] + ROUNDING)


def _build(W: Weights, method: str, interval: Pair | None, tol: float | None) -> LogDet:
    programs.enter()
    start = time.process_time()
    given = None if W.given_bounds is None else W.bounds  # the property checks them
    with jax.enable_x64(True):
        made = _MAKERS[method](W, given, interval, tol)
    return replace(made, seconds=time.process_time() - start)


def _make_automatically(
    W: Weights, bounds: Pair | None, interval: Pair | None, tol: float | None
) -> LogDet:
    dense = W.matrix.nnz > admissible.FULL * W.n**2
    if W.n <= admissible.DENSE or (dense and W.n <= spectrum.DENSE_LIMIT):
        return _make_from_eigenvalues(W, bounds, interval, tol)
    if W.n > LARGE or dense:
        return _make_from_probes(W, bounds, interval, tol)
    try:
        return _make_from_factors(W, bounds, interval, tol)
    except FactorMemoryError:
        return _make_from_probes(W, bounds, interval, tol)


def _make_from_eigenvalues(
    W: Weights, bounds: Pair | None, interval: Pair | None, tol: float | None
) -> LogDet:
    values = spectrum.eigenvalues(W.matrix)
    bounds, cautious = (bounds, False) if bounds else spectrum.cautious_interval(W.matrix, values)
    record = logdet.from_eigenvalues(values, bounds, W.matrix)
    return LogDet(
        record,
        "eigenvalues",
        nodes=W.n,
        shift=0.0,
        seconds=0.0,
        interval=_covered(record),
        cautious=cautious,
    )


def _make_from_factors(
    W: Weights, bounds: Pair | None, interval: Pair | None, tol: float | None
) -> LogDet:
    made = sparse_logdet.sparse_logdet(W.matrix, bounds=bounds, interval=interval, tolerance=tol)
    record = logdet.from_series(made.coef, made.bounds, W.n, made.error, made.ends)
    return LogDet(
        record,
        "sparse",
        nodes=made.nodes,
        shift=0.0,
        seconds=0.0,
        interval=_covered(record),
        cautious=made.cautious,
    )


def _make_from_probes(
    W: Weights, bounds: Pair | None, interval: Pair | None, tol: float | None
) -> LogDet:
    made = stochastic_logdet.stochastic_logdet(
        W.matrix, bounds=bounds, interval=interval, target=TARGET if tol is None else tol
    )
    return LogDet(
        logdet.from_series(made.coef, made.bounds, W.n, made.error, made.ends),
        "stochastic",
        nodes=made.probes,
        shift=made.shift,
        seconds=0.0,
        interval=made.held,
        cautious=made.cautious,
        expansion=made.expansion,
    )


_MAKERS = {
    "auto": _make_automatically,
    "eigenvalues": _make_from_eigenvalues,
    "sparse": _make_from_factors,
    "stochastic": _make_from_probes,
}


def refine(W: Weights, usual: LogDet, centre: float, sd: float) -> LogDet:
    """Refine a log-determinant from probes by factorisations around a posterior.

    `centre` and `sd` are the mean and the standard deviation of rho in the posterior.
    """
    start = time.process_time()
    assert usual.expansion is not None  # every log-determinant from probes has one
    ends = np.asarray(usual.record.ends)
    pilot = stochastic_logdet.StochasticResult(
        coef=np.asarray(usual.record.coef),
        ends=(float(ends[0]), float(ends[1])),
        bounds=usual.bounds,
        error=usual.error,
        shift=usual.shift,
        probes=usual.nodes,
        seconds={},
        how="Chebyshev" if usual.expansion.symmetric else "powers",
        expansion=usual.expansion,
        held=usual.interval,
        cautious=usual.cautious,
    )
    made = local_logdet.refine(W.matrix, pilot, centre, sd)
    return LogDet(
        logdet.from_series(made.coef, made.bounds, W.n, made.error, made.ends),
        "local",
        nodes=made.nodes,
        shift=0.0,
        seconds=time.process_time() - start,
        interval=made.window,
        cautious=usual.cautious,
    )


def _covered(record: LogDetSeries) -> Pair:
    """The interval of rho between the ends of a series."""
    with jax.enable_x64(True):
        low, high = np.asarray(to_rho(record.ends, record.bounds))
    return float(low), float(high)


def _to_arrays(made: LogDet) -> dict[str, np.ndarray]:
    """Take the log-determinant apart for the cache: arrays by the names of the fields."""
    arrays = {name: np.asarray(value) for name, value in made.record._asdict().items()}
    for name in ("method", "nodes", "shift", "seconds", "interval", "cautious"):
        arrays[name] = np.asarray(getattr(made, name))
    if made.expansion is not None:
        for name, value in made.expansion._asdict().items():
            arrays[f"expansion {name}"] = np.asarray(value)
    return arrays


def _from_arrays(arrays: cache.Arrays) -> LogDet:
    """Rebuild the log-determinant that `_to_arrays` took apart."""
    low, high = arrays["interval"]
    return LogDet(
        LogDetSeries(*(leaf(arrays[name]) for name in LogDetSeries._fields)),
        str(arrays["method"]),
        nodes=int(arrays["nodes"]),
        shift=float(arrays["shift"]),
        seconds=float(arrays["seconds"]),
        interval=(float(low), float(high)),
        cautious=bool(arrays["cautious"]),
        expansion=_expansion_from(arrays),
    )


def _expansion_from(arrays: cache.Arrays) -> Expansion | None:
    if "expansion size" not in arrays:
        return None
    parts = {name: arrays[f"expansion {name}"] for name in Expansion._fields}
    own, norm = parts["spread"]
    return Expansion(
        size=int(parts["size"]),
        centre=float(parts["centre"]),
        half=float(parts["half"]),
        symmetric=bool(parts["symmetric"]),
        moments=parts["moments"],
        noise=parts["noise"],
        spread=(float(own), float(norm)),
    )
