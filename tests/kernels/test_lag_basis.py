"""Regressors described rather than held, and the rows of a basis made block by block, against the
same things made whole.
"""

import numpy as np
import pytest
import scipy.sparse as sparse
import whole_arrays
from oracles import dense
from oracles.hostile import knn

from spillover.kernels import lag_basis, moments

HOSTILE = {name: W for name, (W, _) in dense.hostile().items()}
T = 4


def described(name, lagged=(2, 0), dummies=3, seed=0):
    W = HOSTILE[name]
    x = 100 + np.random.default_rng(seed).normal(size=(T, len(W), 3))
    whole = [x, np.einsum("ij,tjk->tik", W, x[:, :, list(lagged)]), np.zeros((T, len(W), dummies))]
    for j in range(dummies):
        whole[2][T - dummies + j, :, j] = 1
    return lag_basis.Regressors(x, sparse.csr_array(W), lagged, dummies), np.concatenate(
        whole, axis=2
    )


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("lagged", [(), (0, 1, 2), (2, 0)])
def test_regressors_are_x_its_lags_and_dummies(name, lagged):
    found, whole = described(name, lagged)
    assert found.shape == whole.shape
    np.testing.assert_allclose(found.whole(), whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("name", ["knn", "binary", "sinks"])
def test_blocks_of_rows_less_the_mean_over_periods_make_the_whole(name, size, monkeypatch):
    monkeypatch.setattr(moments, "ROWS", size)
    regressors, whole = described(name)
    mean = regressors.x.mean(axis=0)
    spans = list(lag_basis.spans(*whole.shape[:2]))
    made = [
        np.concatenate(list(lag_basis.rows(regressors.pieces(span, mean))), axis=1)
        for span in spans
    ]
    np.testing.assert_allclose(np.concatenate(made), whole - whole.mean(axis=0), atol=1e-11)
    assert (
        max(
            rows.size // rows.shape[2]
            for span in spans
            for rows in lag_basis.rows(regressors.pieces(span))
        )
        <= size
    )


@pytest.mark.parametrize("periods", [1, 5, 64])
@pytest.mark.parametrize("units", [1, 10, 100])
def test_spans_cover_the_periods_in_turn_with_no_more_rows_than_asked_for(
    units, periods, monkeypatch
):
    monkeypatch.setattr(moments, "ROWS", 64)
    spans = [range(periods)[span] for span in lag_basis.spans(periods, units)]
    assert [period for span in spans for period in span] == list(range(periods))
    assert all(len(span) == 1 or len(span) * units <= 64 for span in spans)
    assert len(spans) == -(-periods // max(64 // units, 1))


@pytest.mark.parametrize("name", HOSTILE)
def test_unit_means_are_the_means_of_the_rows(name):
    W = sparse.csr_array(HOSTILE[name])
    regressors, _ = described(name)
    y, M = (
        np.random.default_rng(1).normal(size=(T, W.shape[0])),
        sparse.csr_array(knn(W.shape[0], 2, seed=6)),
    )
    pieces = lag_basis.basis(y, regressors.pieces(slice(None)), W, M)
    (rows,) = lag_basis.rows(pieces)
    np.testing.assert_allclose(
        lag_basis.unit_means(pieces), rows.mean(axis=1, keepdims=True), rtol=1e-12, atol=1e-12
    )
    np.testing.assert_allclose(
        rows, whole_arrays.lag_basis(y, regressors.whole(), W, M)[0], rtol=1e-12, atol=1e-12
    )
