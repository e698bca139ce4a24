"""The evidence finds the W that made the data, and its posterior probabilities are what they say.
More panels in bench/evidence.py.
"""

from dataclasses import replace

import numpy as np
import pytest
import replicates
from replicates import Truth

import spillover as so

PERIODS, REGRESSORS = 10, 6
ERRORS = 4.5  # standard errors, for a test that is right


@pytest.mark.cover(name=["SDM"])
@pytest.mark.parametrize(("name", "least"), [("SAR", 0.8), ("SDM", 0.9)])
def test_the_true_weights_have_the_highest_evidence(name, least):
    """At rho = 0.4, with two-way effects; of 100 panels of bench/evidence.py 97 and 100."""
    beta = np.ones(REGRESSORS)
    truth = Truth(beta, beta / 2 if name == "SDM" else None, 0.4, 1.0)
    true, p = replicates.probabilities(
        name, PERIODS, lambda _weights, _rng: truth, None, 50, seed=2
    )
    assert (p.argmax(axis=1) == true).mean() >= least


@pytest.fixture
def calibration():
    """calibration(name, likelihood): the true candidates and the probabilities of all, of 250
    panels with parameters from the prior.
    """

    def study(name, likelihood="transformed"):
        priors, draw = replicates.prior_of(REGRESSORS, durbin=name == "SDM", spread=0.1)
        return replicates.probabilities(name, 3, draw, priors, 250, seed=3, likelihood=likelihood)

    return study


@pytest.mark.verify
@pytest.mark.parametrize("name", ["SAR", "SDM"])
def test_probabilities_are_shares_where_parameters_come_from_the_prior(calibration, name):
    """Of the candidates given a probability p, a share p made the data: the law of total
    probability.
    """
    true, p = calibration(name)
    table = replicates.reliability_table(true, p, np.array([0, 0.05, 0.2, 0.4, 0.7, 1]))
    assert sum(row["count"] for row in table) == p.size
    for row in table:
        assert abs(row["share"] - row["mean"]) < ERRORS * row["error"] + 1 / row["count"], row
    assert abs(replicates.surprise(true, p)) < ERRORS


@pytest.mark.verify
def test_probabilities_from_demeaned_data_taken_as_they_are_would_fail(calibration):
    """With T = 3 they count half as many observations again as there are, and are too sure. So the
    test above has power.
    """
    assert replicates.surprise(*calibration("SAR", "direct")) < -ERRORS


def test_a_quasi_likelihood_has_no_evidence(small, tmp_path):
    """Period effects and rows of W of several sums: draws, but no evidence, also of a fit that was
    saved; nor is one worked out without.
    """
    model = small("SAR", "twoway", "spectral").model()
    fit = model.fit("exact", draws=50, chains=1)
    assert model.log_evidence() is None
    assert "quasi-likelihood" in repr(fit)
    fit.save(tmp_path / "fit.nc")
    for one in (fit, so.load(tmp_path / "fit.nc")):
        with pytest.raises(so.SpecificationError, match="not a density: no evidence"):
            _ = one.log_marginal_likelihood


def test_least_squares_under_period_effects_have_the_same_evidence_with_any_weights(small):
    """There is no W in them."""
    found = [small("OLS", "period", w).model().log_evidence() for w in ("knn", "spectral")]
    assert found[0] == pytest.approx(found[1], rel=1e-12)


@pytest.mark.parametrize("name", ["SAR", "SEM"])
def test_a_quasi_posterior_without_an_integral_is_refused(small, name):
    """(iota'v)(u'iota) / u'v of the eigenvectors to the largest omega is above N: T (l - q) rises
    towards 1 / omega.
    """
    case = small(name, "period", "binary")
    size = np.exp(np.random.default_rng(3).standard_normal(13))
    W = case.W * size[:, None] / size
    values, right = np.linalg.eig(W)
    left, top = np.linalg.inv(right), np.argmax(values.real)
    assert (right.sum(axis=0)[top] * left.sum(axis=1)[top]).real / 13 > 1 + 1 / 3
    make = replace(case, W=W, M=W).model
    with pytest.raises(
        so.SpecificationError, match=f"no integral: towards {1 / values.real.max():.6g}"
    ):
        make().fit("exact", draws=50, chains=1)
