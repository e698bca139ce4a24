"""What depends on W alone and carries impacts, worked out once for each content of W."""

import jax
import numpy as np
from numpy.typing import ArrayLike

from spillover.engine import cache
from spillover.engine.weights.logdet import LogDet, build_covering, find_bounds
from spillover.engine.weights.weights import Weights
from spillover.kernels import logdet as kernel
from spillover.kernels import multiplier
from spillover.kernels.arrays import leaf
from spillover.kernels.multiplier import Multiplier
from spillover.models.impacts import Channels


def row_multiplier(weights: Weights, found: LogDet) -> Multiplier | None:
    """iota'(I - rho W)^-1 W iota / N, None where it is 1 / (1 - rho) because every row of W sums to
    one.
    """
    return None if weights.is_row_standardized else _mean_row_sum(weights, found)


def _mean_row_sum(weights: Weights, found: LogDet) -> Multiplier:
    """iota'(I - rho W)^-1 W iota / N, between the ends of the log-determinant."""
    low, high = (float(end) for end in np.asarray(found.record.ends))
    key = (weights.digest, weights.given_bounds, "mean row sum", low, high)
    with jax.enable_x64(True):
        arrays = cache.recall(
            key, lambda: multiplier.build(weights.matrix, found.bounds, (low, high))._asdict()
        )
    return Multiplier(*(leaf(arrays[name]) for name in Multiplier._fields))


def on_contrasts(weights: Weights, found: LogDet) -> kernel.LogDetSeries:
    """The log-determinant between units: l(rho) - log(1 - c rho) where every row of W sums to c,
    else l(rho) - q(rho) with q = iota' log(I - rho W) iota / N. WeightsError where q is not smooth.
    """
    if weights.row_sum is not None:
        return kernel.remove_root(found.record, weights.row_sum)
    return kernel.subtract(found.record, *multiplier.mean_log(_mean_row_sum(weights, found)))


def channels(weights: Weights, rho: ArrayLike | None) -> Channels:
    """What carries an impact through W, good at the values of rho; None for a model without."""
    mean_row_sum = weights.matrix.sum() / weights.n
    if rho is None:
        return Channels(None, None, mean_row_sum)
    a, b = find_bounds(weights)
    values = np.clip(rho, np.nextafter(a, b), np.nextafter(b, a))
    low, high = (0.5 * float(np.log((end - a) / (b - end))) for end in (values.min(), values.max()))
    found = build_covering(weights, low, high)
    return Channels(found.record, row_multiplier(weights, found), mean_row_sum)
