"""The model that a user holds: eight constructors, the fits, and the NumPyro model.

The way from the data to the results::

    frame and W
    -> panel
    -> problem (effects, design, R, log-determinants)
    -> posterior
    -> draws
    -> tree
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any, ParamSpec

import jax
import jax.numpy as jnp
import numpy as np

from spillover.engine import memory, programs
from spillover.engine.data.panel import Panel, read_panel
from spillover.engine.estimation import exact, ml, nuts
from spillover.engine.estimation.arguments import SamplingPlan, check_model, plan_sampling
from spillover.engine.estimation.problem import (
    Problem,
    check_problem,
    choose_lagged,
    draw_prior,
    with_method,
)
from spillover.engine.estimation.results import Draws, Fit, build_tree, warn_of_trouble
from spillover.engine.progress import show_sampling
from spillover.engine.weights.weights import Weights
from spillover.kernels.arguments import choice, flag, front_door, front_doors
from spillover.kernels.errors import SpecificationError
from spillover.models import posterior as posteriors
from spillover.models.design import Design
from spillover.models.effects import QUASI
from spillover.models.priors import Priors
from spillover.models.spec import LIKELIHOODS, Spec, specify

P = ParamSpec("P")
SAMPLERS = ("nuts", "exact")
PRIOR_DRAWS = 4_000  # at most: they only serve for figures


@front_doors
@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A specified model on checked data, ready to fit.

    `OLS`, `SLX`, `SAR`, `SEM`, `SDM`, `SDEM`, `SAC` and `GNS` make one.

    Parameters
    ----------
    problem : Problem
        The specification and the data, and what follows from them.

    Examples
    --------
    >>> import spillover as so
    >>> frame, W = so.munnell()
    >>> panel = {"effects": "twoway", "unit": "state", "period": "year"}
    >>> so.SDM("np.log(gsp) ~ np.log(pc) + unemp", frame, W.row_standardize(), **panel)
    SDM('np.log(gsp) ~ np.log(pc) + unemp', effects='twoway'): 48 units x 17 periods, 4 coefficients
    """

    problem: Problem

    def __repr__(self) -> str:
        t, n = self.panel.y.shape
        effects = "" if self.spec.effects == "none" else f", effects={self.spec.effects!r}"
        before = "" if not len(self.panel.before) else f" (after {len(self.panel.before)} for lags)"
        return (
            f"{self.spec.name}({self.formula!r}{effects}): {n} units x {t} periods{before},"
            f" {len(self.design.terms)} coefficients"
        )

    @property
    def spec(self) -> Spec:
        """The terms that the model has, and its effects."""
        return self.problem.spec

    @property
    def formula(self) -> str:
        """The formula as it was given."""
        return self.problem.formula

    @property
    def panel(self) -> Panel:
        """The data as arrays, (T, N) and (T, N, k), with their labels."""
        return self.problem.panel

    @property
    def weights(self) -> Weights:
        """W, (N, N)."""
        return self.problem.weights

    @property
    def error_weights(self) -> Weights:
        """M of the spatial error, (N, N); W unless another was given."""
        return self.problem.error_weights

    @property
    def lagged(self) -> tuple[str, ...]:
        """The regressors that have a W X term."""
        return self.problem.lagged

    @property
    def priors(self) -> Priors:
        """The priors as they were given."""
        return self.problem.priors

    @property
    def design(self) -> Design:
        """The regressors, their labels, and the columns of each variable and of its lag."""
        return self.problem.design

    def fit(
        self,
        sampler: str = "nuts",
        *,
        draws: int = 1000,
        tune: int = 1000,
        chains: int = 4,
        seed: int = 0,
        target_accept: float = 0.8,
        progress: bool = True,
        max_memory: float | None = None,
    ) -> Fit:
        """Draw from the posterior, `draws` times in each of `chains` chains.

        The same seed gives the same draws.

        Parameters
        ----------
        sampler : {"nuts", "exact"}
            "nuts": NumPyro's NUTS, chains side by side; warns of divergences, R-hat above 1.01 and
            effective sample sizes below 400. "exact": independent draws by quadrature, with the
            evidence `Fit.log_marginal_likelihood`; it needs conjugate priors of beta and sigma, and
            takes no random effects.
        draws : int
            Draws of each chain.
        tune : int
            Iterations of each chain that adapt NUTS and are discarded; "exact" ignores it.
        chains : int
            The number of chains.
        seed : int
            Seed of the random numbers.
        target_accept : float
            The acceptance rate, in (0, 1), towards which NUTS adapts its step size.
        progress : bool
            Whether to show a progress bar of NUTS.
        max_memory : float, optional
            Bytes that the draws may take; by default, all that is free.

        Returns
        -------
        Fit
            The posterior.

        Raises
        ------
        SpecificationError
            For a sampler that cannot fit the model, and, before anything is drawn, for more draws
            than fit into memory.
        ConvergenceError
            Where the quadrature of the exact sampler does not converge.

        Examples
        --------
        >>> import spillover as so
        >>> frame, W = so.munnell()
        >>> panel = {"effects": "unit", "unit": "state", "period": "year"}
        >>> model = so.SAR("np.log(gsp) ~ np.log(pc)", frame, W.row_standardize(), **panel)
        >>> model.fit("exact", draws=100, chains=2)
        Fit of SAR('np.log(gsp) ~ np.log(pc)', effects='unit'): 2 chains x 100 draws
        """
        choice("is no sampler", sampler, SAMPLERS)
        plan = plan_sampling(
            draws=draws, tune=tune, chains=chains, seed=seed, target_accept=target_accept
        )
        flag("progress", progress)
        if sampler == "exact" and self.spec.random:
            raise SpecificationError(
                "The exact sampler does not take random effects: use sampler='nuts'."
            )
        kept = plan.draws + (plan.tune if sampler == "nuts" else 0)
        self._check_memory(kept, plan.chains, max_memory)
        programs.enter_and_clear()
        with jax.enable_x64(True):
            prior = draw_prior(self.problem, min(plan.draws, PRIOR_DRAWS), plan.seed)
            if sampler == "exact":
                return Fit(build_tree(self.problem, self._draw(plan), prior))
            drawn = self._sample(plan, progress)
        fit = Fit(build_tree(self.problem, drawn, prior))
        warn_of_trouble(fit.tree)
        return fit

    def _draw(self, plan: SamplingPlan) -> Draws:
        """Independent draws, the error of the quadrature, and the evidence where there is one."""
        drawn = exact.draw(self.problem, plan)
        stats = {"quadrature_error": drawn.error, "quadrature_points": drawn.points}
        about: dict[str, Any] = {"sampler": "exact", "seed": plan.seed}
        if drawn.log_evidence is not None:
            about["log_marginal_likelihood"] = drawn.log_evidence
        arrays = {name: np.asarray(value) for name, value in stats.items()}
        return Draws(drawn.parameters, arrays, about)

    def _sample(self, plan: SamplingPlan, progress: bool) -> Draws:
        """Sample by NUTS; with random effects, compute the evidence too, where there is one.

        Without random effects, the exact sampler gives the evidence.
        """
        with show_sampling(self.spec.name, plan.chains, show=progress) as report:
            chains = nuts.sample(self.problem, plan, report)
        flat = nuts.parameters(self.problem.placed.posterior, chains.flat)
        parameters = {name: np.asarray(values) for name, values in flat.items()}
        about: dict[str, Any] = {"sampler": "nuts", "tune": plan.tune, "seed": plan.seed}
        evidence = exact.try_evidence(self.problem) if self.spec.random else None
        if evidence is not None:
            about["log_marginal_likelihood"] = evidence
        return Draws(parameters, chains.stats, about)

    def _check_memory(self, draws: int, chains: int, max_memory: float | None) -> None:
        """Refuse, by a SpecificationError, more draws than fit into memory."""
        terms = len(self.design.terms)
        need = memory.estimate_draws(draws * chains, terms + len(self.problem.dependence) + 1)
        what = (
            f"{memory.format_count(draws)} draws of {memory.format_count(chains)} chains with"
            f" {terms} coefficients"
        )
        memory.check(need, what, "take fewer draws", max_memory)

    def fit_ml(self, *, method: str = "transformed", information: str = "observed") -> ml.MLFit:
        """Fit by maximum likelihood.

        With period effects and a W whose row sums differ, "transformed" is a quasi-likelihood:
        estimates are centred on the truth, log-likelihoods cannot be compared, and the information
        is the observed one. Under it, 95 % posterior intervals of SAR held the truth 94 to 96 % of
        the time (bench/coverage.py).

        Parameters
        ----------
        method : {"transformed", "direct", "lsdv"}
            The likelihood. "transformed": that of Lee & Yu (2010). "direct": demeans first and then
            lags, with N T observations and T log|S|, as most panel packages do; biased for short
            panels. "lsdv": the same, but lags first and then demeans: the likelihood with dummies.
        information : {"observed", "expected"}
            What the standard errors come from: the curvature at the estimates, by automatic
            differentiation, or its expectation.

        Returns
        -------
        MLFit
            Estimates, standard errors, impacts.

        Raises
        ------
        SpecificationError
            For a method or an information that the model does not allow.
        ConvergenceError
            Where the likelihood has no interior maximum.

        Examples
        --------
        >>> import spillover as so
        >>> frame, W = so.munnell()
        >>> panel = {"effects": "unit", "unit": "state", "period": "year"}
        >>> model = so.SAR("np.log(gsp) ~ np.log(pc)", frame, W.row_standardize(), **panel)
        >>> list(model.fit_ml().params.index)
        ['np.log(pc)', 'rho', 'sigma']
        """
        choice("is no method", method, LIKELIHOODS)
        choice("is no information", information, ml.INFORMATION)
        problem = with_method(self.problem, method)
        if information == "expected" and problem.effects.quasi:
            raise SpecificationError(
                f"{QUASI}; what it expects of the curvature depends on the effects: leave out"
                " information='expected'."
            )
        if information == "expected" and self.spec.random:
            raise SpecificationError(
                "With random effects the information is the observed one: leave out"
                " information='expected'."
            )
        programs.enter_and_clear()
        return ml.fit(problem, information)

    def log_evidence(self) -> float | None:
        """log p(y), as `Fit.log_marginal_likelihood`, but without drawing.

        Returns
        -------
        float or None
            None where a prior is improper or not conjugate, and for a quasi-likelihood.

        Raises
        ------
        ConvergenceError
            Where the quadrature does not converge.
        """
        return exact.integrate_evidence(self.problem)

    @property
    def numpyro_model(self) -> Callable[[], None]:
        """The NumPyro model, without arguments, for your own inference.

        beta, rho, lam and sigma are its deterministic sites. Its arrays take the precision in force
        when it is made: call `numpyro.enable_x64()` first for float64.
        """
        programs.enter()
        with jax.enable_x64(True):
            on_host = jax.tree.map(np.asarray, self.problem.placed.posterior)
        return posteriors.bind(jax.tree.map(jnp.asarray, on_host))


@dataclass(frozen=True)
class Options:
    """What a model's constructor takes besides formula, data and weights."""

    effects: str = "none"
    unit: str | None = None
    period: str | None = None
    error_weights: Weights | None = None
    lagged: Sequence[str] | None = None
    priors: Priors | None = None
    formula_functions: Mapping[str, Callable[..., Any]] | None = None


def specify_model(name: str, formula: str, data: Any, weights: Weights, options: Options) -> Model:
    """Make a checked model; any mistake in the arguments or the data is an error here."""
    spec, other = specify(name, options.effects), options.error_weights
    priors = Priors() if options.priors is None else options.priors
    check_model(weights, other, priors, unit=options.unit, period=options.period)
    if other is not None and not spec.error:
        raise SpecificationError(
            f"{name} has no spatial error: leave out error_weights, or choose SEM, SDEM, SAC or"
            " GNS."
        )
    panel = read_panel(
        formula,
        data,
        weights,
        effects=spec.effects,
        unit=options.unit,
        period=options.period,
        functions=options.formula_functions,
    )
    problem = Problem(
        spec=spec,
        formula=formula,
        panel=panel,
        weights=weights,
        error_weights=weights if other is None else other[weights.ids],
        lagged=choose_lagged(spec, panel, options.lagged),
        priors=priors,
    )
    return Model(check_problem(problem))


@front_door
def GNS(
    formula: str,
    data: Any,
    weights: Weights,
    *,
    effects: str = "none",
    unit: str | None = None,
    period: str | None = None,
    error_weights: Weights | None = None,
    lagged: Sequence[str] | None = None,
    priors: Priors | None = None,
    formula_functions: Mapping[str, Callable[..., Any]] | None = None,
) -> Model:
    """GNS: y = rho W y + X beta + W X theta + u, u = lam M u + e, e ~ N(0, sigma^2 I).

    Parameters
    ----------
    formula : str
        Such as "y ~ x1 + np.log(x2)": columns, numbers, operators and the functions that the README
        lists; it is never run as code. lag(x, k) and diff(x) work within units; the first periods,
        which they use up, are left out of the model.
    data : DataFrame, path or Dask dataframe
        A pandas DataFrame or the path of a .csv file; or, read in chunks, the path of a Parquet
        file or folder, or a Dask dataframe. Rows may come in any order: units are matched to
        `weights.ids` by label. A panel has to be balanced.
    weights : Weights
        W, (N, N).
    effects : str
        "none"; "unit", "period" or "twoway", fixed effects, removed by the transformed likelihood
        of Lee & Yu (2010) or, with period effects and a W whose row sums differ, by a
        quasi-likelihood without evidence (see `Model.fit_ml`); "random",
        alpha_i ~ N(0, sigma_alpha^2) for each unit; "correlated_random", which adds the means over
        time of X and W X.
    unit, period : str, optional
        The columns that hold the units and the periods; a cross-section without `unit` takes its
        units from the index of the frame.
    error_weights : Weights, optional
        M of the spatial error, (N, N); W unless given.
    lagged : sequence of str, optional
        The regressors that get a W X term; all but the constant unless given.
    priors : Priors, optional
        The priors; `Priors()` unless given.
    formula_functions : mapping, optional
        Functions of your own that the formula may call, such as {"half": lambda x: x / 2}.

    Returns
    -------
    Model
        Ready to fit.

    Raises
    ------
    SpilloverError
        For arguments or data that do not fit: the message names the culprit and the remedy.

    Examples
    --------
    >>> import spillover as so
    >>> frame, W = so.munnell()
    >>> panel = {"effects": "twoway", "unit": "state", "period": "year"}
    >>> so.GNS("np.log(gsp) ~ np.log(pc)", frame, W.row_standardize(), **panel).spec
    Spec(name='GNS', effects='twoway')

    References
    ----------
    Elhorst (2014), Spatial Econometrics, chapters 2 and 3; LeSage & Pace (2009), Introduction to
    Spatial Econometrics, chapter 2; Lee & Yu (2010), Journal of Econometrics 154, 165-185.
    """
    options = Options(
        effects=effects,
        unit=unit,
        period=period,
        error_weights=error_weights,
        lagged=lagged,
        priors=priors,
        formula_functions=formula_functions,
    )
    return specify_model("GNS", formula, data, weights, options)


def _without(name: str, equation: str, general: Callable[P, Model]) -> Callable[P, Model]:
    """Make the constructor of a model that lacks some terms of the general one."""
    signature = inspect.signature(general)

    @wraps(general)
    def make(*args: P.args, **kwargs: P.kwargs) -> Model:
        given = dict(signature.bind(*args, **kwargs).arguments)
        formula, data, weights = (given.pop(key) for key in ("formula", "data", "weights"))
        return specify_model(name, formula, data, weights, Options(**given))

    _, rest = (general.__doc__ or "").split("\n", 1)
    make.__doc__ = f"{name}: {equation}\n{rest}".replace("GNS", name)
    make.__name__ = make.__qualname__ = name
    return front_door(make)


OLS = _without("OLS", "y = X beta + e, e ~ N(0, sigma^2 I).", GNS)
SLX = _without("SLX", "y = X beta + W X theta + e, e ~ N(0, sigma^2 I).", GNS)
SAR = _without("SAR", "y = rho W y + X beta + e, e ~ N(0, sigma^2 I).", GNS)
SEM = _without("SEM", "y = X beta + u, u = lam M u + e, e ~ N(0, sigma^2 I).", GNS)
SDM = _without("SDM", "y = rho W y + X beta + W X theta + e, e ~ N(0, sigma^2 I).", GNS)
SDEM = _without("SDEM", "y = X beta + W X theta + u, u = lam M u + e, e ~ N(0, sigma^2 I).", GNS)
SAC = _without("SAC", "y = rho W y + X beta + u, u = lam M u + e, e ~ N(0, sigma^2 I).", GNS)
