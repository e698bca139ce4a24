"""Weights from libpysal's objects and back: the same values, units and order."""

import numpy as np
import pytest

from spillover.engine.weights.weights import Weights
from spillover.kernels.errors import WeightsError

LABELS = ["oslo", "bergen", "åre", "x4", "x5", "x6", "x7"]
RNG = np.random.default_rng(3)
DENSE = RNG.uniform(0.1, 5.0, (7, 7)) * (RNG.uniform(size=(7, 7)) < 0.4)
DENSE[np.arange(7), (np.arange(7) + 1) % 7] = 1.5  # asymmetric, every unit with a neighbour
np.fill_diagonal(DENSE, 0.0)


@pytest.mark.parametrize("ids", [LABELS, list(range(7, 0, -1))])
@pytest.mark.parametrize("path", ["W", "graph"])
@pytest.mark.parametrize("island", [False, True])
def test_through_libpysal_and_back(ids, path, island):
    graph = pytest.importorskip("libpysal.graph")
    dense = DENSE.copy()
    if island:
        dense[1] = 0.0
    W = Weights(dense, ids, islands="allow")
    out = W.to_libpysal()
    np.testing.assert_array_equal(out.sparse.toarray(), dense)
    back = Weights.from_libpysal(out if path == "W" else graph.Graph.from_W(out), islands="allow")
    assert back == W
    assert back.islands == [ids[1]] * island


@pytest.mark.filterwarnings("ignore:The weights matrix is not fully connected:UserWarning")
def test_from_libpysal_takes_the_values_as_they_stand():
    weights = pytest.importorskip("libpysal.weights")
    theirs = weights.W(
        {"b": ["a"], "a": ["b", "c"], "c": ["a"]},
        {"b": [2.0], "a": [1.0, 3.0], "c": [5.0]},
        id_order=["b", "c", "a"],
    )
    ours = Weights.from_libpysal(theirs)
    assert ours.ids.tolist() == ["b", "c", "a"]
    np.testing.assert_array_equal(ours.to_scipy().toarray(), [[0, 0, 2], [0, 0, 5], [1, 3, 0]])
    theirs.transform = "r"
    assert Weights.from_libpysal(theirs).is_row_standardized
    with pytest.raises(WeightsError, match=r"'lone'.*islands"):
        Weights.from_libpysal(weights.W({"lone": [], "a": ["b"], "b": ["a"]}))
    with pytest.raises(WeightsError, match="'a' → 'b'"):
        Weights.from_libpysal(weights.W({"a": ["b", "b"], "b": ["a"]}))


def test_from_libpysal_keeps_the_order_of_a_graph():
    graph = pytest.importorskip("libpysal.graph")
    theirs = graph.Graph.from_arrays(
        ["b", "b", "a", "c"], ["a", "c", "b", "c"], [1.0, 2.0, 3.0, 0.0]
    )
    ours = Weights.from_libpysal(theirs, islands="allow")
    assert (ours.ids.tolist(), ours.islands) == (["b", "a", "c"], ["c"])
    np.testing.assert_array_equal(ours.to_scipy().toarray(), [[0, 1, 2], [3, 0, 0], [0, 0, 0]])


def test_from_libpysal_refuses_anything_else():
    with pytest.raises(WeightsError, match="ndarray is neither"):
        Weights.from_libpysal(DENSE)
