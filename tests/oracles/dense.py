"""Brute-force oracle: log-determinants and leave-one-out by explicit inverses, and the names of the
other oracle modules.
"""

import numpy as np
from oracles.gaussian import (
    error_scale,
    expected_information,
    gls,
    information_random,
    interval,
    loglik,
    loglik_mvn,
    loglik_random,
    mean_log,
    ml,
    observed_information,
    optima,
    residual,
    score,
    score_random,
    slogdet_S,
)
from oracles.hostile import hostile
from oracles.impact import impacts, impacts_map, impacts_se, unit_impacts
from oracles.quadrature import LEVELS, evidence, evidence_direct, posterior
from oracles.transform import (
    EFFECTS,
    MODELS,
    Problem,
    basis,
    closed,
    contrasts,
    demeaner,
    dummies,
    expanded,
    lag,
    lagged_columns,
    problem,
    row_standardised,
    split,
    transformed,
)

__all__ = [
    "EFFECTS",
    "LEVELS",
    "MODELS",
    "Problem",
    "basis",
    "closed",
    "contrasts",
    "demeaner",
    "dlogdet",
    "dummies",
    "error_scale",
    "evidence",
    "evidence_direct",
    "expanded",
    "expected_information",
    "gls",
    "hostile",
    "impacts",
    "impacts_map",
    "impacts_se",
    "information_random",
    "interval",
    "lag",
    "lagged_columns",
    "logdet",
    "loglik",
    "loglik_mvn",
    "loglik_random",
    "loo",
    "loo_random",
    "mean_log",
    "ml",
    "observed_information",
    "optima",
    "posterior",
    "problem",
    "residual",
    "row_standardised",
    "score",
    "score_random",
    "split",
    "transformed",
    "unit_impacts",
]


def logdet(rho, W):
    """log det(I - rho W) by a dense factorisation."""
    return slogdet_S(rho, W)


def dlogdet(rho, W):
    """Its derivative, -tr(S^-1 W)."""
    return -np.trace(np.linalg.inv(np.eye(len(W)) - rho * W) @ W)


def _kriging(y, mean, cov, U, i):
    """Law of y_i given the others when y = mean + U a + noise, a flat: mean and variance of the
    best unbiased prediction.
    """
    rest = np.arange(len(y)) != i
    K = np.linalg.inv(cov[np.ix_(rest, rest)])
    weights = cov[i, rest] @ K
    r = (y - mean)[rest]
    guess, variance = mean[i] + weights @ r, cov[i, i] - weights @ cov[rest, i]
    if U.shape[1]:
        gap = U[i] - weights @ U[rest]
        P = np.linalg.pinv(U[rest].T @ K @ U[rest], hermitian=True)
        a = P @ U[rest].T @ K @ r
        guess, variance = guess + gap @ a, variance + gap @ P @ gap
    return guess, variance


def _loo(y, mean, cov, U):
    law = np.array([_kriging(y, mean, cov, U, i) for i in range(len(y))])
    density = -0.5 * (np.log(2 * np.pi * law[:, 1]) + (y - law[:, 0]) ** 2 / law[:, 1])
    return density, law[:, 0], law[:, 1]


def loo(p, b, sigma2, rho=0.0, lam=0.0, xi=None):
    """Leave-one-out log predictive densities, means and variances (each (N T,)) of the raw y, given
    the parameters.

    The reduced-form effects are flat: for each i, the joint normal of the N T raw rows is
    partitioned, and the effects are estimated without i. xi: coefficients of p.raw_D (explicit
    dummies), where there are any. For kind="transformed" problems.
    """
    N, T = len(p.raw_W), p.T
    S, L = np.eye(N) - rho * p.raw_W, np.eye(N) - lam * p.raw_M
    mean = np.kron(np.eye(T), np.linalg.inv(S)) @ (
        p.raw_X @ b + (p.raw_D @ xi if p.raw_D.shape[1] else 0.0)
    )
    A = np.linalg.inv(L @ S)
    return _loo(p.raw_y, mean, np.kron(np.eye(T), sigma2 * A @ A.T), p.flat)


def loo_random(y, X, W, b, sigma2, phi, rho=0.0, lam=0.0, T=1, M=None):
    """The same with random unit effects, alpha ~ N(0, phi sigma2 I), inside the error process."""
    N = len(W)
    S, L = np.eye(N) - rho * W, np.eye(N) - lam * (W if M is None else M)
    A = np.linalg.inv(L @ S)
    cov = np.kron(np.eye(T) + phi * np.ones((T, T)), sigma2 * A @ A.T)
    return _loo(y, np.kron(np.eye(T), np.linalg.inv(S)) @ (X @ b), cov, np.zeros((N * T, 0)))
