"""Eigenvalues of a spatial weights matrix, and the interval of rho that they admit.

docs/mathematics.md 1.3 says what the interval is, docs/numerics.md 3.1 how well it is known.
"""

from collections.abc import Iterator

import numpy as np
import scipy.linalg
import scipy.sparse as sparse
import scipy.sparse.csgraph as csgraph

from spillover.kernels import perron
from spillover.kernels.errors import WeightsError

DENSE_LIMIT = 5_000  # a dense eigenvalue problem above this takes minutes and gigabytes
# an imaginary part below this share of the radius is rounding: a double real eigenvalue splits by
# about sqrt(eps)
REAL = 1e-7
# and below this share it may be rounding: an eigenvalue of multiplicity m splits by about eps^(1/m)
NEARLY = 0.02
BACKWARD = 10.0  # times eps: the relative backward error assumed of the eigenvalue routine


def symmetrizer(matrix: sparse.csr_array) -> np.ndarray | None:
    """Find d that makes W similar to a symmetric matrix: d_i w_ij = d_j w_ji for all i, j.

    With D = diag(d), D^(1/2) W D^(-1/2) is symmetric with entries sqrt(w_ij w_ji). The ratios
    w_ij / w_ji are carried along a spanning forest and then checked on every link.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (N, N)
        W, non-negative.

    Returns
    -------
    numpy.ndarray or None, shape (N,)
        Positive d; None where there is none.

    Examples
    --------
    >>> symmetrizer(sparse.csr_array([[0.0, 1.0], [0.5, 0.0]])).tolist()
    [1.0, 2.0]
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
    d: np.ndarray = np.exp(log_d)
    return d


def _potential(matrix: sparse.csr_array, ratio: sparse.csr_array) -> np.ndarray:
    """The potential of the units, (N,), that grows by `ratio` along the links of a spanning forest.

    It is 0 at one unit of each component.
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
    # pointer jumping: each pass doubles the length of the path that is added up
    while (parent != parent[parent]).any():
        value, parent = value + value[parent], parent[parent]
    return value


def symmetrize(matrix: sparse.csr_array) -> sparse.csr_array:
    """The symmetric matrix similar to a W that has a `symmetrizer`: entries sqrt(w_ij w_ji)."""
    product = matrix.multiply(matrix.T.tocsr()).tocsr()
    return sparse.csr_array(
        (np.sqrt(product.data), product.indices, product.indptr), shape=matrix.shape
    )


def eigenvalues(matrix: sparse.csr_array) -> np.ndarray:
    """All eigenvalues of W, real where W is similar to a symmetric matrix, else complex.

    They are computed for one strongly connected component at a time. This is exact for islands and
    for an acyclic W, for which a routine applied to the whole of W returns noise of the size
    eps^(1/N). Components are balanced first (`perron`), which removes most of the rounding that
    one-way links cause.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (N, N)
        W, non-negative.

    Returns
    -------
    numpy.ndarray, shape (N,)
        The eigenvalues, by block.

    Raises
    ------
    WeightsError
        Where a block has more than DENSE_LIMIT units.

    Examples
    --------
    >>> sorted(eigenvalues(sparse.csr_array([[0.0, 1.0], [0.25, 0.0]])).tolist())
    [-0.5, 0.5]
    """
    symmetric = symmetrizer(matrix) is not None
    values = np.zeros(matrix.shape[0], dtype=float if symmetric else complex)
    solve = scipy.linalg.eigvalsh if symmetric else scipy.linalg.eigvals
    for members, block in blocks(matrix, symmetric):
        values[members] = solve(block, check_finite=False)
    return values


def blocks(matrix: sparse.csr_array, symmetric: bool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Dense blocks of W, one for each strongly connected component of several units.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (N, N)
        W, non-negative.
    symmetric : bool
        Whether to symmetrise the blocks (`symmetrize`); otherwise they are balanced
        (`perron.balance`).

    Yields
    ------
    members : numpy.ndarray of int
        The units of the component.
    block : numpy.ndarray, shape (members, members)
        A matrix similar to their part of W.

    Raises
    ------
    WeightsError
        Where a component has more than DENSE_LIMIT units.
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
    """The interval of rho around 0 in which I - rho W is not singular.

        (1/omega_min, 1/omega_max),      omega the extreme real eigenvalues

    Parameters
    ----------
    values : numpy.ndarray, shape (N,)
        All eigenvalues of W.

    Returns
    -------
    tuple of float
        The bounds. Where there is no real eigenvalue of one sign, the spectral radius takes its
        place.

    Raises
    ------
    WeightsError
        For an acyclic W (spectral radius 0), whose det(I - rho W) is 1 everywhere.

    References
    ----------
    LeSage & Pace (2009), 4.3.2.

    Examples
    --------
    >>> admissible_interval(np.array([-0.5, 0.1, 1.0]))
    (-2.0, 1.0)
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
    """The admissible interval from all eigenvalues of W, and whether its lower end is cautious.

    A complex pair may be a multiple real eigenvalue that rounding has split: its distance from the
    real axis is no more than rounding moves an eigenvalue of its condition. Where such a pair lies
    further left than any real eigenvalue, the interval ends at it, and this end is cautious.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (N, N)
        W, non-negative.
    values : numpy.ndarray, shape (N,)
        All eigenvalues of W.

    Returns
    -------
    bounds : tuple of float
        The interval.
    cautious : bool
        Whether rho below the lower end may be admissible too.
    """
    lower, upper = admissible_interval(values)
    radius = float(np.abs(values).max())
    apart = np.abs(values.imag) / radius
    lowest_real = values.real[apart <= REAL].min(initial=0.0)
    if not ((apart > REAL) & (apart <= NEARLY) & (values.real < lowest_real)).any():
        return (lower, upper), False
    lowest = min((_lowest_in_doubt(block) for _, block in blocks(matrix, False)), default=0.0)
    if lowest < 0 and 1 / lowest > lower:
        return (1 / lowest, upper), True
    return (lower, upper), False


def _lowest_in_doubt(block: np.ndarray) -> float:
    """The least real part of complex eigenvalues that rounding may have moved off the real axis.

    Their condition numbers decide; 0 without such eigenvalues. Wilkinson (1965), 2.8.
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
    """The extreme value `end`, averaged over those that differ from it by rounding only."""
    return float(values[np.abs(values - end) <= 1e-13 * abs(end)].mean()) if end else 0.0


def _tidy(bound: float) -> float:
    """A bound, with 1 and -1 freed from the rounding of the eigenvalue routine.

    The Perron root of a row-standardised W is 1 exactly.
    """
    return float(np.sign(bound)) if abs(abs(bound) - 1) < 1e-12 else bound


def interval(matrix: sparse.csr_array) -> tuple[float, float]:
    """The admissible interval of rho from all eigenvalues of W."""
    bounds, _ = cautious_interval(matrix, eigenvalues(matrix))
    return bounds
