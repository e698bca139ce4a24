"""Observed and expected information against the dense matrices."""

import numpy as np
import pytest
import scipy.sparse as sparse
from oracles import dense

from spillover.models import information
from spillover.models.likelihood import Parameters

POINT = {"none": 0, "unit": 1, "period": 2, "twoway": 3}


def parameters(case, seed):
    """(beta, (rho, lam) present, sigma^2) away from any optimum, and the oracle's (rho, lam)."""
    rng = np.random.default_rng(seed)
    values = case.inside(0.7, 0.3)
    return rng.normal(size=case.columns.shape[2]), values, rng.uniform(0.5, 2.0)


def kept(case, size):
    """Rows of the oracle's (beta, rho, lambda, sigma^2) that the model has."""
    return [
        *range(size),
        *([size] if case.problem.has_rho else []),
        *([size + 1] if case.problem.has_lambda else []),
        size + 2,
    ]


def compare(actual, expected, tolerance):
    scale = np.sqrt(np.abs(np.diag(expected)))
    np.testing.assert_allclose(
        actual / np.outer(scale, scale), expected / np.outer(scale, scale), rtol=0, atol=tolerance
    )
    np.testing.assert_allclose(actual, actual.T, rtol=1e-9, atol=1e-9 * np.abs(actual).max())


OBSERVED = [
    *(("GNS", effects, "contiguity") for effects in dense.EFFECTS),
    ("GNS", "twoway", "sinks"),
    ("SAR", "none", "knn"),
    ("SEM", "twoway", "knn"),
    ("OLS", "unit", "knn"),
]


@pytest.mark.cover
@pytest.mark.parametrize(("model", "effects", "name"), OBSERVED)
def test_observed_information_is_minus_the_dense_hessian(case, model, effects, name):
    chosen = case(name, model, effects)
    beta, values, sigma2 = parameters(chosen, POINT[effects])
    _, there = chosen.named(values)
    expected = dense.observed_information(chosen.problem, beta, sigma2, *there)
    at = kept(chosen, len(beta))
    actual = np.asarray(
        information.observed_information(
            chosen.likelihood, np.concatenate([beta, values, [sigma2]])
        )
    )
    compare(actual, expected[np.ix_(at, at)], 1e-8)


@pytest.mark.parametrize("model", ["SAR", "GNS"])
def test_observed_information_of_the_direct_likelihood(case, model):
    chosen = case("knn", model, "twoway", kind="direct")
    beta, values, sigma2 = parameters(chosen, 4)
    expected = dense.observed_information(chosen.problem, beta, sigma2, *chosen.named(values)[1])
    at = kept(chosen, len(beta))
    compare(
        np.asarray(
            information.observed_information(
                chosen.likelihood, np.concatenate([beta, values, [sigma2]])
            )
        ),
        expected[np.ix_(at, at)],
        1e-8,
    )


@pytest.mark.parametrize("model", ["SEM", "SAC"])
def test_score_vanishes_at_the_dense_maximum(case, model):
    chosen = case("small 10", model, "unit")
    fit = dense.ml(chosen.problem, bounds=[(-0.99, 0.99)] * len(chosen.bounds), size=15)
    values = [
        fit[name]
        for name, there in (("rho", chosen.problem.has_rho), ("lambda", chosen.problem.has_lambda))
        if there
    ]
    vector = np.concatenate([fit["b"], values, [fit["sigma2"]]])
    slope = np.asarray(information.score(chosen.likelihood, vector))
    assert np.abs(slope * fit["se_observed"]).max() < 1e-5
    covariance = np.linalg.inv(
        np.asarray(information.observed_information(chosen.likelihood, vector))
    )
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), fit["se_observed"], rtol=1e-6)


def expected_of(case, beta, values, sigma2):
    p = case.problem
    (rho, lam), there = case.named(values)
    matrices = sparse.csr_array(p.raw_W), sparse.csr_array(p.raw_M)
    return (
        information.expected_information(
            case.columns, case.effects, *matrices, Parameters(beta, rho, lam, sigma2)
        ),
        there,
    )


def check_expected(case, seed):
    """The expected information at a random point against the oracle's."""
    beta, values, sigma2 = parameters(case, seed)
    actual, there = expected_of(case, beta, values, sigma2)
    at = kept(case, len(beta))
    whole = dense.expected_information(case.problem, beta, sigma2, *there)
    compare(actual, whole[np.ix_(at, at)], 1e-9)


PAIRS = [(name, "same") for name in dense.hostile()] + [
    ("knn", "other"),
    ("contiguity", "raw"),
    ("sinks", "other"),
]
STANDARD = [name for name, (W, _) in dense.hostile().items() if dense.row_standardised(W)]
MIXED = ("contiguity", "raw")
WITHOUT_EFFECTS = [  # a quasi-likelihood's depends on the effects
    (name, other, effects, model)
    for name, other in PAIRS
    for effects in dense.EFFECTS
    for model in ("SDM", "SEM", "GNS")
    if effects in ("none", "unit")
    or (name in STANDARD and ((name, other) != MIXED or model == "SDM"))
]


@pytest.mark.cover
@pytest.mark.parametrize(("name", "other", "effects", "model"), WITHOUT_EFFECTS)
def test_expected_information_is_the_dense_one(case, model, effects, name, other):
    check_expected(case(name, model, effects, other=other), POINT[effects])


@pytest.mark.cover
@pytest.mark.parametrize("effects", dense.EFFECTS)
@pytest.mark.parametrize("model", ["OLS", "SAR", "SAC"])
def test_expected_information_of_the_direct_likelihood(case, model, effects):
    check_expected(case("knn", model, effects, kind="direct"), 5)


@pytest.mark.cover
@pytest.mark.parametrize(
    ("name", "effects"), [("knn", "unit"), ("knn", "period"), ("knn", "twoway"), ("sinks", "unit")]
)
@pytest.mark.parametrize("model", ["SAR", "SAC"])
def test_expected_information_of_the_dummy_likelihood(case, name, model, effects):
    """The dummies' rows are concentrated out of the oracle's matrix."""
    chosen = case(name, model, effects, kind="lsdv")
    beta, values, sigma2 = parameters(chosen, 6)
    k, q = len(beta), chosen.problem.D.shape[1]
    coef = np.concatenate([beta, np.random.default_rng(7).normal(size=q)])
    actual, there = expected_of(chosen, beta, values, sigma2)
    whole = dense.expected_information(chosen.problem, coef, sigma2, *there)
    at, dummies = [i if i < k else i + q for i in kept(chosen, k)], range(k, k + q)
    inner = np.linalg.solve(whole[np.ix_(dummies, dummies)], whole[np.ix_(dummies, at)])
    compare(actual, whole[np.ix_(at, at)] - whole[np.ix_(at, dummies)] @ inner, 1e-8)
