"""Bounds and errors of log-determinants of directed W, against eliminations in extended precision:
what is claimed holds.
"""

import numpy as np
import pytest
import scipy.sparse as sparse
from oracles import directed
from oracles.hostile import ring, rook, row_standardise
from sparse_graphs import evaluated

from spillover.kernels import (
    admissible,
    chebyshev,
    factor,
    logdet,
    sparse_logdet,
    spectrum,
    stochastic_logdet,
    structure,
)
from spillover.kernels.errors import WeightsError
from spillover.kernels.logit import to_rho

LARGE = {name: sparse.csr_array(W) for name, W in directed.large().items()}
SMALL = {name: sparse.csr_array(W) for name, W in directed.small().items()}
# 601 is odd: no negative real eigenvalue, and -1 over the radius by convention
NO_ROOT = {
    "ring",
    "ring and back",
}
RESULTS = {}


def built(name):
    if name not in RESULTS:
        RESULTS[name] = sparse_logdet.sparse_logdet(LARGE[name])
    return RESULTS[name]


def exact(rho, W):
    return np.array([directed.logdet(one, W.toarray())[1] for one in rho])


def sign(rho, W):
    return directed.logdet(rho, W.toarray())[0]


@pytest.mark.parametrize("name", LARGE)
def test_bounds_are_the_first_singular_rho_or_are_said_to_be_cautious(name):
    """The determinant is positive just inside and changes its sign just outside."""
    W, result = LARGE[name], built(name)
    a, b = result.bounds
    assert sign(b * (1 - 1e-6), W) == 1
    # of two components, each with the eigenvalue 1
    assert sign(b * (1 + 1e-6), W) == (1 if name == "knn" else -1)
    assert sign(a * (1 - 1e-6), W) == 1
    if name in NO_ROOT:
        assert result.cautious
        assert a <= -b
    else:
        assert not result.cautious
        assert sign(a * (1 + 2 * admissible.LANCZOS), W) == -1


@pytest.mark.parametrize("name", LARGE)
def test_the_error_of_factorisations_is_not_below_the_actual_one(name):
    result = built(name)
    rho = to_rho(np.linspace(*result.ends, 4), result.bounds)
    assert np.abs(evaluated(result, rho) - exact(rho, LARGE[name])).max() <= result.error < 1e-7


@pytest.mark.parametrize("name", SMALL)
def test_the_error_of_eigenvalues_is_not_below_the_actual_one(name):
    """Over all but a millionth of the interval; the routine alone is off by 1e-6 where the W is
    nearly defective.
    """
    W = SMALL[name]
    values = spectrum.eigenvalues(W)
    bounds, cautious = spectrum.cautious_interval(W, values)
    record = logdet.from_eigenvalues(values, bounds, W)
    s = np.concatenate([[-chebyshev.END, chebyshev.END], np.linspace(-6.5, 6.5, 11)])
    rho = to_rho(s, bounds)
    assert np.abs(np.asarray(record(rho)) - exact(rho, W)).max() <= float(record.error) < 1e-6
    assert not cautious
    assert all(sign(bound * (1 - 1e-5), W) == 1 for bound in bounds)
    assert all(sign(bound * (1 + 1e-5), W) == -1 for bound in bounds)


def test_a_pair_that_rounding_may_have_moved_off_the_axis_makes_the_interval_cautious():
    """Four equal eigenvalues -1/2 in one Jordan block, which any routine scatters, under a Perron
    root of its own.
    """
    block = np.diag(np.full(4, -0.5)) + np.diag(np.ones(3), 1)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    scattered = np.linalg.eigvals(rotation @ block @ rotation.T)
    assert np.abs(scattered.imag).max() > spectrum.REAL
    assert spectrum._lowest_in_doubt(rotation @ block @ rotation.T) == pytest.approx(-0.5, abs=1e-3)
    # a complex pair of its own, however near to the axis
    turned = np.array([[-0.5, 1e-3], [-1e-3, -0.5]])
    assert spectrum._lowest_in_doubt(turned) == 0.0


@pytest.mark.parametrize("bounds", [(-1.99, 0.9), (-1.0, 0.99), (-0.2, 0.5)])
def test_valid_bounds_are_taken(bounds):
    result = sparse_logdet.sparse_logdet(LARGE["ring beside lattice"], bounds=bounds)
    assert result.bounds == bounds
    rho = to_rho(np.array([result.ends[0], result.ends[1]]), bounds)
    assert (
        np.abs(evaluated(result, rho) - exact(rho, LARGE["ring beside lattice"])).max()
        <= result.error
    )


@pytest.mark.parametrize("bounds", [(-2.01, 0.9), (-2.5, 0.9), (-1.0, 1.0001)])
def test_bounds_shown_to_be_too_wide_are_refused(bounds):
    with pytest.raises(WeightsError, match="reach beyond the admissible"):
        sparse_logdet.sparse_logdet(LARGE["ring beside lattice"], bounds=bounds)


def test_own_bounds_that_prove_too_wide_give_way_to_the_certain_ones(monkeypatch):
    """Iterations that miss a real eigenvalue: the factorisations notice."""
    wide = admissible.Admissible((-9.0, 1.0), (-9.0, 1.0), (-np.inf, 1.0), False)
    monkeypatch.setattr(sparse_logdet, "find_admissible", lambda *_: wide)
    W = sparse.csr_array(row_standardise(rook(1, 3) + ring(3, ((1, 0.2),))))
    result = sparse_logdet.sparse_logdet(W)
    assert result.bounds == (-1.0, 1.0)
    assert result.cautious


def test_tests_that_do_not_pass_are_followed_by_checks(monkeypatch):
    """With nodes for a tenth of what the ring takes, the error told is still not below the actual
    one.
    """
    monkeypatch.setattr(sparse_logdet, "MOST", 8)
    monkeypatch.setattr(sparse_logdet, "SAMPLED", 0)
    for name in ("chain", "almost acyclic"):
        result = sparse_logdet.sparse_logdet(LARGE[name])
        rho = to_rho(np.linspace(*result.ends, 5), result.bounds)
        assert np.abs(evaluated(result, rho) - exact(rho, LARGE[name])).max() <= result.error


@pytest.mark.parametrize("name", ["ring beside lattice", "knn"])
def test_the_error_holds_between_complex_eigenvalues_next_to_the_axis(name):
    """Almost to the bounds, at hundreds of rho: l dips next to each pair, between the nodes of any
    short series.
    """
    W = LARGE[name]
    a, b = built(name).bounds
    result = sparse_logdet.sparse_logdet(W, interval=(a + 0.003 * (b - a), b - 0.003 * (b - a)))
    rho = to_rho(np.linspace(*result.ends, 300), result.bounds)
    evaluate = factor.superlu(structure.examine(W).pencil())
    found = np.array([evaluate(float(one)).log for one in rho])
    assert np.abs(found[::60] - exact(rho[::60], W)).max() < 1e-10
    assert np.abs(evaluated(result, rho) - found).max() <= result.error


@pytest.mark.parametrize("name", ["chain", "ring beside lattice", "cycles"])
def test_the_error_of_probes_holds_where_it_is_said_to(name):
    """Four standard errors, with at most what the truncation leaves: cycles of 150 have no trace
    before the 150th.
    """
    W = (
        sparse.csr_array(np.kron(np.eye(4), ring(150, ((1, 1.0),))))
        if name == "cycles"
        else LARGE[name]
    )
    result = stochastic_logdet.stochastic_logdet(W, most=16, precision=np.float64)
    for low, high in (
        result.held,
        np.asarray(to_rho(np.array(result.ends), result.bounds)),
    ):
        assert result.bounds[0] < low < high < result.bounds[1]
    asked = stochastic_logdet.stochastic_logdet(
        W, most=16, precision=np.float64, interval=(-0.3, 0.95 * result.bounds[1])
    )
    assert asked.held == (-0.3, 0.95 * result.bounds[1])
    for one in (result, asked):
        rho = np.linspace(*one.held, 5)
        assert np.abs(evaluated(one, rho) - exact(rho, W)).max() <= 4 * one.error
