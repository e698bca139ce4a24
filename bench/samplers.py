"""A model's posterior, and both samplers on it, without what a fit makes of their draws.

The only file here that reaches below the public names for what estimators take and return.
"""

from typing import Any

import numpy as np

import spillover as so
from spillover.engine.estimation import exact, nuts
from spillover.kernels.arrays import leaf
from spillover.kernels.moments import split
from spillover.models.likelihood import Likelihood
from spillover.models.mode_search import Mass, centre_and_scale, explore
from spillover.models.posterior import Posterior, collapsed

CHAINS, TUNE, KEPT = 4, 1000, 1000


def reduce(model: so.Model) -> tuple[np.ndarray, tuple[str, ...]]:
    """R of the lag basis, and the part that each of its columns plays."""
    return model.factor(model.effects)


def place(model: so.Model) -> tuple[Posterior, Mass]:
    """The posterior, and where its mass is in (rho, lam)."""
    return model._posterior


def place_with(model: so.Model, series: so.LogDet) -> tuple[Posterior, Mass]:
    """The posterior of a SAR with a log-determinant of one's own."""
    import jax

    factor, parts, prior = model._with_prior
    nu, multiplicity = leaf(model.effects.nu), leaf(model.effects.multiplicity)
    data = Likelihood(split(factor, parts), series.record, None, nu, multiplicity)
    density = jax.jit(lambda points: jax.lax.map(lambda s: collapsed(data, prior, s), points))
    mass = explore(density, 1)
    centre, scale = map(leaf, centre_and_scale(mass))
    return Posterior(data, prior, centre, scale), mass


def draw_exact(posterior: Posterior, draws: int) -> dict[str, np.ndarray]:
    """Independent draws, (1, draws, ...)."""
    return exact.draw(posterior, draws=draws, chains=1, seed=1).parameters


def draw_chains(posterior: Posterior, mass: Mass) -> tuple[dict[str, np.ndarray], int]:
    """Draws of CHAINS chains by NUTS, (CHAINS, KEPT, ...), and the steps that they took."""
    start = nuts.starting_points(posterior, mass.points, mass.weight, CHAINS, 1)
    options: dict[str, Any] = {"tune": TUNE, "draws": KEPT, "seed": 1, "target_accept": 0.8}
    path = nuts.sample(posterior, start, **options, report=lambda *_: None)
    values = nuts.parameters(posterior, path.flat)
    draws = {name: np.asarray(value) for name, value in values.items()}
    return draws, int(path.stats["n_steps"].sum())
