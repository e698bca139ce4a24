"""Independent draws from the exact posterior, and the evidence.

The formulas are in `spillover.models.exact`; this module makes the random numbers, refines the
quadrature until it is accurate, and refuses what it cannot take.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import numpy as np
import numpyro.distributions as dist
from scipy.special import logsumexp

from spillover.engine.estimation.arguments import SamplingPlan
from spillover.engine.estimation.problem import Problem, collapsed_density
from spillover.kernels.arrays import leaf
from spillover.kernels.errors import ConvergenceError, SpecificationError
from spillover.kernels.quadrature import locate, tabulate
from spillover.models.exact import Noise, sample
from spillover.models.likelihood import dependence
from spillover.models.mode_search import POINTS as GRID
from spillover.models.mode_search import Mass, centre_and_root
from spillover.models.posterior import Draw, Posterior, sigma_shape
from spillover.models.prior_arrays import log_dependence

POINTS = (257, 1025, 4097)  # of the outer table: the next where the one before is too coarse
GOOD, BAD = 1e-9, 1e-4  # relative errors of the integral: good enough, and too bad
# largest difference, in log units, between the trapezoidal rule at a step and at twice the step;
# the error at the step itself is about the square of that
CLOSE = 1e-4
REACH = 5.0  # range of u, either way: s reaches 74 standard deviations from its centre
WIDTH = 1024  # values of lam that an accelerator takes at a time; a CPU takes one by one


class Exact(NamedTuple):
    """Draws of the parameters by name, (chain, draw, ...), the evidence, and the quadrature.

    `log_evidence`: None where the prior is improper. `error`: the relative error of the quadrature.
    `points`: the number of its points.
    """

    parameters: dict[str, np.ndarray]
    log_evidence: float | None
    error: float
    points: int


def draw(problem: Problem, plan: SamplingPlan) -> Exact:
    """Draw independently from a problem's posterior, as often as the plan says.

    SpecificationError for priors of beta or sigma that are not conjugate; ConvergenceError where no
    table is fine enough.
    """
    drawn = draw_from(problem.placed.posterior, plan)
    return drawn._replace(log_evidence=None) if problem.effects.quasi else drawn


def draw_from(posterior: Posterior, plan: SamplingPlan) -> Exact:
    """Draw independently from a posterior, and compute its evidence."""
    refuse_other_priors(posterior)
    noise = make_noise(posterior, plan.draws * plan.chains, np.random.default_rng(plan.seed))
    for points in POINTS:
        values, quality = sample(posterior, noise, points=points, batch=choose_width())
        error = float(quality.error)
        if error < GOOD:
            break
    refuse_rough(error)
    evidence = log_evidence(posterior, float(quality.log_evidence))
    return Exact(_by_chain(values, plan), evidence, error, points)


def refuse_rough(error: float) -> None:
    """Refuse, by a ConvergenceError, an integral whose relative error is too large."""
    if not error < BAD:
        raise ConvergenceError(
            f"The quadrature over the spatial parameters is off by {error:.1g}: the posterior is"
            " too rough. Use sampler='nuts'."
        )


def _by_chain(values: Draw, plan: SamplingPlan) -> dict[str, np.ndarray]:
    """The draws of those parameters that the model has, (chain, draw, ...)."""
    arrays = {
        name: np.asarray(value) for name, value in values._asdict().items() if value is not None
    }
    shape = (plan.chains, plan.draws)
    return {name: value.reshape(*shape, *value.shape[1:]) for name, value in arrays.items()}


def refuse_other_priors(posterior: Posterior) -> None:
    """Refuse, by a SpecificationError, priors under which beta and sigma do not integrate out."""
    if posterior.prior.beta or posterior.prior.sigma is not None:
        raise SpecificationError(
            "The exact sampler needs conjugate priors of beta and sigma (Ridge, Zellner, Conjugate,"
            " Flat; InverseGamma, Flat): use sampler='nuts' with others."
        )


def make_noise(posterior: Posterior, size: int, rng: np.random.Generator) -> Noise:
    """The random numbers behind `size` draws."""
    k = posterior.likelihood.moments.d.shape[1]
    gamma = float(sigma_shape(posterior.likelihood, posterior.prior))
    parts = (
        rng.random(size),
        rng.random(size),
        rng.standard_gamma(gamma, size),
        rng.standard_normal((size, k)),
    )
    return Noise(*map(leaf, parts))


def choose_width() -> int | None:
    """How many values of lam to take at a time on this device; None for one by one."""
    return None if jax.default_backend() == "cpu" else WIDTH


def integrate_evidence(problem: Problem) -> float | None:
    """log p(y) of any model, without draws.

    None where a prior is improper or not conjugate, and for a quasi-likelihood. ConvergenceError
    where the quadrature does not converge.
    """
    if problem.effects.quasi:
        return None
    with jax.enable_x64(True):
        posterior, mass = problem.placed
        density = partial(collapsed_density, posterior.likelihood, posterior.prior)
        return evidence_of(posterior, mass, density)


def try_evidence(problem: Problem) -> float | None:
    """log p(y) as by `integrate_evidence`, but None where the quadrature does not converge."""
    try:
        return integrate_evidence(problem)
    except ConvergenceError:
        return None


def evidence_of(
    posterior: Posterior, mass: Mass, density: Callable[[np.ndarray], jax.Array]
) -> float | None:
    """log p(y) of any model, without draws; None where a prior is improper or not conjugate.

    `density` is log p(y, s) at logit variables s. It is integrated by the trapezoidal rule in u,
    with centre and root from the mass::

        s = centre + root sinh(u)

    For integrands like this one the error of the rule falls exponentially with the number of
    points. The step is halved until twice the step gives the same; ConvergenceError where it never
    does. Trefethen & Weideman (2014), SIAM Review 56.
    """
    prior = posterior.prior
    if prior.beta or prior.sigma is not None or isinstance(prior.level, dist.Distribution):
        return None
    dimensions = mass.points.shape[1]
    if not dimensions:
        return log_evidence(posterior, float(mass.value[0]))
    for times in (1, 2, 4) if dimensions < 3 else (1, 2):
        side = (GRID[dimensions] - 1) * times + 1
        fine, coarse = _integrate(density, mass, side)
        if abs(fine - coarse) < CLOSE:
            return log_evidence(posterior, fine)
    raise ConvergenceError(
        f"The evidence is not known better than to {abs(fine - coarse):.1g}: the posterior of rho"
        " and lam is too rough."
    )


def _integrate(
    density: Callable[[np.ndarray], jax.Array], mass: Mass, side: int
) -> tuple[float, float]:
    """Integrate a density over s by the trapezoidal rule in u; return the logs of two integrals.

    The first has `side` points along each dimension, the second every other one of them.
    """
    centre, root = centre_and_root(mass)
    p = len(centre)
    axis = np.linspace(-REACH, REACH, side)
    u = np.stack(np.meshgrid(*[axis] * p, indexing="ij"), axis=-1).reshape(-1, p)
    stretch = np.log(np.cosh(u)).sum(axis=1) + np.log(np.diag(root)).sum()
    values = np.asarray(density(centre + np.sinh(u) @ root.T)) + stretch
    grid = np.where(np.isfinite(values), values, -np.inf).reshape([side] * p)
    steps = p * np.log((axis[1] - axis[0]) * np.array([1, 2]))
    every_other = grid[(slice(None, None, 2),) * p]
    return float(logsumexp(grid) + steps[0]), float(logsumexp(every_other) + steps[1])


def log_evidence(posterior: Posterior, integral: float) -> float | None:
    """log p(y) from the log of the integral over (rho, lam); None where the prior is improper.

    A user's distribution of rho or lam is taken as truncated to the admissible interval.
    """
    prior = posterior.prior
    if not (float(prior.a0) > 0 and int(prior.rank) == posterior.likelihood.moments.d.shape[1]):
        return None
    outside, parts = 0.0, dependence(posterior.likelihood)
    ends = (None,) * len(parts) if prior.supports is None else prior.supports.dependence
    for family, part, own in zip(prior.dependence, parts, ends, strict=True):
        if isinstance(family, dist.Distribution):
            density = jax.vmap(
                lambda s, family=family, part=part, own=own: log_dependence(
                    family, s, part.bounds, own
                )
            )
            outside += float(tabulate(density, locate(density), POINTS[-1]).log_integral)
    return integral - outside
