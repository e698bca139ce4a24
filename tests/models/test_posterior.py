"""The posterior's density against likelihood x prior x Jacobian written out, and its integrals over
beta and sigma in closed form.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from numpyro.distributions import transforms
from numpyro.infer.util import log_density as numpyro_log_density
from oracles import dense, quadrature
from scipy import stats

from spillover.models import posterior as posteriors
from spillover.models import prior_arrays
from spillover.models import priors as families
from spillover.models.design import INTERCEPT
from spillover.models.likelihood import point_at, regress_at
from spillover.models.profile import residual_scale


class Built(NamedTuple):
    """A posterior beside what the oracle needs of it."""

    case: object
    prior: prior_arrays.Prior
    posterior: posteriors.Posterior
    terms: tuple


def labels(case):
    """Terms in the package's order."""
    terms = []
    for what, j in case.problem.columns:
        constant = what == "x" and np.ptp(case.problem.raw_X[:, len(terms)]) == 0
        terms.append(INTERCEPT if constant else f"{what}{j}")
    return (*terms, *(f"t[{i}]" for i in range(case.problem.D.shape[1])))


def resolved(case, priors):
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
    prior = resolved(case, priors)
    likelihood = with_prior(case, prior)
    count = len(case.bounds)
    place = (jnp.asarray(centre * np.arange(1, count + 1)), jnp.full(count, scale))
    return Built(case, prior, posteriors.Posterior(likelihood, prior, *place), labels(case))


density = jax.jit(posteriors.log_density)


@jax.jit
def placed(posterior, flat):
    """The draw at a flat vector, and the log volume of d(beta, rho, lam, sigma) / d flat."""

    def stacked(flat):
        draw = posteriors.constrain(posterior, flat)
        return jnp.concatenate(
            [
                draw.beta,
                jnp.stack(
                    [value for value in (draw.rho, draw.lam, draw.sigma) if value is not None]
                ),
            ]
        )

    return posteriors.constrain(posterior, flat), jnp.linalg.slogdet(jax.jacfwd(stacked)(flat))[1]


def evaluate(posterior, flat):
    """Density, draw and log volume; where the draw lies does not depend on the prior beyond its
    rows in the data and hard bounds.
    """
    prior = None if posterior.prior.supports is None else posterior.prior
    return density(posterior, flat), *placed(posterior._replace(prior=prior), flat)


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
    return families.Conjugate(tuple(mean), tuple(map(tuple, V0)))


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
    found = []
    for _ in range(count):
        value, draw, volume = evaluate(
            built.posterior,
            jnp.asarray(1.5 * rng.normal(size=posteriors.flat_size(built.posterior))),
        )
        _, (rho, lam) = built.case.named([float(v) for v in (draw.rho, draw.lam) if v is not None])
        likelihood = built.case.loglik(np.asarray(draw.beta), rho, lam, float(draw.sigma) ** 2)
        found.append(float(value) - likelihood - log_prior(built, laws, draw) - float(volume))
    return np.array(found)


def check(built, laws):
    np.testing.assert_allclose(excess(built, laws), 0, atol=1e-6)


def default_laws(case):
    k = case.columns.shape[2]
    V0, d0 = ridge_covariance(case)
    return {"beta": normal_beta(np.zeros(k), V0), "sigma": gamma_sigma(1.0, d0), "rho": beta_on()}


def conjugate_pair(case):
    """A conjugate prior and its laws."""
    k = case.columns.shape[2]
    priors = families.Priors(
        beta=as_conjugate(k),
        sigma=families.InverseGamma(3.2, 1.7),
        rho=families.ScaledBeta(2.5, 1.5),
        lam=families.ScaledBeta(2.5, 1.5),
    )
    return priors, {
        "beta": normal_beta(*conjugate(k)),
        "sigma": gamma_sigma(3.2, 1.7),
        "rho": beta_on(2.5, 1.5),
    }


@pytest.mark.parametrize("model", dense.MODELS)
def test_density_with_a_conjugate_prior_in_every_model(case, with_prior, model):
    chosen = case("knn", model)
    priors, laws = conjugate_pair(chosen)
    check(build(chosen, priors, with_prior), laws)


@pytest.mark.cover
@pytest.mark.parametrize("effects", dense.EFFECTS)
@pytest.mark.parametrize("name", ["sinks", "directed_ring"])
def test_density_with_a_conjugate_prior_under_effects(case, with_prior, name, effects):
    chosen = case(name, "SAC", effects, other="other")
    priors, laws = conjugate_pair(chosen)
    check(build(chosen, priors, with_prior), laws)


@pytest.mark.cover(name=["knn", "sinks", "directed_ring"])
@pytest.mark.parametrize("name", list(dense.hostile()))
def test_density_with_the_default_prior_on_every_w(case, with_prior, name):
    chosen = case(name, "SDM")
    built = build(chosen, families.Priors(), with_prior)
    check(built, default_laws(chosen))


@pytest.mark.cover
@pytest.mark.parametrize("effects", dense.EFFECTS)
@pytest.mark.parametrize("name", ["knn", "sinks"])
def test_density_with_the_default_prior_under_effects(case, with_prior, name, effects):
    chosen = case(name, "SAC", effects)
    built = build(chosen, families.Priors(), with_prior)
    check(built, default_laws(chosen))


def cut_to(bounds):
    """A normal cut to an interval, and a beta stretched over it, as NumPyro has them."""
    lower, upper = bounds
    stretched = dist.TransformedDistribution(
        dist.Beta(2.0, 3.0), transforms.AffineTransform(lower, upper - lower)
    )
    shape = ((lower - 0.2) / 0.4, (upper - 0.2) / 0.4)
    return {
        "truncated": (
            dist.TruncatedNormal(0.2, 0.4, low=lower, high=upper),
            lambda v, *_: stats.truncnorm.logpdf(v, *shape, 0.2, 0.4),
        ),
        "stretched": (
            stretched,
            lambda v, *_: stats.beta.logpdf(v, 2, 3, loc=lower, scale=upper - lower),
        ),
    }


BETAS = {  # a prior for all coefficients, and its law
    "normal": (dist.Normal(0.3, 2.0), lambda b, _: stats.norm.logpdf(b, 0.3, 2.0).sum()),
    "student": (dist.StudentT(3.0, 0.0, 1.5), lambda b, _: stats.t.logpdf(b, 3, 0, 1.5).sum()),
    "joint": (
        dist.MultivariateNormal(jnp.zeros(3), jnp.diag(jnp.array([1.0, 2.0, 3.0]))),
        lambda b, _: stats.norm.logpdf(b, 0, np.sqrt([1, 2, 3])).sum(),
    ),
    "each": (
        dist.Normal(jnp.zeros(3), jnp.array([1.0, 2.0, 3.0])),
        lambda b, _: stats.norm.logpdf(b, 0, [1, 2, 3]).sum(),
    ),
}
SIGMAS = {
    "half normal": (dist.HalfNormal(0.8), lambda s: stats.halfnorm.logpdf(s, scale=0.8)),
    "half cauchy": (dist.HalfCauchy(1.3), lambda s: stats.halfcauchy.logpdf(s, scale=1.3)),
}


@pytest.mark.parametrize("name", BETAS)
def test_density_with_the_users_prior_of_every_coefficient(case, with_prior, name):
    chosen = case("knn", "SAR")
    own, law = BETAS[name]
    built = build(
        chosen, families.Priors(beta=own, sigma=families.InverseGamma(2.0, 1.5)), with_prior
    )
    check(built, {"beta": law, "sigma": gamma_sigma(2.0, 1.5), "rho": beta_on()})


@pytest.mark.parametrize("name", SIGMAS)
def test_density_with_the_users_prior_of_sigma(case, with_prior, name):
    chosen = case("knn", "SAR")
    own, law = SIGMAS[name]
    check(
        build(chosen, families.Priors(beta=as_conjugate(3), sigma=own), with_prior),
        {"beta": normal_beta(*conjugate(3)), "sigma": law, "rho": beta_on()},
    )


@pytest.mark.cover
@pytest.mark.parametrize("kind", ["truncated", "stretched"])
@pytest.mark.parametrize("name", ["knn", "binary"])
def test_density_with_the_users_prior_of_rho(case, with_prior, name, kind):
    chosen = case(name, "SAR")
    own, law = cut_to(chosen.bounds[0])[kind]
    priors = families.Priors(beta=as_conjugate(3), sigma=families.InverseGamma(2.0, 1.5), rho=own)
    check(
        build(chosen, priors, with_prior),
        {"beta": normal_beta(*conjugate(3)), "sigma": gamma_sigma(2.0, 1.5), "rho": law},
    )


def test_density_with_only_the_users_priors(case, with_prior):
    chosen = case("knn", "SAC")
    rho, law = cut_to(chosen.bounds[0])["truncated"]
    built = build(
        chosen,
        families.Priors(beta=BETAS["student"][0], sigma=SIGMAS["half cauchy"][0], rho=rho, lam=rho),
        with_prior,
    )
    check(built, {"beta": BETAS["student"][1], "sigma": SIGMAS["half cauchy"][1], "rho": law})


def test_density_with_the_users_prior_of_one_slope_and_the_default_of_the_others(case, with_prior):
    """The default is a law of alpha + means beta and of the other slopes; the slope named takes the
    user's in place of its own.
    """
    chosen = case("knn", "SAR")
    built = build(chosen, families.Priors(beta={"x1": dist.StudentT(4.0, 0.5, 0.7)}), with_prior)
    V0, d0 = ridge_covariance(chosen, theirs=1)
    A = np.eye(3)
    A[0] = chosen.problem.X.mean(axis=0)
    spread = np.sqrt(np.diag(A @ V0 @ A.T))

    def law(beta, sigma):
        gamma = A @ beta
        return stats.norm.logpdf(gamma[[0, 2]], 0, sigma * spread[[0, 2]]).sum() + stats.t.logpdf(
            beta[1], 4, 0.5, 0.7
        )

    check(built, {"beta": law, "sigma": gamma_sigma(1.0, d0), "rho": beta_on()})


def test_density_with_the_users_prior_of_the_intercept_and_the_default_of_the_slopes(
    case, with_prior
):
    chosen = case("knn", "SAR")
    built = build(chosen, families.Priors(beta={INTERCEPT: dist.Normal(1.0, 3.0)}), with_prior)
    V0, d0 = ridge_covariance(chosen, theirs=1)

    def law(beta, sigma):
        return stats.norm.logpdf(
            beta[1:], 0, sigma * np.sqrt(np.diag(V0)[1:])
        ).sum() + stats.norm.logpdf(beta[0], 1, 3)

    check(built, {"beta": law, "sigma": gamma_sigma(1.0, d0), "rho": beta_on()})


def between(low, high):
    """Uniform, as NumPyro and as SciPy have it."""
    return (
        dist.Uniform(low, high),
        lambda value, *_: stats.uniform.logpdf(value, low, np.subtract(high, low)).sum(),
    )


HALF = dist.HalfNormal(0.7), lambda value, *_: stats.halfnorm.logpdf(value, scale=0.7).sum()
ANY = dist.Normal(0.0, 3.0), lambda value, *_: stats.norm.logpdf(value, 0, 3).sum()
FREE = families.InverseGamma(2.0, 1.5), gamma_sigma(2.0, 1.5)
BOUNDED = {  # model, beta, sigma, rho and lam; least squares are near (1.5, 0.5, -0.3), sigma 1
    "every coefficient by itself": (
        "SAR",
        between(np.array([1.0, 0.4, -9.0]), np.array([2.0, 0.9, 5.0])),
        FREE,
        None,
    ),
    "coefficients against the data": (
        "SAR",
        between(np.array([0.0, -9.0, 0.0]), np.array([9.0, -2.0, 9.0])),
        FREE,
        None,
    ),
    "sigma around the data's": ("SAR", ANY, between(0.9, 1.1), None),
    "sigma far below": ("SAR", ANY, between(0.0, 0.2), None),
    "sigma far above": ("SAR", ANY, between(3.0, 30.0), None),
    "rho and lam from 0 to the end": (
        "SAC",
        ANY,
        FREE,
        (dist.HalfNormal(0.6), lambda v, *_: stats.halfnorm.logpdf(v, scale=0.6)),
    ),
    "all of them": ("SAC", HALF, between(0.5, 0.8), between(-0.4, 0.3)),
}


@pytest.mark.parametrize("what", BOUNDED)
def test_density_within_hard_bounds(case, with_prior, what):
    """Every flat vector is inside the support, and the density there is likelihood x prior x
    Jacobian.
    """
    model, beta, sigma, around = BOUNDED[what]
    chosen = case("knn", model)
    dependence = {} if around is None else {"rho": around[0], "lam": around[0]}
    built = build(chosen, families.Priors(beta=beta[0], sigma=sigma[0], **dependence), with_prior)
    assert built.prior.supports is not None
    check(
        built,
        {"beta": beta[1], "sigma": sigma[1], "rho": beta_on() if around is None else around[1]},
    )


@pytest.mark.verify
def test_bounds_far_from_the_data_leave_the_geometry_as_it_is(case, with_prior):
    """A box of a thousand standard deviations: the same parameters at the same flat vector as
    without, in the order of the signs of R.
    """
    chosen = case("knn", "SAC")
    wide = families.Priors(
        beta=dist.Uniform(-1e3, 1e3),
        sigma=dist.Uniform(0.0, 1e4),
        rho=dist.Normal(),
        lam=dist.Normal(),
    )
    free = families.Priors(
        beta=dist.Normal(0.0, 1e3), sigma=dist.HalfNormal(1e4), rho=dist.Normal(), lam=dist.Normal()
    )
    ours, plain = (build(chosen, priors, with_prior) for priors in (wide, free))
    flat = np.random.default_rng(0).normal(size=posteriors.flat_size(ours.posterior))
    point = regress_at(
        ours.posterior.likelihood,
        point_at(ours.posterior.likelihood, 0.6 * flat[4:] + np.array([0.3, 0.6])),
    )
    signs = np.append(np.sign(np.diagonal(point.triangle)), np.ones(3))
    moved, there = (
        evaluate(ours.posterior, jnp.asarray(flat))[1],
        evaluate(plain.posterior, jnp.asarray(signs * flat))[1],
    )
    for one, other in zip(moved, there, strict=True):
        if one is not None:
            np.testing.assert_allclose(one, other, rtol=1e-9)


def test_bounds_that_do_nothing_are_not_there(case):
    """Families of our own and distributions without ends inside the parameter's range keep the path
    without bounds.
    """
    priors = families.Priors(
        beta=dist.StudentT(4.0),
        sigma=dist.HalfCauchy(1.0),
        rho=dist.Normal(0.0, 0.3),
        lam=dist.Cauchy(),
    )
    assert resolved(case("knn", "SAC"), priors).supports is None


@pytest.mark.cover
@pytest.mark.parametrize("g", [None, 7.5])
@pytest.mark.parametrize("model", ["SAR", "SEM"])
def test_density_with_zellners_prior(case, with_prior, model, g):
    chosen = case("knn", model, "unit")
    X = chosen.problem.X
    V0 = (chosen.effects.nu if g is None else g) * np.linalg.inv(X.T @ X)
    built = build(
        chosen,
        families.Priors(beta=families.Zellner(g), sigma=families.InverseGamma(2.0, 1.5)),
        with_prior,
    )
    check(
        built,
        {
            "beta": normal_beta(np.zeros(X.shape[1]), V0),
            "sigma": gamma_sigma(2.0, 1.5),
            "rho": beta_on(),
        },
    )


@pytest.mark.cover
@pytest.mark.parametrize("model", ["SAR", "SEM", "GNS"])
@pytest.mark.parametrize("sigma", [families.Flat(), families.InverseGamma(2.0, 1.5)])
def test_density_with_flat_priors_up_to_their_constant(case, with_prior, model, sigma):
    """beta constant; 1 / sigma^2 for sigma^2 is 1 / sigma for sigma."""
    built = build(
        case("contiguity", model, "unit"),
        families.Priors(beta=families.Flat(), sigma=sigma),
        with_prior,
    )
    on_sigma = (lambda s: -np.log(s)) if isinstance(sigma, families.Flat) else gamma_sigma(2.0, 1.5)
    found = excess(built, {"beta": lambda b, s: 0.0, "sigma": on_sigma, "rho": beta_on()})
    np.testing.assert_allclose(found - found[0], 0, atol=1e-6)


def test_the_place_of_the_logit_variables_changes_nothing_but_the_map(case, with_prior):
    """centre and scale are a change of variables: the density of the parameters stays."""
    chosen = case("knn", "SAC")
    priors, laws = conjugate_pair(chosen)
    check(build(chosen, priors, with_prior, centre=-0.8, scale=0.05), laws)


def test_the_quadratic_form_is_isotropic(case, with_prior):
    """With sigma and (rho, lam) fixed, the coefficients are exactly standard normal in the flat
    site.
    """
    built = build(case("knn", "SAC"), conjugate_pair(case("knn", "SAC"))[0], with_prior)
    flat = np.concatenate([np.zeros(3), [0.4, 0.2, -0.3]])
    base = float(evaluate(built.posterior, jnp.asarray(flat))[0])
    for z in np.random.default_rng(2).normal(size=(4, 3)):
        moved = float(evaluate(built.posterior, jnp.asarray(np.concatenate([z, flat[3:]])))[0])
        assert moved - base == pytest.approx(-0.5 * z @ z, rel=1e-8)


collapsed = jax.jit(posteriors.collapsed_log_density)


def logit(value, bounds):
    return 0.5 * np.log((value - bounds[0]) / (bounds[1] - value))


def check_collapsed(built, prior, ends, constant=0.0):
    """At points over the intervals: the oracle's integral over beta and sigma^2, the prior of (rho,
    lam), and d rho / d s.
    """
    for shares in ((0.5, 0.5), (0.8, 0.3), (0.15, 0.9)):
        values = built.case.inside(*shares)
        _, (rho, lam) = built.case.named(values)
        expected = quadrature.conditional(built.case.problem, rho, lam, prior)[-1] + constant
        for value, (a, b) in zip(values, built.case.bounds, strict=True):
            expected += stats.beta.logpdf(value, *ends, loc=a, scale=b - a) + np.log(
                2 * (value - a) * (b - value) / (b - a)
            )
        s = np.array(
            [logit(value, bounds) for value, bounds in zip(values, built.case.bounds, strict=True)]
        )
        assert float(collapsed(built.posterior.likelihood, built.prior, s)) == pytest.approx(
            expected, abs=1e-7, rel=1e-9
        )


COLLAPSED = [
    *(
        (model, "none", name)
        for model in ("OLS", "SAR", "SEM", "SAC", "GNS")
        for name in ("contiguity", "sinks")
    ),
    *(
        (model, effects, name)
        for model in ("OLS", "SAR", "SEM", "GNS")
        for effects in dense.EFFECTS[1:]
        for name in ("bent_ring", "sinks")
    ),
]


@pytest.mark.cover
@pytest.mark.parametrize(("model", "effects", "name"), COLLAPSED)
def test_collapsed_is_the_integral_over_beta_and_sigma(case, with_prior, model, effects, name):
    chosen = case(name, model, effects)
    priors, _ = conjugate_pair(chosen)
    mean, V0 = conjugate(chosen.columns.shape[2])
    check_collapsed(
        build(chosen, priors, with_prior), {"b0": mean, "V0": V0, "a0": 3.2, "d0": 1.7}, (2.5, 1.5)
    )


@pytest.mark.parametrize("model", ["OLS", "SAR", "SEM", "GNS"])
def test_collapsed_with_flat_priors(case, with_prior, model):
    """1 / sigma^2 for sigma^2 is 1 / sigma for sigma times 2, the oracle's measure against the
    package's.
    """
    built = build(case("knn", model, "twoway"), families.Priors.reference(), with_prior)
    check_collapsed(built, None, (1.0, 1.0), constant=-np.log(2))


def integral(built, points=400, reach=20.0):
    """log of the integral of exp(collapsed), by the trapezoid rule, which converges geometrically
    here.
    """
    axis = np.linspace(-reach, reach, points)
    count = len(built.case.bounds)
    grid = np.array(np.meshgrid(*[axis] * count, indexing="ij")).reshape(count, -1).T
    values = np.asarray(
        jax.jit(jax.vmap(posteriors.collapsed_log_density, in_axes=(None, None, 0)))(
            built.posterior.likelihood, built.prior, grid
        )
    )
    return (
        np.log(np.sum(np.exp(values - values.max())))
        + values.max()
        + count * np.log(axis[1] - axis[0])
    )


INTEGRALS = [
    *(
        (model, effects, (60, 12))
        for model in ("SAR", "SEM", "SDM")
        for effects in ("none", "twoway")
    ),
    ("SAC", "none", (6, 12)),
]


@pytest.mark.cover
@pytest.mark.parametrize(("model", "effects", "size"), INTEGRALS)
def test_collapsed_integrates_to_the_evidence(case, with_prior, model, effects, size):
    chosen = case("small 10", model, effects)
    mean, V0 = conjugate(chosen.columns.shape[2])
    priors = families.Priors(beta=as_conjugate(len(mean)), sigma=families.InverseGamma(3.2, 1.7))
    expected = dense.posterior(
        chosen.problem,
        bounds=chosen.bounds,
        prior={"b0": mean, "V0": V0, "a0": 3.2, "d0": 1.7},
        size=size,
    )["log_integral"]
    assert integral(
        build(chosen, priors, with_prior), points=400 if model == "SAC" else 800
    ) == pytest.approx(expected, abs=1e-7)


def test_evidence_of_a_cross_section_by_the_multivariate_t(case, with_prior):
    chosen = case("small 10", "SAR", periods=1)
    mean, V0 = conjugate(3)
    priors = families.Priors(
        beta=as_conjugate(3),
        sigma=families.InverseGamma(3.2, 1.7),
        rho=families.ScaledBeta(3.0, 2.0),
    )
    (a, b), law = chosen.bounds[0], stats.beta(3, 2)
    expected = dense.evidence(
        chosen.problem,
        {"b0": mean, "V0": V0, "a0": 3.2, "d0": 1.7},
        bounds=chosen.bounds,
        log_prior=lambda rho, _: law.logpdf((rho - a) / (b - a)) - np.log(b - a),
    )
    assert integral(build(chosen, priors, with_prior)) == pytest.approx(expected, abs=1e-8)


def test_the_numpyro_model_has_this_density_and_these_parameters(case, with_prior):
    chosen = case("knn", "SEM")
    built = build(chosen, conjugate_pair(chosen)[0], with_prior)
    flat = jnp.asarray(np.random.default_rng(3).normal(size=posteriors.flat_size(built.posterior)))

    @jax.jit
    def traced(posterior, flat):
        value, trace = numpyro_log_density(posteriors.bind(posterior), (), {}, {"flat": flat})
        return value, {
            name: site["value"] for name, site in trace.items() if site["type"] == "deterministic"
        }

    value, sites = traced(built.posterior, flat)
    expected, draw, _ = evaluate(built.posterior, flat)
    assert float(value) == pytest.approx(float(expected), rel=1e-12)
    assert set(sites) == {"beta", "lam", "sigma"}
    for name, site in sites.items():
        np.testing.assert_allclose(site, getattr(draw, name), rtol=1e-12)


@pytest.mark.parametrize("model", ["SAC"])
def test_density_under_jit_vmap_and_grad(case, with_prior, model):
    chosen = case("knn", model)
    built = build(chosen, conjugate_pair(chosen)[0], with_prior)
    flat = np.random.default_rng(4).normal(size=(3, posteriors.flat_size(built.posterior)))
    loop = np.array([float(density(built.posterior, value)) for value in flat])
    np.testing.assert_allclose(
        jax.jit(jax.vmap(posteriors.log_density, in_axes=(None, 0)))(built.posterior, flat),
        loop,
        rtol=1e-12,
    )
    step = 1e-6 * np.eye(flat.shape[1])
    expected = [
        (
            float(density(built.posterior, flat[0] + h))
            - float(density(built.posterior, flat[0] - h))
        )
        / 2e-6
        for h in step
    ]
    found = jax.jit(jax.grad(posteriors.log_density, argnums=1))(built.posterior, flat[0])
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)
