"""Indices, gaps in a panel, labels, and simulated data."""

import numpy as np
import pandas as pd

import spillover as so
from refusals.given import FLAT, IDS, Given, N, T, ring
from spillover import DataError, SpecificationError, WeightsError


def _period(g: Given, years, column: str = "x1", **more):
    return so.interpolate_panel(
        g.edit(year=years, **more), unit="unit", period="year", columns=[column]
    )


REFUSALS = [
    # indices and gaps
    (
        "positive number",
        lambda g: so.entropy_index(g.frame, positive=0),
        DataError,
        "^positive= is 0: give a list of column names",
    ),
    (
        "positive text",
        lambda g: so.entropy_index(g.frame, positive="x1"),
        DataError,
        r"^positive= is the text 'x1': give a list .*\['x1'\]",
    ),
    (
        "positive label",
        lambda g: so.entropy_index(g.frame, positive=[["x1"]]),
        DataError,
        "^positive=.*give the name of one column, 'x1'",
    ),
    (
        "positive twice",
        lambda g: so.entropy_index(g.frame, positive=["x1", "x1"]),
        DataError,
        "positive= lists 'x1' more than once",
    ),
    ("no indicator", lambda g: so.entropy_index(g.frame), DataError, "There is no indicator"),
    (
        "both ways",
        lambda g: so.entropy_index(g.frame, positive=["x1"], negative=["x1"]),
        DataError,
        "'x1' cannot be both positive and negative",
    ),
    (
        "dimensions list",
        lambda g: so.entropy_index(g.frame, positive=["x1"], dimensions=["x1"]),
        DataError,
        "^dimensions= is .*: give a dict",
    ),
    (
        "dimension of another",
        lambda g: so.entropy_index(g.frame, positive=["x1"], dimensions={"a": ["x2"]}),
        DataError,
        "'x2' in the dimension 'a' is no indicator",
    ),
    (
        "two dimensions",
        lambda g: so.entropy_index(g.frame, positive=["x1"], dimensions={"a": ["x1"], "b": ["x1"]}),
        DataError,
        "'x1' is in the dimensions 'a' and 'b'",
    ),
    (
        "empty dimension",
        lambda g: so.entropy_index(g.frame, positive=["x1"], dimensions={"a": ["x1"], "b": []}),
        DataError,
        "The dimension 'b' has no indicator",
    ),
    (
        "no dimension",
        lambda g: so.entropy_index(g.frame, positive=["x1", "x2"], dimensions={"a": ["x1"]}),
        DataError,
        "'x2' belong to no dimension",
    ),
    (
        "one row",
        lambda g: so.entropy_index(g.frame[:1], positive=["x1"]),
        DataError,
        "The entropy of 1 observations",
    ),
    (
        "index gaps",
        lambda g: so.entropy_index(
            g.edit(x1=g.frame["x1"].where(g.frame.index > 0)), positive=["x1"]
        ),
        DataError,
        "Indicator 'x1' is missing in 1 rows",
    ),
    (
        "all constant",
        lambda g: so.entropy_index(g.edit(x1=1.0), positive=["x1"]),
        DataError,
        "Every indicator is constant",
    ),
    (
        "index of text",
        lambda g: so.entropy_index(g.frame, positive=["unit"]),
        DataError,
        "Not a column of numbers: 'unit'",
    ),
    (
        "fill one label",
        lambda g: so.interpolate_panel(g.frame, unit="unit", period="unit"),
        DataError,
        "both name 'unit'",
    ),
    (
        "fill unlabelled",
        lambda g: so.interpolate_panel(
            g.edit(unit=g.frame["unit"].where(g.frame.index > 0)), **FLAT
        ),
        DataError,
        "'unit', the unit, is missing in 1 rows",
    ),
    (
        "fill copies",
        lambda g: so.interpolate_panel(pd.concat([g.frame, g.frame[:1]]), **FLAT),
        DataError,
        "1 rows repeat a",
    ),
    (
        "fill words",
        lambda g: _period(g, g.frame["year"].map({2001: "a", 2002: "b", 2003: "c"})),
        DataError,
        "distances in time need numbers or dates",
    ),
    (
        "fill endless",
        lambda g: _period(g, g.frame["year"].where(g.frame["year"] > 2001, np.inf)),
        DataError,
        "the period, holds infinite values",
    ),
    (
        "fill infinite",
        lambda g: _period(g, g.frame["year"], x1=np.inf),
        DataError,
        "Column 'x1' is infinite at",
    ),
    (
        "fill nothing known",
        lambda g: _period(g, g.frame["year"], x1=g.frame["x1"].where(g.frame["unit"] != "u2")),
        DataError,
        "'x1' has no value at all in 'u2'",
    ),
    (
        "fill numbers as text",
        lambda g: so.interpolate_panel(g.edit(z=["1", None] + ["2"] * (N * T - 2)), **FLAT),
        DataError,
        "'z' has gaps and holds numbers stored as",
    ),
    # labels
    (
        "periods as text",
        lambda g: so.moran_by_period(
            g.edit(year=g.frame["year"].map({2001: "9", 2002: "10", 2003: "11"})), "y", g.W, **FLAT
        ),
        DataError,
        "numbers stored as text, which sort as text",
    ),
    (
        "periods of two types",
        lambda g: so.moran_by_period(
            g.edit(year=g.frame["year"].where(g.frame["year"] > 2001, "x").astype(object)),
            "y",
            g.W,
            **FLAT,
        ),
        DataError,
        "which do not sort: convert them to one",
    ),
    (
        "labels alike",
        lambda g: so.Weights(ring(), ids=["1", 1, *IDS[2:]]),
        WeightsError,
        "read alike but are of several types",
    ),
    (
        "columns of text",
        lambda g: so.moran(g.cross[["y"]].astype(object).replace({g.cross["y"].iloc[0]: "a"}), g.W),
        WeightsError,
        "look at the columns 'y'",
    ),
    (
        "beyond floats",
        lambda g: so.Weights([[0, 10**400], [1, 0]]),
        WeightsError,
        "one is beyond 2e\\+308",
    ),
    (
        "copies of an indicator",
        lambda g: so.entropy_index(pd.concat([g.frame, g.frame[["x1"]]], axis=1), positive=["x1"]),
        DataError,
        "More than one column is called 'x1'",
    ),
    # simulated data
    (
        "simulate x",
        lambda g: g.simulate(x=np.zeros((2, N))),
        DataError,
        r"x is an ndarray of shape \(2, 7\): give an array of numbers",
    ),
    (
        "simulate W",
        lambda g: g.simulate(weights=g.W),
        WeightsError,
        "weights is a Weights: give a sparse array",
    ),
    (
        "simulate beta",
        lambda g: g.simulate(beta=np.ones(2)),
        DataError,
        r"beta is an ndarray of shape \(2,\): give an array of 1 numbers",
    ),
    (
        "simulate rho",
        lambda g: g.simulate(rho=1.5),
        DataError,
        "rho=1.5 is not inside the admissible interval",
    ),
    ("simulate lam", lambda g: g.simulate(lam="x"), SpecificationError, "^lam='x': give a number"),
    (
        "simulate sigma",
        lambda g: g.simulate(sigma=-1),
        SpecificationError,
        "^sigma=-1: give a number from 0 on",
    ),
    (
        "simulate effects",
        lambda g: g.simulate(effects=np.ones(5)),
        DataError,
        r"effects is an ndarray of shape \(5,\)",
    ),
    (
        "simulate rng",
        lambda g: g.simulate(rng=3),
        SpecificationError,
        "^rng is an int: give one of NumPy's",
    ),
]
