"""The part of W that determines log|I - rho W|, in a form that suffers little from rounding.

Factorisations and random probes work on it.
"""

from typing import NamedTuple

import numpy as np
import scipy.sparse as sparse

from spillover.kernels import factor, ordering, perron, spectrum

ROUNDING = 1e-12  # row sums that differ by less, relative, are equal
ROWS = 65_536  # rows of W^2 computed at a time
FACTORED = 1_000_000  # units beyond which products alone have to find the Perron root


class Structure(NamedTuple):
    """What log-determinants by factorisations or by probes use of W.

    Attributes
    ----------
    work : scipy.sparse.csr_array, shape (N, N)
        A matrix with the same det(I - rho W) for every rho: W without the links that lie on no
        cycle; symmetrised where ``symmetric``; else scaled so that its norm is its spectral radius,
        unless equal row sums give the radius already.
    symmetric : bool
        Whether W, without those links, is similar to a symmetric matrix.
    even : bool
        Whether W is similar to -W, so that the log-determinant is an even function of rho.
    radius : tuple of float
        Bounds on the spectral radius; (0, inf) where `admissible.find_admissible` has to find it.
    traces : numpy.ndarray, shape (4,)
        tr W, tr W^2, tr W^3, tr W^4.
    spread : tuple of float
        tr A'A and a bound on the largest singular value of A: where ``symmetric``, A is `work`;
        else W without the links that lie on no cycle, not scaled.
    """

    work: sparse.csr_array
    symmetric: bool
    even: bool
    radius: tuple[float, float]
    traces: np.ndarray
    spread: tuple[float, float]

    def pencil(self) -> factor.Pencil:
        """I - rho W made ready for many rho.

        No pivoting is needed for |rho| < 1/radius: there the symmetric part of I - rho W is
        positive definite, because the norm of `work` is its radius, or its diagonal dominates.
        """
        prepared = factor.pencil(self.work, definite=self.symmetric)
        return (
            prepared._replace(reach=max(prepared.reach, 1 / self.radius[1]))
            if self.radius[1] > 0
            else prepared
        )


def canonicalize(matrix: sparse.csr_array) -> sparse.csr_array:
    """A copy of W in double precision with neither duplicates nor stored zeros."""
    matrix = sparse.csr_array(matrix, dtype=float, copy=True)
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def examine(matrix: sparse.csr_array) -> Structure:
    """Find the structure of W.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (N, N)
        W, non-negative, as `canonicalize` makes it.

    Returns
    -------
    Structure
        The matrix to work with, and its properties.
    """
    work, symmetric, radius = matrix, spectrum.symmetrizer(matrix) is not None, _row_sum(matrix)
    if not symmetric:
        work = ordering.cyclic_part(matrix)
        if work.nnz < matrix.nnz:
            symmetric, radius = spectrum.symmetrizer(work) is not None, min(radius, _row_sum(work))
    bounds = (radius, radius) if np.isfinite(radius) else (0.0, np.inf)
    spread = _spread(work)
    if symmetric:
        work = spectrum.symmetrize(work)
        spread = _spread(work)
    elif work.nnz and not np.isfinite(radius):
        work, low, high = perron.balance(work, factor=work.shape[0] <= FACTORED)
        bounds = (low, high)
    traces = low_traces(work, symmetric)
    even = bool(traces[0] == traces[2] == 0 and ordering.has_two_colours(work))
    return Structure(
        work=work, symmetric=symmetric, even=even, radius=bounds, traces=traces, spread=spread
    )


def low_traces(work: sparse.csr_array, symmetric: bool) -> np.ndarray:
    """tr W, ..., tr W^4, (4,), from blocks of rows of W^2, which is never stored whole."""
    transpose = work if symmetric else work.T.tocsr()
    traces = np.array([work.diagonal().sum(), work.multiply(transpose).sum(), 0.0, 0.0])
    for start in range(0, work.shape[0], ROWS):
        rows, columns = work[start : start + ROWS], transpose[start : start + ROWS]
        square = rows @ work
        traces[2] += square.multiply(columns).sum()
        traces[3] += (
            square.data @ square.data if symmetric else square.multiply(columns @ transpose).sum()
        )
    return traces


def _spread(work: sparse.csr_array) -> tuple[float, float]:
    """tr W'W, and a bound on the largest singular value from the row and column sums."""
    norm = float(np.sqrt(work.sum(axis=0).max(initial=0.0) * work.sum(axis=1).max(initial=0.0)))
    # a plain sum: the threads of BLAS would cost more than they save
    return float((work.data**2).sum()), norm


def _row_sum(matrix: sparse.csr_array) -> float:
    """The sum that all rows with links share, which is then the spectral radius.

    Infinite where the sums differ.
    """
    sums = matrix.sum(axis=1)
    linked = sums[(sums > 0) | (np.bincount(matrix.indices, minlength=len(sums)) > 0)]
    if not len(linked) or np.ptp(linked) > ROUNDING * linked.max():
        return np.inf
    return 1.0 if abs(linked.max() - 1) < ROUNDING else float(linked.max())
