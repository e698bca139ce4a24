"""A simulated study on composite indices, with known parameters.

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
# the range of each control; all except openness are shares
CONTROLS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "government": (0.08, 0.65),
        "openness": (0.02, 1.2),
        "human_capital": (0.06, 0.55),
        "industry": (0.3, 0.85),
        "technology": (0.0, 0.3),
    }
)
PERSISTENCE = 0.6  # of shocks from year to year
NEARNESS = 0.7  # the rho of the spatial filter that makes neighbours alike
# how far an indicator may lie from its index, as a share of the way to the nearer end of [0, 1]
SPREAD = 0.4


@dataclass(frozen=True, eq=False)
class Prosperity:
    """A simulated study with the coefficients TRUTH.

        y = rho W y + x beta + W x theta + effects + noise

    `y`: the index of prosperity, (T, N). `x`: integration and the controls in the order of TRUTH,
    (T, N, 6). `effects`: the sum of an effect of the unit and one of the period, (T, N). `noise`:
    (T, N). `indicators`: of y, (T, N, k), and `parts`: of integration, (T, N, m); all lie in
    [0, 1], and more is better. The entropy index of the former is y, that of the latter x[..., 0].
    """

    y: np.ndarray
    x: np.ndarray
    effects: np.ndarray
    noise: np.ndarray
    indicators: np.ndarray
    parts: np.ndarray


def simulate_gdp(level: np.ndarray, periods: int, rng: np.random.Generator) -> np.ndarray:
    """Simulate gross domestic product per head in yuan, (T, N).

    It grows by about 7 % a year from a start that rises with the `level` of a unit, (N,), in any
    units.

    >>> import numpy as np
    >>> simulate_gdp(np.arange(3.0), 2, np.random.default_rng(0)).shape
    (2, 3)
    """
    n = len(level)
    start = np.log(42_000) + 0.3 * _standardise(level) + 0.2 * rng.standard_normal(n)
    growth = rng.normal(0.07, 0.01, n)
    shocks = 0.02 * rng.standard_normal((periods, n))
    return np.asarray(np.exp(start + growth * np.arange(periods)[:, None] + shocks))


def simulate_prosperity(
    weights: sparse.csr_array,
    gdp: np.ndarray,
    rng: np.random.Generator,
    *,
    sigma: float = 0.008,
    indicators: tuple[int, int] = (10, 5),
) -> Prosperity:
    """Simulate a panel whose composite index obeys a spatial Durbin model exactly.

    The indices are those of the entropy method.

        y = S(rho)^-1 (x beta + W x theta + alpha_i + xi_t + sigma e),    min y = 0,  max y = 1

    Parameters
    ----------
    weights : sparse array (N, N)
        W, row-standardised.
    gdp : array (T, N)
        Gross domestic product per head. Its mean over time says how developed a unit is; the model
        does not contain it.
    rng : numpy.random.Generator
        Source of all that is random.
    sigma : float, default 0.008
        Standard deviation of the errors, in units of y.
    indicators : tuple of int, default (10, 5)
        How many indicators make y, and how many make integration.

    Returns
    -------
    Prosperity
        The data and what made them.

    Raises
    ------
    ConvergenceError
        Where the part of y that the effects cannot change is wider than [0, 1]; then lower sigma.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sparse
    >>> ring = sparse.csr_array(
    ...     np.roll(np.eye(8), 1, axis=1) / 2 + np.roll(np.eye(8), -1, axis=1) / 2
    ... )
    >>> gdp = np.exp(np.random.default_rng(1).normal(size=(5, 8)))
    >>> study = simulate_prosperity(ring, gdp, np.random.default_rng(0))
    >>> float(study.y.min()), float(study.y.max()), study.x.shape
    (0.0, 1.0, (5, 8, 6))
    """
    shape = gdp.shape
    rank = _standardise(np.log(gdp.mean(axis=0)))
    common = _simulate_series(weights, rank, (shape[0], 1), rng, pace=0.4)
    parts = scipy.special.expit(
        0.7 * common
        + 0.6 * _simulate_series(weights, rank, (shape[0], indicators[1]), rng, pace=0.4)
    )
    integration, _ = entropy.index(entropy.rescale(parts.reshape(-1, indicators[1])))
    low, high = np.array(list(CONTROLS.values())).T
    controls = low + (high - low) * scipy.special.expit(
        _simulate_series(weights, rank, (shape[0], len(CONTROLS)), rng) - 0.7
    )
    x = np.concatenate([integration.reshape(*shape, 1), controls], axis=-1)
    noise = sigma * rng.standard_normal(shape)
    y, effects = _solve_response(weights, x, noise, rank, rng)
    series = _simulate_indicators(y, indicators[0], rng)
    return Prosperity(y=y, x=x, effects=effects, noise=noise, indicators=series, parts=parts)


def _solve_response(
    weights: sparse.csr_array,
    x: np.ndarray,
    noise: np.ndarray,
    rank: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """y, (T, N), of range [0, 1], and the two-way effects, (T, N), that give it this range.

    The effects cancel the unit and period means of everything else, and add a pattern of their own
    times an amplitude. The range of y is convex in the amplitude, so that one value gives 1.
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
    unit = _standardise(rank + 0.5 * _smooth(weights, rng.standard_normal((len(rank), 1)))[:, 0])
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


def _simulate_indicators(y: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Indicators z, (T, N, count), in [0, 1] whose entropy index is y, (T, N), of range [0, 1].

        z_j = y + e_j - sum_k w_k e_k,    |e_j| <= 0.4 min(y, 1 - y)

    All z_j are 0 where y is 0 and 1 where it is 1, so that rescaling changes nothing. The sum of
    w_j z_j over j is y. The entropy weights w depend on z in turn, smoothly; iteration finds the
    fixed point.
    """
    lean = rng.uniform(-0.5, 0.5, count)  # the same at all times: it makes the weights differ
    shape = (
        lean
        + 0.42 * rng.uniform(-1, 1, (y.shape[1], count))
        + 0.08 * rng.uniform(-1, 1, (*y.shape, count))
    )
    e = SPREAD * np.minimum(y, 1 - y)[..., None] * shape
    w = np.full(count, 1 / count)
    for _ in range(100):
        z = np.asarray(y[..., None] + e - (e @ w)[..., None])
        previous, w = w, entropy.index(z.reshape(-1, count))[1]
        if np.abs(w - previous).max() < 1e-14:
            return z
    raise ConvergenceError(
        f"The weights of {count} indicators still move by {np.abs(w - previous).max():.1g}: ask for"
        " another number."
    )


def _simulate_series(
    weights: sparse.csr_array,
    rank: np.ndarray,
    size: tuple[int, int],
    rng: np.random.Generator,
    pace: float = 1.0,
) -> np.ndarray:
    """Series around 0, (T, N, count), for a `size` (T, count).

    Units differ permanently: neighbours are alike, and developed units are ahead. Trends and shocks
    that die away are added, times `pace`.
    """
    n, (periods, count) = len(rank), size
    unit = 0.6 * rank[:, None] + 0.7 * _smooth(weights, rng.standard_normal((n, count)))
    trend = np.linspace(-0.5, 0.5, periods)[:, None, None] * (
        0.8 + 0.4 * rng.standard_normal((n, count))
    )
    shocks = 0.3 * _smooth(weights, rng.standard_normal((n, periods * count))).reshape(
        n, periods, count
    ).transpose(1, 0, 2)
    for t in range(1, periods):
        shocks[t] += PERSISTENCE * shocks[t - 1]
    return unit + pace * (trend + shocks + 0.1 * rng.standard_normal((periods, 1, count)))


def _smooth(weights: sparse.csr_array, values: np.ndarray) -> np.ndarray:
    """Values, (N, k), filtered so that nearby units are alike."""
    return factorise(weights, NEARNESS).solve(values)


def _standardise(values: np.ndarray) -> np.ndarray:
    """The values shifted and scaled to mean 0 and standard deviation 1."""
    return np.asarray((values - values.mean()) / values.std())
