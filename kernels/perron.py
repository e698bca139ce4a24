"""Two bounds on the Perron root of a non-negative W, and a similar matrix whose norm is the root.

For any positive x, the root of a strongly connected component lies between the least and the
greatest (W x)_i / x_i (Collatz & Wielandt). Let x and y be the right and left Perron vectors and
D = diag(x / y)^(1/2). Then D^-1 x = D y is both the right and the left Perron vector of

    B = D^-1 W D

This positive vector is an eigenvector of B'B for root^2, so that |B|_2 = root and

    |(I - rho B)^-1| <= 1 / (1 - |rho| root)

For W itself this norm may be of any size, and with it the rounding of a factorisation or of an
eigenvalue routine. B has the same eigenvalues and determinants. A symmetric W stays as it is:
docs/numerics.md 3.3; Horn & Johnson (2013), 8.1.26, 8.3; Noda (1971).
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sparse
import scipy.sparse.csgraph as csgraph
import scipy.sparse.linalg

from spillover.kernels import ordering

CLOSE = 1e-12  # relative distance of the two bounds at which the search ends
POWER = 30  # products with W before factorisations are tried
FREE = 1000  # products with W where factorisations are not allowed
STEPS = 60  # factorisations at most; about ten are needed, and the last ones double the digits
SETTLED = 1e-14  # relative progress of a step that is no more than rounding


class Balanced(NamedTuple):
    """W scaled to its spectral radius.

    Attributes
    ----------
    matrix : scipy.sparse.csr_array, shape (N, N)
        B = D^-1 W D.
    low, high : float
        Bounds on the spectral radius of W, which is one of its eigenvalues.
    """

    matrix: sparse.csr_array
    low: float
    high: float


def balance(matrix: sparse.csr_array, *, factor: bool = True) -> Balanced:
    """Scale W, by strongly connected components, so that its norm is its spectral radius.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (N, N)
        W, non-negative and without links between components (`ordering.cyclic_part`).
    factor : bool
        Whether factorisations may be used. Without them the bounds may stay apart, and the norm may
        exceed them.

    Returns
    -------
    Balanced
        The scaled matrix, and bounds on the radius.

    Examples
    --------
    >>> scaled = balance(sparse.csr_array([[0.0, 8.0], [0.5, 0.0]]))
    >>> scaled.matrix.toarray().round(9).tolist(), round(scaled.low, 9), round(scaled.high, 9)
    ([[0.0, 2.0], [2.0, 0.0]], 2.0, 2.0)
    """
    log_x, low, high = _vector(matrix, factor)
    log_y = _vector(matrix.T.tocsr(), factor)[0]
    half = 0.5 * (log_x - log_y)
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    data = matrix.data * np.exp(half[matrix.indices] - half[rows])
    return Balanced(
        sparse.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape), low, high
    )


def root(matrix: sparse.csr_array) -> tuple[float, float]:
    """Bounds on the spectral radius of a non-negative W.

    Examples
    --------
    >>> [round(bound, 9) for bound in root(sparse.csr_array([[0.0, 8.0], [0.5, 0.0]]))]
    [2.0, 2.0]
    """
    _, low, high = _vector(ordering.cyclic_part(matrix), True)
    return low, high


def _vector(matrix: sparse.csr_array, factor: bool) -> tuple[np.ndarray, float, float]:
    """The log of the Perron vector x, and bounds on the root.

    W is scaled by the x of each step, so that the x of the next stays near 1 however wide the range
    of their product.
    """
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    label = csgraph.connected_components(matrix, directed=True, connection="strong")[1]
    now, order, width, log_x = matrix, None, np.inf, np.zeros(matrix.shape[0])
    for step in range(POWER + STEPS if factor else FREE):
        sums = np.asarray(now.sum(axis=1))
        low, high = _by_component(sums, label)
        if _width(low, high) <= CLOSE:
            break
        if step < POWER or not factor:
            x = sums + 0.5 * high[label]
        else:
            progress, width = width - _width(low, high), _width(low, high)
            if progress < SETTLED:
                break
            order = ordering.elimination_order(now) if order is None else order
            x = _inverse_step(now, high[label], order)
        x = np.where(sums > 0, x, 1.0)
        x = x / _by_component(x, label)[1][label]
        if not ((x > 0) & np.isfinite(x)).all():
            break
        log_x += np.log(x)
        now = sparse.csr_array(
            (now.data * x[now.indices] / x[rows], now.indices, now.indptr), shape=now.shape
        )
    return log_x, float(low.max()), float(high.max())


def _by_component(values: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest value in each component."""
    count = label.max() + 1
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    np.minimum.at(low, label, values)
    np.maximum.at(high, label, values)
    return low, high


def _width(low: np.ndarray, high: np.ndarray) -> float:
    """The largest relative distance of the two bounds."""
    return float(((high - low) / np.where(high > 0, high, 1.0)).max())


def _inverse_step(matrix: sparse.csr_array, shift: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(diag(shift) - W)^-1 iota, for a shift that no row sum exceeds.

    The matrix is an M-matrix with a dominant diagonal, and so needs no pivoting.
    """
    shift = np.where(shift > 0, shift, 1.0) * (1 + 4 * np.finfo(float).eps)
    system = (sparse.diags_array(shift) - matrix).tocsr()[order][:, order].tocsc()
    options = {
        "permc_spec": "NATURAL",
        "diag_pivot_thresh": 0.0,
        "panel_size": 1,
        "options": {"SymmetricMode": True},
    }
    x = np.empty(len(shift))
    x[order] = scipy.sparse.linalg.splu(system, **options).solve(np.ones(len(shift)))
    return x
