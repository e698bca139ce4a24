"""Direct, indirect and total impacts of a change in each explanatory variable.

LeSage & Pace (2009), chapters 2 and 4.

    dE[y]/dx_k = S(rho)^-1 (beta_k I + theta_k W)

The direct impact is the mean of the diagonal of this matrix, the total impact the mean of its row
sums, and the indirect impact the difference:

    direct_k = beta_k (1 + rho g) + theta_k g,     g(rho) = tr(S^-1 W) / N = -l'(rho) / N
    total_k  = beta_k (1 + rho m') + theta_k m',   m'(rho) = iota' S^-1 W iota / N

with m' = 1 / (1 - rho) where all rows of W sum to one.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sparse
from jax.typing import ArrayLike

from spillover.kernels.factor import Factor, factorise
from spillover.kernels.logdet import LogDetSeries, derivative
from spillover.kernels.multiplier import Multiplier
from spillover.kernels.ordering import elimination_order

BLOCK = 256  # unit vectors solved for at a time


class Impacts(NamedTuple):
    """Average impacts of one shape: (..., variables), or (..., variables, orders + 1) by order."""

    direct: jax.Array | np.ndarray
    indirect: jax.Array | np.ndarray
    total: jax.Array | np.ndarray


class Channels(NamedTuple):
    """What average impacts need of W.

    `logdet`: of W itself, None in a model without rho. `rows`: m', None where it is 1 / (1 - rho).
    `mean_row_sum`: of W, ().
    """

    logdet: LogDetSeries | None
    rows: Multiplier | None
    mean_row_sum: jax.Array


def split_coefficients(
    beta: jax.Array, own: ArrayLike, lagged: ArrayLike
) -> tuple[jax.Array, jax.Array]:
    """beta_k and theta_k of each variable, from the coefficients of all terms.

    The coefficients are (..., terms), the results (..., variables); theta_k is zero where the
    variable has no lag.

    `own` and `lagged` hold the positions of x_k and of W x_k among the terms, -1 for none.
    """
    own, lagged = jnp.asarray(own), jnp.asarray(lagged)
    return beta[..., own], jnp.where(lagged >= 0, beta[..., lagged], 0.0)


@jax.jit
def average(
    channels: Channels, beta: jax.Array, theta: jax.Array, rho: jax.Array | None
) -> Impacts:
    """Average impacts, (..., variables).

    beta and theta are (..., variables), rho is (...), None in a model without it.
    """
    if channels.logdet is None or rho is None:
        total = beta + theta * channels.mean_row_sum
        return Impacts(beta, total - beta, total)
    g = (-derivative(channels.logdet, rho) / channels.logdet.size)[..., None]
    rows = (1 / (1 - rho) if channels.rows is None else channels.rows(rho))[..., None]
    rho = rho[..., None]
    direct = beta * (1 + rho * g) + theta * g
    total = beta * (1 + rho * rows) + theta * rows
    return Impacts(direct, total - direct, total)


def by_order(
    matrix: sparse.csr_array, orders: int, beta: np.ndarray, theta: np.ndarray, rho: np.ndarray
) -> Impacts:
    """Average impacts by order of neighbour, (..., variables, orders + 1).

    They are the terms q = 0 ... orders of sum_q rho^q W^q (beta I + theta W).

    The sum converges for |rho| below one over the spectral radius of W only. Arguments as in
    `average`.
    """
    n = matrix.shape[0]
    power, sums, traces = sparse.eye_array(n, format="csr"), [1.0], [1.0]
    for _ in range(orders + 1):
        power = power @ matrix
        traces.append(power.trace() / n)
        sums.append(power.sum() / n)
    steps = rho[..., None, None] ** np.arange(orders + 1)
    beta, theta = beta[..., None], theta[..., None]
    direct = steps * (beta * traces[:-1] + theta * traces[1:])
    total = steps * (beta * sums[:-1] + theta * sums[1:])
    return Impacts(direct, total - direct, total)


class UnitImpacts(NamedTuple):
    """Impacts by unit, (draws, variables, N).

    `direct`: of a unit's own x on the unit. `received`: of the x of all units on it, row sums.
    `sent`: of its x on all units, column sums.
    """

    direct: np.ndarray
    received: np.ndarray
    sent: np.ndarray


def by_unit(
    matrix: sparse.csr_array, beta: np.ndarray, theta: np.ndarray, rho: np.ndarray
) -> UnitImpacts:
    """Impacts by unit: diagonals, row sums and column sums of S^-1 (beta I + theta W).

    beta and theta are (draws, variables), rho is (draws,).

    Each draw costs a sparse factorisation and N solves.
    """
    order, columns = elimination_order(matrix), matrix.tocsc()
    factors = (factorise(matrix, float(value), order=order) for value in rho)
    parts = np.array([_sum_parts(matrix, columns, factor) for factor in factors])
    own, through = parts[:, 0][:, :, None, :], parts[:, 1][:, :, None, :]
    both = beta[:, None, :, None] * own + theta[:, None, :, None] * through
    return UnitImpacts(*np.moveaxis(both, 1, 0))


def _sum_parts(matrix: sparse.csr_array, columns: sparse.csc_array, factor: Factor) -> np.ndarray:
    """Diagonal, row sums and column sums of S^-1 and of S^-1 W: (2, 3, N)."""
    n = matrix.shape[0]
    received = factor.solve(np.column_stack([np.ones(n), matrix.sum(axis=1)]))
    sent = factor.solve_transpose(np.ones(n))
    diagonal = np.empty((2, n))
    for start in range(0, n, BLOCK):
        units = np.arange(start, min(start + BLOCK, n))
        unit_vectors = np.zeros((n, len(units)))
        unit_vectors[units, units - start] = 1
        rows = factor.solve_transpose(unit_vectors)  # the rows of S^-1 of these units
        diagonal[:, units] = (
            rows[units, units - start],
            columns[:, units].multiply(rows).sum(axis=0),
        )
    return np.array(
        [[diagonal[0], received[:, 0], sent], [diagonal[1], received[:, 1], columns.T @ sent]]
    )
