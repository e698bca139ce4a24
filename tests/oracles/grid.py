"""Exact posteriors as `quadrature` has them, but at many (rho, lambda) at once, so that draws can
be held against them one by one.

By the normal equations and eigenvalues: sums of squares of the lagged data once, then polynomials
in (rho, lambda).
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from oracles.quadrature import panels
from oracles.transform import Problem, lag
from scipy import interpolate, stats
from scipy.special import gammaln, logsumexp


class Law(NamedTuple):
    """Of (b, sigma2) given (rho, lambda), at n of these: b ~ N(mean, sigma2 V), sigma2 ~
    InvGamma(a, d), V^-1 = `precision`, (n, k, k); `value`: log of the integral over both.
    """

    mean: np.ndarray
    precision: np.ndarray
    a: float
    d: np.ndarray
    value: np.ndarray


def law(p: Problem, rho, lam, prior, copies=1):
    """`quadrature.conditional` at the pairs (rho, lam), each (n,); all data `copies` times over."""
    Z = np.hstack([p.X, p.D])
    wy = lag(p.W, p.y, p.t)
    parts = [
        np.column_stack([Z, p.y]),
        np.column_stack([0 * Z, wy]),
        lag(p.M, np.column_stack([Z, p.y]), p.t),
    ]
    parts.append(np.column_stack([0 * Z, lag(p.M, wy, p.t)]))
    parts = [p.left_over(part) for part in parts]
    factors = np.stack([np.ones_like(rho), -rho, -lam, rho * lam])
    cross = copies * np.einsum(
        "in,jn,ijab->nab",
        factors,
        factors,
        np.array([[a.T @ b for b in parts] for a in parts]),
        optimize=True,
    )
    k, nu, V0 = Z.shape[1], copies * p.nu, np.linalg.inv(prior["V0"])
    precision, target = V0 + cross[:, :k, :k], V0 @ prior["b0"] + cross[:, :k, k]
    mean = np.linalg.solve(precision, target[..., None])[..., 0]
    a = prior["a0"] + nu / 2
    d = (
        prior["d0"]
        + (cross[:, k, k] + prior["b0"] @ V0 @ prior["b0"] - np.sum(mean * target, axis=1)) / 2
    )
    volume = sum(_volume(x, A, whole=p.right is None) for x, A in ((rho, p.W), (lam, p.M)))
    constant = (
        prior["a0"] * np.log(prior["d0"])
        - gammaln(prior["a0"])
        + gammaln(a)
        - nu / 2 * np.log(2 * np.pi)
    )
    value = constant - a * np.log(d) + copies * p.t * volume
    return Law(
        mean,
        precision,
        a,
        d,
        value + (np.linalg.slogdet(V0)[1] - np.linalg.slogdet(precision)[1]) / 2,
    )


def _volume(x, A, *, whole):
    """log|I - x A| at each x, less iota' log(I - x A) iota / N where that is not the
    whole of it.
    """
    values, vectors = np.linalg.eig(A)
    logs = np.log(1 - np.outer(x, values).astype(complex))
    if whole:
        return logs.real.sum(axis=1)
    return (
        logs @ (1 - vectors.sum(axis=0) * np.linalg.solve(vectors, np.ones(len(A))) / len(A))
    ).real


@dataclass(frozen=True)
class Grid:
    """A posterior on nodes of (rho, lam): one node 0 where the model lacks one. `weight`: (R, L),
    sums to one; the law at all R L nodes.
    """

    axes: tuple
    widths: tuple
    weight: np.ndarray
    law: Law
    log_integral: float

    @property
    def points(self):
        return tuple(axis.ravel() for axis in np.meshgrid(*self.axes, indexing="ij"))

    def cdf(self, which):
        """Distribution function of rho (0) or lam (1): the integrated spline through its density at
        the nodes.
        """
        x, density = self.axes[which], self.weight.sum(axis=1 - which) / self.widths[which]
        whole = interpolate.CubicSpline(x, density).antiderivative()
        return lambda s: (whole(s) - whole(x[0])) / (whole(x[-1]) - whole(x[0]))

    def density(self, which):
        return self.axes[which], self.weight.sum(axis=1 - which) / self.widths[which]

    @cached_property
    def _kept(self):
        w = self.weight.ravel()
        return np.flatnonzero(w > 1e-8 * w.max())

    def moments(self, which=None):
        """Mean and sd of rho (0) or lam (1)."""
        x, w = self.axes[which], self.weight.sum(axis=1 - which)
        return w @ x, np.sqrt(w @ (x - w @ x) ** 2)

    def sigma2(self):
        """Mean, sd, and distribution function at one value."""
        w, (_, _, a, d, _) = self.weight.ravel(), self.law
        mean, second = d / (a - 1), d**2 / ((a - 1) * (a - 2))
        return (
            w @ mean,
            np.sqrt(w @ second - (w @ mean) ** 2),
            lambda x: w[self._kept] @ stats.invgamma.cdf(x, a, scale=d[self._kept]),
        )

    def coefficient(self, j):
        """The same of coefficient j."""
        w, (m, precision, a, d, _) = self.weight.ravel(), self.law
        v, m, kept = np.linalg.inv(precision)[:, j, j], m[:, j], self._kept
        scale = np.sqrt(v * d / a)[kept]
        sd = np.sqrt(w @ (v * d / (a - 1) + (m - w @ m) ** 2))
        return w @ m, sd, lambda x: w[kept] @ stats.t.cdf((x - m[kept]) / scale, 2 * a)

    def correlation(self, which, j):
        """Of rho (0) or lam (1) and coefficient j."""
        x, w = self.points[which], self.weight.ravel()
        (xm, xs), (bm, bs, _) = self.moments(which), self.coefficient(j)
        return w @ ((x - xm) * (self.law.mean[:, j] - bm)) / (xs * bs)


def grid(p: Problem, bounds, prior, log_prior, size=(12, 16), copies=1, edges=None):
    """The `Grid`. bounds: one pair for each of rho, lambda present, between which all nodes lie;
    log_prior(rho, lam): log density.

    edges: of the panels as shares of the interval, equidistant unless given.
    """
    left, axes = list(bounds), []
    for there in (p.has_rho, p.has_lambda):
        axes.append(_axis(*left.pop(0), size, edges) if there else (np.zeros(1), np.ones(1)))
    (rho, wr), (lam, wl) = axes
    x, y = (axis.ravel() for axis in np.meshgrid(rho, lam, indexing="ij"))
    found = law(p, x, y, prior, copies)
    logs = found.value + log_prior(x, y) + np.log(np.outer(wr, wl)).ravel()
    total = logsumexp(logs)
    return Grid(
        (rho, lam), (wr, wl), np.exp(logs - total).reshape(len(rho), len(lam)), found, float(total)
    )


def _axis(lo, hi, size, edges):
    shares = np.linspace(0, 1, size[0] + 1) if edges is None else edges
    pieces = [
        panels(lo + (hi - lo) * a, lo + (hi - lo) * b, 1, size[1]) for a, b in pairwise(shares)
    ]
    return tuple(np.concatenate(part) for part in zip(*pieces, strict=True))
