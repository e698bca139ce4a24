"""log|I - rho W| from factorisations at a few rho, against eigenvalues, dense algebra and
factorisations at rho the builder never saw.
"""

import numpy as np
import pytest
import scipy.sparse as sparse
from oracles import dense
from oracles.hostile import ring
from sparse_graphs import (
    by_eigenvalues,
    evaluated,
    lattice,
    nearest,
    position,
    row_standardised,
    without_rows,
)

from spillover.kernels import admissible, factor, ordering, sparse_logdet, spectrum, structure
from spillover.kernels.errors import FactorMemoryError, WeightsError
from spillover.kernels.logit import to_rho

EPS = np.finfo(float).eps
WIDE = (-0.99, 0.99)
HOSTILE = {f"hostile {name}": sparse.csr_array(W) for name, (W, _) in dense.hostile().items()}
GIVEN = {"hostile acyclic": (-1.5, 2.5)}


GRAPHS = {
    "queen of 2,500": row_standardised(lattice(50, 50, queen=True)),
    "rook": row_standardised(lattice(18, 20)),
    "queen": row_standardised(lattice(18, 20, queen=True)),
    "knn symmetric": row_standardised(nearest(400, 6, symmetric=True)),
    "knn": row_standardised(nearest(320, 6)),
    "inverse distance": row_standardised(nearest(300, 10, by_distance=True)),
    "knn 60": row_standardised(nearest(330, 60)),
    "binary": nearest(400, 6, symmetric=True),
    "binary knn with sinks": without_rows(nearest(320, 6), [3, 99, 200], columns=False),
    "spectral": lattice(18, 18, queen=True) / 7.9,
    "islands": row_standardised(without_rows(nearest(400, 6, symmetric=True), [3, 99, 200])),
    "sinks": row_standardised(without_rows(nearest(320, 6), [3, 99, 200], columns=False)),
    "components": row_standardised(
        sparse.block_diag([lattice(12, 15), nearest(200, 5, symmetric=True)])
    ),
    "directed": row_standardised(
        lattice(18, 18).multiply(np.random.default_rng(0).uniform(0.1, 1.0, (324, 324)))
    ),
    "defective": sparse.block_array(
        [
            [row_standardised(lattice(13, 13)), 0.5 * sparse.eye_array(169)],
            [None, row_standardised(lattice(13, 13))],
        ],
        format="csr",
    ),
}
EIGENVALUES = {}


@pytest.fixture(autouse=True)
def sparse_bounds(monkeypatch):
    """The graphs here are small, so that their eigenvalues cost little; they go the way of large
    ones all the same.
    """
    monkeypatch.setattr(admissible, "DENSE", 100)


def eigenvalues(name):
    if name not in EIGENVALUES:
        EIGENVALUES[name] = spectrum.eigenvalues((GRAPHS | HOSTILE)[name])
    return EIGENVALUES[name]


def exact(name, rho):
    return by_eigenvalues(eigenvalues(name), rho)


def slope(result, rho):
    (a, b), (low, high) = result.bounds, result.ends
    rho = np.asarray(rho)
    stretch = (b - a) / (high - low) / ((rho - a) * (b - rho))
    return (
        np.polynomial.chebyshev.chebval(
            position(result, rho), np.polynomial.chebyshev.chebder(result.coef)
        )
        * stretch
    )


def covered(result, count=301):
    return to_rho(np.linspace(*result.ends, count), result.bounds)


def build(name, **options):
    options.setdefault("bounds", GIVEN.get(name))
    return sparse_logdet.sparse_logdet((GRAPHS | HOSTILE)[name], **options)


@pytest.mark.parametrize("name", GRAPHS)
def test_value_over_the_whole_covered_range(name):
    result = build(name)
    assert result.error < 1.01e-8  # the tests, and a hundredth for what the series leaves out
    rho = covered(result)
    assert np.abs(evaluated(result, rho) - exact(name, rho)[0]).max() < 2e-8


@pytest.mark.parametrize("name", GRAPHS)
def test_derivative_to_a_billionth_of_n(name):
    result = build(name)
    rho = np.linspace(*(0.9 * np.asarray(result.bounds)), 101)
    assert np.abs(slope(result, rho) - exact(name, rho)[1]).max() < 1e-9 * GRAPHS[name].shape[
        0
    ] * max(1, 1 / result.bounds[1])


@pytest.mark.parametrize("name", sorted(set(GRAPHS) - {"binary", "binary knn with sinks"}))
def test_few_factorisations_do(name):
    """The figures of docs/numerics.md 2: for an even l, for an eigenvalue near -1, and for any
    other.
    """
    result = build(name, interval=WIDE)
    few = (
        17
        if ordering.has_two_colours(ordering.cyclic_part(GRAPHS[name]))
        else 24
        if eigenvalues(name).real.min() > -0.7
        else 29
    )
    assert result.nodes <= few
    rho = np.linspace(*WIDE, 301)
    assert np.abs(evaluated(result, rho) - exact(name, rho)[0]).max() < 1e-8


@pytest.mark.parametrize("name", HOSTILE)
def test_every_hostile_w_within_the_error_told(name):
    result = build(name)
    assert result.error < 1.03e-8
    assert result.nodes < sparse_logdet.MOST
    rho = covered(result)
    rounding = (
        EPS
        * len(eigenvalues(name))
        / np.abs(1 - np.multiply.outer(rho, eigenvalues(name))).min(axis=1)
    )
    assert np.all(
        np.abs(evaluated(result, rho) - exact(name, rho)[0]) <= 2 * result.error + 20 * rounding
    )


@pytest.mark.parametrize("tolerance", [1e-2, 1e-4, 1e-6, 1e-9])
@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_the_error_told_is_honest(name, tolerance):
    """Not below the actual one by more than the doubt of four tests, nor so far above it that it
    says nothing.
    """
    result = build(name, tolerance=tolerance)
    rho = covered(result)
    actual = np.abs(evaluated(result, rho) - exact(name, rho)[0]).max()
    assert result.error < 1.01 * tolerance
    assert actual <= 2 * result.error + 1e-11
    assert actual >= result.error / 1e5


@pytest.mark.parametrize("most", [8, 11, 15])
@pytest.mark.parametrize("name", ["rook", "queen", "knn", "inverse distance"])
def test_too_few_nodes_are_not_hidden(name, most, monkeypatch):
    monkeypatch.setattr(sparse_logdet, "MOST", most)
    monkeypatch.setattr(sparse_logdet, "SAMPLED", 0)
    result = build(name)
    rho = covered(result)
    assert result.nodes == most + sparse_logdet.CHECKS
    assert np.abs(evaluated(result, rho) - exact(name, rho)[0]).max() <= 3 * result.error
    assert result.error > 1e-8


@pytest.mark.parametrize("name", ["rook", "directed", "defective"])
def test_an_even_function_takes_half_the_nodes_and_stays_the_same(name, monkeypatch):
    even = build(name, interval=WIDE)
    monkeypatch.setattr(ordering, "has_two_colours", lambda _: False)
    plain = build(name, interval=WIDE, bounds=even.bounds)
    assert even.nodes < 0.65 * plain.nodes
    np.testing.assert_allclose(
        evaluated(even, covered(even)), evaluated(plain, covered(even)), rtol=0, atol=2e-8
    )
    assert (
        np.abs(evaluated(plain, covered(even)) - evaluated(plain, -0.5 * covered(even))).max() > 1
    )


def test_a_lopsided_interval_of_an_even_function():
    result = build("rook", interval=(-0.2, 0.95))
    np.testing.assert_allclose(covered(result)[[0, -1]], [-0.2, 0.95], rtol=1e-12)
    rho = np.linspace(-0.2, 0.95, 101)
    np.testing.assert_allclose(evaluated(result, rho), exact("rook", rho)[0], rtol=0, atol=2e-8)
    lopsided = build("rook", bounds=(-0.9, 1.0))
    np.testing.assert_allclose(
        evaluated(lopsided, covered(lopsided)),
        exact("rook", covered(lopsided))[0],
        rtol=0,
        atol=2e-8,
    )


@pytest.mark.parametrize("interval", [(0.2, 0.9), (-0.5, 0.0), (0.3, 0.4), (-0.001, 0.001)])
@pytest.mark.parametrize("name", ["queen", "knn"])
def test_any_interval(name, interval):
    result = build(name, interval=interval)
    rho = np.linspace(*interval, 101)
    np.testing.assert_allclose(evaluated(result, rho), exact(name, rho)[0], rtol=0, atol=1e-8)


@pytest.mark.parametrize("name", GRAPHS)
def test_bounds_are_the_admissible_ones_from_inside(name):
    """1 over the extreme real eigenvalues; for an asymmetric W whose leftmost eigenvalue is not
    real, -1 over a bound on all.
    """
    a, b = admissible.find_admissible(structure.examine(GRAPHS[name])).bounds
    lower, upper = spectrum.admissible_interval(eigenvalues(name))
    assert (1 - 2 * admissible.PERRON) * upper <= b <= upper * (1 + 1e-9)
    assert lower * (1 + 1e-9) <= a
    leftmost = eigenvalues(name)[np.argmin(eigenvalues(name).real)]
    if abs(leftmost.imag) < 1e-9:
        assert a <= (1 - 2 * admissible.LANCZOS) * lower
    else:
        assert a <= -0.9 / max(GRAPHS[name].sum(axis=1).max(), np.abs(eigenvalues(name)).max())


@pytest.mark.parametrize(
    "name", sorted(set(GRAPHS) - {"binary", "binary knn with sinks", "spectral", "sinks"})
)
def test_a_row_standardised_w_ends_at_one_exactly(name):
    a, b = admissible.find_admissible(structure.examine(GRAPHS[name])).bounds
    assert b == 1.0
    if name in ("rook", "directed", "defective"):
        assert a == -1.0


def test_given_bounds_are_taken_and_beyond_minus_one_the_diagonal_no_longer_dominates():
    result = build("knn", bounds=(-1.3, 1.0))
    assert result.bounds == (-1.3, 1.0)
    assert factor.pencil(GRAPHS["knn"]).reach < 1.2 < -covered(result)[0]
    np.testing.assert_allclose(
        evaluated(result, covered(result)), exact("knn", covered(result))[0], rtol=0, atol=2e-8
    )


@pytest.mark.parametrize(
    ("name", "bounds"),
    [
        ("queen", (-1.0, 1.3)),
        ("queen", (-3.0, 1.0)),
        ("knn", (-1.0, 1.3)),
        ("binary", (-1.0, 1.0)),
        ("rook", (-1.2, 1.2)),
    ],
)
def test_bounds_beyond_the_admissible_are_refused(name, bounds):
    with pytest.raises(WeightsError, match=r"reach beyond the admissible rho: .* Narrow them"):
        build(name, bounds=bounds)


@pytest.mark.parametrize("interval", [(-0.5, 1.0), (-3.0, 0.5), (0.5, 0.2), (0.5, 0.5)])
def test_an_interval_outside_the_bounds_is_refused(interval):
    with pytest.raises(WeightsError, match=r"does not lie inside the bounds .* narrow it"):
        build("queen", interval=interval)


def test_an_acyclic_w_needs_bounds_and_has_none_of_the_rest():
    with pytest.raises(WeightsError, match="no cycle of links"):
        sparse_logdet.sparse_logdet(HOSTILE["hostile acyclic"])
    result = build("hostile acyclic")
    assert (result.nodes, result.error, np.abs(result.coef).max()) == (0, 0.0, 0.0)


def test_factors_that_are_not_likely_to_fit_are_not_begun(monkeypatch):
    monkeypatch.setattr(factor, "available_memory", lambda: 1e4)
    monkeypatch.setattr(factor, "_superlu", lambda *_: pytest.fail("it began"))
    with pytest.raises(
        FactorMemoryError,
        match=r"links are likely to take .* GB of memory, .* take method='stochastic'",
    ):
        build("knn")


def test_too_little_memory_is_refused():
    with pytest.raises(FactorMemoryError, match=r"give more, e.g. memory="):
        build("knn", memory=1e3)


@pytest.mark.parametrize("name", ["queen", "knn"])
def test_threads_and_memory_change_nothing(name):
    two, one, tight = (
        build(name, threads=2),
        build(name, threads=1),
        build(name, threads=2, memory=1.5 * factor.BYTES * build(name).nnz),
    )
    for other in (one, tight):
        assert other.nodes == two.nodes
        np.testing.assert_array_equal(other.coef, two.coef)


PREPARED = factor.pencil(spectrum.symmetrize(GRAPHS["queen"]), definite=True)


@pytest.mark.parametrize("how", factor.routines(PREPARED))
def test_every_routine_at_hand_builds_the_same(how, monkeypatch):
    build_with = factor.routines(PREPARED)[how]
    monkeypatch.setattr(factor, "routines", lambda _: {how: build_with})
    result = build("queen")
    assert result.how == how
    np.testing.assert_allclose(
        evaluated(result, covered(result)), exact("queen", covered(result))[0], rtol=0, atol=2e-8
    )
    with pytest.raises(WeightsError, match="reach beyond the admissible"):
        build("queen", bounds=(-3.0, 1.0))


@pytest.mark.parametrize("symmetric", [True, False])
def test_twenty_five_thousand_units_at_rho_never_seen(symmetric):
    """Against factorisations of W itself, not symmetrised, with pivoting."""
    W = row_standardised(nearest(25_000, 6, symmetric=symmetric))
    result = sparse_logdet.sparse_logdet(W, interval=WIDE)
    assert result.nodes <= 23
    assert result.error < 1e-12 * 25_000
    fresh = factor.superlu(factor.pencil(W)._replace(reach=0.0))
    for rho in (*np.random.default_rng(5).uniform(*WIDE, 4), 0.9899):
        assert abs(float(evaluated(result, rho)) - fresh(rho).log) < 1e-8


def test_the_input_is_left_alone_and_may_be_untidy():
    W = GRAPHS["knn"]
    untidy = sparse.csr_array(
        (
            np.concatenate([W.data / 2, W.data / 2, [0.0]]),
            (np.r_[W.tocoo().row, W.tocoo().row, 0], np.r_[W.tocoo().col, W.tocoo().col, 5]),
        ),
        shape=W.shape,
    )
    doubled = sparse.csr_array(sparse.vstack([W[:160], W[160:]], format="csr"))
    # unsorted; the weights of a row are equal
    doubled.indices[: doubled.indptr[1]] = doubled.indices[: doubled.indptr[1]][::-1]
    doubled.has_sorted_indices = False
    before = doubled.indices.copy()
    expected = build("knn").coef
    for matrix in (untidy, doubled):
        np.testing.assert_allclose(
            sparse_logdet.sparse_logdet(matrix).coef, expected, rtol=0, atol=1e-7
        )
    np.testing.assert_array_equal(doubled.indices, before)


@pytest.mark.parametrize("scale", [1e-5, 1e5])
def test_the_scale_of_w_goes_into_the_bounds_alone(scale):
    plain, scaled = build("queen"), sparse_logdet.sparse_logdet(scale * GRAPHS["queen"])
    np.testing.assert_allclose(np.asarray(scaled.bounds) * scale, plain.bounds, rtol=1e-9)
    np.testing.assert_allclose(scaled.coef, plain.coef, rtol=0, atol=1e-7)


def test_a_ring_of_a_thousand_tells_only_near_its_ends():
    """log(1 - rho^1000) is 0 to rounding on most of the range: the first nodes, at the ends, must
    not let that pass.
    """
    result = sparse_logdet.sparse_logdet(sparse.csr_array(ring(1000, ((1, 1.0),))))
    rho = covered(result)
    assert np.abs(evaluated(result, rho) - np.log1p(-(rho**1000))).max() <= 3 * result.error
