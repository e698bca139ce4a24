"""Sparse weights of some hundred units, and l(rho) = log|I - rho W| of them by all eigenvalues."""

from functools import cache

import numpy as np
import scipy.sparse as sparse
from oracles import hostile
from scipy.spatial import cKDTree

from spillover.kernels import spectrum
from spillover.kernels.logit import to_s

HOSTILE = {
    f"hostile {name}": sparse.csr_array(W)
    for name, (W, _) in hostile.hostile().items()
    if name != "acyclic"
}


def row_standardised(links):
    links = sparse.csr_array(links)
    sums = links.sum(axis=1)
    return sparse.csr_array(sparse.diags_array(1 / np.where(sums > 0, sums, 1)) @ links)


def nearest(n, k, *, symmetric=False, by_distance=False):
    points = np.random.default_rng(n + k).uniform(size=(n, 2))
    distance, neighbour = cKDTree(points).query(points, k + 1)
    values = 1 / distance[:, 1:].ravel() if by_distance else np.ones(n * k)
    links = sparse.csr_array(
        (values, (np.repeat(np.arange(n), k), neighbour[:, 1:].ravel())), shape=(n, n)
    )
    return links.maximum(links.T) if symmetric else links


def lattice(rows, columns, *, queen=False):
    paths = [
        sparse.diags_array([np.ones(m - 1)] * 2, offsets=[-1, 1], shape=(m, m))
        for m in (rows, columns)
    ]
    links = sparse.kron(paths[0], sparse.eye_array(columns)) + sparse.kron(
        sparse.eye_array(rows), paths[1]
    )
    return sparse.csr_array(links + sparse.kron(*paths) if queen else links)


def without_rows(links, rows, *, columns=True):
    """Some units lose their links: islands, or, with `columns` kept, sinks."""
    keep = np.ones(links.shape[0])
    keep[rows] = 0
    kept = sparse.diags_array(keep) @ links
    return sparse.csr_array(kept @ sparse.diags_array(keep) if columns else kept)


GRAPHS = {
    "rook": row_standardised(lattice(18, 20)),
    "queen": row_standardised(lattice(18, 20, queen=True)),
    "knn symmetric": row_standardised(nearest(700, 6, symmetric=True)),
    "knn": row_standardised(nearest(620, 6)),
    "binary": nearest(700, 6, symmetric=True),
    "binary knn with sinks": without_rows(nearest(620, 6), [3, 99, 200], columns=False),
    "spectral": lattice(24, 24, queen=True) / 7.9,
    "islands": row_standardised(without_rows(nearest(700, 6, symmetric=True), [3, 99, 200])),
    "sinks": row_standardised(without_rows(nearest(620, 6), [3, 99, 200], columns=False)),
    "own weights": sparse.csr_array(
        0.7 * row_standardised(nearest(700, 6, symmetric=True)) + 0.3 * sparse.eye_array(700)
    ),
}
ALL = GRAPHS | HOSTILE


@cache
def eigenvalues(name):
    return spectrum.eigenvalues(ALL[name])


def by_eigenvalues(values, rho):
    """l and l' by eigenvalues, complex where they are."""
    factors = 1 - np.multiply.outer(rho, values)
    return np.log(np.abs(factors)).sum(axis=-1), -(values / factors).sum(axis=-1).real


def exact(name, rho):
    return by_eigenvalues(eigenvalues(name), rho)


def position(result, rho):
    low, high = result.ends
    return (2 * to_s(np.asarray(rho), result.bounds) - low - high) / (high - low)


def evaluated(result, rho):
    return np.polynomial.chebyshev.chebval(position(result, rho), result.coef)
