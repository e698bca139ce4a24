"""What sampling by NUTS promises: compiled once, reproducible, warnings where chains are not to be
trusted.
"""

import logging
import re

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import spillover as so
from spillover.engine.estimation import nuts
from spillover.engine.estimation.arguments import SamplingPlan
from spillover.engine.estimation.results import warn_of_trouble
from spillover.models import posterior as posteriors


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
    "flat priors": lambda small: small("SDM", "twoway").model(priors=so.Priors.reference()),
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


@pytest.fixture(scope="module")
def compiled(small, sampled) -> None:
    """The programs of an SDM with two-way effects are there, whatever ran before in this process:
    old programs are let go when there are many.
    """
    sampled(small("SDM", "twoway").model(), quiet=True)


@pytest.mark.parametrize("what", SAME_SHAPES)
@pytest.mark.usefixtures("compiled")
def test_a_second_fit_of_the_same_shapes_is_not_traced_again(what, small, sampled, counter):
    model = SAME_SHAPES[what](small)
    size = nuts._advance._cache_size()
    compiled = counter.compiled(lambda: sampled(model, quiet=True))
    assert counter.traced == 0
    assert nuts._advance._cache_size() == size
    assert compiled == []


@pytest.mark.verify
def test_user_distributions_compile_once_as_well(informed, sampled, small, counter):
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
        placed = small("SDM", "twoway").model().problem.placed
        starts = [nuts.draw_starts(placed, 4, seed) for seed in (5, 5, 6)]
        plans = [SamplingPlan(50, 500, 4, seed, 0.8) for seed in (5, 5, 6)]
        paths = [
            nuts.sample_from(placed.posterior, starts[0], plan, lambda *_: None).flat
            for plan in plans
        ]
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
    fit, p = (
        sampled(case.model(priors=so.Priors.reference()), draws=200, quiet=True),
        case.problem(),
    )
    beta, sigma = fit.posterior["beta"].to_numpy(), fit.posterior["sigma"].to_numpy()
    residual = (
        p.y
        - beta @ p.X[:, [case.labels(p).index(term) for term in fit.posterior["term"].to_numpy()]].T
    )
    k = beta.shape[-1]
    log = -p.nu * np.log(sigma) - (residual**2).sum(-1) / (2 * sigma**2) + k * np.log(sigma)
    difference = fit.tree["sample_stats"]["lp"].to_numpy() - log
    np.testing.assert_allclose(difference, difference[0, 0], rtol=0, atol=1e-8)
