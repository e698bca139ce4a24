"""The scale of the errors, in NumPy: what the default priors are scaled to.

    s^2 = SSR(rho, lam) / (nu - k)     where     L(rho, lam) - (nu - k)/2 log SSR(rho, lam) - 1/2 log|D_lam' D_lam| + log |d(rho, lam)/ds|

is largest: at the mode of the logit variables s of (rho, lam) under the reference prior. A least-squares fit that ignores rho and lam has
residuals many times as large where dependence is strong; one that takes W y for a regressor has none at all where W is nearly complete,
and the likelihood itself, without the terms in k, may have no maximum there.
"""

from functools import cache
from typing import NamedTuple

import jax
import numpy as np
import scipy.optimize
from scipy.special import log_expit

from spillover.kernels.chebyshev import END
from spillover.kernels.logdet import LogDet, on_host, rho_on_host
from spillover.models.likelihood import Likelihood

SIDE = {1: 65, 2: 33}  # logit variables looked at before the search, for each of rho and lam
RANK = 1e-10  # singular values of the filtered regressors below this share of the largest are rounding
SEARCH = {"xatol": 1e-6, "fatol": 1e-5, "maxiter": 1000}  # of Nelder and Mead, in logit variables and log units


class Line(NamedTuple):
    """All rho at one lam: residuals of S_lam `y` and S_lam W y (`wy`) on S_lam D, (q,); the `rank` of S_lam D; what else depends on lam."""

    y: np.ndarray
    wy: np.ndarray
    rank: int
    rest: float

    def ssr(self, rho: np.ndarray) -> np.ndarray:
        """SSR at each rho: (m,)."""
        return ((self.y - rho[:, None] * self.wy) ** 2).sum(axis=1)


def residual_scale(likelihood: Likelihood) -> float:
    """s, the standard deviation of the errors at the mode, on nu - k degrees of freedom.

    Only this number is wanted of the mode, so that a search without derivatives does. Random effects are not looked at: pass the moments
    of the contrasts over time, with the counts of these.
    """
    host: Likelihood = jax.tree.map(np.asarray, likelihood._replace(between=None))
    has_lag, has_error = host.lag is not None, host.error is not None
    alone = cache(lambda: _line(host, None))

    def line(s: np.ndarray) -> Line:
        return _line(host, float(s[-1])) if has_error else alone()

    def profile(s: np.ndarray) -> float:
        return float(_profile(host, line(s), s[:has_lag])[0]) if (np.abs(s) <= END).all() else -np.inf

    best = np.zeros(0)
    if has_lag or has_error:
        axis = np.linspace(-END, END, SIDE[has_lag + has_error])
        lines = axis[:, None] if has_error else axis[:1, None]
        values = np.stack([_profile(host, line(at), axis if has_lag else axis[:0]) for at in lines])
        row, column = np.unravel_index(int(np.argmax(values)), values.shape)
        best = np.concatenate([axis[[column]] if has_lag else [], axis[[row]] if has_error else []])
        step = np.where(best > 0, -1, 1) * (axis[1] - axis[0])
        options = {"initial_simplex": np.vstack([best, best + np.diag(step)]), **SEARCH}
        best = scipy.optimize.minimize(lambda s: -profile(s), best, method="Nelder-Mead", options=options).x
    found = line(best)
    rho = rho_on_host(host.lag, best[:1]) if host.lag is not None else np.zeros(1)
    return float(np.sqrt(found.ssr(rho)[0] / (host.nu - found.rank)))


def _line(host: Likelihood, s: float | None) -> Line:
    """The residuals at the logit variable s of lam, None without."""
    d, _, y, wy, my, mwy = host.moments
    wy, rest = np.zeros_like(y) if wy is None else wy, 0.0
    if s is not None and host.error is not None:
        lam = float(rho_on_host(host.error, np.array([s]))[0])
        rest = float(_dependence(host, host.error, np.array([s]))[0])
        d, y, wy = d - lam * host.moments.md, y - lam * my, wy if mwy is None else wy - lam * mwy
    base, size, _ = np.linalg.svd(d, full_matrices=False)
    kept = size > RANK * size.max(initial=0.0)
    base = base[:, kept]
    ends = np.stack([y, wy])
    y, wy = ends - (ends @ base) @ base.T
    return Line(y, wy, base.shape[1], rest - float(np.log(size[kept]).sum()))


def _profile(host: Likelihood, line: Line, s: np.ndarray) -> np.ndarray:
    """The log density up to a constant, at logit variables s of rho, (m,), none without rho: (m,) or (1,)."""
    own, rho = 0.0, np.zeros(1)
    if host.lag is not None:
        own, rho = _dependence(host, host.lag, s), rho_on_host(host.lag, s)
    return line.rest + own - 0.5 * (host.nu - line.rank) * np.log(line.ssr(rho))


def _dependence(host: Likelihood, part: LogDet, s: np.ndarray) -> np.ndarray:
    """The log-determinant of S(rho) or S_lam and the slope of rho or lam, at logit variables s: (m,)."""
    return host.multiplicity * on_host(part, s) + log_expit(2 * s) + log_expit(-2 * s)
