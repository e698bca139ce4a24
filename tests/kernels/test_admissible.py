"""The admissible interval by extreme eigenvalues, against closed forms and all eigenvalues."""

import numpy as np
import pytest
import scipy.sparse as sparse
from oracles import dense
from oracles.hostile import ring, row_standardise

from spillover.kernels import admissible, spectrum
from spillover.kernels.errors import WeightsError

HOSTILE = {name: W for name, (W, _) in dense.hostile().items()}


def wide_lattice(rows, columns):
    """Sparse binary rook lattice with the extreme eigenvalues 2 cos(pi / (rows + 1)) + 2 cos(pi /
    (columns + 1)) and their negatives.
    """
    path = [
        sparse.diags_array([np.ones(m - 1)] * 2, offsets=[-1, 1], format="csr")
        for m in (rows, columns)
    ]
    W = sparse.kron(path[0], sparse.eye_array(columns)) + sparse.kron(
        sparse.eye_array(rows), path[1]
    )
    return sparse.csr_array(W), 2 * np.cos(np.pi / (rows + 1)) + 2 * np.cos(np.pi / (columns + 1))


def test_interval_of_a_large_binary_lattice():
    W, top = wide_lattice(72, 70)
    assert W.shape[0] > spectrum.DENSE_LIMIT
    np.testing.assert_allclose(
        admissible.interval(W), (-1 / top, 1 / top), rtol=2 * admissible.PERRON
    )
    with pytest.raises(WeightsError, match="dense eigenvalues stop at"):
        spectrum.interval(W)


def test_interval_of_a_large_row_standardised_lattice():
    W, _ = wide_lattice(72, 70)
    W = sparse.csr_array(sparse.diags_array(1 / W.sum(axis=1)) @ W)
    np.testing.assert_allclose(admissible.interval(W), (-1.0, 1.0), rtol=1e-9)


@pytest.mark.parametrize("n", [101, 400])
def test_interval_of_a_ring_in_closed_form(n, monkeypatch):
    monkeypatch.setattr(admissible, "DENSE", 50)
    W = row_standardise(ring(n, ((1, 1.0), (n - 1, 1.0))))
    values = np.cos(2 * np.pi * np.arange(n) / n)
    np.testing.assert_allclose(
        admissible.interval(sparse.csr_array(W)),
        (1 / values.min(), 1.0),
        rtol=2 * admissible.LANCZOS,
    )


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "acyclic"])
def test_interval_without_all_eigenvalues_is_the_same(name, monkeypatch):
    """From inside; a lower end that is not found is said to be cautious, and no less than 1 over
    the radius.
    """
    W = HOSTILE[name]
    monkeypatch.setattr(admissible, "DENSE", 5)
    monkeypatch.setattr(admissible, "FULL", 1.0)
    found = admissible.limits(sparse.csr_array(W))
    lower, upper = dense.interval(W)
    np.testing.assert_allclose(found.bounds[1], upper, rtol=2 * admissible.PERRON)
    assert (
        lower * (1 + 1e-6)
        <= found.bounds[0]
        <= -1 / np.abs(np.linalg.eigvals(W)).max() * (1 - 2 * admissible.PERRON)
    )
    if not found.cautious:
        np.testing.assert_allclose(found.bounds[0], lower, rtol=2 * admissible.LANCZOS)
    assert found.outer[0] <= lower * (1 - 1e-6)
    assert found.outer[1] >= upper * (1 - 1e-6)
