"""The posterior of (rho, lam) about a centre, for devices that have float32 only: nothing of the
size of the data is left in it.

    s = s0 + A z,      log p(s) - log p(s0) = g'z - z'H z / 2 + r(z),      |z_i| <= reach,

with s the logit variables, A a root of their covariance (z is in standard deviations) and r a short
Chebyshev series. All is fitted on the host in float64, where the terms of order N T cancel; what
sigma^2 and beta need given (rho, lam) are series on the same window. One construction serves a lag,
an error lag (which moves the regression), both, and neither.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft
from jax.scipy.linalg import solve_triangular
from jax.typing import ArrayLike

from spillover.kernels.chebyshev import log_slope
from spillover.kernels.errors import ConvergenceError, SpecificationError
from spillover.models.likelihood import (
    Likelihood,
    concentrated_log_likelihood,
    dependence,
    parameters,
    regress_at,
)
from spillover.models.posterior import collapsed_log_density
from spillover.models.prior_arrays import Prior

REACH = 12.0  # standard deviations
# of the log-density, and of every piece in standard deviations: a tenth of what float32 may lose
TOLERANCE = 1e-6
# coefficients a side: the first try, and the last for none, one or two parameters
FIRST, MOST = (
    16,
    (16, 256, 128),
)
TESTED = 33  # points a side of the test: an odd number, so that none of them is a node
BATCH = 256  # points a call
BLOCK = (
    8  # sides are padded to multiples of this, so that different data share one compiled program
)

# NumPy's on the host: a program without float64 takes them, where it would not take JAX's
Leaf = jax.Array | np.ndarray
Function = Callable[[np.ndarray], np.ndarray]


class Given(NamedTuple):
    """What sigma^2 and beta need at (rho, lam): sigma^2 ~ InverseGamma(shape, exp(log_scale)), beta
    ~ N(beta, sigma^2 root root').

    `dependence`: (p,), rho before lam; `log_scale`: (); `beta`: (k,); `root`: (k, k).
    """

    dependence: Leaf
    log_scale: Leaf
    beta: Leaf
    root: Leaf


class Centred(NamedTuple):
    """The record: `slope`, `curvature`: g (p,) and H (p, p); `remainder`: the coefficients of r, p
    sides; `pieces`: those of (dependence, log_scale, beta) less their values at the centre, and of
    root, p sides and a last axis for the pieces; `centre`: the values there; `shape` of sigma^2;
    `reach`: the half side of the window; `error` of the series, on points apart, in log units and
    standard deviations; `edge`: the largest log-density on the window's faces, relative to the
    centre.
    """

    slope: Leaf
    curvature: Leaf
    remainder: Leaf
    pieces: Leaf
    centre: Given
    shape: Leaf
    reach: Leaf
    error: Leaf
    edge: Leaf


def expand(
    likelihood: Likelihood,
    prior: Prior | None,
    centre: ArrayLike,
    spread: ArrayLike,
    *,
    reach: float = REACH,
) -> Centred:
    """The record about `centre`, (p,) logit variables of (rho, lam), with `spread` (p, p), the root
    A.

    With a prior, its rows in the moments, the density is `posterior.collapsed`; without,
    `likelihood.concentrated`, and the conditional laws are those under the prior 1 / sigma^2. The
    window is `reach` standard deviations, less where the series of the log-determinant ends. The
    leaves are float64 on the host, for programs of either precision. SpecificationError for priors
    that are not conjugate and for data in float32; ConvergenceError for a centre beyond the series
    and where no short series holds on the window.

    >>> import jax, jax.numpy as jnp, numpy as np, scipy.sparse as sparse
    >>> from spillover.kernels import logdet, moments
    >>> from spillover.models.effects import factorize, transformation
    >>> from spillover.models.spec import Spec
    >>> rng, ring = np.random.default_rng(0), np.roll(np.eye(25), 1, axis=1)
    >>> x = rng.normal(size=(1, 25, 1))
    >>> y = np.linalg.solve(np.eye(25) - 0.6 * ring, x[0, :, 0] + rng.normal(size=25))[None]
    >>> with jax.enable_x64(True):
    ...     none = transformation(Spec("SAR"), 25, 1, closed=True)
    ...     data = moments.split(*factorize(y, x, none, sparse.csr_array(ring), None))
    ...     series = logdet.from_eigenvalues(np.linalg.eigvals(ring))
    ...     likelihood = Likelihood(data, series, None, jnp.asarray(25.0), jnp.asarray(1.0))
    ...     record = expand(likelihood, None, [1.0], [[0.2]])
    ...     direct = concentrated(likelihood, jnp.array([1.1])) - concentrated(
    ...         likelihood, jnp.array([1.0])
    ...     )
    >>> bool(abs(float(log_density(record, jnp.array([0.5]))) - float(direct)) < 1e-5)
    True
    """
    if prior is not None and (prior.beta or prior.sigma is not None):
        raise SpecificationError(
            "The centred form integrates beta and sigma out: it needs conjugate priors of both."
        )
    if prior is not None and prior.supports is not None:
        raise SpecificationError(
            "The centred form covers the whole admissible interval: it takes no prior of rho or lam"
            " with hard bounds."
        )
    if likelihood.moments.y.dtype != np.float64:
        raise SpecificationError(
            "The centred form cancels large terms: make the likelihood within"
            " `jax.enable_x64(True)`."
        )
    middle, root = np.asarray(centre, float), np.asarray(spread, float)
    half = _half(likelihood, middle, root, reach)
    with jax.enable_x64(True):
        start = _tabulate(likelihood, prior, middle[None])[0]
        base, scales = _units(likelihood, start, middle, root, float(_shape(likelihood, prior)))

        def function(t: np.ndarray) -> np.ndarray:
            return (_tabulate(likelihood, prior, middle + half * t @ root.T) - base) / scales

        coef, error = _fit(function, len(middle))
        shape = np.asarray(_shape(likelihood, prior))
    slope, curvature, remainder = _split(coef[..., 0], half)
    pieces = _cut(coef[..., 1:], len(middle)) * scales[1:]
    place = _unpack(start[1:], len(middle), likelihood.moments.d.shape[1])
    sizes = [np.asarray(size) for size in (half, error, _edge(coef[..., 0]))]
    return Centred(slope, curvature, _cut(remainder, len(middle)), pieces, place, shape, *sizes)


def _half(likelihood: Likelihood, centre: np.ndarray, root: np.ndarray, reach: float) -> float:
    """The half side of the window: it stays between the ends of the log-determinants' series."""
    ends = np.array([np.asarray(part.ends) for part in dependence(likelihood)]).reshape(-1, 2)
    room = np.minimum(centre - ends[:, 0], ends[:, 1] - centre)
    if np.any(room <= 0):
        raise ConvergenceError(
            f"The centre s = {centre} lies beyond what a log-determinant's series covers,"
            f" {ends.tolist()}."
        )
    return float(min(reach, np.min(room / np.abs(root).sum(axis=1), initial=np.inf)))


def _shape(likelihood: Likelihood, prior: Prior | None) -> jax.Array:
    """Shape of the inverse gamma of sigma^2, flat coefficients taking a degree of freedom each."""
    k = likelihood.moments.d.shape[1]
    return (
        0.5 * (likelihood.nu - k)
        if prior is None
        else prior.a0 + 0.5 * (likelihood.nu + prior.rank - k)
    )


def _tabulate(likelihood: Likelihood, prior: Prior | None, points: np.ndarray) -> np.ndarray:
    """`_evaluate` at any number of points, by one compiled program."""
    padded = np.concatenate([points, np.repeat(points[-1:], -len(points) % BATCH, axis=0)])
    blocks = [
        np.asarray(_evaluate(likelihood, prior, block))
        for block in np.split(padded, len(padded) // BATCH)
    ]
    return np.concatenate(blocks)[: len(points)]


@jax.jit
def _evaluate(likelihood: Likelihood, prior: Prior | None, points: jax.Array) -> jax.Array:
    """The log-density and the pieces at logit variables (m, p): (m, 1 + p + 1 + k + k^2)."""

    def one(s: jax.Array) -> jax.Array:
        density = (
            concentrated_log_likelihood(likelihood, s)
            if prior is None
            else collapsed_log_density(likelihood, prior, s)
        )
        values = parameters(likelihood, s)
        fit = regress_at(likelihood, values)
        scale = jnp.log((0.0 if prior is None else prior.d0) + 0.5 * fit.ssr)
        upright = fit.triangle * jnp.sign(jnp.diagonal(fit.triangle))[:, None]  # a QR's signs jump
        root = solve_triangular(upright, jnp.eye(len(upright)))
        found = jnp.array([value for value in values if value is not None])
        return jnp.concatenate([density[None], found, scale[None], fit.beta, root.reshape(-1)])

    # not vmap: XLA's CPU was seen to hang in large batches of small QRs
    return jax.lax.map(one, points)


def _units(
    likelihood: Likelihood, start: np.ndarray, centre: np.ndarray, root: np.ndarray, shape: float
) -> tuple[np.ndarray, np.ndarray]:
    """What is subtracted from the columns of `_tabulate`, and the standard deviations by which they
    are judged.
    """
    p, k = len(centre), likelihood.moments.d.shape[1]
    place = _unpack(start[1:], p, k)
    rows = np.linalg.norm(place.root, axis=1)
    slopes = [
        np.exp(float(log_slope(s, part.bounds)))
        for s, part in zip(centre, dependence(likelihood), strict=True)
    ]
    sigma = np.sqrt(np.exp(place.log_scale) / shape)
    scales = np.concatenate(
        [
            [1.0],
            slopes * np.linalg.norm(root, axis=1),
            [1 / np.sqrt(shape)],
            sigma * rows,
            np.repeat(rows, k),
        ]
    )
    return np.concatenate([start[: len(start) - k * k], np.zeros(k * k)]), scales


def _unpack(values: Leaf, p: int, k: int) -> Given:
    """The pieces by name, from a vector."""
    return Given(
        values[:p], values[p], values[p + 1 : p + 1 + k], values[p + 1 + k :].reshape(k, k)
    )


def _grid(axis: np.ndarray, p: int) -> np.ndarray:
    """The product of p axes, (len^p, p)."""
    return axis[np.indices((len(axis),) * p).reshape(p, len(axis) ** p).T]


def _fit(function: Function, p: int) -> tuple[np.ndarray, float]:
    """Chebyshev coefficients on [-1, 1]^p of a function (m, p) -> (m, columns), sides doubling
    until it holds at points apart.
    """
    apart = np.cos(np.pi * (np.arange(TESTED) + 0.5) / TESTED)
    truth = function(_grid(apart, p)).reshape((TESTED,) * p + (-1,))
    count = FIRST
    while True:
        nodes = np.cos(np.pi * (np.arange(count) + 0.5) / count)
        coef = function(_grid(nodes, p)).reshape((count,) * p + (-1,))
        for axis in range(p):
            coef = scipy.fft.dct(coef, type=2, axis=axis) / count
            coef[(slice(None),) * axis + (0,)] /= 2
        error = float(np.abs(_values(coef, apart, p) - truth).max())
        if error <= TOLERANCE:
            return coef, error
        count *= 2
        if not count <= MOST[p]:
            raise ConvergenceError(
                f"No series of {count // 2} terms a side holds on the window: the error is"
                f" {error:.1e} log units or standard deviations. Take a smaller `reach`, or a"
                " centre and a spread nearer to those of the posterior."
            )


def _values(coef: np.ndarray, axis: np.ndarray, p: int) -> np.ndarray:
    """The series on the product of p times the same points."""
    for side in range(p):
        basis = np.polynomial.chebyshev.chebvander(axis, coef.shape[side] - 1)
        coef = np.moveaxis(np.tensordot(basis, coef, (1, side)), 0, side)
    return coef


def _split(coef: np.ndarray, half: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The log-density relative to the centre as g'z - z'H z / 2 + r: g, H, and the coefficients of
    r.
    """
    p, rest, units = coef.ndim, coef.copy(), np.eye(coef.ndim, dtype=int)
    slope, curvature = np.zeros(p), np.zeros((p, p))
    for i in range(p):
        slope[i] = _derivative(coef, units[i]) / half
        rest[tuple(units[i])] -= slope[i] * half
        for j in range(p):
            curvature[i, j] = -_derivative(coef, units[i] + units[j]) / half**2
            term = 0.5 * curvature[i, j] * half**2
            if i == j:  # t^2 = (T_0 + T_2) / 2
                rest[(0,) * p] += 0.5 * term
                rest[tuple(2 * units[i])] += 0.5 * term
            else:
                rest[tuple(units[i] + units[j])] += term
    return slope, curvature, rest


def _derivative(coef: np.ndarray, orders: np.ndarray) -> float:
    """A partial derivative of the series at 0."""
    for order in orders:
        taken = np.polynomial.chebyshev.chebder(np.eye(len(coef)), order)
        coef = np.tensordot(np.polynomial.chebyshev.chebval(0.0, taken), coef, (0, 0))
    return float(coef)


def _cut(coef: np.ndarray, p: int) -> np.ndarray:
    """The first coefficients of each of p sides, as many as matter, a multiple of BLOCK."""
    if not p:
        return coef
    order = np.indices(coef.shape[:p]).max(axis=0)
    beyond = [np.abs(coef[order >= count]).sum(axis=0).max() for count in range(len(coef))]
    kept = int(np.sum(np.array(beyond) > TOLERANCE / 10))
    return coef[(slice(max(-(-kept // BLOCK), 1) * BLOCK),) * p]


def _edge(coef: np.ndarray) -> float:
    """The largest value on the faces of the window."""
    p = coef.ndim
    values = _values(coef, np.linspace(-1, 1, 33), p)
    return float(max((values.take([0, -1], axis).max() for axis in range(p)), default=-np.inf))


@jax.jit
def log_density(record: Centred, z: jax.Array) -> jax.Array:
    """log p(s0 + A z) - log p(s0), z: (p,); -inf, with the gradient 0, outside the window |z_i| <=
    reach.
    """
    inside = jnp.all(jnp.abs(z) <= record.reach)
    z = jnp.where(inside, z, 0.0)
    # sums, not products: TPUs multiply matrices in bfloat16
    half_form = record.slope - 0.5 * jnp.sum(record.curvature * z[None], axis=1)
    return jnp.where(
        inside, jnp.sum(half_form * z) + _series(record.remainder, z / record.reach), -jnp.inf
    )


@jax.jit
def shifts(record: Centred, z: jax.Array) -> Given:
    """(rho, lam), log_scale and beta at z less their values in `record.centre`, and root; NaN
    outside the window.
    """
    inside = jnp.all(jnp.abs(z) <= record.reach)
    values = _series(record.pieces, jnp.where(inside, z, 0.0) / record.reach)
    return _unpack(jnp.where(inside, values, jnp.nan), z.shape[0], record.centre.beta.shape[0])


@jax.jit
def draw(
    record: Centred, z: jax.Array, gamma: jax.Array, normal: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(rho, lam) (p,), beta (k,) and sigma at z, from a Gamma(`record.shape`) and k standard normal
    variates; NaN outside the window.

    sigma^2 = exp(log_scale) / gamma,      beta = b(rho, lam) + sigma root normal
    """
    found, centre = shifts(record, z), record.centre
    sigma = jnp.exp(0.5 * (centre.log_scale + found.log_scale)) / jnp.sqrt(gamma)
    return (
        centre.dependence + found.dependence,
        centre.beta + (found.beta + sigma * jnp.sum(found.root * normal[None], axis=1)),
        sigma,
    )


def _series(coef: Leaf, t: jax.Array) -> jax.Array:
    """sum of coef[j, k, ...] T_j(t_1) T_k(t_2), over as many leading axes as t has components."""
    value = jnp.asarray(coef)
    for component in t:
        basis = _basis(component, value.shape[0])
        value = jnp.sum(value * basis.reshape((-1,) + (1,) * (value.ndim - 1)), axis=0)
    return value


def _basis(t: jax.Array, count: int) -> jax.Array:
    """T_0(t), ..., T_(count - 1)(t), doubling by T_(m + j) = 2 T_m T_j - T_(m - j): few, wide
    operations.
    """
    basis = jnp.stack([jnp.ones_like(t), t])
    while (m := len(basis) - 1) < count - 1:
        basis = jnp.concatenate([basis, 2 * basis[m] * basis[1:] - basis[m - 1 :: -1]])
    return basis[:count]
