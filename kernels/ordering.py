"""What the graph of W alone determines: its cycles, whether it is bipartite, and an order of
elimination.
"""

import numpy as np
import pymetis
import scipy.sparse as sparse
import scipy.sparse.csgraph as csgraph


def cyclic_part(matrix: sparse.csr_array) -> sparse.csr_array:
    """W without the links that lie on no cycle: those between strongly connected components.

    det(I - rho W) is the product over these components, so it does not change. An acyclic W loses
    all its links, and a Jordan block that couples two components disappears.

    Examples
    --------
    >>> cyclic_part(sparse.csr_array([[0, 1, 1], [1, 0, 0], [0, 0, 0]])).toarray().tolist()
    [[0, 1, 0], [1, 0, 0], [0, 0, 0]]
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
    """Whether the units can have two colours such that every link joins different colours.

    Then W is similar to -W. The test uses the double cover of the graph, which has two copies of
    every unit, and links from first to second copies only. A component of the graph that can have
    two colours becomes two components of the cover; any other becomes one.

    Examples
    --------
    >>> path = sparse.csr_array([[0, 1, 0], [1, 0, 1], [0, 1, 0]])
    >>> has_two_colours(path), has_two_colours(sparse.csr_array(np.ones((3, 3))))
    (True, False)
    """
    links = _both_directions(matrix)
    double = sparse.block_array([[None, links], [links, None]], format="csr")
    parts, copies = (
        csgraph.connected_components(graph, directed=False, return_labels=False)
        for graph in (links, double)
    )
    return bool(copies == 2 * parts)


def elimination_order(matrix: sparse.csr_array) -> np.ndarray:
    """An order of elimination that keeps triangular factors of I - rho W sparse.

    METIS finds it by nested dissection of the graph of W + W'. Strongly connected components stay
    together, each before the ones it has links to. Then I - rho W is block upper triangular, and
    no pivot comes from another block, whose rounding would split the poles of a W with a Jordan
    block.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (N, N)
        W; the order serves W' as well.

    Returns
    -------
    numpy.ndarray of int, shape (N,)
        Positions of the units.

    References
    ----------
    Karypis & Kumar (1998).
    """
    order = _dissection(matrix)
    count, label = csgraph.connected_components(matrix, directed=True, connection="strong")
    # SciPy numbers a component after those it has links to
    return order if count == 1 else order[np.argsort(-label[order], kind="stable")]


def _dissection(matrix: sparse.csr_array) -> np.ndarray:
    """Nested dissection of the graph of W + W', units without links first."""
    links = _both_directions(matrix)
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


def _both_directions(matrix: sparse.csr_array) -> sparse.csr_array:
    """The pattern of W + W', without the diagonal."""
    pattern = sparse.csr_array(
        (np.ones(matrix.nnz, np.int8), matrix.indices, matrix.indptr), shape=matrix.shape
    )
    links = (pattern + pattern.T).tocsr()
    if links.diagonal().any():
        links.setdiag(0)
        links.eliminate_zeros()
    return links
