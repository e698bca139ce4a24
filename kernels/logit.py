"""The logit map: the admissible interval of rho onto the real line, the same on host and device.

    s = 1/2 log((rho - a) / (b - rho)),    a < rho < b
    d rho / d s = 2 (rho - a)(b - rho) / (b - a)

The functions compute with JAX where an argument is one of its arrays, as inside a compiled program,
and with NumPy otherwise.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special as special
from jax.typing import ArrayLike


class _Library(NamedTuple):
    """The functions that the map needs, of one array library."""

    asarray: Callable[..., Any]
    log: Callable[..., Any]
    where: Callable[..., Any]
    expit: Callable[..., Any]
    log_expit: Callable[..., Any]


_HOST = _Library(np.asarray, np.log, np.where, special.expit, special.log_expit)
_DEVICE = _Library(jnp.asarray, jnp.log, jnp.where, jax.nn.sigmoid, jax.nn.log_sigmoid)


def to_s(rho: ArrayLike, bounds: ArrayLike) -> Any:
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
    rho = lib.asarray(rho)
    return 0.5 * lib.log((rho - a) / (b - rho))


def to_rho(s: ArrayLike, bounds: ArrayLike) -> Any:
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
    s = lib.asarray(s)
    from_a, from_b = (b - a) * lib.expit(2 * s), (b - a) * lib.expit(-2 * s)
    return lib.where(s < 0, a + from_a, b - from_b)


def log_slope(s: ArrayLike, bounds: ArrayLike) -> Any:
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
    s = lib.asarray(s)
    return lib.log(2 * (b - a)) + lib.log_expit(2 * s) + lib.log_expit(-2 * s)


def _library(*arrays: ArrayLike) -> _Library:
    return _DEVICE if any(isinstance(array, jax.Array) for array in arrays) else _HOST
