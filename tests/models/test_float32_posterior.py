"""The centred form against the float64 densities it stands for, in float64 and in float32, and its
export for all platforms.
"""

from functools import cache, partial
from typing import NamedTuple

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
import scipy.sparse as sparse
from scipy.spatial import cKDTree

from spillover.kernels import logdet, moments, sparse_logdet
from spillover.kernels.errors import ConvergenceError, SpecificationError
from spillover.models import effects, float32_posterior, mode_search, prior_arrays, simulate
from spillover.models import likelihood as gaussian
from spillover.models import posterior as posteriors
from spillover.models import priors as families
from spillover.models.design import INTERCEPT
from spillover.models.profile import residual_scale
from spillover.models.spec import Spec

MODELS = ["SAR", "SDM", "SEM", "SDEM", "SAC", "GNS"]
BATCH = 257
PERIODS = 1e4  # a million observations and more, from the R of a hundred


class Built(NamedTuple):
    """A likelihood and its record, with the root that turns its standard deviations into logit
    variables.
    """

    likelihood: object
    prior: object
    record: float32_posterior.Centred
    centre: np.ndarray
    root: np.ndarray


@jax.jit
def batch(likelihood, prior, points):
    def one(s):
        return (
            gaussian.concentrated_log_likelihood(likelihood, s)
            if prior is None
            else posteriors.collapsed_log_density(likelihood, prior, s)
        )

    return jax.lax.map(jax.value_and_grad(one), points)


def densities(likelihood, prior, points):
    """The density that the record stands for, and its gradient, at logit variables (m, p); compiled
    for one number of points.
    """
    padded = np.concatenate([points, np.repeat(points[-1:], -len(points) % BATCH, axis=0)])
    found = [batch(likelihood, prior, block) for block in np.split(padded, len(padded) // BATCH)]
    return tuple(
        np.concatenate([np.asarray(part) for part in parts])[: len(points)]
        for parts in zip(*found, strict=True)
    )


@jax.jit
def evaluate(record, points):
    """The record's density and gradient at (m, p)."""
    return jax.vmap(
        jax.value_and_grad(float32_posterior.log_density, argnums=1), in_axes=(None, 0)
    )(record, points)


pieces = jax.jit(float32_posterior.shifts)
place = jax.jit(float32_posterior.draw)
regress = jax.jit(
    lambda likelihood, s: gaussian.regress_at(likelihood, gaussian.parameters(likelihood, s))
)


def repeated(likelihood, times):
    """The likelihood of as many copies of the data: R'R, nu and the log-determinants multiply."""
    grown = jax.tree.map(lambda columns: columns * np.sqrt(times), likelihood.moments)
    return likelihood._replace(
        moments=grown, nu=likelihood.nu * times, multiplicity=likelihood.multiplicity * times
    )


def expanded(likelihood, prior=None):
    p = len(gaussian.dependence(likelihood))
    mass = mode_search.explore(lambda points: densities(likelihood, prior, points)[0], p)
    centre, root = mode_search.centre_and_root(mass)
    return Built(
        likelihood, prior, float32_posterior.expand(likelihood, prior, centre, root), centre, root
    )


@pytest.fixture(scope="module")
def built(case, with_prior):
    """built(model, times, conjugate): the record of a small panel on an asymmetric W, or of so many
    copies of it.
    """

    @cache
    def make(model, times=1.0, conjugate=False):
        chosen = case("knn", model)
        with jax.enable_x64(True):
            if not conjugate:
                return expanded(repeated(chosen.likelihood, times))
            prior = resolved(chosen, families.Priors(rho=families.ScaledBeta(2, 3)))
            return expanded(with_prior(chosen, prior), prior)

    return make


def resolved(case, priors):
    k = case.columns.shape[2]
    terms = (INTERCEPT, *(f"x{j}" for j in range(1, k)))
    names = tuple(
        name
        for name, there in (("rho", case.problem.has_rho), ("lam", case.problem.has_lambda))
        if there
    )
    scale = prior_arrays.measure_scales(
        case.factor, case.parts, terms, residual_scale(case.likelihood), case.effects.nu
    )
    return prior_arrays.resolve(priors, terms, scale, names)


def inside(record, radius, count=BATCH - 1):
    """Points of the window, uniform up to `radius` standard deviations a side."""
    side = min(radius, float(record.reach))
    return np.random.default_rng(0).uniform(-side, side, (count, len(record.slope)))


def truth(built, points):
    """The density relative to the centre, and its gradient in z, by the model's own functions in
    float64.
    """
    return relative(built, built.likelihood, built.prior, points)


def relative(built, likelihood, prior, points):
    places = (
        built.centre + np.vstack([np.zeros(len(built.centre)), points]) @ built.root.T
    ).astype(likelihood.nu.dtype)
    values, slopes = densities(likelihood, prior, places)
    return values[1:] - values[0], slopes[1:] @ built.root


def single(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float32), tree)


def errors_in_float32(built, points):
    """Largest errors of the record's value and gradient."""
    with jax.enable_x64(False):
        ours = evaluate(single(built.record), single(points))
        assert ours[0].dtype == ours[1].dtype == np.float32
    return largest(ours, truth(built, points))


def errors_of_the_model_in_float32(built, points):
    """Those of the model's own functions."""
    with jax.enable_x64(False):
        direct = relative(built, single(built.likelihood), single(built.prior), points)
    return largest(direct, truth(built, points))


def largest(found, expected):
    return [
        float(np.abs(np.asarray(one, float) - other).max())
        for one, other in zip(found, expected, strict=True)
    ]


@pytest.mark.cover(model=["SDM", "GNS"])
@pytest.mark.parametrize(
    ("model", "conjugate"), [*((model, False) for model in MODELS), ("GNS", True)]
)
def test_density_and_gradient_are_those_of_the_model_over_the_whole_window(built, model, conjugate):
    chosen = built(model, conjugate=conjugate)
    points = inside(chosen.record, 0.999 * float(chosen.record.reach))
    value, slope = truth(chosen, points)
    ours = evaluate(chosen.record, points)
    np.testing.assert_allclose(ours[0], value, rtol=0, atol=2 * float32_posterior.TOLERANCE)
    # Markov: a polynomial's slope is below degree^2 its size
    steepness = len(chosen.record.remainder) ** 2 / float(chosen.record.reach)
    np.testing.assert_allclose(
        ours[1], slope, rtol=0, atol=2 * float32_posterior.TOLERANCE * steepness
    )
    assert float(chosen.record.error) <= float32_posterior.TOLERANCE


@pytest.mark.cover(model=["SDM", "GNS"])
@pytest.mark.parametrize("model", MODELS)
def test_a_million_observations_in_float32(built, model):
    chosen = built(model, PERIODS)
    assert float(chosen.likelihood.nu) > 1e6
    points = inside(chosen.record, 5.0)
    ours, naive = errors_in_float32(chosen, points), errors_of_the_model_in_float32(chosen, points)
    assert ours[0] < 1e-5
    assert ours[1] < 1e-4
    assert naive[0] > 1e3 * ours[0]
    assert naive[1] > 10 * ours[1]


@pytest.mark.cover(model=["SDM", "GNS"])
@pytest.mark.parametrize("model", ["SDM", "SEM", "SAC", "GNS"])
def test_a_hundred_observations_in_float32(built, model):
    chosen = built(model)
    ours = errors_in_float32(chosen, inside(chosen.record, 5.0))
    # skewed: the terms of the sum are larger than the sum
    lost = 2 * np.finfo(np.float32).eps * np.abs(chosen.record.remainder).sum()
    assert ours[0] < (1e-5 if len(chosen.centre) == 1 else max(1e-5, lost))
    assert ours[1] < 1e-4


@cache
def simulated(n=25_000):
    """A SAR on the six nearest neighbours of uniform points, the log-determinant by exact
    factorisations.
    """
    rng = np.random.default_rng(3)
    points = rng.uniform(size=(n, 2))
    neighbour = cKDTree(points).query(points, 7)[1][:, 1:]
    W = sparse.csr_array(
        (np.full(6 * n, 1 / 6), (np.repeat(np.arange(n), 6), neighbour.ravel())), shape=(n, n)
    )
    x = np.stack([np.ones(n), rng.normal(size=n)], axis=1)[None]
    y = simulate.simulate(W, x, beta=np.array([1.0, 0.7]), rho=0.6, rng=rng)
    table = effects.choose_transformation(Spec("SAR"), n, 1, closed=True)
    made = sparse_logdet.sparse_logdet(W)
    record = logdet.from_series(made.coef, made.bounds, n, made.error, made.ends)
    factor, parts = effects.factorize(y, x, table, W, None)
    return expanded(
        gaussian.Likelihood(
            moments.split(factor, parts), record, None, jnp.asarray(float(n)), jnp.asarray(1.0)
        )
    )


@pytest.mark.verify
def test_25_000_units_with_a_sparse_log_determinant_in_float32():
    chosen = simulated()
    points = inside(chosen.record, 5.0)
    ours, naive = errors_in_float32(chosen, points), errors_of_the_model_in_float32(chosen, points)
    assert ours[0] < 1e-5
    assert ours[1] < 1e-4
    assert naive[0] > 1e3 * ours[0]


@pytest.mark.cover(model=["OLS", "SDM", "GNS"])
@pytest.mark.parametrize("model", ["OLS", "SDM", "SEM", "GNS"])
def test_pieces_are_the_regression_at_every_point(built, model):
    chosen = built(model)
    record, k = chosen.record, chosen.likelihood.moments.d.shape[1]
    for z in inside(record, 8.0, 5):
        s = jnp.asarray(chosen.centre + chosen.root @ z)
        fit, found = regress(chosen.likelihood, s), pieces(record, jnp.asarray(z))
        values = [value for value in gaussian.parameters(chosen.likelihood, s) if value is not None]
        covariance = np.linalg.inv(fit.triangle.T @ fit.triangle)
        sigma = np.sqrt(float(fit.ssr) / (float(chosen.likelihood.nu) - k))
        scale = sigma * np.sqrt(np.diag(covariance))
        np.testing.assert_allclose(
            record.centre.dependence + found.dependence, np.array(values), rtol=0, atol=1e-5
        )
        np.testing.assert_allclose(
            record.centre.log_scale + found.log_scale, np.log(0.5 * fit.ssr), rtol=0, atol=1e-5
        )
        np.testing.assert_allclose(
            (record.centre.beta + found.beta - fit.beta) / scale, np.zeros(k), rtol=0, atol=2e-5
        )
        ratio = (
            found.root @ found.root.T / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
        )
        np.testing.assert_allclose(
            ratio,
            covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance))),
            rtol=0,
            atol=1e-5,
        )


def test_draws_in_float32_are_those_of_the_conjugate_posterior(built):
    chosen = built("GNS", conjugate=True)
    rng, (k, p) = (
        np.random.default_rng(5),
        (chosen.likelihood.moments.d.shape[1], len(chosen.centre)),
    )
    for z in inside(chosen.record, 4.0, 5):
        gamma, normal = rng.gamma(float(chosen.record.shape)), rng.normal(size=k)
        s = jnp.asarray(chosen.centre + chosen.root @ z)
        fit = regress(chosen.likelihood, s)
        sigma = np.sqrt((float(chosen.prior.d0) + 0.5 * float(fit.ssr)) / gamma)
        root = np.linalg.inv(np.asarray(fit.triangle) * np.sign(np.diag(fit.triangle))[:, None])
        beta = np.asarray(fit.beta) + sigma * root @ normal
        with jax.enable_x64(False):
            found = place(single(chosen.record), single(z), np.float32(gamma), single(normal))
        sd = sigma * np.linalg.norm(root, axis=1)
        values = [
            float(value) for value in gaussian.parameters(chosen.likelihood, s) if value is not None
        ]
        np.testing.assert_allclose(found[0], values, rtol=0, atol=1e-5)
        # float32 holds no more of beta near 1
        np.testing.assert_allclose((found[1] - beta) / sd, np.zeros(k), rtol=0, atol=1e-4)
        assert float(found[2]) == pytest.approx(sigma, rel=1e-5)
        assert found[0].shape == (p,)
    shape = float(chosen.prior.a0) + 0.5 * float(chosen.likelihood.nu)
    assert float(chosen.record.shape) == pytest.approx(shape, rel=1e-15)


def test_outside_the_window_there_is_nothing(built):
    record = built("SAC").record
    for z in ([float(record.reach) * 1.001, 0.0], [0.0, -50.0], [np.nan, 0.0]):
        value, slope = evaluate(record, np.array([z]))
        assert float(value[0]) == -np.inf
        np.testing.assert_array_equal(slope[0], [0.0, 0.0])
        assert all(np.isnan(np.asarray(leaf)).all() for leaf in pieces(record, jnp.array(z)))


def test_the_window_ends_with_the_series_and_edge_is_its_highest_face(case):
    likelihood = case("knn", "SAC").likelihood
    centre, root = np.array([0.5, 4.0]), np.array([[0.3, 0.0], [-0.2, 0.3]])
    record = float32_posterior.expand(likelihood, None, centre, root)
    corners = np.array([[i, j] for i in (-1, 1) for j in (-1, 1)]) * float(record.reach)
    highest = np.abs(centre + corners @ root.T).max()
    assert highest == pytest.approx(float(likelihood.error.ends[1]), rel=1e-12)
    side = np.linspace(-1, 1, 33) * float(record.reach)
    faces = np.concatenate(
        [corner * np.ones((33, 2)) * [1, 0] + np.outer(side, [0, 1]) for corner in corners]
    )
    faces = np.concatenate([faces, faces[:, ::-1]])
    values = truth(Built(likelihood, None, record, centre, root), faces)[0]
    assert float(record.edge) == pytest.approx(values.max(), abs=1e-5)


def test_a_centre_and_a_spread_that_are_off_change_nothing(built):
    chosen = built("SAR")
    centre, root = chosen.centre + 0.7 * chosen.root[0], 1.6 * chosen.root
    record = float32_posterior.expand(chosen.likelihood, None, centre, root, reach=4.0)
    other = Built(chosen.likelihood, None, record, centre, root)
    points = inside(record, 3.9)
    assert float(record.reach) == 4.0
    np.testing.assert_allclose(
        evaluate(record, points)[0],
        truth(other, points)[0],
        rtol=0,
        atol=2 * float32_posterior.TOLERANCE,
    )


def everything(record, z, gamma, normal):
    return jax.value_and_grad(float32_posterior.log_density, argnums=1)(
        record, z
    ), float32_posterior.draw(record, z, gamma, normal)


@pytest.mark.cover(model=["GNS"])
@pytest.mark.parametrize("model", ["OLS", "SAR", "SEM", "GNS"])
def test_it_exports_for_all_platforms_in_float32(built, model):
    record, platforms = single(built(model).record), ("cpu", "cuda", "tpu")
    arguments = (
        record,
        np.full(len(record.slope), 0.5, np.float32),
        np.float32(60.0),
        np.ones(len(record.centre.beta), np.float32),
    )
    with jax.enable_x64(False):
        exported = jax.export.export(jax.jit(everything), platforms=platforms)(*arguments)
        assert exported.platforms == platforms
        assert "f64" not in exported.mlir_module()
        assert "custom_call" not in exported.mlir_module()
        found, expected = exported.call(*arguments), jax.jit(everything)(*arguments)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_refusals(case, with_prior):
    chosen = case("knn", "SAR")
    expand = partial(float32_posterior.expand, centre=[0.3], spread=[[0.3]])
    for own in (
        families.Priors(sigma=dist.HalfNormal(1.0)),
        families.Priors(beta=dist.Normal(0, 1)),
    ):
        with pytest.raises(SpecificationError, match="conjugate"):
            expand(chosen.likelihood, resolved(chosen, own))
    with jax.enable_x64(False), pytest.raises(SpecificationError, match="enable_x64"):
        expand(jax.tree.map(jnp.asarray, single(chosen.likelihood)), None)
    with pytest.raises(ConvergenceError, match="beyond"):
        expand(chosen.likelihood, None, centre=[9.0])
    bent = resolved(chosen, families.Priors(rho=dist.Laplace(0.3, 0.1)))
    with pytest.raises(ConvergenceError, match="256 terms"):
        expand(with_prior(chosen, bent), bent)
