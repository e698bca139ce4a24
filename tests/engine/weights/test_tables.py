"""Weights from tables of links: they run from row to column, and every fault is named."""

import re

import numpy as np
import pandas as pd
import pytest

from spillover.engine.weights.weights import Weights
from spillover.kernels.errors import WeightsError

EDGES = pd.DataFrame({"from": [30, 10, 20, 10], "to": [10, 20, 30, 30], "w": [1.0, 2.0, 3.0, 4.0]})


@pytest.mark.parametrize("ids", [None, [10, 20, 30], [30, 10, 20], np.array([20, 30, 10])])
def test_edges_run_from_row_to_column(ids):
    W = Weights.from_edges(EDGES, "from", "to", "w", ids)
    assert W.ids.tolist() == ([10, 20, 30] if ids is None else list(ids))
    back = pd.DataFrame(W.to_scipy().toarray(), W.ids, W.ids)
    for i, j, w in EDGES.itertuples(index=False):
        assert back.loc[i, j] == w
    assert W.matrix.nnz == 4
    binary = Weights.from_edges(EDGES, "from", "to", ids=ids)
    np.testing.assert_array_equal(binary.to_scipy().toarray(), back.to_numpy() > 0)


def test_edges_of_categories_and_with_declared_islands():
    frame = pd.DataFrame(
        {"o": pd.Categorical(["b", "a", "c"]), "d": pd.Categorical(["a", "b", "c"]), "w": [1, 1, 0]}
    )
    W = Weights.from_edges(frame, "o", "d", "w", islands="allow")
    assert (W.ids.tolist(), W.islands, W.matrix.nnz) == (["a", "b", "c"], ["c"], 2)


BAD_EDGES = {
    "column": (EDGES, {"origin": "source"}, ["'source'", "'from', 'to', 'w'"]),
    "repeated": (pd.concat([EDGES, EDGES.iloc[[1]]]), {}, ["10 → 20", "sum"]),
    "not in ids": (EDGES, {"ids": [10, 20]}, ["not in ids: 30"]),
    "ids of another type": (EDGES, {"ids": ["10", "20", "30"]}, ["type string", "type integer"]),
    "missing label": (EDGES.assign(to=[10, 20, None, 30]), {}, ["'to'", "rows 2"]),
    "mixed labels": (
        EDGES.astype({"from": object}).replace({"from": {30: "x"}}),
        {},
        ["'int', 'str'"],
    ),
    "text weights": (EDGES.assign(w=list("abcd")), {}, ["'w'", "real numbers"]),
    "missing weight": (EDGES.assign(w=[1, None, 1, 1]), {}, ["10 → 20 = nan"]),
    "negative": (EDGES.assign(w=[1, -1, 1, 1]), {}, ["10 → 20 = -1"]),
    "self": (EDGES.assign(to=[10, 10, 30, 30]), {}, ["10 → 10 = 2.0"]),
    "an island among ids": (EDGES, {"ids": [10, 20, 30, 40]}, ["no neighbours: 40"]),
    "repeated ids": (EDGES, {"ids": [10, 20, 30, 30]}, ["more than once: 30"]),
}


@pytest.mark.parametrize("case", BAD_EDGES)
def test_edges_refused(case):
    frame, options, wanted = BAD_EDGES[case]
    with pytest.raises(WeightsError) as caught:
        Weights.from_edges(
            frame, **{"origin": "from", "destination": "to", "weight": "w"} | options
        )
    for text in wanted:
        assert re.search(text, str(caught.value)), f"{text!r} not in {caught.value}"
