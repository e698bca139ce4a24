"""The density with beta and sigma integrated out: against the integrals over them in closed form,
and its own integral against the evidence.
"""

import jax
import numpy as np
import pytest
from density_laws import as_conjugate, build, conjugate, conjugate_pair
from oracles import dense, quadrature
from scipy import stats

from spillover.models.posterior import collapsed_log_density
from spillover.models.priors import InverseGamma, Priors, ScaledBeta

collapsed = jax.jit(collapsed_log_density)


def logit(value, bounds):
    return 0.5 * np.log((value - bounds[0]) / (bounds[1] - value))


def check_collapsed(built, prior, ends, constant=0.0):
    """At points over the intervals: the oracle's integral over beta and sigma^2, the prior of (rho,
    lam), and d rho / d s.
    """
    for shares in ((0.5, 0.5), (0.8, 0.3), (0.15, 0.9)):
        values = built.case.inside(*shares)
        _, (rho, lam) = built.case.named(values)
        expected = quadrature.conditional(built.case.problem, rho, lam, prior)[-1] + constant
        for value, (a, b) in zip(values, built.case.bounds, strict=True):
            expected += stats.beta.logpdf(value, *ends, loc=a, scale=b - a) + np.log(
                2 * (value - a) * (b - value) / (b - a)
            )
        s = np.array(
            [logit(value, bounds) for value, bounds in zip(values, built.case.bounds, strict=True)]
        )
        assert float(collapsed(built.posterior.likelihood, built.prior, s)) == pytest.approx(
            expected, abs=1e-7, rel=1e-9
        )


COLLAPSED = [
    *(
        (model, "none", name)
        for model in ("OLS", "SAR", "SEM", "SAC", "GNS")
        for name in ("contiguity", "sinks")
    ),
    *(
        (model, effects, name)
        for model in ("OLS", "SAR", "SEM", "GNS")
        for effects in dense.EFFECTS[1:]
        for name in ("bent_ring", "sinks")
    ),
]


@pytest.mark.cover
@pytest.mark.parametrize(("model", "effects", "name"), COLLAPSED)
def test_collapsed_is_the_integral_over_beta_and_sigma(case, with_prior, model, effects, name):
    chosen = case(name, model, effects)
    priors, _ = conjugate_pair(chosen)
    mean, V0 = conjugate(chosen.columns.shape[2])
    check_collapsed(
        build(chosen, priors, with_prior), {"b0": mean, "V0": V0, "a0": 3.2, "d0": 1.7}, (2.5, 1.5)
    )


@pytest.mark.parametrize("model", ["OLS", "SAR", "SEM", "GNS"])
def test_collapsed_with_flat_priors(case, with_prior, model):
    """1 / sigma^2 for sigma^2 is 1 / sigma for sigma times 2, the oracle's measure against the
    package's.
    """
    built = build(case("knn", model, "twoway"), Priors.reference(), with_prior)
    check_collapsed(built, None, (1.0, 1.0), constant=-np.log(2))


def integral(built, points=400, reach=20.0):
    """log of the integral of exp(collapsed), by the trapezoid rule, which converges geometrically
    here.
    """
    axis = np.linspace(-reach, reach, points)
    count = len(built.case.bounds)
    grid = np.array(np.meshgrid(*[axis] * count, indexing="ij")).reshape(count, -1).T
    values = np.asarray(
        jax.jit(jax.vmap(collapsed_log_density, in_axes=(None, None, 0)))(
            built.posterior.likelihood, built.prior, grid
        )
    )
    return (
        np.log(np.sum(np.exp(values - values.max())))
        + values.max()
        + count * np.log(axis[1] - axis[0])
    )


INTEGRALS = [
    *(
        (model, effects, (60, 12))
        for model in ("SAR", "SEM", "SDM")
        for effects in ("none", "twoway")
    ),
    ("SAC", "none", (6, 12)),
]


@pytest.mark.cover
@pytest.mark.parametrize(("model", "effects", "size"), INTEGRALS)
def test_collapsed_integrates_to_the_evidence(case, with_prior, model, effects, size):
    chosen = case("small 10", model, effects)
    mean, V0 = conjugate(chosen.columns.shape[2])
    priors = Priors(beta=as_conjugate(len(mean)), sigma=InverseGamma(3.2, 1.7))
    expected = dense.posterior(
        chosen.problem,
        bounds=chosen.bounds,
        prior={"b0": mean, "V0": V0, "a0": 3.2, "d0": 1.7},
        size=size,
    )["log_integral"]
    assert integral(
        build(chosen, priors, with_prior), points=400 if model == "SAC" else 800
    ) == pytest.approx(expected, abs=1e-7)


def test_evidence_of_a_cross_section_by_the_multivariate_t(case, with_prior):
    chosen = case("small 10", "SAR", periods=1)
    mean, V0 = conjugate(3)
    priors = Priors(
        beta=as_conjugate(3),
        sigma=InverseGamma(3.2, 1.7),
        rho=ScaledBeta(3.0, 2.0),
    )
    (a, b), law = chosen.bounds[0], stats.beta(3, 2)
    expected = dense.evidence(
        chosen.problem,
        {"b0": mean, "V0": V0, "a0": 3.2, "d0": 1.7},
        bounds=chosen.bounds,
        log_prior=lambda rho, _: law.logpdf((rho - a) / (b - a)) - np.log(b - a),
    )
    assert integral(build(chosen, priors, with_prior)) == pytest.approx(expected, abs=1e-8)
