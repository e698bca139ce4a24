"""The posterior's density under conjugate priors against likelihood x prior x Jacobian written out,
and the geometry that it gives the sampler.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from density_laws import build, check, conjugate_pair, default_laws, density, evaluate
from numpyro.infer.util import log_density as numpyro_log_density
from oracles import dense

from spillover.models.posterior import bind, flat_size, log_density
from spillover.models.priors import Priors


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
    built = build(chosen, Priors(), with_prior)
    check(built, default_laws(chosen))


@pytest.mark.cover
@pytest.mark.parametrize("effects", dense.EFFECTS)
@pytest.mark.parametrize("name", ["knn", "sinks"])
def test_density_with_the_default_prior_under_effects(case, with_prior, name, effects):
    chosen = case(name, "SAC", effects)
    built = build(chosen, Priors(), with_prior)
    check(built, default_laws(chosen))


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


def test_the_numpyro_model_has_this_density_and_these_parameters(case, with_prior):
    chosen = case("knn", "SEM")
    built = build(chosen, conjugate_pair(chosen)[0], with_prior)
    flat = jnp.asarray(np.random.default_rng(3).normal(size=flat_size(built.posterior)))

    @jax.jit
    def traced(posterior, flat):
        value, trace = numpyro_log_density(bind(posterior), (), {}, {"flat": flat})
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
    flat = np.random.default_rng(4).normal(size=(3, flat_size(built.posterior)))
    loop = np.array([float(density(built.posterior, value)) for value in flat])
    np.testing.assert_allclose(
        jax.jit(jax.vmap(log_density, in_axes=(None, 0)))(built.posterior, flat),
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
    actual = jax.jit(jax.grad(log_density, argnums=1))(built.posterior, flat[0])
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)
