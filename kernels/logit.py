"""The logit map from the admissible interval of rho onto the real line, on host and device.

    s = 1/2 log((rho - a) / (b - rho)),    a < rho < b
    d rho / d s = 2 (rho - a)(b - rho) / (b - a)

The functions compute with JAX where an argument is one of its arrays, as inside a compiled program,
and with NumPy otherwise.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, overload

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special as special

# arguments that NumPy handles, on the host
Host = complex | np.number | np.bool | np.ndarray | Sequence[float]


class _Library(NamedTuple):
    """The functions that the map needs, of one array library."""

    asarray: Callable[..., Any]
    log: Callable[..., Any]
    where: Callable[..., Any]
    expit: Callable[..., Any]
    log_expit: Callable[..., Any]


_HOST = _Library(np.asarray, np.log, np.where, special.expit, special.log_expit)
_DEVICE = _Library(jnp.asarray, jnp.log, jnp.where, jax.nn.sigmoid, jax.nn.log_sigmoid)


@overload
def to_s(rho: Host, bounds: Host) -> np.ndarray: ...
@overload
def to_s(rho: jax.Array, bounds: jax.Array | Host) -> jax.Array: ...
@overload
def to_s(rho: Host, bounds: jax.Array) -> jax.Array: ...
def to_s(rho: jax.Array | Host, bounds: jax.Array | Host) -> jax.Array | np.ndarray:
    """The logit variable of rho.

    Parameters
    ----------
    rho : array_like
        Values inside the bounds, of any shape.
    bounds : array_like, shape (2,)
        The ends a and b of the interval.

    Returns
    -------
    jax.Array or numpy.ndarray
        s, in the shape of rho.

    Examples
    --------
    >>> round(float(to_s(0.5, (-1.0, 1.0))), 6)
    0.549306
    """
    lib = _library(rho, bounds)
    a, b = lib.asarray(bounds)
    at = lib.asarray(rho)
    s: jax.Array | np.ndarray = 0.5 * lib.log((at - a) / (b - at))
    return s


@overload
def to_rho(s: Host, bounds: Host) -> np.ndarray: ...
@overload
def to_rho(s: jax.Array, bounds: jax.Array | Host) -> jax.Array: ...
@overload
def to_rho(s: Host, bounds: jax.Array) -> jax.Array: ...
def to_rho(s: jax.Array | Host, bounds: jax.Array | Host) -> jax.Array | np.ndarray:
    """The rho of a logit variable, computed from the nearer end so that nothing cancels there.

    Parameters
    ----------
    s : array_like
        Logit variables, of any shape.
    bounds : array_like, shape (2,)
        The ends a and b of the interval.

    Returns
    -------
    jax.Array or numpy.ndarray
        rho, in the shape of s.

    Examples
    --------
    >>> to_rho([0.0, 20.0], (-0.5, 1.0)).tolist()
    [0.25, 1.0]
    """
    lib = _library(s, bounds)
    a, b = lib.asarray(bounds)
    at = lib.asarray(s)
    from_a, from_b = (b - a) * lib.expit(2 * at), (b - a) * lib.expit(-2 * at)
    rho: jax.Array | np.ndarray = lib.where(at < 0, a + from_a, b - from_b)
    return rho


@overload
def log_slope(s: Host, bounds: Host) -> np.ndarray: ...
@overload
def log_slope(s: jax.Array, bounds: jax.Array | Host) -> jax.Array: ...
@overload
def log_slope(s: Host, bounds: jax.Array) -> jax.Array: ...
def log_slope(s: jax.Array | Host, bounds: jax.Array | Host) -> jax.Array | np.ndarray:
    """The log of d rho / d s, which turns a density of rho into one of s.

    Parameters
    ----------
    s : array_like
        Logit variables, of any shape.
    bounds : array_like, shape (2,)
        The ends a and b of the interval.

    Returns
    -------
    jax.Array or numpy.ndarray
        log(2 (rho - a)(b - rho) / (b - a)), in the shape of s.
    """
    lib = _library(s, bounds)
    a, b = lib.asarray(bounds)
    at = lib.asarray(s)
    slope: jax.Array | np.ndarray
    slope = lib.log(2 * (b - a)) + lib.log_expit(2 * at) + lib.log_expit(-2 * at)
    return slope


def _library(*arrays: jax.Array | Host) -> _Library:
    """JAX where one of the arrays is its own, else NumPy with SciPy."""
    return _DEVICE if any(isinstance(array, jax.Array) for array in arrays) else _HOST
