"""The exact sampler against quadratures that share nothing with it: evidence, marginals, and the
joint law of every draw.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from oracles import dense, grid, quadrature
from oracles.hostile import knn, row_standardise
from scipy import stats

from spillover.kernels import moments
from spillover.models import exact, prior_arrays
from spillover.models import posterior as posteriors
from spillover.models import priors as families
from spillover.models.profile import residual_scale

SIZE = 20_000
POINTS = 257
LEVELS = (0.05, 0.5, 0.95)
# of the Beta prior of rho and lam: whole numbers, so that Gauss's rule sees no root at the bounds
ENDS = (
    3.0,
    2.0,
)
P_VALUE = 1e-5  # of a test that is right; there are some two hundred
DURBIN = {"SLX": "OLS", "SDM": "SAR", "SDEM": "SEM", "GNS": "SAC"}


def conjugate(k):
    """b0, V0, a0, d0, everything off its default."""
    half = np.tril(np.random.default_rng(k).normal(size=(k, k)) * 0.2) + np.diag(
        np.linspace(0.5, 2, k)
    )
    return {"b0": np.linspace(0.4, -0.7, k), "V0": half @ half.T, "a0": 3.2, "d0": 1.7}


def priors_of(prior, ends=ENDS):
    return families.Priors(
        beta=families.Conjugate(tuple(prior["b0"]), tuple(map(tuple, prior["V0"]))),
        sigma=families.InverseGamma(prior["a0"], prior["d0"]),
        rho=families.ScaledBeta(*ends),
        lam=families.ScaledBeta(*ends),
    )


def beta_law(case, ends=ENDS):
    """The log density of the prior of (rho, lam)."""
    laws = [stats.beta(*ends, loc=lo, scale=hi - lo) for lo, hi in case.bounds]

    def log_prior(rho, lam):
        present = [
            x for x, there in ((rho, case.problem.has_rho), (lam, case.problem.has_lambda)) if there
        ]
        return sum(
            (law.logpdf(x) for law, x in zip(laws, present, strict=True)), np.zeros_like(rho)
        )

    return log_prior


def posterior_of(case, with_prior, priors):
    """The package's posterior: names of the terms do not matter for a conjugate prior."""
    names = tuple(
        name
        for name, there in (("rho", case.problem.has_rho), ("lam", case.problem.has_lambda))
        if there
    )
    terms = tuple(f"x{j}" for j in range(case.columns.shape[2]))
    scale = prior_arrays.measure_scales(
        case.factor, case.parts, terms, residual_scale(case.likelihood), case.effects.nu
    )
    prior = prior_arrays.resolve(priors, terms, scale, names)
    zeros = jnp.zeros(len(names))
    return posteriors.Posterior(with_prior(case, prior), prior, zeros, zeros + 1)


def noise_for(posterior, size=SIZE, seed=0):
    rng, k = np.random.default_rng(seed), posterior.likelihood.moments.d.shape[1]
    gamma = rng.standard_gamma(
        float(posteriors.sigma_shape(posterior.likelihood, posterior.prior)), size
    )
    return exact.Noise(
        *map(
            jnp.asarray, (rng.random(size), rng.random(size), gamma, rng.standard_normal((size, k)))
        )
    )


def drawn(posterior, seed=0, points=POINTS, **options):
    """Draws as a dict of NumPy arrays, and their quality."""
    values, quality = exact.sample(
        posterior, noise_for(posterior, seed=seed), points=points, **options
    )
    return {
        name: np.asarray(value) for name, value in values._asdict().items() if value is not None
    }, quality


def near(actual, expected, error, what):
    assert abs(actual - expected) < 4.5 * error, (what, actual, expected, error)


def assert_moments(draws, mean, sd, what):
    near(draws.mean(), mean, sd / np.sqrt(draws.size), (what, "mean"))
    near(
        draws.std(), sd, ((draws - mean) ** 2).std() / np.sqrt(draws.size) / (2 * sd), (what, "sd")
    )


def assert_levels(draws, cdf, what):
    """The exact distribution function at quantiles of the draws."""
    for level in LEVELS:
        near(
            cdf(np.quantile(draws, level)),
            level,
            np.sqrt(level * (1 - level) / draws.size),
            (what, level),
        )


def assert_marginals(draws, truth):
    for which, name in enumerate(("rho", "lam")):
        if name in draws:
            assert_moments(draws[name], *truth.moments(which), name)
            assert stats.kstest(draws[name], truth.cdf(which)).pvalue > P_VALUE, name
    for what, values, (mean, sd, cdf) in [
        ("sigma2", draws["sigma"] ** 2, truth.sigma2()),
        *(
            (("beta", j), draws["beta"][:, j], truth.coefficient(j))
            for j in range(draws["beta"].shape[1])
        ),
    ]:
        assert_moments(values, mean, sd, what)
        assert_levels(values, cdf, what)


def assert_joint(draws, truth, law):
    """`law`: the oracle's, at the draws' own (rho, lam). sigma^2 has its distribution function
    uniform, beta is normal in the coordinates that its precision makes independent, neither knows
    (rho, lam) any more; and rho goes with each coefficient as it should.
    """
    sigma = draws["sigma"]
    score = stats.norm.ppf(stats.invgamma.cdf(sigma**2, law.a, scale=law.d))
    gap = (draws["beta"] - law.mean) / sigma[:, None]
    z = np.einsum("nab,na->nb", np.linalg.cholesky(law.precision), gap)
    quadratic = np.einsum("na,nab,nb->n", gap, law.precision, gap)
    assert stats.kstest(quadratic, stats.chi2(z.shape[1]).cdf).pvalue > P_VALUE
    scores = np.column_stack([score, z])
    for column in scores.T:
        assert stats.kstest(column, "norm").pvalue > P_VALUE
    place = [
        stats.norm.ppf(stats.rankdata(draws[name]) / (SIZE + 1))
        for name in ("rho", "lam")
        if name in draws
    ]
    table = np.corrcoef(np.column_stack([scores, score**2, *(part**2 for part in z.T), *place]).T)
    count = len(place)
    if count:
        assert np.abs(table[:-count, -count:]).max() < 4.5 / np.sqrt(SIZE)
    assert np.abs(table[0, 1 : scores.shape[1]]).max() < 4.5 / np.sqrt(SIZE)
    for which, name in enumerate(("rho", "lam")):
        for j in range(z.shape[1]) if name in draws else ():
            x, b = (stats.zscore(v) for v in (draws[name], draws["beta"][:, j]))
            r = (x * b).mean()
            near(
                r,
                truth.correlation(which, j),
                (x * b - r * (x**2 + b**2) / 2).std() / np.sqrt(SIZE),
                (name, j),
            )


def law_of_draws(case, draws, prior, **options):
    zeros = np.zeros(SIZE)
    return grid.law(
        case.problem, draws.get("rho", zeros), draws.get("lam", zeros), prior, **options
    )


def check(case, with_prior, ends=ENDS, **options):
    """Evidence, marginals and joint law of one case. Returns the quality, the draws and
    the truth.
    """
    prior = conjugate(case.columns.shape[2])
    posterior = posterior_of(case, with_prior, priors_of(prior, ends))
    truth = grid.grid(case.problem, case.bounds, prior, beta_law(case, ends), **options)
    draws, quality = drawn(posterior)
    assert float(quality.error) < 1e-9
    assert float(quality.log_evidence) == pytest.approx(truth.log_integral, rel=0, abs=1e-8)
    assert_marginals(draws, truth)
    assert_joint(draws, truth, law_of_draws(case, draws, prior))
    return quality, draws, truth


def columns(model):
    """Regressors of a model: three coefficients without effects and two with them, so that there
    are two shapes a model.
    """
    return 1 if model in DURBIN else 2


@cache
def without_lags(model):
    return DURBIN.get(model, model)


@pytest.mark.cover
@pytest.mark.parametrize("effects", dense.EFFECTS)
@pytest.mark.parametrize("model", sorted(dense.MODELS, key=without_lags))
def test_every_model_under_every_effect(case, with_prior, model, effects):
    other = "other" if effects in ("unit", "twoway") and model in ("SAC", "GNS") else "same"
    check(case("small 7", model, effects, k=columns(model), other=other), with_prior)


@pytest.mark.cover(model=["SAC"])
@pytest.mark.parametrize("model", ["SAR", "SEM", "SAC"])
def test_weights_of_any_size_and_period_effects(case, with_prior, model):
    """A quasi-posterior: the law of its draws, and the integral that is no evidence."""
    check(case("raw 7", model, "twoway", k=columns(model)), with_prior)


@pytest.mark.parametrize("model", ["SAR", "SEM"])
def test_a_cross_section(case, with_prior, model):
    check(case("small 9", model, k=2, periods=1), with_prior)


@pytest.mark.parametrize(
    ("model", "effects"), [("SAR", "none"), ("SAC", "twoway"), ("GNS", "unit")]
)
def test_the_oracles_agree(case, model, effects):
    """The law at many points and the law at one, by other algebra."""
    chosen = case("small 7", model, effects, k=columns(model))
    prior, p = conjugate(chosen.columns.shape[2]), chosen.problem
    rho, lam = np.random.default_rng(0).uniform(-0.9, 0.9, (2, 4)) * np.array(
        [[p.has_rho], [p.has_lambda]]
    )
    law = grid.law(p, rho, lam, prior)
    for i in range(4):
        mean, V, a, d, value = quadrature.conditional(p, rho[i], lam[i], prior)
        np.testing.assert_allclose(law.mean[i], mean, rtol=1e-9)
        np.testing.assert_allclose(np.linalg.inv(law.precision[i]), V, rtol=1e-9)
        np.testing.assert_allclose([law.a, law.d[i], law.value[i]], [a, d, value], rtol=1e-10)


@pytest.mark.parametrize(
    ("model", "size"), [("OLS", (1, 1)), ("SAR", (20, 10)), ("SEM", (20, 10)), ("SAC", (5, 8))]
)
def test_evidence_by_the_multivariate_t(case, with_prior, model, size):
    chosen = case("small 7", model, "unit", k=2, periods=2)
    prior = conjugate(2)
    _, quality = drawn(posterior_of(chosen, with_prior, priors_of(prior)))
    expected = dense.evidence(chosen.problem, prior, chosen.bounds, beta_law(chosen), size)
    assert float(quality.log_evidence) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("model", ["OLS", "SAR", "SEM"])
def test_evidence_by_the_sum_over_every_parameter(case, with_prior, model):
    """Likelihood times prior on a grid of rho or lam, log sigma^2 and both coefficients."""
    chosen = case("small 7", model, "unit", k=2, periods=2)
    prior = conjugate(2)
    _, quality = drawn(posterior_of(chosen, with_prior, priors_of(prior)))
    expected = dense.evidence_direct(
        chosen.problem, prior, chosen.bounds, beta_law(chosen), ((4, 8), 100, 40)
    )
    assert float(quality.log_evidence) == pytest.approx(expected, abs=1e-8)


@pytest.fixture(scope="module")
def ridge(assembled):
    """A model with M = W whose posterior has two peaks: u follows one sign of dependence, y the
    other, and x hardly tells them apart.
    """

    def make(model):
        n, rng = 13, np.random.default_rng(4)
        W, X, errors = (
            row_standardise(knn(n, 3)),
            rng.standard_normal((3 * n, columns(model))),
            rng.standard_normal((3 * n, 1)),
        )
        errors = dense.lag(np.linalg.inv(np.eye(n) + 0.7 * W), errors, 3)
        y = dense.lag(np.linalg.inv(np.eye(n) - 0.7 * W), errors, 3)[:, 0] + 0.1 * X[:, 0]
        return assembled(
            dense.problem(
                y, np.column_stack([np.ones(3 * n), X]), W, model, "unit", 3, expand=False
            )
        )

    return make


@pytest.mark.cover(model=["SAC"])
@pytest.mark.parametrize("model", ["SAC", "GNS"])
def test_two_peaks(ridge, with_prior, model):
    _, draws, truth = check(ridge(model), with_prior, size=(16, 16))
    density = truth.density(0)[1]
    peaks = np.flatnonzero((density[1:-1] > density[:-2]) & (density[1:-1] > density[2:])) + 1
    assert len(peaks) == 2
    assert density[peaks[0] : peaks[1]].min() < 0.8 * density[peaks].min()
    cov = truth.weight.ravel() @ np.prod(
        [x - truth.weight.ravel() @ x for x in truth.points], axis=0
    )
    r = np.corrcoef(draws["rho"], draws["lam"])[0, 1]
    assert r == pytest.approx(
        cov / (truth.moments(0)[1] * truth.moments(1)[1]), abs=4.5 / np.sqrt(SIZE)
    )
    assert r < -0.8


def many(case, with_prior, prior, copies):
    """The posterior of the data `copies` times over: R grows by the root of that, and the prior's
    rows stay.
    """
    priors = priors_of(prior)
    one = posterior_of(case, with_prior, priors)
    factor = moments.append_rows(
        np.sqrt(copies) * case.factor,
        case.parts,
        np.asarray(one.prior.root),
        np.asarray(one.prior.target),
    )
    likelihood = one.likelihood
    data = likelihood._replace(
        moments=moments.split(factor, case.parts),
        nu=copies * likelihood.nu,
        multiplicity=copies * likelihood.multiplicity,
    )
    return one._replace(likelihood=data)


def around(case, prior, copies):
    """Bounds twelve standard deviations about the mode, by grids of the oracle's density that close
    in.
    """
    bounds, log_prior = list(case.bounds), beta_law(case)
    for _ in range(12):
        actual = grid.grid(case.problem, bounds, prior, log_prior, (1, 40), copies)
        at = np.unravel_index(
            np.argmax(actual.weight / np.outer(*actual.widths)), actual.weight.shape
        )
        pairs = [(axis, i) for axis, i in zip(actual.axes, at, strict=True) if len(axis) > 1]
        bounds = [(axis[max(i - 4, 0)], axis[min(i + 4, 39)]) for axis, i in pairs]
        width = [
            12 * actual.moments(which)[1] for which, axis in enumerate(actual.axes) if len(axis) > 1
        ]
        if all(hi - lo < w for (lo, hi), w in zip(bounds, width, strict=True)):
            break
    fine = grid.grid(case.problem, bounds, prior, log_prior, (4, 20), copies)
    spans = [
        (m, 12 * s)
        for m, s in (fine.moments(which) for which, axis in enumerate(fine.axes) if len(axis) > 1)
    ]
    return [(m - span, m + span) for m, span in spans]


@pytest.mark.cover(model=["SAR"])
@pytest.mark.parametrize("model", ["SAR", "SEM", "SAC"])
def test_ten_million_observations(case, with_prior, model):
    """A posterior 1e-4 to 1e-3 wide. log p(y) is of the size of 1e7 and known to its rounding: the
    tolerance is 2e-15 of that.
    """
    chosen = case("small 7", model, "unit", k=2)
    prior, copies = conjugate(2), 1e7 / 14
    posterior = many(chosen, with_prior, prior, copies)
    truth = grid.grid(
        chosen.problem, around(chosen, prior, copies), prior, beta_law(chosen), (12, 16), copies
    )
    draws, quality = drawn(posterior)
    assert float(quality.error) < 1e-7
    assert float(quality.log_evidence) == pytest.approx(truth.log_integral, rel=1e-13, abs=1e-6)
    assert_marginals(draws, truth)
    assert_joint(draws, truth, law_of_draws(chosen, draws, prior, copies=copies))
    assert draws["rho" if "rho" in draws else "lam"].std() < 2e-3


@pytest.mark.parametrize(
    ("model", "effects"), [("SAR", "twoway"), ("SEM", "twoway"), ("SAR", "none")]
)
def test_piled_against_the_bound(assembled, with_prior, model, effects):
    """A trend over the graph: on contrasts the density of rho does not even vanish at 1; panels
    that close in on the bound see it.
    """
    n, k, rng = 9, 1 if effects == "none" else 2, np.random.default_rng(1)
    W = row_standardise(knn(n, 3))
    X = np.column_stack([np.ones(3 * n), rng.standard_normal((3 * n, k + (effects == "none")))])
    smooth = np.linalg.inv(np.eye(n) - 0.999 * W)
    y = dense.lag(smooth, 0.3 * X[:, 1:2] + rng.standard_normal((3 * n, 1)), 3)[:, 0]
    chosen = assembled(dense.problem(y, X, W, model, effects, 3, expand=False))
    edges = np.concatenate([[0.0, 0.3, 0.6], 1 - np.geomspace(0.3, 1e-9, 30), [1.0]])
    _, draws, _ = check(chosen, with_prior, (1.0, 1.0), edges=edges)
    assert np.quantile(draws["rho" if "rho" in draws else "lam"], 0.9) > 0.97


def test_two_peaks_of_rho_given_lam(case, with_prior):
    """A prior with two peaks, so that rho given lam has them: the quantiles kept at scores are
    steep between them.
    """
    chosen = case("small 7", "SAC", "unit", k=2)
    prior, laws = conjugate(2), (stats.norm(-0.9, 0.1), stats.norm(0.45, 0.15))
    mixture = dist.MixtureSameFamily(
        dist.Categorical(jnp.array([0.998, 0.002])),
        dist.Normal(jnp.array([-0.9, 0.45]), jnp.array([0.1, 0.15])),
    )
    given = families.Priors(
        beta=priors_of(prior).beta,
        sigma=priors_of(prior).sigma,
        rho=mixture,
        lam=families.Uniform(),
    )
    width = np.diff(chosen.bounds[1])[0]
    truth = grid.grid(
        chosen.problem,
        chosen.bounds,
        prior,
        lambda rho, _: np.log(0.998 * laws[0].pdf(rho) + 0.002 * laws[1].pdf(rho)) - np.log(width),
        size=(16, 16),
    )
    draws, quality = drawn(posterior_of(chosen, with_prior, given))
    assert 0.1 < truth.cdf(0)(-0.3) < 0.9
    assert float(quality.log_evidence) == pytest.approx(truth.log_integral, abs=1e-8)
    assert_marginals(draws, truth)
    assert_joint(draws, truth, law_of_draws(chosen, draws, prior))


@pytest.mark.parametrize("model", ["OLS", "SAR", "SEM", "SAC"])
def test_flat_coefficients_and_variance(case, with_prior, model):
    """The posterior under beta constant and 1 / sigma^2, by the oracle's moments; its evidence is
    an integral up to constants.
    """
    chosen = case("small 7", model, "twoway", k=2)
    draws, quality = drawn(posterior_of(chosen, with_prior, families.Priors.reference()))
    exact_ = quadrature.posterior(
        chosen.problem, chosen.bounds, size=(6, 10) if model == "SAC" else (30, 16)
    )
    assert float(quality.log_evidence) == pytest.approx(
        exact_["log_integral"] - np.log(2), abs=1e-6
    )
    for name, stored in (("rho", "rho"), ("lam", "lambda")):
        if name in draws:
            i = exact_["names"].index(stored)
            assert_moments(draws[name], exact_["spatial_mean"][i], exact_["spatial_sd"][i], name)
    for j in range(2):
        assert_moments(draws["beta"][:, j], exact_["b_mean"][j], exact_["b_sd"][j], j)
    assert_moments(draws["sigma"] ** 2, exact_["sigma2_mean"], exact_["sigma2_sd"], "sigma2")


@pytest.mark.verify
@pytest.mark.cover(model=["SAC"])
@pytest.mark.parametrize("model", ["SEM", "SAC"])
def test_values_of_lam_together_or_one_by_one(case, with_prior, model):
    chosen = case("small 7", model, "unit", k=2)
    posterior = posterior_of(chosen, with_prior, priors_of(conjugate(2)))
    one, together = drawn(posterior), drawn(posterior, batch=8)
    for first, second in zip(jax.tree.leaves(one), jax.tree.leaves(together), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-9, atol=1e-11)


def test_a_draw_is_a_function_of_its_noise(case, with_prior):
    chosen = case("small 7", "SAC", "unit", k=2)
    posterior = posterior_of(chosen, with_prior, priors_of(conjugate(2)))
    (first, _), (same, _), (other, _) = (drawn(posterior, seed) for seed in (0, 0, 1))
    for name in first:
        np.testing.assert_array_equal(first[name], same[name])
        assert (first[name] != other[name]).all()
