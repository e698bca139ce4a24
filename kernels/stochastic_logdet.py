"""l(rho) = log|I - rho W| of a very large sparse W, estimated from products W x alone.

The estimate comes with its standard error.

For W similar to a symmetric S with its spectrum in [c - h, c + h]:

    X = (S - c I)/h,      z = r/(1 + sqrt(1 - r^2)),      r = rho h/(1 - rho c)
    l(rho) = n log(1 - rho c) - n log(1 + z^2) - 2 sum_j z^j tr T_j(X) / j

For any other W, of spectral radius h:

    X = W/h,      z = rho h
    l(rho) = -sum_j z^j tr X^j / j

The traces are means of v'T_j(X)v over vectors v of random signs, two from each product since
T_2j = 2 T_j^2 - 1. The first four are known exactly and serve as control variates. One set of
traces serves every rho: docs/numerics.md 4.1; Barry & Pace (1999); Han, Malioutov & Shin (2015).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sparse
import scipy.sparse.csgraph as csgraph
from jax import lax

from spillover.kernels import chebyshev, logit, sparse_operator
from spillover.kernels.admissible import LANCZOS, Admissible, find_admissible
from spillover.kernels.errors import WeightsError
from spillover.kernels.laps import Laps
from spillover.kernels.structure import Structure, canonicalize, examine

BLOCK = 16  # probes at a time, the bits of a random word
REACH = 0.99  # share of the bounds that a series covers by default
POWERS = 0.95  # share of 1/radius instead, where powers take the place of Chebyshev polynomials
RANGE = 0.9  # share of 1/radius up to which the error is reported unless an interval is asked for
MOMENTS = 512  # traces at most
SHARE = 0.1  # share of the target that the truncation may take
FLAT = 1e-4  # combinations of the controls that vary by less, relative, are redundant
SLACK = 2 * LANCZOS  # relative margin by which given bounds may exceed those that were found
STEP = 1e-30  # along the imaginary axis: a derivative without cancellation
GRID = 61  # values of rho at which the error is evaluated
# share of the largest coefficient that the series leaves out; rounding alone makes a tenth of that
TAIL = 1e-12


class Expansion(NamedTuple):
    """Estimated traces of T_j(X) or of X^j, which determine l.

    Attributes
    ----------
    size : int
        n.
    centre, half : float
        c and h: the middle of the spectrum, and half its length.
    symmetric : bool
        Whether the traces are those of Chebyshev polynomials; else of powers.
    moments : numpy.ndarray, shape (K,)
        The traces, j = 1, ..., K.
    noise : numpy.ndarray, shape (p, K)
        noise' noise is the covariance matrix of their errors.
    spread : tuple of float
        tr W'W, and a bound on the largest singular value of W.
    """

    size: int
    centre: float
    half: float
    symmetric: bool
    moments: np.ndarray
    noise: np.ndarray
    spread: tuple[float, float]


class StochasticResult(NamedTuple):
    """An estimate of l(rho) as a Chebyshev series in the logit variable.

    Attributes
    ----------
    coef : numpy.ndarray, shape (K,)
        The coefficients.
    ends : tuple of float
        The range of the logit variable.
    bounds : tuple of float
        The bounds of rho that the logit variable belongs to.
    error : float
        The largest standard error of l for rho in `held`, with what the truncation adds.
    shift : float
        The largest `mode_shift` for rho in `held`.
    probes : int
        Random vectors; each takes one product with W for every two traces, or for every power.
    seconds : dict of str to float
        Processor time by phase.
    how : str
        "Chebyshev" or "powers".
    expansion : Expansion
        The traces, for `value`, `standard_errors` and `mode_shift`.
    held : tuple of float
        The rho for which `error` and `shift` hold.
    cautious : bool
        Whether the lower bound may be short of the lowest admissible rho.
    """

    coef: np.ndarray
    ends: tuple[float, float]
    bounds: tuple[float, float]
    error: float
    shift: float
    probes: int
    seconds: dict[str, float]
    how: str
    expansion: Expansion
    held: tuple[float, float]
    cautious: bool


def rate(expansion: Expansion, rho: np.ndarray) -> np.ndarray:
    """z(rho), the rate at which the terms of the sum fall."""
    r = rho * expansion.half / (1 - rho * expansion.centre)
    z: np.ndarray = r / (1 + np.sqrt(1 - r * r)) if expansion.symmetric else r
    return z


def trace_free_part(expansion: Expansion, rho: np.ndarray) -> np.ndarray:
    """The part of l that needs no traces."""
    if not expansion.symmetric:
        return np.zeros_like(rho)
    logs: np.ndarray = np.log(1 - rho * expansion.centre) - np.log(1 + rate(expansion, rho) ** 2)
    return expansion.size * logs


def weights(expansion: Expansion, rho: np.ndarray) -> np.ndarray:
    """The weights of the traces in l: d l(rho) / d moments, (m, K), for rho of shape (m,)."""
    j = np.arange(1, len(expansion.moments) + 1)
    z = np.broadcast_to(rate(expansion, rho)[:, None], (len(rho), len(j)))
    powers: np.ndarray = np.cumprod(z, axis=1)
    return (-2 if expansion.symmetric else -1) * powers / j


def value(expansion: Expansion, rho: np.ndarray) -> np.ndarray:
    """l(rho), (m,), for rho of shape (m,)."""
    from_traces = weights(expansion, rho) @ expansion.moments
    sums: np.ndarray = trace_free_part(expansion, rho) + from_traces
    return sums


def slope(expansion: Expansion, rho: np.ndarray) -> np.ndarray:
    """l'(rho), (m,), by a complex step. Squire & Trapp (1998)."""
    slopes: np.ndarray = value(expansion, rho + STEP * 1j).imag / STEP
    return slopes


def standard_errors(expansion: Expansion, rho: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The standard errors of l and of l', (m,) each.

    They come from the differences between the probes that the controls do not explain.
    """
    both = weights(expansion, rho + STEP * 1j)
    of_value = np.linalg.norm(both.real @ expansion.noise.T, axis=1)
    of_slope = np.linalg.norm(both.imag / STEP @ expansion.noise.T, axis=1)
    return of_value, of_slope


def truncation(expansion: Expansion, rho: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bounds on what the terms beyond the traces add to l and to l', (m,) each."""
    return _rest(expansion, rho, len(expansion.moments), _largest(expansion))


def _largest(expansion: Expansion) -> float:
    """A bound on the traces of X^j or T_j(X), j > 1.

    The n eigenvalues of X lie in the unit disc, and the squares of those of W add up to no more
    than tr W'W (Schur).
    """
    own = expansion.spread[0]
    if not own:
        return 0.0
    return min(float(expansion.size), np.inf if expansion.symmetric else own / expansion.half**2)


def _rest(
    expansion: Expansion, rho: np.ndarray, count: int, size: float
) -> tuple[np.ndarray, np.ndarray]:
    """The sums of the terms beyond `count` in l and in l', if every trace has the same `size`."""
    z = rate(expansion, rho + STEP * 1j)
    q, change = np.abs(z.real), np.abs(z.imag) / STEP
    beyond = (2 if expansion.symmetric else 1) * size * q**count / (1 - q)
    return beyond * q / (count + 1), beyond * change


def deviation(expansion: Expansion, rho: np.ndarray) -> np.ndarray:
    """A bound on the posterior standard deviation of rho in a cross-section.

    It comes from the information of a SAR model without regressors.

        1/sd^2 = tr G^2 + tr G'G - 2 (tr G)^2 / n,      G = W (I - rho W)^-1
        tr G = -l',      tr G^2 = -l''

    tr G'G is bounded from below by tr G^2 (Schur); by tr W'W for rho >= 0, as W is non-negative;
    and by tr W'W / |I - rho W|^2. Regressors only add information.

    Parameters
    ----------
    expansion : Expansion
        l.
    rho : numpy.ndarray, shape (m,)
        Where the posterior lies.

    Returns
    -------
    numpy.ndarray, shape (m,)
        The bound, infinite where nothing is known.

    References
    ----------
    Ord (1975).
    """
    step = 1e-5 / expansion.half
    square = -(slope(expansion, rho + step) - slope(expansion, rho - step)) / (2 * step)
    own, norm = expansion.spread
    least = np.maximum(square, own / np.where(rho < 0, 1 - rho * norm, 1.0) ** 2)
    information = square + least - 2 * slope(expansion, rho) ** 2 / expansion.size
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(information > 0, 1 / np.sqrt(information), np.inf)


def mode_shift(expansion: Expansion, rho: np.ndarray) -> np.ndarray:
    """How far the error of l' moves a posterior mode at rho, in posterior standard deviations.

        se(l') sd(rho),      truncation included

    With T periods it is sqrt(T) times as large. Regressors that carry information on rho can only
    make it smaller.
    """
    total = standard_errors(expansion, rho)[1] + truncation(expansion, rho)[1]
    shifts: np.ndarray = np.zeros_like(total)
    np.multiply(total, deviation(expansion, rho), out=shifts, where=total > 0)
    return shifts


def prepare(matrix: sparse.csr_array) -> Structure:
    """The structure of W, with units renumbered where neighbours lie far apart in memory.

    Products with W are then faster, and l does not depend on the order of the units.
    """
    matrix = canonicalize(matrix)
    rows = np.repeat(np.arange(matrix.shape[0], dtype=np.int32), np.diff(matrix.indptr))
    if 2 * np.count_nonzero(np.abs(rows - matrix.indices) <= sparse_operator.NEAR) < matrix.nnz:
        order = csgraph.reverse_cuthill_mckee(matrix)
        matrix = matrix[order][:, order]
        matrix.sort_indices()
    return examine(matrix)


def stochastic_logdet(
    matrix: sparse.csr_array | Structure,
    *,
    bounds: tuple[float, float] | None = None,
    interval: tuple[float, float] | None = None,
    target: float = 0.02,
    probes: int = BLOCK,
    most: int = 8 * BLOCK,
    seed: int = 0,
    precision: type = np.float32,
) -> StochasticResult:
    """Estimate l(rho) = log|I - rho W| for a sparse W.

    Parameters
    ----------
    matrix : scipy.sparse.csr_array, shape (N, N), or Structure
        W, non-negative, or what `prepare` makes of it.
    bounds : tuple of float, optional
        The bounds of rho; by default -1 and 1 over the spectral radius where equal row sums give
        it, else those of `find_admissible`.
    interval : tuple of float, optional
        The rho that the series covers; by default 0.99 of the bounds (see the notes).
    target : float
        The largest `mode_shift` wanted. Blocks of 16 probes are added until it is met.
    probes, most : int
        The number of probes, at least and at most.
    seed : int
        Seed of the probes, from which every block derives its own.
    precision : type
        Precision of the products; the noise of the probes far exceeds the rounding of float32.

    Returns
    -------
    StochasticResult
        The series, its error, and its shift, which may exceed the target.

    Raises
    ------
    WeightsError
        For an acyclic W without bounds, for bounds beyond the admissible ones, and for an interval
        on which the sum does not converge.

    Notes
    -----
    Error and target hold on the interval that is asked for, by default for `|rho|` up to 0.9 over
    the spectral radius (`held`). The series goes on beyond, where its error grows as
    `standard_errors` and `mode_shift` report.

    The target is for one period. T periods move the mode sqrt(T) times as far, so ask for
    target / sqrt(T). The posterior of rho depends on l' alone. The marginal likelihood depends on
    l, so that two W cannot be compared more finely than their `error`, which grows like sqrt(N).

    For a W that is not similar to a symmetric one the powers converge for `|rho|` < 1/radius only,
    and slowly close to it. The series then covers 0.95 of that, and the truncation is part of
    `error` and `shift`.

    Examples
    --------
    >>> ring = sparse.csr_array(
    ...     sparse.diags_array([0.5, 0.5, 0.5, 0.5], offsets=[-99, -1, 1, 99], shape=(100, 100))
    ... )
    >>> result = stochastic_logdet(ring, target=0.1)
    >>> result.shift < 0.1, result.probes, result.how
    (True, 16, 'Chebyshev')
    """
    lap = Laps()
    structure = matrix if isinstance(matrix, Structure) else prepare(matrix)
    lap("structure")
    bounds, cautious, empty = _frame(structure, bounds)
    held = _held(empty, bounds, interval)
    interval = _interval(empty, bounds, interval)
    count = _count(empty, interval, target)
    expansion = empty._replace(moments=np.zeros(count), noise=np.zeros((1, count)))
    lap("bounds")
    grid = np.linspace(*held, GRID)
    with jax.enable_x64(precision is np.float64):
        slots = _slots(structure, expansion, precision)
        lap("slots")
        raw = np.zeros((0, len(expansion.moments)))
        while structure.work.nnz and (
            len(raw) < probes or (len(raw) < most and mode_shift(expansion, grid).max() > target)
        ):
            raw = np.vstack([raw, _block(slots, expansion, seed, len(raw) // BLOCK)])
            expansion = _estimate(expansion, raw, _exact(structure, expansion), structure.even)
    lap("products")
    error = float((standard_errors(expansion, grid)[0] + truncation(expansion, grid)[0]).max())
    coef, ends = series(expansion, bounds, interval)
    lap("series")
    return StochasticResult(
        coef=coef,
        ends=ends,
        bounds=bounds,
        error=error,
        shift=float(mode_shift(expansion, grid).max()),
        probes=len(raw),
        seconds=lap.seconds,
        how="Chebyshev" if expansion.symmetric else "powers",
        expansion=expansion,
        held=held,
        cautious=cautious,
    )


def _frame(
    structure: Structure, given: tuple[float, float] | None
) -> tuple[tuple[float, float], bool, Expansion]:
    """The bounds, whether the lower one is cautious, and an expansion without moments."""
    known = _known_bounds(structure, given)
    if given and structure.work.nnz:
        _check_given(given, known)
    symmetric = structure.symmetric and structure.work.nnz > 0
    low, high = known.bounds
    right = 1 / high
    left = 1 / low if symmetric else -right
    empty = Expansion(
        size=structure.work.shape[0],
        centre=(left + right) / 2,
        half=(right - left) / 2,
        symmetric=symmetric,
        moments=np.zeros(1),
        noise=np.zeros((1, 1)),
        spread=(structure.spread[0], right if symmetric else structure.spread[1]),
    )
    return (given, False, empty) if given else (known.bounds, known.cautious, empty)


def _known_bounds(structure: Structure, given: tuple[float, float] | None) -> Admissible:
    """The bounds of rho, +-1 over the spectral radius or from `find_admissible`.

    The former where the radius is known and given bounds do not reach beyond them.
    """
    if not structure.work.nnz:
        return find_admissible(structure, given)
    least, radius = structure.radius
    if not np.isfinite(radius):
        return find_admissible(structure)
    low, high = -1 / radius, 1 / radius
    if given and not low <= given[0] < given[1] <= high:
        return find_admissible(structure)
    return Admissible((low, high), (low, high), (-np.inf, 1 / least), False)


def _check_given(given: tuple[float, float], known: Admissible) -> None:
    """Refuse given bounds beyond those at which I - rho W is singular."""
    low, high = (end * (1 + SLACK) for end in known.outer)
    if not low <= given[0] < given[1] <= high:
        raise WeightsError(
            f"bounds=({given[0]:.6g}, {given[1]:.6g}) reach beyond the admissible rho, "
            f"({known.bounds[0]:.6g}, {known.bounds[1]:.6g}): narrow them, or leave them out."
        )


def _interval(
    empty: Expansion, bounds: tuple[float, float], given: tuple[float, float] | None
) -> tuple[float, float]:
    """The rho that the series covers: inside the bounds, and where the sum converges."""
    low, high = (1 / (empty.centre - empty.half), 1 / (empty.centre + empty.half))
    if given is None:
        reach = REACH if empty.symmetric else POWERS
        return max(reach * low, REACH * bounds[0]), min(reach * high, REACH * bounds[1])
    low, high = max(low, bounds[0]), min(high, bounds[1])
    if not low < given[0] < given[1] < high:
        raise WeightsError(
            f"interval={given} does not lie inside ({low:.6g}, {high:.6g}), where l can be had from"
            " products: narrow it."
        )
    return given


def _count(empty: Expansion, interval: tuple[float, float], target: float) -> int:
    """How many traces keep the truncation within its SHARE of the target over the interval.

    A multiple of BLOCK, plus one.
    """
    if not empty.spread[0]:
        return 1
    ends, sd = np.array(interval), 1 / np.sqrt(empty.spread[0])
    for count in range(BLOCK + 1, MOMENTS, BLOCK):
        if (_rest(empty, ends, count, _largest(empty))[1] * sd).max() <= SHARE * target:
            return count
    return MOMENTS + 1


def _held(
    empty: Expansion, bounds: tuple[float, float], given: tuple[float, float] | None
) -> tuple[float, float]:
    """The rho for which the error is reported and the target is to be met.

    The given interval, or the default one cut to RANGE.
    """
    if given is not None:
        return given
    low, high = _interval(empty, bounds, None)
    reach = RANGE / (empty.centre + empty.half) if empty.half else np.inf
    return max(low, -reach), min(high, reach)


def _slots(structure: Structure, expansion: Expansion, precision: type) -> sparse_operator.Ell:
    """X as slots on the device."""
    work, c, n = structure.work, expansion.centre, expansion.size
    if c:
        work = sparse.csr_array(work - c * sparse.eye_array(n, format="csr"))
    return sparse_operator.ell(
        sparse.csr_array((work.data / expansion.half, work.indices, work.indptr), shape=(n, n)),
        precision,
    )


def _block(slots: sparse_operator.Ell, expansion: Expansion, seed: int, block: int) -> np.ndarray:
    """v'T_j(X)v, or v'X^j v, for j = 1, ..., K and the BLOCK probes of one block: (BLOCK, K)."""
    words = np.asarray([seed, block], np.int32)
    count = len(expansion.moments)
    if not expansion.symmetric:
        return np.asarray(powers(slots, words, steps=count), float).T
    first, squares, products = (
        np.asarray(part, float) for part in polynomials(slots, words, steps=count // 2)
    )
    pairs = np.stack([2 * squares - expansion.size, 2 * products - first], axis=1)  # T_2j, T_2j+1
    return np.vstack([first[None], pairs.reshape(-1, BLOCK)]).T


def _signs(slots: sparse_operator.Ell, words: jax.Array) -> jax.Array:
    """Random signs, (n, BLOCK), from the seed and the number of the block."""
    key = jax.random.fold_in(jax.random.key(words[0]), words[1])
    bits = (
        jax.random.bits(key, (slots.columns.shape[1], 1), jnp.uint16)
        >> jnp.arange(BLOCK, dtype=jnp.uint16)[None]
    )
    return 2 * (bits & 1).astype(slots.values.dtype) - 1


def _apply(slots: sparse_operator.Ell, x: jax.Array) -> jax.Array:
    """X x."""
    rest: jax.Array = sparse_operator.subtract_lag(slots, jnp.ones((), x.dtype), x)
    return x - rest


def _dot(x: jax.Array, y: jax.Array) -> jax.Array:
    """x'y by columns.

    XLA sums in a tree, which takes 13 ms for 10^6 rows; sums by chunks took 50 ms.
    """
    return jnp.sum(x * y, axis=0)


@partial(jax.jit, static_argnames="steps")
def polynomials(
    slots: sparse_operator.Ell, words: jax.Array, *, steps: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Quadratic forms of Chebyshev polynomials of X in one block of probes v.

    Parameters
    ----------
    slots : Ell
        X on the device.
    words : jax.Array of int32, shape (2,)
        The seed, and the number of the block.
    steps : int
        How many products with X follow the first.

    Returns
    -------
    first : jax.Array, shape (BLOCK,)
        v'X v.
    squares, products : jax.Array, shape (steps, BLOCK)
        v'T_j^2 v and v'T_j T_(j+1) v, j = 1, ..., steps.
    """
    signs = _signs(slots, words)
    start = _apply(slots, signs)

    def step(
        pair: tuple[jax.Array, jax.Array], _: None
    ) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
        before, now = pair
        after = 2 * _apply(slots, now) - before
        return (now, after), (_dot(now, now), _dot(now, after))

    squares, products = lax.scan(step, (signs, start), length=steps)[1]
    return _dot(signs, start), squares, products


@partial(jax.jit, static_argnames="steps")
def powers(slots: sparse_operator.Ell, words: jax.Array, *, steps: int) -> jax.Array:
    """v'X^j v for one block of probes v, (steps, BLOCK), j = 1, ..., steps; see `polynomials`."""
    signs = _signs(slots, words)

    def step(now: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        after = _apply(slots, now)
        return after, _dot(signs, after)

    return lax.scan(step, signs, length=steps)[1]


def _exact(structure: Structure, expansion: Expansion) -> np.ndarray:
    """The traces of the first T_j(X) or X^j from those of W^j."""
    c, h = expansion.centre, expansion.half
    plain = np.concatenate([[expansion.size], structure.traces])
    shift = [np.polynomial.polynomial.polypow([-c / h, 1 / h], j) for j in range(len(plain))]
    raw = np.array([plain[: len(p)] @ p for p in shift])
    if not expansion.symmetric:
        return raw[1:]
    basis = [np.polynomial.chebyshev.cheb2poly([0.0] * j + [1.0]) for j in range(1, len(plain))]
    return np.array([raw[: len(p)] @ p for p in basis])


def _estimate(expansion: Expansion, raw: np.ndarray, exact: np.ndarray, even: bool) -> Expansion:
    """Estimate the traces and their errors from the probes.

    The values of the probes are regressed on the deviations of the first few from their exact
    traces; the residuals give the errors. Standard errors are those of Student's t, because the
    probes are few. Where l is even, the odd traces are zero.
    """
    raw = raw.copy()
    if even:
        raw[:, ::2] = 0.0
    controls = raw[:, : len(exact)] - exact
    scale = np.linalg.norm(controls, axis=0)
    design = np.column_stack([np.ones(len(raw)), controls / np.where(scale > 0, scale, 1.0)])
    u, s, v = np.linalg.svd(design, full_matrices=False)
    kept = s > FLAT * s[0]
    inverse = (v[kept].T / s[kept]) @ u[:, kept].T
    residuals = raw - u[:, kept] @ (u[:, kept].T @ raw)
    noise = residuals * np.linalg.norm(inverse[0]) / np.sqrt(len(raw) - kept.sum() - 2)
    noise[:, : len(exact)] = 0.0
    moments = np.concatenate([exact, inverse[0] @ raw[:, len(exact) :]])
    return expansion._replace(moments=moments, noise=noise)


def series(
    expansion: Expansion, bounds: tuple[float, float], interval: tuple[float, float]
) -> tuple[np.ndarray, tuple[float, float]]:
    """Expand l in the logit variable.

    Parameters
    ----------
    expansion : Expansion
        The traces of l.
    bounds : tuple of float
        The bounds of rho that the logit variable belongs to.
    interval : tuple of float
        The rho to cover.

    Returns
    -------
    coef : numpy.ndarray, shape (K,)
        Chebyshev coefficients, as many as are needed.
    ends : tuple of float
        The range of the logit variable.
    """
    low, high = logit.to_s(np.array(interval), bounds)
    ends = float(low), float(high)
    coef, _ = chebyshev.expand(
        lambda s: value(expansion, logit.to_rho(s, bounds)), ends, least=64, relative=TAIL
    )
    return chebyshev.trim(coef, TAIL * float(np.abs(coef).max()))[0], ends
