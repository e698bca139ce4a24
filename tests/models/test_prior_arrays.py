"""What priors resolve to: what leaves them alone, and their densities."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from prior_data import TERMS, N, data, resolve, scales_of
from scipy import stats
from scipy.special import betaln

from spillover.models import prior_arrays
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


def distance(prior, beta):
    """The conjugate part's quadratic form in the coefficients, |P b - P b0|^2."""
    return float(np.sum((np.asarray(prior.root) @ beta - np.asarray(prior.target)) ** 2))


def test_scales_are_the_moments_of_the_columns():
    d, y = data()
    actual = scales_of(d, y)
    np.testing.assert_allclose(actual.mean, d.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(actual.sd[1:], d[:, 1:].std(axis=0), rtol=1e-10)
    assert actual.y_mean == pytest.approx(y.mean(), rel=1e-12)
    assert actual.y_sd == pytest.approx(y.std(), rel=1e-12)
    np.testing.assert_allclose(actual.triangle.T @ actual.triangle, d.T @ d, rtol=1e-12)
    assert (actual.nu, actual.intercept) == (N, 0)


def test_scales_without_an_intercept_are_root_mean_squares():
    d, y = data()
    d, y = d[:, 1:] - d[:, 1:].mean(axis=0), y - y.mean()
    actual = scales_of(d, y, ("a", "b", "W:a"))
    np.testing.assert_allclose(actual.sd, d.std(axis=0), rtol=1e-10)
    assert (actual.intercept, actual.y_mean) == (-1, 0.0)
    assert not actual.mean.any()
    assert actual.y_sd == pytest.approx(y.std(), rel=1e-10)


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
    actual = prior_arrays.log_dependence(given, jnp.asarray(s), jnp.asarray(bounds))
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-10)


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
    for actual in (
        jax.jit(prior_arrays.log_prob),
        lambda own, value: jax.jit(lambda value: prior_arrays.log_prob(own, value))(value),
    ):
        # float32 parameters
        assert float(actual(own, jnp.asarray(inside))) == pytest.approx(
            float(own.log_prob(jnp.asarray(inside))), rel=1e-5
        )
        assert float(actual(own, jnp.asarray(outside))) == -np.inf
    assert np.isfinite(
        float(jax.jit(jax.grad(prior_arrays.log_prob, argnums=1))(own, jnp.asarray(inside)))
    )
