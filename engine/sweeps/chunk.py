"""A chunk of a sweep: some members fitted, their draws reduced to numbers. What runs in a thread,
or on another machine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from scipy.special import ndtr, ndtri

from spillover.engine import programs
from spillover.engine.estimation import exact, nuts
from spillover.engine.estimation.model import Model, Reach
from spillover.engine.sweeps import stacking
from spillover.engine.sweeps.plan import Source, member_of, model_of, route_of
from spillover.engine.sweeps.stacking import Member
from spillover.engine.weights.logdet import covers
from spillover.engine.whole import arviz
from spillover.kernels.errors import ConvergenceError, SpilloverError
from spillover.models.design import INTERCEPT, LAG
from spillover.models.exact import Quality
from spillover.models.likelihood import Likelihood
from spillover.models.mode_search import Mass

LEVELS = (0.005, 0.025, 0.05, *np.round(np.arange(0.1, 0.91, 0.05), 2).tolist(), 0.95, 0.975, 0.995)
STATISTICS = ("mean", "sd", "positive")
EFFECTS = ("direct", "indirect", "total")
STACK = 64  # members to a program; fewer make up the number by repeating the first
FEW = 8  # unless there are no more than this, or only one
DEPENDENCE = ("rho", "lam")
Result = TypeVar("Result")
NOT_FINITE = (
    "The posterior has values that are not finite: look at the scale of the variables and of W."
)


@dataclass(frozen=True)
class Settings:
    """How the members of a sweep are fitted."""

    sampler: str
    draws: int
    tune: int
    chains: int
    seed: int
    target_accept: float
    keep_draws: bool


@dataclass(frozen=True)
class Block:
    """Members by position in the sweep, and for each: `parameters` and `impacts`, (m, names,
    STATISTICS and LEVELS) and (m, 3, variables, STATISTICS and LEVELS); `scores`: (m, SCORES);
    draws of both where kept, (m, n, ...); the reason why a member failed, or "".
    """

    index: np.ndarray
    parameters: np.ndarray
    impacts: np.ndarray
    scores: np.ndarray
    draws: np.ndarray
    impact_draws: np.ndarray
    failure: tuple[str, ...]


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


def names_of(source: Source) -> Names:
    """Terms in the order of the formulas, then their lags, then rho, lam and sigma; period dummies
    are not among them.
    """
    panels = [panel for panel in source.panels.values() if not isinstance(panel, str)]
    own = tuple(dict.fromkeys(name for panel in panels for name in panel.names))
    variables = tuple(name for name in own if name != INTERCEPT)
    return Names((*own, *(LAG + name for name in variables), *DEPENDENCE, "sigma"), variables)


def run(
    source: Source, index: Sequence[int], settings: Settings, device: jax.Device | None = None
) -> Block:
    """Fit the members at these positions, on one device, by default JAX's own choice: the numbers
    do not depend on how many there are.

    A member that fails is a row with its reason; the others finish.
    """
    labels, names = source.plan.labels, names_of(source)
    block = _blank(index, names, settings)
    failure = [""] * len(index)
    models: dict[int, Model] = {}
    programs.enter_and_clear()
    with jax.enable_x64(True), jax.default_device(device):
        for row, position in enumerate(index):
            model = _attempt(failure, row, model_of, source, labels[position])
            if model is not None:
                models[row] = model
        _FITTERS[settings.sampler](
            models, [int(position) for position in index], settings, names, block, failure
        )
    for row, model in models.items():
        block.scores[row, SCORES.index("quasi")] = model.effects.quasi
    for name in ARRAYS:
        getattr(block, name)[[bool(reason) for reason in failure]] = np.nan
    return replace(block, failure=tuple(failure))


ARRAYS = ("parameters", "impacts", "scores", "draws", "impact_draws")


def _blank(index: Sequence[int], names: Names, settings: Settings) -> Block:
    """A block without numbers."""
    m, numbers = len(index), len(STATISTICS) + len(LEVELS)
    kept = (
        settings.draws * settings.chains if settings.keep_draws and settings.sampler != "ml" else 0
    )
    return Block(
        index=np.asarray(index),
        parameters=np.full((m, len(names.parameters), numbers), np.nan),
        impacts=np.full((m, 3, len(names.variables), numbers), np.nan),
        scores=np.full((m, len(SCORES)), np.nan),
        draws=np.full((m, kept, len(names.parameters)), np.nan),
        impact_draws=np.full((m, kept, 3, len(names.variables)), np.nan),
        failure=(),
    )


def _attempt(
    failure: list[str], row: int, action: Callable[..., Result], *given: Any
) -> Result | None:
    """Do something for a row, or note why it cannot be done."""
    try:
        return action(*given)
    except (SpilloverError, np.linalg.LinAlgError, FloatingPointError) as error:
        failure[row] = str(error) or type(error).__name__
        return None


def summarise(values: np.ndarray) -> np.ndarray:
    """STATISTICS and LEVELS of draws (members, draws, columns): (members, columns, numbers)."""
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


def _enter(
    block: Block,
    row: int,
    found: dict[str, np.ndarray],
    impacts: np.ndarray,
    names: Names,
    terms: Sequence[str],
) -> None:
    """Put draws (n, ...) of one member, and of its impacts (n, 3, variables), into a row of the
    block.
    """
    columns = [
        *(found["beta"].T),
        *(found[name] for name in (*DEPENDENCE, "sigma") if name in found),
    ]
    labels = [*terms, *(name for name in (*DEPENDENCE, "sigma") if name in found)]
    chosen = [i for i, label in enumerate(labels) if label in names.parameters]
    into = [names.parameters.index(labels[i]) for i in chosen]
    variables = [names.variables.index(term) for term in terms if term in names.variables]
    flat = np.column_stack([*(columns[i] for i in chosen), impacts.reshape(len(impacts), -1)])
    if not np.isfinite(flat).all():
        raise ConvergenceError(NOT_FINITE)
    numbers = summarise(flat[None])[0]
    block.parameters[row, into] = numbers[: len(into)]
    block.impacts[row][:, variables] = numbers[len(into) :].reshape(3, len(variables), -1)
    if block.draws.shape[1]:
        block.draws[row][:, into] = flat[:, : len(into)]
        block.impact_draws[row][:, :, variables] = impacts


class _Way(NamedTuple):
    """How a member is fitted: with exact.POINTS[level] points, and log-determinants that `reach` as
    far as it does, None for the usual.
    """

    level: int
    reach: tuple[Reach, Reach] | None


def _fit_exact(
    models: dict[int, Model],
    index: list[int],
    settings: Settings,
    names: Names,
    block: Block,
    failure: list[str],
) -> None:
    """All members the usual way; those for which it does not do again, by a finer table or on a
    longer log-determinant.
    """
    todo = dict.fromkeys(models, _Way(0, None))
    while todo:
        made = {
            row: _attempt(failure, row, member_of, models[row], way.reach)
            for row, way in todo.items()
        }
        members = {row: member for row, member in made.items() if member is not None}
        again: dict[int, _Way] = {}
        for rows in _groups(members, {row: way.level for row, way in todo.items()}):
            drawn = _drawn(
                [members[row] for row in rows],
                [index[row] for row in rows],
                settings,
                exact.POINTS[todo[rows[0]].level],
            )
            for position, row in enumerate(rows):
                one = jax.tree.map(lambda part, position=position: part[position], drawn)
                better = _better(todo[row], members[row].posterior.likelihood, one.quality)
                if better is None:
                    _attempt(
                        failure,
                        row,
                        _record_exact,
                        models[row],
                        members[row],
                        one,
                        row,
                        names,
                        block,
                    )
                else:
                    again[row] = better
        todo = again


def _groups(members: dict[int, Member], kinds: dict[int, int] | None = None) -> list[list[int]]:
    """Rows whose members can be stacked, and are of one kind."""
    groups: dict[Any, list[int]] = {}
    for row, member in members.items():
        groups.setdefault((stacking.signature(member), kinds and kinds[row]), []).append(row)
    return list(groups.values())


def _better(way: _Way, likelihood: Likelihood, quality: Quality) -> _Way | None:
    """A way that does for a member for which this one does not, None where it does or there is no
    other.
    """
    ends = [(float(low), float(high)) for low, high in (quality.rho, quality.lam)]
    parts = [
        (part, end)
        for part, end in zip((likelihood.lag, likelihood.error), ends, strict=True)
        if part is not None
    ]
    if (
        way.reach is None
        and np.isfinite(ends).all()
        and not all(covers(part, *end) for part, end in parts)
    ):
        return _Way(way.level, (ends[0], ends[1]))
    if float(quality.error) >= exact.GOOD and way.level + 1 < len(exact.POINTS):
        return way._replace(level=way.level + 1)
    return None


def _padded(members: Sequence[Member]) -> list[Member]:
    """Members with series of one length, a power of two, so that other W seldom compile another
    program.
    """
    terms, pairs = (max(found) for found in zip(*map(stacking.lengths, members), strict=True))
    terms, pairs = (1 << max(count - 1, 0).bit_length() if count else 0 for count in (terms, pairs))
    return [stacking.padded_to(member, terms, pairs) for member in members]


def _drawn(
    members: list[Member], index: list[int], settings: Settings, points: int
) -> stacking.Drawn:
    """Exact draws of members of one signature, as arrays of NumPy with a leading axis."""
    size = next(size for size in (1, FEW, STACK, len(members)) if size >= len(members))
    more = size - len(members)
    noise = [
        exact.make_noise(
            member.posterior,
            settings.draws * settings.chains,
            np.random.default_rng([settings.seed, position]),
        )
        for member, position in zip(members, index, strict=True)
    ]
    padded = _padded(members)
    stacked = (
        stacking.stack([*padded, *padded[:1] * more]),
        stacking.stack([*noise, *noise[:1] * more]),
    )
    found = stacking.sample(*stacked, points=points, batch=exact.width())
    return jax.tree.map(np.asarray, found)


def _record_exact(
    model: Model, member: Member, drawn: stacking.Drawn, row: int, names: Names, block: Block
) -> None:
    """One member's draws into the block, with its evidence. ConvergenceError where the quadrature
    is not good enough.
    """
    error = float(drawn.quality.error)
    if not np.isfinite(error):
        raise ConvergenceError(NOT_FINITE)
    if error >= exact.BAD:
        raise ConvergenceError(
            f"The quadrature over the spatial parameters is off by {error:.1g}: the posterior is"
            " too rough. Use sampler='nuts'."
        )
    found = {name: value for name, value in drawn.draw._asdict().items() if value is not None}
    _enter(block, row, found, np.stack(drawn.impacts, axis=1), names, model.design.terms)
    evidence = exact.log_evidence(member.posterior, float(drawn.quality.log_evidence))
    none = evidence is None or model.effects.quasi
    block.scores[row, SCORES.index("log_marginal_likelihood")] = np.nan if none else evidence
    block.scores[row, SCORES.index("quadrature_error")] = error


def _fit_nuts(
    models: dict[int, Model],
    index: list[int],
    settings: Settings,
    names: Names,
    block: Block,
    failure: list[str],
) -> None:
    """Chains of all members of one signature side by side."""
    made = {row: _attempt(failure, row, _placed, model) for row, model in models.items()}
    found = {row: pair for row, pair in made.items() if pair is not None}
    for rows in _groups({row: member for row, (member, _) in found.items()}):
        padded = _padded([found[row][0] for row in rows])
        chains = _chains(
            padded, [found[row][1] for row in rows], [index[row] for row in rows], settings
        )
        for position, row in enumerate(rows):
            one = nuts.Chains(
                chains.flat[position],
                {name: value[position] for name, value in chains.stats.items()},
            )
            _attempt(
                failure, row, _record_nuts, models[row], padded[position], one, row, names, block
            )


def _placed(model: Model) -> tuple[Member, Mass]:
    """What the sampler needs of a model, and where (rho, lam) have their mass."""
    posterior, mass = model._posterior
    return (
        Member(posterior, route_of(model, np.zeros(1)), model.design.own, model.design.lagged),
        mass,
    )


def _chains(
    members: list[Member], masses: list[Mass], index: list[int], settings: Settings
) -> nuts.Chains:
    """Chains of stackable members, (member, chain, draw, ...)."""
    start = [
        nuts.starting_points(
            member.posterior, mass.points, mass.weight, settings.chains, settings.seed + position
        )
        for member, mass, position in zip(members, masses, index, strict=True)
    ]
    roots = [jax.random.fold_in(jax.random.PRNGKey(settings.seed), position) for position in index]
    keys = jnp.stack([jax.random.split(root, settings.chains) for root in roots])
    posteriors = stacking.stack([member.posterior for member in members])
    tune, draws, accept = settings.tune, settings.draws, settings.target_accept
    return nuts.sample_many(
        posteriors, np.stack(start), keys=keys, tune=tune, draws=draws, target_accept=accept
    )


def _record_nuts(
    model: Model, member: Member, chains: nuts.Chains, row: int, names: Names, block: Block
) -> None:
    """One member's chains into the block, with their worst diagnostics."""
    found = {
        name: np.asarray(value)
        for name, value in nuts.parameters(member.posterior, chains.flat).items()
    }
    flat = {name: value.reshape(-1, *value.shape[2:]) for name, value in found.items()}
    draw = stacking.Draw(
        **{
            name: jnp.asarray(flat[name]) if name in flat else None
            for name in stacking.Draw._fields
        }
    )  # type: ignore[arg-type]
    (reaching,) = _padded([member._replace(channels=route_of(model, flat.get("rho", np.zeros(1))))])
    impacts = np.stack([np.asarray(part) for part in stacking.effects_of(reaching, draw)], axis=1)
    _enter(block, row, flat, impacts, names, model.design.terms)
    data = xr.Dataset(
        {
            name: (("chain", "draw", *[name] * (value.ndim - 2)), value)
            for name, value in found.items()
        }
    )
    if data.sizes["draw"] >= 4:
        worst_rhat = max(float(part.max()) for part in arviz("stats").rhat(data).data_vars.values())
        least_ess = min(float(part.min()) for part in arviz("stats").ess(data).data_vars.values())
        block.scores[row, SCORES.index("r_hat")], block.scores[row, SCORES.index("ess")] = (
            worst_rhat,
            least_ess,
        )
    block.scores[row, SCORES.index("divergences")] = chains.stats["diverging"].sum()


def _fit_ml(
    models: dict[int, Model],
    index: list[int],
    settings: Settings,
    names: Names,
    block: Block,
    failure: list[str],
) -> None:
    for row, model in models.items():
        _attempt(failure, row, _record_ml, model, row, names, block)


def _record_ml(model: Model, row: int, names: Names, block: Block) -> None:
    """Estimates and standard errors in place of means and standard deviations; no log-likelihood
    where it is a quasi-likelihood.
    """
    ml = model.fit_ml()
    table = ml.impacts()
    chosen = [name for name in ml.params.index if name in names.parameters]
    variables = [names.variables.index(name) for name in model.design.variables]
    parameters = _normal(ml.params[chosen].to_numpy(), ml.std_errors[chosen].to_numpy())
    impacts = _normal(table["estimate"].to_numpy(), table["std_error"].to_numpy())
    if not (np.isfinite(parameters).all() and np.isfinite(impacts).all()):
        raise ConvergenceError("The estimates have standard errors that are not finite.")
    block.parameters[row, [names.parameters.index(name) for name in chosen]] = parameters
    block.impacts[row][:, variables] = impacts.reshape(3, len(variables), -1)
    block.scores[row, SCORES.index("loglik")] = np.nan if model.effects.quasi else ml.loglik


def _normal(estimate: np.ndarray, error: np.ndarray) -> np.ndarray:
    """STATISTICS and LEVELS of the normal distributions about estimates: (n, numbers)."""
    z = np.divide(estimate, error, out=np.where(estimate > 0, np.inf, -np.inf), where=error > 0)
    return np.column_stack(
        [estimate, error, ndtr(z), estimate[:, None] + error[:, None] * ndtri(LEVELS)]
    )


_FITTERS: dict[str, Callable[..., None]] = {"exact": _fit_exact, "nuts": _fit_nuts, "ml": _fit_ml}
SAMPLERS = tuple(_FITTERS)
