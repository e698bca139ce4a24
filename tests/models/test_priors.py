"""Priors: what they resolve to, what leaves them alone, what is refused, and what they draw."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import whole_arrays
from scipy import stats
from scipy.special import betaln

from spillover.kernels.errors import PriorError
from spillover.models import prior_arrays, prior_draws
from spillover.models.design import INTERCEPT
from spillover.models.priors import (
    Conjugate,
    Flat,
    InverseGamma,
    Priors,
    Ridge,
    ScaledBeta,
    Uniform,
    Zellner,
)

TERMS = (INTERCEPT, "a", "b", "W:a")
PARTS = ("d",) * 4 + ("y",)
OWN = np.array([1, 2])
N = 200


def data(seed=0):
    """Regressors with an intercept and y, far from centred."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, 3)) * [1.0, 20.0, 0.3] + [2.0, -5.0, 1.0]
    return np.column_stack([np.ones(N), x]), 3 + x @ [1.0, 0.1, -2.0] + rng.normal(size=N)


def scales_of(d, y, terms=TERMS):
    """Of a model without dependence, whose errors are the residuals of least squares."""
    parts = ("d",) * d.shape[1] + ("y",)
    e = y - d @ np.linalg.lstsq(d, y, rcond=None)[0]
    return prior_arrays.measure_scales(
        whole_arrays.r_factor(np.column_stack([d, y])),
        parts,
        terms,
        np.sqrt(e @ e / (len(y) - d.shape[1])),
        len(y),
    )


def resolve(priors, d=None, y=None, dependence=("rho",)):
    plain = data()
    return prior_arrays.resolve(
        priors,
        TERMS,
        scales_of(plain[0] if d is None else d, plain[1] if y is None else y),
        dependence,
    )


def distance(prior, beta):
    """The conjugate part's quadratic form in the coefficients, |P b - P b0|^2."""
    return float(np.sum((np.asarray(prior.root) @ beta - np.asarray(prior.target)) ** 2))


def test_scales_are_the_moments_of_the_columns():
    d, y = data()
    found = scales_of(d, y)
    np.testing.assert_allclose(found.mean, d.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.sd[1:], d[:, 1:].std(axis=0), rtol=1e-10)
    assert found.y_mean == pytest.approx(y.mean(), rel=1e-12)
    assert found.y_sd == pytest.approx(y.std(), rel=1e-12)
    np.testing.assert_allclose(found.triangle.T @ found.triangle, d.T @ d, rtol=1e-12)
    assert (found.nu, found.intercept) == (N, 0)


def test_scales_without_an_intercept_are_root_mean_squares():
    d, y = data()
    d, y = d[:, 1:] - d[:, 1:].mean(axis=0), y - y.mean()
    found = scales_of(d, y, ("a", "b", "W:a"))
    np.testing.assert_allclose(found.sd, d.std(axis=0), rtol=1e-10)
    assert (found.intercept, found.y_mean) == (-1, 0.0)
    assert not found.mean.any()
    assert found.y_sd == pytest.approx(y.std(), rel=1e-10)


POINTS = np.random.default_rng(1).normal(size=(5, 4)) * [3, 1, 0.1, 2]


@pytest.mark.parametrize("factor", [1e-4, 0.5, 1e5])
@pytest.mark.parametrize("column", [1, 2, 3])
def test_ridge_does_not_see_the_units_of_x(column, factor):
    d, _ = data()
    units = np.ones(4)
    units[column] = factor
    plain, other = resolve(Priors()), resolve(Priors(), d * units)
    for beta in POINTS:
        assert distance(other, beta / units) == pytest.approx(distance(plain, beta), rel=1e-8)
    assert float(other.half_log) == pytest.approx(float(plain.half_log) + np.log(factor), abs=1e-7)
    assert float(other.d0) == pytest.approx(float(plain.d0), rel=1e-8)


@pytest.mark.parametrize("factor", [1e-4, -3.0, 1e5])
def test_ridge_and_sigma_do_not_see_the_units_of_y(factor):
    d, y = data()
    plain, other = resolve(Priors()), resolve(Priors(), d, factor * y)
    for beta in POINTS:  # beta and sigma change with y, and beta | sigma is relative to sigma
        assert distance(other, factor * beta) == pytest.approx(
            factor**2 * distance(plain, beta), rel=1e-8
        )
    assert float(other.d0) == pytest.approx(factor**2 * float(plain.d0), rel=1e-9)


def shifted(beta, shift):
    """The coefficients of x + shift that fit what beta fits of x."""
    return np.concatenate([[beta[0] - shift @ beta[1:]], beta[1:]])


@pytest.mark.parametrize("shift", [(100.0, 0.0, 0.0), (0.0, -7.0, 3.0)])
def test_ridge_does_not_see_the_origin_of_x_beside_an_intercept(shift):
    d, y = data()
    plain, other = resolve(Priors()), resolve(Priors(), d + np.concatenate([[0.0], shift]), y)
    for beta in POINTS:
        assert distance(other, shifted(beta, np.array(shift))) == pytest.approx(
            distance(plain, beta), rel=1e-7
        )


@pytest.mark.parametrize("term", ["a", "b", "W:a"])
def test_a_users_prior_of_one_slope_leaves_the_default_of_the_intercept_blind_to_the_origin_of_x(
    term,
):
    """The prior of a slope says nothing about the origin of its variable, years after Christ or
    after 2000.
    """
    d, y = data()
    shift = np.where(np.array(TERMS[1:]) == term, 50.0, 0.0)
    priors = Priors(beta={term: dist.Normal(0.0, 10.0)})
    plain, other = resolve(priors), resolve(priors, d + np.concatenate([[0.0], shift]), y)
    for beta in POINTS:
        assert distance(other, shifted(beta, shift)) == pytest.approx(
            distance(plain, beta), rel=1e-7
        )


def test_ridge_means_what_it_says():
    """At sigma = s_0 one sd of x_j moves y by `scale` sd of y, the intercept by four times that
    where the regressors have their means.
    """
    d, y = data()
    prior, s_0 = resolve(Priors(beta=Ridge(1.7))), scales_of(d, y).residual * np.sqrt(1 + 4 / 2)
    V0 = np.linalg.inv(np.asarray(prior.root).T @ np.asarray(prior.root))
    np.testing.assert_allclose(
        np.sqrt(np.diag(V0))[1:] * s_0 * d[:, 1:].std(axis=0) / y.std(), 1.7, rtol=1e-9
    )
    centre = d.mean(axis=0)
    assert np.sqrt(centre @ V0 @ centre) * s_0 == pytest.approx(
        4 * 1.7 * np.sqrt((y**2).mean()), rel=1e-9
    )
    assert float(prior.half_log) == pytest.approx(-0.5 * np.linalg.slogdet(V0)[1], rel=1e-9)
    assert not np.asarray(prior.target).any()
    assert float(prior.rank) == 4


@pytest.mark.parametrize(("g", "expected"), [(None, N), (12.0, 12.0)])
def test_zellner_is_the_information_of_the_regressors_over_g(g, expected):
    d, _ = data()
    prior = resolve(Priors(beta=Zellner(g)))
    np.testing.assert_allclose(
        np.asarray(prior.root).T @ np.asarray(prior.root),
        d.T @ d / expected,
        rtol=1e-10,
        atol=1e-10,
    )
    assert float(prior.half_log) == pytest.approx(
        0.5 * np.linalg.slogdet(d.T @ d / expected)[1], rel=1e-10
    )


def test_conjugate_is_kept_as_given():
    A = np.random.default_rng(2).normal(size=(4, 4))
    V0, mean = A @ A.T + np.eye(4), np.array([1.0, -2.0, 0.5, 3.0])
    prior = resolve(Priors(beta=Conjugate(tuple(mean), tuple(map(tuple, V0)))))
    for beta in POINTS:
        assert distance(prior, beta) == pytest.approx(
            (beta - mean) @ np.linalg.solve(V0, beta - mean), rel=1e-10
        )
    assert float(prior.half_log) == pytest.approx(-0.5 * np.linalg.slogdet(V0)[1], rel=1e-10)


def test_flat_has_no_rows():
    prior = resolve(Priors.reference())
    assert not np.asarray(prior.root).any()
    assert (float(prior.rank), float(prior.half_log), float(prior.a0), float(prior.d0)) == (
        0,
        0,
        0,
        0,
    )
    assert prior.sigma is None


WIDE = {  # families of beta and how many of four coefficients they leave to a wide prior
    "ridge": (Ridge(), 4),
    "zellner": (Zellner(), 4),
    "ridge but for one": ({"a": dist.Normal()}, 3),
    "flat": (Flat(), 0),
    "the user's covariance": (Conjugate((0.0,) * 4, tuple(map(tuple, np.eye(4)))), 0),
    "the user's distribution": (dist.Normal(0.0, 2.0), 0),
}


@pytest.mark.parametrize("shape", [1.0, 3.0])
@pytest.mark.parametrize("beta", WIDE)
def test_inverse_gamma_scales_with_the_residual_where_its_scale_is_not_given(beta, shape):
    """Given wide coefficients at zero sigma^2 ~ InverseGamma(shape + k/2, d0), whose precision has
    the mean 1 / s^2.
    """
    family, count = WIDE[beta]
    prior, residual = (
        resolve(Priors(beta=family, sigma=InverseGamma(shape))),
        scales_of(*data()).residual,
    )
    assert float(prior.a0) == shape
    assert (float(prior.a0) + count / 2) / float(prior.d0) == pytest.approx(
        1 / residual**2, rel=1e-12
    )


def test_inverse_gamma_takes_the_scale_that_is_given():
    prior = resolve(Priors(sigma=InverseGamma(2.0, 0.7)))
    assert (float(prior.a0), float(prior.d0)) == (2.0, 0.7)


@pytest.mark.parametrize(
    ("family", "ends"),
    [(Uniform(), (1.0, 1.0)), (ScaledBeta(), (1.01, 1.01)), (ScaledBeta(2.0, 5.0), (2.0, 5.0))],
)
def test_priors_of_the_dependence_in_the_models_order(family, ends):
    prior = resolve(Priors(lam=family), dependence=("rho", "lam"))
    np.testing.assert_array_equal(prior.dependence[0], (1.0, 1.0))
    np.testing.assert_array_equal(prior.dependence[1], ends)
    assert len(resolve(Priors(), dependence=()).dependence) == 0


@pytest.mark.parametrize(
    "family", [(1.0, 1.0), (2.5, 1.2), dist.Normal(0.2, 0.3), dist.Uniform(-2.0, 1.0)]
)
@pytest.mark.parametrize("bounds", [(-2.0, 1.0), (-0.3, 0.17)])
def test_log_dependence_is_the_density_of_the_logit_variable(family, bounds):
    a, b = bounds
    s = np.linspace(-4, 4, 9)
    rho = b - (b - a) / (1 + np.exp(2 * s))
    slope = np.log(2 * (rho - a) * (b - rho) / (b - a))
    if isinstance(family, dist.Distribution):
        given, expected = family, np.asarray(family.log_prob(rho)) + slope
    else:
        given, expected = (
            jnp.asarray(family),
            stats.beta.logpdf(rho, *family, loc=a, scale=b - a) + betaln(*family) + slope,
        )
    found = prior_arrays.log_dependence(given, jnp.asarray(s), jnp.asarray(bounds))
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


REFUSED = {
    "an unknown parameter": (lambda: Priors(gamma=Ridge()), "'gamma'"),
    "a family of another parameter": (lambda: Priors(rho=Ridge()), "rho.*Ridge"),
    "a number": (lambda: Priors(sigma=2.0), "sigma.*2.0"),
    "a dict for sigma": (lambda: Priors(sigma={"a": dist.Normal()}), "sigma"),
    "an unknown term": (lambda: resolve(Priors(beta={"zz": dist.Normal()})), "'zz'"),
    "a family in a dict": (lambda: resolve(Priors(beta={"a": Ridge()})), "'a'.*Ridge"),
    "a number in a dict": (lambda: resolve(Priors(beta={"b": 3.0})), "'b'.*3.0"),
    "a distribution of another length": (
        lambda: resolve(Priors(beta=dist.Normal(jnp.zeros(3), 1.0))),
        r"beta.*\(3,\).*4",
    ),
    "a vector for one term": (
        lambda: resolve(Priors(beta={"a": dist.Normal(jnp.zeros(2), 1.0)})),
        r"'a'.*\(2,\).*1",
    ),
    "a conjugate mean of another length": (
        lambda: resolve(Priors(beta=Conjugate((0.0,), ((1.0,),)))),
        r"Conjugate.*\(1,\).*4 terms",
    ),
    "a vector for sigma": (lambda: resolve(Priors(sigma=dist.HalfNormal(jnp.ones(3)))), "sigma"),
    "a vector for rho": (lambda: resolve(Priors(rho=dist.Normal(jnp.zeros(2), 1.0))), "rho"),
    "a covariance that is none": (
        lambda: resolve(Priors(beta=Conjugate((0.0,) * 4, tuple(map(tuple, -np.eye(4)))))),
        "[Cc]ovariance",
    ),
    "an asymmetric covariance": (
        lambda: resolve(
            Priors(
                beta=Conjugate(
                    (0.0,) * 4, tuple(map(tuple, np.eye(4) + np.triu(np.full((4, 4), 0.3), 1)))
                )
            )
        ),
        "[Cc]ovariance",
    ),
    "a ridge of no width": (lambda: resolve(Priors(beta=Ridge(0.0))), "Ridge"),
    "a negative g": (lambda: resolve(Priors(beta=Zellner(-1.0))), "Zellner"),
    "a negative shape": (lambda: resolve(Priors(sigma=InverseGamma(-1.0, 1.0))), "InverseGamma"),
    "a scale of zero": (lambda: resolve(Priors(sigma=InverseGamma(1.0, 0.0))), "InverseGamma"),
    "a negative beta": (lambda: resolve(Priors(rho=ScaledBeta(-1.0, 1.0))), "ScaledBeta"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_a_prior_is_refused_by_name(what):
    make, culprit = REFUSED[what]
    with pytest.raises(PriorError, match=culprit):
        make()


def test_repr_shows_every_prior():
    shown = repr(
        Priors(rho=ScaledBeta(2, 2), sigma=dist.HalfNormal(1.5), beta={"a": dist.Normal(0.5, 2.0)})
    )
    assert shown.splitlines() == [
        "Priors",
        "  beta        a: Normal(loc=0.5, scale=2.0)",
        "  sigma       HalfNormal(scale=1.5)",
        "  rho         ScaledBeta(a=2, b=2)",
        "  lam         Uniform()",
        "  sigma_alpha Shrinkage()",
    ]


def test_priors_are_values():
    assert Priors() == Priors(beta=Ridge(2.5))
    assert Priors() != Priors(beta=Ridge(2.0))
    with pytest.raises(AttributeError):
        Priors().beta = Flat()


SIZE = 20_000
BOUNDS = (np.array([-2.0, 1.0]), np.array([-1.5, 0.9]))


def draws(priors, seed=0, size=SIZE):
    prior = resolve(priors, dependence=("rho", "lam"))
    return prior_draws.draw(prior, BOUNDS, ("rho", "lam"), size, np.random.default_rng(seed))


def agree(sample, expected):
    """The mean of a sample within five of its own standard errors."""
    sample = np.asarray(sample)
    assert abs(sample.mean() - expected) < 5 * sample.std() / np.sqrt(len(sample))


def agree_with(sample, law):
    agree(sample, law.mean())
    agree((sample - law.mean()) ** 2, law.var())
    for level in (0.1, 0.5, 0.9):
        agree(sample < law.ppf(level), level)


def test_draws_of_the_conjugate_family():
    V0, mean = (
        np.array([[2.0, 0.5, 0, 0], [0.5, 1.0, 0.2, 0], [0, 0.2, 0.5, 0], [0, 0, 0, 3.0]]),
        np.array([1.0, -2.0, 0.5, 3.0]),
    )
    found = draws(
        Priors(
            beta=Conjugate(tuple(mean), tuple(map(tuple, V0))),
            sigma=InverseGamma(5.0, 3.0),
            rho=ScaledBeta(2.0, 3.0),
        )
    )
    agree(found["sigma"] ** 2, 3.0 / 4)
    agree(1 / found["sigma"] ** 2, 5 / 3)
    for i in range(4):
        agree(found["beta"][:, i], mean[i])
        for j in range(i + 1):
            agree(
                (found["beta"][:, i] - mean[i])
                * (found["beta"][:, j] - mean[j])
                / found["sigma"] ** 2,
                V0[i, j],
            )
    agree_with(found["rho"], stats.beta(2, 3, loc=-2, scale=3))
    agree_with(found["lam"], stats.uniform(-1.5, 2.4))


def test_draws_of_the_default_are_what_ridge_means():
    found = draws(Priors(sigma=InverseGamma(4.0, 3.0)))
    prior = resolve(Priors())
    z = (found["beta"] @ np.asarray(prior.root).T) / found["sigma"][:, None]
    for i in range(4):
        agree_with(z[:, i], stats.norm())
        agree(z[:, i] * z[:, i - 1], 0.0)


def test_draws_of_the_users_distributions():
    found = draws(
        Priors(
            beta={"b": dist.Normal(2.0, 0.5)}, sigma=dist.HalfNormal(2.0), rho=dist.Normal(0.4, 0.5)
        )
    )
    agree_with(found["sigma"], stats.halfnorm(scale=2))
    agree_with(found["beta"][:, 2], stats.norm(2.0, 0.5))
    agree_with(found["rho"], stats.truncnorm((-2 - 0.4) / 0.5, (1 - 0.4) / 0.5, 0.4, 0.5))
    assert {name: values.shape for name, values in found.items()} == {
        "sigma": (SIZE,), "beta": (SIZE, 4), "rho": (SIZE,), "lam": (SIZE,)
    }  # fmt: skip


@pytest.mark.parametrize(
    "family",
    [
        dist.Normal(1.0, 2.0),
        dist.MultivariateNormal(jnp.ones(4), 4 * jnp.eye(4)),
        dist.Normal(jnp.ones(4), 2.0),
    ],
)
def test_draws_of_a_distribution_of_every_coefficient(family):
    with jax.numpy_rank_promotion("allow"):  # NumPyro's own sampling relies on it
        beta = draws(Priors(beta=family))["beta"]
    assert beta.shape == (SIZE, 4)
    for i in range(4):
        agree_with(beta[:, i], stats.norm(1, 2))
        agree((beta[:, i] - 1) * (beta[:, i - 1] - 1), 0.0)


def test_what_is_improper_is_not_drawn():
    assert set(draws(Priors.reference(), size=10)) == {"rho", "lam"}
    assert set(draws(Priors(beta=Flat()), size=10)) == {"sigma", "rho", "lam"}
    assert "rho" not in draws(Priors(rho=dist.Normal(1e3, 1.0)), size=10)


def uncorrelated(a, b):
    assert abs(np.corrcoef(stats.rankdata(a), stats.rankdata(b))[0, 1]) < 5 / np.sqrt(len(a))


@pytest.mark.parametrize("pair", [("rho", "lam"), ("sigma", "rho"), ("sigma", "lam")])
def test_draws_of_independent_priors_are_independent(pair):
    """Two distributions of the user share no random numbers."""
    found = draws(
        Priors(
            sigma=dist.LogNormal(0.0, 1.0), rho=dist.Normal(-0.4, 0.3), lam=dist.Normal(-0.2, 0.2)
        )
    )
    uncorrelated(found[pair[0]], found[pair[1]])


def test_draws_of_two_coefficients_are_independent():
    found = draws(Priors(beta={"a": dist.Normal(0.0, 1.0), "b": dist.Normal(0.0, 2.0)}))
    uncorrelated(found["beta"][:, 1], found["beta"][:, 2])


OWNED = Priors(
    beta={"a": dist.Normal(0.0, 1.0)}, sigma=dist.HalfNormal(1.0), rho=dist.Uniform(-2.0, 1.0)
)


def test_the_same_generator_gives_the_same_draws():
    first, again = (draws(OWNED, seed=3, size=50) for _ in range(2))
    for name, values in first.items():
        np.testing.assert_array_equal(values, again[name])


@pytest.mark.parametrize("name", ["beta", "sigma", "rho", "lam"])
def test_another_generator_gives_other_draws_of_every_parameter(name):
    first, other = (draws(OWNED, seed=seed, size=50)[name] for seed in (3, 4))
    columns = (first[:, 1], other[:, 1]) if name == "beta" else (first, other)
    assert not np.isclose(*columns).any()


BOUNDED = [  # a distribution, values inside and outside of its support
    (dist.Uniform(0.4, 5.0), 0.7, 0.3),
    (dist.HalfNormal(1.0), 0.2, -0.2),
    (dist.TruncatedNormal(0.2, 0.4, low=0.0, high=1.0), 0.5, 1.5),
    (dist.Beta(2.0, 2.0), 0.5, -0.5),
    (dist.Gamma(2.0, 1.0), 0.5, -0.5),
]


@pytest.mark.parametrize(("own", "inside", "outside"), BOUNDED)
def test_a_distribution_ends_where_its_support_does_in_compiled_programs(own, inside, outside):
    """As a constant of the program and as an argument of it, where NumPyro forgets to look."""
    for found in (
        jax.jit(prior_arrays.log_prob),
        lambda own, value: jax.jit(lambda value: prior_arrays.log_prob(own, value))(value),
    ):
        # float32 parameters
        assert float(found(own, jnp.asarray(inside))) == pytest.approx(
            float(own.log_prob(jnp.asarray(inside))), rel=1e-5
        )
        assert float(found(own, jnp.asarray(outside))) == -np.inf
    assert np.isfinite(
        float(jax.jit(jax.grad(prior_arrays.log_prob, argnums=1))(own, jnp.asarray(inside)))
    )
