"""A model, from a formula to its fits: frame and W -> panel -> design -> R and log-determinant ->
posterior -> draws -> results.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sparse

from spillover.engine import memory, programs
from spillover.engine.data.panel import Panel, read_panel
from spillover.engine.estimation import exact, ml, nuts, results
from spillover.engine.estimation.arguments import check_model, check_sizes, sampling_plan
from spillover.engine.progress import sampling
from spillover.engine.weights.channels import on_contrasts
from spillover.engine.weights.logdet import LogDet, build_covering, improved
from spillover.engine.weights.weights import Weights
from spillover.kernels.arguments import choice, flag, front_door, front_doors, texts
from spillover.kernels.arrays import leaf
from spillover.kernels.errors import ConvergenceError, DataError, SpecificationError
from spillover.kernels.moments import merge, parts_of, split, stacked
from spillover.models import design as designs
from spillover.models import posterior as posteriors
from spillover.models import profile
from spillover.models.design import INTERCEPT, Design
from spillover.models.effects import (
    QUASI,
    Transformation,
    choose_transformation,
    factorize,
    factorize_levels,
)
from spillover.models.likelihood import ONCE, Likelihood, dependence
from spillover.models.mode_search import Mass, centre_and_scale, explore
from spillover.models.posterior import Posterior
from spillover.models.prior_arrays import Prior, measure_scales, resolve
from spillover.models.prior_draws import draw, draw_spread
from spillover.models.priors import Priors
from spillover.models.spec import LIKELIHOODS, Spec, specify
from spillover.models.supports import Supports, narrow, reach, widen_points

SAMPLERS = ("nuts", "exact")
PRIOR_DRAWS = 4_000  # at most: they are for pictures
Reach = tuple[float, float]
Density = Callable[[np.ndarray], jax.Array]


@front_doors
@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A specified model on checked data, ready to fit. `OLS`, `SLX`, `SAR`, `SEM`, `SDM`, `SDEM`,
    `SAC` and `GNS` make one.
    """

    spec: Spec
    formula: str
    panel: Panel
    weights: Weights
    error_weights: Weights
    lagged: tuple[str, ...]
    priors: Priors

    def __repr__(self) -> str:
        t, n = self.panel.y.shape
        effects = "" if self.spec.effects == "none" else f", effects={self.spec.effects!r}"
        before = "" if not len(self.panel.before) else f" (after {len(self.panel.before)} for lags)"
        return (
            f"{self.spec.name}({self.formula!r}{effects}): {n} units x {t} periods{before},"
            f" {len(self.design.terms)} coefficients"
        )

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
    ) -> results.Fit:
        """Draws from the posterior, `chains` times `draws`.

        "nuts": NumPyro's NUTS, chains side by side, `tune` iterations discarded of each; warns of
        divergences, R-hat above 1.01 and effective sample sizes below 400. "exact": independent
        draws by quadrature, with the evidence `fit.log_marginal_likelihood`, for conjugate priors
        of beta and sigma and fixed effects; `tune` and `target_accept` do not matter. The same
        seed, the same draws. `max_memory`: bytes that the draws may take, by default what is free;
        SpecificationError, before anything is drawn, for more.
        """
        draws, tune, chains, seed, target_accept = sampling_plan(
            sampler, SAMPLERS, draws, tune, chains, seed, target_accept
        )
        flag("progress", progress)
        if sampler == "exact" and self.spec.random:
            raise SpecificationError(
                "The exact sampler does not take random effects: use sampler='nuts'."
            )
        self._check_memory(draws + (tune if sampler == "nuts" else 0), chains, max_memory)
        programs.enter_and_clear()
        with jax.enable_x64(True):
            posterior, mass = self._posterior
            before = self._prior_draws(posterior, min(draws, PRIOR_DRAWS), seed)
            if sampler == "exact":
                found = exact.draw(posterior, draws=draws, chains=chains, seed=seed)
                return results.Fit(
                    results.build_tree(
                        self, found.parameters, before, *_about(found, seed, self.effects)
                    )
                )
            start = nuts.starting_points(posterior, mass.points, mass.weight, chains, seed)
            with sampling(self.spec.name, chains, show=progress) as report:
                path = nuts.sample(
                    posterior,
                    start,
                    tune=tune,
                    draws=draws,
                    seed=seed,
                    target_accept=target_accept,
                    report=report,
                )
            parameters = {
                name: np.asarray(values)
                for name, values in nuts.parameters(posterior, path.flat).items()
            }
        about = {
            "sampler": sampler,
            "tune": tune,
            "seed": seed,
            **_quasi(self.effects),
            **self._evidence_of_random_effects(),
        }
        fit = results.Fit(results.build_tree(self, parameters, before, path.stats, about))
        results.warn_of_trouble(fit.tree)
        return fit

    def _check_memory(self, draws: int, chains: int, max_memory: float | None) -> None:
        """SpecificationError for more draws than there is memory for."""
        need = memory.of_draws(draws * chains, len(self.design.terms) + len(self.dependence) + 1)
        what = (
            f"{memory.plain(draws)} draws of {memory.plain(chains)} chains with"
            f" {len(self.design.terms)} coefficients"
        )
        memory.check(need, what, "take fewer draws", max_memory)

    def fit_ml(self, *, method: str = "transformed", information: str = "observed") -> ml.MLFit:
        """Maximum likelihood. `method`: "transformed" (Lee & Yu 2010), "direct" (demean, then lag;
        N T observations and T log|S|, as most panel packages do: biased for short panels) or "lsdv"
        (the same with W before demeaning, the likelihood with dummies). `information`: "observed"
        (automatic differentiation) or "expected", for the standard errors.

        With period effects and a W whose rows do not all have one sum, "transformed" is a
        quasi-likelihood: estimates and intervals are right (the standard error by its curvature was
        1.01 of the true one in simulations), log-likelihoods do not compare, and the information is
        the observed one.

        ConvergenceError where the likelihood has no interior maximum.
        """
        choice("is no method", method, LIKELIHOODS)
        choice("is no information", information, ml.INFORMATION)
        if information == "expected" and self.effects_for(method).quasi:
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
        return ml.fit(self, method, information)

    def _prior_draws(self, posterior: Posterior, size: int, seed: int) -> dict[str, np.ndarray]:
        """Draws from what is proper of the prior, to hold against the posterior."""
        parts = dependence(posterior.likelihood)
        bounds = tuple(np.asarray(part.bounds) for part in parts)
        rng = np.random.default_rng(seed)
        found = draw(posterior.prior, bounds, self.dependence, size, rng)
        if self.spec.random:
            spread = draw_spread(
                posterior.prior, found.get("sigma"), len(self.panel.periods), size, rng
            )
            found |= {} if spread is None else {"sigma_alpha": spread}
        return found

    @property
    def dependence(self) -> tuple[str, ...]:
        """The dependence parameters that the model has: rho, lam."""
        return tuple(
            name for name, present in (("rho", self.spec.lag), ("lam", self.spec.error)) if present
        )

    @property
    def numpyro_model(self) -> Callable[[], None]:
        """The NumPyro model, without arguments, for inference of one's own; beta, rho, lam and
        sigma are its deterministic sites.

        Its arrays take the precision in force where it is made: call `numpyro.enable_x64()` before
        for float64.
        """
        programs.enter()
        with jax.enable_x64(True):
            posterior, _ = self._posterior
            on_host = jax.tree.map(np.asarray, posterior)
        return posteriors.bind(jax.tree.map(jnp.asarray, on_host))

    @cached_property
    def design(self) -> Design:
        """The regressors, their labels, and which of them are own and lagged effects of
        a variable.
        """
        return self.design_for(self.effects)

    @cached_property
    def effects(self) -> Transformation:
        """What the fixed effects do to the data and the likelihood."""
        return self.effects_for("transformed")

    def effects_for(self, likelihood: str) -> Transformation:
        """The row of the effects' table for a kind of likelihood."""
        t, n = self.panel.y.shape
        closed = all(weights.row_sum is not None for weights in self._spatial)
        return choose_transformation(self.spec, n, t, closed=closed, likelihood=likelihood)

    def design_for(self, effects: Transformation) -> Design:
        labels = tuple(f"{self.panel.period_name}[{label}]" for label in self.panel.periods)[
            len(self.panel.periods) - effects.dummies :
        ]
        x, names, matrix = self.panel.x, self.panel.names, self.weights.matrix
        if self.spec.effects != "correlated_random":
            return designs.build(x, names, self.lagged, matrix, labels)
        mean, others = designs.average_over_time(x, names, matrix)
        wide = np.concatenate([x, np.broadcast_to(mean, (len(x), *mean.shape))], axis=2)
        return designs.build(wide, (*names, *others), self.lagged, matrix, labels, others)

    def factor(self, effects: Transformation) -> tuple[np.ndarray, tuple[str, ...]]:
        """R of the lag basis after the effects, and the part each column plays; within units, with
        random effects. DataError for a response that leaves nothing to estimate sigma from.
        """
        if self.spec.random:
            factor, parts = (
                self._levels[0],
                parts_of(len(self.design.terms), self.spec.lag, self.spec.error),
            )
        else:
            factor, parts = factorize(
                self.panel.y, self.design_for(effects).regressors, effects, *self._matrices
            )
        self.check_response(factor, parts, effects)
        return factor, parts

    def check_response(
        self, factor: np.ndarray, parts: tuple[str, ...], effects: Transformation
    ) -> None:
        """DataError for a response that leaves nothing to estimate sigma from."""
        size, terms = float(np.linalg.norm(self.panel.y)), self.design_for(effects).terms
        within = replace(effects, over_periods=effects.over_periods or self.spec.random)
        designs.check_response(self.panel.response, size, factor, parts, terms, within)

    @property
    def _matrices(self) -> tuple[sparse.csr_array | None, sparse.csr_array | None]:
        """W and M, where the model has them."""
        return (
            self.weights.matrix if self.spec.lag else None,
            self.error_weights.matrix if self.spec.error else None,
        )

    @cached_property
    def _levels(self) -> tuple[np.ndarray, np.ndarray]:
        """R within units and R of their means, for random effects."""
        return factorize_levels(self.panel.y, self.design.regressors, self.effects, *self._matrices)

    def explored(
        self,
        factor: np.ndarray,
        parts: tuple[str, ...],
        effects: Transformation,
        density_of: Callable[[Likelihood], Density],
        bounds: Supports | None = None,
    ) -> tuple[Likelihood, Mass]:
        """The data as a likelihood needs them, and where `density_of` it has its mass in (rho,
        lam), the log-determinants good there.

        `bounds`: hard ones of the prior that the density heeds; its logit variables are on what
        they leave of the admissible intervals.
        """
        usual = tuple(LogDet.build(weights) for weights in self._spatial)
        likelihood = self._likelihood(factor, parts, effects, usual)
        mass = explore(density_of(likelihood), likelihood.dimensions, reach(likelihood, bounds))
        full = mass._replace(points=widen_points(likelihood, bounds, mass.points))
        better = tuple(
            improved(*pair, full, i)
            for i, pair in enumerate(zip(self._spatial, usual, strict=True))
        )
        if all(one is other for one, other in zip(better, usual, strict=True)):
            return likelihood, mass
        likelihood = self._likelihood(factor, parts, effects, better)
        return likelihood, explore(
            density_of(likelihood), likelihood.dimensions, reach(likelihood, bounds)
        )

    @property
    def _spatial(self) -> tuple[Weights, ...]:
        """The weights of each of the dependence parameters."""
        return (self.weights,) * self.spec.lag + (self.error_weights,) * self.spec.error

    def _likelihood(
        self,
        factor: np.ndarray,
        parts: tuple[str, ...],
        effects: Transformation,
        found: Sequence[LogDet],
    ) -> Likelihood:
        """The data, with the log-determinant of each of the dependence parameters."""
        pairs = zip(self._spatial, found, strict=True)
        records = [
            on_contrasts(weights, one) if effects.contrasts else one.record
            for weights, one in pairs
        ]
        lag, error = (
            records.pop(0) if present else None for present in (self.spec.lag, self.spec.error)
        )
        between = split(self._levels[1], parts) if self.spec.random else None
        return Likelihood(
            split(factor, parts), lag, error, leaf(effects.nu), leaf(effects.multiplicity), between
        )

    def unplaced(self, reach: tuple[Reach, Reach] = ((0.0, 0.0), (0.0, 0.0))) -> Posterior:
        """The posterior before anything is known of where it lies, its log-determinants good for
        logit variables within `reach`, of rho and of lam, whether the model has them or not.
        """
        factor, parts, prior = self._with_prior
        ends = [
            part
            for part, there in zip(reach, (self.spec.lag, self.spec.error), strict=True)
            if there
        ]
        found = tuple(
            build_covering(weights, *part)
            for weights, part in zip(self._spatial, ends, strict=True)
        )
        likelihood = self._likelihood(factor, parts, self.effects, found)
        self._refuse_improper(likelihood, prior)
        return Posterior(
            likelihood,
            prior,
            leaf(np.zeros(len(self.dependence))),
            leaf(np.ones(len(self.dependence))),
        )

    def _refuse_improper(self, likelihood: Likelihood, prior: Prior) -> None:
        """SpecificationError where a quasi-likelihood makes a posterior that has no integral."""
        if not self.effects.quasi:
            return
        for name, bounds, grows in zip(
            self.dependence, *posteriors.find_growth(likelihood, prior), strict=True
        ):
            for bound, there in zip(bounds, grows, strict=True):
                if there:
                    raise SpecificationError(
                        f"The posterior of {name} has no integral: towards {bound:.6g}, the end of"
                        " its interval, the quasi-likelihood of period effects with this W grows"
                        " without bound. Row-standardise W."
                    )

    @cached_property
    def _with_prior(self) -> tuple[np.ndarray, tuple[str, ...], Prior]:
        """R with the prior's rows, the part each column plays, and the prior."""
        factor, parts = self.factor(self.effects)
        whole = merge(*self._levels) if self.spec.random else factor
        scale = measure_scales(
            whole, parts, self.design.terms, self.residual_scale, self.effects.nu
        )
        prior = resolve(
            self.priors, self.design.terms, scale, self.dependence, random=self.spec.random
        )
        if prior.supports is not None:
            admissible = tuple(LogDet.build(weights).bounds for weights in self._spatial)
            prior = prior._replace(supports=narrow(prior.supports, self.dependence, admissible))
        return (
            stacked(factor, parts, np.asarray(prior.root), np.asarray(prior.target)),
            parts,
            prior,
        )

    @cached_property
    def residual_scale(self) -> float:
        """What the default priors take for sigma: with random effects that of the contrasts over
        time, in which the effects are not.
        """
        effects = self.effects
        if self.spec.random:
            free = len(self.panel.periods) - 1
            effects = replace(effects, nu=free * self.weights.n, multiplicity=free)
        factor, parts = self.factor(self.effects)
        usual = tuple(LogDet.build(weights) for weights in self._spatial)
        return profile.residual_scale(
            self._likelihood(factor, parts, effects, usual)._replace(between=None)
        )

    @cached_property
    def _posterior(self) -> tuple[Posterior, Mass]:
        """The posterior with its prior, and where (rho, lam) have their mass."""
        with jax.enable_x64(True):
            factor, parts, prior = self._with_prior
            likelihood, mass = self.explored(
                factor,
                parts,
                self.effects,
                lambda data: partial(_collapsed, data, prior),
                prior.supports,
            )
            self._refuse_improper(likelihood, prior)
            centre, spread = centre_and_scale(mass)
            return Posterior(likelihood, prior, leaf(centre), leaf(spread)), mass

    def _evidence_of_random_effects(self) -> dict[str, float]:
        """What a fit by NUTS records of it, where it is to be had; for fixed effects the exact
        sampler does.
        """
        try:
            found = self.log_evidence() if self.spec.random else None
        except ConvergenceError:
            found = None
        return {} if found is None else {"log_marginal_likelihood": found}

    def log_evidence(self) -> float | None:
        """log p(y), as `Fit.log_marginal_likelihood`, without drawing; None where a prior is
        improper or not conjugate, and for a quasi-likelihood.
        """
        with jax.enable_x64(True):
            return (
                None if self.effects.quasi else exact.evidence_of(*self._posterior, self._density)
            )

    def _density(self, points: np.ndarray) -> jax.Array:
        """log p(y, s), beta and sigma integrated out, at logit variables."""
        return _collapsed(self._posterior[0].likelihood, self._with_prior[2], points)


def _about(
    found: exact.Exact, seed: int, effects: Transformation
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What to record of exact draws: how good the quadrature was, and the evidence where there is
    one.
    """
    stats = {
        "quadrature_error": np.asarray(found.error),
        "quadrature_points": np.asarray(found.points),
    }
    none = found.log_evidence is None or effects.quasi
    evidence = {} if none else {"log_marginal_likelihood": found.log_evidence}
    return stats, {"sampler": "exact", "seed": seed, **_quasi(effects), **evidence}


def _quasi(effects: Transformation) -> dict[str, str]:
    """What a fit records of a likelihood that is none."""
    return {"likelihood": "quasi"} if effects.quasi else {}


@partial(jax.jit, compiler_options=ONCE)
def _collapsed(likelihood: Likelihood, prior: Prior, points: jax.Array) -> jax.Array:
    # not vmap: see nuts.parameters
    return jax.lax.map(lambda s: posteriors.collapsed_log_density(likelihood, prior, s), points)


@dataclass(frozen=True)
class Options:
    """What a model's constructor takes beside formula, data and weights."""

    effects: str = "none"
    unit: str | None = None
    period: str | None = None
    error_weights: Weights | None = None
    lagged: Sequence[str] | None = None
    priors: Priors = field(default_factory=Priors)
    formula_functions: Mapping[str, Callable] | None = None


def specify_model(name: str, formula: str, data: Any, weights: Weights, options: Options) -> Model:
    """A checked model; every mistake in the arguments or the data is an error here."""
    spec = specify(name, options.effects)
    check_model(
        weights, options.error_weights, options.priors, unit=options.unit, period=options.period
    )
    if options.error_weights is not None and not spec.error:
        raise SpecificationError(
            f"{name} has no spatial error: leave out error_weights, or choose SEM, SDEM, SAC or"
            " GNS."
        )
    given: dict[str, Any] = {
        "unit": options.unit,
        "period": options.period,
        "functions": options.formula_functions,
    }
    panel = read_panel(formula, data, weights, effects=spec.effects, **given)
    error_weights = weights if options.error_weights is None else options.error_weights[weights.ids]
    model = Model(
        spec,
        formula,
        panel,
        weights,
        error_weights,
        lagged_variables(spec, panel, options.lagged),
        options.priors,
    )
    return checked(model)


def checked(model: Model) -> Model:
    """The model itself. DataError names a response that does not vary, a column that the effects
    absorb or that others make up, or says that there are too many; SpecificationError where no
    likelihood takes the effects out.
    """
    check_sizes(model.panel, model.weights, model.error_weights)
    if np.ptp(model.panel.y) == 0:
        raise DataError(
            f"The response {model.panel.response!r} is {model.panel.y.flat[0]:g} everywhere: there"
            " is nothing to explain."
        )
    if (
        model.effects.quasi
        and model.spec.lag
        and model.spec.error
        and model.weights != model.error_weights
    ):
        raise SpecificationError(
            f"{model.spec.name} with effects={model.spec.effects!r} and other error_weights: the"
            " corrected score of this model is not the gradient of any likelihood. Leave out"
            " error_weights, or row-standardise both."
        )
    designs.check(model.design, model.effects)
    if len(model.design.terms) >= model.effects.nu:
        raise DataError(
            f"{len(model.design.terms)} coefficients for {model.effects.nu} observations after the"
            " effects: drop some regressors."
        )
    return model


def lagged_variables(spec: Spec, panel: Panel, lagged: Sequence[str] | None) -> tuple[str, ...]:
    """The regressors that get a W X term: those given, else all but the constant; none in a model
    without such terms.
    """
    variables = tuple(name for name in panel.names if name != INTERCEPT)
    if not spec.durbin:
        if lagged is not None:
            raise SpecificationError(
                f"{spec.name} has no lagged regressors: leave out lagged=, or choose SLX, SDM, SDEM"
                " or GNS."
            )
        return ()
    if lagged is None:
        return variables
    given = texts("lagged", lagged, example=f"[{variables[0]!r}]")
    for name in given:
        if name not in variables:
            choice("is no regressor to lag called", name, variables)
    return tuple(name for name in variables if name in given)


def _family(name: str, equation: str) -> Callable[..., Model]:
    """The public constructor of one model of the family."""

    @front_door
    def make(
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
        formula_functions: Mapping[str, Callable] | None = None,
    ) -> Model:
        given = Priors() if priors is None else priors
        options = Options(effects, unit, period, error_weights, lagged, given, formula_functions)
        return specify_model(name, formula, data, weights, options)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"""{name}: {equation}

    formula: "y ~ x1 + np.log(x2)", of columns, numbers, operators and the functions that the README
    lists, nothing of it run as code; lag(x, k) and diff(x) work within units, and the first
    periods, which they use up, are no part of the model. data: a frame, rows in any order, or what
    is read in chunks: the path of a Parquet file or folder, a Dask dataframe; or the path of a .csv
    file. Units are matched to weights.ids by label (the index, or the column `unit`); a panel names
    its `period` column too and is balanced. effects: "none", "unit", "period" or "twoway", taken
    out by the transformed likelihood of Lee & Yu (2010), or, with period effects and rows of W that
    do not all have one sum, by a quasi-likelihood without evidence (see `fit_ml`); "random",
    alpha_i ~ N(0, sigma_alpha^2) for each unit, and "correlated_random", which adds the means over
    time of X and W X. error_weights: M of the spatial error, W unless given. lagged: the regressors
    that get a W X term, all but the constant unless given. priors: `Priors`. formula_functions:
    functions of your own that the formula may call, {{"half": lambda x: x / 2}}. Returns a `Model`;
    SpilloverError says what does not fit.
    """
    return make


OLS = _family("OLS", "y = X beta + e")
SLX = _family("SLX", "y = X beta + W X theta + e")
SAR = _family("SAR", "y = rho W y + X beta + e")
SEM = _family("SEM", "y = X beta + u, u = lam M u + e")
SDM = _family("SDM", "y = rho W y + X beta + W X theta + e")
SDEM = _family("SDEM", "y = X beta + W X theta + u, u = lam M u + e")
SAC = _family("SAC", "y = rho W y + X beta + u, u = lam M u + e")
GNS = _family("GNS", "y = rho W y + X beta + W X theta + u, u = lam M u + e")
