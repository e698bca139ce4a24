"""Exact posteriors of the spatial models by quadrature over the dependence parameters. No Monte
Carlo.

Given (rho, lambda), b and sigma2 are integrated in closed form: flat b with 1/sigma2, or b | sigma2
~ N(b0, sigma2 V0) with sigma2 ~ InvGamma(a0, d0). LeSage & Pace (2009, ch. 5, 6). `evidence` gets
the marginal likelihood from a multivariate t density instead, and `evidence_direct` from the plain
joint density on a grid over all parameters.
"""

from itertools import product

import numpy as np
from oracles.gaussian import filtered, volume
from oracles.impact import impacts_map
from oracles.transform import Problem, expanded
from scipy import interpolate, optimize, stats
from scipy.special import gammaln, logsumexp

LEVELS = (0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975)


def panels(lo, hi, count, order):
    """Composite Gauss-Legendre nodes and weights on (lo, hi)."""
    x, w = np.polynomial.legendre.leggauss(order)
    edges = np.linspace(lo, hi, count + 1)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half + half * x).ravel(), (half * w).ravel()


def conditional(p: Problem, rho, lam, prior=None):
    """Law of (b, sigma2) given (rho, lambda): mean m, V (cov = sigma2 V), a_n, d_n of the inverse
    gamma, log of the integral over both.

    prior: None (flat b, 1/sigma2) or dict b0, V0, a0, d0 over the coefficients of [X, D].
    """
    y, X, D = filtered(p, rho, lam)
    Z = np.hstack([X, D])
    k = Z.shape[1]
    if prior is None:
        Q, R = np.linalg.qr(Z)
        m = np.linalg.solve(R, Q.T @ y)
        Ri = np.linalg.inv(R)
        V, a, d = Ri @ Ri.T, (p.nu - k) / 2, np.sum((y - Z @ m) ** 2) / 2
        constant = -0.5 * (p.nu - k) * np.log(2 * np.pi) - np.log(np.abs(np.diag(R))).sum()
    else:
        V0, b0 = np.linalg.inv(prior["V0"]), prior["b0"]
        V = np.linalg.inv(V0 + Z.T @ Z)
        m = V @ (V0 @ b0 + Z.T @ y)
        a = prior["a0"] + p.nu / 2
        d = prior["d0"] + (np.sum((y - Z @ m) ** 2) + (m - b0) @ V0 @ (m - b0)) / 2
        constant = (
            -0.5 * p.nu * np.log(2 * np.pi)
            + 0.5 * np.linalg.slogdet(V)[1]
            + 0.5 * np.linalg.slogdet(V0)[1]
            + prior["a0"] * np.log(prior["d0"])
            - gammaln(prior["a0"])
        )
    return m, V, a, d, constant + gammaln(a) - a * np.log(d) + volume(p, rho, lam)


def _axes(p, bounds, size):
    """Nodes and log weights of each of (rho, lambda); a single node 0 where the parameter is
    absent.
    """
    bounds = iter(bounds)
    out = []
    for there in (p.has_rho, p.has_lambda):
        x, w = panels(*next(bounds), *size) if there else (np.zeros(1), np.ones(1))
        out.append((x, np.log(w)))
    return out


def uniform(bounds):
    """Log density of the uniform prior on the box of the dependence parameters."""
    constant = -sum(np.log(hi - lo) for lo, hi in bounds)
    return lambda rho, lam: constant


def _bounds(p, bounds):
    """(-1, 1) for each dependence parameter present, if not given; otherwise one pair for each."""
    count = p.has_rho + p.has_lambda
    bounds = [(-1.0, 1.0)] * count if bounds is None else list(bounds)
    if len(bounds) != count:
        raise ValueError(f"{count} dependence parameters, {len(bounds)} bounds")
    return bounds


def posterior(p: Problem, bounds=None, prior=None, log_prior=None, k=None, size=None):
    """Moments of the exact posterior.

    bounds: one (lo, hi) for each of rho, lambda present, (-1, 1) if not given. log_prior(rho, lam):
    log density of the prior on them, uniform if not given. k: number of the user's regressors, to
    get impacts (the map depends on rho only). size: (panels, order) of the quadrature of each axis.
    Returns a dict: names, nu, log_integral, spatial_{mean, sd, quantiles, cov}, b_{mean, sd, cov},
    cov_spatial_b, corr_spatial_b, sigma2_{mean, sd} and, with k, impacts_{mean, sd} (k, 3). b
    excludes the dummies of p.D.
    """
    present = [n for n, there in (("rho", p.has_rho), ("lambda", p.has_lambda)) if there]
    size = size or ((12, 16) if len(present) == 2 else (100, 20))
    bounds = _bounds(p, bounds)
    log_prior = log_prior or uniform(bounds)
    (rhos, wr), (lams, wl) = _axes(p, bounds, size)
    q = p.X.shape[1]
    points, rows, maps = [], [], []
    for rho, lr in zip(rhos, wr, strict=True):
        L = impacts_map(p, rho, k) if k else None
        for lam, ll in zip(lams, wl, strict=True):
            m, V, a, d, value = conditional(p, rho, lam, prior)
            rows.append(
                (
                    lr + ll + value + log_prior(rho, lam),
                    m[:q],
                    V[:q, :q],
                    d / (a - 1),
                    d**2 / ((a - 1) ** 2 * (a - 2)),
                )
            )
            points.append((rho, lam))
            maps.append(L)
    logw, m, V, s2, vs2 = (np.array(c) for c in zip(*rows, strict=True))
    total = logsumexp(logw)
    w = np.exp(logw - total)
    x = np.array(points)[:, [i for i, there in enumerate((p.has_rho, p.has_lambda)) if there]]
    out = {"names": present, "nu": p.nu, "log_integral": float(total)} | _moments(
        w, x, m, V, s2, vs2
    )
    out["spatial_quantiles"] = _quantiles(
        present, (rhos, wr), (lams, wl), w.reshape(len(rhos), len(lams)), bounds
    )
    return out | (_impact_moments(w, np.array(maps), m, V, s2, k) if k else {})


def _moments(w, x, m, V, s2, vs2):
    """Means and covariances by the laws of total expectation and variance."""
    xm, bm, sm = w @ x, w @ m, w @ s2
    xc, bc = (
        (x - xm).T * w @ (x - xm),
        (m - bm).T * w @ (m - bm) + np.einsum("i,iab->ab", w * s2, V),
    )
    cross = (x - xm).T * w @ (m - bm)
    xs, bs = np.sqrt(np.diag(xc)), np.sqrt(np.diag(bc))
    return {
        "spatial_mean": xm,
        "spatial_sd": xs,
        "spatial_cov": xc,
        "b_mean": bm,
        "b_sd": bs,
        "b_cov": bc,
        "cov_spatial_b": cross,
        "corr_spatial_b": cross / np.outer(xs, bs),
        "sigma2_mean": float(sm),
        "sigma2_sd": float(np.sqrt(w @ (vs2 + (s2 - sm) ** 2))),
    }


def _impact_moments(w, L, m, V, s2, k):
    point = np.einsum("iab,ib->ia", L, m)
    mean = w @ point
    variance = w @ ((point - mean) ** 2 + s2[:, None] * np.einsum("iab,ibc,iac->ia", L, V, L))
    return {"impacts_mean": mean.reshape(k, 3), "impacts_sd": np.sqrt(variance).reshape(k, 3)}


def _quantiles(present, rho, lam, w, bounds):
    """(number present, number of LEVELS): inverse of the integrated spline through the marginal
    density at the nodes.
    """
    out = []
    for (x, logw), mass, (lo, hi) in zip(
        [a for a, n in ((rho, "rho"), (lam, "lambda")) if n in present],
        [w.sum(1 - i) for i, n in enumerate(("rho", "lambda")) if n in present],
        bounds,
        strict=True,
    ):
        cdf = interpolate.CubicSpline(x, mass / np.exp(logw)).antiderivative()
        targets = cdf(lo) + np.array(LEVELS) * (cdf(hi) - cdf(lo))
        out.append(
            [
                optimize.brentq(lambda v, u=u, cdf=cdf: cdf(v) - u, lo, hi, xtol=1e-14)
                for u in targets
            ]
        )
    return np.array(out)


def evidence(p: Problem, prior, bounds=None, log_prior=None, size=(20, 10)):
    """Log marginal likelihood with a proper conjugate prior, with b and sigma2 integrated by the
    definition of the multivariate t:

    y | rho, lambda ~ t_{2 a0}( A^-1 X_lambda b0, (d0/a0) A^-1 (I + X_lambda V0 X_lambda') A^-T ),
    A = S_lambda S_rho.
    """
    if p.D.shape[1]:
        raise ValueError("explicit dummies have flat coefficients: no marginal likelihood")
    p, bounds = expanded(p) if p.t > 1 else p, _bounds(p, bounds)
    log_prior = log_prior or uniform(bounds)
    eye, terms = np.eye(p.nu), []
    for (rho, lr), (lam, ll) in product(
        *(zip(x, w, strict=True) for x, w in _axes(p, bounds, size))
    ):
        S, L = eye - rho * p.W, eye - lam * p.M
        A, XL = np.linalg.inv(L @ S), L @ p.X
        shape = prior["d0"] / prior["a0"] * A @ (eye + XL @ prior["V0"] @ XL.T) @ A.T
        density = stats.multivariate_t(
            A @ XL @ prior["b0"], (shape + shape.T) / 2, df=2 * prior["a0"], allow_singular=True
        ).logpdf(p.y)
        terms.append(lr + ll + log_prior(rho, lam) + density)
    return float(logsumexp(terms))


def evidence_direct(p: Problem, prior, bounds=None, log_prior=None, size=((6, 10), 120, 50)):
    """The same for tiny problems by summing likelihood x prior on a grid over rho or lambda, log
    sigma2 and every coefficient (one or two).

    The conjugate posterior only places the grid. size: quadrature of the dependence parameter,
    points in log sigma2, points a coefficient.
    """
    bounds = _bounds(p, bounds)
    log_prior = log_prior or uniform(bounds)
    z, wz = panels(-10.0, 10.0, 1, size[2])
    k = p.X.shape[1]
    Zs = np.array(list(product(z, repeat=k)))
    logwz = np.array([sum(c) for c in product(np.log(wz), repeat=k)])
    V0, terms = np.linalg.inv(prior["V0"]), []
    for (rho, lr), (lam, ll) in product(
        *(zip(x, w, strict=True) for x, w in _axes(p, bounds, size[0]))
    ):
        y, X, _ = filtered(p, rho, lam)
        m, V, a, d, _ = conditional(p, rho, lam, prior)
        C = np.linalg.cholesky(V)
        u, wu = panels(np.log(d / a) - 5.0, np.log(d / a) + 40.0 / a + 5.0, 1, size[1])
        for logs2, lw in zip(u, np.log(wu), strict=True):
            s2 = np.exp(logs2)
            b = m + np.sqrt(s2) * Zs @ C.T
            fit = (
                -0.5 * p.nu * np.log(2 * np.pi * s2)
                - np.sum((y[:, None] - X @ b.T) ** 2, axis=0) / (2 * s2)
                + volume(p, rho, lam)
            )
            gap = b - prior["b0"]
            on_b = (
                -0.5 * k * np.log(2 * np.pi * s2)
                + 0.5 * np.linalg.slogdet(V0)[1]
                - np.einsum("ia,ab,ib->i", gap, V0, gap) / (2 * s2)
            )
            on_s2 = stats.invgamma.logpdf(s2, prior["a0"], scale=prior["d0"]) + logs2
            jacobian = 0.5 * k * logs2 + np.log(np.diag(C)).sum()
            terms.append(
                logsumexp(fit + on_b + logwz)
                + on_s2
                + jacobian
                + lw
                + lr
                + ll
                + log_prior(rho, lam)
            )
    return float(logsumexp(terms))
