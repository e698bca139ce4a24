"""The grid that zooms in on the mass of a density, and Newton's method from its peaks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from spillover.kernels.chebyshev import END
from spillover.models import mode_search


def gaussian(centre, sd):
    """log density of an independent normal, up to a constant."""
    return lambda points: (
        -0.5 * np.sum(((points - np.asarray(centre)) / np.asarray(sd)) ** 2, axis=1)
    )


NARROW = [
    ((0.0123456,), (1e-4,)),
    ((-5.4321,), (1e-4,)),
    ((3.3,), (0.3,)),
    ((0.5,), (2.0,)),
    ((1.1, -2.2), (1e-4, 1e-4)),
    ((0.3, -0.4), (0.5, 0.02)),
]


@pytest.mark.parametrize(("centre", "sd"), NARROW)
def test_explore_finds_a_peak_of_any_width(centre, sd):
    mass = mode_search.explore(gaussian(centre, sd), len(centre))
    actual, spread = mode_search.centre_and_scale(mass)
    np.testing.assert_allclose(actual, centre, atol=0.02 * min(sd))
    np.testing.assert_allclose(
        spread, [truncated_sd(*pair) for pair in zip(centre, sd, strict=True)], rtol=0.05
    )
    best = mass.points[mass.peaks[0]]
    assert np.all(np.abs(best - centre) < np.asarray(sd))
    assert mass.value[mass.peaks[0]] == mass.value.max()


def truncated_sd(centre, sd):
    return stats.truncnorm((-END - centre) / sd, (END - centre) / sd, centre, sd).std()


@pytest.mark.parametrize("dimensions", [1, 2])
def test_weights_are_the_normalised_density_of_the_points(dimensions):
    mass = mode_search.explore(gaussian([0.7] * dimensions, [0.2] * dimensions), dimensions)
    assert mass.points.shape == (len(mass.value), dimensions)
    assert mass.weight.sum() == pytest.approx(1, rel=1e-12)
    np.testing.assert_allclose(
        mass.weight, np.exp(mass.value) / np.exp(mass.value).sum(), rtol=1e-10
    )


@pytest.mark.parametrize("dimensions", [1, 2])
def test_the_first_grid_spans_the_covered_range(dimensions):
    seen = []

    def density(points):
        seen.append((points.min(axis=0), points.max(axis=0)))
        return gaussian([0.0] * dimensions, [3.0] * dimensions)(points)

    mode_search.explore(density, dimensions)
    np.testing.assert_allclose(seen[0], [[-END] * dimensions, [END] * dimensions], rtol=1e-12)


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("rate", [0.5, 20.0, 1e4])
def test_explore_finds_the_mass_piled_against_a_bound(side, rate):
    """An exponential that rises to the end of the range: the mass lies within some 1 /
    rate of it.
    """
    mass = mode_search.explore(lambda points: rate * side * points[:, 0], 1)
    centre, spread = mode_search.centre_and_scale(mass)
    law = stats.truncexpon(2 * END * rate, scale=1 / rate)
    assert side * mass.points[mass.peaks[0], 0] == pytest.approx(END, rel=1e-12)
    assert END - side * centre[0] == pytest.approx(law.mean(), rel=0.3)
    assert spread[0] == pytest.approx(law.std(), rel=0.3)


def two_peaks(points):
    """A bent ridge with two unequal peaks, one narrow."""
    first = gaussian((2.0, -1.5), (0.15, 0.1))(points)
    second = gaussian((-1.0, 1.2), (0.3, 0.3))(points) - 1.5
    ridge = (
        gaussian((0.5, 0.0), (2.0, 2.0))(points) - 6 - 20 * (points[:, 0] + points[:, 1] - 0.4) ** 2
    )
    return np.logaddexp(np.logaddexp(first, second), ridge)


def test_explore_keeps_both_peaks_of_a_ridge():
    mass = mode_search.explore(two_peaks, 2)
    peaks = mass.points[mass.peaks]
    assert np.all(np.diff(mass.value[mass.peaks]) <= 0)
    np.testing.assert_allclose(peaks[0], (2.0, -1.5), atol=0.15)
    assert np.min(np.linalg.norm(peaks - (-1.0, 1.2), axis=1)) < 0.2


def test_two_narrow_peaks_far_apart_are_both_kept():
    left, right = gaussian((-3.0,), (0.05,)), gaussian((4.0,), (0.05,))

    def density(points):
        return np.logaddexp(left(points), right(points) - 1)

    mass = mode_search.explore(density, 1)
    near = [np.abs(mass.points[mass.peaks, 0] - at).min() for at in (-3.0, 4.0)]
    assert max(near) < 0.06
    assert mass.weight @ (mass.points[:, 0] < 0) == pytest.approx(1 / (1 + np.exp(-1)), rel=0.05)


def test_values_that_are_no_numbers_carry_no_mass():
    def density(points):
        values = gaussian((1.0,), (0.5,))(points)
        return np.where(points[:, 0] > 2, np.nan, np.where(points[:, 0] < -3, -np.inf, values))

    mass = mode_search.explore(density, 1)
    assert np.isfinite(mass.value[mass.weight > 0]).all()
    assert mass.weight @ (mass.points[:, 0] > 2) == 0
    assert abs(mass.points[mass.peaks[0], 0] - 1) < 0.1


def test_no_dimension_is_one_point():
    mass = mode_search.explore(lambda points: np.full(len(points), -3.0), 0)
    assert mass.points.shape == (1, 0)
    assert (mass.weight, mass.value) == (1, -3)
    centre, spread = mode_search.centre_and_scale(mass)
    assert centre.shape == spread.shape == (0,)


@pytest.mark.parametrize("shape", [(7,), (5, 6)])
def test_local_maxima_are_the_points_not_below_a_neighbour(shape):
    grid = np.random.default_rng(1).normal(size=shape)
    actual = mode_search._local_maxima(grid)
    expected = []
    for at in np.ndindex(*shape):
        window = tuple(slice(max(i - 1, 0), i + 2) for i in at)
        if grid[at] >= grid[window].max():
            expected.append(np.ravel_multi_index(at, shape))
    assert sorted(actual) == expected
    assert list(grid.ravel()[actual]) == sorted(grid.ravel()[actual], reverse=True)


def single(dimensions):
    """All the mass on one point of a regular grid of unit steps."""
    axes = np.meshgrid(*[np.arange(5.0)] * dimensions, indexing="ij")
    points = np.stack(axes, axis=-1).reshape(-1, dimensions)
    weight = np.zeros(len(points))
    weight[len(points) // 2] = 1
    return mode_search.Mass(points, np.log(weight + 1e-300), weight, np.array([len(points) // 2]))


@pytest.mark.parametrize("dimensions", [1, 2])
def test_the_scale_is_at_least_about_a_grid_step(dimensions):
    centre, spread = mode_search.centre_and_scale(single(dimensions))
    np.testing.assert_array_equal(centre, 2.0)
    np.testing.assert_allclose(spread, 1.0, rtol=0.25)


def derivatives_of(function):
    """s -> value, gradient, Hessian."""
    parts = jax.jit(lambda s: (function(s), jax.grad(function)(s), jax.hessian(function)(s)))
    return lambda s: parts(jnp.asarray(s))


PROBLEMS = {  # a function, a start, and its maximum there
    "quadratic": (
        lambda s: -0.5 * (s[0] - 3) ** 2 - 5 * (s[1] + s[0]) ** 2,
        (0.0, 0.0),
        (3.0, -3.0),
    ),
    "flat quartic": (lambda s: -((s[0] - 1) ** 4) - 1e-3 * (s[0] - 1) ** 2, (-2.0,), (1.0,)),
    "convex at the start": (lambda s: jnp.exp(-0.5 * (s[0] / 0.3) ** 2), (1.5,), (0.0,)),
    "overshooting": (lambda s: -jnp.sqrt(1 + s[0] ** 2), (4.0,), (0.0,)),
    "narrow": (lambda s: -0.5 * ((s[0] - 0.2) / 1e-4) ** 2, (0.25,), (0.2,)),
    "bent ridge": (
        lambda s: -((1 - s[0]) ** 2) - 100 * (s[1] - s[0] ** 2) ** 2,
        (-1.0, 1.0),
        (1.0, 1.0),
    ),
    "the nearer of two": (
        lambda s: -((s[0] ** 2 - 1) ** 2) + 0.1 * s[0],
        (-0.8,),
        (np.roots([-4, 0, 4, 0.1]).real.min(),),
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_newton_climbs_to_the_maximum(name):
    function, start, expected = PROBLEMS[name]
    derivatives = derivatives_of(function)
    actual = mode_search.newton(derivatives, np.array(start), reach=1.0)
    np.testing.assert_allclose(actual, expected, atol=1e-8)
    value, gradient, hessian = derivatives(actual)
    assert float(value) >= float(derivatives(np.array(start))[0])
    assert np.abs(gradient).max() < 1e-6 * np.abs(hessian).max()
    assert np.linalg.eigvalsh(hessian).max() < 0


def test_newton_never_steps_further_than_its_reach_nor_downhill():
    function = lambda s: -jnp.sqrt(1 + 9 * s[0] ** 2)  # noqa: E731
    derivatives, seen = derivatives_of(function), []

    def spy(s):
        seen.append(np.array(s))
        return derivatives(s)

    mode_search.newton(spy, np.array([7.0]), reach=0.5)
    steps = np.abs(np.diff(np.concatenate(seen)))
    assert steps.max() <= 0.5 + 1e-12


def test_newton_stays_at_a_maximum():
    derivatives = derivatives_of(lambda s: -jnp.cosh(s[0] - 0.3))
    assert mode_search.newton(derivatives, np.array([0.3]), reach=1.0) == pytest.approx(
        [0.3], abs=1e-12
    )
