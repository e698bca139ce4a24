"""The admissible interval of rho for a W too large for all its eigenvalues: its extreme real ones,
and what is known of them.

The right end is 1 over the Perron root, which two bounds enclose (`perron`). On the left, det(I -
rho W) > 0 down to minus that at least. Where W is similar to a symmetric matrix all eigenvalues are
real, and Lanczos iterations find the lowest. Else Arnoldi iterations find the eigenvalue furthest
left; where it is complex, discs along the negative axis, each with all eigenvalues in it by inverse
iterations at its centre, are laid side by side until one holds a real eigenvalue. Saad (2011), 4,
6, 8.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.sparse as sparse
import scipy.sparse.linalg

from spillover.kernels import factor, ordering, perron, spectrum
from spillover.kernels.errors import WeightsError
from spillover.kernels.structure import FACTORED, Structure, canonicalize, examine

DENSE = 500  # units up to which all eigenvalues are as cheap as a few extreme ones
FULL = 0.05  # share of links from which factors are as good as dense
# relative accuracy of the leftmost eigenvalue; the bound leaves the residual out, and so stays
# inside
LANCZOS = 1e-3
PERRON = 1e-6  # of the rightmost one, near which a posterior may well lie
RESTARTS = 1000, 100  # of ARPACK, for a symmetric matrix and for any other
# an imaginary part below this share of the radius may be the rounding of a nearly multiple real
# eigenvalue
NEARLY = 1e-3
ACCURACY = 1e-9  # of inverse iterations
INSIDE = 10  # eigenvalues a disc holds
DISCS = 16  # at most
# share of the radius at which the discs end: nearer to 0 there are too many eigenvalues, and bounds
# ten times as wide
FLOOR = 0.1
OVERLAP = 0.98  # share of its radius for which a disc is trusted


class Admissible(NamedTuple):
    """`bounds` of rho, with det(I - rho W) > 0 inside. `plain`: the rho without any eigenvalue,
    complex ones included, to their left or right; `outer`: given bounds beyond these reach a
    singular I - rho W, infinite where none is known; `cautious`: the lower bound may be short of
    the lowest admissible rho, for no eigenvalue was found at it.
    """

    bounds: tuple[float, float]
    plain: tuple[float, float]
    outer: tuple[float, float]
    cautious: bool


class Left(NamedTuple):
    """`real`: minus the lowest real eigenvalue, from above, or what stands in for it; `part`: minus
    the least real part; `shown`: a value the former is not below, 0 where none is known;
    `cautious`: as above.
    """

    real: float
    part: float
    shown: float
    cautious: bool


def find_admissible(
    structure: Structure, given: tuple[float, float] | None = None, order: np.ndarray | None = None
) -> Admissible:
    """The bounds of rho, those given or (1/omega_min, 1/omega_max), omega the extreme real
    eigenvalues, and what is known beside them.

    The bounds stay at most LANCZOS short of these on the left. Above DENSE units an asymmetric W
    whose eigenvalue furthest left is not real may leave a `cautious` lower bound, one up to which
    no eigenvalue was found. `order`: of elimination, where it is known. Raises WeightsError for an
    acyclic W without bounds.
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
    found = _from_extremes(
        work, radius, structure.symmetric, structure.even, search=search, order=order
    )
    return found._replace(bounds=given, cautious=False) if given else found


def limits(matrix: sparse.csr_array) -> Admissible:
    """The admissible interval of rho, from all eigenvalues where W is small or dense, else as
    `find_admissible` has it.
    """
    n = matrix.shape[0]
    if n <= DENSE or (FULL * n * n < matrix.nnz and n <= spectrum.DENSE_LIMIT):
        bounds, cautious = spectrum.cautious_interval(matrix, spectrum.eigenvalues(matrix))
        return Admissible(
            bounds, (-np.inf, np.inf), (-np.inf, bounds[1]) if cautious else bounds, cautious
        )
    return find_admissible(examine(canonicalize(matrix)))


def interval(matrix: sparse.csr_array) -> tuple[float, float]:
    """The bounds of `limits`."""
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
    """The interval for W = `work` (`perron.balance`, row-standardised or symmetric) with bounds on
    its spectral radius.

    `even`: W is similar to -W. `search`: by factorisations where the leftmost eigenvalue is
    complex; else that leaves a cautious bound. `order`: of elimination, where it is known.
    """
    low, high = radius
    if even:
        left = Left(high, high, low, False)
    elif symmetric:
        left = _lowest(work, high)
    else:
        left = _leftmost(work, high, search, order)
    part = min(left.part, high)
    outer = (-1 / left.shown if left.shown > 0 else -np.inf, 1 / low)
    return Admissible(
        (-1 / left.real, 1 / high),
        (-1 / part if part > 0 else -np.inf, 1 / high),
        outer,
        left.cautious,
    )


def radius_of(work: sparse.csr_array) -> tuple[float, float]:
    """Bounds on the largest eigenvalue of a symmetric matrix that is not negative."""
    found = _arpack(scipy.sparse.linalg.eigsh, work, "LA", PERRON)
    if found is None:
        return perron.root(work)
    value, residual = float(found[0].real), found[1]
    ceiling = float(work.sum(axis=0).max())
    return min(value, ceiling), min(value + residual, ceiling)


def _arpack(
    solve, work: sparse.csr_array, which: str, accuracy: float
) -> tuple[complex, float] | None:
    """The eigenvalue at an end, the least negative imaginary part first, and the residual; None
    where it is not found.
    """
    # positive, like the Perron vector
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
    """Of a symmetric matrix: a Rayleigh quotient is not below the lowest eigenvalue, and one lies
    within the residual of it.
    """
    found = _arpack(scipy.sparse.linalg.eigsh, work, "SA", LANCZOS)
    if found is None:
        return Left(radius, radius, 0.0, True)
    value, residual = -float(found[0].real), found[1]
    real = min(value + residual, radius)
    return Left(real, real, value, False)


def _leftmost(
    work: sparse.csr_array, radius: float, search: bool, order: np.ndarray | None
) -> Left:
    """Of any matrix that is not negative."""
    found = _arpack(scipy.sparse.linalg.eigs, work, "SR", LANCZOS)
    value, residual = (complex(-radius, np.inf), 0.0) if found is None else found
    part = min(residual - float(value.real), radius)
    real = value.imag == 0 and part > 0
    if not search:
        return Left(part if real else radius, part, 0.0, not real)
    order = ordering.elimination_order(work) if order is None else order
    if real and _sign(work, -1 / part, order) > 0:
        return Left(part, part, 0.0, False)
    return _by_discs(work, part, radius, order)


def _sign(work: sparse.csr_array, rho: float, order: np.ndarray) -> float:
    """The sign of det(I - rho W); 0 where it is singular."""
    try:
        return factor.factorise(work, rho, order=order).sign
    except WeightsError:
        return 0.0


def _by_discs(work: sparse.csr_array, part: float, radius: float, order: np.ndarray) -> Left:
    """The lowest real eigenvalue above -part: the discs cover the axis from there to `edge`."""
    edge, reach = -part * (1 + LANCZOS), 0.05 * radius
    for _ in range(DISCS):
        if edge >= -FLOOR * radius:
            # the convention, where there is no negative real eigenvalue
            return Left(radius, part, 0.0, edge < -spectrum.REAL * radius)
        centre = min(edge + OVERLAP * reach, -0.5 * FLOOR * radius)
        values, sign = _nearest(work, centre, order)
        if not len(values):
            break
        size = OVERLAP * np.abs(values - centre).max()
        if centre - size > edge:  # a gap: nearer to the edge
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
        if sign <= 0:  # a real eigenvalue to the left was missed
            break
        edge, reach = centre + size, size
    return Left(min(-edge, radius), part, 0.0, True)


def _nearest(work: sparse.csr_array, centre: float, order: np.ndarray) -> tuple[np.ndarray, float]:
    """The eigenvalues nearest to a point of the axis, none where they are not found, and the sign
    of det(I - W / c).
    """
    try:
        factors = factor.factorise(work, 1 / centre, order=order)  # I - W / c = -(W - c I) / c
        return _inverse_iterations(work, centre, factors.solve)[0], factors.sign
    except (WeightsError, scipy.sparse.linalg.ArpackNoConvergence, scipy.sparse.linalg.ArpackError):
        return np.zeros(0), 0.0


def _inverse_iterations(
    work: sparse.csr_array, centre: float, solve: Callable
) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues near `centre` and their vectors, given b -> (I - W / c)^-1 b."""
    n = work.shape[0]
    inverse = scipy.sparse.linalg.LinearOperator(
        (n, n), matvec=lambda x: -solve(x) / centre, dtype=float
    )
    start = np.random.default_rng(2).normal(size=n)
    return scipy.sparse.linalg.eigs(
        work, k=INSIDE, sigma=centre, OPinv=inverse, v0=start, maxiter=RESTARTS[1], tol=ACCURACY
    )


def _room(work: sparse.csr_array, centre: float, order: np.ndarray, value: complex) -> float:
    """How far off the radius an eigenvalue may be for rounding: the accuracy asked for, times its
    condition number 1 / |y'x|.
    """
    factors = factor.factorise(work, 1 / centre, order=order)
    try:
        right, x = _inverse_iterations(work, centre, factors.solve)
        left, y = _inverse_iterations(work.T.tocsr(), centre, factors.solve_transpose)
    except (scipy.sparse.linalg.ArpackNoConvergence, scipy.sparse.linalg.ArpackError):
        return np.inf
    i, j = np.argmin(np.abs(right - value)), np.argmin(np.abs(left - value))
    return float(ACCURACY / max(abs(y[:, j] @ x[:, i]), ACCURACY))
