"""The admissible interval of rho, and how surely it is known.

A small or dense W gives all its eigenvalues (`spectrum`). Of any other only the extreme real ones
are computed. The upper end is 1 over the Perron root, which lies between two bounds (`perron`). On
the negative side det(I - rho W) > 0 at least down to minus that end, and further where the lowest
real eigenvalue is known:

- W similar to a symmetric matrix: all eigenvalues are real, and Lanczos iterations find the lowest.
- Any other W: Arnoldi iterations find the eigenvalue with the least real part. Where it is complex,
  overlapping discs cover the negative axis from left to right. Inverse iterations at the centre of
  each disc find all eigenvalues in it. The search ends at the first disc with a real eigenvalue.

docs/numerics.md 3.2; Saad (2011), 4, 6, 8.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sparse
import scipy.sparse.linalg

from spillover.kernels import factor, ordering, perron, spectrum
from spillover.kernels.errors import WeightsError
from spillover.kernels.structure import FACTORED, Structure, canonicalize, examine

DENSE = 500  # units up to which all eigenvalues are as cheap as a few extreme ones
FULL = 0.05  # share of non-zero entries from which sparse factors fill up like dense ones
# relative accuracy of the leftmost eigenvalue; its residual is added to its size, so that the bound
# stays inside the interval
LANCZOS = 1e-3
PERRON = 1e-6  # relative accuracy of the rightmost one: a posterior may well lie near its bound
RESTARTS = 1000, 100  # of ARPACK at most, for a symmetric matrix and for any other
# an imaginary part below this share of the radius may be the rounding of a nearly multiple real
# eigenvalue
NEARLY = 1e-3
ACCURACY = 1e-9  # of inverse iterations, relative
INSIDE = 10  # eigenvalues computed for each disc
DISCS = 16  # discs at most
# share of the radius at which the discs end: closer to 0 eigenvalues crowd, and a bound from there
# would lie ten times as far out as the one that is certain
FLOOR = 0.1
OVERLAP = 0.98  # share of the radius of a disc within which it is trusted


class Admissible(NamedTuple):
    """An interval of rho with det(I - rho W) > 0, and what is known around it.

    Attributes
    ----------
    bounds : tuple of float
        The ends of the interval.
    plain : tuple of float
        1 over the least and over the greatest real part of all eigenvalues, complex ones included:
        no eigenvalue has a real part further out.
    outer : tuple of float
        An interval that reaches beyond these certainly holds a rho with a singular I - rho W;
        infinite where nothing is known.
    cautious : bool
        Whether the lower bound may be short of the lowest admissible rho, because no eigenvalue was
        found at it.
    """

    bounds: tuple[float, float]
    plain: tuple[float, float]
    outer: tuple[float, float]
    cautious: bool


class Left(NamedTuple):
    """The left end of the spectrum.

    Attributes
    ----------
    real : float
        Minus the lowest real eigenvalue, or an upper bound on that.
    part : float
        Minus the least real part of all eigenvalues.
    at_least : float
        A lower bound on minus the lowest real eigenvalue; 0 where none is known.
    cautious : bool
        As in `Admissible`.
    """

    real: float
    part: float
    at_least: float
    cautious: bool


def find_admissible(
    structure: Structure, given: tuple[float, float] | None = None, order: np.ndarray | None = None
) -> Admissible:
    """Find the bounds of rho, from extreme eigenvalues where there are more than DENSE units.

    Parameters
    ----------
    structure : Structure
        The structure of W.
    given : tuple of float, optional
        The user's bounds, in place of (1/omega_min, 1/omega_max).
    order : numpy.ndarray of int, shape (N,), optional
        An order of elimination, where one is known already.

    Returns
    -------
    Admissible
        The lower bound falls short of 1/omega_min by at most LANCZOS, relative. It may be
        `cautious` where the eigenvalue furthest left is not real.

    Raises
    ------
    WeightsError
        For an acyclic W without given bounds.
    """
    work, radius = structure.work, structure.radius
    if work.shape[0] <= DENSE or not work.nnz:
        values = spectrum.eigenvalues(work)
        bounds, cautious = (given, False) if given else spectrum.cautious_interval(work, values)
        left, right = -values.real.min(initial=0.0), values.real.max(initial=0.0)
        plain = (-1 / left if left > 0 else -np.inf, 1 / right if right > 0 else np.inf)
        return Admissible(bounds, plain, (-np.inf, bounds[1]) if cautious else bounds, cautious)
    if not np.isfinite(radius[1]):
        radius = (1 / given[1],) * 2 if given else radius_of(work)
    search = given is None and work.shape[0] <= FACTORED
    extreme = _from_extremes(
        work, radius, structure.symmetric, structure.even, search=search, order=order
    )
    return extreme._replace(bounds=given, cautious=False) if given else extreme


def limits(matrix: sparse.csr_array) -> Admissible:
    """Find the admissible interval of rho, and what is known around it.

    A small or dense W gives all its eigenvalues; any other is left to `find_admissible`.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (N, N)
        W, non-negative.

    Returns
    -------
    Admissible
        The interval.

    Raises
    ------
    WeightsError
        For an acyclic W.

    Examples
    --------
    >>> limits(sparse.csr_array([[0.0, 1.0], [0.25, 0.0]])).bounds
    (-2.0, 2.0)
    """
    n = matrix.shape[0]
    if n <= DENSE or (FULL * n * n < matrix.nnz and n <= spectrum.DENSE_LIMIT):
        bounds, cautious = spectrum.cautious_interval(matrix, spectrum.eigenvalues(matrix))
        return Admissible(
            bounds, (-np.inf, np.inf), (-np.inf, bounds[1]) if cautious else bounds, cautious
        )
    return find_admissible(examine(canonicalize(matrix)))


def interval(matrix: sparse.csr_array) -> tuple[float, float]:
    """The bounds of rho, as `limits` finds them."""
    return limits(matrix).bounds


def _from_extremes(
    work: sparse.csr_array,
    radius: tuple[float, float],
    symmetric: bool,
    even: bool,
    *,
    search: bool = True,
    order: np.ndarray | None = None,
) -> Admissible:
    """The interval from extreme eigenvalues.

    `work`, `symmetric` and `even` are those of a `Structure`; `radius` holds bounds on the spectral
    radius. Without `search` there are no factorisations, and a complex leftmost eigenvalue makes
    the lower bound cautious. `order`: the order of elimination, where it is known.
    """
    low, high = radius
    if even:
        left = Left(high, high, low, False)
    elif symmetric:
        left = _lowest(work, high)
    else:
        left = _leftmost(work, high, search, order)
    part = min(left.part, high)
    outer = (-1 / left.at_least if left.at_least > 0 else -np.inf, 1 / low)
    return Admissible(
        (-1 / left.real, 1 / high),
        (-1 / part if part > 0 else -np.inf, 1 / high),
        outer,
        left.cautious,
    )


def radius_of(work: sparse.csr_array) -> tuple[float, float]:
    """Bounds on the largest eigenvalue of a non-negative symmetric matrix."""
    pair = _arpack(scipy.sparse.linalg.eigsh, work, "LA", PERRON)
    if pair is None:
        return perron.root(work)
    value, residual = float(pair[0].real), pair[1]
    ceiling = float(work.sum(axis=0).max())
    return min(value, ceiling), min(value + residual, ceiling)


def _arpack(
    solve: Callable[..., Any], work: sparse.csr_array, which: str, accuracy: float
) -> tuple[complex, float] | None:
    """The eigenvalue at an end of the spectrum, by `eigsh` or `eigs`, and its residual.

    None where it is not found.
    """
    # a start with positive entries, like those of the Perron vector
    start = np.random.default_rng(0).uniform(0.5, 1.5, work.shape[0])
    if which[0] == "S":
        start *= np.random.default_rng(1).choice([-1.0, 1.0], work.shape[0])
    restarts = RESTARTS[solve is scipy.sparse.linalg.eigs]
    try:
        values, vectors = solve(work, k=1, which=which, v0=start, tol=accuracy, maxiter=restarts)
    except (scipy.sparse.linalg.ArpackNoConvergence, scipy.sparse.linalg.ArpackError):
        return None
    value, vector = values[0], vectors[:, 0]
    return value, float(np.linalg.norm(work @ vector - value * vector))


def _lowest(work: sparse.csr_array, radius: float) -> Left:
    """The left end of the spectrum of a symmetric matrix.

    A Rayleigh quotient is never below the lowest eigenvalue, and an eigenvalue lies no further from
    it than the residual.
    """
    pair = _arpack(scipy.sparse.linalg.eigsh, work, "SA", LANCZOS)
    if pair is None:
        return Left(radius, radius, 0.0, True)
    value, residual = -float(pair[0].real), pair[1]
    real = min(value + residual, radius)
    return Left(real, real, value, False)


def _leftmost(
    work: sparse.csr_array, radius: float, search: bool, order: np.ndarray | None
) -> Left:
    """The left end of the spectrum of any non-negative matrix."""
    pair = _arpack(scipy.sparse.linalg.eigs, work, "SR", LANCZOS)
    value, residual = (complex(-radius, np.inf), 0.0) if pair is None else pair
    part = min(residual - float(value.real), radius)
    real = value.imag == 0 and part > 0
    if not search:
        return Left(part if real else radius, part, 0.0, not real)
    order = ordering.elimination_order(work) if order is None else order
    if real and _sign(work, -1 / part, order) > 0:
        return Left(part, part, 0.0, False)
    return _by_discs(work, part, radius, order)


def _sign(work: sparse.csr_array, rho: float, order: np.ndarray) -> float:
    """The sign of det(I - rho W); 0 where the factorisation fails or does not fit into memory."""
    try:
        return factor.factorise(work, rho, order=order).sign
    except WeightsError:
        return 0.0


def _by_discs(work: sparse.csr_array, part: float, radius: float, order: np.ndarray) -> Left:
    """The lowest real eigenvalue above -part, by discs.

    The discs so far cover the real axis from -part to `edge`.
    """
    edge, reach = -part * (1 + LANCZOS), 0.05 * radius
    for _ in range(DISCS):
        if edge >= -FLOOR * radius:
            # no negative real eigenvalue: by convention the spectral radius stands in for it
            return Left(radius, part, 0.0, edge < -spectrum.REAL * radius)
        centre = min(edge + OVERLAP * reach, -0.5 * FLOOR * radius)
        values, sign = _nearest(work, centre, order)
        if not len(values):
            break
        size = OVERLAP * np.abs(values - centre).max()
        if centre - size > edge:  # a gap between the discs: try again nearer to the edge
            reach = size
            continue
        near = values[
            (np.abs(values.imag) <= NEARLY * radius) & (values.real <= min(centre + size, 0.0))
        ]
        for value in near[np.argsort(near.real)]:
            real = abs(value.imag) <= spectrum.REAL * radius
            room = spectrum.REAL * radius if real else _room(work, centre, order, value) * radius
            if abs(value.imag) <= room:
                return Left(min(room - float(value.real), radius), part, 0.0, not real)
        if sign <= 0:  # a real eigenvalue further left was missed
            break
        edge, reach = centre + size, size
    return Left(min(-edge, radius), part, 0.0, True)


def _nearest(work: sparse.csr_array, centre: float, order: np.ndarray) -> tuple[np.ndarray, float]:
    """The eigenvalues nearest to a point c of the real axis, and the sign of det(I - W / c).

    No eigenvalues where the factorisation or the iterations fail.
    """
    try:
        factors = factor.factorise(work, 1 / centre, order=order)  # I - W / c = -(W - c I) / c
        values, _ = _inverse_iterations(work, centre, factors.solve)
        return values, factors.sign
    except (WeightsError, scipy.sparse.linalg.ArpackNoConvergence, scipy.sparse.linalg.ArpackError):
        return np.zeros(0), 0.0


def _inverse_iterations(
    work: sparse.csr_array, centre: float, solve: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues near `centre` and their vectors, given b -> (I - W / centre)^-1 b."""
    n = work.shape[0]
    inverse = scipy.sparse.linalg.LinearOperator(
        (n, n), matvec=lambda x: -solve(x) / centre, dtype=float
    )
    start = np.random.default_rng(2).normal(size=n)
    values, vectors = scipy.sparse.linalg.eigs(
        work, k=INSIDE, sigma=centre, OPinv=inverse, v0=start, maxiter=RESTARTS[1], tol=ACCURACY
    )
    return values, vectors


def _room(work: sparse.csr_array, centre: float, order: np.ndarray, value: complex) -> float:
    """How far rounding may move an eigenvalue, as a share of the radius.

    The accuracy asked for, times the condition number 1 / |y'x| of the eigenvalue.
    """
    factors = factor.factorise(work, 1 / centre, order=order)
    try:
        right, x = _inverse_iterations(work, centre, factors.solve)
        left, y = _inverse_iterations(work.T.tocsr(), centre, factors.solve_transpose)
    except (scipy.sparse.linalg.ArpackNoConvergence, scipy.sparse.linalg.ArpackError):
        return np.inf
    i, j = np.argmin(np.abs(right - value)), np.argmin(np.abs(left - value))
    return float(ACCURACY / max(abs(y[:, j] @ x[:, i]), ACCURACY))
