"""The logit map: its inverse, its slope, and the same numbers on host and device."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from spillover.kernels import logit

BOUNDS = [(-1.0, 1.0), (-11.0, 1.0), (-0.341, 0.1729), (-2e-6, 3e-7), (-4e5, 9e5)]
EPS = np.finfo(float).eps


@pytest.mark.parametrize("bounds", BOUNDS)
def test_to_rho_stays_inside_and_keeps_the_distance_to_the_nearer_end(bounds):
    a, b = bounds
    s = np.linspace(-12, 12, 49)
    rho = np.asarray(logit.to_rho(s, np.asarray(bounds)))
    assert np.all((rho > a) & (rho < b))
    assert np.all(np.diff(rho) > 0)
    near = (b - a) / (1 + np.exp(2 * np.abs(s)))
    np.testing.assert_allclose(
        np.where(s > 0, b - rho, rho - a), near, rtol=1e-14, atol=2 * EPS * max(-a, b)
    )


@pytest.mark.parametrize("bounds", BOUNDS)
def test_to_s_undoes_to_rho_as_far_as_rho_can_be_represented(bounds):
    s = np.linspace(-12, 12, 49)
    rho = np.asarray(logit.to_rho(s, np.asarray(bounds)))
    lost = EPS * np.abs(rho) / np.minimum(rho - bounds[0], bounds[1] - rho)
    found = np.asarray(logit.to_s(rho, np.asarray(bounds)))
    assert np.all(np.abs(found - s) <= 4 * lost + 16 * EPS * (1 + np.abs(s)))


@pytest.mark.parametrize("bounds", BOUNDS)
def test_log_slope_is_the_derivative_of_to_rho(bounds):
    s, ends = jnp.linspace(-12, 12, 49), jnp.asarray(np.asarray(bounds))
    slope = jax.vmap(jax.grad(logit.to_rho), in_axes=(0, None))(s, ends)
    np.testing.assert_allclose(
        jax.vmap(logit.log_slope, in_axes=(0, None))(s, ends), np.log(slope), atol=1e-12
    )
    rho = np.asarray(logit.to_rho(s, ends))[20:29]
    expected = np.log(2 * (rho - bounds[0]) * (bounds[1] - rho) / (bounds[1] - bounds[0]))
    np.testing.assert_allclose(logit.log_slope(s, ends)[20:29], expected, atol=1e-12)


@pytest.mark.parametrize("function", [logit.to_rho, logit.log_slope])
def test_host_and_device_have_the_same_numbers(function):
    s = np.linspace(-12, 12, 49)
    host, device = function(s, (-1.7, 1.0)), function(jnp.asarray(s), (-1.7, 1.0))
    assert isinstance(host, np.ndarray)
    assert isinstance(device, jax.Array)
    np.testing.assert_allclose(device, host, rtol=4 * EPS, atol=4 * EPS)


def test_host_and_device_have_the_same_inverse():
    rho = np.linspace(-1.69, 0.99, 41)
    host, device = logit.to_s(rho, (-1.7, 1.0)), logit.to_s(jnp.asarray(rho), (-1.7, 1.0))
    assert isinstance(host, np.ndarray)
    np.testing.assert_allclose(device, host, rtol=4 * EPS, atol=4 * EPS)
