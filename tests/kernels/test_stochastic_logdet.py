"""log|I - rho W| from random probes, against eigenvalues, dense algebra and exact
factorisations.
"""

from functools import cache
from itertools import pairwise

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sparse
import scipy.sparse.linalg
from oracles import dense
from sparse_graphs import (
    ALL,
    GRAPHS,
    eigenvalues,
    evaluated,
    exact,
    lattice,
    nearest,
    row_standardised,
)

from spillover.kernels import (
    admissible,
    logdet,
    sparse_logdet,
    sparse_operator,
    spectrum,
    stochastic_logdet,
)
from spillover.kernels.errors import WeightsError
from spillover.kernels.logit import to_rho

PLATFORMS = ("cpu", "cuda", "tpu")
# standard errors: some 500 comparisons with Student's t of 11 degrees of freedom, whose 1 - 1e-4 /
# 2 quantile is 5.9
FAR = 6.0


def covered(result, share=1.0, count=41):
    return share * to_rho(np.linspace(*result.ends, count), result.bounds)


def build(W, **options):
    return stochastic_logdet.stochastic_logdet(
        W, **({"most": 16, "precision": np.float64} | options)
    )


def assert_within(result, name, rho):
    """Both l and l' within their standard errors and what the truncation adds; rounding of 1e-10 of
    n on top.
    """
    rounding = 1e-10 * ALL[name].shape[0]
    value, slope = exact(name, rho)
    expansion = result.expansion
    scale = max(1.0, 1 / result.bounds[1])
    errors, rests = (
        stochastic_logdet.standard_errors(expansion, rho),
        stochastic_logdet.truncation(expansion, rho),
    )
    assert np.all(
        np.abs(stochastic_logdet.value(expansion, rho) - value)
        <= FAR * errors[0] + rests[0] + rounding
    )
    assert np.all(
        np.abs(stochastic_logdet.slope(expansion, rho) - slope)
        <= FAR * errors[1] + rests[1] + rounding * scale
    )


@pytest.mark.parametrize("name", ALL)
def test_within_its_standard_error(name):
    result = build(ALL[name])
    assert_within(result, name, covered(result, 0.95))


@pytest.mark.parametrize("name", ALL)
def test_the_series_is_the_sum(name):
    result = build(ALL[name])
    rho = covered(result)
    np.testing.assert_allclose(
        evaluated(result, rho),
        stochastic_logdet.value(result.expansion, rho),
        rtol=0,
        atol=1e-9 * ALL[name].shape[0],
    )


@pytest.mark.parametrize("name", ALL)
def test_many_probes_tell_l_of_a_small_w(name):
    """Over the range for which the error is told, which is below sqrt(n / p), where plain probes
    begin.
    """
    result = build(ALL[name], most=256, probes=256)
    radius = 1 / result.bounds[1]
    rho = np.linspace(
        max(-0.9 / radius, covered(result)[0]), min(0.9 / radius, covered(result)[-1]), 31
    )
    assert (
        np.abs(stochastic_logdet.value(result.expansion, rho) - exact(name, rho)[0]).max()
        <= 4 * result.error + 1e-9
    )
    assert result.error < np.sqrt(len(eigenvalues(name)) / 256)


@pytest.mark.parametrize("name", ["rook", "queen", "knn", "binary", "sinks", "own weights"])
def test_the_bounds_are_admissible(name):
    result = build(ALL[name])
    lower, upper = spectrum.admissible_interval(eigenvalues(name))
    assert (1 + 1e-9) * lower <= result.bounds[0]
    assert result.bounds[1] <= (1 + 1e-9) * upper
    assert result.bounds[1] >= upper * (1 - 2 * admissible.PERRON)


def test_bounds_wider_than_the_radius_reach_beyond_minus_one():
    """lambda_min > -1: the polynomials move to the spectrum as it is."""
    structure = stochastic_logdet.prepare(GRAPHS["queen"])
    bounds = admissible.find_admissible(structure)[0]
    assert bounds[0] < -1.5
    result = build(structure, bounds=bounds)
    assert covered(result)[0] < -1.5
    assert_within(result, "queen", covered(result, 0.99))


@pytest.mark.parametrize("scale", [1e-5, 1e5])
@pytest.mark.parametrize("name", ["queen", "knn", "binary"])
def test_the_scale_of_w_goes_into_the_bounds_alone(name, scale):
    plain, scaled = build(GRAPHS[name]), build(scale * GRAPHS[name])
    np.testing.assert_allclose(np.asarray(scaled.bounds) * scale, plain.bounds, rtol=1e-9)
    np.testing.assert_allclose(scaled.coef, plain.coef, rtol=0, atol=1e-6)
    np.testing.assert_allclose(scaled.shift, plain.shift, rtol=1e-3)


def test_an_acyclic_w_needs_bounds_and_has_none_of_the_rest():
    acyclic = sparse.csr_array(dense.hostile()["acyclic"][0])
    with pytest.raises(WeightsError, match="no cycle of links"):
        build(acyclic)
    result = build(acyclic, bounds=(-1.5, 2.5))
    assert (result.error, result.shift, result.probes, np.abs(result.coef).max()) == (
        0.0,
        0.0,
        0,
        0.0,
    )


@pytest.mark.parametrize("interval", [(-0.5, 1.0), (-3.0, 0.5), (0.5, 0.2)])
@pytest.mark.parametrize("name", ["queen", "knn"])
def test_an_interval_the_sum_does_not_reach_is_refused(name, interval):
    with pytest.raises(WeightsError, match="narrow it"):
        build(GRAPHS[name], interval=interval)


@pytest.mark.parametrize(
    ("name", "bounds"), [("queen", (-1.0, 1.3)), ("queen", (-3.0, 1.0)), ("binary", (-1.0, 1.0))]
)
def test_bounds_beyond_the_admissible_are_refused(name, bounds):
    with pytest.raises(WeightsError, match=r"reach beyond the admissible rho"):
        build(GRAPHS[name], bounds=bounds)


BIG = {
    "rook": lattice(50, 50),
    "knn symmetric": nearest(2500, 6, symmetric=True),
    "knn": nearest(2500, 6),
}
RHO = np.array([-0.7, 0.3, 0.6, 0.8, 0.9])


@cache
def truth(name):
    """The prepared W of 2,500 units, and l and l' at RHO by exact nodes."""
    structure = stochastic_logdet.prepare(row_standardised(BIG[name]))
    result = sparse_logdet.sparse_logdet(
        row_standardised(BIG[name]), interval=(-0.95, 0.95), bounds=(-1.0, 1.0)
    )
    with jax.enable_x64(True):
        record = logdet.LogDetSeries(
            *map(
                jnp.asarray,
                (result.coef, np.array(result.bounds), 2500.0, result.error, np.zeros((0, 2))),
            ),
            result.ends,
        )
        return structure, np.asarray(record(RHO)), np.asarray(logdet.derivative(record, RHO))


@pytest.mark.parametrize("name", BIG)
def test_the_standard_error_is_honest(name):
    """Errors of 40 seeds over their standard errors: mean 0 and mean square 1 to within 3.5 of
    their own standard errors, none far out.
    """
    structure, value, slope = truth(name)
    ratios = []
    for seed in range(40):
        expansion = build(structure, seed=seed, interval=(-0.9, 0.91)).expansion
        errors = stochastic_logdet.standard_errors(expansion, RHO)
        ratios.append(
            [
                (stochastic_logdet.value(expansion, RHO) - value) / errors[0],
                (stochastic_logdet.slope(expansion, RHO) - slope) / errors[1],
            ]
        )
    ratios = np.array(ratios)
    assert np.abs(ratios.mean(axis=0)).max() < 3.5 / np.sqrt(40)
    kurtosis = 3 + 6 / (11 - 4)  # of Student's t with 16 probes less 4 controls and the mean
    assert np.abs((ratios**2).mean(axis=0) - 1).max() < 3.5 * np.sqrt((kurtosis - 1) / 40)
    assert np.abs(ratios).max() < FAR


@pytest.mark.parametrize("name", BIG)
def test_exact_traces_reduce_the_error(name, monkeypatch):
    """Against the plain mean of the same probes, over 10 seeds."""
    structure, value, slope = truth(name)

    def errors():
        found = [build(structure, seed=seed, interval=(-0.9, 0.91)).expansion for seed in range(10)]
        pairs = (stochastic_logdet.value, value), (stochastic_logdet.slope, slope)
        return [
            np.sqrt(np.mean([(function(one, RHO) - true) ** 2 for one in found], axis=0))
            for function, true in pairs
        ]

    def plain(expansion, raw, exact, even):
        return expansion._replace(
            moments=raw.mean(axis=0),
            noise=(raw - raw.mean(axis=0)) / np.sqrt(len(raw) * (len(raw) - 1)),
        )

    controlled = errors()
    monkeypatch.setattr(stochastic_logdet, "_estimate", plain)
    for with_them, without in zip(controlled, errors(), strict=True):
        assert np.all(with_them < without / 4)


@pytest.mark.parametrize("name", ["queen", "knn"])
def test_the_slope_is_the_derivative(name):
    expansion = build(GRAPHS[name]).expansion
    rho = np.linspace(-0.9, 0.9, 13)
    differences = (
        stochastic_logdet.value(expansion, rho + 1e-6)
        - stochastic_logdet.value(expansion, rho - 1e-6)
    ) / 2e-6
    np.testing.assert_allclose(
        stochastic_logdet.slope(expansion, rho),
        differences,
        rtol=0,
        atol=1e-6 * GRAPHS[name].shape[0],
    )
    # tr G has the sign of rho where W has a zero diagonal and is not negative
    assert np.all(stochastic_logdet.slope(expansion, rho) * rho <= 0)


@pytest.mark.parametrize("name", ALL)
def test_the_standard_deviation_is_a_bound(name):
    """Never below 1 / sqrt(tr G^2 + tr G'G - 2 (tr G)^2 / n), by dense algebra, for the W given."""
    result = build(ALL[name], probes=512, most=512)
    W, n, radius = ALL[name].toarray(), ALL[name].shape[0], 1 / result.bounds[1]
    rho = np.linspace(max(-0.9 / radius, result.bounds[0]), 0.9 / radius, 7)
    for one, found in zip(rho, stochastic_logdet.deviation(result.expansion, rho), strict=True):
        G = np.linalg.solve(np.eye(n) - one * W, W)
        information = np.sum(G * G.T) + np.sum(G * G) - 2 * np.trace(G) ** 2 / n
        assert found >= 0.97 / np.sqrt(information)  # l'' has noise of its own


def test_a_symmetric_w_has_that_standard_deviation():
    """Where G is symmetric tr G'G = tr G^2, and the bound is the thing itself."""
    result = build(GRAPHS["spectral"], probes=64, most=64)
    W = GRAPHS["spectral"].toarray()
    for rho in (-0.6, 0.2, 0.8):
        G = np.linalg.solve(np.eye(576) - rho * W, W)
        sd = 1 / np.sqrt(2 * np.sum(G * G) - 2 * np.trace(G) ** 2 / 576)
        np.testing.assert_allclose(
            stochastic_logdet.deviation(result.expansion, np.array([rho])), sd, rtol=0.03
        )


def test_the_shift_is_that_of_a_mode():
    """Of a concentrated log-likelihood with l exact and with l from the probes, over 6 seeds: their
    distance is of the size told.
    """
    structure, _, _ = truth("knn symmetric")
    n, W = 2500, row_standardised(BIG["knn symmetric"])
    record = sparse_logdet.sparse_logdet(W, interval=(-0.95, 0.95), bounds=(-1.0, 1.0))
    shifts = []
    for seed in range(6):
        result = build(structure, seed=seed, interval=(-0.95, 0.95))
        e = np.random.default_rng(seed).normal(size=n)
        y = scipy.sparse.linalg.spsolve(sparse.csc_array(sparse.eye_array(n) - 0.8 * W), e)
        rho = np.linspace(0.7, 0.9, 40_001)
        u, v = W @ y, y
        fit = -0.5 * n * np.log(v @ v - 2 * rho * (u @ v) + rho**2 * (u @ u))
        modes = [
            rho[np.argmax(fit + curve)]
            for curve in (evaluated(record, rho), stochastic_logdet.value(result.expansion, rho))
        ]
        told = stochastic_logdet.mode_shift(result.expansion, np.array(modes[:1]))[0]
        shifts.append(
            (modes[1] - modes[0])
            / stochastic_logdet.deviation(result.expansion, np.array(modes[:1]))[0]
            / told
        )
    assert 0.2 < np.sqrt(np.mean(np.square(shifts))) < 2.0


@pytest.mark.parametrize("name", ["knn symmetric", "knn"])
def test_probes_are_added_until_the_target(name):
    structure = truth(name)[0]
    results = [
        build(structure, target=target, most=400, interval=(-0.9, 0.91))
        for target in (0.1, 0.03, 0.015)
    ]
    assert results[0].probes == 16 < results[1].probes < results[2].probes < 400
    for result, target in zip(results, (0.1, 0.03, 0.015), strict=True):
        assert result.shift <= target
        assert result.probes % 16 == 0
    short = build(structure, target=0.001, most=48, interval=(-0.9, 0.91))
    assert (short.probes, short.shift > 0.001) == (48, True)


def test_the_same_probes_whatever_the_number():
    few, many = build(GRAPHS["queen"], probes=16), build(GRAPHS["queen"], probes=48, most=48)
    slots = stochastic_logdet._slots(
        stochastic_logdet.prepare(GRAPHS["queen"]), few.expansion, np.float32
    )
    blocks = [stochastic_logdet._block(slots, few.expansion, 0, i) for i in range(3)]
    again = build(GRAPHS["queen"], probes=40, most=48)
    assert (few.probes, many.probes, again.probes) == (16, 48, 48)
    np.testing.assert_array_equal(many.coef, again.coef)
    np.testing.assert_array_equal(blocks[0], stochastic_logdet._block(slots, many.expansion, 0, 0))
    assert np.abs(blocks[0] - blocks[1]).max() > 1
    assert np.abs(few.coef - build(GRAPHS["queen"], seed=1).coef).max() > 1e-6


@pytest.mark.parametrize("name", ["rook", "knn symmetric", "knn"])
def test_single_precision_is_lost_in_the_noise(name):
    structure = truth(name)[0]
    single, double = (
        build(structure, precision=precision) for precision in (np.float32, np.float64)
    )
    errors = stochastic_logdet.standard_errors(double.expansion, RHO)
    assert np.all(
        np.abs(
            stochastic_logdet.value(single.expansion, RHO)
            - stochastic_logdet.value(double.expansion, RHO)
        )
        < 0.05 * errors[0]
    )
    assert np.all(
        np.abs(
            stochastic_logdet.slope(single.expansion, RHO)
            - stochastic_logdet.slope(double.expansion, RHO)
        )
        < 0.05 * errors[1]
    )


@pytest.mark.parametrize("interval", [(-0.5, 0.97), (0.2, 0.6)])
@pytest.mark.parametrize("name", ["knn symmetric", "knn"])
def test_the_truncation_is_counted(name, interval, monkeypatch):
    """With far too few traces the error is no longer that of the probes, and is told."""
    monkeypatch.setattr(stochastic_logdet, "MOMENTS", 4)
    result = build(GRAPHS[name], interval=interval, probes=256, most=256)
    rho = np.linspace(*interval, 31)
    error = np.abs(stochastic_logdet.value(result.expansion, rho) - exact(name, rho)[0])
    sampling, rest = (
        stochastic_logdet.standard_errors(result.expansion, rho)[0],
        stochastic_logdet.truncation(result.expansion, rho)[0],
    )
    assert np.all(error <= 4 * sampling + rest)
    if interval[1] == 0.97:
        assert error[-1] > 6 * sampling[-1]


@pytest.mark.parametrize("symmetric", [True, False])
def test_twenty_five_thousand_units(symmetric):
    W = row_standardised(nearest(25_000, 6, symmetric=symmetric))
    rho = np.array([-0.8, 0.5, 0.8, 0.9])
    record = sparse_logdet.sparse_logdet(
        W, interval=(-0.9, 0.91), bounds=(-1.0, 1.0), tolerance=1e-5
    )
    result = build(W, precision=np.float32, interval=(-0.9, 0.91))
    assert result.shift < 0.06
    errors = stochastic_logdet.standard_errors(result.expansion, rho)[0]
    assert np.all(np.abs(evaluated(result, rho) - evaluated(record, rho)) < 4 * errors)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kernel", [stochastic_logdet.polynomials, stochastic_logdet.powers])
def test_the_kernels_export(kernel, dtype):
    """For CPU, CUDA and TPU in one program, which on this machine gives what the function gives,
    and that what dense algebra gives.
    """
    W = dense.hostile()["bipartite"][0]
    root = np.sqrt(W * W.T)
    with jax.enable_x64(dtype is np.float64):
        slots, words = (
            sparse_operator.ell(sparse.csr_array(root), dtype),
            np.array([3, 1], np.int32),
        )
        program = jax.jit(lambda slots, words: kernel(slots, words, steps=4))
        exported = jax.export.export(program, platforms=PLATFORMS)(slots, words)
        assert exported.platforms == PLATFORMS
        found = exported.call(slots, words)
        assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {np.dtype(dtype)}
        signs = np.asarray(stochastic_logdet._signs(slots, words), float)
    polynomials = [signs, root @ signs]
    for _ in range(4):
        polynomials.append(2 * root @ polynomials[-1] - polynomials[-2])
    squares = [np.sum(one * one, axis=0) for one in polynomials[1:5]]
    products = [np.sum(one * other, axis=0) for one, other in pairwise(polynomials[1:6])]
    powers = [
        np.sum(signs * (np.linalg.matrix_power(root, j) @ signs), axis=0) for j in range(1, 5)
    ]
    expected = (powers[0], squares, products) if kernel is stochastic_logdet.polynomials else powers
    for one, other in zip(
        jax.tree.leaves(found),
        (expected if isinstance(expected, tuple) else (expected,)),
        strict=True,
    ):
        np.testing.assert_allclose(one, np.array(other), rtol=0, atol=1e3 * np.finfo(dtype).eps)


def test_the_signs_are_signs_and_independent():
    with jax.enable_x64(True):
        slots = sparse_operator.ell(
            sparse.csr_array(row_standardised(lattice(100, 100))), np.float64
        )
        blocks = np.hstack(
            [
                np.asarray(stochastic_logdet._signs(slots, np.array([seed, block], np.int32)))
                for seed in (0, 1)
                for block in (0, 1)
            ]
        )
    assert set(np.unique(blocks)) == {-1.0, 1.0}
    gram = blocks.T @ blocks / 100  # 100 = sqrt(n): off the diagonal, standard normal
    np.testing.assert_array_equal(np.diag(gram), 100)
    assert np.abs(gram - np.diag(np.diag(gram))).max() < 5
    assert np.abs(blocks.sum(axis=0) / 100).max() < 4.5
