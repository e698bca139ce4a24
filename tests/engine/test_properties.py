"""Laws of weights, fits and refusals for labels of any kind, rows in any order, columns of any
scale, and frames with something wrong.

Each law runs on a few random examples in `make test` and on many in `make verify`.
"""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, seed
from hypothesis import strategies as st
from oracles.hostile import knn, row_standardise
from strategies import SPOILT, labels, matrices, properties, scales, seeds

import spillover as so

N, T = 13, 3  # the shape that the other tests of fits have too


def short_and_long(short: int, long: int):
    """The law twice: on `short` examples, and in `make verify` on `long` ones."""
    examples = (
        pytest.param(short, id="short"),
        pytest.param(long, id="long", marks=pytest.mark.verify),
    )
    return pytest.mark.parametrize("examples", examples)


def held(examples, law, **arguments):
    """Run a law on random arguments."""
    properties(examples)(seed(0)(given(**arguments)(law)))()


@short_and_long(8, 200)
def test_weights_are_the_matrix_whatever_the_labels_and_their_order(examples):
    def law(A, ids, number):
        W = so.Weights(A, ids, islands="allow")
        order = np.random.default_rng(number).permutation(len(A))
        x = np.random.default_rng(number).standard_normal(len(A))
        assert np.array_equal(W.to_scipy().toarray(), A)
        assert np.array_equal(W[ids[order]].to_scipy().toarray(), A[np.ix_(order, order)])
        lagged = W @ pd.Series(x, ids)[ids[order]]
        size = np.abs(A) @ np.abs(x)
        assert (np.abs(lagged.to_numpy() - (A @ x)[order]) <= 1e-14 * len(A) * size[order]).all()
        sums = W.row_standardize().to_scipy().toarray().sum(axis=1)
        linked = A.sum(axis=1) > 0
        assert sums[linked] == pytest.approx(1, abs=1e-13)
        assert not sums[~linked].any()
        assert W.islands == ids[~(A > 0).any(axis=1)].tolist()

    held(examples, law, A=matrices(8), ids=labels(8), number=seeds)


@short_and_long(8, 200)
def test_an_edge_list_gives_the_weights_that_it_lists(examples):
    def law(A, ids, number):
        rows, columns = A.nonzero()
        edges = pd.DataFrame({"from": ids[rows], "to": ids[columns], "w": A[rows, columns]})
        shuffled = edges.sample(frac=1, random_state=number)
        found = so.Weights.from_edges(shuffled, "from", "to", "w", ids=ids, islands="allow")
        assert found == so.Weights(A, ids, islands="allow")

    held(examples, law, A=matrices(8), ids=labels(8), number=seeds)


def _frame(number: int) -> pd.DataFrame:
    rng = np.random.default_rng(number)
    rows = [(unit, year, *rng.standard_normal(3)) for year in range(T) for unit in range(N)]
    return pd.DataFrame(rows, columns=["unit", "year", "y", "x1", "x2"])


MATRIX = row_standardise(knn(N, 3))
PANEL = {"effects": "unit", "unit": "unit", "period": "year"}


@short_and_long(12, 200)
def test_a_frame_with_something_wrong_is_refused_in_one_line(examples):
    def law(what, row, number):
        ids = [f"u{i:02d}" for i in range(N)]
        frame = _frame(number).assign(unit=lambda table: [ids[i] for i in table["unit"]])
        with pytest.raises(so.SpilloverError) as refused:
            so.SAR(
                "y ~ x1 + x2", SPOILT[what](frame, row), so.Weights(MATRIX, ids), **PANEL
            ).fit_ml()
        message = str(refused.value)
        assert message
        assert "\n" not in message

    held(
        examples,
        law,
        what=st.sampled_from(sorted(SPOILT)),
        row=st.integers(0, N * T - 1),
        number=seeds,
    )


def _errors_apart(found: so.MLFit, expected: pd.Series, errors: pd.Series) -> float:
    """The largest distance of estimates, in standard errors."""
    return float((np.abs(found.params[expected.index] - expected) / errors[expected.index]).max())


@short_and_long(2, 60)
def test_estimates_know_nothing_of_labels_and_order_and_follow_the_scale_of_columns(
    examples, small
):
    """beta_1 / c for c x1; everything but rho times s for s y, the log-likelihood less nu log s."""
    case = small("SAR", "unit")
    plain = case.model().fit_ml()
    old = [f"u{i:02d}" for i in range(N)]

    def law(ids, number, c, s):
        order = np.random.default_rng(number).permutation(N)
        frame = case.frame.assign(unit=case.frame["unit"].map(dict(zip(old, ids, strict=True))))
        frame = frame.assign(x1=c * frame["x1"], y=s * frame["y"]).sample(
            frac=1, random_state=number
        )
        weights = so.Weights(case.W[np.ix_(order, order)], ids[order])
        found = so.SAR(case.formula, frame, weights, **PANEL).fit_ml()
        factor = pd.Series(s, index=plain.params.index)
        factor["rho"], factor["x1"] = 1.0, s / c
        assert _errors_apart(found, factor * plain.params, factor * plain.std_errors) < 1e-5
        assert found.loglik == pytest.approx(
            plain.loglik - plain.nu * np.log(s), abs=1e-8 * plain.nu * (1 + abs(np.log(s)))
        )
        assert (found.std_errors / (factor * plain.std_errors)).to_numpy() == pytest.approx(
            1, rel=1e-5
        )

    held(examples, law, ids=labels(N), number=seeds, c=scales, s=scales)
