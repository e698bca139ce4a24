"""The evidence finds the W that made the data, and its posterior probabilities are what they say. More panels in bench/evidence.py."""

import numpy as np
import pytest
import replicates
from replicates import Truth

PERIODS, REGRESSORS = 10, 6
ERRORS = 4.5  # standard errors, for a test that is right


@pytest.mark.cover(name=["SDM"])
@pytest.mark.parametrize(("name", "least"), [("SAR", 0.8), ("SDM", 0.9)])
def test_the_true_weights_have_the_highest_evidence(name, least):
    """At rho = 0.4, with two-way effects; of 100 panels of bench/evidence.py 97 and 100."""
    beta = np.ones(REGRESSORS)
    truth = Truth(beta, beta / 2 if name == "SDM" else None, 0.4, 1.0)
    true, p = replicates.probabilities(name, PERIODS, lambda _weights, _rng: truth, None, 50, seed=2)
    assert (p.argmax(axis=1) == true).mean() >= least


@pytest.fixture
def calibration():
    """calibration(name, likelihood): the true candidates and the probabilities of all, of 250 panels with parameters from the prior."""

    def study(name, likelihood="transformed"):
        priors, draw = replicates.prior_of(REGRESSORS, durbin=name == "SDM", spread=0.1)
        return replicates.probabilities(name, 3, draw, priors, 250, seed=3, likelihood=likelihood)

    return study


@pytest.mark.verify
@pytest.mark.parametrize("name", ["SAR", "SDM"])
def test_probabilities_are_shares_where_parameters_come_from_the_prior(calibration, name):
    """Of the candidates given a probability p, a share p made the data: the law of total probability."""
    true, p = calibration(name)
    table = replicates.reliability_table(true, p, np.array([0, 0.05, 0.2, 0.4, 0.7, 1]))
    assert sum(row["count"] for row in table) == p.size
    for row in table:
        assert abs(row["share"] - row["mean"]) < ERRORS * row["error"] + 1 / row["count"], row
    assert abs(replicates.surprise(true, p)) < ERRORS


@pytest.mark.verify
def test_probabilities_from_demeaned_data_taken_as_they_are_would_fail(calibration):
    """With T = 3 they count half as many observations again as there are, and are too sure. So the test above has power."""
    assert replicates.surprise(*calibration("SAR", "direct")) < -ERRORS
