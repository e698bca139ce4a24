"""Functions of rho for effects and impacts that depend on W alone.

They are computed once for each content of W.
"""

import jax
import numpy as np
from numpy.typing import ArrayLike

from spillover.engine import cache
from spillover.engine.weights.logdet import LogDet, build_covering, find_bounds
from spillover.engine.weights.weights import Weights
from spillover.kernels import multiplier
from spillover.kernels.arrays import leaf
from spillover.kernels.logdet import LogDetSeries, remove_root, subtract
from spillover.kernels.logit import to_s
from spillover.kernels.multiplier import Multiplier
from spillover.models.impacts import Channels


def build_row_multiplier(weights: Weights, logdet: LogDet) -> Multiplier | None:
    """Build iota'(I - rho W)^-1 W iota / N as a function of rho, for mean total impacts.

    None where every row of W sums to one: the function is 1 / (1 - rho) then.
    """
    return None if weights.is_row_standardized else _mean_row_sum(weights, logdet)


def _mean_row_sum(weights: Weights, logdet: LogDet) -> Multiplier:
    """Build iota'(I - rho W)^-1 W iota / N between the ends of the log-determinant."""
    low, high = (float(end) for end in np.asarray(logdet.record.ends))
    key = (weights.digest, weights.given_bounds, "mean row sum", low, high)
    with jax.enable_x64(True):
        arrays = cache.recall(
            key, lambda: multiplier.build(weights.matrix, logdet.bounds, (low, high))._asdict()
        )
    return Multiplier(*(leaf(arrays[name]) for name in Multiplier._fields))


def restrict_to_contrasts(weights: Weights, logdet: LogDet) -> LogDetSeries:
    """Restrict the log-determinant to contrasts between units.

    It is needed where period effects are transformed away::

        l(rho) - log(1 - c rho)   where every row of W sums to c
        l(rho) - q(rho)           otherwise
        q(rho) = iota' log(I - rho W) iota / N

    WeightsError where q is not smooth.
    """
    if weights.row_sum is not None:
        return remove_root(logdet.record, weights.row_sum)
    return subtract(logdet.record, *multiplier.mean_log(_mean_row_sum(weights, logdet)))


def build_channels(weights: Weights, rho: ArrayLike | None) -> Channels:
    """Build the functions that carry an impact through W, valid at the given values of rho.

    Parameters
    ----------
    weights : Weights
        The weights of the spatial lag.
    rho : array or None
        Values of rho at which impacts are wanted; None for a model without rho.
    """
    mean_row_sum = weights.matrix.sum() / weights.n
    if rho is None:
        return Channels(None, None, mean_row_sum)
    a, b = find_bounds(weights)
    values = np.clip(rho, np.nextafter(a, b), np.nextafter(b, a))
    low, high = to_s(np.array([values.min(), values.max()]), np.array([a, b]))
    logdet = build_covering(weights, float(low), float(high))
    return Channels(logdet.record, build_row_multiplier(weights, logdet), mean_row_sum)
