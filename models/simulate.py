"""Data from any model of the family, with known parameters.

y_t = S(rho)^-1 (X_t beta + W X_t theta + alpha + xi_t iota + u_t),      u_t = S_lam^-1 e_t
"""

from typing import Any

import numpy as np
import scipy.sparse as sparse
import scipy.sparse.csgraph as csgraph

from spillover.kernels import admissible
from spillover.kernels.arguments import expect, front_door, kind_of, real
from spillover.kernels.errors import DataError, WeightsError
from spillover.kernels.spatial_filter import solve_on_host


@front_door
def simulate(
    weights: sparse.csr_array,
    x: np.ndarray,
    *,
    beta: np.ndarray,
    theta: np.ndarray | None = None,
    rho: float = 0.0,
    lam: float = 0.0,
    sigma: float = 1.0,
    effects: np.ndarray | float = 0.0,
    error_weights: sparse.csr_array | None = None,
    rng: np.random.Generator,
) -> np.ndarray:
    """y, (T, N), for x: (T, N, k); beta, theta: (k,); effects: anything that broadcasts to (T, N).

    >>> import numpy as np, scipy.sparse as sparse
    >>> w = sparse.csr_array(np.array([[0, 1.0], [1.0, 0]]))
    >>> simulate(
    ...     w,
    ...     np.ones((1, 2, 1)),
    ...     beta=np.array([2.0]),
    ...     rho=0.5,
    ...     sigma=0.0,
    ...     rng=np.random.default_rng(0),
    ... )
    array([[4., 4.]])
    """
    _check(weights, x, beta, theta, error_weights, rng)
    _check_numbers(rho, lam, sigma, weights, weights if error_weights is None else error_weights)
    periods, n, _ = x.shape
    effects = _effects(effects, periods, n)
    errors = sigma * rng.standard_normal((periods, n)).T
    if lam:
        m = weights if error_weights is None else error_weights
        errors = solve_on_host(m, lam, errors)
    signal = (x @ beta).T + effects.T
    if theta is not None:
        signal = signal + weights @ (x @ theta).T
    y = signal + errors
    if rho:
        y = solve_on_host(weights, rho, y)
    return y.T


def _check(weights: Any, x: Any, beta: Any, theta: Any, error_weights: Any, rng: Any) -> None:
    """Refuse arrays that are none, or whose shapes do not go together."""
    if not isinstance(x, np.ndarray) or x.ndim != 3 or x.dtype.kind not in "biuf":
        raise DataError(
            f"x is {kind_of(x)}{_shape(x)}: give an array of numbers (T, N, k), periods, units and"
            " regressors."
        )
    n, k = x.shape[1:]
    for name, matrix in (
        ("weights", weights),
        ("error_weights", weights if error_weights is None else error_weights),
    ):
        if not isinstance(matrix, np.ndarray | sparse.sparray | sparse.spmatrix) or not _has_shape(
            matrix, (n, n)
        ):
            raise WeightsError(
                f"{name} is {kind_of(matrix)}{_shape(matrix)}: give a sparse array ({n}, {n}), such"
                " as W.to_scipy()."
            )
    for name, values in (("beta", beta), ("theta", beta if theta is None else theta)):
        if not isinstance(values, np.ndarray) or not _has_shape(values, (k,)):
            raise DataError(
                f"{name} is {kind_of(values)}{_shape(values)}: give an array of {k} numbers, one"
                " for each regressor."
            )
    expect("rng", rng, np.random.Generator, "give one of NumPy's, np.random.default_rng(0)")


def _check_numbers(rho: Any, lam: Any, sigma: Any, weights: Any, error_weights: Any) -> None:
    """Refuse a negative sigma, and rho and lam outside the admissible interval of their weights."""
    real("sigma", sigma, 0, closed=True, example=1)
    for name, value, matrix in (("rho", rho, weights), ("lam", lam, error_weights)):
        reach = abs(real(name, value, example=0.5)) * min(
            abs(matrix).sum(axis=0).max(), abs(matrix).sum(axis=1).max()
        )
        if reach < 1:
            continue
        found = sparse.csr_array(matrix)
        if (
            csgraph.connected_components(found, connection="strong", return_labels=False)
            == found.shape[0]
        ):
            continue  # no unit is reached from itself: every value will do
        lower, upper = admissible.interval(found)
        if not lower < value < upper:
            raise DataError(
                f"{name}={value:g} is not inside the admissible interval ({lower:.6g}, {upper:.6g})"
                " of its weights."
            )


def _effects(effects: Any, periods: int, n: int) -> np.ndarray:
    try:
        return np.broadcast_to(np.asarray(effects, float), (periods, n))
    except (TypeError, ValueError):
        raise DataError(
            f"effects is {kind_of(effects)}{_shape(effects)}: give numbers that broadcast to"
            f" ({periods}, {n})."
        ) from None


def _has_shape(array: Any, shape: tuple[int, ...]) -> bool:
    """Whether it holds real numbers in this shape."""
    return array.shape == shape and array.dtype.kind in "biuf"


def _shape(values: Any) -> str:
    return f" of shape {values.shape}" if isinstance(getattr(values, "shape", None), tuple) else ""
