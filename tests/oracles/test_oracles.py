"""The oracles against each other: two definitions of the same number must agree before either
judges the package.
"""

from dataclasses import replace

import numpy as np
import pytest
from oracles import dense
from oracles.hostile import row_standardise
from scipy import stats

N, T = 8, 3
WEIGHTS = {
    "knn": row_standardise(dense.hostile()["knn"][0][:N, :N] + 0.02 * (1 - np.eye(N))),
    "binary": dense.hostile()["binary"][0][:N, :N] / 6,
}


def data(seed=0, T=T, k=2):
    rng = np.random.default_rng(seed)
    return rng.normal(size=N * T), np.column_stack([np.ones(N * T), rng.normal(size=(N * T, k))])


def at(p, seed=1):
    """Parameters away from the optimum."""
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=p.X.shape[1]),
        0.7,
        0.35 * p.has_rho,
        0.25 * p.has_lambda,
        rng.normal(size=p.D.shape[1]),
    )


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize("effects", dense.EFFECTS)
@pytest.mark.parametrize("model", dense.MODELS)
def test_loglik_is_the_normal_density_and_its_derivatives(name, effects, model):
    y, X = data()
    p = dense.problem(y, X, WEIGHTS[name], model, effects, T)
    b, s2, rho, lam, xi = at(p)
    value = dense.loglik(p, b, s2, rho, lam, xi)
    # a quasi-likelihood is no density: test_a_quasi_likelihood_has_a_score_of_mean_zero
    if p.right is None:
        assert value == pytest.approx(dense.loglik_mvn(p, b, s2, rho, lam, xi), rel=1e-11)
    block = dense.problem(y, X, WEIGHTS[name], model, effects, T, expand=False)
    assert value == pytest.approx(dense.loglik(block, b, s2, rho, lam, xi), rel=1e-12)
    k, v = len(b), np.concatenate([b, xi, [rho, lam, s2]])

    def f(v):
        return dense.loglik(p, v[:k], v[-1], v[-3], v[-2], v[k:-3])

    h = 1e-4 * np.eye(len(v))
    H = np.array(
        [[(f(v + i + j) - f(v + i - j) - f(v - i + j) + f(v - i - j)) / 4e-8 for i in h] for j in h]
    )
    information = dense.observed_information(p, np.concatenate([b, xi]), s2, rho, lam)
    np.testing.assert_allclose(-H, information, rtol=2e-4, atol=2e-5 * np.abs(information).max())


@pytest.mark.parametrize("effects", ["period", "twoway"])
@pytest.mark.parametrize("model", ["SAR", "SEM", "SAC"])
def test_a_quasi_likelihood_has_a_score_of_mean_zero(model, effects):
    """Period effects of any size and rows of W of several sums: the score is quadratic in the
    errors, so that its mean over +- sqrt(n) unit errors along each axis is exact. That of T log|S|
    is tr(P U), U = dA/drho A^-1, summed over the periods.
    """
    W, rng = WEIGHTS["binary"], np.random.default_rng(4)
    _, X = data()
    p = dense.problem(np.zeros(N * T), X, W, model, effects, T)
    b, s2, rho, lam, _ = at(p)
    D = dense.dummies(effects, N, T)
    effect = D @ (10 * rng.normal(size=D.shape[1]))
    inverse = np.kron(np.eye(T), np.linalg.inv((np.eye(N) - lam * W) @ (np.eye(N) - rho * W)))
    signal = np.kron(np.eye(T), np.eye(N) - lam * W) @ p.raw_X @ b + effect
    errors = np.sqrt(s2 * N * T) * np.vstack([np.eye(N * T), -np.eye(N * T)])
    draws = [
        replace(p, y=dense.problem(inverse @ (signal + e), X, W, model, effects, T).y)
        for e in errors
    ]
    for change in np.eye(2)[np.array([p.has_rho, p.has_lambda])] * 1e-5:
        h, k = change
        slopes = [
            (dense.loglik(d, b, s2, rho + h, lam + k) - dense.loglik(d, b, s2, rho - h, lam - k))
            / 2e-5
            for d in draws
        ]
        assert np.mean(slopes) == pytest.approx(0, abs=1e-5)
        value = rho if h else lam
        plain = len(p.y) // N * np.linalg.solve(np.eye(N) - value * W, W).sum() / N
        assert plain > 0.1  # what T log|S| would be off by


@pytest.mark.parametrize("effects", ["unit", "period", "twoway"])
def test_contrasts_remove_the_effects(effects):
    y, X = data()
    W = WEIGHTS["knn"]
    shift = dense.dummies(effects, N, T) @ np.random.default_rng(3).normal(
        size=dense.dummies(effects, N, T).shape[1]
    )
    reduced = np.kron(np.eye(T), np.linalg.inv(np.eye(N) - 0.4 * W)) @ shift
    a, b = (dense.problem(z, X, W, "SDM", effects, T) for z in (y, y + reduced))
    np.testing.assert_allclose(a.y, b.y, atol=1e-12)
    y_star, _, W_star = dense.transformed(y, X, W, effects, T)
    np.testing.assert_allclose(
        dense.transformed(dense.lag(W, y, T), X, W, effects, T)[0], W_star @ y_star, atol=1e-12
    )
    assert (
        a.nu == {"unit": N * (T - 1), "period": (N - 1) * T, "twoway": (N - 1) * (T - 1)}[effects]
    )


def test_expected_information_is_the_mean_of_the_observed():
    y, X = data()
    M = row_standardise(dense.hostile()["contiguity"][0][:N, :N] + 0.01 * (1 - np.eye(N)))
    p = dense.problem(y, X, WEIGHTS["knn"], "GNS", "unit", T, M=M)
    b, s2, rho, lam, _ = at(p)
    inverse = np.linalg.inv((np.eye(p.nu) - lam * p.M) @ (np.eye(p.nu) - rho * p.W))
    mean = np.linalg.solve(np.eye(p.nu) - rho * p.W, p.X @ b)
    # the observed information is quadratic in the errors: its mean is exact over +- sqrt(nu) unit
    # errors along each axis
    scale = np.sqrt(s2 * p.nu)
    draws = [mean + sign * scale * inverse[:, i] for i in range(p.nu) for sign in (1, -1)]
    total = sum(dense.observed_information(replace(p, y=d), b, s2, rho, lam) for d in draws) / len(
        draws
    )
    np.testing.assert_allclose(
        total,
        dense.expected_information(p, b, s2, rho, lam),
        rtol=1e-9,
        atol=1e-9 * np.abs(total).max(),
    )


@pytest.mark.parametrize("effects", dense.EFFECTS)
@pytest.mark.parametrize("model", ["SAR", "SEM", "SAC"])
def test_leave_one_out_by_partition_equals_the_precision_formula(effects, model):
    y, X = data()
    W = WEIGHTS["knn"]
    p = dense.problem(y, X, W, model, effects, T)
    b, s2, rho, lam, _ = at(p)
    density, mean, variance = dense.loo(p, b, s2, rho, lam)
    left = dense.demeaner(T) if effects in ("unit", "twoway") else np.eye(T)
    right = dense.demeaner(N) if effects in ("period", "twoway") else np.eye(N)
    A = (np.eye(N) - lam * W) @ (np.eye(N) - rho * W)
    Q = np.kron(left, A.T @ right @ A) / s2
    mu = np.kron(np.eye(T), np.linalg.inv(np.eye(N) - rho * W)) @ (p.raw_X @ b)
    np.testing.assert_allclose(variance, 1 / np.diag(Q), rtol=1e-9)
    np.testing.assert_allclose(mean, y - Q @ (y - mu) / np.diag(Q), rtol=1e-8)
    np.testing.assert_allclose(density, stats.norm(mean, np.sqrt(variance)).logpdf(y), rtol=1e-10)


def test_leave_one_out_sums_differences_of_joint_densities():
    y, X = data()
    p = dense.problem(y, X, WEIGHTS["binary"], "SAR", "none", T)
    b, s2, rho, _, _ = at(p)
    A = np.kron(np.eye(T), np.linalg.inv(np.eye(N) - rho * WEIGHTS["binary"]))
    rest = np.arange(N * T) != 5
    cov, mean = s2 * A @ A.T, A @ (p.raw_X @ b)
    joint = stats.multivariate_normal(mean, cov).logpdf(y) - stats.multivariate_normal(
        mean[rest], cov[np.ix_(rest, rest)]
    ).logpdf(y[rest])
    assert dense.loo(p, b, s2, rho)[0][5] == pytest.approx(joint, rel=1e-9)


def test_score_with_random_effects_is_the_slope_of_the_density():
    y, X = data()
    W, M = WEIGHTS.values()
    at = np.array([0.3, -0.5, 0.2, 0.35, 0.25, 0.6, 0.8])  # b, rho, lambda, sigma_alpha, sigma

    def f(v):
        return dense.loglik_random(y, X, W, v[:3], v[6] ** 2, (v[5] / v[6]) ** 2, v[3], v[4], T, M)

    differences = [(f(at + row) - f(at - row)) / 2e-5 for row in 1e-5 * np.eye(7)]
    found = dense.score_random(y, X, W, at[:3], at[6], at[5], at[3], at[4], T, M)
    np.testing.assert_allclose(found, differences, rtol=1e-6, atol=1e-7)


def test_random_effects_without_variance_is_pooled():
    y, X = data()
    p = dense.problem(y, X, WEIGHTS["knn"], "SAC", "none", T)
    b, s2, rho, lam, _ = at(p)
    same = (y, X, WEIGHTS["knn"], b, s2, 0.0, rho, lam, T)
    assert dense.loglik_random(*same) == pytest.approx(dense.loglik(p, b, s2, rho, lam), rel=1e-11)
    np.testing.assert_allclose(
        dense.loo_random(*same)[0], dense.loo(p, b, s2, rho, lam)[0], rtol=1e-9
    )


@pytest.mark.parametrize(("model", "k"), [("SAR", 1), ("SEM", 2), ("SDM", 1)])
def test_three_routes_to_the_evidence(model, k):
    y, X = data(k=k, T=1)
    p = dense.problem(y, X[:, 1:], WEIGHTS["knn"], model)
    k = p.X.shape[1]
    prior = {
        "b0": np.linspace(0.2, -0.3, k),
        "V0": np.diag(np.linspace(0.5, 2, k)),
        "a0": 2.5,
        "d0": 1.7,
    }
    value = dense.posterior(p, prior=prior, size=(20, 10))["log_integral"]
    assert value == pytest.approx(dense.evidence(p, prior), abs=1e-10)
    assert value == pytest.approx(
        dense.evidence_direct(p, prior, size=((3, 10), 100, 50)), abs=1e-8
    )


def test_evidence_in_two_dimensions():
    y, X = data(T=1)
    p = dense.problem(y, X, WEIGHTS["knn"], "SAC")
    prior = {"b0": np.zeros(3), "V0": np.eye(3), "a0": 2.0, "d0": 1.0}
    value = dense.posterior(p, prior=prior, size=(3, 10))["log_integral"]
    assert value == pytest.approx(dense.evidence(p, prior, size=(3, 10)), abs=1e-10)
    free = dense.posterior(p, size=(3, 10))
    assert free["spatial_mean"].shape == (2,)
    assert free["spatial_quantiles"].shape == (2, len(dense.LEVELS))


def test_hostile_weights_are_what_they_say():
    for name, (W, _) in dense.hostile().items():
        assert len(W) <= 60
        assert not np.diag(W).any()
        if name != "acyclic":
            low, high = dense.interval(W)
            assert dense.logdet(0.5 * high, W) == pytest.approx(
                np.log(np.abs(1 - 0.5 * high * np.linalg.eigvals(W))).sum(), abs=1e-9
            )
            assert low < 0 < high
    W = dense.hostile()["defective"][0]
    assert dense.logdet(0.9, W) == pytest.approx(2 * dense.logdet(0.9, W[:20, :20]), abs=1e-12)
    assert dense.logdet(0.9, dense.hostile()["acyclic"][0]) == pytest.approx(0.0, abs=1e-12)
    assert dense.logdet(-0.9, dense.hostile()["directed_ring"][0]) == pytest.approx(
        np.log1p(0.9**25), abs=1e-12
    )
    assert dense.dlogdet(0.3, W) == pytest.approx(
        (dense.logdet(0.3 + 1e-5, W) - dense.logdet(0.3 - 1e-5, W)) / 2e-5, rel=1e-8
    )


@pytest.mark.parametrize("model", dense.MODELS)
def test_maximum_is_a_stationary_point_of_the_full_likelihood(model):
    y, X = data(seed=4)
    p = dense.problem(y, X, WEIGHTS["knn"], model, "twoway", T)
    fit = dense.ml(p, bounds=[(-0.9, 0.9)] * (p.has_rho + p.has_lambda), size=15)
    assert fit["loglik"] == pytest.approx(
        dense.loglik(p, fit["b"], fit["sigma2"], fit["rho"], fit["lambda"]), rel=1e-12
    )
    for i in range(len(fit["b"])):
        step = 1e-5 * np.eye(len(fit["b"]))[i]
        up, down = (
            dense.loglik(p, fit["b"] + s * step, fit["sigma2"], fit["rho"], fit["lambda"])
            for s in (1, -1)
        )
        assert abs(up - down) / 2e-5 < 1e-5
    assert len(fit["se_observed"]) == len(fit["b"]) + p.has_rho + p.has_lambda + 1


def test_flat_posterior_is_the_diffuse_limit_of_the_proper_one():
    y, X = data(seed=5)
    p = dense.problem(y, X, WEIGHTS["knn"], "SAR", "none", T)
    flat = dense.posterior(p, k=3, size=(40, 10))
    # a0 = -k/2 gives back the k degrees of freedom that a proper prior does not spend on the
    # coefficients
    limit = dense.posterior(
        p,
        prior={"b0": np.zeros(3), "V0": 1e9 * np.eye(3), "a0": -1.5, "d0": 1e-12},
        k=3,
        size=(40, 10),
    )
    for name in ("spatial_mean", "b_mean", "b_sd", "sigma2_mean", "impacts_mean", "corr_spatial_b"):
        np.testing.assert_allclose(limit[name], flat[name], rtol=1e-5, atol=1e-8)
