"""The order of elimination, the cycles and the colours of the graph of W."""

import numpy as np
import pytest
import scipy.sparse as sparse
import scipy.sparse.csgraph as csgraph
from oracles import dense
from oracles.hostile import knn, ring, rook, row_standardise

from spillover.kernels import factor, ordering

HOSTILE = {name: W for name, (W, _) in dense.hostile().items()}


def grid_of(n):
    return sparse.csr_array(rook(n, n))


SHAPES = {
    "one unit": sparse.csr_array((1, 1)),
    "no links": sparse.csr_array((5, 5)),
    "one link": sparse.csr_array(([1.0], ([2], [0])), shape=(4, 4)),
    "grid": grid_of(9),
    "islands": sparse.block_diag(
        [sparse.csr_array((3, 3)), grid_of(5), sparse.csr_array((2, 2))], format="csr"
    ),
    "asymmetric": sparse.csr_array(knn(70, 4)),
    "complete": sparse.csr_array(np.ones((30, 30)) - np.eye(30)),
    "with a diagonal": sparse.csr_array(knn(70, 4) + np.eye(70)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_order_is_a_permutation(name):
    W = SHAPES[name]
    np.testing.assert_array_equal(np.sort(ordering.elimination_order(W)), np.arange(W.shape[0]))


@pytest.mark.parametrize("W", [grid_of(60), sparse.csr_array(knn(1500, 6))], ids=["grid", "knn"])
def test_the_order_saves_fill(W):
    W = sparse.csr_array(row_standardise(W.toarray()))
    fill = [factor.factorise(W, 0.9, order=order).lu.nnz for order in (None, np.arange(W.shape[0]))]
    assert fill[0] < 0.6 * fill[1]


@pytest.mark.parametrize(
    ("name", "kept"),
    [("acyclic", 0), ("defective", 2 * 62), ("directed_ring", 25), ("contiguity", None)],
)
def test_which_links_lie_on_no_cycle(name, kept):
    W = sparse.csr_array(HOSTILE[name])
    assert ordering.cyclic_part(W).nnz == (W.nnz if kept is None else kept)


@pytest.mark.parametrize(
    ("W", "expected"),
    [
        (rook(5, 4), True),
        (ring(8, ((1, 1.0),)), True),
        (ring(9, ((1, 1.0),)), False),
        (np.kron(np.eye(2), rook(3, 3)), True),
        (np.kron(np.diag([1.0, 0.0]), rook(3, 3)), True),
        (
            sparse.block_diag(
                [sparse.csr_array(rook(3, 3)), sparse.csr_array(np.ones((3, 3)) - np.eye(3))]
            ).toarray(),
            False,
        ),
        (np.ones((4, 4)) - np.eye(4), False),
    ],
    ids=[
        "grid",
        "even ring",
        "odd ring",
        "two grids",
        "grid and islands",
        "grid and triangle",
        "complete",
    ],
)
def test_two_colours(W, expected):
    assert ordering.has_two_colours(sparse.csr_array(W)) is expected
    values = np.sort_complex(np.linalg.eigvals(W))
    mirrored = np.allclose(np.sort(values.real), np.sort(-values.real), atol=1e-6)
    assert mirrored is expected


def test_the_order_is_block_upper_triangular():
    """Random sparse directed graphs, most of them of many strongly connected components."""
    for seed in range(200):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(2, 30))
        graph = sparse.csr_array((rng.random((n, n)) < rng.uniform(0.02, 0.2)).astype(float))
        order = ordering.elimination_order(graph)
        assert sorted(order) == list(range(n))
        _, label = csgraph.connected_components(graph, directed=True, connection="strong")
        place = np.argsort(order)
        links = graph.tocoo()
        apart = label[links.row] != label[links.col]
        assert (place[links.row] < place[links.col])[apart].all()
