"""Every model on every hostile W, as the package assembles it beside the oracle's dense problem, in
double precision.
"""

from dataclasses import replace
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sparse
from oracles import dense
from oracles.hostile import knn, row_standardise

from spillover.kernels import logdet, moments, multiplier, spectrum
from spillover.models.effects import Transformation, choose_transformation, factorize
from spillover.models.likelihood import Likelihood
from spillover.models.spec import Spec

HOSTILE = {name: W for name, (W, _) in dense.hostile().items()}
PERIODS = 3
ACYCLIC = (-2.0, 2.5)  # no eigenvalue bounds rho there
LENGTH = 448  # series are padded to multiples of this, so that each model is compiled once or twice


class Case(NamedTuple):
    """The oracle's problem, and what the package makes of the same rows."""

    problem: dense.Problem
    effects: Transformation
    columns: np.ndarray
    factor: np.ndarray
    parts: tuple
    likelihood: Likelihood

    @property
    def bounds(self):
        """Bounds of the dependence parameters that the model has."""
        return [
            tuple(np.asarray(part.bounds).tolist())
            for part in (self.likelihood.lag, self.likelihood.error)
            if part is not None
        ]

    def named(self, values):
        """(rho, lam) for the package (None where absent) and for the oracle (0 where absent)."""
        left = list(values)
        rho = left.pop(0) if self.problem.has_rho else None
        lam = left.pop(0) if self.problem.has_lambda else None
        return (rho, lam), tuple(0.0 if value is None else value for value in (rho, lam))

    def inside(self, *shares):
        """Dependence parameters at these shares of their intervals."""
        return [
            lower + share * (upper - lower)
            for (lower, upper), share in zip(self.bounds, shares[: len(self.bounds)], strict=True)
        ]

    def loglik(self, beta, rho, lam, sigma2):
        """The oracle's log-likelihood at coefficients in the package's order; dummies that the
        package demeans away at their best.
        """
        p, shown = self.problem, len(beta) - self.problem.X.shape[1]
        # the package has the last dummies, those of the periods, among its coefficients
        if shown < p.D.shape[1]:
            last = p.D.shape[1] - shown
            p, shown = replace(p, X=np.hstack([p.X, p.D[:, last:]]), D=p.D[:, :last]), 0
        k = p.X.shape[1]
        return dense.loglik(p, beta[:k], sigma2, rho, lam, beta[k:] if shown else None)


@cache
def series(key, shape):
    """l(rho) of the W with these bytes."""
    with jax.enable_x64(True):
        values = spectrum.eigenvalues(sparse.csr_array(np.frombuffer(key).reshape(shape)))
        record = logdet.from_eigenvalues(values, None if np.abs(values).max() > 0 else ACYCLIC)
        coef = jnp.pad(record.coef, (0, -len(record.coef) % LENGTH))
        return record._replace(coef=coef)


@cache
def between_units(key, shape):
    """l(rho) less what period effects take of it."""
    W, record = np.frombuffer(key).reshape(shape), series(key, shape)
    with jax.enable_x64(True):
        if np.ptp(W.sum(axis=1)) <= 1e-12:
            return logdet.remove_root(record, W.sum(axis=1).mean())
        bounds, ends = (tuple(np.asarray(part).tolist()) for part in (record.bounds, record.ends))
        return logdet.subtract(
            record, *multiplier.mean_log(multiplier.build(sparse.csr_array(W), bounds, ends))
        )


def log_determinant(W, *, contrasts=False):
    return (between_units if contrasts else series)(np.ascontiguousarray(W).tobytes(), W.shape)


def rows(n, seed, k=2, periods=PERIODS):
    """y, and a constant beside k regressors with means and scales of their own."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n * periods, k)) * np.logspace(0, 0.7, k) + np.linspace(1, -2, k)
    return 1.5 + x @ np.linspace(0.5, -0.3, k) + rng.normal(size=n * periods), np.column_stack(
        [np.ones(n * periods), x]
    )


def weights(name):
    """A hostile W by its name, or nearest neighbours of few units: row-standardised as "small <n>",
    with any weights as "raw <n>".
    """
    kind, _, n = name.partition(" ")
    if not n:
        return HOSTILE[name]
    near = knn(int(n), 3)
    return (
        row_standardise(near)
        if kind == "small"
        else near * np.random.default_rng(8).uniform(0.2, 2.0, near.shape)
    )


def error_weights(kind, W):
    """M: W itself, another row-standardised one, or one whose rows do not sum to one."""
    n = len(W)
    return {"same": W, "other": row_standardise(knn(n, 3, seed=5)), "raw": knn(n, 2, seed=6) / 2.5}[
        kind
    ]


def assemble(p, kind="transformed"):
    """What the package makes of the rows of a problem."""
    T, n = p.T, len(p.raw_W)
    model = next(
        name
        for name, flags in dense.MODELS.items()
        if (flags[0], flags[2]) == (p.has_rho, p.has_lambda)
    )
    closed = dense.closed(p.raw_W, p.raw_M, p.has_rho, p.has_lambda)
    effects = choose_transformation(Spec(model, p.effects), n, T, closed=closed, likelihood=kind)
    dummies = (
        np.kron(np.eye(T)[:, T - effects.dummies :], np.ones((n, 1)))
        if kind == "lsdv"
        else p.raw_D[:, : effects.dummies]
    )
    columns = np.hstack([p.raw_X, dummies]).reshape(T, n, -1)
    matrices = (
        sparse.csr_array(A) if there else None
        for A, there in ((p.raw_W, p.has_rho), (p.raw_M, p.has_lambda))
    )
    factor, parts = factorize(p.raw_y.reshape(T, n), columns, effects, *matrices)
    likelihood = likelihood_of(p, effects, factor, parts)
    return Case(p, effects, columns, factor, parts, likelihood)


def likelihood_of(p, effects, factor, parts):
    pair = ((p.raw_W, p.has_rho), (p.raw_M, p.has_lambda))
    lag, error = (
        log_determinant(A, contrasts=effects.contrasts) if there else None for A, there in pair
    )
    return Likelihood(
        moments.split(factor, parts),
        lag,
        error,
        jnp.asarray(float(effects.nu)),
        jnp.asarray(float(effects.multiplicity)),
    )


@cache
def make_case(
    name, model, effects="none", *, other="same", kind="transformed", periods=PERIODS, k=2, seed=0
):
    W = weights(name)
    y, X = rows(len(W), seed, k, periods)
    p = dense.problem(
        y, X, W, model, effects, periods, M=error_weights(other, W), kind=kind, expand=False
    )
    with jax.enable_x64(True):
        return assemble(p, kind)


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def case():
    """case(name, model, effects, other=..., kind=...): the oracle's problem and the package's
    likelihood of the same data.
    """
    return make_case


@pytest.fixture(scope="session")
def assembled():
    """assembled(problem): the `Case` of an oracle's problem."""
    return assemble


@pytest.fixture(scope="session")
def with_prior():
    """The likelihood of a case with the conjugate prior's rows below its data."""

    def stack(case, prior):
        factor = moments.append_rows(
            case.factor, case.parts, np.asarray(prior.root), np.asarray(prior.target)
        )
        return likelihood_of(case.problem, case.effects, factor, case.parts)

    return stack


@pytest.fixture(scope="session")
def logdet_of():
    """The log-determinant of a dense W."""
    return log_determinant
