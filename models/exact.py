"""Independent draws from the exact posterior with conjugate priors, and its evidence.

    lam                 ~ p(lam | y)
    rho | lam           ~ p(rho | lam, y)
    sigma^2 | rho, lam  ~ InverseGamma(a0 + nu/2, d0 + SSR/2)
    beta | the others   ~ N(b, sigma^2 V_n)

beta and sigma integrate out in closed form. What is left is a density of lam whose values are
integrals over rho, both by quadrature in the logit variables. One QR at each lam makes everything
else quadratic in rho. Hepple (1995); LeSage & Pace (2009), chapters 5 and 6.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import ndtr, ndtri

from spillover.kernels.logdet import LogDetSeries
from spillover.kernels.moments import Moments
from spillover.kernels.quadrature import DensityTable, locate, quantile, stencil, tabulate
from spillover.models.posterior import Draw, Posterior, log_constant, sigma_shape
from spillover.models.prior_arrays import log_dependence
from spillover.models.supports import rho_at, widen

CONDITIONAL = 257  # points of the density of rho given lam
# normal scores at which its quantiles are kept; 8e-11 of the draws lie beyond
SCORES = np.linspace(-6.5, 6.5, 131)
NEAR = 6  # nodes of lam between which a regression is interpolated
NEGLIGIBLE = 1e-9  # of the largest weight: a node of lam with less does not widen the reach of rho


class Noise(NamedTuple):
    """The random numbers behind n draws.

    `rho`, `lam`: uniform, (n,). `gamma`: gamma variates of the shape `sigma_shape`, (n,). `beta`:
    standard normal, (n, k).
    """

    rho: jax.Array
    lam: jax.Array
    gamma: jax.Array
    beta: jax.Array


class Quality(NamedTuple):
    """How good the quadrature is.

    `log_evidence`: log p(y), where the prior is proper. `error`: of the integral, relative to it.
    `rho`, `lam`: the logit variables between which the mass lies, (2,), zeros where the model lacks
    the parameter.
    """

    log_evidence: jax.Array
    error: jax.Array
    rho: jax.Array
    lam: jax.Array


class Slice(NamedTuple):
    """The regression at one lam, for every rho.

    b(rho) = `intercept` - rho `slope`, (k,); SSR(rho) = |`tail_y` - rho `tail_wy`|^2; `triangle`: R
    of S_lam D, (k, k).
    """

    intercept: jax.Array
    slope: jax.Array
    tail_y: jax.Array
    tail_wy: jax.Array
    triangle: jax.Array


class Node(NamedTuple):
    """One lam of the table.

    `log_density`: of its logit variable. `slice`: the regression there. For rho given lam, zeros in
    a model without rho: `quantiles`, at SCORES; `error`, the relative error of the integral;
    `reach`, the logit variables between which the mass lies, (2,).
    """

    log_density: jax.Array
    slice: Slice
    quantiles: jax.Array
    error: jax.Array
    reach: jax.Array


@partial(jax.jit, static_argnames=("points", "batch"))
def sample(
    posterior: Posterior, noise: Noise, *, points: int, batch: int | None = None
) -> tuple[Draw, Quality]:
    """One draw for each row of the noise, and the quality of the quadrature behind them.

    Parameters
    ----------
    posterior : Posterior
        With conjugate priors of beta and sigma.
    noise : Noise
        The random numbers of n draws.
    points : int
        Length of the table of lam, or of rho in a model without lam; a multiple of 4 plus 1.
    batch : int, optional
        How many values of lam are computed at a time. By default one, which suits a CPU.

    Returns
    -------
    tuple of Draw and Quality
        Arrays with the draws along the first axis, and scalars.
    """
    likelihood = posterior.likelihood
    if likelihood.error is not None:
        return _sample_with_lam(posterior, likelihood.error, noise, points=points, batch=batch)
    slice_ = slice_at(likelihood.moments, None)
    constant = log_constant(likelihood, posterior.prior) - _log_volume(slice_)
    none = jnp.zeros(2)
    if likelihood.lag is None:
        absent = jnp.zeros(1)
        beta, sigma = _draw_at_slice(posterior, slice_, absent, noise)
        evidence = constant + _log_rest(posterior, slice_, absent)[0]
        return Draw(beta, None, None, sigma), Quality(evidence, jnp.zeros(()), none, none)
    table, ends = _tabulate_rho(posterior, likelihood.lag, slice_, points), _ends(posterior)[0]
    rho = rho_at(quantile(table, noise.rho), ends, likelihood.lag.bounds)
    beta, sigma = _draw_at_slice(posterior, slice_, rho, noise)
    reach = widen(table.s[jnp.array([0, -1])], ends, likelihood.lag.bounds)
    return Draw(beta, rho, None, sigma), Quality(
        constant + table.log_integral, table.error, reach, none
    )


def _ends(posterior: Posterior) -> tuple[jax.Array | None, ...]:
    """Hard bounds of the priors of those of rho and lam that the model has; None for none."""
    prior = posterior.prior
    return (None,) * len(prior.dependence) if prior.supports is None else prior.supports.dependence


def slice_at(moments: Moments, lam: jax.Array | None) -> Slice:
    """The regression of S_lam y and S_lam W y on S_lam D; zeros for W y in a model without rho."""
    k = moments.d.shape[1]
    base_y, y = _take_out_fit(moments, moments.y, moments.my, lam)
    d = moments.d if lam is None or moments.md is None else moments.d - lam * moments.md
    if moments.wy is None:
        factor = _triangularise(jnp.column_stack([d, y]))
        beta = solve_triangular(factor[:k, :k], factor[:k, k:])[:, 0]
        nothing = jnp.zeros(factor.shape[0] - k)
        return Slice(base_y + beta, jnp.zeros(k), factor[k:, k], nothing, factor[:k, :k])
    base_wy, wy = _take_out_fit(moments, moments.wy, moments.mwy, lam)
    factor = _triangularise(jnp.column_stack([d, wy, y]))
    solved = solve_triangular(factor[:k, :k], factor[:k, k:])
    return Slice(
        intercept=base_y + solved[:, 1],
        slope=base_wy + solved[:, 0],
        tail_y=factor[k:, k + 1],
        tail_wy=factor[k:, k],
        triangle=factor[:k, :k],
    )


def _take_out_fit(
    moments: Moments, y: jax.Array, my: jax.Array | None, lam: jax.Array | None
) -> tuple[jax.Array, jax.Array]:
    """b, least squares of y on D, and S_lam (y - D b), from y and M y.

    Where the fit is tight the second is small, so that the rounding of y does not move with lam.
    """
    k = moments.d.shape[1]
    if lam is None or my is None:
        return jnp.zeros(k), y
    base = solve_triangular(moments.d[:k], y[:k])
    residual = jnp.concatenate([jnp.zeros(k), y[k:]])
    return base, residual - lam * (my if moments.md is None else my - moments.md @ base)


def _triangularise(columns: jax.Array) -> jax.Array:
    """R with a positive diagonal, which makes it a smooth function of lam."""
    factor = jnp.linalg.qr(columns, mode="r")
    return factor * jnp.where(jnp.diagonal(factor) < 0, -1.0, 1.0)[:, None]


def _log_volume(slice_: Slice) -> jax.Array:
    """log |det R| of the filtered regressors."""
    return jnp.sum(jnp.log(jnp.abs(jnp.diagonal(slice_.triangle))))


def _log_rest(posterior: Posterior, slice_: Slice, rho: jax.Array) -> jax.Array:
    """-shape log(d0 + SSR(rho)/2) at each rho, (n,): what integrating sigma out leaves.

    The shape is `sigma_shape`.
    """
    shape = sigma_shape(posterior.likelihood, posterior.prior)
    return -shape * jnp.log(posterior.prior.d0 + 0.5 * _ssr(slice_, rho))


def _ssr(slice_: Slice, rho: jax.Array) -> jax.Array:
    """SSR at each rho: (n,)."""
    return jnp.sum((slice_.tail_y[None] - rho[:, None] * slice_.tail_wy[None]) ** 2, axis=1)


def _tabulate_rho(
    posterior: Posterior, lag: LogDetSeries, slice_: Slice, points: int
) -> DensityTable:
    """The density of the logit variable of rho at a slice.

    The logit variable belongs to what the support of the prior leaves of the admissible interval.
    """
    likelihood, prior = posterior.likelihood, posterior.prior.dependence[0]
    ends = _ends(posterior)[0]

    def log_density(s: jax.Array) -> jax.Array:
        rest = _log_rest(posterior, slice_, rho_at(s, ends, lag.bounds))
        before = jax.vmap(lambda s: log_dependence(prior, s, lag.bounds, ends))(s)
        return likelihood.multiplicity * lag.at(widen(s, ends, lag.bounds)) + rest + before

    return tabulate(log_density, locate(log_density), points)


def _draw_at_slice(
    posterior: Posterior, slice_: Slice, rho: jax.Array, noise: Noise
) -> tuple[jax.Array, jax.Array]:
    """beta, (n, k), and sigma, (n,), at rho, (n,) or (1,)."""
    sigma = jnp.sqrt((posterior.prior.d0 + 0.5 * _ssr(slice_, rho)) / noise.gamma)
    spread = solve_triangular(slice_.triangle, noise.beta.T).T
    centre = slice_.intercept[None] - rho[:, None] * slice_.slope[None]
    return centre + sigma[:, None] * spread, sigma


def _sample_with_lam(
    posterior: Posterior, error: LogDetSeries, noise: Noise, *, points: int, batch: int | None
) -> tuple[Draw, Quality]:
    """`sample` of a model with lam.

    First lam, from its marginal density on a table of nodes; then rho, from the quantiles kept at
    these; then sigma and beta, from the slices there.
    """
    lag, first, last = posterior.likelihood.lag, _ends(posterior)[0], _ends(posterior)[-1]
    place = partial(_place_node, posterior, error)

    def marginal(s: jax.Array) -> jax.Array:
        value: jax.Array = jax.lax.map(lambda one: place(one).log_density, s, batch_size=batch)
        return value

    ends = locate(marginal)
    s_nodes = jnp.linspace(*ends, points)
    nodes = jax.lax.map(place, s_nodes, batch_size=batch)
    table = tabulate(lambda _: nodes.log_density, ends, points)
    s = quantile(table, noise.lam)
    step = (ends[1] - ends[0]) / (points - 1)
    position = (s - s_nodes[0]) / step
    rho, at = None, jnp.zeros_like(s)
    if lag is not None:
        rho = at = rho_at(_interpolate_rho(nodes, position, noise.rho), first, lag.bounds)
    beta, sigma = _draw_between(posterior, nodes.slice, position, at, noise)
    weight = table.density * step
    reach = _reach_of_rho(nodes, weight)
    return Draw(beta, rho, rho_at(s, last, error.bounds), sigma), Quality(
        log_evidence=table.log_integral,
        error=table.error + jnp.sum(weight * nodes.error),
        rho=reach if lag is None else widen(reach, first, lag.bounds),
        lam=widen(jnp.stack(ends), last, error.bounds),
    )


def _place_node(posterior: Posterior, error: LogDetSeries, s: jax.Array) -> Node:
    """The node at one logit variable of lam."""
    likelihood, prior, last = posterior.likelihood, posterior.prior, _ends(posterior)[-1]
    slice_ = slice_at(likelihood.moments, rho_at(s, last, error.bounds))
    own = (
        log_constant(likelihood, prior)
        + likelihood.multiplicity * error.at(widen(s, last, error.bounds))
        - _log_volume(slice_)
    )
    own += log_dependence(prior.dependence[-1], s, error.bounds, last)
    if likelihood.lag is None:
        value = own + _log_rest(posterior, slice_, jnp.zeros(1))[0]
        return Node(value, slice_, jnp.zeros(len(SCORES)), jnp.zeros(()), jnp.zeros(2))
    table = _tabulate_rho(posterior, likelihood.lag, slice_, CONDITIONAL)
    return Node(
        log_density=own + table.log_integral,
        slice=slice_,
        quantiles=quantile(table, ndtr(SCORES)),
        error=table.error,
        reach=table.s[jnp.array([0, -1])],
    )


def _reach_of_rho(nodes: Node, weight: jax.Array) -> jax.Array:
    """The logit variables between which the mass of rho lies at any lam that carries mass: (2,)."""
    carried = weight > jnp.max(weight) * NEGLIGIBLE
    low = jnp.min(jnp.where(carried, nodes.reach[:, 0], jnp.inf))
    return jnp.array([low, jnp.max(jnp.where(carried, nodes.reach[:, 1], -jnp.inf))])


def _draw_between(
    posterior: Posterior, slices: Slice, position: jax.Array, rho: jax.Array, noise: Noise
) -> tuple[jax.Array, jax.Array]:
    """beta, (n, k), and sigma, (n,), at rho and at fractional positions among the nodes.

    Interpolated by polynomials through NEAR slices, at a fraction of the cost of a QR per draw.
    """
    first, weights = stencil(position, slices.intercept.shape[0], NEAR)
    identity = jnp.eye(slices.triangle.shape[1])
    inverses = jax.vmap(lambda triangle: solve_triangular(triangle, identity))(slices.triangle)

    def interpolate(rows: Callable[[jax.Array], jax.Array]) -> jax.Array:
        return sum(
            (weight[:, None] * rows(first + j) for j, weight in enumerate(weights)), jnp.zeros(())
        )

    residual = interpolate(lambda j: slices.tail_y[j] - rho[:, None] * slices.tail_wy[j])
    sigma = jnp.sqrt((posterior.prior.d0 + 0.5 * jnp.sum(residual**2, axis=1)) / noise.gamma)
    centre = interpolate(lambda j: slices.intercept[j] - rho[:, None] * slices.slope[j])
    spread = interpolate(lambda j: jnp.sum(inverses[j] * noise.beta[:, None, :], axis=2))
    return centre + sigma[:, None] * spread, sigma


def _interpolate_rho(nodes: Node, position: jax.Array, u: jax.Array) -> jax.Array:
    """The logit variable of rho at fractional positions among the nodes of lam.

    It is the quantile at the uniform u, by cubics in the position and in the normal score of u. All
    are (n,).
    """
    first, weights = stencil(position, nodes.quantiles.shape[0], 4)
    scores = (ndtri(u) - SCORES[0]) / (SCORES[1] - SCORES[0])
    second, others = stencil(scores, nodes.quantiles.shape[1], 4)
    terms = [
        weights[i] * others[j] * nodes.quantiles[first + i, second + j]
        for i in range(4)
        for j in range(4)
    ]
    return sum(terms, jnp.zeros(()))
