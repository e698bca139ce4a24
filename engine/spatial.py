"""What depends on W alone, worked out once for each content of W."""

from functools import lru_cache

import jax

from spillover.engine.weights import Weights
from spillover.kernels import multiplier, spectrum
from spillover.kernels.logdet import LogDet, from_eigenvalues
from spillover.kernels.multiplier import Multiplier
from spillover.models.impacts import Channels

KEPT = 64  # weights whose numbers are kept: some kilobytes each


@lru_cache(maxsize=KEPT)
def log_determinant(weights: Weights) -> LogDet:
    """log|I - rho W| on the admissible interval, from all eigenvalues of W."""
    given = None if weights.given_bounds is None else weights.bounds  # the property checks them
    with jax.enable_x64(True):
        return from_eigenvalues(spectrum.eigenvalues(weights.matrix), given)


@lru_cache(maxsize=KEPT)
def row_multiplier(weights: Weights) -> Multiplier | None:
    """iota'(I - rho W)^-1 W iota / N, None where it is 1 / (1 - rho) because every row of W sums to one."""
    if weights.is_row_standardized:
        return None
    with jax.enable_x64(True):
        a, b = log_determinant(weights).bounds
        return multiplier.build(weights.matrix, (float(a), float(b)))


def channels(weights: Weights, *, lag: bool) -> Channels:
    """What carries an impact through W, for a model with (`lag`) or without rho."""
    mean_row_sum = weights.matrix.sum() / weights.n
    if not lag:
        return Channels(None, None, mean_row_sum)
    return Channels(log_determinant(weights), row_multiplier(weights), mean_row_sum)
