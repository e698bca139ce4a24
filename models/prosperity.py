"""A whole study on composite indices whose truth is known.

    y = S(rho)^-1 (x beta + W x theta + alpha_i + xi_t + sigma e),    y_it = sum_j w_j z_itj

with w the entropy weights of the indicators z.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import scipy.optimize
import scipy.sparse as sparse
import scipy.special

from spillover.kernels.errors import ConvergenceError
from spillover.kernels.factor import factorise
from spillover.models import entropy

# The coefficients of a published study of the Chinese provinces (two-way spatial Durbin model),
# used as the truth of simulated data.
TRUTH: Mapping[str, float] = MappingProxyType(
    {
        "integration": 0.935,
        "government": 0.046,
        "openness": -0.201,
        "human_capital": 0.131,
        "industry": 0.068,
        "technology": 0.342,
        "W:integration": 0.698,
        "W:government": 0.053,
        "W:openness": -0.041,
        "W:human_capital": 0.581,
        "W:industry": 0.465,
        "W:technology": 0.634,
        "rho": 0.396,
    }
)
CONTROLS: Mapping[str, tuple[float, float]] = (
    MappingProxyType(  # between which values each control lies: shares, but for openness
        {
            "government": (0.08, 0.65),
            "openness": (0.02, 1.2),
            "human_capital": (0.06, 0.55),
            "industry": (0.3, 0.85),
            "technology": (0.0, 0.3),
        }
    )
)
# of shocks from year to year; of units to their neighbours, as the rho of a spatial filter
PERSISTENCE, NEARNESS = (
    0.6,
    0.7,
)
# how far an indicator may stand from its index, as a share of the distance to the nearer end of [0,
# 1]
SPREAD = 0.4


@dataclass(frozen=True, eq=False)
class Prosperity:
    """A simulated study: for all units and periods, y = rho W y + x beta + W x theta + effects +
    noise, with the coefficients TRUTH.

    `y`: (T, N), the prosperity index; `x`: (T, N, 6), integration and the controls in the order of
    TRUTH; `effects`: (T, N), the sum of an effect of the unit and one of the period; `noise`: (T,
    N); `indicators` of y, (T, N, k), and of integration, `parts` (T, N, m), all in [0, 1] with more
    being better: the entropy index of the former is y and that of the latter x[..., 0].
    """

    y: np.ndarray
    x: np.ndarray
    effects: np.ndarray
    noise: np.ndarray
    indicators: np.ndarray
    parts: np.ndarray


def simulate_gdp(level: np.ndarray, periods: int, rng: np.random.Generator) -> np.ndarray:
    """Gross domestic product a person, (T, N), in yuan: growth of about 7 % a year from a level
    that rises with `level` (N,), in any units.

    >>> import numpy as np
    >>> gdp_per_capita(np.arange(3.0), 2, np.random.default_rng(0)).shape
    (2, 3)
    """
    n = len(level)
    start = np.log(42_000) + 0.3 * _standard(level) + 0.2 * rng.standard_normal(n)
    growth = rng.normal(0.07, 0.01, n)
    return np.exp(
        start + growth * np.arange(periods)[:, None] + 0.02 * rng.standard_normal((periods, n))
    )


def simulate_prosperity(
    weights: sparse.csr_array,
    gdp: np.ndarray,
    rng: np.random.Generator,
    *,
    sigma: float = 0.008,
    indicators: tuple[int, int] = (10, 5),
) -> Prosperity:
    """A panel study in which composite indices, as the entropy method works them out, obey a
    spatial Durbin model exactly.

    y = S(rho)^-1 (x beta + W x theta + alpha_i + xi_t + sigma e),   min y = 0, max y = 1,   y =
    entropy index of `indicators[0]` series

    `weights`: the W of the model, (N, N), row-standardised; `gdp`: (T, N), whose mean over time
    sets how developed a unit is, and which is not in the model; `sigma`: of the errors, in units of
    y; `indicators`: how many make y, and how many make integration.

    Raises ConvergenceError where the part of y that the effects cannot move is wider than [0, 1]:
    then lower sigma.

    >>> import numpy as np, scipy.sparse as sparse
    >>> ring = sparse.csr_array(
    ...     np.roll(np.eye(8), 1, axis=1) / 2 + np.roll(np.eye(8), -1, axis=1) / 2
    ... )
    >>> study = prosperity(
    ...     ring, np.exp(np.random.default_rng(1).normal(size=(5, 8))), np.random.default_rng(0)
    ... )
    >>> float(study.y.min()), float(study.y.max()), study.x.shape
    (0.0, 1.0, (5, 8, 6))
    """
    shape = gdp.shape
    rank = _standard(np.log(gdp.mean(axis=0)))
    common = _latent(weights, rank, (shape[0], 1), rng, pace=0.4)
    parts = scipy.special.expit(
        0.7 * common + 0.6 * _latent(weights, rank, (shape[0], indicators[1]), rng, pace=0.4)
    )
    integration, _ = entropy.index(entropy.rescale(parts.reshape(-1, indicators[1])))
    low, high = np.array(list(CONTROLS.values())).T
    controls = low + (high - low) * scipy.special.expit(
        _latent(weights, rank, (shape[0], len(CONTROLS)), rng) - 0.7
    )
    x = np.concatenate([integration.reshape(*shape, 1), controls], axis=-1)
    noise = sigma * rng.standard_normal(shape)
    y, effects = _solve(weights, x, noise, rank, rng)
    return Prosperity(y, x, effects, noise, _around(y, indicators[0], rng), parts)


def _solve(
    weights: sparse.csr_array,
    x: np.ndarray,
    noise: np.ndarray,
    rank: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """y (T, N) of range [0, 1], and the two-way effects (T, N) that give it this range.

    The effects first take out the unit and period means of all else, then put in a pattern of the
    model's choosing, times an amplitude: the range of y is convex in it, so that one amplitude
    gives 1.
    """
    coefficients = np.array(list(TRUTH.values()))
    rho, k = TRUTH["rho"], x.shape[-1]
    explained = x @ coefficients[:k] + (x @ coefficients[k:-1]) @ weights.T + noise
    within = (
        explained
        - explained.mean(axis=0)
        - explained.mean(axis=1, keepdims=True)
        + explained.mean()
    )
    unit = _standard(rank + 0.5 * _near(weights, rng.standard_normal((len(rank), 1)))[:, 0])
    period = 0.6 * np.linspace(-1, 1, len(x))[:, None] + 0.1 * rng.standard_normal((len(x), 1))
    factor = factorise(weights, rho)
    bare, pattern = factor.solve(within.T).T, factor.solve((unit + period).T).T
    if np.ptp(bare) >= 1:
        raise ConvergenceError(
            f"y varies by {np.ptp(bare):.2f} within units and periods, more than [0, 1] holds:"
            f" lower sigma={noise.std():.3g}."
        )
    amplitude = scipy.optimize.brentq(
        lambda a: np.ptp(bare + a * pattern) - 1, 0, 2 / np.ptp(pattern), xtol=1e-15
    )
    raw = bare + amplitude * pattern
    y = (raw - raw.min()) / np.ptp(raw)
    return y, y - rho * (y @ weights.T) - explained


def _around(y: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Indicators z (T, N, count) in [0, 1] whose entropy index is y (T, N), of range exactly [0,
    1].

    z_j = y + e_j - sum_k w_k e_k with |e_j| <= 0.4 min(y, 1 - y): all z_j are 0 where y is 0 and 1
    where it is 1, so that rescaling changes nothing, and sum_j w_j z_j = y. The entropy weights w
    hang on z in turn: a fixed point, of which w is a smooth function.
    """
    lean = rng.uniform(-0.5, 0.5, count)  # for good: what makes the weights differ
    shape = (
        lean
        + 0.42 * rng.uniform(-1, 1, (y.shape[1], count))
        + 0.08 * rng.uniform(-1, 1, (*y.shape, count))
    )
    e = SPREAD * np.minimum(y, 1 - y)[..., None] * shape
    w = np.full(count, 1 / count)
    for _ in range(100):
        z = y[..., None] + e - (e @ w)[..., None]
        previous, w = w, entropy.index(z.reshape(-1, count))[1]
        if np.abs(w - previous).max() < 1e-14:
            return z
    raise ConvergenceError(
        f"The weights of {count} indicators still move by {np.abs(w - previous).max():.1g}: ask for"
        " another number."
    )


def _latent(
    weights: sparse.csr_array,
    rank: np.ndarray,
    size: tuple[int, int],
    rng: np.random.Generator,
    pace: float = 1.0,
) -> np.ndarray:
    """Series (T, N, count) around 0, for `size` (T, count): persistent units, nearer ones more
    alike, the developed ahead; then, times `pace`, trends and shocks that die away.
    """
    n, (periods, count) = len(rank), size
    unit = 0.6 * rank[:, None] + 0.7 * _near(weights, rng.standard_normal((n, count)))
    trend = np.linspace(-0.5, 0.5, periods)[:, None, None] * (
        0.8 + 0.4 * rng.standard_normal((n, count))
    )
    shocks = 0.3 * _near(weights, rng.standard_normal((n, periods * count))).reshape(
        n, periods, count
    ).transpose(1, 0, 2)
    for t in range(1, periods):
        shocks[t] += PERSISTENCE * shocks[t - 1]
    return unit + pace * (trend + shocks + 0.1 * rng.standard_normal((periods, 1, count)))


def _near(weights: sparse.csr_array, values: np.ndarray) -> np.ndarray:
    """Values (N, k) that are more alike the nearer two units are."""
    return factorise(weights, NEARNESS).solve(values)


def _standard(values: np.ndarray) -> np.ndarray:
    return (values - values.mean()) / values.std()
