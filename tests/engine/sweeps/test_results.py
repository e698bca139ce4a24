"""What a sweep returns: probabilities, averages over members, conclusions, tables."""

from dataclasses import replace

import numpy as np
import pytest
from small_sweeps import DRAWS, KINDS, build_single, run_sweep, weights_of

import spillover as so
from spillover.engine.sweeps.results import LEVELS


@pytest.fixture(scope="module")
def mixed(small):
    """Two-way effects, one W whose rows all have one sum and one whose rows have not."""
    case = small("SAR", "twoway", "spectral")
    return case, run_sweep(
        case, weights_of(small, "knn", "spectral"), models=["OLS", "SAR"], effects=["twoway"]
    )


def test_weights_with_rows_of_several_sums_have_estimates_but_no_evidence(small, mixed):
    """Least squares have no W in them; where rho meets period effects and such a W there is a
    posterior and no probability, with a note.
    """
    case, out = mixed
    weights = weights_of(small, "knn", "spectral")
    label = {"weights": "spectral", "model": "SAR", "effects": "twoway"}
    fit = build_single(case, weights["spectral"], "SAR", "twoway").fit(
        "exact", draws=DRAWS, chains=1, seed=8
    )
    medians = out.summary["quantile"].sel(label).sel(level=0.5)
    draws = [(fit.posterior[name], medians.sel(parameter=name)) for name in ("rho", "sigma")]
    draws += [
        (part.sel(term="x1"), out.impacts[kind].sel(label).sel(term="x1", statistic="0.5"))
        for kind, part in fit.impacts().items()
    ]
    for values, median in draws:  # impacts have no second moment here
        assert abs(float((values < float(median)).mean()) - 0.5) < 4.5 * np.sqrt(2 * 0.25 / DRAWS)
    evidence = out.summary["log_marginal_likelihood"].squeeze("effects")
    np.testing.assert_allclose(*evidence.sel(model="OLS"), rtol=1e-12)
    assert np.isnan(evidence.sel(weights="spectral", model="SAR"))
    assert np.isnan(out.members.sel(weights="spectral", model="SAR")).all()
    np.testing.assert_allclose(out.members.sum(), 1.0, rtol=1e-12)
    assert out.notes[["weights", "model", "effects"]].to_numpy().tolist() == [
        ["spectral", "SAR", "twoway"]
    ]
    assert "not a density" in out.notes["note"].item()
    assert "not a density" in out.members.attrs["note"]
    assert "1 without evidence" in repr(out)
    notes = out.to_frame()["note"]
    assert (notes != "").to_numpy().sum() == 1
    assert "not a density" in notes["spectral", "SAR", "twoway"]
    assert not len(out.failures)


def test_averages_leave_out_what_has_no_probability_and_say_so(small, mixed):
    case, out = mixed
    with pytest.warns(so.SpilloverWarning, match="1 members have no probability"):
        average = out.average()["total"].sel(statistic="mean", term="x1").squeeze()
    means = out.impacts["total"].sel(statistic="mean", term="x1").squeeze()
    wanted = (out.members.squeeze() * means.where(out.summary["quasi"].squeeze() == 0)).sum()
    np.testing.assert_allclose(average, wanted, rtol=1e-12)
    alone = run_sweep(
        case, weights_of(small, "spectral"), models=["SAR"], effects=["twoway"], draws=50
    )
    with pytest.raises(so.SpecificationError, match="row-standardise W"):
        alone.average()


def test_probabilities_are_evidences_normalised_within_effects(small):
    """p(m) = exp(log evidence) / sum, for each kind of effects by itself."""
    case = small("SAR", "unit", "knn")
    out = run_sweep(
        case,
        weights_of(small, "knn", "contiguity"),
        models=["SAR", "OLS"],
        effects=["unit", "twoway"],
    )
    for effects in ("unit", "twoway"):
        chosen = out.summary.sel(effects=effects)
        likelihoods = np.exp(
            chosen["log_marginal_likelihood"] - float(chosen["log_marginal_likelihood"].max())
        )
        np.testing.assert_allclose(
            chosen["posterior_probability"], likelihoods / likelihoods.sum(), rtol=1e-12
        )


def test_summaries_are_those_of_the_kept_draws(family):
    for label in ({"weights": "islands", "model": "SAC"}, {"weights": "sinks", "model": "SDM"}):
        draws = family.draws["parameters"].sel(effects="unit", **label).dropna("parameter")
        summary = family.summary.sel(effects="unit", parameter=draws["parameter"], **label)
        np.testing.assert_allclose(summary["mean"], draws.mean("sample"), rtol=1e-10)
        np.testing.assert_allclose(summary["sd"], draws.std("sample", ddof=1), rtol=1e-10)
        np.testing.assert_allclose(summary["positive"], (draws > 0).mean("sample"))
        np.testing.assert_allclose(
            summary["quantile"].T, draws.quantile(list(LEVELS), dim="sample"), rtol=1e-9, atol=1e-12
        )
        for kind in KINDS:
            own = family.impacts[kind].sel(effects="unit", statistic="mean", **label)
            np.testing.assert_allclose(
                own,
                family.draws[kind].sel(effects="unit", **label).mean("sample"),
                rtol=1e-10,
                atol=1e-14,
            )


def test_averages_are_the_mixture_of_the_members(family):
    """Mean and sd in closed form; quantiles of draws pooled and resampled by probability, within
    their Monte Carlo error.
    """
    rng, size = np.random.default_rng(5), 400_000
    share = family.members.squeeze("effects").stack(member=("weights", "model"))
    chosen = rng.choice(share.size, size=size, p=share.to_numpy())
    for out in (family, replace(family, draws=None)):
        found = out.average().squeeze("effects")
        for kind in KINDS:
            members_ = family.draws[kind].squeeze("effects").stack(member=("weights", "model"))
            for term in ("x1", "x2"):
                draws = members_.sel(term=term).transpose("member", "sample").to_numpy()
                pooled = draws[chosen, rng.integers(0, draws.shape[1], size)]
                mean = share.to_numpy() @ draws.mean(axis=1)
                sd = np.sqrt(
                    share.to_numpy()
                    @ (draws.var(axis=1, ddof=1) + (draws.mean(axis=1) - mean) ** 2)
                )
                own = found[kind].sel(term=term)
                np.testing.assert_allclose(
                    own.sel(statistic=["mean", "sd"]), [mean, sd], rtol=1e-10
                )
                np.testing.assert_allclose(
                    own.sel(statistic="positive"), (pooled > 0).mean(), atol=5 * 0.5 / np.sqrt(size)
                )
                for level in LEVELS[1:-1]:
                    near = np.quantile(pooled, [max(level - 0.015, 0), min(level + 0.015, 1)])
                    assert (
                        near[0] - 1e-12 <= float(own.sel(statistic=f"{level:g}")) <= near[1] + 1e-12
                    ), (kind, term, level)


def test_a_mixture_of_normals_has_their_quantiles():
    """The distribution function at the quantile is the level, for normal components far apart and a
    point mass; levels inside a step belong to it.
    """
    from scipy.stats import norm

    from spillover.engine.sweeps.results import mix_quantiles

    means, sds, shares = (
        np.array([-1.0, 0.4, 3.0]),
        np.array([0.5, 0.1, 0.3]),
        np.array([0.5, 0.2, 0.3]),
    )
    values = means[:, None] + sds[:, None] * norm.ppf(LEVELS)
    below = (shares * norm.cdf((mix_quantiles(values, shares)[:, None] - means) / sds)).sum(axis=1)
    np.testing.assert_allclose(below, LEVELS, atol=2e-3)
    single = mix_quantiles(values[:1], np.ones(1))
    np.testing.assert_allclose(single, values[0], atol=1e-12)
    values[1] = 0.4
    found = dict(zip(LEVELS, mix_quantiles(values, shares), strict=True))
    assert all(
        found[level] == pytest.approx(0.4, abs=1e-9) for level in LEVELS if 0.5 < level < 0.69
    )


def test_averages_over_some_dimensions(family):
    """Over W alone: within each model, by p(W | model, y)."""
    found = family.average(over=["weights"])["total"].sel(
        statistic="mean", term="x1", model="SAR", effects="unit"
    )
    chosen = family.summary.sel(model="SAR", effects="unit")["posterior_probability"]
    means = family.impacts["total"].sel(statistic="mean", term="x1", model="SAR", effects="unit")
    np.testing.assert_allclose(found, float((chosen * means).sum() / chosen.sum()), rtol=1e-12)
    with pytest.raises(so.SpecificationError, match="effects"):
        family.average(over=["effects"])


def test_conclusions_count_members(family):
    table = family.conclusions()
    total = family.impacts["total"].sel(term="x1")
    row = table.loc[("total", "x1")]
    assert row["members"] == 18
    assert row["lowest"] == float(total.sel(statistic="mean").min())
    assert row["significantly_positive"] == float((total.sel(statistic="0.025") > 0).mean())
    assert row["positive"] == float((total.sel(statistic="mean") > 0).mean())
    np.testing.assert_allclose(
        row["probability_positive"],
        (family.members * total.sel(statistic="positive")).sum(),
        rtol=1e-12,
    )
    by = family.conclusions(by=["model"])
    assert by.loc[("SDM", "total", "x1"), "members"] == 3
    with pytest.raises(so.SpecificationError, match="levels"):
        family.conclusions(interval=(0.1234, 0.9))


def test_the_frame_has_a_row_a_member(family):
    frame = family.to_frame()
    assert len(frame) == 18
    at = ("islands", "SDM", "unit")
    assert frame.loc[at, "rho mean"] == float(
        family.summary["mean"].sel(weights="islands", model="SDM", effects="unit", parameter="rho")
    )
    assert frame.loc[at, "total x1 sd"] == float(
        family.impacts["total"].sel(
            weights="islands", model="SDM", effects="unit", term="x1", statistic="sd"
        )
    )
    assert repr(family) == "Sweep of 'y ~ x1 + x2': 3 weights x 6 model x 1 effects, by 'exact'"
