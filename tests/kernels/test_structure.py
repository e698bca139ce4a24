"""What is learnt of W before its log-determinant: traces, a tidy copy, a similar matrix."""

import numpy as np
import pytest
import scipy.sparse as sparse
from sparse_graphs import ALL, eigenvalues

from spillover.kernels import structure


@pytest.mark.parametrize("name", ALL)
def test_traces_are_exact(name, monkeypatch):
    monkeypatch.setattr(structure, "ROWS", 100)
    values = eigenvalues(name)
    told = structure.examine(ALL[name])
    expected = [np.sum(values**j).real for j in range(1, 5)]
    scale = np.abs(values).max(initial=0.0) ** np.arange(1, 5) * len(values)
    assert np.all(np.abs(told.traces - expected) <= 1e-12 * scale)


@pytest.mark.parametrize("name", ["queen", "knn", "binary knn with sinks"])
def test_the_matrix_to_work_with_has_the_same_eigenvalues(name):
    told = structure.examine(ALL[name])
    values = np.linalg.eigvals(told.work.toarray())
    np.testing.assert_allclose(
        [np.sum(values**j).real for j in range(5, 9)],
        [np.sum(eigenvalues(name) ** j).real for j in range(5, 9)],
        rtol=1e-9,
        atol=1e-9,
    )
    assert np.linalg.norm(told.work.toarray(), 2) <= np.abs(values).max() * (1 + 1e-6) or (
        told.radius[0] == told.radius[1]
    )


def test_a_canonical_copy_has_neither_duplicates_nor_zeros():
    untidy = sparse.csr_array(
        (np.array([1, 2, 0]), np.array([1, 1, 0]), np.array([0, 2, 3])), shape=(2, 2)
    )
    tidy = structure.canonicalize(untidy)
    assert (tidy.nnz, untidy.nnz, tidy.dtype) == (1, 3, float)
    assert tidy.toarray().tolist() == [[0.0, 3.0], [0.0, 0.0]]
