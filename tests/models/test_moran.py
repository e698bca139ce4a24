"""Moran's I against every arrangement of six values: moments to rounding, permutation p-values
within their Monte Carlo error.
"""

import itertools

import numpy as np
import pytest
import scipy.sparse as sparse
from oracles.hostile import knn

from spillover.models import moran

N = 6
ORDERS = np.array(list(itertools.permutations(range(N)))).T  # (6, 720), each column an arrangement
DRAWS = 20_000


def _hostile() -> dict[str, np.ndarray]:
    """Weights of six units, asymmetric in pattern and values; the sink is linked to by others and
    has no links of its own.
    """
    rng = np.random.default_rng(11)
    asymmetric = rng.uniform(0.1, 3.0, (N, N)) * (rng.uniform(size=(N, N)) < 0.5)
    np.fill_diagonal(asymmetric, 0.0)
    asymmetric[np.arange(N), (np.arange(N) + 1) % N] = 0.7
    sink = asymmetric.copy()
    sink[2] = 0.0
    return {
        "asymmetric": asymmetric,
        "row": asymmetric / asymmetric.sum(axis=1, keepdims=True),
        "sink": sink,
        "knn": knn(N, 2),
    }


MATRICES = _hostile()
VALUES = {
    "skewed": np.array([0.3, 9.1, 1.2, 0.4, 2.5, 0.1]),
    "tied": np.array([1.0, 2.0, 2.0, 1.0, 4.0, 2.0]),  # the same sums in another order are ties
}


@pytest.fixture(params=itertools.product(MATRICES, VALUES), ids="-".join)
def problem(request):
    """z and W, as the formulas take it and dense."""
    dense, x = MATRICES[request.param[0]], VALUES[request.param[1]]
    return x - x.mean(), sparse.csr_array(dense), dense


def every_global(z, dense):
    """I of every arrangement, by the definition."""
    arranged = z[ORDERS]
    return N / dense.sum() * np.einsum("ia,ij,ja->a", arranged, dense, arranged) / (z @ z)


def every_local(z, dense):
    """z_i sum_j w_ij z_j / m2 of every arrangement: (units, arrangements)."""
    arranged = z[ORDERS]
    return arranged * (dense @ arranged) / (z @ z / N)


def within_error(share, exact, draws=DRAWS):
    np.testing.assert_array_less(
        np.abs(share - exact), 5 * np.sqrt(exact * (1 - exact) / draws) + 1e-12
    )


def test_mean_and_variance_are_those_of_all_arrangements(problem):
    z, W, dense = problem
    about, everything = moran.sums(W, N), every_global(z, dense)
    moments = moran.randomisation(z, about)
    # the first order is the one there is
    np.testing.assert_allclose(moran.statistic(z, W, about), everything[0], rtol=1e-12)
    np.testing.assert_allclose(moments.mean, everything.mean(), atol=1e-13)
    np.testing.assert_allclose(moments.variance, everything.var(), rtol=1e-11)


def test_normal_values_have_the_moments_under_normality(problem):
    _, W, _ = problem
    about, draws = moran.sums(W, N), 200_000
    z = np.random.default_rng(4).standard_normal((N, draws))
    simulated = moran.statistic(z - z.mean(axis=0), W, about)
    moments, squares = moran.normality(about), (simulated - simulated.mean()) ** 2
    assert abs(simulated.mean() - moments.mean) < 5 * simulated.std() / np.sqrt(draws)
    assert abs(squares.mean() - moments.variance) < 5 * squares.std() / np.sqrt(draws)


def test_sums_follow_their_definition(problem):
    _, W, dense = problem
    s1 = sum((dense[i, j] + dense[j, i]) ** 2 for i in range(N) for j in range(N)) / 2
    s2 = sum((dense[i].sum() + dense[:, i].sum()) ** 2 for i in range(N))
    np.testing.assert_allclose(moran.sums(W, N), (N, dense.sum(), s1, s2), rtol=1e-13)


def test_permutations_find_the_exact_tails(problem):
    z, W, dense = problem
    about, everything = moran.sums(W, N), every_global(z, dense)
    drawn = moran.permute(z, W, about, DRAWS, np.random.default_rng(6))
    above, below = moran.count_extremes(drawn, float(moran.statistic(z, W, about)), 1.0)
    within_error(above / DRAWS, (everything >= everything[0] - 1e-9).mean())
    within_error(below / DRAWS, (everything <= everything[0] + 1e-9).mean())


def test_local_moments_are_those_of_all_arrangements(problem):
    z, W, dense = problem
    everything = every_local(z, dense)
    moments = moran.local_unconditional(z, W)
    np.testing.assert_allclose(moran.local(z, W), everything[:, 0], rtol=1e-12)
    np.testing.assert_allclose(moments.mean, everything.mean(axis=1), atol=1e-13)
    np.testing.assert_allclose(moments.variance, everything.var(axis=1), atol=1e-12)


def test_conditional_moments_are_those_of_the_arrangements_that_leave_the_unit_in_place(problem):
    z, W, dense = problem
    kept = [every_local(z, dense)[i, ORDERS[i] == i] for i in range(N)]
    moments = moran.local_conditional(z, W)
    np.testing.assert_allclose(moments.mean, [values.mean() for values in kept], atol=1e-13)
    np.testing.assert_allclose(moments.variance, [values.var() for values in kept], atol=1e-12)


def test_conditional_permutations_find_the_exact_tails(problem):
    z, W, dense = problem
    above, below = moran.count_local_extremes(z, W, DRAWS, np.random.default_rng(7))
    observed = moran.local(z, W)
    for i in range(N):
        kept = every_local(z, dense)[i, ORDERS[i] == i]
        within_error(above[i] / DRAWS, (kept >= observed[i] - 1e-9).mean())
        within_error(below[i] / DRAWS, (kept <= observed[i] + 1e-9).mean())


def test_the_size_of_a_block_changes_nothing(problem, monkeypatch):
    z, W, _ = problem
    about = moran.sums(W, N)

    def results():
        rng = np.random.default_rng
        return moran.permute(z, W, about, 50, rng(1)), *moran.count_local_extremes(z, W, 50, rng(2))

    whole = results()
    # 50 permutations in blocks of seven, the last of one
    monkeypatch.setattr(moran, "BLOCK", 7 * W.nnz)
    for one, other in zip(whole, results(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("alternative", "count"),
    [("greater", lambda above, below: above), ("less", lambda above, below: below)],
    ids=["greater", "less"],
)
def test_a_tail_counts_the_arrangement_there_is(alternative, count):
    above, below = np.array([0, 3, 99]), np.array([99, 96, 0])
    np.testing.assert_allclose(
        moran.p_permutation(above, below, 99, alternative), (count(above, below) + 1) / 100
    )


def test_two_sided_is_twice_the_smaller_tail_and_a_probability():
    np.testing.assert_allclose(
        moran.p_permutation(np.array([0, 96, 60]), np.array([99, 3, 60]), 99, "two-sided"),
        [0.02, 0.08, 1.0],
    )


def test_normal_tails():
    z = np.array([-1.5, 0.0, 2.0, np.nan])
    greater, less, both = (moran.p_normal(z, alternative) for alternative in moran.ALTERNATIVES)
    np.testing.assert_allclose(greater + less, [1, 1, 1, np.nan])
    np.testing.assert_allclose(both, 2 * np.minimum(greater, less))
    assert greater[2] < 0.5 < greater[0]
