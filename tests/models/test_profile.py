"""The scale of the errors, against a dense search for the mode."""

import numpy as np
import pytest
from oracles import dense

from spillover.models.profile import residual_scale


@pytest.mark.parametrize("effects", ["none", "unit"])
@pytest.mark.parametrize("model", ["OLS", "SLX", "SAR", "SEM", "SDM", "SDEM", "SAC", "GNS"])
def test_the_scale_is_that_of_the_mode(case, model, effects):
    chosen = case("knn", model, effects)
    assert residual_scale(chosen.likelihood) == pytest.approx(
        dense.error_scale(chosen.problem, chosen.bounds), rel=1e-4
    )


@pytest.mark.parametrize("model", ["SAR", "SEM", "SAC"])
@pytest.mark.parametrize("sigma", [1.0, 1e-5])
def test_strong_dependence_does_not_count_as_error(assembled, model, sigma):
    """Least squares without rho and lam finds 20 to 2e5 times the sigma that made these data."""
    rng, W = np.random.default_rng(3), dense.hostile()["knn"][0]
    n, periods = len(W), 6
    X = np.column_stack([np.ones(n * periods), rng.standard_normal((n * periods, 2))])
    there = dense.MODELS[model]
    rho, lam = (0.97 * dense.interval(W)[1] * flag for flag in (there[0], there[2]))
    inverse, inverse_error = (np.linalg.inv(np.eye(n) - value * W) for value in (rho, lam))
    e = dense.lag(inverse_error, sigma * rng.standard_normal((n * periods, 1)), periods)
    y = dense.lag(inverse, X @ [[1.0], [1.0], [-0.5]] + e, periods)[:, 0]
    chosen = assembled(dense.problem(y, X, W, model, "none", periods))
    actual = residual_scale(chosen.likelihood)
    assert abs(actual / sigma - 1) < 4.5 / np.sqrt(2 * n * periods)


def test_a_complete_w_does_not_leave_no_error(assembled):
    """W y = (sum of y - y) / (n - 1) explains y without any residual, at the edge of the interval.
    The likelihood is (1 - rho) / (1 + rho / (n - 1)) there, so that it has no maximum; the mode is
    at rho = 2 - 11 = -9, which leaves 15/24 of the error.
    """
    n, rng = 25, np.random.default_rng(4)
    W = (np.ones((n, n)) - np.eye(n)) / (n - 1)
    X = np.column_stack([np.ones(n), rng.standard_normal((n, 2))])
    y = X @ [1.0, 1.0, -0.5] + rng.standard_normal(n)
    chosen = assembled(dense.problem(y, X, W, "SAR"))
    residual = y - X @ np.linalg.lstsq(X, y, rcond=None)[0]
    assert residual_scale(chosen.likelihood) == pytest.approx(
        15 / 24 * np.sqrt(residual @ residual / (n - 3)), rel=1e-4
    )
