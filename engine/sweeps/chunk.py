"""A chunk of a sweep: some members fitted, and their draws reduced to numbers.

It runs in a thread of this process, or on another machine.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from scipy.special import ndtr, ndtri

from spillover.engine import programs
from spillover.engine.arviz_parts import load_arviz
from spillover.engine.estimation import exact, ml, nuts
from spillover.engine.estimation.arguments import SamplingPlan
from spillover.engine.estimation.problem import Placed, Problem, Reach
from spillover.engine.sweeps import stacking
from spillover.engine.sweeps.plan import SweepData, member_of, problem_of, route_of
from spillover.engine.sweeps.stacking import Member
from spillover.engine.weights.logdet import covers
from spillover.kernels.errors import ConvergenceError, SpilloverError
from spillover.models.design import INTERCEPT, LAG
from spillover.models.exact import Quality
from spillover.models.likelihood import Likelihood
from spillover.models.posterior import Draw

LEVELS = (0.005, 0.025, 0.05, *np.round(np.arange(0.1, 0.91, 0.05), 2).tolist(), 0.95, 0.975, 0.995)
STATISTICS = ("mean", "sd", "positive")
EFFECTS = ("direct", "indirect", "total")
# A program runs STACK members, FEW or one. Others are made up to the next of these numbers by
# repeating the first, so that it is compiled for three numbers only.
STACK = 64
FEW = 8
DEPENDENCE = ("rho", "lam")
NOT_FINITE = (
    "The posterior has values that are not finite: look at the scale of the variables and of W."
)


@dataclass(frozen=True)
class SweepSettings:
    """How the members of a sweep are fitted; the fields are those of `sweep`."""

    sampler: str
    draws: int
    tune: int
    chains: int
    seed: int
    target_accept: float
    keep_draws: bool

    @property
    def sampling(self) -> SamplingPlan:
        """The settings of a sampler."""
        return SamplingPlan(self.draws, self.tune, self.chains, self.seed, self.target_accept)


@dataclass(frozen=True)
class Block:
    """Members of a sweep with their numbers: m members, p parameters, v variables.

    Attributes
    ----------
    index : array of int, (m,)
        Positions of the members in the sweep.
    parameters : array, (m, p, s)
        STATISTICS and LEVELS of the parameters, s numbers.
    impacts : array, (m, 3, v, s)
        The same of the direct, indirect and total impacts.
    scores : array, (m, 7)
        SCORES, the quality of the fits.
    draws : array, (m, n, p)
        Draws of the parameters; n = 0 where they are not kept.
    impact_draws : array, (m, n, 3, v)
        Draws of the impacts.
    failure : tuple of str, (m,)
        Why a member failed; "" where it did not.
    """

    index: np.ndarray
    parameters: np.ndarray
    impacts: np.ndarray
    scores: np.ndarray
    draws: np.ndarray
    impact_draws: np.ndarray
    failure: tuple[str, ...]


ARRAYS = ("parameters", "impacts", "scores", "draws", "impact_draws")
SCORES = (
    "log_marginal_likelihood",
    "loglik",
    "quadrature_error",
    "r_hat",
    "ess",
    "divergences",
    "quasi",
)


@dataclass(frozen=True)
class Names:
    """The parameters and the explanatory variables that any member of a sweep has."""

    parameters: tuple[str, ...]
    variables: tuple[str, ...]


def names_of(source: SweepData) -> Names:
    """The names of all parameters and variables of a sweep.

    Terms in the order of the formulas, then their lags, then rho, lam and sigma. Dummies of the
    periods are not among them.
    """
    panels = [panel for panel in source.panels.values() if not isinstance(panel, str)]
    own = tuple(dict.fromkeys(name for panel in panels for name in panel.names))
    variables = tuple(name for name in own if name != INTERCEPT)
    return Names((*own, *(LAG + name for name in variables), *DEPENDENCE, "sigma"), variables)


def run(
    source: SweepData,
    index: Sequence[int],
    settings: SweepSettings,
    device: jax.Device | None = None,
) -> Block:
    """Fit the members at these positions on one device.

    A member that fails is a row with its reason; the others finish. The numbers do not depend on
    how many members there are.

    Parameters
    ----------
    source : SweepData
        The plan and its panels.
    index : sequence of int
        Positions of the members in the sweep.
    settings : SweepSettings
        How they are fitted.
    device : jax.Device, optional
        Where they are fitted; by default JAX's own choice.

    Returns
    -------
    Block
        The members with their numbers.
    """
    labels = source.plan.labels
    programs.enter_and_clear()
    with jax.enable_x64(True), jax.default_device(device):
        outcomes: dict[int, Any] = {
            position: _attempt(problem_of, source, labels[position]) for position in map(int, index)
        }
        problems = _select_fitted(outcomes)
        outcomes |= _FITTERS[settings.sampler](problems, settings, names_of(source))
    for position, problem in problems.items():
        if isinstance(outcomes[position], Row):
            outcomes[position].scores["quasi"] = problem.effects.quasi
    return _assemble(outcomes, names_of(source), settings)


class Row(NamedTuple):
    """The numbers of one member, NaN for parameters and impacts that it does not have.

    Attributes
    ----------
    parameters : array, (p, s)
        STATISTICS and LEVELS of its parameters.
    impacts : array, (3, v, s)
        The same of its impacts.
    scores : dict of str to float
        Those of SCORES that are known.
    draws : array, (n, p), or None
        Draws of its parameters, where they are kept.
    impact_draws : array, (n, 3, v), or None
        Draws of its impacts, where they are kept.
    """

    parameters: np.ndarray
    impacts: np.ndarray
    scores: dict[str, float]
    draws: np.ndarray | None = None
    impact_draws: np.ndarray | None = None


@dataclass(frozen=True)
class Failure:
    """Why a member has no row."""

    reason: str


Outcome = Row | Failure
Result = TypeVar("Result")


def _attempt(action: Callable[..., Result], *given: Any) -> Result | Failure:
    """What an action returns, or why it fails."""
    try:
        return action(*given)
    except (SpilloverError, np.linalg.LinAlgError, FloatingPointError) as error:
        return Failure(str(error) or type(error).__name__)


def _select_fitted(outcomes: Mapping[int, Result | Failure]) -> dict[int, Result]:
    """The outcomes that are no failures."""
    return {
        position: outcome
        for position, outcome in outcomes.items()
        if not isinstance(outcome, Failure)
    }


def _assemble(outcomes: Mapping[int, Outcome], names: Names, settings: SweepSettings) -> Block:
    """The rows as one block, in the order of the members; NaN in the rows of those that failed."""
    m, numbers = len(outcomes), len(STATISTICS) + len(LEVELS)
    kept = 0
    if settings.keep_draws and settings.sampler != "ml":
        kept = settings.draws * settings.chains
    p, v = len(names.parameters), len(names.variables)
    block = Block(
        index=np.array(list(outcomes)),
        parameters=np.full((m, p, numbers), np.nan),
        impacts=np.full((m, 3, v, numbers), np.nan),
        scores=np.full((m, len(SCORES)), np.nan),
        draws=np.full((m, kept, p), np.nan),
        impact_draws=np.full((m, kept, 3, v), np.nan),
        failure=tuple(
            outcome.reason if isinstance(outcome, Failure) else "" for outcome in outcomes.values()
        ),
    )
    for i, outcome in enumerate(outcomes.values()):
        if isinstance(outcome, Failure):
            continue
        block.parameters[i], block.impacts[i] = outcome.parameters, outcome.impacts
        block.scores[i] = [outcome.scores.get(name, np.nan) for name in SCORES]
        if kept and outcome.draws is not None and outcome.impact_draws is not None:
            block.draws[i], block.impact_draws[i] = outcome.draws, outcome.impact_draws
    return block


def summarise(values: np.ndarray) -> np.ndarray:
    """Compute STATISTICS and LEVELS of draws.

    Parameters
    ----------
    values : array, (m, n, c)
        n draws of c numbers of m members.

    Returns
    -------
    array, (m, c, s)
        Mean, sd, share of positive draws, and quantiles.
    """
    ordered = np.sort(np.ascontiguousarray(np.swapaxes(values, 1, 2)), axis=2)
    at = np.asarray(LEVELS) * (ordered.shape[2] - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, ordered.shape[2] - 1)
    quantiles = ordered[..., low] + (at - low) * (ordered[..., high] - ordered[..., low])
    spread = (
        ordered.std(axis=2, ddof=1) if ordered.shape[2] > 1 else np.full(ordered.shape[:2], np.nan)
    )
    return np.concatenate(
        [np.stack([ordered.mean(axis=2), spread, (ordered > 0).mean(axis=2)], axis=2), quantiles],
        axis=2,
    )


def _summarise_member(
    draws: Mapping[str, np.ndarray],
    impacts: np.ndarray,
    terms: Sequence[str],
    names: Names,
    keep: bool,
) -> Row:
    """A row without scores, from draws (n, ...) of one member and of its impacts (n, 3, v).

    ConvergenceError for numbers that are not finite.
    """
    scalars = [name for name in (*DEPENDENCE, "sigma") if name in draws]
    columns = np.column_stack([draws["beta"], *(draws[name] for name in scalars)])
    labels = [*terms, *scalars]
    chosen = [i for i, label in enumerate(labels) if label in names.parameters]
    into = [names.parameters.index(labels[i]) for i in chosen]
    variables = [names.variables.index(term) for term in terms if term in names.variables]
    flat = np.column_stack([columns[:, chosen], impacts.reshape(len(impacts), -1)])
    if not np.isfinite(flat).all():
        raise ConvergenceError(NOT_FINITE)
    numbers = summarise(flat[None])[0]
    through = numbers[len(into) :].reshape(3, len(variables), -1)
    row = _place_numbers(names, (into, numbers[: len(into)]), (variables, through))
    if not keep:
        return row
    wide = np.full((len(flat), len(names.parameters)), np.nan)
    wide[:, into] = columns[:, chosen]
    wide_impacts = np.full((len(flat), 3, len(names.variables)), np.nan)
    wide_impacts[:, :, variables] = impacts
    return row._replace(draws=wide, impact_draws=wide_impacts)


def _place_numbers(
    names: Names, parameters: tuple[list[int], np.ndarray], impacts: tuple[list[int], np.ndarray]
) -> Row:
    """A row of numbers at their positions among all names, NaN elsewhere."""
    count = len(STATISTICS) + len(LEVELS)
    wide = np.full((len(names.parameters), count), np.nan)
    wide_impacts = np.full((3, len(names.variables), count), np.nan)
    wide[parameters[0]] = parameters[1]
    wide_impacts[:, impacts[0]] = impacts[1]
    return Row(wide, wide_impacts, {})


class _Attempt(NamedTuple):
    """How a member is to be drawn.

    With exact.POINTS[level] points, and log-determinants good on the `ranges` of rho and lambda;
    None for the usual ranges.
    """

    level: int
    ranges: tuple[Reach, Reach] | None


def _fit_exact(
    problems: Mapping[int, Problem], settings: SweepSettings, names: Names
) -> dict[int, Outcome]:
    """Draw all members in the usual way, and again those that need more.

    These get a finer table, or a log-determinant good on a longer range.
    """
    outcomes: dict[int, Outcome] = {}
    todo = dict.fromkeys(problems, _Attempt(0, None))
    while todo:
        made = {
            position: _attempt(member_of, problems[position], attempt.ranges)
            for position, attempt in todo.items()
        }
        outcomes |= {key: one for key, one in made.items() if isinstance(one, Failure)}
        members = _select_fitted(made)
        again: dict[int, _Attempt] = {}
        for group in _group(members, {key: attempt.level for key, attempt in todo.items()}):
            points = exact.POINTS[todo[group[0]].level]
            drawn = _draw({key: members[key] for key in group}, settings, points)
            for i, key in enumerate(group):
                one = jax.tree.map(lambda part, i=i: part[i], drawn)
                better = _improve(todo[key], members[key].posterior.likelihood, one.quality)
                if better is not None:
                    again[key] = better
                    continue
                given = (problems[key], members[key], one, names, settings.keep_draws)
                outcomes[key] = _attempt(_row_of_exact, *given)
        todo = again
    return outcomes


def _group(
    members: Mapping[int, Member], kinds: Mapping[int, int] | None = None
) -> list[list[int]]:
    """Positions of members that can be stacked and are of one kind."""
    groups: dict[Any, list[int]] = {}
    for position, member in members.items():
        kind = None if kinds is None else kinds[position]
        groups.setdefault((stacking.signature_of(member), kind), []).append(position)
    return list(groups.values())


def _improve(attempt: _Attempt, likelihood: Likelihood, quality: Quality) -> _Attempt | None:
    """How to draw a member again whose draws are not good enough.

    None where they are good enough, or nothing better is left.
    """
    ends = [(float(low), float(high)) for low, high in (quality.rho, quality.lam)]
    parts = [
        (part, end)
        for part, end in zip((likelihood.lag, likelihood.error), ends, strict=True)
        if part is not None
    ]
    short = not all(covers(part, *end) for part, end in parts)
    if attempt.ranges is None and np.isfinite(ends).all() and short:
        return _Attempt(attempt.level, (ends[0], ends[1]))
    if float(quality.error) >= exact.GOOD and attempt.level + 1 < len(exact.POINTS):
        return attempt._replace(level=attempt.level + 1)
    return None


def _pad(members: Sequence[Member]) -> list[Member]:
    """Members with series of one length, a power of two.

    Other weights then seldom need another program.
    """
    longest = (max(one) for one in zip(*map(stacking.measure, members), strict=True))
    terms, pairs = (1 << max(count - 1, 0).bit_length() if count else 0 for count in longest)
    return [stacking.pad(member, terms, pairs) for member in members]


def _draw(members: Mapping[int, Member], settings: SweepSettings, points: int) -> stacking.Drawn:
    """Exact draws of members of one signature, as arrays of NumPy with a leading axis."""
    size = next(size for size in (1, FEW, STACK, len(members)) if size >= len(members))
    more = size - len(members)
    draws = settings.draws * settings.chains
    noise = [
        exact.make_noise(member.posterior, draws, np.random.default_rng([settings.seed, position]))
        for position, member in members.items()
    ]
    padded = _pad(list(members.values()))
    stacked = stacking.stack([*padded, *padded[:1] * more])
    noises = stacking.stack([*noise, *noise[:1] * more])
    drawn = stacking.sample(stacked, noises, points=points, batch=exact.choose_width())
    arrays: stacking.Drawn = jax.tree.map(np.asarray, drawn)
    return arrays


def _row_of_exact(
    problem: Problem, member: Member, drawn: stacking.Drawn, names: Names, keep: bool
) -> Row:
    """One member's draws as a row, with its evidence.

    ConvergenceError where the quadrature is not good enough.
    """
    error = float(drawn.quality.error)
    if not np.isfinite(error):
        raise ConvergenceError(NOT_FINITE)
    exact.refuse_rough(error)
    draws = {name: value for name, value in drawn.draw._asdict().items() if value is not None}
    impacts = np.stack(drawn.impacts, axis=1)
    row = _summarise_member(draws, impacts, problem.design.terms, names, keep)
    evidence = exact.log_evidence(member.posterior, float(drawn.quality.log_evidence))
    if evidence is not None and not problem.effects.quasi:
        row.scores["log_marginal_likelihood"] = evidence
    row.scores["quadrature_error"] = error
    return row


def _fit_nuts(
    problems: Mapping[int, Problem], settings: SweepSettings, names: Names
) -> dict[int, Outcome]:
    """Run the chains of all members of one signature side by side."""
    made = {position: _attempt(_place_member, one) for position, one in problems.items()}
    outcomes: dict[int, Outcome] = {
        key: one for key, one in made.items() if isinstance(one, Failure)
    }
    ready = _select_fitted(made)
    for group in _group({key: member for key, (member, _) in ready.items()}):
        padded = _pad([ready[key][0] for key in group])
        chains = _sample_chains(padded, {key: ready[key][1] for key in group}, settings)
        for i, key in enumerate(group):
            stats = {name: value[i] for name, value in chains.stats.items()}
            one = nuts.Chains(chains.flat[i], stats)
            given = (problems[key], padded[i], one, names, settings.keep_draws)
            outcomes[key] = _attempt(_row_of_nuts, *given)
    return outcomes


def _place_member(problem: Problem) -> tuple[Member, Placed]:
    """A problem as a member, and where (rho, lam) have their mass."""
    placed, design = problem.placed, problem.design
    route = route_of(problem, np.zeros(1))
    return Member(placed.posterior, route, design.own, design.lagged), placed


def _sample_chains(
    members: list[Member], placed: Mapping[int, Placed], settings: SweepSettings
) -> nuts.Chains:
    """Chains of members that can be stacked, (m, chain, draw, ...)."""
    start = [
        nuts.draw_starts(
            placed[position]._replace(posterior=member.posterior),
            settings.chains,
            settings.seed + position,
        )
        for position, member in zip(placed, members, strict=True)
    ]
    roots = [jax.random.fold_in(jax.random.PRNGKey(settings.seed), position) for position in placed]
    keys = jnp.stack([jax.random.split(root, settings.chains) for root in roots])
    posteriors = stacking.stack([member.posterior for member in members])
    return nuts.sample_many(posteriors, np.stack(start), keys, settings.sampling)


def _row_of_nuts(
    problem: Problem, member: Member, chains: nuts.Chains, names: Names, keep: bool
) -> Row:
    """One member's chains as a row, with their worst diagnostics."""
    draws = {
        name: np.asarray(value)
        for name, value in nuts.parameters(member.posterior, chains.flat).items()
    }
    flat = {name: value.reshape(-1, *value.shape[2:]) for name, value in draws.items()}
    absent: dict[str, Any] = dict.fromkeys(Draw._fields)
    given = Draw(**absent | {name: jnp.asarray(flat[name]) for name in flat})
    route = route_of(problem, flat.get("rho", np.zeros(1)))
    (reaching,) = _pad([member._replace(channels=route)])
    parts = [np.asarray(part) for part in stacking.average_impacts(reaching, given)]
    row = _summarise_member(flat, np.stack(parts, axis=1), problem.design.terms, names, keep)
    row.scores.update(_diagnose(draws))
    row.scores["divergences"] = float(chains.stats["diverging"].sum())
    return row


def _diagnose(draws: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The largest R-hat and the smallest effective sample size of draws (chain, draw, ...).

    Nothing for chains too short to have any.
    """
    data = xr.Dataset(
        {
            name: (("chain", "draw", *[name] * (value.ndim - 2)), value)
            for name, value in draws.items()
        }
    )
    if data.sizes["draw"] < 4:
        return {}
    stats = load_arviz("stats")
    return {
        "r_hat": max(float(part.max()) for part in stats.rhat(data).data_vars.values()),
        "ess": min(float(part.min()) for part in stats.ess(data).data_vars.values()),
    }


def _fit_ml(
    problems: Mapping[int, Problem], settings: SweepSettings, names: Names
) -> dict[int, Outcome]:
    """Maximise the likelihood of one member after the other."""
    return {position: _attempt(_row_of_ml, one, names) for position, one in problems.items()}


def _row_of_ml(problem: Problem, names: Names) -> Row:
    """Estimates and standard errors in place of means and standard deviations.

    No log-likelihood where it is a quasi-likelihood.
    """
    fit = ml.fit(problem, "observed")
    table = fit.impacts()
    chosen = [name for name in fit.params.index if name in names.parameters]
    into = [names.parameters.index(name) for name in chosen]
    variables = [names.variables.index(name) for name in problem.design.variables]
    parameters = _spread_normally(fit.params[chosen].to_numpy(), fit.std_errors[chosen].to_numpy())
    impacts = _spread_normally(table["estimate"].to_numpy(), table["std_error"].to_numpy())
    if not (np.isfinite(parameters).all() and np.isfinite(impacts).all()):
        raise ConvergenceError("The estimates have standard errors that are not finite.")
    through = impacts.reshape(3, len(variables), -1)
    row = _place_numbers(names, (into, parameters), (variables, through))
    row.scores["loglik"] = np.nan if problem.effects.quasi else fit.loglik
    return row


def _spread_normally(estimate: np.ndarray, error: np.ndarray) -> np.ndarray:
    """STATISTICS and LEVELS of normal distributions about c estimates, (c, s)."""
    z = np.divide(estimate, error, out=np.where(estimate > 0, np.inf, -np.inf), where=error > 0)
    return np.column_stack(
        [estimate, error, ndtr(z), estimate[:, None] + error[:, None] * ndtri(LEVELS)]
    )


Fitter = Callable[[Mapping[int, Problem], SweepSettings, Names], dict[int, Outcome]]
_FITTERS: dict[str, Fitter] = {"exact": _fit_exact, "nuts": _fit_nuts, "ml": _fit_ml}
SAMPLERS = tuple(_FITTERS)
