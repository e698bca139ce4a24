"""Every device kernel lowers for CPU, CUDA and TPU at once, in both precisions, and the exported
program computes the same.
"""

from functools import cache

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sparse
from oracles import dense

from spillover.kernels import chebyshev, logdet, moments, sparse_operator, spectrum
from spillover.kernels import spatial_filter as filters
from spillover.models import effects as tables
from spillover.models import exact, prior_arrays
from spillover.models import likelihood as likelihoods
from spillover.models import posterior as posteriors
from spillover.models import priors as families
from spillover.models.design import INTERCEPT
from spillover.models.spec import Spec

PLATFORMS = ("cpu", "cuda", "tpu")
HOSTILE = {name: W for name, (W, _) in dense.hostile().items()}
PRECISIONS = (np.float32, np.float64)


def cast(tree, dtype):
    """The floating leaves in another precision."""
    return jax.tree.map(
        lambda leaf: (
            np.asarray(leaf).astype(dtype)
            if np.asarray(leaf).dtype.kind == "f"
            else np.asarray(leaf)
        ),
        tree,
    )


def assert_exports(function, arguments, dtype, expected=None):
    """Lowers for all platforms in one program, which on this one gives what is expected, by default
    what the function gives.
    """
    with jax.enable_x64(dtype is np.float64):
        arguments = cast(arguments, dtype)
        exported = jax.export.export(jax.jit(function), platforms=PLATFORMS)(*arguments)
        assert exported.platforms == PLATFORMS
        found = jax.tree.leaves(exported.call(*arguments))
        assert {leaf.dtype for leaf in found} == {np.dtype(dtype)}
        for one, other in zip(
            found,
            jax.tree.leaves(jax.jit(function)(*arguments) if expected is None else expected),
            strict=True,
        ):
            scale = np.abs(np.asarray(other, float)).max(initial=1.0)
            np.testing.assert_allclose(
                one, other, rtol=0, atol=2e3 * np.finfo(dtype).eps ** (2 / 3) * scale
            )


def gradient(op, x, rho):
    return jax.grad(lambda rho, b: jnp.sum(jnp.sin(filters.solve(op, rho, b))), argnums=(0, 1))(
        rho, x
    )


def dense_gradient(W, b, rho):
    S = np.eye(len(W)) - rho * W
    x = np.linalg.solve(S, b)
    adjoint = np.linalg.solve(S.T, np.cos(x))
    return np.sum(adjoint * (W @ x)), adjoint


KERNELS = {
    "apply": (lambda op, x, rho: sparse_operator.apply(op, x), lambda W, x, rho: W @ x),
    "apply transpose": (
        lambda op, x, rho: sparse_operator.apply_transpose(op, x),
        lambda W, x, rho: W.T @ x,
    ),
    "filter": (lambda op, x, rho: filters.multiply(op, rho, x), lambda W, x, rho: x - rho * W @ x),
    "solve": (
        lambda op, x, rho: filters.solve(op, rho, x),
        lambda W, x, rho: np.linalg.solve(np.eye(len(W)) - rho * W, x),
    ),
    "gradient of solve": (gradient, dense_gradient),
}
REFINED = (lambda op, x, rho: filters.solve(op, rho, x, low=np.float32), KERNELS["solve"][1])


def assert_operator_exports(kernel, name, dtype):
    function, expected = kernel
    W, rho = HOSTILE[name], np.array(0.5)
    x = np.random.default_rng(0).normal(size=(len(W), 2))
    assert_exports(
        function,
        (sparse_operator.build(sparse.csr_array(W), sort=True), x, rho),
        dtype,
        expected(W, x, rho),
    )


@pytest.mark.cover
@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("name", ["bipartite", "sinks"])  # conjugate gradients; BiCGSTAB
@pytest.mark.parametrize("kernel", KERNELS)
def test_operator_and_filter_export(kernel, name, dtype):
    assert_operator_exports(KERNELS[kernel], name, dtype)


@pytest.mark.parametrize("name", ["bipartite", "sinks"])
def test_refined_solve_exports(name):
    assert_operator_exports(REFINED, name, np.float64)


def series(coef, s):
    record = chebyshev.Series(coef, chebyshev.FULL)
    return chebyshev.evaluate(record, s), jax.grad(lambda s: chebyshev.evaluate(record, s).sum())(s)


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_series_and_derivative_export(dtype):
    assert_exports(
        series,
        (np.random.default_rng(1).normal(size=32) * 0.7 ** np.arange(32), np.linspace(-2, 2, 5)),
        dtype,
    )


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_log_determinant_exports(dtype):
    record = tiny("SAR")[0].lag
    assert_exports(
        lambda record, rho: (record(rho), logdet.derivative(record, rho)),
        (record, np.array(0.3)),
        dtype,
    )


@cache
def tiny(model):
    """The likelihood and the posterior of a small cross-section, its default priors."""
    W = sparse.csr_array(HOSTILE["knn"])
    n, rng, spec = W.shape[0], np.random.default_rng(2), Spec(model)
    x = np.stack([np.ones(n), rng.normal(size=n)], axis=1)[None]
    y = x[0] @ [1.0, 2.0] + rng.normal(size=n)
    effects = tables.choose_transformation(spec, n, 1, closed=True)
    factor, parts = tables.factorize(
        y[None], x, effects, W if spec.lag else None, W if spec.error else None
    )
    record = logdet.from_eigenvalues(spectrum.eigenvalues(W))
    names = tuple(name for name, there in (("rho", spec.lag), ("lam", spec.error)) if there)
    terms = (INTERCEPT, "x")
    prior = prior_arrays.resolve(
        families.Priors(), terms, prior_arrays.measure_scales(factor, parts, terms, 1.0, n), names
    )
    parts_of = moments.split(
        moments.append_rows(factor, parts, np.asarray(prior.root), np.asarray(prior.target)), parts
    )
    dependence = (record if spec.lag else None, record if spec.error else None)
    likelihood = likelihoods.Likelihood(
        parts_of, *dependence, jnp.asarray(float(effects.nu)), jnp.asarray(1.0)
    )
    centre = jnp.full(len(names), 0.2)
    return likelihood, posteriors.Posterior(likelihood, prior, centre, jnp.full(len(names), 0.5))


def joint(likelihood, beta, values, sigma2):
    rho, lam = likelihoods.name_dependence(likelihood, tuple(values))
    return likelihoods.log_likelihood(likelihood, likelihoods.Parameters(beta, rho, lam, sigma2))


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("model", ["SAR", "SAC"])
def test_joint_likelihood_exports(model, dtype):
    likelihood, posterior = tiny(model)
    count = len(posterior.centre)
    arguments = (likelihood, np.array([1.0, 2.0]), np.linspace(0.1, 0.3, count), np.array(1.3))
    assert_exports(jax.value_and_grad(joint, argnums=(1, 2, 3)), arguments, dtype)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("model", ["SAR", "SAC"])
def test_concentrated_likelihood_exports(model, dtype):
    likelihood, posterior = tiny(model)
    arguments = likelihood, np.linspace(0.1, 0.3, len(posterior.centre))
    assert_exports(
        jax.value_and_grad(likelihoods.concentrated_log_likelihood, argnums=1), arguments, dtype
    )


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("model", ["SAR", "SAC"])
def test_posterior_density_and_gradient_export(model, dtype):
    _, posterior = tiny(model)
    flat = np.linspace(-0.4, 0.5, posteriors.flat_size(posterior))
    assert_exports(jax.value_and_grad(posteriors.log_density, argnums=1), (posterior, flat), dtype)


@pytest.mark.cover(model=["SAR"])
@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("model", ["SAR", "SAC"])
def test_exact_draws_export(model, dtype):
    _, posterior = tiny(model)
    rng, shape = (
        np.random.default_rng(3),
        float(posteriors.sigma_shape(posterior.likelihood, posterior.prior)),
    )
    noise = exact.Noise(
        rng.random(7), rng.random(7), rng.gamma(shape, size=7), rng.normal(size=(7, 2))
    )
    assert_exports(
        lambda posterior, noise: exact.sample(posterior, noise, points=65),
        (posterior, noise),
        dtype,
    )
