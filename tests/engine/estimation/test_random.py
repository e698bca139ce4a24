"""Random and correlated random effects against the density of the raw data, R's splm, and integrals
over a grid.
"""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
from oracles import dense
from oracles.hostile import knn, row_standardise
from scipy import stats
from scipy.special import expit, logsumexp

import spillover as so
from spillover.models.posterior import constrain, log_density

N, T = 10, 4
MODELS = ("OLS", "SAR", "SEM", "SDM", "SDEM", "SAC", "GNS")
WEIGHTS = {
    "standard": row_standardise(knn(N, 3)),
    "raw": knn(N, 3) * np.random.default_rng(8).uniform(0.2, 1.0, (N, N)),
}


def small(name, effects="random", w="standard", *, spread=0.8, seed=3, **options):
    """A model on a simulated panel, and (y, X, W) as the definition has them, X with every
    regressor of the model.
    """
    W, rng = WEIGHTS[w], np.random.default_rng(seed)
    unit, period = np.tile(np.arange(N), T), np.repeat(np.arange(T), N)
    x = rng.standard_normal((N * T, 2)) + 0.7 * np.tile(rng.standard_normal((N, 2)), (T, 1))
    noise = spread * np.tile(rng.standard_normal(N), T) + 0.5 * rng.standard_normal(N * T)
    y = np.linalg.solve(np.kron(np.eye(T), np.eye(N) - 0.3 * W), 1 + x @ [1.0, -0.5] + noise)
    frame = pd.DataFrame({"unit": unit, "period": period, "y": y, "x1": x[:, 0], "x2": x[:, 1]})
    shuffled = frame.sample(frac=1, random_state=1)
    model = getattr(so, name)(
        "y ~ x1 + x2",
        shuffled,
        so.Weights(W),
        effects=effects,
        unit="unit",
        period="period",
        **options,
    )
    own = {"Intercept": np.ones(N * T), "x1": x[:, 0], "x2": x[:, 1]}
    columns = {
        **own,
        **{f"W:{name}": dense.lag(W, own[name][:, None], T)[:, 0] for name in ("x1", "x2")},
    }
    means = {
        f"mean({key})": np.tile(value.reshape(T, N).mean(axis=0), T)
        for key, value in columns.items()
    }
    X = np.column_stack([{**columns, **means}[term] for term in model.design.terms])
    return model, y, X


def exact(y, X, w, params, T=T):
    """The oracle's log-likelihood at a Series of parameters."""
    beta = params.iloc[: X.shape[1]].to_numpy()
    phi = (params["sigma_alpha"] / params["sigma"]) ** 2
    return dense.loglik_random(
        y,
        X,
        WEIGHTS[w],
        beta,
        params["sigma"] ** 2,
        phi,
        params.get("rho", 0.0),
        params.get("lam", 0.0),
        T,
    )


@pytest.mark.cover(name=["SAR", "SEM", "GNS"])
@pytest.mark.parametrize(("effects", "w"), [("random", "raw"), ("correlated_random", "standard")])
@pytest.mark.parametrize("name", MODELS)
def test_estimates_maximise_the_density_of_the_data(name, effects, w):
    """Its value, its slope (0) and its curvature (the standard errors). M = W: of models with both,
    lags of X among the regressors are the columns that the error's filter lags.
    """
    model, y, X = small(name, effects, w)
    ml, k = model.fit_ml(), X.shape[1]
    assert ml.loglik == pytest.approx(exact(y, X, w, ml.params), rel=1e-10)
    value = {"rho": 0.0, "lam": 0.0, **ml.params}
    at = (
        y,
        X,
        WEIGHTS[w],
        ml.params.to_numpy()[:k],
        value["sigma"],
        value["sigma_alpha"],
        value["rho"],
        value["lam"],
        T,
    )
    kept = [i for i in range(k + 4) if i not in (k, k + 1) or ("rho", "lam")[i - k] in ml.params]
    assert np.abs(dense.score_random(*at)[kept] * ml.std_errors).max() < 1e-6
    covariance = np.linalg.inv(dense.information_random(*at)[np.ix_(kept, kept)])
    np.testing.assert_allclose(ml.std_errors, np.sqrt(np.diag(covariance)), rtol=1e-7)


@pytest.mark.parametrize("name", ["OLS", "SAR"])
def test_states_agree_with_splm(name, produc, reference, named):
    """splm's optimiser stops at 1e-6; phi = sigma_alpha^2 / sigma^2."""
    stored, ml = reference("produc_r")["random"][name], produc(name, "random").fit_ml()
    own = ml.params.rename({"sigma_alpha": "phi"}).drop("sigma")
    own["phi"] = (ml.params["sigma_alpha"] / ml.params["sigma"]) ** 2
    expected = pd.Series(
        {named(key): value for key, value in stored["coef"].items()}
        | {k: stored[k] for k in ("rho", "phi") if k in stored}
    )
    np.testing.assert_allclose(own[expected.index], expected, rtol=2e-4, atol=1e-6)
    assert ml.loglik == pytest.approx(stored["loglik"], rel=1e-10)


def test_correlated_effects_of_a_regression_are_the_within_estimates(produc):
    """Mundlak (1978): beside the means over time the slopes are those of the fixed effects."""
    inside, outside = (
        produc("OLS", "correlated_random").fit_ml().params,
        produc("OLS", "unit").fit_ml().params,
    )
    slopes = [term for term in outside.index if term != "sigma"]
    np.testing.assert_allclose(inside[slopes], outside[slopes], rtol=1e-9)


def test_means_of_what_does_not_vary_are_left_out():
    """A regressor constant over time is its own mean; one that is the same for all units has a
    constant one.
    """
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "unit": np.tile(np.arange(N), T),
            "period": np.repeat(np.arange(T), N),
            "x": rng.standard_normal(N * T),
        }
    )
    frame["fixed"], frame["trend"] = np.tile(rng.standard_normal(N), T), 1.0 * frame["period"]
    frame["y"] = (
        frame["x"]
        + frame["trend"]
        + rng.standard_normal(N * T)
        + np.tile(rng.standard_normal(N), T)
    )
    model = so.SAR(
        "y ~ x + fixed + trend",
        frame,
        so.Weights(WEIGHTS["standard"]),
        effects="correlated_random",
        unit="unit",
        period="period",
    )
    assert model.design.terms == ("Intercept", "x", "fixed", "trend", "mean(x)", "mean(W:x)")
    assert model.design.variables == ("x", "fixed", "trend")


def test_no_variance_between_units_is_an_error_that_says_so():
    """Data whose means over time do not differ at all."""
    model, y, X = small("OLS")
    y, x = (values.reshape(T, N) - values.reshape(T, N).mean(axis=0) for values in (y, X[:, 1]))
    frame = pd.DataFrame(
        {
            "unit": np.tile(np.arange(N), T),
            "period": np.repeat(np.arange(T), N),
            "y": y.ravel(),
            "x": x.ravel(),
        }
    )
    with pytest.raises(so.ConvergenceError, match="effects='none'"):
        so.OLS(
            "y ~ x", frame, model.weights, effects="random", unit="unit", period="period"
        ).fit_ml()


USERS = so.Priors(
    sigma_alpha=dist.HalfNormal(0.7), beta=dist.Normal(0, 2), sigma=dist.HalfNormal(1.0)
)
CUT = so.Priors(
    sigma_alpha=dist.Uniform(0.2, 0.9),
    beta=dist.Uniform(-0.3, 2),
    sigma=dist.Uniform(0.3, 1.5),
    rho=dist.Uniform(0.1, 0.5),
)
HALF_CUT = so.Priors(
    sigma_alpha=dist.Uniform(0.2, 0.9), sigma=dist.HalfNormal(1.0), beta=dist.Normal(0, 2)
)


@pytest.mark.cover
@pytest.mark.parametrize(
    ("name", "prior"),
    [
        *((name, prior) for name in ("OLS", "SDM", "SAC") for prior in (so.Priors(), USERS)),
        ("SAC", CUT),
        ("OLS", HALF_CUT),
    ],
)
def test_the_density_of_a_draw_is_likelihood_times_prior_times_volume(name, prior):
    model, y, X = small(name, w="raw", priors=prior)
    with jax.enable_x64(True):
        posterior, _ = model.problem.placed
        flat = np.random.default_rng(1).normal(size=(4, len(posterior.centre) + X.shape[1] + 1))
        found = [density_and_parts(posterior, jnp.asarray(row)) for row in flat]
    own = [
        value - volume - exact(y, X, "raw", params) - log_prior(model, posterior, prior, params)
        for value, volume, params in found
    ]
    # up to one constant, the normalisation of rho's prior and the like
    np.testing.assert_allclose(own, own[0], atol=1e-8)


@jax.jit
def density_and_volume(posterior, flat):
    def stacked(flat):
        draw = constrain(posterior, flat)
        found = (draw.rho, draw.lam, draw.sigma_alpha, draw.sigma)
        return jnp.concatenate(
            [draw.beta, jnp.stack([value for value in found if value is not None])]
        )

    return (
        log_density(posterior, flat),
        jnp.linalg.slogdet(jax.jacfwd(stacked)(flat))[1],
        constrain(posterior, flat),
    )


def density_and_parts(posterior, flat):
    value, volume, draw = density_and_volume(posterior, flat)
    named = draw._asdict()
    beta = dict(enumerate(np.asarray(named.pop("beta"))))
    params = pd.Series(
        {**beta, **{name: float(value) for name, value in named.items() if value is not None}}
    )
    return float(value), float(volume), params


def log_prior(model, posterior, prior, params):
    """From the definitions, up to a constant."""
    k = len(model.design.terms)
    beta, sigma, spread = params.iloc[:k].to_numpy(), params["sigma"], params["sigma_alpha"]
    if isinstance(prior.sigma, dist.Distribution):
        laws = {
            USERS: stats.halfnorm(scale=0.7),
            CUT: stats.uniform(0.2, 0.7),
            HALF_CUT: stats.uniform(0.2, 0.7),
        }
        on_sigma = stats.uniform(0.3, 1.2) if prior is CUT else stats.halfnorm
        on_beta = stats.uniform(-0.3, 2.3) if prior is CUT else stats.norm(0, 2)
        on_rho = stats.uniform(0.1, 0.4).logpdf(params["rho"]) if prior is CUT else 0.0
        return (
            on_beta.logpdf(beta).sum()
            + on_sigma.logpdf(sigma)
            + laws[prior].logpdf(spread)
            + on_rho
        )
    root, found = np.asarray(posterior.prior.root), posterior.prior
    inverse_gamma = stats.invgamma.logpdf(
        sigma**2, float(found.a0), scale=float(found.d0)
    ) + np.log(2 * sigma)
    slab = -k * np.log(sigma) - 0.5 * np.sum((root @ beta) ** 2) / sigma**2
    # uniform: the density of sigma_alpha is |d share / d sigma_alpha|
    share = sigma**2 / (sigma**2 + T * spread**2)
    return inverse_gamma + slab + np.log(2 * T * spread * share**2 / sigma**2)


@pytest.mark.verify
def test_nuts_agrees_with_a_grid(monte_carlo):
    """The posterior of rho and sigma_alpha of a SAR, every other parameter integrated out by brute
    force over sigma and, given it, beta.
    """
    model, y, X = small("SAR", priors=so.Priors(sigma=so.InverseGamma(2.0, 0.5)))
    fit = model.fit(draws=1000, tune=500, progress=False)
    with jax.enable_x64(True):
        root = np.asarray(model.problem.placed.posterior.prior.root)
    rho, logit = np.linspace(-0.9, 0.95, 75), np.linspace(-9, 7, 100)
    share = expit(logit)
    logs = np.array([[collapsed(y, X, root, r, z) for z in share] for r in rho]) + np.log(
        share * (1 - share)
    )
    weight = np.exp(logs - logs.max())
    weight /= weight.sum()
    monte_carlo(fit.posterior["rho"]).assert_mean((weight.sum(axis=1) * rho).sum())
    own = fit.posterior["sigma"] ** 2 / (
        fit.posterior["sigma"] ** 2 + T * fit.posterior["sigma_alpha"] ** 2
    )
    monte_carlo(own).assert_mean((weight.sum(axis=0) * share).sum())
    volume = np.log(
        (rho[1] - rho[0]) * (logit[1] - logit[0]) / np.diff(dense.interval(WEIGHTS["standard"]))[0]
    )
    # rho below -0.9 and above 0.95
    assert fit.log_marginal_likelihood == pytest.approx(logsumexp(logs) + volume, abs=1e-4)


def collapsed(y, X, root, rho, share, shape=2.0, scale=0.5):
    """log p(y | rho, share): a multivariate t of y, from its normal-inverse-gamma definition."""
    phi = (1 / share - 1) / T
    S = np.kron(np.eye(T), np.eye(N) - rho * WEIGHTS["standard"])
    inner = np.kron(np.eye(T) + phi * np.ones((T, T)), np.eye(N))
    covariance = inner + X @ np.linalg.inv(root.T @ root) @ X.T
    law = stats.multivariate_t(np.zeros(N * T), scale / shape * covariance, df=2 * shape)
    return law.logpdf(S @ y) + np.linalg.slogdet(S)[1]


def test_what_random_effects_do_not_go_with_is_refused_by_name():
    model, _, _ = small("SAR")
    with pytest.raises(so.SpecificationError, match="nuts"):
        model.fit(sampler="exact")
    with pytest.raises(so.SpecificationError, match="observed"):
        model.fit_ml(information="expected")
    first = pd.DataFrame(
        {"unit": np.arange(N), "period": 0, "y": np.arange(N) ** 2.0, "x": np.arange(N) % 3}
    )
    with pytest.raises(so.SpecificationError, match="at least two periods"):
        so.SAR("y ~ x", first, model.weights, effects="random", unit="unit", period="period")


@pytest.mark.parametrize("name", ["OLS", "SAR", "SEM", "SDM"])
def test_effects_of_the_units_do_not_count_as_error_in_the_default_priors(name):
    """A sigma_alpha a hundred times sigma = 0.5: the scale of the priors is that of the contrasts
    over time.
    """
    model, _, _ = small(name, spread=50.0)
    assert abs(model.problem.residual_scale / 0.5 - 1) < 4.5 / np.sqrt(2 * N * (T - 1))
