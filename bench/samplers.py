"""A model's posterior, and both samplers on it, without what a fit makes of their draws.

The only file here that reaches below the public names for what estimators take and return.
"""

import numpy as np

import spillover as so
from spillover.engine.estimation import exact, nuts
from spillover.engine.estimation.arguments import SamplingPlan
from spillover.engine.estimation.problem import Placed, build_likelihood, collapsed_density
from spillover.kernels.arrays import leaf
from spillover.models.mode_search import centre_and_scale, explore
from spillover.models.posterior import Posterior

CHAINS, TUNE, KEPT = 4, 1000, 1000


def factorize(model: so.Model) -> tuple[np.ndarray, tuple[str, ...]]:
    """R of the lag basis, and the part that each of its columns plays."""
    return model.problem.factor


def place(model: so.Model) -> Placed:
    """The posterior, and where its mass is in (rho, lam)."""
    return model.problem.placed


def place_with(model: so.Model, series: so.LogDet) -> Placed:
    """The posterior of a SAR with a log-determinant of one's own."""
    problem = model.problem
    data = build_likelihood(problem, problem.factor_with_prior, [series], problem.effects)
    mass = explore(lambda points: collapsed_density(data, problem.prior, points), 1)
    centre, scale = map(leaf, centre_and_scale(mass))
    return Placed(Posterior(data, problem.prior, centre, scale), mass)


def draw_exact(posterior: Posterior, draws: int) -> dict[str, np.ndarray]:
    """Independent draws, (1, draws, ...)."""
    plan = SamplingPlan(draws, 0, chains=1, seed=1, target_accept=0.8)
    return exact.draw_from(posterior, plan).parameters


def draw_chains(placed: Placed) -> tuple[dict[str, np.ndarray], int]:
    """Draws of CHAINS chains by NUTS, (CHAINS, KEPT, ...), and the steps that they took."""
    plan = SamplingPlan(KEPT, TUNE, chains=CHAINS, seed=1, target_accept=0.8)
    start = nuts.draw_starts(placed, plan.chains, plan.seed)
    path = nuts.sample_from(placed.posterior, start, plan, lambda *_: None)
    values = nuts.parameters(placed.posterior, path.flat)
    draws = {name: np.asarray(value) for name, value in values.items()}
    return draws, int(path.stats["n_steps"].sum())
