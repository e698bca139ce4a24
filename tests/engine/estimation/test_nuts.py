"""NUTS against exact posteriors: stored quadratures, dense quadratures on hostile W, brute force
under priors that are not conjugate.
"""

import logging
import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
import xarray as xr
from dense_posterior import assert_dense_posterior, draws_of
from numpyro.infer import MCMC, NUTS
from oracles import dense
from oracles.quadrature import panels
from scipy import stats

import spillover as so
from spillover.engine.estimation import nuts
from spillover.engine.estimation.results import warn_of_trouble
from spillover.models import posterior as posteriors

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
    cent of the sd; a joint posterior put together from the marginals is wrong by a factor of two
    (mathematics.md 4).
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


def informed(frame: pd.DataFrame, W: np.ndarray, df: float, scale: float) -> so.Model:
    """One coefficient ~ Student-t, sigma ~ half normal, rho ~ a normal cut to the interval."""
    priors = so.Priors(
        beta={"x": dist.StudentT(df, 0.2, scale)},
        sigma=dist.HalfNormal(2 * scale),
        rho=dist.Normal(-0.1, scale),
    )
    return so.SAR("y ~ 0 + x", frame, so.Weights(W), priors=priors)


@pytest.mark.verify
def test_priors_that_are_not_conjugate_have_the_posterior_of_brute_force(
    sampled, monte_carlo, small
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


class Counter:
    """How often the posterior's density is traced, and the names of what XLA compiles."""

    def __init__(self, monkeypatch, caplog):
        self.traced = 0
        density = posteriors.log_density

        def counted(*args):
            self.traced += 1
            return density(*args)

        monkeypatch.setattr(posteriors, "log_density", counted)
        self.caplog = caplog

    def compiled(self, work) -> list[str]:
        self.caplog.clear()
        with jax.log_compiles(True), self.caplog.at_level(logging.WARNING):
            work()
        messages = [record.getMessage() for record in self.caplog.records]
        return [
            found[1]
            for found in (re.match(r"Compiling (\S+)", message) for message in messages)
            if found
        ]


@pytest.fixture
def counter(monkeypatch, caplog) -> Counter:
    return Counter(monkeypatch, caplog)


SAME_SHAPES = {  # what may differ between two fits of one shape
    "data": lambda small: small("SDM", "twoway", seed=7).model(),
    "weights": lambda small: small("SDM", "twoway", "knn5").model(),
    "weights whose rows do not sum to one": lambda small: small("SDM", "unit", "binary").model(),
    "effects": lambda small: small("SDM", "period").model(),
    "given bounds": lambda small: bounded(small("SDM", "twoway")),
    "prior hyperparameters": (
        lambda small: small("SDM", "twoway").model(
            priors=so.Priors(beta=so.Ridge(1.0), sigma=so.InverseGamma(3, 2.0))
        )
    ),
    "prior families": (
        lambda small: small("SDM", "twoway").model(
            priors=so.Priors(beta=so.Zellner(), rho=so.ScaledBeta(3, 2))
        )
    ),
    "flat priors": lambda small: small("SDM", "twoway").model(priors=FLAT),
}


def bounded(case) -> so.Model:
    ids = [f"u{i:02d}" for i in range(len(case.W))]
    weights = so.Weights(case.W, ids, bounds=(-0.7, 0.9))
    return so.SDM(
        case.formula,
        case.frame,
        weights,
        effects="twoway",
        unit="unit",
        period="year",
        lagged=["x1"],
    )


@pytest.mark.parametrize("what", SAME_SHAPES)
def test_a_second_fit_of_the_same_shapes_is_not_traced_again(
    what, small, sampled, panel_fit, counter
):
    model = SAME_SHAPES[what](small)
    size = nuts._advance._cache_size()
    compiled = counter.compiled(lambda: sampled(model, quiet=True))
    assert counter.traced == 0
    assert nuts._advance._cache_size() == size
    assert compiled == []


@pytest.mark.verify
def test_user_distributions_compile_once_as_well(sampled, small, counter):
    def fit(df: float, scale: float, seed: int) -> None:
        x = np.random.default_rng(seed).standard_normal((13, 2))
        frame = pd.DataFrame(x @ [[1.0, 0.0], [0.5, 1.0]], columns=["y", "x"])
        sampled(informed(frame, small("SAR").W, df, scale), quiet=True)

    fit(4.0, 1.0, 2)
    counter.traced = 0
    assert counter.compiled(lambda: fit(7.0, 2.0, 3)) == []
    assert counter.traced == 0


def test_impacts_of_a_second_fit_are_not_compiled_again(small, sampled, counter):
    first, second = (
        sampled(small("SDM", "twoway", seed=seed).model(), quiet=True) for seed in (2, 7)
    )
    first.impacts()
    assert counter.compiled(second.impacts) == []


def test_seeds_reproduce_the_draws(small, sampled):
    model = small("SDM", "twoway").model()
    one, same, other = (
        sampled(model, draws=100, seed=seed, quiet=True).posterior for seed in (5, 5, 6)
    )
    xr.testing.assert_equal(one, same)
    for name in one:
        assert (one[name] != other[name]).mean() > 0.9
    assert not np.array_equal(one["rho"][0], one["rho"][1])  # chains differ


def test_the_seed_reaches_the_starts_and_the_paths(small):
    """Each on its own: other starts from another seed, and other paths from the same starts."""
    with jax.enable_x64(True):
        posterior, mass = small("SDM", "twoway").model()._posterior
        starts = [
            nuts.starting_points(posterior, mass.points, mass.weight, 4, seed) for seed in (5, 5, 6)
        ]
        options = {"tune": 500, "draws": 50, "target_accept": 0.8, "report": lambda *_: None}
        paths = [nuts.sample(posterior, starts[0], seed=seed, **options).flat for seed in (5, 5, 6)]
    for one, same, other in (starts, paths):
        np.testing.assert_array_equal(one, same)
        assert (one != other).all()


def test_more_draws_only_continue_the_chains(small, sampled):
    """Neither the number of draws nor the length of a compiled piece of the path reaches the draws
    themselves.
    """
    model = small("SDM", "twoway").model()
    short, long = (sampled(model, draws=draws, quiet=True).posterior for draws in (70, 230))
    np.testing.assert_array_equal(short["rho"], long["rho"][:, :70])
    assert (short.sizes["draw"], long.sizes["draw"]) == (70, 230)


def test_the_precision_of_the_user_is_untouched(small, sampled):
    def now() -> tuple:
        return jnp.ones(1).dtype, jnp.sin(1.0).dtype, jax.config.jax_enable_x64

    before = now()
    assert before == (jnp.float32, jnp.float32, False)
    model = small("SDM", "twoway").model()
    fit = sampled(model, draws=100, quiet=True)
    fit.impacts()
    model.fit_ml().impacts()
    assert now() == before
    assert fit.posterior["rho"].dtype == np.float64
    digits = fit.posterior["rho"].to_numpy()
    assert (digits != digits.astype(np.float32)).all()  # worked out in float64, not cast to it


def test_the_precision_is_restored_after_an_error(small):
    with pytest.raises(so.SpilloverError):
        small("SAR").model().fit("none such")
    model = small("SAR").model(priors=so.Priors(beta=so.Conjugate((0.0,), ((1.0,),))))
    with pytest.raises(so.PriorError, match="4 terms"):
        model.fit(progress=False)
    assert jax.config.jax_enable_x64 is False


def doctored(fit: so.Fit, **changes) -> xr.DataTree:
    tree = fit.tree.copy(deep=True)
    for name, change in changes.items():
        group = "sample_stats" if name == "diverging" else "posterior"
        tree[group][name] = change(tree[group][name])
    return tree


def split_chains(rho: xr.DataArray) -> xr.DataArray:
    return rho + 10 * rho.std() * (rho["chain"] == 0)


def sticky(rho: xr.DataArray) -> xr.DataArray:
    """Each draw kept for 50 iterations: the same law, a fiftieth of the information."""
    return rho.isel(draw=(np.arange(rho.sizes["draw"]) // 50) * 50).assign_coords(draw=rho["draw"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"diverging": lambda d: d | (d["draw"] < 2)},
            ["8 draws diverged", "target_accept", "priors"],
        ),
        ({"rho": split_chains}, ["R-hat of rho", "tune", "trace"]),
        ({"rho": sticky}, ["effective sample size of rho", "400", "more draws"]),
    ],
)
def test_trouble_is_a_warning_with_the_way_out(changes, words, reference_fit):
    with pytest.warns(so.SpilloverWarning) as caught:
        warn_of_trouble(doctored(reference_fit, **changes))
    assert any(all(word in str(warning.message) for word in words) for warning in caught)


def test_good_chains_are_not_warned_of(reference_fit):
    warn_of_trouble(reference_fit.tree)  # a warning is an error in this suite


def test_a_short_fit_warns(small):
    with pytest.warns(so.SpilloverWarning) as caught:
        small("SDM", "twoway").model().fit(draws=50, tune=500, progress=False)
    assert any("below 400: take more draws" in str(warning.message) for warning in caught)
    assert all(warning.filename == __file__ for warning in caught)  # it points at the call of fit


def test_progress_without_a_terminal(small, sampled, capfd):
    sampled(small("SDM", "twoway").model(), draws=100, progress=True, quiet=True)
    assert capfd.readouterr().out == ""  # the bar is on the error stream


def test_statistics_of_the_sampler_are_in_the_tree(panel_fit):
    found = panel_fit.tree["sample_stats"].to_dataset()
    assert set(found) == {"lp", "energy", "n_steps", "acceptance_rate", "step_size", "diverging"}
    assert all(found[name].dims == ("chain", "draw") for name in found)
    assert found["diverging"].dtype == bool
    assert 0.7 < float(found["acceptance_rate"].mean()) < 0.98  # target_accept=0.8
    # adapted in the warm-up only
    assert (found["step_size"].std("draw") < 1e-12 * found["step_size"].mean()).all()


@pytest.mark.verify
def test_target_accept_is_obeyed(small, sampled, counter):
    """A higher one takes shorter steps; it is a setting of the compiled sampler, which shows that
    the counter counts.
    """
    model = small("OLS", "unit").model()
    usual = sampled(model, quiet=True).tree["sample_stats"].to_dataset()
    counter.traced, found = 0, []
    compiled = counter.compiled(
        lambda: found.append(sampled(model, target_accept=0.95, quiet=True))
    )
    careful = found[0].tree["sample_stats"].to_dataset()
    assert float(careful["step_size"].mean()) < 0.8 * float(usual["step_size"].mean())
    assert float(careful["acceptance_rate"].mean()) > float(usual["acceptance_rate"].mean())
    assert counter.traced > 0
    assert compiled


def test_lp_is_the_log_density_of_the_draws(small, sampled):
    """Up to the Jacobian of the flat site, lp ranks draws as likelihood times prior does: for OLS
    under the reference prior log p = -(nu + 2)/2 log sigma^2 - |y - D b|^2 / (2 sigma^2), and the
    Jacobian of (beta, sigma^2) is sigma^(k + 2).
    """
    case = small("OLS", "unit")
    fit, p = sampled(case.model(priors=FLAT), draws=200, quiet=True), case.problem()
    beta, sigma = fit.posterior["beta"].to_numpy(), fit.posterior["sigma"].to_numpy()
    residual = (
        p.y
        - beta @ p.X[:, [case.labels(p).index(term) for term in fit.posterior["term"].to_numpy()]].T
    )
    k = beta.shape[-1]
    log = -p.nu * np.log(sigma) - (residual**2).sum(-1) / (2 * sigma**2) + k * np.log(sigma)
    difference = fit.tree["sample_stats"]["lp"].to_numpy() - log
    np.testing.assert_allclose(difference, difference[0, 0], rtol=0, atol=1e-8)


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
