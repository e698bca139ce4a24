"""Eigenvalues of a spatial weights matrix and the interval they leave to rho."""

from collections.abc import Iterator

import numpy as np
import scipy.linalg
import scipy.sparse as sparse
import scipy.sparse.csgraph as csgraph

from spillover.kernels import perron
from spillover.kernels.errors import WeightsError

DENSE_LIMIT = 5_000  # a dense eigenvalue problem above this takes minutes and gigabytes
NEARLY = (
    0.02  # and below this one it may be: a real root of multiplicity m splits by about eps^(1/m)
)
BACKWARD = 10.0  # times eps: the relative error that the routine makes of the matrix
# an imaginary part below this share of the radius is rounding: a double real root splits by about
# sqrt(eps)
REAL = 1e-7


def symmetrizer(matrix: sparse.csr_array) -> np.ndarray | None:
    """Positive d with d_i w_ij = d_j w_ji for all i, j, or None where there is none.

    With it D^(1/2) W D^(-1/2) is symmetric: its entries are sqrt(w_ij w_ji). The ratios w_ij / w_ji
    are carried along a spanning forest and then checked on every link.
    """
    links = matrix.tocoo()
    rows, columns, forward = links.row, links.col, links.data
    if not len(forward):
        return np.ones(matrix.shape[0])
    backward = np.asarray(matrix[columns, rows]).ravel()
    if (backward == 0).any():
        return None
    ratio = sparse.csr_array((np.log(forward / backward), (rows, columns)), shape=matrix.shape)
    log_d = _potential(matrix, ratio)
    if not np.allclose(log_d[columns] - log_d[rows], np.log(forward / backward), rtol=0, atol=1e-9):
        return None
    return np.exp(log_d)


def _potential(matrix: sparse.csr_array, ratio: sparse.csr_array) -> np.ndarray:
    """The function on the nodes that is 0 at one root a component and grows by `ratio` along a
    spanning forest.
    """
    n = matrix.shape[0]
    _, label = csgraph.connected_components(matrix, directed=False)
    roots = np.unique(label, return_index=True)[1]
    trunk = sparse.csr_array(
        (np.ones(len(roots)), (np.zeros(len(roots), int), roots)), shape=(1, n)
    )
    forest = sparse.block_array([[matrix, None], [trunk, sparse.csr_array((1, 1))]], format="csr")
    _, parent = csgraph.breadth_first_order(forest, n, directed=True)
    parent = np.where(parent[:n] == n, np.arange(n), parent[:n])
    value = np.asarray(ratio[parent, np.arange(n)]).ravel()
    # pointer jumping: each pass doubles the stretch of path added up
    while (parent != parent[parent]).any():
        value, parent = value + value[parent], parent[parent]
    return value


def symmetrize(matrix: sparse.csr_array) -> sparse.csr_array:
    """sqrt(W * W'), the symmetric matrix similar to a W that has a `symmetrizer`."""
    product = matrix.multiply(matrix.T.tocsr()).tocsr()
    return sparse.csr_array(
        (np.sqrt(product.data), product.indices, product.indptr), shape=matrix.shape
    )


def eigenvalues(matrix: sparse.csr_array) -> np.ndarray:
    """All eigenvalues of W, real where W is similar to a symmetric matrix, else complex.

    Block by strongly connected block, which is exact for islands and for acyclic W, where a plain
    routine returns rounding noise of the size eps^(1/n); and of blocks balanced first, which takes
    most of the harm out of a W that leads one way.
    """
    symmetric = symmetrizer(matrix) is not None
    values = np.zeros(matrix.shape[0], dtype=float if symmetric else complex)
    solve = scipy.linalg.eigvalsh if symmetric else scipy.linalg.eigvals
    for members, block in blocks(matrix, symmetric):
        values[members] = solve(block, check_finite=False)
    return values


def blocks(matrix: sparse.csr_array, symmetric: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The units and the dense matrix of each strongly connected component of several units,
    symmetrised or scaled.
    """
    work = symmetrize(matrix) if symmetric else matrix
    count, label = csgraph.connected_components(work, directed=True, connection="strong")
    order = np.argsort(label, kind="stable")
    sizes = np.bincount(label, minlength=count)
    largest = int(np.max(sizes))
    if largest > DENSE_LIMIT:
        raise WeightsError(
            f"{len(order)} units form a connected block of {largest}: dense eigenvalues stop at"
            f" {DENSE_LIMIT}."
        )
    stops = np.cumsum(sizes)
    for block in np.flatnonzero(sizes > 1):  # a block of one unit is that unit's zero diagonal
        members = order[stops[block] - sizes[block] : stops[block]]
        part = work[members][:, members]
        yield members, (part if symmetric else perron.balance(part).matrix).toarray()


def admissible_interval(values: np.ndarray) -> tuple[float, float]:
    """(1/omega_min, 1/omega_max) of the extreme real eigenvalues; where a sign is missing, the
    spectral radius takes its place.

    Raises WeightsError for an acyclic W (spectral radius 0), whose det(I - rho W) is 1 everywhere.
    LeSage & Pace (2009), 4.3.2.
    """
    radius = float(np.abs(values).max(initial=0.0))
    if radius == 0.0:
        raise WeightsError(
            "W has no cycle of links, so every rho is admissible: give the bounds yourself, e.g."
            " bounds=(-1, 1)."
        )
    real = values.real[np.abs(values.imag) <= REAL * radius]
    lowest, highest = (
        _mean_of_cluster(real, end) for end in (real.min(initial=0.0), real.max(initial=0.0))
    )
    lower = 1 / lowest if lowest < -REAL * radius else -1 / radius
    upper = 1 / highest if highest > REAL * radius else 1 / radius
    return _tidy(float(lower)), _tidy(float(upper))


def cautious_interval(
    matrix: sparse.csr_array, values: np.ndarray
) -> tuple[tuple[float, float], bool]:
    """The admissible interval by all eigenvalues of W, and whether its lower end is cautious.

    A complex pair further left than any real eigenvalue, as near to the axis as rounding moves an
    eigenvalue of its condition, may be a multiple real one: the interval ends there.
    """
    lower, upper = admissible_interval(values)
    radius = float(np.abs(values).max())
    apart = np.abs(values.imag) / radius
    lowest_real = values.real[apart <= REAL].min(initial=0.0)
    if not ((apart > REAL) & (apart <= NEARLY) & (values.real < lowest_real)).any():
        return (lower, upper), False
    lowest = min((_lowest_in_doubt(block) for _, block in blocks(matrix, False)), default=0.0)
    return (
        ((1 / lowest, upper), True)
        if lowest < 0 and (1 / lowest > lower)
        else ((lower, upper), False)
    )


def _lowest_in_doubt(block: np.ndarray) -> float:
    """The least real part, or 0, of the complex eigenvalues that rounding may have moved off the
    axis; Wilkinson (1965), 2.8.
    """
    values, left, right = scipy.linalg.eig(block, left=True, right=True)
    overlap = np.abs(np.sum(left.conj() * right, axis=0))
    moved = (
        BACKWARD
        * np.finfo(float).eps
        * np.linalg.norm(block)
        / np.maximum(overlap, np.finfo(float).tiny)
    )
    doubtful = (values.imag != 0) & (np.abs(values.imag) <= moved)
    return float(values.real[doubtful].min(initial=0.0))


def _mean_of_cluster(values: np.ndarray, end: float) -> float:
    """The extreme value, averaged over those that only rounding tells apart from it."""
    return float(values[np.abs(values - end) <= 1e-13 * abs(end)].mean()) if end else 0.0


def _tidy(bound: float) -> float:
    """A bound of 1 or -1 without the rounding of the eigenvalue routine: the Perron root of a
    row-standardised W is 1.
    """
    return float(np.sign(bound)) if abs(abs(bound) - 1) < 1e-12 else bound


def interval(matrix: sparse.csr_array) -> tuple[float, float]:
    """The admissible interval of rho by all eigenvalues of W."""
    return cautious_interval(matrix, eigenvalues(matrix))[0]
