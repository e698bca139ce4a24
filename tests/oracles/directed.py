"""Directed weights of 501-700 units, and small ones, that mislead eigenvalue routines; and
log-determinants with three digits more.
"""

import numpy as np
from oracles.hostile import contiguity, knn, ring, rook, row_standardise


def chain(n, back, weight=1.0):
    """One-way links i -> i + 1, and a few back: (i, j, weight)."""
    A = np.zeros((n, n))
    A[np.arange(n - 1), np.arange(1, n)] = weight
    for i, j, value in back:
        A[i, j] = value
    return A


def jordan(A, blocks, coupling, back):
    """A repeated on the diagonal, each copy coupled to the next, and the last faintly to the first:
    a nearly defective W.
    """
    n, W = len(A), np.kron(np.eye(blocks), A)
    for k in range(blocks - 1):
        W[n * k : n * k + n, n * k + n : n * k + 2 * n] += coupling * np.eye(n)
    W[n * (blocks - 1) :, :n] += back * np.eye(n)
    return W


def acyclic_but_for(n, share, back, seed=0):
    """Links from lower to higher units at random, and `back` links the other way."""
    rng = np.random.default_rng(seed)
    A = np.triu(rng.random((n, n)) < share, 1).astype(float)
    A[rng.integers(n // 2, n, back), rng.integers(0, n // 2, back)] = 1.0
    return A


def ring_beside_lattice():
    """A ring of 401, whose leftmost eigenvalues are a complex pair next to -1, linked faintly to a
    lattice with the eigenvalue -1/2.
    """
    W = np.zeros((601, 601))
    W[:401, :401] = ring(401, ((1, 1.0),))
    W[401:, 401:] = 0.5 * row_standardise(rook(10, 20))
    W[0, 401] = W[401, 0] = 0.01
    return W


def large():
    """name -> W of 501-700 units."""
    uneven = chain(600, [(300, 290, 0.3), (599, 0, 1e-6), (410, 400, 1e-3)])
    uneven[np.arange(599), np.arange(1, 600)] = np.random.default_rng(0).uniform(0.1, 10, 599)
    return {
        "ring": row_standardise(ring(601, ((1, 0.7), (2, 0.3)))),
        "ring and back": row_standardise(ring(601, ((1, 0.8), (2, 0.15), (600, 0.05)))),
        "ring beside lattice": ring_beside_lattice(),
        "knn": row_standardise(knn(600, 4)),
        "chain": chain(600, [(599, 0, 1e-3), (300, 100, 0.2), (500, 450, 0.3), (20, 10, 0.5)]),
        "uneven chain": uneven,
        "steep chain": chain(600, [(50, 45, 1e-4), (599, 560, 1e-8)], 10.0),
        "almost acyclic": acyclic_but_for(600, 0.02, 12),
        "nearly defective": jordan(row_standardise(contiguity(130)), 4, 0.5, 1e-9),
    }


def small():
    """name -> W of some 60 units."""
    return {
        "pair": jordan(row_standardise(contiguity(20)), 2, 0.5, 1e-10),
        "four": jordan(row_standardise(contiguity(15)), 4, 5.0, 1e-14),
        "six": jordan(row_standardise(contiguity(12)), 6, 1.0, 1e-12),
        "rows": row_standardise(jordan(row_standardise(contiguity(20)), 3, 0.5, 1e-9)),
        "steep chain": chain(60, [(59, 0, 1e-9), (20, 10, 1e-3)], 3.0),
        "almost acyclic rows": row_standardise(acyclic_but_for(60, 0.2, 3)),
        "up and down": np.diag(np.full(59, 10.0), 1) + np.diag(np.full(59, 1e-3), -1),
    }


def logdet(rho, W):
    """sign and log of |det(I - rho W)| by elimination with partial pivoting in extended
    precision.
    """
    A = np.eye(len(W), dtype=np.longdouble) - np.longdouble(rho) * W.astype(np.longdouble)
    sign, log = 1.0, np.longdouble(0)
    for k in range(len(A)):
        p = k + int(np.argmax(np.abs(A[k:, k])))
        if p != k:
            A[[k, p]] = A[[p, k]]
            sign = -sign
        sign *= float(np.sign(A[k, k]))
        log += np.log(np.abs(A[k, k]))
        rows, columns = np.flatnonzero(A[k + 1 :, k]) + k + 1, np.flatnonzero(A[k, k + 1 :]) + k + 1
        A[np.ix_(rows, columns)] -= np.outer(A[rows, k] / A[k, k], A[k, columns])
    return sign, float(log)
