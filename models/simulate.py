"""Data from any model of the family, with known parameters.

    y_t = S(rho)^-1 (X_t beta + W X_t theta + alpha + xi_t iota + u_t),    u_t = S_lam^-1 e_t

with S(rho) = I - rho W and S_lam = I - lam M.
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
    """Draw the response of a spatial panel model with known parameters.

    ::

        y_t = (I - rho W)^-1 (X_t beta + W X_t theta + c_t + u_t)
        u_t = (I - lam M)^-1 e_t,    e_it ~ N(0, sigma^2)

    Parameters
    ----------
    weights : sparse array (N, N)
        W, such as ``W.to_scipy()`` of a `Weights`.
    x : array (T, N, k)
        The regressors by period and unit, a constant among them where one is wanted; T = 1 for a
        cross-section.
    beta : array (k,)
        Coefficients of X.
    theta : array (k,), optional
        Coefficients of W X. By default there is no lag of X.
    rho : float, default 0.0
        Dependence in y, inside the admissible interval of W.
    lam : float, default 0.0
        Dependence in the errors, inside the admissible interval of M.
    sigma : float, default 1.0
        Standard deviation of e, in units of y. Zero gives y without noise.
    effects : array or float, default 0.0
        c, the effects of units and periods: anything that broadcasts to (T, N), in units of y.
    error_weights : sparse array (N, N), optional
        M. By default W.
    rng : numpy.random.Generator
        Source of the errors.

    Returns
    -------
    array (T, N)
        The response y.

    Raises
    ------
    DataError
        Where shapes do not match, and where rho or lam lies outside its admissible interval.
    SpecificationError
        Where rho, lam or sigma is not a number, and where sigma is negative.
    WeightsError
        Where weights or error_weights is not a matrix of N units.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sparse
    >>> import spillover as so
    >>> w = sparse.csr_array(np.array([[0, 1.0], [1.0, 0]]))
    >>> x, rng = np.ones((1, 2, 1)), np.random.default_rng(0)
    >>> so.simulate(w, x, beta=np.array([2.0]), rho=0.5, sigma=0.0, rng=rng)
    array([[4., 4.]])

    References
    ----------
    LeSage, J. & Pace, R. K. (2009), Introduction to Spatial Econometrics, chapter 2.
    """
    _check_arrays(weights, x, beta, theta, error_weights)
    expect("rng", rng, np.random.Generator, "give one of NumPy's, np.random.default_rng(0)")
    m = weights if error_weights is None else error_weights
    _check_numbers(rho, lam, sigma, weights, m)
    periods, n, _ = x.shape
    shifts = _broadcast_effects(effects, periods, n)
    errors = sigma * rng.standard_normal((periods, n)).T
    if lam:
        errors = solve_on_host(m, lam, errors)
    signal = (x @ beta).T + shifts.T
    if theta is not None:
        signal = signal + weights @ (x @ theta).T
    y = np.asarray(signal + errors)
    if rho:
        y = solve_on_host(weights, rho, y)
    return y.T


def _check_arrays(weights: Any, x: Any, beta: Any, theta: Any, error_weights: Any) -> None:
    """Refuse values that are not arrays, and arrays whose shapes do not match."""
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


def _check_numbers(rho: Any, lam: Any, sigma: Any, weights: Any, error_weights: Any) -> None:
    """Refuse a negative sigma, and rho and lam outside the admissible interval of their weights."""
    real("sigma", sigma, 0, closed=True, example=1)
    for name, value, matrix in (("rho", rho, weights), ("lam", lam, error_weights)):
        norm = min(abs(matrix).sum(axis=0).max(), abs(matrix).sum(axis=1).max())
        if abs(real(name, value, example=0.5)) * norm < 1:
            continue
        graph = sparse.csr_array(matrix)
        count = csgraph.connected_components(graph, connection="strong", return_labels=False)
        if count == graph.shape[0]:
            continue  # without a cycle no eigenvalue bounds rho: every value will do
        lower, upper = admissible.interval(graph)
        if not lower < value < upper:
            raise DataError(
                f"{name}={value:g} is not inside the admissible interval ({lower:.6g}, {upper:.6g})"
                " of its weights."
            )


def _broadcast_effects(effects: Any, periods: int, n: int) -> np.ndarray:
    """The effects as an array (T, N)."""
    try:
        return np.broadcast_to(np.asarray(effects, float), (periods, n))
    except (TypeError, ValueError):
        raise DataError(
            f"effects is {kind_of(effects)}{_shape(effects)}: give numbers that broadcast to"
            f" ({periods}, {n})."
        ) from None


def _has_shape(array: Any, shape: tuple[int, ...]) -> bool:
    """Whether an array holds real numbers in this shape."""
    return bool(array.shape == shape and array.dtype.kind in "biuf")


def _shape(values: Any) -> str:
    """The shape of an array in words, nothing for other objects."""
    return f" of shape {values.shape}" if isinstance(getattr(values, "shape", None), tuple) else ""
