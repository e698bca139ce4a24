"""Moran's I, maps and plots."""

import numpy as np
import pandas as pd

import spillover as so
from refusals.given import FLAT, IDS, VALUES, N, ring
from spillover import DataError, SpecificationError, WeightsError

REFUSALS = [
    (
        "moran W",
        lambda g: so.moran(g.cross["y"], ring()),
        SpecificationError,
        "^W is an ndarray: make it",
    ),
    (
        "moran text",
        lambda g: so.moran(g.cross["y"].astype(str), g.W),
        WeightsError,
        "must be real numbers",
    ),
    (
        "moran units",
        lambda g: so.moran(g.cross["y"].rename({"u0": "v"}), g.W),
        WeightsError,
        "in the data but not in W: 'v'",
    ),
    (
        "moran shape",
        lambda g: so.moran(np.zeros(3), g.W),
        DataError,
        r"x has shape \(3,\): give \(7,\)",
    ),
    ("moran columns", lambda g: so.moran(g.cross[[]], g.W), DataError, "x has no columns"),
    (
        "moran missing",
        lambda g: so.moran(g.cross["y"].where(g.cross["y"] > 0), g.W),
        DataError,
        "values are missing or infinite: 'u",
    ),
    (
        "moran flat",
        lambda g: so.moran(g.cross["y"] * 0 + 1, g.W),
        DataError,
        "y is the same in every unit",
    ),
    (
        "moran islands",
        lambda g: so.moran(g.cross["y"], so.Weights(np.zeros((N, N)), IDS, islands="allow")),
        DataError,
        "No unit has neighbours",
    ),
    (
        "moran few",
        lambda g: so.moran(VALUES, so.Weights([[0, 1, 0], [1, 0, 1], [0, 1, 0]], list("abc"))),
        DataError,
        "3 units with neighbours: .* at least 4",
    ),
    (
        "moran even",
        lambda g: so.moran(g.cross["y"], so.Weights(1 - np.eye(N), IDS)),
        DataError,
        "W links every unit to every other alike",
    ),
    (
        "permutations",
        lambda g: so.moran(g.cross["y"], g.W, permutations=-1),
        SpecificationError,
        "^permutations=-1: give a whole number from 0",
    ),
    (
        "moran seed",
        lambda g: so.moran(g.cross["y"], g.W, seed="x"),
        SpecificationError,
        "^seed='x'",
    ),
    (
        "alternative",
        lambda g: so.moran(g.cross["y"], g.W, alternative="bigger"),
        SpecificationError,
        "no alternative 'bigger'; choose one of 'greater'",
    ),
    (
        "assumption",
        lambda g: so.moran(g.cross["y"], g.W, assumption="luck"),
        SpecificationError,
        "no assumption 'luck'",
    ),
    (
        "islands of moran",
        lambda g: so.moran(g.cross["y"], g.W, islands="drop"),
        SpecificationError,
        "no way with islands 'drop'",
    ),
    (
        "moran column",
        lambda g: so.moran_by_period(g.frame, "z", g.W, **FLAT),
        DataError,
        "There is no column 'z'",
    ),
    (
        "moran label",
        lambda g: so.moran_by_period(g.frame, ["y"], g.W, **FLAT),
        SpecificationError,
        "give the name of one column, 'y'",
    ),
    (
        "moran no frame",
        lambda g: so.moran_by_period([1], "y", g.W, **FLAT),
        DataError,
        "The data are a list: give a pandas DataFrame",
    ),
    (
        "moran unlabelled",
        lambda g: so.moran_by_period(
            g.edit(unit=g.frame["unit"].where(g.frame.index > 0)), "y", g.W, **FLAT
        ),
        DataError,
        "'unit' is missing in 1 rows",
    ),
    (
        "moran repeats",
        lambda g: so.moran_by_period(pd.concat([g.frame, g.frame[:1]]), "y", g.W, **FLAT),
        DataError,
        "1 rows repeat a unit and period",
    ),
    (
        "local frame",
        lambda g: so.moran_local(g.cross[["y"]], g.W),
        DataError,
        "moran_local takes one variable",
    ),
    (
        "local few",
        lambda g: so.moran_local(
            VALUES, so.Weights([[0, 1, 0], [1, 0, 1], [0, 1, 0]], list("abc"))
        ),
        DataError,
        "3 units: local Moran's I needs at least 4",
    ),
    (
        "fdr",
        lambda g: so.moran_local(g.cross["y"], g.W, fdr=2),
        SpecificationError,
        r"^fdr=2: give a number between 0 and 1, such as fdr=0\.05",
    ),
    (
        "conditional",
        lambda g: so.moran_local(g.cross["y"], g.W, conditional=3),
        SpecificationError,
        "^conditional=3: give True or False",
    ),
    (
        "plot of another thing",
        lambda g: so.plots.moran(g.frame),
        SpecificationError,
        "This is a DataFrame: give what so.moran returns",
    ),
    (
        "plot prob",
        lambda g: so.plots.moran_over_time(so.moran(g.cross[["y"]], g.W, permutations=0), prob=1.5),
        SpecificationError,
        "^prob=1.5: give a number between 0 and 1",
    ),
    (
        "plot labels",
        lambda g: so.plots.moran(so.moran(g.cross["y"], g.W, permutations=0), labels="x"),
        SpecificationError,
        "^labels='x': give a whole number",
    ),
    (
        "map of no places",
        lambda g: so.plots.moran_local(g.local(), 3),
        DataError,
        "^places is an int: give a GeoDataFrame",
    ),
    (
        "map of copies",
        lambda g: so.plots.moran_local(g.local(), pd.concat([g.places, g.places[:1]])),
        DataError,
        "The places repeat the labels 'u0'",
    ),
    (
        "map of others",
        lambda g: so.plots.moran_local(g.local(), g.places.rename({"u0": "v"})),
        DataError,
        "without a place: 'u0'; places without a value: 'v'",
    ),
    (
        "map swapped",
        lambda g: so.plots.moran_local(
            g.local(), g.places.set_axis(["latitude", "longitude"], axis=1)
        ),
        DataError,
        "the longitude, is wanted first",
    ),
    (
        "map gaps",
        lambda g: so.plots.moran_local(g.local(), g.places.where(g.places > 1)),
        DataError,
        "Coordinates are missing or infinite: 'u0'",
    ),
    (
        "choropleth values",
        lambda g: so.plots.choropleth([1], g.places),
        DataError,
        "^values is a list: give a Series",
    ),
    (
        "choropleth places",
        lambda g: so.plots.choropleth(g.cross["y"], g.places),
        DataError,
        "^geometry is a DataFrame: give a GeoDataFrame",
    ),
    (
        "choropleth colours",
        lambda g: so.plots.choropleth(g.cross["y"], g.areas(), cmap="viridi"),
        SpecificationError,
        "no colour map 'viridi': did you mean 'viridis'",
    ),
    (
        "choropleth empty",
        lambda g: so.plots.choropleth(g.cross["y"] * np.nan, g.areas()),
        DataError,
        "Every value is missing",
    ),
    (
        "choropleth infinite",
        lambda g: so.plots.choropleth(g.cross["y"] * np.inf, g.areas()),
        DataError,
        "values are infinite: 'u0'",
    ),
    (
        "fit to plot",
        lambda g: so.plots.trace(g.model()),
        SpecificationError,
        "^fit is a Model: give a posterior",
    ),
]
