"""What a sweep takes: its dimensions, members that fail, what it refuses."""

from dataclasses import replace

import numpy as np
import numpyro.distributions as dist
import pytest
from small_sweeps import PANEL, run_sweep, weights_of

import spillover as so

NO_INTERVAL = np.triu(np.ones((13, 13)), 1)  # nilpotent: log|I - rho W| = 0 everywhere


def test_members_that_fail_are_rows_and_the_others_finish(small, case):
    """No admissible interval, other units, a regressor that the effects absorb, a variable with a
    missing value.
    """
    ids = [f"u{i:02d}" for i in range(13)]
    frame = case.frame.assign(
        fixed=lambda data: data["unit"].str[1:].astype(int) * 1.0, gap=lambda data: data["x1"]
    )
    frame.loc[frame.index[0], "gap"] = np.nan
    weights = weights_of(small, "spectral", "islands")
    weights["nilpotent"] = so.Weights(NO_INTERVAL, ids, islands="allow")
    weights["elsewhere"] = so.Weights(small("OLS").W, [f"v{i}" for i in range(13)])
    controls = {"none": "", "fixed": "fixed", "gap": "gap"}
    options = {"models": ["SAR"], "effects": ["unit"], "lagged": None, "controls": controls}
    out = run_sweep(replace(case, frame=frame), weights, **options)
    reasons = out.failures.set_index(["weights", "controls"])["reason"]
    assert set(reasons.index) == {
        ("nilpotent", "none"),
        *((name, "fixed") for name in weights),
        *((name, "gap") for name in weights),
        ("elsewhere", "none"),
    }
    assert "give the bounds yourself" in reasons["nilpotent", "none"]
    assert "v0" in reasons["elsewhere", "none"] or "u00" in reasons["elsewhere", "none"]
    assert "'fixed' is absorbed" in reasons["spectral", "fixed"]
    assert "gap" in reasons["spectral", "gap"]
    fine = out.summary["mean"].sel(
        parameter="rho", controls="none", weights=["spectral", "islands"]
    )
    assert np.isfinite(fine).all()
    assert "failed" in repr(out)
    assert out.conclusions().loc[("total", "x1"), "members"] == 2
    probabilities = out.members.sel(controls="none").squeeze()
    np.testing.assert_allclose(probabilities.sum(), 1.0, rtol=1e-12)


def test_controls_priors_and_windows_are_dimensions(small):
    """A window of two of three years is the fit to these years; a control is the fit with it."""
    case = small("SAR", "unit", "knn")
    weights = weights_of(small, "knn")
    priors = {"default": so.Priors(), "improper": so.Priors.reference()}
    windows = {"all": (2001, 2003), "late": (2002, 2003)}
    out = so.sweep(
        "y ~ x1",
        case.frame,
        weights,
        models=["OLS"],
        effects=["unit"],
        controls={"few": "", "more": "x2"},
        priors=priors,
        windows=windows,
        draws=200,
        **PANEL,
    )
    assert dict(out.members.sizes) == {
        "weights": 1,
        "model": 1,
        "effects": 1,
        "controls": 2,
        "priors": 2,
        "window": 2,
    }
    late = case.frame[case.frame["year"] > 2001]
    for formula, control in (("y ~ x1", "few"), ("y ~ x1 + x2", "more")):
        fit = so.OLS(formula, late, weights["knn"], effects="unit", unit="unit", period="year").fit(
            "exact", draws=10, chains=1
        )
        label = {"controls": control, "priors": "default", "window": "late"}
        own = out.summary["log_marginal_likelihood"].sel(label).squeeze()
        np.testing.assert_allclose(own, fit.log_marginal_likelihood, atol=1e-8)
    assert np.isnan(out.members.sel(priors="improper")).all()
    np.testing.assert_allclose(out.members.sum(["controls", "priors"]), 1.0, rtol=1e-12)
    assert np.isnan(out.summary["mean"].sel(parameter="x2", controls="few")).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": "SAR"}, r"models='SAR': give a list"),
        ({"models": ["SARX"]}, "SARX"),
        ({"models": []}, "model is empty"),
        ({"models": ["SAR", "SAR"]}, "'SAR' is listed twice"),
        ({"effects": "unit"}, "effects='unit': give a list"),
        ({"effects": ["units"]}, "units"),
        ({"sampler": "gibbs"}, "gibbs"),
        ({"draws": 0}, "draws=0"),
        ({"seed": -1}, "seed=-1"),
        ({"weights": {}}, "weights is empty"),
        ({"weights": {"W": np.eye(3)}}, "ndarray"),
        ({"weights": {1: None}}, "1 is no name"),
        ({"weights": [1, 2]}, "weights is a list"),
        ({"controls": ["x2"]}, "controls is a list"),
        ({"controls": {}}, "controls is empty"),
        ({"priors": {"a": 3}}, "a Priors|Priors"),
        ({"priors": 3}, "priors is an int"),
        ({"windows": {"a": 3}}, "first and last"),
        ({"windows": {"a": (1900, 1910)}}, "No row"),
        ({"lagged": "x1"}, "lagged='x1': give a list"),
        ({"unit": "county"}, "county"),
        ({"effects": ["unit"], "period": None, "unit": None}, "unit="),
    ],
)
def test_what_no_member_could_do_is_refused(change, message, small):
    case = small("SAR", "unit", "knn")
    given = {
        "weights": weights_of(small, "knn"),
        "models": ["SAR"],
        "effects": ["unit"],
        **PANEL,
    } | change
    with pytest.raises(so.SpilloverError, match=message):
        so.sweep("y ~ x1", case.frame, **given)


def test_priors_that_the_exact_sampler_cannot_use_are_failures_that_say_so(small):
    case = small("SAR", "unit", "knn")
    priors = so.Priors(sigma=dist.HalfNormal(1.0))
    out = run_sweep(
        case, weights_of(small, "knn"), models=["OLS"], effects=["unit"], lagged=None, priors=priors
    )
    assert out.failures["reason"].str.contains("nuts").all()
