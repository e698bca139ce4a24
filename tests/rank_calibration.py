"""Simulation-based calibration of any model and effects: parameters from the prior, data from the
parameters, ranks among the draws.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import replicates
from scipy import stats

import spillover as so

UNITS, PERIODS, REGRESSORS = 20, 3, 2
# sigma^2 ~ InverseGamma(SHAPE, RATE), beta | sigma^2 ~ N(0, sigma^2 SPREAD)
SHAPE, RATE, SPREAD = (
    6.0,
    5.0,
    0.5,
)
CELLS = 20  # of ranks
THIN, TUNE = 5, 400  # of chains


class Parameters(NamedTuple):
    """One draw from the prior. beta: (k,), by the terms of the model; rho, lam, sigma_alpha: 0
    where the model lacks them.
    """

    beta: np.ndarray
    rho: float
    lam: float
    sigma: float
    sigma_alpha: float


def weights() -> so.Weights:
    """A row-standardised, asymmetric W."""
    return replicates.neighbours(UNITS)


def model(name: str, effects: str) -> so.Model:
    """A model whose prior does not look at the data, on data that are to be replaced."""
    periods = 1 if effects == "none" else PERIODS
    plain = replicates.model(name, effects, weights(), (periods, REGRESSORS))
    k = len(plain.design.terms)
    beta = so.Conjugate((0.0,) * k, tuple(map(tuple, SPREAD * np.eye(k))))
    priors = so.Priors(beta=beta, sigma=so.InverseGamma(SHAPE, RATE))
    return replicates.model(name, effects, weights(), (periods, REGRESSORS), priors)


def simulated(base: so.Model, rng: np.random.Generator) -> tuple[so.Model, Parameters]:
    """Data of the model, from parameters of its prior: y = S(rho)^-1 (D beta + fixed effects +
    S_lam^-1 (alpha + e)).
    """
    spec, (periods, n) = base.spec, base.panel.y.shape
    low, high = base.weights.bounds
    x = rng.standard_normal((periods, n, REGRESSORS))
    blank = replicates.on(base, np.zeros((periods, n)), x)
    sigma = np.sqrt(RATE / rng.gamma(SHAPE))
    share = np.sqrt(rng.uniform())  # w, the square root of sigma^2 / (sigma^2 + T sigma_alpha^2)
    truth = Parameters(
        beta=sigma * np.sqrt(SPREAD) * rng.standard_normal(len(base.design.terms)),
        rho=rng.uniform(low, high) * spec.lag,
        lam=rng.uniform(low, high) * spec.error,
        sigma=sigma,
        sigma_alpha=sigma * np.sqrt((1 / share**2 - 1) / periods) * spec.random,
    )
    w, eye = base.weights.matrix.toarray(), np.eye(n)
    alpha = truth.sigma_alpha * rng.standard_normal(n) if spec.random else np.zeros(n)
    errors = np.linalg.solve(
        eye - truth.lam * w, (alpha + sigma * rng.standard_normal((periods, n))).T
    ).T
    fixed = rng.standard_normal((1, n)) * (
        spec.effects in ("unit", "twoway")
    ) + rng.standard_normal((periods, 1)) * (spec.effects in ("period", "twoway"))
    y = np.linalg.solve(
        eye - truth.rho * w, (blank.design.columns @ truth.beta + fixed + errors).T
    ).T
    return replicates.on(base, y, x), truth


def ranks(name: str, effects: str, count: int, draws: int, seed: int) -> dict[str, np.ndarray]:
    """How many of `draws` lie below the truth, by quantity, (count, columns): exact draws, of
    random effects thinned ones by NUTS.
    """
    base, rng = model(name, effects), np.random.default_rng([seed, *map(ord, name + effects)])
    made = [simulated(base, rng) for _ in range(count)]
    truths = [truth for _, truth in made]
    found = (
        _chains([one for one, _ in made], draws)
        if base.spec.random
        else _exact([one for one, _ in made], draws, rng)
    )
    true = {
        key: np.array([np.atleast_1d(getattr(truth, key)) for truth in truths])
        for key in found
        if key not in ("direct", "total")
    }
    effects_of = [_impacts(base, truth) for truth in truths]
    true |= {
        "direct": np.array([direct for direct, _ in effects_of]),
        "total": np.array([total for _, total in effects_of]),
    }
    return {key: (values < true[key][:, None]).sum(axis=1) for key, values in found.items()}


def _exact(
    models: Sequence[so.Model], draws: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    found = replicates.drawn([replicates.member(one) for one in models], draws, rng)
    parts = {
        key: value
        for key, value in found.draw._asdict().items()
        if value is not None and key != "sigma_alpha"
    }
    parts = {key: value if value.ndim == 3 else value[..., None] for key, value in parts.items()}
    return parts | {"direct": found.impacts.direct, "total": found.impacts.total}


def _chains(models: Sequence[so.Model], draws: int) -> dict[str, np.ndarray]:
    found = []
    for seed, one in enumerate(models):
        fit = one.fit(draws=draws * THIN, tune=TUNE, chains=1, seed=seed, progress=False)
        values = {
            **{key: fit.posterior[key] for key in fit.posterior},
            **{key: fit.impacts()[key] for key in ("direct", "total")},
        }
        found.append(
            {key: value.to_numpy()[0, ::THIN].reshape(draws, -1) for key, value in values.items()}
        )
    return {key: np.stack([part[key] for part in found]) for key in found[0]}


def _impacts(base: so.Model, truth: Parameters) -> tuple[np.ndarray, np.ndarray]:
    design = base.design
    theta = np.where(design.lagged >= 0, truth.beta[design.lagged], 0.0)
    return replicates.impacts(
        base.weights, replicates.Truth(truth.beta[design.own], theta, truth.rho, truth.sigma)
    )


def p_values(found: dict[str, np.ndarray], draws: int, cells: int = CELLS) -> dict[str, float]:
    """Chi-square p-values of uniform ranks in so many cells, the smallest of a vector's columns."""
    lowest = {}
    for key, values in found.items():
        counts = [
            np.bincount(column * cells // (draws + 1), minlength=cells) for column in values.T
        ]
        lowest[key] = float(min(stats.chisquare(one).pvalue for one in counts))
    return lowest
