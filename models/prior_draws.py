"""Draws from the proper parts of a prior, inside its supports, to compare with the posterior."""

import numpy as np
import numpyro.distributions as dist
import scipy.linalg

from spillover.models.likelihood import sigma_alpha
from spillover.models.prior_arrays import Prior
from spillover.models.supports import POSITIVE, WHOLE, sample_within


def draw(
    prior: Prior,
    bounds: tuple[np.ndarray, ...],
    names: tuple[str, ...],
    size: int,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Draws from those parts of a prior that are proper.

    Parameters
    ----------
    prior : Prior
        The prior of a model.
    bounds : tuple of array (2,)
        The admissible intervals of those of rho and lam that the model has.
    names : tuple of str
        Their names, "rho" and "lam".
    size : int
        How many draws.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    dict of array
        By parameter: beta (size, k), the others (size,). Parameters with an improper prior are
        missing.
    """
    drawn: dict[str, np.ndarray | None] = {}
    if prior.sigma is not None:
        drawn["sigma"] = sample_within(prior.sigma, size, POSITIVE, rng)
    elif prior.a0 > 0:
        drawn["sigma"] = np.sqrt(float(prior.d0) / rng.gamma(float(prior.a0), size=size))
    if (sigma := drawn.get("sigma")) is not None:
        drawn["beta"] = _draw_beta(prior, sigma, rng)
    for name, family, (lower, upper) in zip(names, prior.dependence, bounds, strict=True):
        if isinstance(family, dist.Distribution):
            drawn[name] = sample_within(family, size, (lower, upper), rng)
        else:
            a, b = map(float, family)
            drawn[name] = lower + (upper - lower) * rng.beta(a, b, size=size)
    return {name: values for name, values in drawn.items() if values is not None}


def draw_spread(
    prior: Prior, sigma: np.ndarray | None, periods: int, size: int, rng: np.random.Generator
) -> np.ndarray | None:
    """Draws of sigma_alpha, (size,), that go with those of sigma, (size,).

    None where the prior is on the share w and sigma has no proper prior.
    """
    if isinstance(prior.level, dist.Distribution):
        return sample_within(prior.level, size, POSITIVE, rng)
    if sigma is None:
        return None
    a, b = map(float, prior.level)
    return sigma_alpha(sigma, rng.beta(a, b, size=size), periods)


def _draw_beta(prior: Prior, sigma: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """beta given sigma, (size, k); None where part of it is flat."""
    root, target = np.asarray(prior.root), np.asarray(prior.target)
    k, proper = len(root), (root != 0).any(axis=1)
    covered = [position for positions in prior.beta for position in positions]
    if proper.sum() + len(covered) < k:
        return None
    beta = np.zeros((len(sigma), k))
    for positions, family in prior.beta.items():
        own = bool(family.event_shape or family.batch_shape)
        values = sample_within(
            family, len(sigma) if own else len(sigma) * len(positions), WHOLE, rng
        )
        if values is None:
            return None
        beta[:, list(positions)] = values.reshape(len(sigma), len(positions))
    free = np.flatnonzero(proper)
    noise = (
        target[free]
        + sigma[:, None] * rng.standard_normal((len(sigma), len(free)))
        - beta @ root[free].T
    )
    beta[:, free] = scipy.linalg.solve(root[np.ix_(free, free)], noise.T).T if len(free) else 0
    return beta
