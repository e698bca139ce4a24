"""Posteriors under any prior, hard bounds included: independent draws under the flat one, weighted
by the ratio of the two.
"""

from dataclasses import dataclass

import numpy as np
from oracles.quadrature import _axes, conditional
from oracles.transform import Problem


@dataclass(frozen=True)
class Weighted:
    """Draws by name, and their weights, which sum to one."""

    draws: dict
    weight: np.ndarray

    def mean(self, name):
        """The mean and its standard error."""
        x, w = self.draws[name], self.weight
        mean = w @ x
        return mean, np.sqrt(w**2 @ (x - mean) ** 2)

    def sd(self, name):
        """The standard deviation and its standard error."""
        x, w = self.draws[name], self.weight
        square = (x - w @ x) ** 2
        variance = w @ square
        return np.sqrt(variance), np.sqrt(w**2 @ (square - variance) ** 2) / (2 * np.sqrt(variance))


def draws(p: Problem, bounds, log_prior, size=200_000, nodes=(12, 10), seed=0):
    """The posterior of coefficients "0", "1", ..., of "sigma", "rho" and "lambda" with independent
    errors of its moments.

    bounds: one pair for each of rho, lambda present, outside which the prior is zero; they are
    drawn from the nodes of a quadrature, the rest from their law given these, under 1/sigma2 and
    flat b. log_prior(b, sigma, rho, lam): log density of (b, sigma, rho, lam), for arrays of draws
    (size, k), (size,); minus infinity where it is zero.
    """
    rng = np.random.default_rng(seed)
    (rhos, wr), (lams, wl) = _axes(p, bounds, nodes)
    laws = [[conditional(p, rho, lam) for lam in lams] for rho in rhos]
    logs = np.array([[law[-1] for law in row] for row in laws]) + wr[:, None] + wl
    share = np.exp(logs - logs.max()).ravel()
    chosen = np.sort(rng.choice(share.size, size=size, p=share / share.sum()))
    flat = [law for row in laws for law in row]
    k = p.X.shape[1]
    b, sigma = np.empty((size, k)), np.empty(size)
    for node in np.unique(chosen):
        m, V, a, d, _ = flat[node]
        here = np.flatnonzero(chosen == node)
        sigma[here] = np.sqrt(d / rng.gamma(a, size=len(here)))
        b[here] = (
            m
            + sigma[here, None]
            * (rng.standard_normal((len(here), len(m))) @ np.linalg.cholesky(V).T)
        )[:, :k]
    rho, lam = rhos[chosen // len(lams)], lams[chosen % len(lams)]
    with np.errstate(divide="ignore"):
        log = log_prior(b, sigma, rho, lam) + np.log(sigma)  # the flat prior is 1 / sigma in sigma
    weight = np.exp(log - log.max())
    found = {str(j): b[:, j] for j in range(k)} | {"sigma": sigma}
    found |= {
        name: values
        for name, values, there in (("rho", rho, p.has_rho), ("lambda", lam, p.has_lambda))
        if there
    }
    return Weighted(found, weight / weight.sum())
