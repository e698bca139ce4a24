"""Coverage of exact posteriors: where parameters come from the prior it is nominal by law, at a
fixed truth nearly so, and without the transformation of the effects far from it. More designs, with
more panels, in bench/coverage.py.
"""

import warnings

import numpy as np
import pytest
import rank_calibration
import replicates
from replicates import Truth
from scipy import stats

import spillover as so

DRAWS = 999
P_VALUE = 1e-5  # of a test that is right
ERRORS = 4.5  # standard errors, likewise
pytestmark = pytest.mark.verify


def standard_error(level, count):
    return np.sqrt(level * (1 - level) / count)


@pytest.fixture
def coverage():
    """coverage(n, t, effects, name, likelihood): shares of 95 % intervals that hold the truth, over
    `count` panels, by quantity.
    """

    def shares(n, periods, effects, name, likelihood="transformed", count=500):
        rng, weights = np.random.default_rng(4), replicates.neighbours(n)
        truth = Truth(
            np.array([1.0, -0.5]), np.array([0.5, 0.3]) if name == "SDM" else None, 0.4, 1.0
        )
        base = replicates.model(name, effects, weights, (periods, 2))
        models = [
            replicates.on(base, *replicates.panel(weights, periods, effects, truth, rng))
            for _ in range(count)
        ]
        found = replicates.drawn(
            [replicates.member(model, likelihood) for model in models], DRAWS, rng
        )
        ranks = replicates.ranks(found, [truth] * count, weights)
        return {
            name: replicates.covered(value, DRAWS, 0.95).mean(axis=0)
            for name, value in ranks.items()
        }

    return shares


@pytest.mark.parametrize(
    ("n", "periods", "effects", "name"), [(49, 3, "twoway", "SDM"), (30, 10, "unit", "SAR")]
)
def test_intervals_hold_a_fixed_truth_as_often_as_they_say(coverage, n, periods, effects, name):
    for quantity, shares in coverage(n, periods, effects, name).items():
        assert (abs(shares - 0.95) < ERRORS * standard_error(0.95, 500)).all(), (quantity, shares)


def test_demeaned_data_taken_as_they_are_would_fail(coverage):
    """Lee & Yu (2010): incidental parameters bias rho and, with T = 3, shrink sigma^2 by a third.
    So the test above has power.
    """
    direct = coverage(49, 3, "twoway", "SDM", "direct")
    assert direct["rho"] < 0.95 - 2 * ERRORS * standard_error(0.95, 500)
    assert direct["sigma2"] < 0.3


@pytest.mark.parametrize("effects", ["unit", "twoway"])
def test_ranks_are_uniform_where_parameters_come_from_the_prior(effects):
    """Talts et al. (2018): any prior, data from it: every rank of the truth among independent draws
    is equally likely.
    """
    rng, weights, count, cells = np.random.default_rng(5), replicates.neighbours(20), 500, 20
    mean, spread, shape, rate = np.array([1.0, -0.5, 0.5, 0.0]), 0.5 * np.eye(4) + 0.1, 6.0, 5.0
    around = so.Conjugate(tuple(mean), tuple(map(tuple, spread)))
    base = replicates.model(
        "SDM",
        effects,
        weights,
        (3, 2),
        so.Priors(beta=around, sigma=so.InverseGamma(shape, rate), rho=so.Uniform()),
    )
    low, high = weights.bounds
    truths, members = [], []
    for _ in range(count):
        sigma = np.sqrt(rate / rng.gamma(shape))
        beta = rng.multivariate_normal(mean, sigma**2 * spread)
        truths.append(Truth(beta[:2], beta[2:], rng.uniform(low, high), sigma))
        members.append(
            replicates.member(
                replicates.on(base, *replicates.panel(weights, 3, effects, truths[-1], rng))
            )
        )
    found = replicates.ranks(replicates.drawn(members, DRAWS, rng), truths, weights)
    for quantity, ranks in found.items():
        for column in ranks.T:
            counts = np.bincount(column * cells // (DRAWS + 1), minlength=cells)
            assert stats.chisquare(counts).pvalue > P_VALUE, (quantity, counts)


@pytest.mark.verify
@pytest.mark.parametrize(("name", "strength"), [("SAR", 0.97), ("SEM", 0.9), ("SDM", -0.8)])
def test_intervals_of_sigma_under_the_default_priors_hold_whatever_the_dependence(name, strength):
    """And rho, lam and the impacts do no worse than under the reference prior on the same data."""
    count, rng, weights = 500, np.random.default_rng(6), replicates.neighbours(49)
    where = {"lam" if name == "SEM" else "rho": strength}
    theta = np.array([0.5, 0.3]) if name == "SDM" else None
    truth = Truth(np.array([1.0, -0.5]), theta, **{"rho": 0.0, **where}, sigma=1.0, intercept=1.0)
    data = [replicates.panel(weights, 1, "none", truth, rng) for _ in range(count)]
    held = {}
    for label, priors in (("default", so.Priors()), ("reference", so.Priors.reference())):
        base = replicates.model(name, "none", weights, (1, 2), priors)
        found = replicates.drawn(
            [replicates.member(replicates.on(base, *one)) for one in data], DRAWS, rng
        )
        ranks = replicates.ranks(found, [truth] * count, weights, first=1)
        held[label] = {
            key: replicates.covered(value, DRAWS, 0.95).mean(axis=1) for key, value in ranks.items()
        }
    slack = ERRORS * standard_error(0.95, count)
    for quantity in ("sigma2", "beta"):
        assert held["default"][quantity].mean() > 0.93 - slack, (
            quantity,
            held["default"][quantity].mean(),
        )
    for quantity in {"rho", "lam", "direct", "total"} & set(held["default"]):
        loss = held["reference"][quantity] - held["default"][quantity]
        assert loss.mean() < 0.01 + ERRORS * loss.std() / np.sqrt(count), (quantity, loss.mean())


@pytest.mark.verify
@pytest.mark.parametrize(
    ("name", "effects", "count"),
    [
        ("SLX", "period", 500),
        ("SEM", "none", 500),
        ("SDEM", "unit", 500),
        ("SAC", "twoway", 300),
        ("GNS", "none", 300),
        ("SAR", "random", 40),
    ],
)
def test_posteriors_are_calibrated(name, effects, count):
    """A short version of bench/calibration.py, which has every model under every kind
    of effects.
    """
    draws = 99 if effects == "random" else DRAWS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", so.SpilloverWarning)  # of short chains
        found = rank_calibration.ranks(name, effects, count, draws, seed=2)
    for quantity, p in rank_calibration.p_values(
        found, draws, cells=20 if count > 100 else 5
    ).items():
        assert p > P_VALUE, (quantity, p)
