"""The tables of a study, each from findings that are made for it."""

import numpy as np
import pandas as pd
import pytest

from spillover.engine.studies.tables import (
    NO_MAXIMUM,
    compute_r_squared,
    group_by_block,
    slugify,
    summarise_indices,
    summarise_variables,
    tabulate_alternative_impacts,
    tabulate_alternatives,
    tabulate_fit_statistics,
)


def test_slugs_are_names_of_files():
    assert slugify("np.log(gsp per head)") == "np_log_gsp_per_head"


def test_variables_are_summarised_with_the_gaps_that_were_filled(make_findings, plan):
    """A composite index is no column of the data as read: it has no gaps."""
    plan.frame = pd.DataFrame({"unit": [1, 2, 3], "year": 2000, "x": [1.0, np.nan, 3.0]})
    filled = plan.frame.assign(x=[1.0, 2.0, 3.0], index=[0.5, 0.5, 0.2], name="text")
    table = summarise_variables(make_findings(plan=plan, frame=filled))
    assert list(table.index) == ["x", "index"]
    assert list(table["missing"]) == [1, 0]
    assert list(table.loc["x", ["n", "mean", "sd", "minimum", "maximum"]]) == [3, 2, 1, 1, 3]


def test_indices_are_summarised_by_period(make_findings, plan):
    frame = pd.DataFrame({"year": [2000, 2000, 2001, 2001], "i": [0.0, 1.0, 2.0, 4.0]})
    table = summarise_indices(make_findings(plan=plan, frame=frame, indices={"i": None}))
    assert list(table.loc[2001, "i"]) == [3, pytest.approx(np.sqrt(2)), 2, 4]
    assert list(table["i"]) == ["mean", "sd", "min", "max"]


def test_parameters_are_grouped_by_block():
    terms = ["Intercept", "x", "year[2]", "W:x", "mean(x)", "sigma", "lam", "z", "rho"]
    table = pd.DataFrame({"row": range(len(terms))}, index=terms)
    assert group_by_block(table).index.to_list() == [
        ("Main", "x"),
        ("Main", "z"),
        ("Main", "Intercept"),
        ("Wx", "x"),
        ("Means", "mean(x)"),
        ("Periods", "year[2]"),
        ("Spatial", "lam"),
        ("Spatial", "rho"),
        ("Variance", "sigma"),
    ]
    assert list(group_by_block(table)["row"]) == [1, 7, 0, 3, 4, 2, 6, 8, 5]


def test_alternatives_without_an_estimate_are_left_out(fits):
    table = tabulate_alternatives(fits)
    assert list(table.columns.unique(0)) == ["OLS", "SAR"]
    assert np.isnan(table.loc[("Spatial", "rho"), ("OLS", "estimate")])
    assert table.loc[("Main", "unemp"), ("SAR", "estimate")] == fits["SAR"].params["unemp"]
    impacts = tabulate_alternative_impacts(fits)
    assert list(impacts.columns.unique(0)) == ["OLS", "SAR"]
    assert (impacts.loc["indirect", ("OLS", "estimate")] == 0).all()


def test_statistics_of_fit_have_a_row_for_every_model(fits):
    table = tabulate_fit_statistics(fits)
    assert list(table.index) == ["OLS", "SAR", "SEM"]
    assert table.loc["SEM"].drop("note").isna().all()
    assert list(table["note"]) == ["", "", NO_MAXIMUM]
    assert table.loc["SAR", "log-likelihood"] == fits["SAR"].loglik


def test_r_squared_of_least_squares_is_that_of_the_regression(fits, munnell):
    frame, _ = munnell
    x = np.column_stack([np.ones(len(frame)), np.log(frame["pc"]), frame["unemp"]])
    y = np.log(frame["gsp"].to_numpy())
    _, (rest,), *_ = np.linalg.lstsq(x, y)
    wanted = 1 - rest / ((y - y.mean()) ** 2).sum()
    assert compute_r_squared(fits["OLS"]) == pytest.approx(wanted, rel=1e-9)
