"""The cut normal against SciPy's, in the middle and far out in the tails, and its derivatives
against differences.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats

from spillover.kernels.truncated import FAR, truncate

INTERVALS = [
    (-1.0, 2.0),
    (0.0, FAR),
    (-FAR, FAR),
    (-8.0, 8.0),
    (2.0, 2.1),
    (-3.0, -2.9),
    (5.0, FAR),
    (30.0, FAR),
    (-60.0, -40.0),
    (-FAR, -200.0),
    (0.0, 1e-6),
]
V = (-5.0, -1.3, 0.0, 0.4, 3.0)
function = jax.jit(truncate)
slopes = jax.jit(jax.jacrev(lambda x: jnp.stack(truncate(*x))))


def log_mass(low, high):
    """log(Phi(high) - Phi(low)), from the tail that is nearer."""
    low, high = (low, high) if low + high < 0 else (-high, -low)
    return stats.norm.logcdf(high) + np.log(
        -np.expm1(stats.norm.logcdf(low) - stats.norm.logcdf(high))
    )


@pytest.mark.parametrize(("low", "high"), INTERVALS)
def test_it_is_the_quantile_of_the_cut_normal(low, high):
    for v in V:
        z, mass = map(float, function(v, low, high))
        assert low <= z <= high
        assert mass == pytest.approx(log_mass(low, high), rel=1e-10, abs=1e-14)
        side = 1.0 if v < 0 else -1.0  # the share of the mass on the smaller side of z, by logs
        ends = sorted((side * low, side * high))
        share = log_mass(ends[0], side * z) - mass
        wanted = stats.norm.logcdf(side * v)
        # a rounding of it, as part of the share of a mass that is a part of it
        whole = min(stats.norm.logcdf(z), stats.norm.logcdf(-z))
        rounding = 8 * np.finfo(float).eps * max(1.0, -whole) * np.exp(whole - mass - wanted)
        assert share == pytest.approx(wanted, abs=1e-10 + rounding)


@pytest.mark.parametrize(("low", "high"), INTERVALS)
def test_its_derivatives_are_those_of_the_equation_that_defines_it(low, high):
    """By central differences in each argument, the step as small as the interval asks for."""
    step = 1e-4 * min(
        1.0,
        high - low,
        1
        / max(
            abs(low + high) / 2 if max(abs(low), abs(high)) < FAR else min(abs(low), abs(high)), 1.0
        ),
    )
    for v in V[1:4]:
        x = np.array([v, low, high])
        found = np.asarray(slopes(x))
        moved = np.diag([1e-4, step, step])
        by_differences = [
            (np.array(function(*(x + h))) - np.array(function(*(x - h)))) / (2 * h.sum())
            for h in moved
        ]
        np.testing.assert_allclose(found, np.transpose(by_differences), rtol=2e-6, atol=1e-6)


def test_far_ends_do_nothing():
    v = np.linspace(-6, 6, 25)
    z, mass = jax.jit(jax.vmap(lambda one: truncate(one, -FAR, FAR)))(v)
    np.testing.assert_allclose(z, v, rtol=1e-13, atol=1e-15)
    np.testing.assert_array_equal(mass, 0)


def test_in_single_precision():
    """A TPU's: nothing overflows, and the quantile deep in a tail is right to the last digits there
    are.
    """
    with jax.enable_x64(False):
        found = [
            float(truncate(*map(jnp.float32, (1.0, low, FAR)))[0]) for low in (0.0, 30.0, 3000.0)
        ]
    for z, low in zip(found, (0.0, 30.0, 3000.0), strict=True):
        wanted = stats.norm.logsf(low) + stats.norm.logsf(1.0)
        exact = optimize.brentq(lambda x, wanted=wanted: stats.norm.logsf(x) - wanted, low, low + 5)
        assert z == pytest.approx(exact, rel=2e-6)
