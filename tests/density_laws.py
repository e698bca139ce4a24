"""The density of a posterior against likelihood x prior x Jacobian written out: cases, the laws of
their priors, and the check.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from spillover.models import prior_arrays
from spillover.models.design import INTERCEPT
from spillover.models.posterior import Posterior, constrain, flat_size, log_density
from spillover.models.priors import Conjugate, InverseGamma, Priors, ScaledBeta
from spillover.models.profile import residual_scale


class Built(NamedTuple):
    """A posterior beside what the oracle needs of it."""

    case: object
    prior: prior_arrays.Prior
    posterior: Posterior
    terms: tuple


def labels(case):
    """Terms in the package's order."""
    terms = []
    for what, j in case.problem.columns:
        constant = what == "x" and np.ptp(case.problem.raw_X[:, len(terms)]) == 0
        terms.append(INTERCEPT if constant else f"{what}{j}")
    return (*terms, *(f"t[{i}]" for i in range(case.problem.D.shape[1])))


def resolve(case, priors):
    terms = labels(case)
    scale = prior_arrays.measure_scales(
        case.factor, case.parts, terms, residual_scale(case.likelihood), case.effects.nu
    )
    names = tuple(
        name
        for name, there in (("rho", case.problem.has_rho), ("lam", case.problem.has_lambda))
        if there
    )
    return prior_arrays.resolve(priors, terms, scale, names)


def build(case, priors, with_prior, centre=0.3, scale=0.6):
    prior = resolve(case, priors)
    likelihood = with_prior(case, prior)
    count = len(case.bounds)
    place = (jnp.asarray(centre * np.arange(1, count + 1)), jnp.full(count, scale))
    return Built(case, prior, Posterior(likelihood, prior, *place), labels(case))


density = jax.jit(log_density)


@jax.jit
def place(posterior, flat):
    """The draw at a flat vector, and the log volume of d(beta, rho, lam, sigma) / d flat."""

    def stacked(flat):
        draw = constrain(posterior, flat)
        return jnp.concatenate(
            [
                draw.beta,
                jnp.stack(
                    [value for value in (draw.rho, draw.lam, draw.sigma) if value is not None]
                ),
            ]
        )

    return constrain(posterior, flat), jnp.linalg.slogdet(jax.jacfwd(stacked)(flat))[1]


def evaluate(posterior, flat):
    """Density, draw and log volume; where the draw lies does not depend on the prior beyond its
    rows in the data and hard bounds.
    """
    prior = None if posterior.prior.supports is None else posterior.prior
    return density(posterior, flat), *place(posterior._replace(prior=prior), flat)


def ridge_covariance(case, scale=2.5, intercept=True, theirs=0):
    """V0 and d0 of the default prior from its definition: gamma = (alpha + means beta, beta)
    independent, with sd scale s_y / (s_j s_0), alpha's 4 times wider; s_0^2 = d0 = (1 + k/2) s^2, s
    the scale of the errors. theirs: coefficients with a prior of the user's.
    """
    p = case.problem
    Z, y = np.hstack([p.X, p.D]), p.y
    # the effects leave after the filters, but the scales are those of columns without them
    if p.right is not None:
        out = np.kron(np.eye(p.t), p.right)
        Z, y = out @ Z, out @ y
    constant = [j for j in range(Z.shape[1]) if intercept and np.ptp(Z[:, j]) == 0]
    mean, y_mean = (Z.mean(axis=0), y.mean()) if constant else (np.zeros(Z.shape[1]), 0.0)
    sd, y_sd = np.sqrt((Z**2).mean(axis=0) - mean**2), np.sqrt((y**2).mean() - y_mean**2)
    columns = Z.shape[1]
    s_0 = np.sqrt(1 + (columns - theirs) / 2) * residual_scale(case.likelihood)
    spread = np.array(
        [
            scale * (4 * np.hypot(y_mean, y_sd) if j in constant else y_sd / sd[j]) / s_0
            for j in range(columns)
        ]
    )
    A = np.eye(Z.shape[1])
    A[constant] = mean
    root = np.linalg.inv(A) * spread
    return root @ root.T, s_0**2


def conjugate(k):
    """A proper prior with everything off its defaults."""
    half = np.tril(np.random.default_rng(k).normal(size=(k, k)) * 0.2) + np.diag(
        np.linspace(0.5, 2, k)
    )
    return np.linspace(0.4, -0.7, k), half @ half.T


def as_conjugate(k):
    mean, V0 = conjugate(k)
    return Conjugate(tuple(mean), tuple(map(tuple, V0)))


def normal_beta(mean, V0):
    return lambda beta, sigma: stats.multivariate_normal(mean, sigma**2 * V0).logpdf(beta)


def gamma_sigma(shape, scale):
    """log density of sigma for sigma^2 ~ InverseGamma(shape, scale)."""
    return lambda sigma: stats.invgamma.logpdf(sigma**2, shape, scale=scale) + np.log(2 * sigma)


def beta_on(a=1.0, b=1.0):
    return lambda value, lower, upper: stats.beta.logpdf(
        value, a, b, loc=lower, scale=upper - lower
    )


def log_prior(built, laws, draw):
    """The prior of (beta, sigma, rho, lam) written out."""
    beta, sigma = np.asarray(draw.beta), float(draw.sigma)
    values = [float(value) for value in (draw.rho, draw.lam) if value is not None]
    on_dependence = sum(
        laws["rho"](value, *bounds) for value, bounds in zip(values, built.case.bounds, strict=True)
    )
    return laws["beta"](beta, sigma) + laws["sigma"](sigma) + on_dependence


def excess(built, laws, seed=0, count=3):
    """log_density minus likelihood x prior x Jacobian, at points well away from the centre."""
    rng = np.random.default_rng(seed)
    actual = []
    for _ in range(count):
        value, draw, volume = evaluate(
            built.posterior,
            jnp.asarray(1.5 * rng.normal(size=flat_size(built.posterior))),
        )
        _, (rho, lam) = built.case.named([float(v) for v in (draw.rho, draw.lam) if v is not None])
        likelihood = built.case.loglik(np.asarray(draw.beta), rho, lam, float(draw.sigma) ** 2)
        actual.append(float(value) - likelihood - log_prior(built, laws, draw) - float(volume))
    return np.array(actual)


def check(built, laws):
    np.testing.assert_allclose(excess(built, laws), 0, atol=1e-6)


def default_laws(case):
    k = case.columns.shape[2]
    V0, d0 = ridge_covariance(case)
    return {"beta": normal_beta(np.zeros(k), V0), "sigma": gamma_sigma(1.0, d0), "rho": beta_on()}


def conjugate_pair(case):
    """A conjugate prior and its laws."""
    k = case.columns.shape[2]
    priors = Priors(
        beta=as_conjugate(k),
        sigma=InverseGamma(3.2, 1.7),
        rho=ScaledBeta(2.5, 1.5),
        lam=ScaledBeta(2.5, 1.5),
    )
    return priors, {
        "beta": normal_beta(*conjugate(k)),
        "sigma": gamma_sigma(3.2, 1.7),
        "rho": beta_on(2.5, 1.5),
    }
