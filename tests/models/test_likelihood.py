"""Log-likelihoods on R against dense algebra, their gradients, and least squares at given
dependence.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import dense

from spillover.models import likelihood as gaussian

HOSTILE = list(dense.hostile())
MIXED = ["contiguity", "knn", "binary", "sinks"]
SHARES = [(0.55, 0.6), (0.85, 0.2), (0.12, 0.93)]


@jax.jit
def joint(likelihood, *parameters):
    return gaussian.log_likelihood(likelihood, gaussian.Parameters(*parameters))


@jax.jit
def profile(likelihood, rho, lam, s):
    """Least squares at (rho, lam), and the concentrated log-likelihood at their logit variables."""
    return gaussian.regress(likelihood.moments, rho, lam), gaussian.concentrated_log_likelihood(
        likelihood, s
    )


def points(case, seed=1):
    """Parameters away from any optimum: coefficients, (rho, lam) over their intervals, sigma^2."""
    rng = np.random.default_rng(seed)
    for shares in SHARES:
        yield rng.normal(size=case.columns.shape[2]), case.inside(*shares), rng.uniform(0.3, 3.0)


def logit(case, values):
    """The logit variables of (rho, lam)."""
    return np.array(
        [0.5 * np.log((v - a) / (b - v)) for v, (a, b) in zip(values, case.bounds, strict=True)]
    )


def check_joint(case):
    for beta, values, sigma2 in points(case):
        (rho, lam), there = case.named(values)
        expected = case.loglik(beta, *there, sigma2)
        assert float(joint(case.likelihood, beta, rho, lam, sigma2)) == pytest.approx(
            expected, rel=1e-10, abs=1e-7
        )


@pytest.mark.cover
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("effects", dense.EFFECTS)
@pytest.mark.parametrize("model", dense.MODELS)
def test_joint_is_the_dense_log_likelihood(case, model, effects, name):
    check_joint(case(name, model, effects))


@pytest.mark.cover
@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("other", ["other", "raw"])
@pytest.mark.parametrize("effects", dense.EFFECTS)
@pytest.mark.parametrize("model", ["SEM", "SAC", "GNS"])
def test_joint_with_other_weights_for_the_error(case, model, effects, other, name):
    check_joint(case(name, model, effects, other=other))


@pytest.mark.cover
@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("effects", ["none", "twoway"])
@pytest.mark.parametrize("model", ["SAR", "SAC"])
def test_joint_of_the_direct_likelihood(case, model, effects, name):
    check_joint(case(name, model, effects, kind="direct"))


@pytest.mark.cover
@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("effects", ["none", "twoway"])
def test_joint_of_the_dummy_likelihood(case, effects, name):
    check_joint(case(name, "SDM", effects, kind="lsdv"))


def vectorised(case):
    """The package's and the oracle's log-likelihood of one vector (beta, rho, lam, sigma^2)."""
    k = case.columns.shape[2]

    def ours(vector):
        (rho, lam), _ = case.named(list(vector[k:-1]))
        parameters = gaussian.Parameters(vector[:k], rho, lam, vector[-1])
        return gaussian.log_likelihood(case.likelihood, parameters)

    def theirs(vector):
        return case.loglik(vector[:k], *case.named(vector[k:-1])[1], vector[-1])

    return ours, theirs


@pytest.mark.cover
@pytest.mark.parametrize(("effects", "name"), [("none", "sinks"), ("twoway", "knn")])
@pytest.mark.parametrize("model", ["SAR", "SEM", "GNS"])
def test_gradient_is_the_finite_difference_of_the_dense_log_likelihood(case, model, effects, name):
    chosen = case(name, model, effects)
    ours, theirs = vectorised(chosen)
    beta, values, sigma2 = next(points(chosen))
    at = np.concatenate([beta, values, [sigma2]])
    steps = 1e-5 * np.eye(len(at))
    expected = np.array([(theirs(at + h) - theirs(at - h)) / 2e-5 for h in steps])
    np.testing.assert_allclose(
        jax.jit(jax.grad(ours))(jnp.asarray(at)),
        expected,
        rtol=1e-6,
        atol=1e-6 * np.abs(expected).max(),
    )


@pytest.mark.cover
@pytest.mark.parametrize("name", MIXED)
@pytest.mark.parametrize("effects", dense.EFFECTS)
@pytest.mark.parametrize("model", ["OLS", "SAR", "SEM", "SAC", "GNS"])
def test_regress_is_least_squares_and_concentrated_its_maximum(case, model, effects, name):
    chosen = case(name, model, effects)
    for _, values, _ in points(chosen):
        (rho, lam), there = chosen.named(values)
        coef, e, _, value = dense.gls(chosen.problem, *there)
        fit, concentrated = profile(chosen.likelihood, rho, lam, logit(chosen, values))
        np.testing.assert_allclose(fit.beta, coef, rtol=1e-8, atol=1e-9)
        assert float(fit.ssr) == pytest.approx(e @ e, rel=1e-10)
        assert float(concentrated) == pytest.approx(value, rel=1e-10)
        z = np.hstack([chosen.problem.X, chosen.problem.D])
        z = chosen.problem.left_over(
            z - there[1] * dense.lag(chosen.problem.M, z, chosen.problem.t)
        )
        np.testing.assert_allclose(
            fit.triangle.T @ fit.triangle, z.T @ z, rtol=1e-9, atol=1e-9 * np.abs(z.T @ z).max()
        )


@pytest.mark.parametrize("model", ["SAR", "SEM", "SAC"])
def test_concentrated_is_the_joint_at_the_least_squares(case, model):
    chosen = case("bent_ring", model, "unit")
    for _, values, _ in points(chosen):
        rho, lam = chosen.named(values)[0]
        fit, concentrated = profile(chosen.likelihood, rho, lam, logit(chosen, values))
        best = joint(chosen.likelihood, fit.beta, rho, lam, fit.ssr / chosen.likelihood.nu)
        assert float(concentrated) == pytest.approx(float(best), rel=1e-11)


@pytest.mark.parametrize("model", ["GNS"])
def test_jit_is_eager_and_vmap_is_the_loop(case, model):
    chosen = case("knn", model)
    s = np.random.default_rng(2).normal(size=(4, len(chosen.bounds)))
    loop = [
        float(gaussian.concentrated_log_likelihood(chosen.likelihood, jnp.asarray(value)))
        for value in s[:2]
    ]
    batch = jax.jit(jax.vmap(gaussian.concentrated_log_likelihood, in_axes=(None, 0)))(
        chosen.likelihood, s
    )
    np.testing.assert_allclose(batch[:2], loop, rtol=1e-12)


def test_point_and_dependence_name_what_the_model_has(case):
    for model, (lag, _, error) in dense.MODELS.items():
        chosen = case("knn", model)
        assert len(gaussian.dependence(chosen.likelihood)) == lag + error
        rho, lam, _ = gaussian.point_at(chosen.likelihood, jnp.zeros(lag + error))
        assert (rho is not None, lam is not None) == (lag, error)
        for value, bounds in zip(
            [v for v in (rho, lam) if v is not None], chosen.bounds, strict=True
        ):
            assert float(value) == pytest.approx(np.mean(bounds), abs=1e-14)


@pytest.mark.parametrize(
    ("larger", "smaller", "free"),
    [
        ("SAR", "OLS", ()),
        ("SEM", "OLS", ()),
        ("SDM", "SAR", ("rho",)),
        ("SDEM", "SEM", ("lam",)),
        ("SAC", "SAR", ("rho",)),
        ("SAC", "SEM", ("lam",)),
    ],
)
def test_models_collapse_to_the_smaller_one(case, larger, smaller, free):
    big, small = case("knn", larger, "unit"), case("knn", smaller, "unit")
    beta = np.random.default_rng(3).normal(size=small.columns.shape[2])
    values = {"rho": 0.37 if "rho" in free else 0.0, "lam": -0.6 if "lam" in free else 0.0}

    def value(case):
        padded = np.pad(beta, (0, case.columns.shape[2] - len(beta)))
        rho = values["rho"] if case.problem.has_rho else None
        return float(
            joint(
                case.likelihood,
                padded,
                rho,
                values["lam"] if case.problem.has_lambda else None,
                0.8,
            )
        )

    assert value(big) == pytest.approx(value(small), rel=1e-11)
