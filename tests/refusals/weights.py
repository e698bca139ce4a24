"""Weights, and their log-determinants."""

from decimal import Decimal

import numpy as np
import pandas as pd
import scipy.sparse as sparse

import spillover as so
from refusals.given import IDS, PLACES, POLAR, VALUES, N, ring
from spillover import SpecificationError, WeightsError


def _cancelling():
    """A link of weight 1 - 1, stored twice."""
    rows, columns = np.array([0, 0, 1]), np.array([1, 1, 0])
    return sparse.coo_array((np.array([1.0, -1.0, 1.0]), (rows, columns)), shape=(2, 2))


REFUSALS = [
    # weights
    (
        "islands",
        lambda g: so.Weights(np.zeros((2, 2))),
        WeightsError,
        "2 of 2 units have no neighbours: 0, 1",
    ),
    (
        "islands word",
        lambda g: so.Weights(ring(), islands="drop"),
        WeightsError,
        "^islands='drop': say \"error\"",
    ),
    (
        "bounds",
        lambda g: so.Weights(ring(), bounds=(1, 2)),
        WeightsError,
        r"^bounds=\(1, 2\): give two numbers around 0",
    ),
    (
        "bounds beyond",
        lambda g: so.Weights(ring(), bounds=(-2, 2)).bounds,
        WeightsError,
        "reach beyond the admissible",
    ),
    ("matrix text", lambda g: so.Weights("ring"), WeightsError, "the matrix must be real numbers"),
    (
        "matrix ragged",
        lambda g: so.Weights([[0, 1], [1]]),
        WeightsError,
        "with rows of one length, not",
    ),
    (
        "matrix signals",
        lambda g: so.Weights([[0, Decimal("sNaN")], [1, 0]]),
        WeightsError,
        "has one that is none",
    ),
    (
        "ids lists",
        lambda g: so.Weights(ring(), ids=pd.Series([[1], *IDS[1:]])),
        WeightsError,
        "ids must be texts or numbers, and .1. is neither",
    ),
    (
        "coordinates far",
        lambda g: so.Weights.knn([[1e300, 0], [1, 2]], 1),
        WeightsError,
        "whose distances no float holds: 0",
    ),
    (
        "matrix shape",
        lambda g: so.Weights(np.zeros((2, 3))),
        WeightsError,
        r"the matrix has shape \(2, 3\)",
    ),
    (
        "matrix negative",
        lambda g: so.Weights([[0, -1.0], [1, 0]]),
        WeightsError,
        "1 weights are negative: 0 → 1 = -1",
    ),
    (
        "ids",
        lambda g: so.Weights(ring(), ids=3),
        WeightsError,
        "ids must be a list of labels, texts or numbers, one per unit, not 3",
    ),
    ("ids set", lambda g: so.Weights(ring(), ids=set(IDS)), WeightsError, "the labels are a set"),
    ("ids few", lambda g: so.Weights(ring(), ids=IDS[:3]), WeightsError, "3 ids for 7 units"),
    (
        "ids missing",
        lambda g: so.Weights(ring(), ids=[None, *IDS[1:]]),
        WeightsError,
        "1 ids are missing, the first at position 0",
    ),
    (
        "ids copies",
        lambda g: so.Weights(ring(), ids=["u1", *IDS[1:]]),
        WeightsError,
        "ids occur more than once: 'u1'",
    ),
    (
        "ids levels",
        lambda g: so.Weights(ring(), ids=pd.MultiIndex.from_product([IDS, [1]])),
        WeightsError,
        "ids have the levels",
    ),
    (
        "no cycle",
        lambda g: so.Weights([[0, 1], [0, 0]], islands="allow").spectral_standardize(),
        WeightsError,
        "W has no cycle of links",
    ),
    ("lag shape", lambda g: g.W @ np.zeros(3), WeightsError, r"x has shape \(3,\)"),
    (
        "lag copies",
        lambda g: g.W @ g.frame.set_index("unit")["y"],
        WeightsError,
        "the data repeat the units 'u0'",
    ),
    (
        "lag levels",
        lambda g: g.W @ g.frame.set_index(["unit", "year"])["y"],
        WeightsError,
        "the data have an index of the levels",
    ),
    ("subset of one", lambda g: g.W["u0"], WeightsError, r"W\['u0'\]: give a list of labels"),
    ("subset mask", lambda g: g.W[np.ones(N, bool)], WeightsError, r"W\[mask\]: give labels"),
    ("subset unknown", lambda g: g.W[["u0", "v"]], WeightsError, "not among the ids of W: 'v'"),
    (
        "k",
        lambda g: so.Weights.knn(PLACES, 3),
        WeightsError,
        "k=3: give a whole number of neighbours from 1 to 2",
    ),
    (
        "metric",
        lambda g: so.Weights.knn(PLACES, 1, metric="miles"),
        WeightsError,
        "metric='miles': choose one of euclidean, haversine",
    ),
    (
        "coordinates",
        lambda g: so.Weights.knn([1, 2], 1),
        WeightsError,
        r"the coordinates have shape \(2,\)",
    ),
    (
        "coordinates missing",
        lambda g: so.Weights.knn([[0, np.nan], [1, 2]], 1),
        WeightsError,
        "coordinates that are missing or infinite: 0",
    ),
    (
        "ids of a frame",
        lambda g: so.Weights.knn(POLAR, 1, ids=[1, 2, 3]),
        WeightsError,
        "a DataFrame carries its ids",
    ),
    (
        "latitude first",
        lambda g: so.Weights.knn(POLAR, 1, metric="haversine"),
        WeightsError,
        "the longitude is wanted first",
    ),
    (
        "off the globe",
        lambda g: so.Weights.knn([[400, 1.0], [1, 1]], 1, metric="haversine"),
        WeightsError,
        r"longitude outside \[-180, 360\]: 0 = 400",
    ),
    (
        "threshold",
        lambda g: so.Weights.distance_band(PLACES, "2"),
        WeightsError,
        "threshold='2': give a positive number",
    ),
    (
        "round the earth",
        lambda g: so.Weights.distance_band(PLACES, 1e6, metric="haversine"),
        WeightsError,
        "half way round the earth",
    ),
    (
        "one place",
        lambda g: so.Weights.inverse_distance([[0, 0], [0, 0], [1, 0]]),
        WeightsError,
        "units stand in the same place.*: 0, 1",
    ),
    (
        "power",
        lambda g: so.Weights.inverse_distance(PLACES, power=2000),
        WeightsError,
        "power=2000 of distances .* leaves the range",
    ),
    (
        "values list",
        lambda g: so.Weights.economic([1, 2]),
        WeightsError,
        "values are a list: give a Series",
    ),
    (
        "values empty",
        lambda g: so.Weights.economic(pd.Series(dtype=float)),
        WeightsError,
        "values are empty",
    ),
    (
        "values missing",
        lambda g: so.Weights.economic(VALUES.where(VALUES > 1)),
        WeightsError,
        "values that are missing or infinite: 'a'",
    ),
    (
        "values negative",
        lambda g: so.Weights.economic_geography(so.Weights(1 - np.eye(3), list("abc")), -VALUES),
        WeightsError,
        "values of 0 or less: 'a' = -1",
    ),
    (
        "geography",
        lambda g: so.Weights.economic_geography(ring(), VALUES),
        WeightsError,
        "geography is an ndarray: make it one with",
    ),
    (
        "share",
        lambda g: so.Weights.nested(g.W, g.W, share=2),
        WeightsError,
        "share=2: give the share",
    ),
    (
        "others",
        lambda g: so.Weights.nested(g.W, so.Weights(ring())),
        WeightsError,
        "a and b have other units",
    ),
    (
        "edges list",
        lambda g: so.Weights.from_edges([(1, 2)], "a", "b"),
        WeightsError,
        "^the edges are a list",
    ),
    (
        "edges label",
        lambda g: so.Weights.from_edges(g.frame, ["unit"], "year"),
        WeightsError,
        r"^origin=\['unit'\]: give the name of one column",
    ),
    ("rook", lambda g: so.Weights.contiguity(g.frame, rook=3), WeightsError, "rook=3: say True"),
    (
        "polygons",
        lambda g: so.Weights.contiguity(g.frame),
        WeightsError,
        "a DataFrame has no polygons",
    ),
    (
        "cancel",
        lambda g: so.Weights(_cancelling()),
        WeightsError,
        "negative weights at places .* stored more than once",
    ),
    # log-determinants
    ("ld W", lambda g: so.LogDet.build(ring()), SpecificationError, "^W is an ndarray: make it"),
    (
        "ld method",
        lambda g: so.LogDet.build(g.W, method="exact"),
        SpecificationError,
        "no method 'exact'; choose one of 'auto'",
    ),
    (
        "ld interval",
        lambda g: so.LogDet.build(g.W, interval=(0.5, -0.5)),
        SpecificationError,
        r"^interval=\(0.5, -0.5\): give two values of rho",
    ),
    (
        "ld tol",
        lambda g: so.LogDet.build(g.W, tol=-1),
        SpecificationError,
        "^tol=-1: give a number between 0 and 1",
    ),
    (
        "ld outside",
        lambda g: so.LogDet.build(g.W)(1.5),
        WeightsError,
        "rho=1.5 is not inside the admissible interval",
    ),
    ("ld text", lambda g: so.LogDet.build(g.W)("a"), WeightsError, "^rho must be real numbers"),
]
