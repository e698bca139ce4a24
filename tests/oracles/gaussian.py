"""Exact Gaussian log-likelihoods and maximum likelihood of the spatial models, by dense algebra on
a transform.Problem.
"""

import warnings
from functools import lru_cache

import numpy as np
from oracles.transform import Problem, expanded, lag
from scipy import linalg, optimize, stats


def slogdet_S(rho, W):
    """log det(I - rho W); the determinant must be positive."""
    sign, value = np.linalg.slogdet(np.eye(len(W)) - rho * W)
    if sign <= 0:
        raise ValueError("det(I - rho W) is not positive: outside the admissible interval")
    return value


def filtered(p: Problem, rho, lam):
    """S_lambda S_rho y, S_lambda X, S_lambda D, less the effects inside the error process."""
    sy = p.y - rho * lag(p.W, p.y, p.t)
    return tuple(p.left_over(z - lam * lag(p.M, z, p.t)) for z in (sy, p.X, p.D))


def mean_log(rho, W):
    """iota' log(I - rho W) iota / N, by the matrix's logarithm."""
    return (
        0.0 if rho == 0 else _mean_log(float(rho), np.ascontiguousarray(W, float).tobytes(), len(W))
    )


@lru_cache(maxsize=4096)
def _mean_log(rho, key, n):
    W = np.frombuffer(key).reshape(n, n)
    with warnings.catch_warnings():
        # next to a defective eigenvalue it is good to 1e-11 only
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(np.real(linalg.logm(np.eye(len(W)) - rho * W)).sum() / len(W))


def volume(p: Problem, rho, lam):
    """log|S_rho| + log|S_lambda| over all blocks; tr(Q log S) in each of these, Q = I - J/N, where
    the effects leave after the filters.
    """
    whole = slogdet_S(rho, p.W) + slogdet_S(lam, p.M)
    return p.t * (whole if p.right is None else whole - mean_log(rho, p.W) - mean_log(lam, p.M))


def trace(p: Problem, value, A):
    """-d volume / d value / t: tr(G), G = A (I - value A)^-1, on what the effects leave."""
    G = np.linalg.solve(np.eye(len(A)) - value * A, A)
    return np.trace(G) if p.right is None else np.trace(G) - G.sum() / len(A)


def residual(p: Problem, b, rho, lam, xi=None):
    """e = S_lambda (S_rho y - X b - D xi); xi, if not given, is the least-squares one."""
    y, X, D = filtered(p, rho, lam)
    r = y - X @ b
    if D.shape[1]:
        r = r - D @ (np.linalg.lstsq(D, r, rcond=None)[0] if xi is None else xi)
    return r


def loglik(p: Problem, b, sigma2, rho=0.0, lam=0.0, xi=None):
    """-(nu/2) log(2 pi sigma2) + log|S_rho| + log|S_lambda| - e'e / (2 sigma2)."""
    e = residual(p, b, rho, lam, xi)
    return -0.5 * p.nu * np.log(2 * np.pi * sigma2) + volume(p, rho, lam) - e @ e / (2 * sigma2)


def loglik_mvn(p: Problem, b, sigma2, rho=0.0, lam=0.0, xi=None):
    """The same number from the definition: the density of y ~ N(S^-1 (X b + D xi), sigma2 (S_lambda
    S)^-1 (S_lambda S)^-T).
    """
    p = expanded(p) if p.t > 1 else p
    S, L = np.eye(p.nu) - rho * p.W, np.eye(p.nu) - lam * p.M
    mean = np.linalg.solve(S, p.X @ b + (p.D @ xi if p.D.shape[1] else 0.0))
    A = np.linalg.inv(L @ S)
    return stats.multivariate_normal(mean, sigma2 * A @ A.T).logpdf(p.y)


def loglik_random(y, X, W, b, sigma2, phi, rho=0.0, lam=0.0, T=1, M=None):
    """Random unit effects inside the error process: u_t = lambda M u_t + alpha + e_t, alpha ~ N(0,
    phi sigma2 I); X (N T, k) as it enters.

    Kapoor, Kelejian & Prucha (2007). The density of the raw y (N T,) with its explicit covariance.
    """
    N = len(W)
    M = W if M is None else M
    inner = np.kron(np.eye(T) + phi * np.ones((T, T)), np.eye(N))
    A = np.linalg.inv(np.kron(np.eye(T), (np.eye(N) - lam * M) @ (np.eye(N) - rho * W)))
    mean = np.linalg.solve(np.kron(np.eye(T), np.eye(N) - rho * W), X @ b)
    return stats.multivariate_normal(mean, sigma2 * A @ inner @ A.T).logpdf(y)


def score_random(y, X, W, b, sigma, spread, rho=0.0, lam=0.0, T=1, M=None):
    """The gradient of that density in (b, rho, lambda, sigma_alpha, sigma), written out on the data
    rotated over time: the T - 1 contrasts of a unit have variance sigma^2, its scaled mean sigma^2
    + T sigma_alpha^2. Takes complex parameters.
    """
    N, M = len(W), W if M is None else M
    H = np.vstack([np.full(T, T**-0.5), linalg.helmert(T)])
    y, X = (np.einsum("st,tn...->sn...", H, a.reshape(T, N, *a.shape[1:])) for a in (y, X))
    L = np.eye(N) - lam * M
    r = y - rho * y @ W.T - X @ b
    e = r @ L.T
    v = sigma**2 + np.where(np.arange(T) == 0, T * spread**2, 0.0)
    scaled = e / v[:, None]
    by_v = 0.5 * ((e**2).sum(axis=1) / v**2 - N / v)
    return np.concatenate(
        [
            np.einsum("sn,snk->k", scaled, np.einsum("mn,snk->smk", L, X)),
            [
                np.sum(scaled * (y @ W.T @ L.T))
                - T * np.trace(np.linalg.solve(np.eye(N) - rho * W, W))
            ],
            [np.sum(scaled * (r @ M.T)) - T * np.trace(np.linalg.solve(L, M))],
            [2 * T * spread * by_v[0], 2 * sigma * by_v.sum()],
        ]
    )


def information_random(y, X, W, b, sigma, spread, rho=0.0, lam=0.0, T=1, M=None):
    """Minus the Hessian in the same parameters, by complex steps of the gradient."""
    k, at = X.shape[1], np.concatenate([b, [rho, lam, spread, sigma]]).astype(complex)

    def slope(v):
        return score_random(y, X, W, v[:k], v[-1], v[-2], v[k], v[k + 1], T, M)

    return -np.array([slope(at + 1e-30j * row).imag / 1e-30 for row in np.eye(len(at))])


def gls(p: Problem, rho, lam):
    """Given (rho, lambda): coefficients of [X, D], residual e, sigma2 = e'e/nu, and the
    concentrated log-likelihood.
    """
    y, X, D = filtered(p, rho, lam)
    Z = np.hstack([X, D])
    coef = np.linalg.lstsq(Z, y, rcond=None)[0]
    e = y - Z @ coef
    sigma2 = e @ e / p.nu
    value = -0.5 * p.nu * (np.log(2 * np.pi * sigma2) + 1) + volume(p, rho, lam)
    return coef, e, sigma2, value


def error_scale(p: Problem, bounds):
    """sqrt(SSR / (nu - k)) at the mode of the logit variables of (rho, lambda) under the prior 1 /
    sigma^2, all else uniform.
    """
    k = p.X.shape[1] + p.D.shape[1]
    lower, upper = np.array(bounds).reshape(-1, 2).T

    def at(s):
        values = lower + (upper - lower) / (1 + np.exp(-2 * s))
        rho, lam = _unpack(p, values)
        _, X, D = filtered(p, rho, lam)
        e = gls(p, rho, lam)[1]
        half = 0.5 * np.linalg.slogdet(np.hstack([X, D]).T @ np.hstack([X, D]))[1]
        return (
            volume(p, rho, lam)
            - 0.5 * (p.nu - k) * np.log(e @ e)
            - half
            + np.log((values - lower) * (upper - values)).sum(),
            e @ e,
        )

    if not bounds:
        return np.sqrt(at(np.zeros(0))[1] / (p.nu - k))
    axis = np.linspace(-6, 6, 61)
    grid = np.stack(np.meshgrid(*[axis] * len(bounds), indexing="ij"), axis=-1).reshape(
        -1, len(bounds)
    )
    start = max(grid, key=lambda s: at(s)[0])
    best = optimize.minimize(
        lambda s: -at(s)[0], start, method="Powell", options={"xtol": 1e-9, "ftol": 1e-14}
    ).x
    return np.sqrt(at(best)[1] / (p.nu - k))


def score(p: Problem, v):
    """Gradient of the concentrated log-likelihood in the dependence parameters v present (rho,
    lambda), by the envelope theorem.
    """
    rho, lam = _unpack(p, v)
    coef, e, sigma2, _ = gls(p, rho, lam)
    Wy = lag(p.W, p.y, p.t)
    out = []
    if p.has_rho:
        out.append(
            e @ p.left_over(Wy - lam * lag(p.M, Wy, p.t)) / sigma2 - p.t * trace(p, rho, p.W)
        )
    if p.has_lambda:
        r = p.y - rho * Wy - np.hstack([p.X, p.D]) @ coef
        out.append(e @ p.left_over(lag(p.M, r, p.t)) / sigma2 - p.t * trace(p, lam, p.M))
    return np.array(out)


def _unpack(p, v):
    v = list(v)
    rho = v.pop(0) if p.has_rho else 0.0
    return rho, v.pop(0) if p.has_lambda else 0.0


def _starts(p, bounds, size):
    """Grid points whose concentrated log-likelihood is not below any neighbour's."""
    axes = [lo + (hi - lo) * (np.arange(size) + 0.5) / size for lo, hi in bounds]
    grid = np.array(np.meshgrid(*axes, indexing="ij")).reshape(len(bounds), -1).T
    values = np.array([gls(p, *_unpack(p, v))[3] for v in grid]).reshape([size] * len(bounds))
    padded = np.pad(values, 1, constant_values=-np.inf)
    for at in np.ndindex(*values.shape):
        window = padded[tuple(slice(i, i + 3) for i in at)]
        if values[at] >= window.max():
            yield grid[np.ravel_multi_index(at, values.shape)]


def optima(p: Problem, bounds, size=25):
    """All local maxima found: list of (value, v), best first. The generic optimiser first, then a
    root of the score.
    """
    found = []
    for start in _starts(p, bounds, size):
        inside = [(lo + 1e-7 * (hi - lo), hi - 1e-7 * (hi - lo)) for lo, hi in bounds]
        rough = optimize.minimize(
            lambda v: -gls(p, *_unpack(p, v))[3],
            start,
            jac=lambda v: -score(p, v),
            bounds=inside,
            method="L-BFGS-B",
        )
        v = optimize.root(lambda v: score(p, v), rough.x, tol=1e-15).x
        if (
            not all(lo < a < hi for a, (lo, hi) in zip(v, bounds, strict=True))
            or np.abs(score(p, v)).max() > 1e-6 * p.nu
        ):
            v = rough.x
        if all(np.abs(v - w).max() > 1e-6 for _, w in found):
            found.append((gls(p, *_unpack(p, v))[3], v))
    return sorted(found, key=lambda f: -f[0])


def observed_information(p: Problem, coef, sigma2, rho, lam):
    """Minus the Hessian of the log-likelihood in (b, xi, rho, lambda, sigma2), from the derivatives
    of e = S_lambda (S y - Z coef).
    """
    eye = np.eye(len(p.W))

    def Ml(z):
        return lag(p.M, z, p.t)

    Z, Wy = np.hstack([p.X, p.D]), lag(p.W, p.y, p.t)
    r = p.y - rho * Wy - Z @ coef
    e = p.left_over(r - lam * Ml(r))
    k = Z.shape[1]
    J = p.left_over(np.column_stack([-(Z - lam * Ml(Z)), -(Wy - lam * Ml(Wy)), -Ml(r)]))
    H = J.T @ J / sigma2
    # d2e / d(coef, rho) d(lambda) = M Z, M W y
    cross = e @ p.left_over(np.column_stack([Ml(Z), Ml(Wy)])) / sigma2
    H[: k + 1, k + 1] += cross
    H[k + 1, : k + 1] += cross
    for at, A, a in ((k, p.W, rho), (k + 1, p.M, lam)):
        G = np.linalg.solve(eye - a * A, A)
        H[at, at] += p.t * (np.trace(G @ G) - (0 if p.right is None else (G @ G).sum() / len(A)))
    full = np.zeros((k + 3, k + 3))
    full[:-1, :-1] = H
    full[:-1, -1] = full[-1, :-1] = -(e @ J) / sigma2**2
    full[-1, -1] = e @ e / sigma2**3 - p.nu / (2 * sigma2**2)
    return full


def expected_information(p: Problem, coef, sigma2, rho, lam):
    """Its expectation under the model; G = W S^-1 in the error's coordinates. Anselin (1988, ch.
    6).
    """
    eye = np.eye(len(p.W))
    S, L = eye - rho * p.W, eye - lam * p.M
    Z = np.hstack([p.X, p.D])
    k = Z.shape[1]
    G = L @ p.W @ np.linalg.inv(S) @ np.linalg.inv(L)
    H = p.M @ np.linalg.inv(L)
    ZL = lag(L, Z, p.t)
    shift = lag(L @ np.linalg.solve(S, p.W), Z @ coef, p.t)
    J = np.column_stack([ZL, shift])
    full = np.zeros((k + 3, k + 3))
    full[: k + 1, : k + 1] = J.T @ J / sigma2
    full[k, k] += p.t * (np.trace(G @ G) + np.sum(G * G))
    full[k, k + 1] = full[k + 1, k] = p.t * (np.trace(H @ G) + np.sum(G * H))
    full[k + 1, k + 1] = p.t * (np.trace(H @ H) + np.sum(H * H))
    full[k, -1] = full[-1, k] = p.t * np.trace(G) / sigma2
    full[k + 1, -1] = full[-1, k + 1] = p.t * np.trace(H) / sigma2
    full[-1, -1] = p.nu / (2 * sigma2**2)
    return full


def _covariance(p, information):
    """Inverse over the parameters present, in the order (b, rho, lambda, sigma2); the dummies' rows
    are left out after inversion.
    """
    k, q = p.X.shape[1], p.D.shape[1]
    present = list(range(k + q)) + [k + q] * p.has_rho + [k + q + 1] * p.has_lambda + [k + q + 2]
    sub = information[np.ix_(present, present)]
    scale = np.sqrt(np.diag(sub))  # equilibrate: sigma2 and b have very different units
    cov = np.linalg.inv(sub / np.outer(scale, scale)) / np.outer(scale, scale)
    out = [i for i in range(len(present)) if not k <= i < k + q]
    return cov[np.ix_(out, out)]


def ml(p: Problem, bounds=None, size=25):
    """Maximum likelihood. bounds: one (lo, hi) for each of rho, lambda present; default the
    admissible intervals of p.raw_W, p.raw_M.

    Returns a dict: b (p,), xi, rho, lambda, sigma2, loglik, max_score, cov_observed and
    cov_expected over (b, rho, lambda, sigma2), se_observed, se_expected, optima (all local maxima
    found: value and position).
    """
    if bounds is None:
        bounds = [
            interval(A) for A, there in ((p.raw_W, p.has_rho), (p.raw_M, p.has_lambda)) if there
        ]
    found = optima(p, bounds, size) if bounds else [(gls(p, 0.0, 0.0)[3], np.zeros(0))]
    v = found[0][1]
    rho, lam = _unpack(p, v)
    coef, _, sigma2, value = gls(p, rho, lam)
    k = p.X.shape[1]
    covs = {
        name: _covariance(p, f(p, coef, sigma2, rho, lam))
        for name, f in (("observed", observed_information), ("expected", expected_information))
    }
    out = {
        "b": coef[:k],
        "xi": coef[k:],
        "rho": rho,
        "lambda": lam,
        "sigma2": sigma2,
        "loglik": value,
        "max_score": float(np.abs(score(p, v)).max()) if bounds else 0.0,
        "optima": found,
    }
    for name, cov in covs.items():
        variance = np.diag(cov)
        # negative: not an interior maximum
        out["cov_" + name], out["se_" + name] = (
            cov,
            np.sqrt(np.where(variance > 0, variance, np.nan)),
        )
    return out


def interval(W, tol=1e-7):
    """(1/w_min, 1/w_max) of the extreme real eigenvalues; where one is missing, minus or plus one
    over the spectral radius.
    """
    w = np.linalg.eigvals(W)
    radius = np.abs(w).max()
    if radius < tol:
        raise ValueError("spectral radius 0: bounds must be given")
    real = w.real[np.abs(w.imag) < tol * radius]
    low = 1 / real.min() if real.size and real.min() < -tol * radius else -1 / radius
    return low, 1 / real.max() if real.size and real.max() > tol * radius else 1 / radius
