"""NUTS against exact posteriors: stored quadratures, dense quadratures on hostile W, brute force
under priors that are not conjugate.
"""

import warnings

import jax
import numpy as np
import pandas as pd
import pytest
from dense_posterior import assert_dense_posterior, draws_of
from numpyro.infer import MCMC, NUTS
from oracles import dense
from oracles.quadrature import panels
from scipy import stats

import spillover as so

MODELS = tuple(dense.MODELS)
EXACT = ("SAR", "SEM", "SDM", "SDEM")
FLAT = so.Priors.reference()
# model, effects, W, M: period dummies, islands, sinks, complex eigenvalues, intervals far from (-1,
# 1)
GENERAL = [
    ("SAR", "unit", "binary", "binary"),
    ("SAR", "period", "raw_asymmetric", "raw_asymmetric"),
    ("SDM", "period", "sinks", "sinks"),
    ("SDM", "twoway", "islands", "islands"),
    ("SEM", "period", "spectral", "spectral"),
    ("SDEM", "twoway", "contiguity", "binary"),
    ("SAC", "twoway", "knn", "contiguity"),
    ("SAC", "none", "binary", "knn"),
    ("GNS", "none", "raw_asymmetric", "contiguity"),
]


def correlation(x: np.ndarray, y: np.ndarray, monte_carlo) -> tuple[float, float]:
    """A correlation and its Monte Carlo standard error, by its influence function z_x z_y - r
    (z_x^2 + z_y^2) / 2.
    """
    zx, zy = ((v - v.mean()) / v.std() for v in (np.asarray(x), np.asarray(y)))
    r = (zx * zy).mean()
    return r, monte_carlo(zx * zy - r * (zx**2 + zy**2) / 2).mean_error


def assert_stored(fit: so.Fit, entry: dict, named, monte_carlo) -> None:
    """Every moment of a stored posterior; a constant without moments is stored as null."""
    for stored in entry["coef_mean"]:
        if entry["coef_mean"][stored] is None:
            continue
        own = monte_carlo(draws_of(fit, named(stored)))
        own.assert_mean(entry["coef_mean"][stored], stored)
        own.assert_sd(entry["coef_sd"][stored], stored)
    for stored in {"rho", "lambda", "sigma2"} & set(entry):
        own = monte_carlo(draws_of(fit, named(stored)))
        own.assert_mean(entry[stored]["mean"], stored)
        own.assert_sd(entry[stored]["sd"], stored)


def assert_quantiles(fit: so.Fit, entry: dict, named, monte_carlo) -> None:
    """The share of draws below each exact quantile of rho and lam."""
    for stored in {"rho", "lambda"} & set(entry):
        for level, value in zip(dense.LEVELS, entry[stored]["quantiles"], strict=True):
            monte_carlo(draws_of(fit, named(stored)) < value).assert_mean(level, (stored, level))


def assert_correlations(fit: so.Fit, entry: dict, named, monte_carlo) -> None:
    """The joint posterior: correlations of rho and lam with each coefficient, and with
    each other.
    """
    for stored in {"rho", "lambda"} & set(entry):
        for term, exact in entry[stored]["corr_coef"].items():
            if exact is not None:
                r, error = correlation(
                    draws_of(fit, named(stored)), draws_of(fit, named(term)), monte_carlo
                )
                assert abs(r - exact) < 4.5 * error, (stored, term, r, exact, error)
    if "corr_rho_lambda" in entry:
        r, error = correlation(draws_of(fit, "rho"), draws_of(fit, "lam"), monte_carlo)
        assert abs(r - entry["corr_rho_lambda"]) < 4.5 * error


@pytest.fixture(scope="module")
def columbus_fits(city, sampled):
    """The cross-section under the reference prior, rho and lam uniform on (-1, 1)."""
    made: dict[str, so.Fit] = {}

    def fit(name: str) -> so.Fit:
        if name not in made:
            made[name] = sampled(city(name, bounds=(-1, 1), priors=FLAT), draws=4000)
        return made[name]

    return fit


@pytest.mark.cover(name=["SAR"])
@pytest.mark.parametrize("name", [*EXACT, "SAC"])
def test_columbus_has_the_exact_posterior(name, columbus_fits, reference, named, monte_carlo):
    fit, entry = columbus_fits(name), reference("columbus_exact")["posterior"][name]
    assert_stored(fit, entry, named, monte_carlo)
    assert_quantiles(fit, entry, named, monte_carlo)
    assert_correlations(fit, entry, named, monte_carlo)


@pytest.mark.cover(name=["SAR"])
@pytest.mark.parametrize("name", [*EXACT, "SAC"])
def test_columbus_has_the_exact_impacts(name, columbus_fits, reference, named, monte_carlo):
    """In a cross-section the density of rho vanishes like 1 - rho and total impacts grow like 1 /
    (1 - rho): their variance diverges like a logarithm, so the sample's own Monte Carlo error of
    the sd means little. Draws of effective size 4000 miss a share of 1/4000 of the tail, some per
    cent of the sd; a joint posterior put together from the marginals is wrong by nearly a factor
    of two (docs/mathematics.md 4.3).
    """
    fit, entry = columbus_fits(name), reference("columbus_exact")["posterior"][name]
    impacts = fit.impacts()
    for kind in ("direct", "indirect", "total"):
        for stored, exact in entry["impacts_mean"][kind].items():
            own, sd = (
                monte_carlo(impacts[kind].sel(term=named(stored))),
                entry["impacts_sd"][kind][stored],
            )
            if sd == 0:  # SEM: no spillover at all
                assert own.sd == own.mean == 0
                continue
            own.assert_mean(exact, (kind, stored))
            assert abs(own.sd / sd - 1) < 0.08, (kind, stored, own.sd, sd)


@pytest.mark.verify
@pytest.mark.parametrize("effects", ["unit", "twoway"])
@pytest.mark.parametrize("name", EXACT)
def test_produc_has_the_exact_posterior(
    name, effects, produc, munnell, sampled, reference, named, monte_carlo
):
    fit = sampled(produc(name, effects, priors=FLAT), draws=2000)
    entry = reference("produc_exact")["posterior"][effects]["transformed"][name]
    assert_stored(fit, entry, named, monte_carlo)
    assert_quantiles(fit, entry, named, monte_carlo)
    assert_correlations(fit, entry, named, monte_carlo)
    impacts = fit.impacts()
    for kind in ("direct", "indirect", "total"):
        for stored, exact in entry["impacts_mean"][kind].items():
            own, sd = (
                monte_carlo(impacts[kind].sel(term=named(stored))),
                entry["impacts_sd"][kind][stored],
            )
            if abs(exact) < 1e-12 and sd < 1e-12:
                assert own.sd == own.mean == 0
                continue
            own.assert_mean(exact, (kind, stored))
            own.assert_sd(sd, (kind, stored))


def assert_dense_impacts(case, fit: so.Fit) -> None:
    """Impacts of single draws from the dense inverse."""
    impacts, posterior = fit.impacts(), fit.posterior
    for chain, draw in ((0, 0), (1, 17), (3, 999)):
        one = posterior.isel(chain=chain, draw=draw)
        beta = pd.Series(one["beta"].to_numpy(), index=one["term"].to_numpy())
        own = impacts.isel(chain=chain, draw=draw)
        table = np.column_stack([own[kind].to_numpy() for kind in ("direct", "indirect", "total")])
        exact = case.impacts(beta, float(one["rho"]) if "rho" in one else 0.0)
        np.testing.assert_allclose(table, exact, rtol=1e-7, atol=1e-9 * np.abs(exact).max())
    variables = [name for name in fit.posterior["term"].to_numpy() if str(name).startswith("x")]
    assert impacts["term"].to_numpy().tolist() == variables


@pytest.mark.cover(name=["SDM"], effects=["twoway"])
@pytest.mark.parametrize("effects", dense.EFFECTS)
@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_the_conjugate_posterior_of_its_default_prior(
    name, effects, small, sampled, monte_carlo
):
    """An asymmetric row-standardised W; the chains' own warnings are left to the models with a
    ridge, the exact posterior is the judge.
    """
    case = small(name, effects)
    model = case.model()
    fit = sampled(model, quiet=name in ("SAC", "GNS"))
    assert_dense_posterior(case, model, fit, monte_carlo)
    assert_dense_impacts(case, fit)


@pytest.mark.verify
@pytest.mark.parametrize(("name", "effects", "w", "m"), GENERAL)
def test_other_weights_have_the_conjugate_posterior(
    name, effects, w, m, small, sampled, monte_carlo
):
    case = small(name, effects, w, m)
    model = case.model()
    fit = sampled(model, quiet=True)
    assert_dense_posterior(case, model, fit, monte_carlo)
    assert_dense_impacts(case, fit)


@pytest.mark.verify
def test_two_peaks_are_sampled_or_warned_of(two_peaks, monte_carlo):
    """Chains that stay on one peak cannot know the other's weight; the fit must then say so."""
    model = two_peaks.model()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", so.SpilloverWarning)
        fit = model.fit(draws=2000, tune=500, seed=5, progress=False)
    if not any(issubclass(warning.category, so.SpilloverWarning) for warning in caught):
        assert_dense_posterior(two_peaks, model, fit, monte_carlo)


@pytest.mark.verify
def test_priors_that_are_not_conjugate_have_the_posterior_of_brute_force(
    informed, sampled, monte_carlo, small
):
    """Likelihood times prior on a grid over all three parameters."""
    W = small("SAR").W
    rng = np.random.default_rng(12)
    x = rng.standard_normal(13)
    y = np.linalg.solve(np.eye(13) - 0.4 * W, 0.9 * x + rng.standard_normal(13))
    fit = sampled(informed(pd.DataFrame({"y": y, "x": x}), W, 3.0, 0.3), draws=2000)

    lower, upper = dense.interval(W)
    rho, w_rho = panels(lower, upper, 12, 12)
    beta, w_beta = panels(-4.0, 5.0, 12, 10)
    sigma, w_sigma = panels(0.05, 4.0, 12, 10)
    wy = W @ y
    # |y - rho Wy - x beta|^2
    a, b, c = (
        y @ y - 2 * rho * (y @ wy) + rho**2 * (wy @ wy),
        x @ y - rho * (x @ wy),
        x @ x,
    )
    ssr = a[:, None] - 2 * b[:, None] * beta + c * beta**2
    logdet = np.array([dense.logdet(value, W) for value in rho])
    log = (
        -13 * np.log(sigma)[None, None]
        - ssr[:, :, None] / (2 * sigma**2)
        + stats.halfnorm(scale=0.6).logpdf(sigma)
    )
    log += (logdet + stats.norm(-0.1, 0.3).logpdf(rho))[:, None, None] + stats.t(
        3, 0.2, 0.3
    ).logpdf(beta)[:, None]
    mass = np.exp(log - log.max()) * w_rho[:, None, None] * w_beta[:, None] * w_sigma
    mass /= mass.sum()
    for name, grid, axis in (("rho", rho, 0), ("x", beta, 1), ("sigma", sigma, 2)):
        marginal = mass.sum(axis=tuple({0, 1, 2} - {axis}))
        mean = marginal @ grid
        own = monte_carlo(draws_of(fit, name))
        own.assert_mean(mean, name)
        own.assert_sd(np.sqrt(marginal @ (grid - mean) ** 2), name)


@pytest.mark.verify
@pytest.mark.parametrize("double", [False, True], ids=["float32", "float64"])
def test_the_numpyro_model_gives_the_same_posterior(double, small, panel_fit, monte_carlo):
    model = small("SDM", "twoway").model()
    with jax.enable_x64(double):
        mcmc = MCMC(NUTS(model.numpyro_model), num_warmup=300, num_samples=1000, progress_bar=False)
        mcmc.run(jax.random.PRNGKey(3))
        draws = {
            name: np.asarray(value) for name, value in mcmc.get_samples(group_by_chain=True).items()
        }
    assert {"beta", "rho", "sigma"} <= set(draws)
    assert draws["rho"].dtype == (np.float64 if double else np.float32)
    pairs = {
        "rho": (draws["rho"], panel_fit.posterior["rho"]),
        "sigma": (draws["sigma"], panel_fit.posterior["sigma"]),
    }
    for j, term in enumerate(panel_fit.posterior["term"].to_numpy()):
        pairs[str(term)] = (draws["beta"][..., j], panel_fit.posterior["beta"].isel(term=j))
    for name, (theirs, ours) in pairs.items():
        a, b = monte_carlo(theirs), monte_carlo(ours)
        assert abs(a.mean - b.mean) < 4.5 * np.hypot(a.mean_error, b.mean_error), name
        assert abs(a.sd - b.sd) < 4.5 * np.hypot(a.sd_error, b.sd_error), name
