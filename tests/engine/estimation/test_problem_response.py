"""Responses that leave nothing to estimate sigma from, and those that leave little: refused by
name, or fitted to their last digits.
"""

import numpy as np
import pandas as pd
import pytest
from oracles.hostile import knn, row_standardise

import spillover as so

N, T = 13, 3
W = row_standardise(knn(N, 3))
WEIGHTS = so.Weights(W)
X, Z, NOISE = np.random.default_rng(4).standard_normal((3, T, N))
UNIT, PERIOD = (
    np.broadcast_to(np.arange(N) * 1.1, (T, N)),
    np.broadcast_to(np.arange(T)[:, None] * 1.3, (T, N)),
)


def model(y: np.ndarray, name: str = "OLS", effects: str = "none", **options) -> so.Model:
    frame = pd.DataFrame({"income": y.ravel(), "x": X.ravel(), "z": Z.ravel()})
    frame["unit"], frame["year"] = np.tile(np.arange(N), T), np.repeat(np.arange(T), N)
    return getattr(so, name)(
        "income ~ x + z", frame, WEIGHTS, effects=effects, unit="unit", period="year", **options
    )


def lagged(signal: np.ndarray) -> np.ndarray:
    """y = 0.3 W y + signal."""
    return signal @ np.linalg.inv(np.eye(N) - 0.3 * W).T


LINEAR = 1 + 2 * X
CALLS = {
    "posterior": lambda m: m.fit("exact", progress=False),
    "ml": lambda m: m.fit_ml(),
    "lm": so.lm_tests,
}
DEGENERATE = {
    "zero": (np.zeros((T, N)), "SAR", "unit", "ml", ["'income' is 0 everywhere"]),
    "constant": (0 * X + 5, "SEM", "none", "ml", ["'income' is 5 everywhere"]),
    "by unit only": (
        UNIT,
        "SAR",
        "unit",
        "ml",
        ["'income'", "absorbed", "over time", "other effects"],
    ),
    "by unit only, random effects": (UNIT, "OLS", "random", "ml", ["'income'", "over time"]),
    "by period only": (PERIOD, "SEM", "period", "posterior", ["'income'", "across units"]),
    "by unit and by period": (
        UNIT + PERIOD,
        "SDM",
        "twoway",
        "posterior",
        ["'income'", "over time", "across units"],
    ),
    "linear": (LINEAR, "OLS", "none", "ml", ["'income'", "'Intercept', 'x',", "sigma"]),
    "linear under effects": (
        LINEAR + UNIT,
        "SEM",
        "unit",
        "posterior",
        ["'income'", "combination of 'x',"],
    ),
    "linear, by Lagrange multipliers": (
        LINEAR,
        "OLS",
        "none",
        "lm",
        ["'income'", "'Intercept', 'x',"],
    ),
    "a lag and no noise": (
        lagged(LINEAR),
        "SAR",
        "none",
        "posterior",
        ["'income'", "0.3 times its spatial lag"],
    ),
    "noise below the rounding": (
        LINEAR + 1e-13 * NOISE,
        "SEM",
        "none",
        "ml",
        ["'income'", "e-14 of its size", "rounding"],
    ),
}


@pytest.mark.parametrize("what", DEGENERATE)
def test_a_response_without_noise_is_refused_by_name(what):
    y, name, effects, call, words = DEGENERATE[what]
    with pytest.raises(so.DataError) as error:
        CALLS[call](model(y, name, effects))
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_sweep_names_it_member_by_member():
    """A SAR cannot be fitted to a response that is a lag and a regressor, an OLS can."""
    frame = pd.DataFrame({"income": lagged(LINEAR)[0], "x": X[0], "z": Z[0]})
    out = so.sweep(
        "income ~ x + z", frame, {"near": WEIGHTS}, models=["OLS", "SAR"], draws=50, progress=False
    )
    assert out.failures["model"].tolist() == ["SAR"]
    assert "spatial lag" in out.failures["reason"].iloc[0]


TIGHT = [
    ("SAR", "ml"),
    ("SEM", "ml"),
    ("SAC", "ml"),
    ("SEM", "exact"),
    pytest.param("SAC", "exact", marks=pytest.mark.verify),
]


@pytest.mark.parametrize(("name", "sampler"), TIGHT)
def test_a_tight_fit_is_the_loose_one_on_another_scale(name, sampler):
    """y / s = X (b / s) + e: sigma / s and the standard errors over s do not depend on s, nor does
    lam, under the reference prior, down to where the rounding of y itself is seen: 1e-16 of y are
    1e-6 of sigma for s = 1e-10.
    """

    def found(s: float) -> np.ndarray:
        signal = LINEAR + s * NOISE
        one = model(signal if name == "SEM" else lagged(signal), name, priors=so.Priors.reference())
        if sampler == "ml":
            ml = one.fit_ml()
            return np.array(
                [ml.params["sigma"] / s, ml.std_errors["x"] / s, ml.params.get("lam", 0.0)]
            )
        posterior = one.fit("exact", draws=1000, progress=False).posterior
        return np.array(
            [
                posterior["sigma"].mean() / s,
                posterior["beta"].sel(term="x").std() / s,
                posterior["lam"].mean(),
            ]
        )

    np.testing.assert_allclose(found(1e-10), found(1e-6), rtol=2e-5, atol=1e-5)
