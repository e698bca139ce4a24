"""Factors of I - rho W and orders of elimination against dense algebra."""

import numpy as np
import pytest
import scipy.sparse as sparse
from oracles import dense
from oracles.hostile import knn, ring, rook, row_standardise

from spillover.kernels import factor, ordering, spectrum
from spillover.kernels.errors import FactorMemoryError, WeightsError

EPS = np.finfo(float).eps
HOSTILE = {name: W for name, (W, _) in dense.hostile().items()}
BOUNDS = {
    name: (-1.5, 2.5) if name == "acyclic" else dense.interval(W) for name, W in HOSTILE.items()
}
# of the admissible interval, and beyond it on both sides
SHARES = (
    -1.7,
    -1.1,
    -0.97,
    -0.4,
    0.3,
    0.97,
    1.2,
    2.3,
)
DEFINITE = sorted(
    name for name in HOSTILE if spectrum.symmetrizer(sparse.csr_array(HOSTILE[name])) is not None
)
ASYMMETRIC = sorted(set(HOSTILE) - set(DEFINITE))
GRID = sparse.csr_array(row_standardise(rook(20, 20)))
BACKENDS = factor.routines(factor.pencil(spectrum.symmetrize(GRID), definite=True))


def inside(name, share):
    a, b = BOUNDS[name]
    return share * b if share > 0 else -share * a


def slack(rho, W):
    """Rounding of a log-determinant: a few units in the last place of every entry, amplified by the
    inverse.
    """
    return 20 * EPS * len(W) * (1 + np.linalg.norm(np.linalg.inv(np.eye(len(W)) - rho * W), 2))


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("name", HOSTILE)
def test_log_determinant_and_its_sign(name, share):
    W, rho = HOSTILE[name], inside(name, share)
    sign, value = np.linalg.slogdet(np.eye(len(W)) - rho * W)
    got = factor.factorise(sparse.csr_array(W), rho)
    assert got.sign == sign
    assert got.log_determinant == pytest.approx(value, abs=slack(rho, W))


def test_both_signs_and_both_kinds_of_pivoting_are_tried():
    signs = {
        np.linalg.slogdet(np.eye(len(HOSTILE[name])) - inside(name, share) * HOSTILE[name])[0]
        for name in HOSTILE
        for share in SHARES
    }
    assert signs == {-1.0, 1.0}
    reaches = {name: factor.pencil(sparse.csr_array(W)).reach for name, W in HOSTILE.items()}
    assert {
        inside(name, share) < reaches[name] for name in HOSTILE for share in SHARES if share > 0
    } == {True, False}


@pytest.mark.parametrize("rho", [-3.0, -0.7, 0.9, 1.01, 3.0])
@pytest.mark.parametrize("n", [24, 25])
def test_a_sign_that_comes_from_the_exchange_of_rows(n, rho):
    """The directed ring: det = 1 - rho^n, and pivoting at |rho| > 1 takes every row from its
    neighbour.
    """
    got = factor.factorise(sparse.csr_array(ring(n, ((1, 1.0),))), rho)
    assert got.sign == np.sign(1 - rho**n)
    assert got.log_determinant == pytest.approx(np.log(abs(1 - rho**n)), abs=1e-11)


@pytest.mark.parametrize("share", [-1.4, -0.9, 0.5, 0.9])
@pytest.mark.parametrize("name", HOSTILE)
def test_solves_with_the_matrix_and_its_transpose(name, share):
    W, rho = HOSTILE[name], inside(name, share)
    S, got = np.eye(len(W)) - rho * W, factor.factorise(sparse.csr_array(W), rho)
    scale = 100 * EPS * np.linalg.cond(S)
    for b in (
        np.random.default_rng(0).standard_normal(len(W)),
        np.random.default_rng(1).standard_normal((len(W), 3)),
    ):
        for x, matrix in ((got.solve(b), S), (got.solve_transpose(b), S.T)):
            assert x.shape == b.shape
            assert np.linalg.norm(x - np.linalg.solve(matrix, b)) <= scale * np.linalg.norm(x)


def test_transposed_solve_differs_where_it_should():
    got, b = factor.factorise(sparse.csr_array(HOSTILE["knn"]), 0.8), np.arange(40.0)
    assert np.abs(got.solve(b) - got.solve_transpose(b)).max() > 1


def test_an_order_can_be_used_again():
    W = sparse.csr_array(row_standardise(knn(400, 6)))
    order, b = ordering.elimination_order(W), np.ones(400)
    plain, again = factor.factorise(W, 0.6), factor.factorise(W, 0.6, order=order)
    np.testing.assert_array_equal(plain.solve(b), again.solve(b))
    natural = factor.factorise(W, 0.6, order=np.arange(400))
    np.testing.assert_allclose(natural.solve(b), plain.solve(b), rtol=1e-12)
    assert natural.lu.nnz > plain.lu.nnz


@pytest.mark.parametrize("W", [np.array([[0.0, 1.0], [1.0, 0.0]]), ring(6, ((1, 1.0),))])
def test_a_singular_matrix_is_refused(W):
    with pytest.raises(WeightsError, match=r"singular at rho = 1: 1/rho is an eigenvalue"):
        factor.factorise(sparse.csr_array(W), 1.0)


def test_a_diagonal_in_w_counts():
    W = HOSTILE["knn"] + np.diag(np.linspace(0, 0.5, 40))
    assert factor.factorise(sparse.csr_array(W), 0.5).log_determinant == pytest.approx(
        dense.logdet(0.5, W), abs=1e-12
    )


def symmetric_pencil(W):
    return factor.pencil(spectrum.symmetrize(sparse.csr_array(W)), definite=True)


@pytest.mark.parametrize("share", [-0.999, -0.5, 0.0, 0.7, 0.999])
@pytest.mark.parametrize("name", DEFINITE)
@pytest.mark.parametrize("how", BACKENDS)
def test_every_routine_at_hand_gives_the_determinant_of_a_definite_pencil(how, name, share):
    W, rho = HOSTILE[name], inside(name, share)
    got = BACKENDS[how](symmetric_pencil(W))(rho)
    assert got.sign == 1
    assert got.log == pytest.approx(dense.logdet(rho, W), abs=slack(rho, W))


@pytest.mark.parametrize("share", [-1.2, 1.2])
@pytest.mark.parametrize("name", sorted(set(DEFINITE)))
@pytest.mark.parametrize("how", BACKENDS)
def test_every_routine_sees_when_the_matrix_is_not_definite(how, name, share):
    """Also where an even number of eigenvalues is negative and the determinant positive."""
    evaluate = BACKENDS[how](symmetric_pencil(HOSTILE[name]))
    assert evaluate(inside(name, share)).sign == 0
    assert evaluate(inside(name, 0.5)).sign == 1


def test_a_zero_pivot_exchanged_away_does_not_pass_for_definite():
    pairs = sparse.csr_array(np.kron(np.eye(2), [[0.0, 1.0], [1.0, 0.0]]))
    # -rho W alone: two exchanges, positive pivots
    shifted = factor.pencil(pairs, definite=True)._replace(diagonal=np.array([], int))
    assert factor.superlu(shifted)(-1.0).sign == 0


@pytest.mark.parametrize("name", ASYMMETRIC)
def test_only_superlu_takes_an_asymmetric_w(name):
    assert list(factor.routines(factor.pencil(sparse.csr_array(HOSTILE[name])))) == ["SuperLU"]


def test_superlu_is_always_at_hand_and_last():
    assert list(BACKENDS)[-1] == "SuperLU"


def test_dense_fill_takes_the_other_panel_and_the_same_value():
    W = row_standardise(knn(500, 150))
    evaluate = factor.superlu(factor.pencil(sparse.csr_array(W)))
    first, second = evaluate(0.8), evaluate(0.8)
    assert first.stored > factor.DENSE_FILL * len(W)
    assert second.log == pytest.approx(first.log, rel=1e-13)
    assert first.log == pytest.approx(dense.logdet(0.8, W), abs=slack(0.8, W))


@pytest.mark.parametrize(
    ("stored", "memory", "expected"),
    [(1000, 1e9, 2), (1000, 2.5 * factor.BYTES * 1000, 2), (1000, 1.5 * factor.BYTES * 1000, 1)],
)
def test_as_many_factorisations_at_a_time_as_memory_holds(stored, memory, expected):
    assert factor.workers(stored, 2, memory) == expected


def test_too_little_memory_is_refused_with_the_way_out():
    with pytest.raises(
        FactorMemoryError,
        match=r"1,000 entries and take .* GB, over the .* GB allowed: give more, e.g. memory=",
    ):
        factor.workers(1000, 2, factor.BYTES * 999)


@pytest.mark.parametrize("name", HOSTILE)
def test_links_on_no_cycle_do_not_enter_the_determinant(name):
    W = HOSTILE[name]
    kept = ordering.cyclic_part(sparse.csr_array(W)).toarray()
    assert np.all((kept == W) | (kept == 0))
    for share in (-0.9, 0.1, 0.9):
        rho = inside(name, share)
        assert dense.logdet(rho, kept) == pytest.approx(
            dense.logdet(rho, W), abs=slack(rho, W) + slack(rho, kept)
        )


def test_a_pivot_that_all_but_vanishes_is_avoided_where_the_diagonal_does_not_dominate():
    """All three joined, rho just below 1: the first two rows are all but dependent, the three are
    not.
    """
    W, rho = np.ones((3, 3)) - np.eye(3), 1 - 1e-14
    got = factor.factorise(sparse.csr_array(W), rho, order=np.arange(3))
    assert (got.sign, got.log_determinant) == (-1, pytest.approx(np.log(4), abs=1e-12))
    np.testing.assert_allclose(got.solve(np.ones(3)), -np.ones(3), rtol=1e-12)
