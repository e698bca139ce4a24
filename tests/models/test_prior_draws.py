"""Draws from priors against their laws."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from prior_data import resolve
from scipy import stats

from spillover.models.prior_draws import draw
from spillover.models.priors import Conjugate, Flat, InverseGamma, Priors, ScaledBeta

SIZE = 20_000
BOUNDS = (np.array([-2.0, 1.0]), np.array([-1.5, 0.9]))


def draws(priors, seed=0, size=SIZE):
    prior = resolve(priors, dependence=("rho", "lam"))
    return draw(prior, BOUNDS, ("rho", "lam"), size, np.random.default_rng(seed))


def agree(sample, expected):
    """The mean of a sample within five of its own standard errors."""
    sample = np.asarray(sample)
    assert abs(sample.mean() - expected) < 5 * sample.std() / np.sqrt(len(sample))


def agree_with(sample, law):
    agree(sample, law.mean())
    agree((sample - law.mean()) ** 2, law.var())
    for level in (0.1, 0.5, 0.9):
        agree(sample < law.ppf(level), level)


def test_draws_of_the_conjugate_family():
    V0, mean = (
        np.array([[2.0, 0.5, 0, 0], [0.5, 1.0, 0.2, 0], [0, 0.2, 0.5, 0], [0, 0, 0, 3.0]]),
        np.array([1.0, -2.0, 0.5, 3.0]),
    )
    actual = draws(
        Priors(
            beta=Conjugate(tuple(mean), tuple(map(tuple, V0))),
            sigma=InverseGamma(5.0, 3.0),
            rho=ScaledBeta(2.0, 3.0),
        )
    )
    agree(actual["sigma"] ** 2, 3.0 / 4)
    agree(1 / actual["sigma"] ** 2, 5 / 3)
    for i in range(4):
        agree(actual["beta"][:, i], mean[i])
        for j in range(i + 1):
            agree(
                (actual["beta"][:, i] - mean[i])
                * (actual["beta"][:, j] - mean[j])
                / actual["sigma"] ** 2,
                V0[i, j],
            )
    agree_with(actual["rho"], stats.beta(2, 3, loc=-2, scale=3))
    agree_with(actual["lam"], stats.uniform(-1.5, 2.4))


def test_draws_of_the_default_are_what_ridge_means():
    actual = draws(Priors(sigma=InverseGamma(4.0, 3.0)))
    prior = resolve(Priors())
    z = (actual["beta"] @ np.asarray(prior.root).T) / actual["sigma"][:, None]
    for i in range(4):
        agree_with(z[:, i], stats.norm())
        agree(z[:, i] * z[:, i - 1], 0.0)


def test_draws_of_the_users_distributions():
    actual = draws(
        Priors(
            beta={"b": dist.Normal(2.0, 0.5)}, sigma=dist.HalfNormal(2.0), rho=dist.Normal(0.4, 0.5)
        )
    )
    agree_with(actual["sigma"], stats.halfnorm(scale=2))
    agree_with(actual["beta"][:, 2], stats.norm(2.0, 0.5))
    agree_with(actual["rho"], stats.truncnorm((-2 - 0.4) / 0.5, (1 - 0.4) / 0.5, 0.4, 0.5))
    assert {name: values.shape for name, values in actual.items()} == {
        "sigma": (SIZE,), "beta": (SIZE, 4), "rho": (SIZE,), "lam": (SIZE,)
    }  # fmt: skip


@pytest.mark.parametrize(
    "family",
    [
        dist.Normal(1.0, 2.0),
        dist.MultivariateNormal(jnp.ones(4), 4 * jnp.eye(4)),
        dist.Normal(jnp.ones(4), 2.0),
    ],
)
def test_draws_of_a_distribution_of_every_coefficient(family):
    with jax.numpy_rank_promotion("allow"):  # NumPyro's own sampling relies on it
        beta = draws(Priors(beta=family))["beta"]
    assert beta.shape == (SIZE, 4)
    for i in range(4):
        agree_with(beta[:, i], stats.norm(1, 2))
        agree((beta[:, i] - 1) * (beta[:, i - 1] - 1), 0.0)


def test_what_is_improper_is_not_drawn():
    assert set(draws(Priors.reference(), size=10)) == {"rho", "lam"}
    assert set(draws(Priors(beta=Flat()), size=10)) == {"sigma", "rho", "lam"}
    assert "rho" not in draws(Priors(rho=dist.Normal(1e3, 1.0)), size=10)


def uncorrelated(a, b):
    assert abs(np.corrcoef(stats.rankdata(a), stats.rankdata(b))[0, 1]) < 5 / np.sqrt(len(a))


@pytest.mark.parametrize("pair", [("rho", "lam"), ("sigma", "rho"), ("sigma", "lam")])
def test_draws_of_independent_priors_are_independent(pair):
    """Two distributions of the user share no random numbers."""
    actual = draws(
        Priors(
            sigma=dist.LogNormal(0.0, 1.0), rho=dist.Normal(-0.4, 0.3), lam=dist.Normal(-0.2, 0.2)
        )
    )
    uncorrelated(actual[pair[0]], actual[pair[1]])


def test_draws_of_two_coefficients_are_independent():
    actual = draws(Priors(beta={"a": dist.Normal(0.0, 1.0), "b": dist.Normal(0.0, 2.0)}))
    uncorrelated(actual["beta"][:, 1], actual["beta"][:, 2])


OWNED = Priors(
    beta={"a": dist.Normal(0.0, 1.0)}, sigma=dist.HalfNormal(1.0), rho=dist.Uniform(-2.0, 1.0)
)


def test_the_same_generator_gives_the_same_draws():
    first, again = (draws(OWNED, seed=3, size=50) for _ in range(2))
    for name, values in first.items():
        np.testing.assert_array_equal(values, again[name])


@pytest.mark.parametrize("name", ["beta", "sigma", "rho", "lam"])
def test_another_generator_gives_other_draws_of_every_parameter(name):
    first, other = (draws(OWNED, seed=seed, size=50)[name] for seed in (3, 4))
    columns = (first[:, 1], other[:, 1]) if name == "beta" else (first, other)
    assert not np.isclose(*columns).any()
