"""Laws of the Chebyshev series in the logit variable."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial import chebyshev as reference

from spillover.kernels import chebyshev

LENGTHS = [1, 2, 5, 32]


def geometric(length, seed=0):
    """Coefficients that fall like those of a smooth function."""
    return np.random.default_rng(seed).normal(size=length) * 0.9 ** np.arange(length)


def slopes(coef, s):
    """d/ds of the series, by automatic differentiation."""
    series = chebyshev.Series(jnp.asarray(coef), chebyshev.FULL)
    return jax.vmap(jax.grad(lambda s: chebyshev.evaluate(series, s)))(jnp.asarray(s))


@pytest.mark.parametrize("length", LENGTHS)
def test_derivative_is_the_differentiated_series(length):
    coef = geometric(length)
    found = np.asarray(chebyshev.derivative(jnp.asarray(coef)))
    assert found.shape == coef.shape
    assert found[-1] == 0
    expected = np.zeros(length)
    expected[: max(length - 1, 1)] = reference.chebder(coef) if length > 1 else 0
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(
    ("length", "order"), [(3, 0), (3, 1), (3, 2), (5, 3), (33, 0), (33, 1), (64, 2)]
)
def test_polynomial_and_its_derivatives_of_every_order(length, order):
    coef, t = geometric(length), np.linspace(-1, 1, 23)
    function = lambda t: chebyshev.polynomial(jnp.asarray(coef), t)  # noqa: E731
    for _ in range(order):
        function = jax.grad(function)
    expected = reference.chebval(t, reference.chebder(coef, order))
    found = jax.jit(jax.vmap(function))(jnp.asarray(t))
    np.testing.assert_allclose(
        found, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max() + 1e-13
    )


def test_polynomial_jvp_is_its_finite_difference_in_both_arguments():
    coef, direction, t, h = geometric(40), geometric(40, seed=1), 0.37, 1e-6
    _, slope = jax.jvp(
        chebyshev.polynomial,
        (jnp.asarray(coef), jnp.asarray(t)),
        (jnp.asarray(direction), jnp.asarray(0.8)),
    )
    up, down = (
        reference.chebval(t + sign * 0.8 * h, coef + sign * h * direction) for sign in (1, -1)
    )
    assert float(slope) == pytest.approx((up - down) / (2 * h), rel=1e-8)


def test_polynomial_has_a_gradient_in_its_coefficients():
    t = 0.41
    slope = jax.grad(chebyshev.polynomial)(jnp.asarray(geometric(12)), jnp.asarray(t))
    np.testing.assert_allclose(slope, np.cos(np.arange(12) * np.arccos(t)), atol=1e-14)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3)])
def test_evaluate_keeps_the_shape(shape):
    s = np.random.default_rng(3).normal(size=shape)
    coef = geometric(32)
    found = chebyshev.evaluate(chebyshev.Series(jnp.asarray(coef), chebyshev.FULL), s)
    assert found.shape == shape
    np.testing.assert_allclose(found, reference.chebval(s / chebyshev.END, coef), atol=1e-12)


@pytest.mark.parametrize("side", [-1, 1])
def test_evaluate_is_the_tangent_beyond_the_covered_range(side):
    coef, steps = geometric(32), np.array([0.0, 1e-9, 0.5, 3.0, 40.0])
    found = chebyshev.evaluate(
        chebyshev.Series(jnp.asarray(coef), chebyshev.FULL), side * (chebyshev.END + steps)
    )
    slope = reference.chebval(side, reference.chebder(coef)) / chebyshev.END
    np.testing.assert_allclose(
        found, reference.chebval(side, coef) + side * slope * steps, rtol=1e-11, atol=1e-11
    )
    np.testing.assert_allclose(
        slopes(coef, side * (chebyshev.END + steps[1:])), np.full(4, slope), rtol=1e-10
    )


@pytest.mark.parametrize("side", [-1, 1])
def test_evaluate_has_one_slope_at_the_very_end_of_the_covered_range(side):
    """The grids of the search contain both ends themselves."""
    coef = geometric(32)
    slope = reference.chebval(side, reference.chebder(coef)) / chebyshev.END
    np.testing.assert_allclose(slopes(coef, np.array([side * chebyshev.END])), slope, rtol=1e-10)


@pytest.mark.parametrize("degree", [0, 1, 9, 31])
def test_coefficients_are_exact_for_polynomials(degree):
    coef = geometric(degree + 1)
    values = reference.chebval(chebyshev.nodes(32) / chebyshev.END, coef)
    np.testing.assert_allclose(
        chebyshev.coefficients(values), np.pad(coef, (0, 31 - degree)), atol=1e-14
    )


@pytest.mark.parametrize(("width", "most"), [(3.0, 2048), (0.6, 2048), (0.05, 128)])
def test_interpolate_reports_the_error_it_makes(width, most):
    """A wide bump needs few nodes, a narrow one more, the narrowest more than it is allowed: the
    error then says so.
    """
    function = lambda s: 1 / (1 + (s / width) ** 2)  # noqa: E731
    tolerance = 1e-10
    coef, error = chebyshev.interpolate(function, tolerance, most)
    s = np.random.default_rng(5).uniform(-chebyshev.END, chebyshev.END, 5000)
    made = np.abs(reference.chebval(s / chebyshev.END, coef) - function(s)).max()
    assert len(coef) % chebyshev.BLOCK == 0
    assert made <= 2 * error + tolerance / 10
    assert (error <= tolerance) == (width > 0.1)


def test_interpolate_keeps_no_more_than_it_needs():
    coef, error = chebyshev.interpolate(lambda s: np.cos(s), 1e-11)
    assert coef.shape == (chebyshev.BLOCK,)
    assert error < 1e-11
    assert np.count_nonzero(coef) <= chebyshev.BLOCK
