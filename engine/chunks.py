"""A chunk of a sweep: some members fitted, their draws reduced to numbers. What runs in a thread, or on another machine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import arviz_stats
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from spillover.engine import batch, exact, nuts
from spillover.engine.batch import Member
from spillover.engine.fit import Model
from spillover.engine.logdet import covers
from spillover.engine.members import Source, member_of, model_of
from spillover.kernels.errors import ConvergenceError, SpilloverError
from spillover.models.design import INTERCEPT, LAG
from spillover.models.likelihood import dependence

LEVELS = (0.005, 0.025, 0.05, *np.round(np.arange(0.1, 0.91, 0.05), 2).tolist(), 0.95, 0.975, 0.995)
STATISTICS = ("mean", "sd", "positive")
EFFECTS = ("direct", "indirect", "total")
STACK = 64  # members to a program; fewer make up the number by repeating the first
FEW = 8  # unless there are no more than this
DEPENDENCE = ("rho", "lam")


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
    """Members by position in the sweep, and for each: `parameters` and `impacts`, (m, names, STATISTICS and LEVELS) and (m, 3, variables,
    STATISTICS and LEVELS); `scores`: (m, SCORES); draws of both where kept, (m, n, ...); the reason why a member failed, or ""."""

    index: np.ndarray
    parameters: np.ndarray
    impacts: np.ndarray
    scores: np.ndarray
    draws: np.ndarray
    impact_draws: np.ndarray
    failure: tuple[str, ...]


SCORES = ("log_marginal_likelihood", "loglik", "quadrature_error", "r_hat", "ess", "divergences")


@dataclass(frozen=True)
class Names:
    """The parameters and the explanatory variables that any member of a sweep has."""

    parameters: tuple[str, ...]
    variables: tuple[str, ...]


def names_of(source: Source) -> Names:
    """Terms in the order of the formulas, then their lags, then rho, lam and sigma; period dummies are not among them."""
    panels = [panel for panel in source.panels.values() if not isinstance(panel, str)]
    own = tuple(dict.fromkeys(name for panel in panels for name in panel.names))
    variables = tuple(name for name in own if name != INTERCEPT)
    return Names((*own, *(LAG + name for name in variables), *DEPENDENCE, "sigma"), variables)


def run(source: Source, index: Sequence[int], settings: Settings) -> Block:
    """Fit the members at these positions. One that fails is a row with its reason; the others finish."""
    labels, names = source.plan.labels, names_of(source)
    block = _blank(index, names, settings)
    failure = [""] * len(index)
    models: dict[int, Model] = {}
    with jax.enable_x64(True):
        for row, position in enumerate(index):
            _attempt(failure, row, lambda row=row, position=position: models.update({row: model_of(source, labels[position])}))
        _FITTERS[settings.sampler](models, [int(position) for position in index], settings, names, block, failure)
    for row in range(len(index)):
        if not failure[row] and not np.isfinite(block.impacts[row]).any():
            failure[row] = "The posterior has values that are not finite."
    return Block(block.index, *(getattr(block, name) for name in ARRAYS), tuple(failure))


ARRAYS = ("parameters", "impacts", "scores", "draws", "impact_draws")


def _blank(index: Sequence[int], names: Names, settings: Settings) -> Block:
    """A block without numbers."""
    m, numbers = len(index), len(STATISTICS) + len(LEVELS)
    kept = settings.draws * settings.chains if settings.keep_draws and settings.sampler != "ml" else 0
    shapes = (
        (m, len(names.parameters), numbers),
        (m, 3, len(names.variables), numbers),
        (m, len(SCORES)),
        (m, kept, len(names.parameters)),
        (m, kept, 3, len(names.variables)),
    )
    return Block(np.asarray(index), *(np.full(shape, np.nan) for shape in shapes), ())


def _attempt(failure: list[str], row: int, action: Callable[[], Any]) -> None:
    """Do something for a row, or note why it cannot be done."""
    try:
        action()
    except (SpilloverError, np.linalg.LinAlgError, FloatingPointError) as error:
        failure[row] = str(error) or type(error).__name__


def summarise(values: np.ndarray) -> np.ndarray:
    """STATISTICS and LEVELS of draws (members, draws, columns): (members, columns, numbers)."""
    ordered = np.sort(np.ascontiguousarray(np.swapaxes(values, 1, 2)), axis=2)
    at = np.asarray(LEVELS) * (ordered.shape[2] - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, ordered.shape[2] - 1)
    quantiles = ordered[..., low] + (at - low) * (ordered[..., high] - ordered[..., low])
    spread = ordered.std(axis=2, ddof=1) if ordered.shape[2] > 1 else np.full(ordered.shape[:2], np.nan)
    return np.concatenate([np.stack([ordered.mean(axis=2), spread, (ordered > 0).mean(axis=2)], axis=2), quantiles], axis=2)


def _enter(block: Block, row: int, found: dict[str, np.ndarray], impacts: np.ndarray, names: Names, terms: Sequence[str]) -> None:
    """Put draws (n, ...) of one member, and of its impacts (n, 3, variables), into a row of the block."""
    columns = [*(found["beta"].T), *(found[name] for name in (*DEPENDENCE, "sigma") if name in found)]
    labels = [*terms, *(name for name in (*DEPENDENCE, "sigma") if name in found)]
    chosen = [i for i, label in enumerate(labels) if label in names.parameters]
    into = [names.parameters.index(labels[i]) for i in chosen]
    variables = [names.variables.index(term) for term in terms if term in names.variables]
    flat = np.column_stack([*(columns[i] for i in chosen), impacts.reshape(len(impacts), -1)])
    numbers = summarise(flat[None])[0]
    block.parameters[row, into] = numbers[: len(into)]
    block.impacts[row][:, variables] = numbers[len(into) :].reshape(3, len(variables), -1)
    if block.draws.shape[1]:
        block.draws[row][:, into] = flat[:, : len(into)]
        block.impact_draws[row][:, :, variables] = impacts


def _fit_exact(models: dict[int, Model], index: list[int], settings: Settings, names: Names, block: Block, failure: list[str]) -> None:
    members: dict[int, Member] = {}
    for row, model in models.items():
        _attempt(failure, row, lambda row=row, model=model: members.update({row: member_of(model)}))
    groups: dict[Any, list[int]] = {}
    for row, member in members.items():
        groups.setdefault(batch.signature(member), []).append(row)
    for rows in groups.values():
        drawn = _drawn([members[row] for row in rows], [index[row] for row in rows], settings)
        for position, row in enumerate(rows):
            one = jax.tree.map(lambda part, position=position: part[position], drawn)
            _attempt(failure, row, lambda row=row, one=one: _record_exact(models[row], members[row], one, settings, row, names, block))


def _drawn(members: list[Member], index: list[int], settings: Settings) -> batch.Drawn:
    """Exact draws of members of one signature, as arrays of NumPy with a leading axis."""
    mesh = batch.mesh_of()
    devices = mesh.devices.size
    size = next(size for size in (FEW, STACK, len(members)) if size >= len(members))
    size = -(-size // devices) * devices
    terms, pairs = (max(found) for found in zip(*map(batch.lengths, members), strict=True))
    terms, pairs = (1 << max(count - 1, 0).bit_length() if count else 0 for count in (terms, pairs))
    posteriors = [batch.padded_to(member, terms, pairs) for member in members]
    noise = [
        exact.make_noise(member.posterior, settings.draws * settings.chains, np.random.default_rng([settings.seed, position]))
        for member, position in zip(members, index, strict=True)
    ]
    more = size - len(members)
    stacked = batch.stack([*posteriors, *posteriors[:1] * more]), batch.stack([*noise, *noise[:1] * more])
    found = batch.sample(*stacked, points=exact.POINTS[0], batch=exact.width(), mesh=mesh)
    return jax.tree.map(np.asarray, found)


def _record_exact(model: Model, member: Member, drawn: batch.Drawn, settings: Settings, row: int, names: Names, block: Block) -> None:
    """One member's draws into the block; fitted again by itself where the common table or log-determinant does not do for it."""
    likelihood = member.posterior.likelihood
    quality = ((drawn.quality.rho, likelihood.lag), (drawn.quality.lam, likelihood.error))
    reach = [ends for ends, part in quality if part is not None]
    covered = all(covers(part, *map(float, ends)) for part, ends in zip(dependence(likelihood), reach, strict=True))
    error = float(drawn.quality.error)
    if not (covered and error < exact.BAD):
        raise ConvergenceError(
            f"The quadrature is off by {error:.1g}, or the posterior reaches the end of the interval: fit this member by itself."
        )
    found = {name: value for name, value in drawn.draw._asdict().items() if value is not None}
    _enter(block, row, found, np.stack(drawn.impacts, axis=1), names, model.design.terms)
    evidence = exact.log_evidence(member.posterior, float(drawn.quality.log_evidence))
    block.scores[row, SCORES.index("log_marginal_likelihood")] = np.nan if evidence is None else evidence
    block.scores[row, SCORES.index("quadrature_error")] = error


def _fit_nuts(models: dict[int, Model], index: list[int], settings: Settings, names: Names, block: Block, failure: list[str]) -> None:
    members: dict[int, Member] = {}
    masses: dict[int, Any] = {}
    for row, model in models.items():

        def prepare(row: int = row, model: Model = model) -> None:
            posterior, masses[row] = model._posterior
            members[row] = member_of(model, posterior)

        _attempt(failure, row, prepare)
    groups: dict[Any, list[int]] = {}
    for row, member in members.items():
        groups.setdefault(batch.signature(member), []).append(row)
    for rows in groups.values():
        chains = _chains([members[row] for row in rows], [masses[row] for row in rows], [index[row] for row in rows], settings)
        for position, row in enumerate(rows):
            flat = chains.flat[position]
            found = {name: np.asarray(value) for name, value in nuts.parameters(members[row].posterior, flat).items()}
            divergences = int(chains.stats["diverging"][position].sum())
            _record_nuts(models[row], members[row], found, divergences, row, names, block)


def _chains(members: list[Member], masses: list[Any], index: list[int], settings: Settings) -> nuts.Chains:
    """Chains of members of one signature."""
    terms, pairs = (max(found) for found in zip(*map(batch.lengths, members), strict=True))
    stacked = batch.stack([batch.padded_to(member, terms, pairs).posterior for member in members])
    start = [
        nuts.starting_points(member.posterior, mass.points, mass.weight, settings.chains, settings.seed + position)
        for member, mass, position in zip(members, masses, index, strict=True)
    ]
    roots = [jax.random.fold_in(jax.random.PRNGKey(settings.seed), position) for position in index]
    keys = jnp.stack([jax.random.split(root, settings.chains) for root in roots])
    options = {"tune": settings.tune, "draws": settings.draws, "target_accept": settings.target_accept}
    return nuts.sample_many(stacked, np.stack(start), keys=keys, **options)


def _record_nuts(
    model: Model, member: Member, found: dict[str, np.ndarray], divergences: int, row: int, names: Names, block: Block
) -> None:
    """One member's chains into the block, with their worst diagnostics."""
    flat = {name: value.reshape(-1, *value.shape[2:]) for name, value in found.items()}
    draw = batch.Draw(*(jnp.asarray(flat[name]) if name in flat else None for name in batch.Draw._fields))
    impacts = np.stack([np.asarray(part) for part in batch.effects_of(member, draw)], axis=1)
    _enter(block, row, flat, impacts, names, model.design.terms)
    data = xr.Dataset({name: (("chain", "draw", *[name] * (value.ndim - 2)), value) for name, value in found.items()})
    if data.sizes["draw"] >= 4:
        worst_rhat = max(float(part.max()) for part in arviz_stats.rhat(data).data_vars.values())
        least_ess = min(float(part.min()) for part in arviz_stats.ess(data).data_vars.values())
        block.scores[row, SCORES.index("r_hat")], block.scores[row, SCORES.index("ess")] = worst_rhat, least_ess
    block.scores[row, SCORES.index("divergences")] = divergences


def _fit_ml(models: dict[int, Model], index: list[int], settings: Settings, names: Names, block: Block, failure: list[str]) -> None:
    for row, model in models.items():
        _attempt(failure, row, lambda row=row, model=model: _record_ml(model, row, names, block))


def _record_ml(model: Model, row: int, names: Names, block: Block) -> None:
    """Estimates and standard errors in place of means and standard deviations; the normal distribution's quantiles."""
    from scipy.stats import norm

    ml = model.fit_ml()
    z = norm.ppf(LEVELS)

    def numbers(estimate: np.ndarray, error: np.ndarray) -> np.ndarray:
        return np.column_stack([estimate, error, norm.cdf(estimate / error), estimate[:, None] + error[:, None] * z])

    chosen = [name for name in ml.params.index if name in names.parameters]
    into = [names.parameters.index(name) for name in chosen]
    block.parameters[row, into] = numbers(ml.params[chosen].to_numpy(), ml.std_errors[chosen].to_numpy())
    table = ml.impacts(method="delta")
    variables = [names.variables.index(name) for name in model.design.variables]
    found = numbers(table["estimate"].to_numpy(), table["std_error"].to_numpy())
    block.impacts[row][:, variables] = found.reshape(3, len(variables), -1)
    block.scores[row, SCORES.index("loglik")] = ml.loglik


_FITTERS: dict[str, Callable[..., None]] = {"exact": _fit_exact, "nuts": _fit_nuts, "ml": _fit_ml}
SAMPLERS = tuple(_FITTERS)
