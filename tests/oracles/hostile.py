"""Small weight matrices (N <= 60, seeded) that break careless code: each with what it is meant to
break.
"""

import numpy as np
from scipy.spatial import Delaunay
from scipy.spatial.distance import cdist


def row_standardise(A):
    """Rows divided by their sums; zero rows (islands) stay zero."""
    total = A.sum(axis=1, keepdims=True)
    return np.divide(A, total, out=np.zeros_like(A, dtype=float), where=total > 0)


def points(n, seed=20240229):
    """n seeded points of the unit square."""
    return np.random.default_rng(seed).uniform(size=(n, 2))


def contiguity(n, seed=20240229):
    """Symmetric 0/1 contiguity: the edges of the Delaunay triangulation of seeded points."""
    A = np.zeros((n, n))
    for a, b, c in Delaunay(points(n, seed)).simplices:
        for i, j in ((a, b), (b, c), (c, a)):
            A[i, j] = A[j, i] = 1.0
    return A


def knn(n, k, seed=20240229):
    """0/1 k nearest neighbours: not symmetric."""
    d = cdist(points(n, seed), points(n, seed))
    np.fill_diagonal(d, np.inf)
    A = np.zeros((n, n))
    np.put_along_axis(A, np.argsort(d, axis=1)[:, :k], 1.0, axis=1)
    return A


def rook(rows, columns):
    """0/1 rook lattice, numbered row by row: bipartite."""
    path = [np.diag(np.ones(m - 1), 1) + np.diag(np.ones(m - 1), -1) for m in (rows, columns)]
    return np.kron(path[0], np.eye(columns)) + np.kron(np.eye(rows), path[1])


def ring(n, steps):
    """Directed ring: i -> i + s with weight w for (s, w) in steps."""
    A = np.zeros((n, n))
    for s, w in steps:
        A[np.arange(n), (np.arange(n) + s) % n] += w
    return A


def _standardised():
    """Every row sums to one."""
    A = contiguity(40)
    two = np.zeros((44, 44))
    two[:20, :20], two[20:, 20:] = contiguity(20), contiguity(24, seed=7)
    d = cdist(points(30), points(30))
    inverse = np.divide(1.0, d, out=np.zeros_like(d), where=d > 0)
    wealth = np.random.default_rng(5).lognormal(sigma=1.0, size=40)
    blocks = np.kron(np.eye(5), np.ones((6, 6)) - np.eye(6))
    bent = row_standardise(ring(30, ((1, 0.7), (2, 0.3))) + 0.05 * contiguity(30))
    return {
        "contiguity": (
            row_standardise(A),
            "symmetric contiguity, row-standardised: real spectrum, w_min > -1",
        ),
        "knn": (
            row_standardise(knn(40, 4)),
            "4 nearest neighbours: asymmetric, complex eigenvalues",
        ),
        "components": (row_standardise(two), "two components: eigenvalue 1 twice"),
        "bipartite": (
            row_standardise(rook(6, 7)),
            "rook lattice: bipartite, spectrum symmetric about 0, w_min = -1",
        ),
        "inverse_distance": (row_standardise(inverse), "dense inverse distances, row-standardised"),
        "economic": (
            row_standardise(A * wealth),
            "row-standardised A diag(x): not D^-1 B with B symmetric, yet a real spectrum",
        ),
        "complete": (
            row_standardise(np.ones((12, 12)) - np.eye(12)),
            "everyone a neighbour: w_min = -1/11, interval (-11, 1)",
        ),
        "blocks": (
            row_standardise(blocks),
            "five cliques of six: both extreme eigenvalues repeated, interval (-5, 1)",
        ),
        "directed_ring": (
            ring(25, ((1, 1.0),)),
            "i -> i + 1, odd length: det(I - rho W) = 1 - rho^25, no negative real eigenvalue",
        ),
        "bent_ring": (bent, "directed two-step ring with weak contiguity: complex spectrum"),
    }


def _general():
    """Some rows do not sum to one."""
    A = contiguity(40)
    islands = A.copy()
    islands[[3, 17, 31]] = 0.0
    islands[:, [3, 17, 31]] = 0.0
    d = cdist(points(30), points(30))
    inverse = np.divide(1.0, d, out=np.zeros_like(d), where=d > 0)
    lattice, n = row_standardise(rook(4, 5)), 20
    defective = np.zeros((2 * n, 2 * n))
    defective[:n, :n] = defective[n:, n:] = lattice
    defective[:n, n:] = 0.5 * np.eye(n)
    acyclic = np.tril(contiguity(30), -1)
    sinks = knn(36, 3, seed=11)
    sinks[[0, 9, 20]] = 0.0
    return {
        "binary": (A, "raw 0/1 contiguity: w_max about 6, interval far inside (-1, 1)"),
        "spectral": (
            A / np.linalg.eigvalsh(A)[-1],
            "0/1 contiguity over its spectral radius: w_max = 1, rows do not sum to one",
        ),
        "islands": (
            row_standardise(islands),
            "row-standardised with three isolated units (zero rows and columns)",
        ),
        "sinks": (
            row_standardise(sinks),
            (
                "3 nearest neighbours with three zero rows that others still point to; complex"
                " eigenvalues"
            ),
        ),
        "inverse_distance_raw": (inverse, "dense inverse distances as they are: w_max about 90"),
        "defective": (
            defective,
            "[[A, I/2], [0, A]], A bipartite: Jordan blocks at 1 and -1; log|S| is twice that of A",
        ),
        "acyclic": (
            acyclic,
            "strictly triangular: spectral radius 0, log|S| = 0, the user must give bounds",
        ),
    }


def hostile():
    """name -> (W (N, N), description)."""
    return _standardised() | _general()
