"""Independent draws from the exact posterior of a Gaussian model with conjugate priors, and its
evidence.

    lam ~ p(lam | y),    rho ~ p(rho | lam, y),    sigma^2 | rho, lam ~ InverseGamma(a0 + nu/2, d0 +
    SSR/2),    beta ~ N(b, sigma^2 V_n)

beta and sigma integrate out in closed form; what is left is a density of lam whose values are
integrals over rho, both by quadrature in the logit variables. A QR at each lam makes everything
else quadratic in rho. Hepple (1995); LeSage & Pace (2009), chapters 5 and 6.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jax.scipy.special import gammaln, ndtr, ndtri

from spillover.kernels.logdet import LogDet
from spillover.kernels.moments import Moments
from spillover.kernels.quadrature import Table, locate, quantile, stencil, tabulate
from spillover.models.posterior import Draw, Posterior, sigma_shape
from spillover.models.prior_arrays import log_dependence
from spillover.models.supports import rho_at, widen

CONDITIONAL = 257  # points of the density of rho given lam
# normal scores at which its quantiles are kept; 8e-11 of the draws lie beyond
SCORES = np.linspace(-6.5, 6.5, 131)
NEAR = 6  # nodes of lam between which a regression is interpolated


class Noise(NamedTuple):
    """What draws are made of: uniform `rho`, `lam` and gamma variates of `sigma_shape`, (n,)
    each; standard normal `beta`: (n, k).
    """

    rho: jax.Array
    lam: jax.Array
    gamma: jax.Array
    beta: jax.Array


class Quality(NamedTuple):
    """`log_evidence`: log p(y), where the prior is proper; `error` of the quadrature, relative to
    the integral; `rho`, `lam`: the logit variables between which the mass lies, (2,), zeros where
    the model has none.
    """

    log_evidence: jax.Array
    error: jax.Array
    rho: jax.Array
    lam: jax.Array


class Slice(NamedTuple):
    """The regression at one lam: b(rho) = `intercept` - rho `slope`: (k,); SSR(rho) = |`tail_y` -
    rho `tail_wy`|^2; `triangle`: (k, k).
    """

    intercept: jax.Array
    slope: jax.Array
    tail_y: jax.Array
    tail_wy: jax.Array
    triangle: jax.Array


@partial(jax.jit, static_argnames=("points", "batch"))
def sample(
    posterior: Posterior, noise: Noise, *, points: int, batch: int | None = None
) -> tuple[Draw, Quality]:
    """A draw for each row of the noise, and how good they are. `points`: 4 n + 1, of the table of
    rho, or of lam where the model has it; `batch`: values of lam worked on at a time, by default
    one, which suits a CPU.
    """
    likelihood = posterior.likelihood
    if likelihood.error is not None:
        return _with_error(posterior, likelihood.error, noise, points, batch)
    slice_ = slice_at(likelihood.moments, None)
    constant = _constant(posterior) - _log_volume(slice_)
    none = jnp.zeros(2)
    if likelihood.lag is None:
        absent = jnp.zeros(1)
        beta, sigma = _given(posterior, slice_, absent, noise.gamma, noise.beta)
        return Draw(beta, None, None, sigma), Quality(
            constant + _log_rest(posterior, slice_, absent)[0], jnp.zeros(()), none, none
        )
    table, ends = _rho_table(posterior, likelihood.lag, slice_, points), _ends(posterior)[0]
    rho = rho_at(quantile(table, noise.rho), ends, likelihood.lag.bounds)
    beta, sigma = _given(posterior, slice_, rho, noise.gamma, noise.beta)
    reach = widen(table.s[jnp.array([0, -1])], ends, likelihood.lag.bounds)
    return Draw(beta, rho, None, sigma), Quality(
        constant + table.log_integral, table.error, reach, none
    )


def _ends(posterior: Posterior) -> tuple[jax.Array | None, ...]:
    """Hard bounds of the priors of rho and lam, those that the model has."""
    prior = posterior.prior
    return (None,) * len(prior.dependence) if prior.supports is None else prior.supports.dependence


def slice_at(moments: Moments, lam: jax.Array | None) -> Slice:
    """The regression of S_lam y and S_lam W y on S_lam D. Without rho, slope and
    tail_wy are zero.
    """
    k = moments.d.shape[1]
    base_y, y = _left(moments, moments.y, moments.my, lam)
    base_wy, wy = (
        (jnp.zeros(k), None) if moments.wy is None else _left(moments, moments.wy, moments.mwy, lam)
    )
    d = moments.d if lam is None or moments.md is None else moments.d - lam * moments.md
    factor = _triangular(jnp.column_stack([d, y] if wy is None else [d, wy, y]))
    solved = solve_triangular(factor[:k, :k], factor[:k, k:])
    if wy is None:
        return Slice(
            base_y + solved[:, 0],
            base_wy,
            factor[k:, k],
            jnp.zeros(factor.shape[0] - k),
            factor[:k, :k],
        )
    return Slice(
        base_y + solved[:, 1],
        base_wy + solved[:, 0],
        factor[k:, k + 1],
        factor[k:, k],
        factor[:k, :k],
    )


def _left(
    moments: Moments, y: jax.Array, my: jax.Array | None, lam: jax.Array | None
) -> tuple[jax.Array, jax.Array]:
    """b, least squares of y on D, and S_lam (y - D b), from y and M y: small where the fit is
    tight, so that no rounding of y moves with lam.
    """
    k = moments.d.shape[1]
    if lam is None or my is None:
        return jnp.zeros(k), y
    base = solve_triangular(moments.d[:k], y[:k])
    residual = jnp.concatenate([jnp.zeros(k), y[k:]])
    return base, residual - lam * (my if moments.md is None else my - moments.md @ base)


def _triangular(columns: jax.Array) -> jax.Array:
    """R with a positive diagonal, which makes it a smooth function of lam."""
    factor = jnp.linalg.qr(columns, mode="r")
    return factor * jnp.where(jnp.diagonal(factor) < 0, -1.0, 1.0)[:, None]


def _log_volume(slice_: Slice) -> jax.Array:
    return jnp.sum(jnp.log(jnp.abs(jnp.diagonal(slice_.triangle))))


def _constant(posterior: Posterior) -> jax.Array:
    """What the density of (rho, lam) owes to neither."""
    prior, nu, k = posterior.prior, posterior.likelihood.nu, posterior.likelihood.moments.d.shape[1]
    constants = (
        prior.log_constant + prior.half_log - 0.5 * (nu - k) * jnp.log(2 * jnp.pi) - jnp.log(2.0)
    )
    return constants + gammaln(sigma_shape(posterior.likelihood, posterior.prior))


def _log_rest(posterior: Posterior, slice_: Slice, rho: jax.Array) -> jax.Array:
    """-(a0 + nu/2) log(d0 + SSR(rho)/2), at each rho: (n,)."""
    return -sigma_shape(posterior.likelihood, posterior.prior) * jnp.log(
        posterior.prior.d0 + 0.5 * _ssr(slice_, rho)
    )


def _ssr(slice_: Slice, rho: jax.Array) -> jax.Array:
    """SSR at each rho: (n,)."""
    return jnp.sum((slice_.tail_y[None] - rho[:, None] * slice_.tail_wy[None]) ** 2, axis=1)


def _rho_table(posterior: Posterior, lag: LogDet, slice_: Slice, points: int) -> Table:
    """The density of the logit of rho, on what its prior's support leaves of the admissible
    interval, at a slice.
    """
    likelihood, prior, ends = (
        posterior.likelihood,
        posterior.prior.dependence[0],
        _ends(posterior)[0],
    )

    def log_density(s: jax.Array) -> jax.Array:
        rest = _log_rest(posterior, slice_, rho_at(s, ends, lag.bounds))
        before = jax.vmap(lambda s: log_dependence(prior, s, lag.bounds, ends))(s)
        return likelihood.multiplicity * lag.at(widen(s, ends, lag.bounds)) + rest + before

    return tabulate(log_density, locate(log_density), points)


def _given(
    posterior: Posterior, slice_: Slice, rho: jax.Array, gamma: jax.Array, z: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """beta, (n, k), and sigma, (n,), at rho, (n,) or (1,), from gamma, (n,), and z, (n, k)."""
    sigma = jnp.sqrt((posterior.prior.d0 + 0.5 * _ssr(slice_, rho)) / gamma)
    noise = solve_triangular(slice_.triangle, z.T).T
    return (
        slice_.intercept[None] - rho[:, None] * slice_.slope[None] + sigma[:, None] * noise,
        sigma,
    )


def _with_error(
    posterior: Posterior, error: LogDet, noise: Noise, points: int, batch: int | None
) -> tuple[Draw, Quality]:
    """Models with lam: its marginal density from a slice at each of its values, then rho from
    quantiles kept at these values.
    """
    likelihood, prior = posterior.likelihood, posterior.prior
    lag, constant = likelihood.lag, _constant(posterior)
    first, last = _ends(posterior)[0], _ends(posterior)[-1]

    def at(s: jax.Array) -> tuple[jax.Array, tuple[Slice, jax.Array, jax.Array, jax.Array]]:
        """log p(s) of one logit variable of lam, its slice, and of rho given it quantiles at
        SCORES, the error, the ends of the mass.
        """
        slice_ = slice_at(likelihood.moments, rho_at(s, last, error.bounds))
        own = (
            constant
            + likelihood.multiplicity * error.at(widen(s, last, error.bounds))
            - _log_volume(slice_)
        )
        own += log_dependence(prior.dependence[-1], s, error.bounds, last)
        if lag is None:
            return own + _log_rest(posterior, slice_, jnp.zeros(1))[0], (
                slice_,
                jnp.zeros(len(SCORES)),
                jnp.zeros(()),
                jnp.zeros(2),
            )
        table = _rho_table(posterior, lag, slice_, CONDITIONAL)
        return own + table.log_integral, (
            slice_,
            quantile(table, ndtr(SCORES)),
            table.error,
            table.s[jnp.array([0, -1])],
        )

    def marginal(s: jax.Array) -> jax.Array:
        return jax.lax.map(lambda one: at(one)[0], s, batch_size=batch)

    ends = locate(marginal)
    nodes = jnp.linspace(*ends, points)
    value, (slices, quantiles, errors, reach) = jax.lax.map(at, nodes, batch_size=batch)
    table = tabulate(lambda _: value, ends, points)
    s = quantile(table, noise.lam)
    step = (ends[1] - ends[0]) / (points - 1)
    position = (s - nodes[0]) / step
    rho = (
        None
        if lag is None
        else rho_at(_looked_up(quantiles, position, noise.rho), first, lag.bounds)
    )
    beta, sigma = _between(
        posterior, slices, position, jnp.zeros_like(s) if rho is None else rho, noise
    )
    weight = table.density * step
    worst = table.error + jnp.sum(weight * errors)
    carried = weight > jnp.max(weight) * 1e-9
    within = jnp.array(
        [
            jnp.min(jnp.where(carried, reach[:, 0], jnp.inf)),
            jnp.max(jnp.where(carried, reach[:, 1], -jnp.inf)),
        ]
    )
    within = within if lag is None else widen(within, first, lag.bounds)
    found = Quality(table.log_integral, worst, within, widen(jnp.stack(ends), last, error.bounds))
    return Draw(beta, rho, rho_at(s, last, error.bounds), sigma), found


def _between(
    posterior: Posterior, slices: Slice, position: jax.Array, rho: jax.Array, noise: Noise
) -> tuple[jax.Array, jax.Array]:
    """beta and sigma at rho and at fractional positions among the slices of the table of lam: by
    polynomials through NEAR of these, which is a fraction of the price of a QR for every draw.
    """
    first, weights = stencil(position, slices.intercept.shape[0], NEAR)
    identity = jnp.eye(slices.triangle.shape[1])
    inverses = jax.vmap(lambda triangle: solve_triangular(triangle, identity))(slices.triangle)

    def mixed(rows: Callable[[jax.Array], jax.Array]) -> jax.Array:
        return sum(
            (weight[:, None] * rows(first + j) for j, weight in enumerate(weights)), jnp.zeros(())
        )

    residual = mixed(lambda j: slices.tail_y[j] - rho[:, None] * slices.tail_wy[j])
    sigma = jnp.sqrt((posterior.prior.d0 + 0.5 * jnp.sum(residual**2, axis=1)) / noise.gamma)
    centre = mixed(lambda j: slices.intercept[j] - rho[:, None] * slices.slope[j])
    spread = mixed(lambda j: jnp.sum(inverses[j] * noise.beta[:, None, :], axis=2))
    return centre + sigma[:, None] * spread, sigma


def _looked_up(quantiles: jax.Array, position: jax.Array, u: jax.Array) -> jax.Array:
    """Quantiles of rho given lam, (nodes, scores), at fractional nodes and uniform u, by cubics in
    both.
    """
    first, weights = stencil(position, quantiles.shape[0], 4)
    scores = (ndtri(u) - SCORES[0]) / (SCORES[1] - SCORES[0])
    second, others = stencil(scores, quantiles.shape[1], 4)
    terms = [
        weights[i] * others[j] * quantiles[first + i, second + j]
        for i in range(4)
        for j in range(4)
    ]
    return sum(terms, jnp.zeros(()))
