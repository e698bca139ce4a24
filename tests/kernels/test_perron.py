"""The Perron root between its bounds, and the matrix scaled to it."""

import numpy as np
import pytest
import scipy.sparse as sparse
from oracles import directed

from spillover.kernels import ordering, perron

LARGE = {name: sparse.csr_array(W) for name, W in directed.large().items()}
SMALL = {name: sparse.csr_array(W) for name, W in directed.small().items()}


@pytest.mark.parametrize("name", [*LARGE, "almost acyclic rows", "four"])
def test_the_balanced_matrix_has_the_norm_of_the_perron_root(name):
    W = ordering.cyclic_part((SMALL | LARGE)[name])
    found = perron.balance(W)
    assert 0 <= found.high - found.low <= 1e-11 * found.high
    matrix = found.matrix.toarray()
    assert np.linalg.norm(matrix, 2) == pytest.approx(found.high, rel=1e-9)
    rho = 0.6 / found.high
    assert np.linalg.slogdet(np.eye(len(matrix)) - rho * matrix)[1] == pytest.approx(
        directed.logdet(rho, W.toarray())[1], abs=1e-11
    )


def test_products_alone_enclose_the_root():
    W = LARGE["uneven chain"]
    sure, rough = perron.balance(W), perron.balance(W, factor=False)
    assert rough.low <= sure.low * (1 + 1e-12)
    assert sure.high <= rough.high * (1 + 1e-12)


def test_the_root_is_that_of_the_component_with_the_largest():
    parts = [sparse.csr_array(np.ones((2, 2))), sparse.csr_array(3 * np.ones((3, 3)))]
    W = sparse.block_diag(parts, format="csr")
    np.testing.assert_allclose(perron.root(W), (9.0, 9.0), rtol=1e-11)
