"""The problem that every estimator takes: a specification on checked data, and its arrays.

Each step is computed once, when it is first needed::

    panel, W, M
    -> effects and design
    -> R of the lag basis
    -> log-determinants
    -> likelihood and posterior
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import NamedTuple

import jax
import numpy as np
import scipy.sparse as sparse

from spillover.engine.data.panel import Panel
from spillover.engine.estimation.arguments import check_sizes
from spillover.engine.weights.channels import restrict_to_contrasts
from spillover.engine.weights.logdet import LogDet, build_covering, find_bounds, improve
from spillover.engine.weights.weights import Weights
from spillover.kernels.arguments import choice, texts
from spillover.kernels.arrays import leaf
from spillover.kernels.errors import DataError, SpecificationError
from spillover.kernels.moments import append_rows, merge, parts_of, split
from spillover.models import design as designs
from spillover.models import profile
from spillover.models.design import INTERCEPT, Design
from spillover.models.effects import (
    Transformation,
    choose_transformation,
    factorize,
    factorize_levels,
)
from spillover.models.likelihood import ONCE, Likelihood
from spillover.models.mode_search import Mass, centre_and_scale, explore
from spillover.models.posterior import Posterior, collapsed_log_density, find_growth
from spillover.models.prior_arrays import Prior, measure_scales, resolve
from spillover.models.prior_draws import draw, draw_spread
from spillover.models.priors import Priors
from spillover.models.spec import Spec
from spillover.models.supports import Supports, narrow, reach, widen_points

Reach = tuple[float, float]  # the ends of an interval of a logit variable
Density = Callable[[np.ndarray], jax.Array]
NOWHERE: tuple[Reach, Reach] = ((0.0, 0.0), (0.0, 0.0))


class LagFactor(NamedTuple):
    """R of the lag basis Z = QR after the effects, and the part that each column of Z plays.

    `triangle`: R, at most (p, p); with random effects, of the variation within units. `parts`: for
    each of the p columns, the field of `Moments` that it belongs to.
    """

    triangle: np.ndarray
    parts: tuple[str, ...]


class Placed(NamedTuple):
    """A posterior, and where (rho, lam) have their mass under it."""

    posterior: Posterior
    mass: Mass


@dataclass(frozen=True, eq=False)
class Problem:
    """A specified model on checked data, as samplers, maximum likelihood, tests and sweeps take it.

    Parameters
    ----------
    spec : Spec
        The terms that the model has, and its effects.
    formula : str
        As the user wrote it.
    panel : Panel
        y, (T, N), and X, (T, N, k), with their labels.
    weights, error_weights : Weights
        W, for the lags, and M, for the errors, both (N, N) in the order of the panel's units.
    lagged : tuple of str
        The regressors that have a W X term.
    priors : Priors
        As the user wrote them.
    method : str
        The kind of likelihood: "transformed", "direct" or "lsdv".
    """

    spec: Spec
    formula: str
    panel: Panel
    weights: Weights
    error_weights: Weights
    lagged: tuple[str, ...]
    priors: Priors
    method: str = "transformed"

    @property
    def dependence(self) -> tuple[str, ...]:
        """The names of the dependence parameters that the model has, of "rho" and "lam"."""
        present = {"rho": self.spec.lag, "lam": self.spec.error}
        return tuple(name for name, there in present.items() if there)

    @property
    def spatial(self) -> tuple[Weights, ...]:
        """The weights of each dependence parameter: W for rho, M for lam."""
        return (self.weights,) * self.spec.lag + (self.error_weights,) * self.spec.error

    @property
    def matrices(self) -> tuple[sparse.csr_array | None, sparse.csr_array | None]:
        """The matrices W and M; None for one that the model does not use."""
        w = self.weights.matrix if self.spec.lag else None
        return w, self.error_weights.matrix if self.spec.error else None

    @cached_property
    def effects(self) -> Transformation:
        """What the fixed effects do to the data and the likelihood."""
        t, n = self.panel.y.shape
        closed = all(weights.row_sum is not None for weights in self.spatial)
        return choose_transformation(self.spec, n, t, closed=closed, likelihood=self.method)

    @cached_property
    def design(self) -> Design:
        """The regressors, their labels, and the columns of each variable and of its lag."""
        return build_design(self, self.effects)

    @cached_property
    def levels(self) -> tuple[np.ndarray, np.ndarray]:
        """R of the variation within units and R of the unit means, for random effects."""
        return factorize_levels(self.panel.y, self.design.regressors, self.effects, *self.matrices)

    @cached_property
    def factor(self) -> LagFactor:
        """R of the lag basis.

        DataError for a response that leaves nothing from which to estimate sigma.
        """
        if self.spec.random:
            parts = parts_of(len(self.design.terms), self.spec.lag, self.spec.error)
            factor = LagFactor(self.levels[0], parts)
        else:
            regressors = self.design.regressors
            factor = LagFactor(*factorize(self.panel.y, regressors, self.effects, *self.matrices))
        check_response(self, factor, self.effects)
        return factor

    @cached_property
    def residual_scale(self) -> float:
        """The residual standard deviation to which the default priors are scaled.

        With random effects it is that of the contrasts over time, which are free of the effects.
        """
        effects = self.effects
        if self.spec.random:
            free = len(self.panel.periods) - 1
            effects = replace(effects, nu=free * self.weights.n, multiplicity=free)
        usual = tuple(LogDet.build(weights) for weights in self.spatial)
        likelihood = build_likelihood(self, self.factor, usual, effects)
        return profile.residual_scale(likelihood._replace(between=None))

    @cached_property
    def prior(self) -> Prior:
        """The priors as numbers, on the scale of the data where they are relative to it."""
        factor, parts = self.factor
        whole = merge(*self.levels) if self.spec.random else factor
        terms, dependent = self.design.terms, self.dependence
        scale = measure_scales(whole, parts, terms, self.residual_scale, self.effects.nu)
        prior = resolve(self.priors, terms, scale, dependent, random=self.spec.random)
        if prior.supports is None:
            return prior
        admissible = tuple(find_bounds(weights) for weights in self.spatial)
        return prior._replace(supports=narrow(prior.supports, dependent, admissible))

    @cached_property
    def factor_with_prior(self) -> LagFactor:
        """R of the lag basis with the rows that a Gaussian prior of beta adds to it."""
        (factor, parts), prior = self.factor, self.prior
        rows = append_rows(factor, parts, np.asarray(prior.root), np.asarray(prior.target))
        return LagFactor(rows, parts)

    @cached_property
    def placed(self) -> Placed:
        """The posterior, with log-determinants accurate where (rho, lam) have their mass."""
        with jax.enable_x64(True):
            prior = self.prior
            likelihood, mass = place(
                self,
                self.factor_with_prior,
                lambda data: partial(collapsed_density, data, prior),
                prior.supports,
            )
            refuse_improper(self, likelihood)
            centre, spread = centre_and_scale(mass)
            return Placed(Posterior(likelihood, prior, leaf(centre), leaf(spread)), mass)


def with_method(problem: Problem, method: str) -> Problem:
    """The problem under a kind of likelihood; unchanged where it has that kind already."""
    return problem if method == problem.method else replace(problem, method=method)


def check_problem(problem: Problem) -> Problem:
    """Check the response, the columns and their number; return the problem itself.

    DataError names a response that does not vary or a column that the effects absorb or that is a
    combination of others, or says that there are too many columns. SpecificationError where no
    likelihood removes the effects.
    """
    spec, panel, effects = problem.spec, problem.panel, problem.effects
    check_sizes(panel, problem.weights, problem.error_weights)
    if np.ptp(panel.y) == 0:
        raise DataError(
            f"The response {panel.response!r} is {panel.y.flat[0]:g} everywhere: there is nothing"
            " to explain."
        )
    two = spec.lag and spec.error and problem.weights != problem.error_weights
    if effects.quasi and two:
        raise SpecificationError(
            f"{spec.name} with effects={spec.effects!r} and other error_weights: the corrected"
            " score of this model is not the gradient of any likelihood. Leave out error_weights,"
            " or row-standardise both."
        )
    designs.check(problem.design, effects)
    terms = problem.design.terms
    if len(terms) >= effects.nu:
        raise DataError(
            f"{len(terms)} coefficients for {effects.nu} observations after the effects: drop some"
            " regressors."
        )
    return problem


def choose_lagged(spec: Spec, panel: Panel, lagged: Sequence[str] | None) -> tuple[str, ...]:
    """The regressors that get a W X term: those given, by default all but the constant.

    A model without W X terms has none.
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


def build_design(problem: Problem, effects: Transformation) -> Design:
    """Build the regressors [X, W X].

    Correlated random effects add means over time; period effects that stay as columns add dummies.
    """
    panel, matrix = problem.panel, problem.weights.matrix
    first = len(panel.periods) - effects.dummies
    labels = tuple(f"{panel.period_name}[{label}]" for label in panel.periods)[first:]
    x, names = panel.x, panel.names
    if problem.spec.effects != "correlated_random":
        return designs.build(x, names, problem.lagged, matrix, labels)
    mean, others = designs.average_over_time(x, names, matrix)
    wide = np.concatenate([x, np.broadcast_to(mean, (len(x), *mean.shape))], axis=2)
    return designs.build(
        wide, (*names, *others), problem.lagged, matrix, periods=labels, others=others
    )


def check_response(problem: Problem, factor: LagFactor, effects: Transformation) -> None:
    """Refuse, by a DataError, a response that leaves nothing from which to estimate sigma."""
    size, terms = float(np.linalg.norm(problem.panel.y)), build_design(problem, effects).terms
    within = replace(effects, over_periods=effects.over_periods or problem.spec.random)
    designs.check_response(
        problem.panel.response,
        size,
        factor=factor.triangle,
        parts=factor.parts,
        terms=terms,
        effects=within,
    )


def build_likelihood(
    problem: Problem, factor: LagFactor, logdets: Sequence[LogDet], effects: Transformation
) -> Likelihood:
    """The data as a likelihood, with the log-determinant of each dependence parameter."""
    records = [
        restrict_to_contrasts(weights, logdet) if effects.contrasts else logdet.record
        for weights, logdet in zip(problem.spatial, logdets, strict=True)
    ]
    by_name = dict(zip(problem.dependence, records, strict=True))
    return Likelihood(
        split(*factor),
        by_name.get("rho"),
        by_name.get("lam"),
        nu=leaf(effects.nu),
        multiplicity=leaf(effects.multiplicity),
        between=split(problem.levels[1], factor.parts) if problem.spec.random else None,
    )


def place(
    problem: Problem,
    factor: LagFactor,
    density_of: Callable[[Likelihood], Density],
    bounds: Supports | None = None,
) -> tuple[Likelihood, Mass]:
    """Find where a density has its mass in (rho, lam); return the likelihood and that mass.

    `density_of` makes the density from the likelihood, whose log-determinants are refined until
    they are accurate where the mass is. `bounds` are hard bounds of the prior that the density
    respects; its logit variables then refer to what is left of the admissible intervals.
    """
    usual = tuple(LogDet.build(weights) for weights in problem.spatial)
    likelihood = build_likelihood(problem, factor, usual, problem.effects)
    mass = explore(density_of(likelihood), likelihood.dimensions, reach(likelihood, bounds))
    full = mass._replace(points=widen_points(likelihood, bounds, mass.points))
    better = tuple(
        improve(weights, logdet, full, i)
        for i, (weights, logdet) in enumerate(zip(problem.spatial, usual, strict=True))
    )
    if all(one is other for one, other in zip(better, usual, strict=True)):
        return likelihood, mass
    likelihood = build_likelihood(problem, factor, better, problem.effects)
    mass = explore(density_of(likelihood), likelihood.dimensions, reach(likelihood, bounds))
    return likelihood, mass


def build_posterior(problem: Problem, ranges: tuple[Reach, Reach] = NOWHERE) -> Posterior:
    """The posterior, without a search for its mass.

    Its log-determinants are accurate for logit variables within `ranges`: an interval for rho and
    one for lam, whether or not the model has both.
    """
    known = dict(zip(("rho", "lam"), ranges, strict=True))
    logdets = [
        build_covering(weights, *known[name])
        for name, weights in zip(problem.dependence, problem.spatial, strict=True)
    ]
    likelihood = build_likelihood(problem, problem.factor_with_prior, logdets, problem.effects)
    refuse_improper(problem, likelihood)
    p = len(problem.dependence)
    return Posterior(likelihood, problem.prior, leaf(np.zeros(p)), leaf(np.ones(p)))


def refuse_improper(problem: Problem, likelihood: Likelihood) -> None:
    """Refuse, by a SpecificationError, a posterior that a quasi-likelihood makes improper."""
    if not problem.effects.quasi:
        return
    ends = zip(problem.dependence, *find_growth(likelihood, problem.prior), strict=True)
    for name, bounds, grows in ends:
        for bound, there in zip(bounds, grows, strict=True):
            if there:
                raise SpecificationError(
                    f"The posterior of {name} has no integral: towards {bound:.6g}, the end of"
                    " its interval, the quasi-likelihood of period effects with this W grows"
                    " without bound. Row-standardise W."
                )


@partial(jax.jit, compiler_options=ONCE)
def collapsed_density(likelihood: Likelihood, prior: Prior, points: jax.Array) -> jax.Array:
    """log p(y, s), beta and sigma integrated out, at logit variables s of (rho, lam)."""
    values: jax.Array = jax.lax.map(  # not vmap: see nuts.parameters
        lambda s: collapsed_log_density(likelihood, prior, s), points
    )
    return values


def draw_prior(problem: Problem, size: int, seed: int) -> dict[str, np.ndarray]:
    """Draw from the proper parts of the prior, for comparison with the posterior."""
    posterior = problem.placed.posterior
    given = posterior.likelihood
    bounds = tuple(np.asarray(part.bounds) for part in (given.lag, given.error) if part is not None)
    rng = np.random.default_rng(seed)
    draws = draw(posterior.prior, bounds, problem.dependence, size, rng)
    if problem.spec.random:
        periods = len(problem.panel.periods)
        spread = draw_spread(posterior.prior, draws.get("sigma"), periods, size, rng)
        draws |= {} if spread is None else {"sigma_alpha": spread}
    return draws
