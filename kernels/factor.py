"""Triangular factors of I - rho W for a sparse W.

They give log-determinants at many rho with one order of elimination, and solves at one rho.
SuperLU, in SciPy, takes any W. CHOLMOD, in cvxopt or scikit-sparse, which are optional, is faster
but takes only a W similar to a symmetric matrix: docs/numerics.md 1.
"""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sparse
import scipy.sparse.csgraph as csgraph
import scipy.sparse.linalg

from spillover.kernels import ordering
from spillover.kernels.errors import FactorMemoryError, WeightsError
from spillover.kernels.host_memory import available_memory

# entries of L + U per row from which SuperLU's panels of 20 columns pay; below, single columns are
# up to 1.5 times faster
DENSE_FILL = 200
# entries of L + U per link: 4 to 8 were measured for 6 to 100 nearest neighbours of up to 60,000
# places in the plane
TYPICAL = 8
# memory that a stored entry of L + U takes at the peak, including the copy in which SciPy hands
# over the pivots
BYTES = 32


class Pencil(NamedTuple):
    """I - rho W in its order of elimination, as one sparse pattern for every rho.

    The stored entries are -rho `weights`, plus 1 at the places `diagonal`.

    Attributes
    ----------
    weights, indices, indptr : numpy.ndarray
        W in compressed columns, rows and columns permuted, with its diagonal stored.
    diagonal : numpy.ndarray of int, shape (N,)
        Where the diagonal entries are among the weights.
    order : numpy.ndarray of int, shape (N,)
        The units in their order of elimination.
    definite : bool
        Whether the weights are those of a symmetric matrix similar to W, so that I - rho W is
        positive definite inside the admissible interval.
    reach : float
        The |rho| below which no pivoting is needed, because row or column sums make the diagonal
        dominant. Higham (2002), 9.5.
    """

    weights: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    diagonal: np.ndarray
    order: np.ndarray
    definite: bool
    reach: float

    def at(self, rho: float) -> sparse.csc_array:
        """I - rho W, its rows and columns in the order of elimination."""
        data = -rho * self.weights
        data[self.diagonal] += 1
        return self._matrix(data)

    def _matrix(self, data: np.ndarray) -> sparse.csc_array:
        n = len(self.order)
        matrix = sparse.csc_array((data, self.indices, self.indptr), shape=(n, n))
        matrix.has_canonical_format = True
        return matrix


class Determinant(NamedTuple):
    """det(I - rho W).

    Attributes
    ----------
    log : float
        log|det|.
    sign : float
        The sign; 0 where a definite matrix has a pivot that is not positive.
    stored : int
        Entries of L + U; 0 where the routine does not report them.
    """

    log: float
    sign: float
    stored: int


Evaluate = Callable[[float], Determinant]


class Factor(NamedTuple):
    """Triangular factors L U = I - rho W, in the order of elimination.

    Attributes
    ----------
    lu : scipy.sparse.linalg.SuperLU
        The factors.
    order : numpy.ndarray of int, shape (N,)
        The units in their order of elimination.
    log_determinant : float
        log|det(I - rho W)|.
    sign : float
        The sign of the determinant.
    """

    lu: Any
    order: np.ndarray
    log_determinant: float
    sign: float

    def solve(self, b: np.ndarray) -> np.ndarray:
        """(I - rho W)^-1 b, for b of shape (N,) or (N, k)."""
        return self._solve(b, "N")

    def solve_transpose(self, b: np.ndarray) -> np.ndarray:
        """(I - rho W')^-1 b, for b of shape (N,) or (N, k)."""
        return self._solve(b, "T")

    def _solve(self, b: np.ndarray, trans: str) -> np.ndarray:
        x = np.empty(np.shape(b))
        x[self.order] = self.lu.solve(np.asarray(b, float)[self.order], trans)
        return x


def pencil(
    matrix: sparse.csr_array, *, order: np.ndarray | None = None, definite: bool = False
) -> Pencil:
    """Make I - rho W ready to be factored for many rho.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (N, N)
        W.
    order : numpy.ndarray of int, shape (N,), optional
        An order of elimination to use again.
    definite : bool
        Whether `matrix` comes from `spectrum.symmetrize`.

    Returns
    -------
    Pencil
        The permuted pattern.
    """
    n = matrix.shape[0]
    order = ordering.elimination_order(matrix) if order is None else order
    place = np.empty(n, dtype=np.int32)
    place[order] = np.arange(n, dtype=np.int32)
    links = matrix.tocoo()
    rows, columns = (
        np.concatenate([place[index], np.arange(n, dtype=np.int32)])
        for index in (links.row, links.col)
    )
    permuted = sparse.csc_array(
        (np.concatenate([links.data, np.zeros(n)]), (rows, columns)), shape=(n, n)
    )
    permuted.sum_duplicates()
    diagonal = np.flatnonzero(
        permuted.indices == np.repeat(np.arange(n, dtype=np.int32), np.diff(permuted.indptr))
    )
    size = abs(matrix)
    radius = min(size.sum(axis=0).max(initial=0.0), size.sum(axis=1).max(initial=0.0))
    reach = np.inf if definite or radius == 0 else 1 / radius
    return Pencil(
        weights=permuted.data,
        indices=permuted.indices,
        indptr=permuted.indptr,
        diagonal=diagonal,
        order=order,
        definite=definite,
        reach=float(reach),
    )


def factorise(matrix: sparse.csr_array, rho: float, *, order: np.ndarray | None = None) -> Factor:
    """Factor I - rho W for repeated solves.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (N, N)
        W.
    rho : float
        The spatial parameter.
    order : numpy.ndarray of int, shape (N,), optional
        An order of elimination to use again.

    Returns
    -------
    Factor
        With methods that solve for many right-hand sides.

    Raises
    ------
    WeightsError
        Where I - rho W is singular.
    FactorMemoryError
        Where its factors do not fit into memory.

    Examples
    --------
    >>> W = sparse.csr_array([[0.0, 1.0], [0.5, 0.0]])
    >>> float(factorise(W, 0.5).solve(np.array([1.0, 0.0]))[0])
    1.1428571428571428
    """
    prepared = pencil(sparse.csr_array(matrix), order=order)
    lu, value = _superlu(prepared, float(rho))
    return Factor(lu, prepared.order, value.log, value.sign)


def routines(prepared: Pencil) -> dict[str, Callable[[Pencil], Evaluate]]:
    """The installed routines that can factor I - rho W, by name, the fastest first.

    SuperLU is always among them.
    """
    usable = {
        name: build
        for name, (module, build) in OPTIONAL.items()
        if prepared.definite and _is_installed(module)
    }
    return usable | {"SuperLU": superlu}


def _is_installed(module: str) -> bool:
    try:
        return hasattr(
            importlib.import_module(module),
            "analyze" if module == "sksparse.cholmod" else "symbolic",
        )
    except ImportError:
        return False


def superlu(prepared: Pencil) -> Evaluate:
    """log|det(I - rho W)| by SuperLU."""
    panel = 1

    def evaluate(rho: float) -> Determinant:
        nonlocal panel
        value = _superlu(prepared, rho, panel)[1]
        panel = 1 if value.stored < DENSE_FILL * len(prepared.order) else 20
        return value

    return evaluate


def _superlu(prepared: Pencil, rho: float, panel: int = 1) -> tuple[Any, Determinant]:
    """The factors and the determinant; SuperLU works on `panel` columns at a time."""
    free = prepared.definite or abs(rho) < prepared.reach
    options = {"permc_spec": "NATURAL", "panel_size": panel, "options": {"SymmetricMode": True}}
    try:
        lu = scipy.sparse.linalg.splu(
            prepared.at(rho), diag_pivot_thresh=0.0 if free else 1.0, **options
        )
    except MemoryError as error:
        raise FactorMemoryError(
            f"the factors of I - rho W for {len(prepared.order)} units do not fit into memory: thin"
            " out W."
        ) from error
    except RuntimeError as error:
        if "singular" not in str(error):  # SciPy has no exception class of its own for this
            raise
        raise WeightsError(
            f"I - rho W is singular at rho = {rho:.6g}: 1/rho is an eigenvalue of W; take a rho"
            " strictly inside the admissible interval."
        ) from error
    pivots = lu.U.diagonal()
    if prepared.definite:
        sign = float((pivots > 0).all() and (lu.perm_r == lu.perm_c).all())
    else:
        sign = (-1.0) ** np.count_nonzero(pivots < 0) * _parity(lu.perm_r) * _parity(lu.perm_c)
    return lu, Determinant(float(np.log(np.abs(pivots)).sum()), sign, int(lu.nnz))


def _parity(permutation: np.ndarray) -> float:
    """The sign of a permutation: (-1)^(n - c) for n elements in c cycles."""
    n = len(permutation)
    if (permutation == np.arange(n)).all():
        return 1.0
    graph = sparse.csr_array((np.ones(n, np.int8), permutation, np.arange(n + 1)), shape=(n, n))
    cycles = int(csgraph.connected_components(graph, directed=False, return_labels=False))
    return -1.0 if (n - cycles) % 2 else 1.0


def cvxopt_cholmod(prepared: Pencil) -> Evaluate:
    """log det(I - rho W) by the CHOLMOD in cvxopt, for a definite pencil."""
    cvxopt, cholmod = importlib.import_module("cvxopt"), importlib.import_module("cvxopt.cholmod")
    n = len(prepared.order)
    entries = prepared.at(0.0).tocoo()
    lower = np.flatnonzero(entries.row >= entries.col)
    rows, columns = (
        cvxopt.matrix(index[lower].astype(np.int64)) for index in (entries.row, entries.col)
    )

    def assemble(rho: float) -> Any:
        return cvxopt.spmatrix(
            cvxopt.matrix(np.ascontiguousarray(prepared.at(rho).data[lower])), rows, columns, (n, n)
        )

    symbolic = cholmod.symbolic(assemble(0.0), cvxopt.matrix(np.arange(n)))

    def evaluate(rho: float) -> Determinant:
        try:
            cholmod.numeric(assemble(rho), symbolic)
        except ArithmeticError:
            return Determinant(np.nan, 0.0, 0)
        return Determinant(2 * float(np.log(np.asarray(cholmod.diag(symbolic))).sum()), 1.0, 0)

    return evaluate


def scikit_cholmod(prepared: Pencil) -> Evaluate:
    """log det(I - rho W) by the CHOLMOD in scikit-sparse 0.4, for a definite pencil.

    Its "supernodal" mode stops at a negative pivot.
    """
    cholmod = importlib.import_module("sksparse.cholmod")
    symbolic = cholmod.analyze(
        sparse.csc_matrix(prepared.at(0.0)), mode="supernodal", ordering_method="natural"
    )

    def evaluate(rho: float) -> Determinant:
        try:
            factor = symbolic.cholesky(sparse.csc_matrix(prepared.at(rho)))
            return Determinant(float(factor.logdet()), 1.0, 0)
        except cholmod.CholmodNotPositiveDefiniteError:
            return Determinant(np.nan, 0.0, 0)

    return evaluate


OPTIONAL = {
    "CHOLMOD (cvxopt)": ("cvxopt.cholmod", cvxopt_cholmod),
    "CHOLMOD (scikit-sparse)": ("sksparse.cholmod", scikit_cholmod),
}


def refuse_large(links: int, units: int) -> None:
    """Refuse a W whose factors are unlikely to fit into half of the free memory.

    TYPICAL entries of L + U per link are assumed, as measured for places in the plane. A W of other
    origin, such as a random graph, may need many more.

    Parameters
    ----------
    links, units : int
        Stored entries and rows of W.

    Raises
    ------
    FactorMemoryError
        Says how much memory is likely to be needed, and what to do instead.
    """
    likely, budget = min(TYPICAL * links, units**2), available_memory() / 2
    if BYTES * likely > budget:
        raise FactorMemoryError(
            f"the factors of I - rho W with {links:,} links are likely to take"
            f" {BYTES * likely / 1e9:.3g} GB of memory, and half of what is free are"
            f" {budget / 1e9:.3g} GB: take method='stochastic', or a W with fewer neighbours."
        )


def workers(stored: int, threads: int, memory: float | None) -> int:
    """How many factorisations to run at a time.

    Parameters
    ----------
    stored : int
        Entries of L + U of one of them.
    threads : int
        Factorisations at a time, at most.
    memory : float or None
        Bytes that all of them may take; None for half of what is free.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    FactorMemoryError
        Where not even one fits.
    """
    budget = available_memory() / 2 if memory is None else memory
    need = BYTES * stored
    if need > budget:
        raise FactorMemoryError(
            f"the factors of I - rho W have {stored:,} entries and take {need / 1e9:.3g} GB, over"
            f" the {budget / 1e9:.3g} GB allowed: give more, e.g. memory=16e9, or a W with fewer"
            " neighbours."
        )
    return max(1, min(threads, int(budget // max(need, 1))))
