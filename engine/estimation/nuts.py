"""NumPyro's NUTS: chains side by side, compiled once for all fits of the same shapes.

A posterior has one sample site, "flat": a vector from which `parameters` computes beta, rho, lam,
sigma and sigma_alpha.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.infer.hmc import HMCState, hmc
from numpyro.infer.util import ParamInfo, potential_energy

from spillover.engine.estimation.arguments import SamplingPlan
from spillover.engine.estimation.problem import Placed, Problem
from spillover.models.posterior import Posterior, constrain, flat_size, model

Report = Callable[[int, int, int], Any]

# programs this small only slow down when split over threads; GPUs ignore the option
ALONE = {"xla_cpu_multi_thread_eigen": False}
STEPS = 50  # iterations between two updates of the progress bar


class NutsSettings(NamedTuple):
    """The settings that a compiled sampler is specific to."""

    tune: int
    target_accept: float
    steps: int


class Chains(NamedTuple):
    """Draws of the flat site, (chain, draw, size), and statistics, (chain, draw), by ArviZ name."""

    flat: np.ndarray
    stats: dict[str, np.ndarray]


Path = tuple[jax.Array, dict[str, jax.Array]]  # draws of the flat site, and their statistics
Piece = tuple[HMCState, Path]


def _potential(posterior: Posterior) -> Callable[[dict[str, jax.Array]], jax.Array]:
    """The potential energy of the flat site, minus the log-density."""
    return partial(potential_energy, model, (posterior,), {})


def _origin(posterior: Posterior, start: jax.Array) -> ParamInfo:
    """Potential energy and gradient at the start of every chain.

    They are computed apart from `_advance`, which would otherwise compile a second copy of them.
    """
    energy, slope = jax.vmap(jax.value_and_grad(_potential(posterior)))({"flat": start})
    return ParamInfo({"flat": start}, energy, slope)


def _iterate(
    settings: NutsSettings,
    posterior: Posterior,
    state: HMCState,
    origin: ParamInfo,
    key: jax.Array,
    first: jax.Array,
) -> Piece:
    """Run `steps` iterations of every chain; return the new state and the path.

    Where `first`, the chains start from `origin` instead of `state`.
    """
    initialise, sample = hmc(potential_fn_gen=_potential, algo="NUTS")

    def chain(state: HMCState, origin: ParamInfo, key: jax.Array) -> Piece:
        fresh = initialise(
            origin,
            settings.tune,
            target_accept_prob=settings.target_accept,
            model_args=(posterior,),
            rng_key=key,
        )
        state = jax.tree.map(partial(jnp.where, first), fresh, state)

        def step(state: HMCState, _: None) -> Piece:
            state = sample(state, (posterior,))
            kept = {
                "lp": -state.potential_energy,
                "energy": state.energy,
                "n_steps": state.num_steps,
                "acceptance_rate": state.accept_prob,
                "step_size": state.adapt_state.step_size,
                "diverging": state.diverging,
            }
            return state, (state.z["flat"], kept)

        piece: Piece = jax.lax.scan(step, state, None, length=settings.steps)
        return piece

    return jax.vmap(chain)(state, origin, key)


def _empty(posterior: Posterior, origin: ParamInfo, key: jax.Array) -> HMCState:
    """A state of the right shapes for the first call, which ignores its values."""
    initialise, _ = hmc(potential_fn_gen=_potential, algo="NUTS")

    def one(origin: ParamInfo, key: jax.Array) -> HMCState:
        state: HMCState = initialise(origin, 0, model_args=(posterior,), rng_key=key)
        return state

    shapes = jax.eval_shape(jax.vmap(one), origin, key)
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)


_begin = jax.jit(_origin, compiler_options=ALONE)
_begin_many = jax.jit(jax.vmap(_origin))
_blank = jax.jit(_empty)
_blank_many = jax.jit(jax.vmap(_empty))
_advance = jax.jit(_iterate, static_argnames="settings", compiler_options=ALONE)


@partial(jax.jit, static_argnames="settings")
def _advance_many(
    settings: NutsSettings,
    posteriors: Posterior,
    states: HMCState,
    origins: ParamInfo,
    keys: jax.Array,
    first: jax.Array,
) -> Piece:
    """Do as `_advance` for stacked posteriors, with all of their chains together."""
    return jax.vmap(partial(_iterate, settings), in_axes=(0, 0, 0, 0, None))(
        posteriors, states, origins, keys, first
    )


def sample_many(
    posteriors: Posterior, start: np.ndarray, keys: jax.Array, plan: SamplingPlan
) -> Chains:
    """Chains of stacked posteriors from `start`, (member, chain, size).

    Their keys, (member, chain, ...), take the place of the plan's seed.
    """
    tune, total = plan.tune, plan.tune + plan.draws
    settings = NutsSettings(tune, plan.target_accept, total)
    origin = _begin_many(posteriors, jnp.asarray(start))
    state = _blank_many(posteriors, origin, keys)
    first = jnp.asarray(True)
    _, (flat, stats) = _advance_many(settings, posteriors, state, origin, keys=keys, first=first)
    kept = {name: np.asarray(value)[:, :, tune:] for name, value in stats.items()}
    return Chains(np.asarray(flat)[:, :, tune:], kept)


def sample(problem: Problem, plan: SamplingPlan, report: Report) -> Chains:
    """Chains of a problem's posterior, as many as the plan says.

    `report(done, total, divergences)` is called as they proceed.
    """
    start = draw_starts(problem.placed, plan.chains, plan.seed)
    return sample_from(problem.placed.posterior, start, plan, report)


def sample_from(
    posterior: Posterior, start: np.ndarray, plan: SamplingPlan, report: Report
) -> Chains:
    """Chains from `start`, (chain, size)."""
    tune, total = plan.tune, plan.tune + plan.draws
    settings = NutsSettings(tune, plan.target_accept, min(STEPS, total))
    origin = _begin(posterior, jnp.asarray(start))
    keys = jax.random.split(jax.random.PRNGKey(plan.seed), len(start))
    state, first = _blank(posterior, origin, keys), jnp.asarray(True)
    flat, stats, divergences = [], [], 0
    for done in range(0, total, settings.steps):
        state, (values, kept) = _advance(settings, posterior, state, origin, key=keys, first=first)
        first = jnp.asarray(False)
        flat.append(np.asarray(values))
        stats.append({name: np.asarray(value) for name, value in kept.items()})
        divergences += int(stats[-1]["diverging"][:, max(tune - done, 0) :].sum())
        report(min(done + settings.steps, total), total, divergences)
    window = slice(tune, total)
    joined = {
        name: np.concatenate([block[name] for block in stats], axis=1)[:, window]
        for name in stats[0]
    }
    return Chains(np.concatenate(flat, axis=1)[:, window], joined)


@partial(jax.jit, compiler_options=ALONE)
def parameters(posterior: Posterior, flat: jax.Array) -> dict[str, jax.Array]:
    """Draws of the parameters, each (chain, draw, ...), at flat draws (chain, draw, size)."""
    draws = flat.reshape(-1, flat.shape[-1])
    # one by one: XLA on the CPU has been seen to hang in large batches of small QRs
    values = jax.lax.map(partial(constrain, posterior), draws)
    return {
        name: value.reshape(*flat.shape[:2], *value.shape[1:])
        for name, value in values._asdict().items()
        if value is not None
    }


def draw_starts(placed: Placed, chains: int, seed: int) -> np.ndarray:
    """Draw starting points of chains, (chain, size), from an approximation of the posterior.

    (rho, lam) come from the weighted points where they have their mass; the rest is standard
    normal.
    """
    posterior, mass = placed
    rng = np.random.default_rng(seed)
    start = rng.standard_normal((chains, flat_size(posterior)))
    if mass.points.shape[1]:
        chosen = mass.points[rng.choice(len(mass.points), size=chains, p=mass.weight)]
        centre, scale = np.asarray(posterior.centre), np.asarray(posterior.scale)
        start[:, -mass.points.shape[1] :] = (chosen - centre) / scale
    return start
