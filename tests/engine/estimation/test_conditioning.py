"""Estimates and standard errors of regressors with a large mean and of near copies: against the
same regression in easy columns.

What makes them hard is an exact change of the regressors, beta_easy = B beta_hard, so that the root
of one covariance is a solve away from the other. The easy columns are read off the hard ones, whose
rounding they share.
"""

import numpy as np
import pandas as pd
import pytest
from oracles.hostile import knn, row_standardise

import spillover as so
from spillover.engine.estimation import ml

N, T = 16, 3
W = row_standardise(knn(N, 3))
MEAN, APART = 1e8, 2.0**-28  # 4e-9
# of a standard error, by which the columns' own rounding moves them; a squared condition number
# would leave nothing
ERROR = 1e-6
CASES = [("OLS", "none"), ("SAC", "none"), ("SDEM", "random"), ("SDM", "twoway")]


def easy_panel(seed=3):
    rng = np.random.default_rng(seed)
    unit, x = np.tile(np.arange(N), T), rng.standard_normal((N * T, 2))
    noise = 0.6 * rng.standard_normal(N)[unit] + 0.5 * rng.standard_normal(N * T)
    y = np.linalg.solve(np.kron(np.eye(T), np.eye(N) - 0.3 * W), 1 + x @ [1.0, -0.5] + noise)
    return pd.DataFrame(
        {"unit": unit, "year": np.repeat(np.arange(T), N), "y": y, "x1": x[:, 0], "x2": x[:, 1]}
    )


def far(frame, effects):
    """x1 far from 0, each unit with a mean of its own where the effects take it out; the easy panel
    read off it; {term: B^-1's row}.
    """
    steps = (
        np.random.default_rng(0).integers(-4, 5, N)[frame["unit"]]
        if effects in ("unit", "twoway")
        else 1
    )
    hard = frame.assign(x1=frame["x1"] + MEAN * steps)
    return (
        hard,
        hard.assign(x1=hard["x1"] - MEAN * steps),
        {"Intercept": {"x1": -MEAN, "W:x1": -MEAN}},
    )


def twins(frame, _):
    """x2 hardly apart from x1."""
    hard = frame.assign(x2=frame["x1"] + APART * frame["x2"])
    own = {mark: mark + "x2" for mark in ("", "W:")}
    back = {mark + "x1": {x: -1 / APART} for mark, x in own.items()} | {
        x: {x: 1 / APART - 1} for x in own.values()
    }
    return hard, hard.assign(x2=(hard["x2"] - hard["x1"]) / APART), back


def fitted(name, frame, effects, information="observed"):
    model = getattr(so, name)(
        "y ~ x1 + x2", frame, so.Weights(W), effects=effects, unit="unit", period="year"
    )
    return model.fit_ml(information=information)


@pytest.mark.cover
@pytest.mark.parametrize("hardened", [far, twins])
@pytest.mark.parametrize(("name", "effects"), CASES)
def test_standard_errors_of_hard_columns_are_those_of_easy_ones(name, effects, hardened):
    hard, easy, back = hardened(easy_panel(), effects)
    for information in ("observed", "expected")[: 1 if effects == "random" else 2]:
        plain, found = (
            fitted(name, easy, effects, information),
            fitted(name, hard, effects, information),
        )
        terms = list(plain.params.index)
        turn = np.eye(len(terms))
        for term, row in back.items():
            for other, value in row.items():
                if term in terms and other in terms:
                    turn[terms.index(term), terms.index(other)] += value
        root = turn @ plain.root
        errors = np.linalg.norm(root, axis=1)
        np.testing.assert_allclose(found.std_errors, errors, rtol=ERROR)
        assert np.abs((found.params - turn @ plain.params) / errors).max() < ERROR
        total = found.impacts().loc["total", "std_error"]
        slopes = [[terms.index(one) for one in (x, "W:" + x) if one in terms] for x in ("x1", "x2")]
        lead = 1 / (1 - plain.params.get("rho", 0.0))
        for x, at in zip(("x1", "x2"), slopes, strict=True):
            row = lead * root[at].sum(axis=0)
            if "rho" in terms:
                row = row + lead**2 * (turn @ plain.params)[at].sum() * root[terms.index("rho")]
            assert total[x] == pytest.approx(np.linalg.norm(row), rel=ERROR)


def test_copies_that_the_error_lag_brings_together_are_refused_by_name():
    """On a ring, S_lam stretches what alternates and shrinks what is smooth: x2 - x1, smooth, falls
    from 3e-9 of x1 to less than 1e-9.
    """
    n, rng = 30, np.random.default_rng(2)
    ring = 0.5 * (np.roll(np.eye(n), 1, axis=1) + np.roll(np.eye(n), -1, axis=1))
    x, smooth = np.tile([1.0, -1.0], n // 2), np.cos(2 * np.pi * np.arange(n) / n)
    error = np.linalg.solve(np.eye(n) - 0.8 * ring, rng.standard_normal(n))
    frame = pd.DataFrame({"y": x + error, "x1": x, "x2": x + 3e-9 * smooth})
    model = so.SEM("y ~ 0 + x1 + x2", frame, so.Weights(ring))
    with pytest.raises(so.DataError, match="'x2' is a linear combination of 'x1'"):
        model.fit_ml()


def test_an_information_that_is_not_positive_definite_is_an_error_that_says_so(monkeypatch):
    monkeypatch.setattr(
        ml.informations, "observed_information", lambda _, vector: -np.eye(len(vector))
    )
    with pytest.raises(
        so.ConvergenceError, match=r"observed information of this OLS is not positive definite"
    ):
        fitted("OLS", easy_panel(), "none")
