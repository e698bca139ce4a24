"""The simulated study: its indices, its equation and its effects are what it says, to rounding."""

import numpy as np
import pytest
import scipy.sparse as sparse
from oracles.entropy import composite
from oracles.hostile import knn, row_standardise

from spillover.kernels.errors import ConvergenceError
from spillover.models.prosperity import CONTROLS, TRUTH, simulate_gdp, simulate_prosperity

N, T = 24, 8
W = row_standardise(knn(N, 4, seed=2))  # asymmetric
REGRESSORS = ["integration", *CONTROLS]
BETA = np.array([TRUTH[name] for name in REGRESSORS])
THETA = np.array([TRUTH[f"W:{name}"] for name in REGRESSORS])


def study(seed, **options):
    rng = np.random.default_rng(seed)
    gdp = simulate_gdp(np.arange(float(N)), T, rng)
    return simulate_prosperity(sparse.csr_array(W), gdp, rng, **options)


def pooled(indicators):
    return indicators.reshape(N * T, -1).T.tolist()


def test_the_truth_names_each_regressor_twice_and_rho():
    assert list(TRUTH) == [*REGRESSORS, *(f"W:{name}" for name in REGRESSORS), "rho"]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("counts", [(10, 5), (3, 2)])
def test_the_indices_are_the_entropy_indices_of_their_indicators(seed, counts):
    made = study(seed, indicators=counts)
    assert (made.indicators.shape[-1], made.parts.shape[-1]) == counts
    for indicators, index in ((made.indicators, made.y), (made.parts, made.x[..., 0])):
        values, _, weights = composite(pooled(indicators), [False] * indicators.shape[-1])
        np.testing.assert_allclose(values, index.ravel(), rtol=0, atol=1e-12)
        assert max(weights) > 1.02 * min(weights)
    assert (made.y.min(), made.y.max()) == (0.0, 1.0)
    assert made.indicators.min() == 0.0
    assert made.indicators.max() == 1.0
    # none of them is the index itself
    assert np.abs(made.indicators - made.y[..., None]).max() > 0.05


@pytest.mark.parametrize("seed", range(4))
def test_the_equation_holds_and_its_effects_are_of_units_and_periods(seed):
    made = study(seed)
    right = made.x @ BETA + made.x @ THETA @ W.T + made.effects + made.noise
    np.testing.assert_allclose(
        made.y, np.linalg.solve(np.eye(N) - TRUTH["rho"] * W, right.T).T, rtol=0, atol=1e-13
    )
    effects = made.effects
    additive = effects.mean(axis=0) + effects.mean(axis=1, keepdims=True) - effects.mean()
    np.testing.assert_allclose(effects, additive, rtol=0, atol=1e-13)
    assert effects.mean(axis=0).std() > 0.05  # units differ


@pytest.mark.parametrize("sigma", [0.004, 0.016])
def test_the_noise_has_the_standard_deviation_asked_for(sigma):
    noise = np.stack([study(seed, sigma=sigma).noise for seed in range(10)])
    assert noise.std() / sigma == pytest.approx(1, abs=5 / np.sqrt(2 * noise.size))
    assert abs(noise.mean()) < 5 * sigma / np.sqrt(noise.size)


@pytest.mark.parametrize("seed", range(4))
def test_the_regressors_lie_in_their_ranges_and_are_not_collinear(seed):
    x = study(seed).x
    for values, (low, high) in zip(x[..., 1:].transpose(2, 0, 1), CONTROLS.values(), strict=True):
        assert low < values.min() < values.max() < high
        assert np.ptp(values) > 0.4 * (high - low)
    within = (x - x.mean(axis=0) - x.mean(axis=1, keepdims=True) + x.mean(axis=(0, 1))).reshape(
        N * T, -1
    )
    assert np.linalg.cond(np.corrcoef(within.T)) < 10


def test_gdp_grows_from_levels_that_rise_with_the_one_given():
    gdp = simulate_gdp(np.linspace(5, 9, 400), 11, np.random.default_rng(0))
    assert gdp.shape == (11, 400)
    assert gdp.min() > 0
    growth = np.diff(np.log(gdp), axis=0).mean(axis=0)
    assert growth.mean() == pytest.approx(0.07, abs=5 * growth.std() / 20)
    assert np.corrcoef(np.log(gdp[0]), np.linspace(5, 9, 400))[0, 1] > 0.5


def test_a_seed_is_a_study():
    one, same, other = (study(seed) for seed in (3, 3, 4))
    for field in ("y", "x", "effects", "noise", "indicators", "parts"):
        np.testing.assert_array_equal(getattr(one, field), getattr(same, field))
        assert not np.isclose(getattr(one, field), getattr(other, field)).all()


def test_noise_that_leaves_the_unit_interval_no_room_is_refused():
    with pytest.raises(ConvergenceError, match=r"y varies by \d\.\d+ within .* lower sigma"):
        study(0, sigma=0.5)
