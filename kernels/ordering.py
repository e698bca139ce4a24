"""What the graph of W tells before any arithmetic: its cycles, whether two colours do for it, and
an order of elimination.
"""

import numpy as np
import pymetis
import scipy.sparse as sparse
import scipy.sparse.csgraph as csgraph


def cyclic_part(matrix: sparse.csr_array) -> sparse.csr_array:
    """W without the links that lie on no cycle, those between different strongly connected
    components.

    det(I - rho W) is a product over these components, so it does not change; an acyclic W loses all
    its links, and a Jordan block that couples two components goes.
    """
    count, label = csgraph.connected_components(matrix, directed=True, connection="strong")
    if count == 1:
        return matrix
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    inside = label[rows] == label[matrix.indices]
    return sparse.csr_array(
        (matrix.data[inside], (rows[inside], matrix.indices[inside])), shape=matrix.shape
    )


def has_two_colours(matrix: sparse.csr_array) -> bool:
    """Whether the units fall into two colours so that links join different colours only: then W is
    similar to -W.

    The double cover, unit i in two copies with links between copies of different kind alone, has
    two components for every component of such a graph, and one for any other.
    """
    links = _undirected(matrix)
    double = sparse.block_array([[None, links], [links, None]], format="csr")
    parts, copies = (
        csgraph.connected_components(graph, directed=False, return_labels=False)
        for graph in (links, double)
    )
    return bool(copies == 2 * parts)


def elimination_order(matrix: sparse.csr_array) -> np.ndarray:
    """The units in an order of elimination with little fill, for W and W' alike: METIS nested
    dissection of the graph of W + W'.

    Strongly connected components stay apart, each before those it has links to: I - rho W is block
    upper triangular then, and no pivot comes from another block, whose rounding would split the
    poles of a W with a Jordan block. Karypis & Kumar (1998).
    """
    order = _dissection(matrix)
    count, label = csgraph.connected_components(matrix, directed=True, connection="strong")
    # SciPy numbers a component after those it has links to
    return order if count == 1 else order[np.argsort(-label[order], kind="stable")]


def _dissection(matrix: sparse.csr_array) -> np.ndarray:
    """Nested dissection, units without links first."""
    links = _undirected(matrix)
    degree = np.diff(links.indptr)
    linked = np.flatnonzero(degree)
    if not len(linked):  # METIS does not take an empty graph
        return np.arange(matrix.shape[0])
    new = np.cumsum(degree > 0) - 1
    starts = np.concatenate([[0], np.cumsum(degree[linked])]).astype(np.int32)
    order, _ = pymetis.nested_dissection(
        pymetis.CSRAdjacency(starts, new[links.indices].astype(np.int32))
    )
    return np.concatenate([np.flatnonzero(degree == 0), linked[np.asarray(order)]])


def _undirected(matrix: sparse.csr_array) -> sparse.csr_array:
    """The pattern of W + W', without the diagonal."""
    pattern = sparse.csr_array(
        (np.ones(matrix.nnz, np.int8), matrix.indices, matrix.indptr), shape=matrix.shape
    )
    links = (pattern + pattern.T).tocsr()
    if links.diagonal().any():
        links.setdiag(0)
        links.eliminate_zeros()
    return links
