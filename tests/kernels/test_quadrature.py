"""Tables of densities against closed forms: where the mass is, integrals, distribution functions,
quantiles, honest errors.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from spillover.kernels import quadrature

LEVELS = np.array([1e-9, 1e-6, 1e-3, 0.025, 0.2, 0.5, 0.7, 0.975, 1 - 1e-3, 1 - 1e-6, 1 - 1e-9])
COUNT = 1025
PLATFORMS = ("cpu", "cuda", "tpu")


class Known(NamedTuple):
    """A log density in a family, its parameters, the log of its integral, and SciPy's law of it."""

    family: str
    parameters: tuple
    log_integral: float
    law: object

    def log_density(self, s):
        return FAMILIES[self.family](s, *self.parameters)


FAMILIES = {
    "normal": lambda s, mean, sd, height: height - 0.5 * ((s - mean) / sd) ** 2,
    "student": lambda s, df, mean, scale: -(df + 1) / 2 * jnp.log1p(((s - mean) / scale) ** 2 / df),
    # the logit variable of a Beta (a, b) variate: tails exp(2 a s) and exp(-2 b s)
    "logit": lambda s, a, b: (
        a * jax.nn.log_sigmoid(2 * s) + b * jax.nn.log_sigmoid(-2 * s) + jnp.log(2.0)
    ),
    "normals": lambda s, *parts: jax.nn.logsumexp(
        jnp.stack(
            [
                jnp.log(w) - 0.5 * ((s - mean) / sd) ** 2 - jnp.log(sd * np.sqrt(2 * np.pi))
                for w, mean, sd in parts
            ]
        ),
        axis=0,
    ),
    "cut": lambda s, edge, outside: jnp.where(s > edge, -0.5 * s**2, outside),
    "constant": lambda s, value: jnp.full_like(s, value),
}


def normal(mean, sd, height=0.0):
    return Known(
        "normal", (mean, sd, height), height + np.log(sd * np.sqrt(2 * np.pi)), stats.norm(mean, sd)
    )


def student(df, mean, scale):
    constant = (
        special.gammaln(df / 2)
        - special.gammaln((df + 1) / 2)
        + 0.5 * np.log(df * np.pi)
        + np.log(scale)
    )
    return Known("student", (df, mean, scale), constant, stats.t(df, mean, scale))


class LogitBeta:
    """Law of s = 1/2 log(v / (1 - v)), v ~ Beta(a, b), from the nearer end."""

    def __init__(self, a, b):
        self.a, self.b = a, b

    def ppf(self, u):
        v, w = special.betaincinv(self.a, self.b, u), special.betaincinv(self.b, self.a, 1 - u)
        return 0.5 * (np.log(v) - np.log(w))

    def cdf(self, s):
        return special.betainc(self.a, self.b, special.expit(2 * s))

    def std(self):
        return 0.5 * np.sqrt(special.polygamma(1, self.a) + special.polygamma(1, self.b))


def logit(a, b):
    return Known("logit", (a, b), special.betaln(a, b), LogitBeta(a, b))


KNOWN = {
    "standard normal": normal(0.0, 1.0),
    "high normal": normal(0.3, 0.2, height=-31234.5),
    "narrow normal": normal(0.123456, 1e-5),
    "narrow normal far from 0": normal(-15.4321, 1e-5, height=7e6),
    "normal near the lower end": normal(-12.0, 0.5),
    "normal near the upper end": normal(13.0, 0.3),
    "Student t": student(40, 0.7, 0.3),
    "narrow Student t": student(60, 3.3, 1e-4),
    "flat in rho": logit(1.0, 1.0),
    "bulk at the upper bound": logit(900.0, 3.0),
    "bulk at the lower bound": logit(2.0, 500.0),
    "long upper tail": logit(40.0, 1.0),
    "long lower tail": logit(1.0, 300.0),
    "bathtub in rho": logit(1.0, 1.5),
}


class Mixture:
    """Law of two normals with weights."""

    def __init__(self, weight, first, second):
        self.parts = ((weight, stats.norm(*first)), (1 - weight, stats.norm(*second)))

    def cdf(self, s):
        return sum(w * law.cdf(s) for w, law in self.parts)

    @property
    def parameters(self):
        return tuple((w, law.mean(), law.std()) for w, law in self.parts)


PEAKS = {  # weight of the first, mean and sd of both
    "merged": (0.6, (0.0, 0.5), (1.2, 0.4)),
    "apart": (0.2, (-2.0, 0.3), (1.5, 0.5)),
    "one low and narrow": (0.01, (-1.0, 0.05), (0.4, 0.4)),
    "one near each end": (0.7, (-11.0, 0.2), (12.0, 0.15)),
    "one hardly there": (1e-6, (-3.0, 0.3), (1.0, 0.2)),
}


@partial(jax.jit, static_argnames=("family", "count"))
def _table(family, parameters, count):
    def log_density(s):
        return FAMILIES[family](s, *parameters)

    ends = quadrature.locate(log_density)
    return quadrature.tabulate(log_density, ends, count), ends


quantile = jax.jit(quadrature.quantile)


def table(family, parameters, count=COUNT):
    return _table(family, jax.tree.map(float, parameters), count)[0]


def assert_monotone(found):
    assert (np.diff(found.below) >= 0).all()
    np.testing.assert_allclose(found.below[jnp.array([0, -1])], [0, 1], rtol=0, atol=1e-15)
    assert (np.asarray(found.density) >= 0).all()


@pytest.mark.parametrize("name", KNOWN)
def test_integral_and_quantiles_are_those_of_the_law(name):
    """The tail beyond either end holds exp(-34) of the density's top, times its scale: quantiles at
    1e-9 know nothing of it.
    """
    known = KNOWN[name]
    at, spread = known.law.ppf(0.5), known.law.std()
    # of the height, and of s
    rounding = np.finfo(float).eps * (abs(known.log_integral) + abs(at) / spread)
    found = table(known.family, known.parameters)
    assert float(found.log_integral) == pytest.approx(
        known.log_integral, rel=0, abs=1e-12 + rounding
    )
    assert float(found.error) < 1e-12 + rounding
    assert_monotone(found)
    s = np.asarray(quantile(found, jnp.asarray(LEVELS)))
    assert (np.diff(s) > 0).all()
    inner = slice(2, -2)
    np.testing.assert_allclose(s[inner], known.law.ppf(LEVELS)[inner], rtol=0, atol=1e-6 * spread)
    np.testing.assert_allclose(known.law.cdf(s), LEVELS, rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", KNOWN)
def test_the_ends_hold_the_mass_and_little_else(name):
    known = KNOWN[name]
    low, high = map(float, _table(known.family, jax.tree.map(float, known.parameters), COUNT)[1])
    assert -quadrature.FARTHEST <= low < high <= quadrature.FARTHEST
    ends = np.asarray(known.log_density(jnp.array([low, high])))
    top = float(known.log_density(jnp.asarray(known.law.ppf(np.linspace(0.01, 0.99, 99)))).max())
    for end, value in zip((low, high), ends, strict=True):
        assert value < top - quadrature.DEPTH + 0.05 or abs(end) == quadrature.FARTHEST
    assert high - low < 60 * known.law.std()  # tails of exp(-2 |s|) reach 34 / 2 beyond the bulk


@pytest.mark.parametrize("name", PEAKS)
def test_two_peaks(name):
    weight, first, second = PEAKS[name]
    law = Mixture(weight, first, second)
    found = table("normals", law.parameters)
    assert float(found.log_integral) == pytest.approx(0, abs=1e-10)
    assert_monotone(found)
    u = np.concatenate(
        [
            LEVELS[2:-2],
            weight * np.array([0.03, 0.5, 0.97]),
            weight + (1 - weight) * np.array([0.03, 0.5, 0.97]),
        ]
    )
    s = np.asarray(quantile(found, jnp.asarray(u)))
    np.testing.assert_allclose(law.cdf(s), u, rtol=0, atol=1e-5)


@pytest.mark.parametrize("outside", [-np.inf, np.nan])
@pytest.mark.parametrize("edge", [-0.2, 0.05])
def test_parts_without_density_have_no_mass(outside, edge):
    """A normal cut at an edge is a density with a jump: the trapezoid errs by up to half a cell
    there, and says so.
    """
    law = stats.truncnorm(edge, np.inf)
    found = table("cut", (edge, outside))
    assert_monotone(found)
    cell = float(found.s[1] - found.s[0])
    exact = 0.5 * np.log(2 * np.pi) + stats.norm.logsf(edge)
    assert float(found.log_integral) == pytest.approx(exact, abs=1.1 * float(found.error))
    assert float(found.error) < cell
    s = np.asarray(quantile(found, jnp.asarray(LEVELS)))
    assert (s >= edge - cell).all()
    np.testing.assert_allclose(s[2:-2], law.ppf(LEVELS[2:-2]), rtol=0, atol=2 * cell)


def test_a_density_that_dies_at_an_edge_is_no_jump():
    """Zero outside (0, 1), and at the edges with four derivatives: Beta (6, 6) of s itself."""

    def log_density(s):
        inside = (s > 0) & (s < 1)
        v = jnp.where(inside, s, 0.5)
        return jnp.where(inside, 5 * (jnp.log(v) + jnp.log1p(-v)), -jnp.inf)

    found = quadrature.tabulate(log_density, quadrature.locate(log_density), COUNT)
    assert float(found.log_integral) == pytest.approx(special.betaln(6, 6), abs=1e-9)
    u = LEVELS[2:-2]
    np.testing.assert_allclose(
        quantile(found, jnp.asarray(u)), stats.beta(6, 6).ppf(u), rtol=0, atol=1e-6 * 0.14
    )


def test_nan_or_nothing_anywhere_is_not_a_result():
    for value in (jnp.nan, -jnp.inf):
        found = table("constant", (value,))
        assert not float(found.error) < 1e-4


@pytest.mark.parametrize("count", [9, 33])
@pytest.mark.parametrize(
    "name",
    ["standard normal", "narrow normal far from 0", "bulk at the upper bound", "long lower tail"],
)
def test_the_error_bounds_what_too_few_points_miss(name, count):
    """What every other point makes of the integral is far above what all points miss, and large
    where they miss much.
    """
    known = KNOWN[name]
    found = table(known.family, known.parameters, count)
    missed = abs(np.expm1(float(found.log_integral) - known.log_integral))
    if float(found.error) < 0.01:  # below, neither grid may see the peak
        assert missed <= float(found.error) + 1e-13 + 4e-15 * abs(known.log_integral)
    if missed > 1e-6:
        assert float(found.error) > 1e-4


def test_too_few_points_for_two_narrow_peaks_are_seen():
    law = Mixture(0.5, (-11.03, 0.01), (12.01, 0.012))
    assert float(table("normals", law.parameters).error) > 1e-2
    assert float(table("normals", law.parameters, 16385).error) < 1e-10


@pytest.mark.parametrize("offset", np.random.default_rng(4).uniform(-17, 17, 6))
@pytest.mark.parametrize("sd", [1e-5, 1e-3, 0.05])
def test_a_narrow_peak_between_the_points_is_found(offset, sd):
    low, high = map(float, _table("normal", (float(offset), sd, 0.0), COUNT)[1])
    depth = sd * np.sqrt(2 * quadrature.DEPTH)
    assert low <= offset - depth + 1e-9 < offset + depth - 1e-9 <= high
    assert high - low < 4 * depth


def bent(a):
    """A table of a skewed density, and quantiles of it."""

    def log_density(s):
        return FAMILIES["logit"](s, a, 3.0)

    found = quadrature.tabulate(log_density, quadrature.locate(log_density), 65)
    return found, quadrature.quantile(found, jnp.array([0.025, 0.5, 0.975]))


def test_jit_and_vmap_are_the_loop():
    values = jnp.array([2.0, 40.0, 900.0])
    eager, compiled = bent(values[1]), [jax.jit(bent)(value) for value in values]
    together = jax.jit(jax.vmap(bent))(values)
    for one, other in zip(*map(jax.tree.leaves, (eager, compiled[1])), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-13)
    for i, one in enumerate(compiled):
        for leaf, batched in zip(*map(jax.tree.leaves, (one, together)), strict=True):
            np.testing.assert_allclose(batched[i], leaf, rtol=1e-9, atol=1e-13)


def test_quantiles_of_any_shape():
    found = table("normal", (0, 1, 0))
    u = np.random.default_rng(1).uniform(size=(3, 4))
    for shape in (u, u[0], u[0, 0]):
        s = quantile(found, jnp.asarray(shape))
        assert s.shape == np.shape(shape)
        np.testing.assert_allclose(s, stats.norm.ppf(shape), atol=1e-6)


def test_the_ends_of_the_unit_interval_are_the_ends_of_the_table():
    found = table("normal", (0, 1, 0))
    low, high = quantile(found, jnp.array([0.0, 1.0]))
    assert float(found.s[0]) <= float(low) < -6.5
    assert 6.5 < float(high) <= float(found.s[-1])


@pytest.mark.parametrize("at", [0.2, 1.0, 1.5, 7.99, 8.0, 8.7])
def test_the_stencil_is_exact_for_cubics(at):
    """Inside, and by extrapolation in the outer cells."""
    first, weights = quadrature.stencil(jnp.asarray(at), 10, 4)
    assert 0 <= int(first) <= 6
    cubic = np.polynomial.Polynomial([0.3, -1.0, 0.5, 0.25])
    assert sum(float(w) * cubic(int(first) + i) for i, w in enumerate(weights)) == pytest.approx(
        cubic(at), abs=1e-12
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_export_for_every_platform(dtype):
    """One program for all, in either precision; on this machine it gives the quantiles
    of the law.
    """
    tolerance = 1e-6 if dtype is np.float64 else 2e-3

    def quantiles(a, b, u):
        found, _ = _table("logit", (a, b), 257)
        return quadrature.quantile(found, u), found.log_integral

    with jax.enable_x64(dtype is np.float64):
        arguments = dtype(40.0), dtype(3.0), LEVELS[3:-3].astype(dtype)
        exported = jax.export.export(jax.jit(quantiles), platforms=PLATFORMS)(*arguments)
        assert exported.platforms == PLATFORMS
        s, log_integral = exported.call(*arguments)
    assert s.dtype == log_integral.dtype == dtype
    np.testing.assert_allclose(s, LogitBeta(40.0, 3.0).ppf(LEVELS[3:-3]), rtol=0, atol=tolerance)
    assert float(log_integral) == pytest.approx(
        special.betaln(40, 3), abs=1e-12 if dtype is np.float64 else 1e-4
    )
