"""The generator against the equations that define it, and its moments."""

import numpy as np
import pytest
import scipy.sparse as sparse
from oracles import dense
from oracles.hostile import knn, row_standardise

from spillover.models.simulate import simulate

HOSTILE = {name: W for name, (W, _) in dense.hostile().items()}
T = 3


def setting(name, periods=T):
    W = HOSTILE[name]
    n, rng = len(W), np.random.default_rng(1)
    upper = 1.0 if name == "acyclic" else dense.interval(W)[1]
    x = rng.normal(size=(periods, n, 2))
    return W, row_standardise(knn(n, 3, seed=4)), x, {"rho": 0.6 * upper, "lam": -0.5}, rng


def filtered(W, M, y, x, beta, theta, rho, lam, effects):
    """S_lam (S y - X beta - W X theta - effects), period by period."""
    signal = x @ beta + x @ theta @ W.T + effects
    u = y - rho * y @ W.T - signal
    return u - lam * u @ M.T


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("periods", [1, T])
def test_without_noise_it_solves_its_own_equation(name, periods):
    W, M, x, at, rng = setting(name, periods)
    beta, theta, effects = (
        rng.normal(size=2),
        rng.normal(size=2),
        rng.normal(size=(periods, len(W))),
    )
    y = simulate(
        sparse.csr_array(W),
        x,
        beta=beta,
        theta=theta,
        **at,
        sigma=0.0,
        effects=effects,
        error_weights=sparse.csr_array(M),
        rng=rng,
    )
    assert y.shape == (periods, len(W))
    np.testing.assert_allclose(
        filtered(W, M, y, x, beta, theta, **at, effects=effects), 0, atol=1e-10
    )


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("other", [True, False])
def test_the_errors_are_those_of_the_same_generator_without_dependence(name, other):
    W, M, x, at, _ = setting(name)
    beta = np.array([0.4, -1.0])
    given = sparse.csr_array(M) if other else None
    if not other:
        M, at["lam"] = W, 0.5 * at["rho"]
    y = simulate(
        sparse.csr_array(W),
        x,
        beta=beta,
        **at,
        sigma=2.0,
        error_weights=given,
        rng=np.random.default_rng(7),
    )
    plain = simulate(
        sparse.csr_array(W), np.zeros_like(x), beta=beta, sigma=2.0, rng=np.random.default_rng(7)
    )
    np.testing.assert_allclose(
        filtered(W, M, y, x, beta, np.zeros(2), **at, effects=0.0), plain, atol=1e-9
    )


@pytest.mark.parametrize("shape", [(), (1, 8), (T, 1), (T, 8)])
def test_effects_broadcast(shape):
    W, rng = row_standardise(knn(8, 2)), np.random.default_rng(2)
    x, effects = rng.normal(size=(T, 8, 1)), rng.normal(size=shape)
    both = [
        simulate(
            sparse.csr_array(W),
            x,
            beta=np.ones(1),
            rho=0.3,
            effects=value,
            rng=np.random.default_rng(1),
        )
        for value in (effects, 0.0)
    ]
    np.testing.assert_allclose(
        (both[0] - both[1]) @ (np.eye(8) - 0.3 * W).T, np.broadcast_to(effects, (T, 8)), atol=1e-12
    )


def test_mean_and_covariance_are_those_of_the_model():
    """Many periods of few units: each moment within five of its own standard errors."""
    n, periods, sigma, rho, lam = 6, 30_000, 0.7, 0.5, -0.4
    W, M = row_standardise(knn(n, 2)), row_standardise(knn(n, 2, seed=3))
    x = np.ones((periods, n, 1)) * np.arange(n)[:, None]
    at = {"rho": rho, "lam": lam, "sigma": sigma, "rng": np.random.default_rng(5)}
    y = simulate(sparse.csr_array(W), x, beta=np.ones(1), error_weights=sparse.csr_array(M), **at)
    A = np.linalg.inv((np.eye(n) - lam * M) @ (np.eye(n) - rho * W))
    centred = y - np.linalg.solve(np.eye(n) - rho * W, np.arange(n))
    moments = np.concatenate(
        [centred, np.einsum("ti,tj->tij", centred, centred).reshape(periods, -1)], axis=1
    )
    expected = np.concatenate([np.zeros(n), (sigma**2 * A @ A.T).ravel()])
    assert np.all(
        np.abs(moments.mean(axis=0) - expected) < 5 * moments.std(axis=0) / np.sqrt(periods)
    )
    skew = (centred / centred.std(axis=0)) ** 3
    assert np.all(np.abs(skew.mean(axis=0)) < 5 * skew.std(axis=0) / np.sqrt(periods))


def test_the_same_generator_gives_the_same_data():
    W, x = sparse.csr_array(row_standardise(knn(8, 2))), np.ones((T, 8, 1))
    first, again, other = (
        simulate(W, x, beta=np.ones(1), rho=0.3, rng=np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.isclose(first, other).any()
