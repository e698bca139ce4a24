"""The frame of a regression: the same likelihood, orthonormal where it was made for, and
covariances that come back from it.
"""

import numpy as np
import pytest
import scipy.sparse as sparse

from spillover.models import frame as frames
from spillover.models import information
from spillover.models import likelihood as gaussian

POINTS = {"none": 0, "unit": 1, "period": 2, "twoway": 3}


def leveled(case):
    """The case's likelihood, and as one of random effects: the same rows within units, and others
    between.
    """
    between = case.likelihood.moments._make(
        None if part is None else part[::-1] for part in case.likelihood.moments
    )
    yield case.likelihood, None
    yield case.likelihood._replace(between=between), 0.4


@pytest.mark.parametrize("model", ["OLS", "SAR", "SEM", "GNS"])
def test_residuals_are_the_same_in_a_frame_and_its_regressors_orthonormal(case, model):
    chosen = case("knn", model, "unit")
    (rho, lam), _ = chosen.named(chosen.inside(0.7, 0.3))
    gamma = np.random.default_rng(4).normal(size=chosen.columns.shape[2])
    for likelihood, weight in leveled(chosen):
        moved, frame = frames.whiten(likelihood, lam, weight)
        beta, point = (
            frames.restore_coefficients(frame, gamma, rho),
            gaussian.Point(rho, lam, weight),
        )
        d, y = (np.asarray(part) for part in gaussian.filter_at(likelihood, point))
        q, rest = (np.asarray(part) for part in gaussian.filter_at(moved, point))
        np.testing.assert_allclose(rest - q @ gamma, y - d @ beta, atol=1e-12 * np.abs(y).max())
        np.testing.assert_allclose(q.T @ q, np.eye(len(gamma)), atol=1e-13)
        np.testing.assert_allclose(q.T @ rest, 0, atol=1e-12 * np.abs(y).max())


@pytest.mark.parametrize(
    ("model", "kind"),
    [("OLS", "transformed"), ("GNS", "transformed"), ("SAC", "direct"), ("SDM", "lsdv")],
)
@pytest.mark.parametrize("effects", ["none", "twoway"])
def test_the_root_of_a_covariance_comes_back_from_a_frame(case, model, effects, kind):
    """Of the expected information, positive definite everywhere, away from any optimum."""
    chosen = case("knn", model, effects, kind=kind, other="same")
    p, k = chosen.problem, chosen.columns.shape[2]
    (rho, lam), _ = chosen.named(chosen.inside(0.7, 0.3))
    beta, sigma2 = np.random.default_rng(POINTS[effects]).normal(size=k), 0.7
    given = (
        chosen.columns,
        chosen.effects,
        sparse.csr_array(p.raw_W),
        sparse.csr_array(p.raw_M),
        gaussian.Parameters(beta, rho, lam, sigma2),
    )
    frame = frames.whiten(chosen.likelihood, lam)[1]
    root = information.covariance_root(information.expected_information(*given, frame=frame), frame)
    natural = information.expected_information(*given)
    size = np.sqrt(np.diag(natural))
    covariance = (size[:, None] * root) @ (size[:, None] * root).T
    np.testing.assert_allclose(
        covariance @ (natural / np.outer(size, size)), np.eye(len(size)), atol=1e-9
    )


def test_an_information_that_is_not_positive_definite_is_an_error(case):
    chosen = case("knn", "SAR")
    k = chosen.columns.shape[2]
    frame = frames.whiten(chosen.likelihood)[1]
    bad = np.eye(k + 2)
    bad[k, k + 1] = bad[k + 1, k] = 2.0
    for wrong in (bad, np.diag([*np.ones(k + 1), -1.0])):
        with pytest.raises(np.linalg.LinAlgError):
            information.covariance_root(wrong, frame)
