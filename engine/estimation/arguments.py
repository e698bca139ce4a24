"""Checks of the arguments that several public functions share: a model's and a sampler's."""

from typing import Any, NamedTuple

import numpy as np

from spillover.engine.data.panel import Panel
from spillover.engine.labels import few
from spillover.engine.weights.weights import Weights, as_weights
from spillover.kernels.arguments import expect, label, real, whole
from spillover.kernels.arguments import seed as as_seed
from spillover.kernels.errors import DataError, WeightsError
from spillover.models.priors import Priors

# largest absolute value of a column: within these, the sixth powers of sigma in the information
# stay in the range of 64-bit floats
SMALLEST, LARGEST = 1e-40, 1e40


class SamplingPlan(NamedTuple):
    """How to sample: the draws and the iterations of tuning of each chain, the chains, the seed.

    `target_accept`: the acceptance rate that NUTS aims at.
    """

    draws: int
    tune: int
    chains: int
    seed: int
    target_accept: float


def plan_sampling(
    *, draws: Any, tune: Any, chains: Any, seed: Any, target_accept: Any
) -> SamplingPlan:
    """Check the numbers; SpecificationError names the one that is wrong."""
    return SamplingPlan(
        draws=whole("draws", draws, example=1000),
        tune=whole("tune", tune, least=0, example=1000),
        chains=whole("chains", chains, example=4),
        seed=as_seed(seed),
        target_accept=real("target_accept", target_accept, 0, 1, example=0.8),
    )


def check_model(
    weights: Any, error_weights: Any, priors: Any, *, unit: Any, period: Any, name: str = "weights"
) -> None:
    """Refuse arguments that are not weights, priors or labels of columns.

    Formula and data are checked when the panel is read.
    """
    as_weights(name, weights)
    if error_weights is not None:
        as_weights("error_weights", error_weights)
    expect("priors", priors, Priors, "make it spillover.Priors(...)")
    for role, column in (("unit", unit), ("period", period)):
        if column is not None:
            label(role, column)


def check_sizes(panel: Panel, weights: Weights, error_weights: Weights) -> None:
    """Refuse columns and weights whose powers leave the range of 64-bit floats.

    DataError names a column, WeightsError the weights.
    """
    _check_size(panel.response, panel.y, panel)
    for i, name in enumerate(panel.names):
        _check_size(name, panel.x[:, :, i], panel)
    for role, one in (("weights", weights), ("error_weights", error_weights)):
        largest = float(one.matrix.data.max(initial=0.0))
        if largest and not SMALLEST <= largest <= LARGEST:
            raise WeightsError(
                f"The largest of the {role} is {largest:.3g}, not between {SMALLEST:g} and"
                f" {LARGEST:g}: row_standardize() them."
            )


def _check_size(name: str, values: np.ndarray, panel: Panel) -> None:
    """Refuse one column, `values`, (T, N), as `check_sizes` does."""
    high, low = float(values.max()), float(values.min())
    size = max(high, -low)
    if size == 0 or SMALLEST <= size <= LARGEST:
        return
    t, unit = np.unravel_index(
        np.argmax(values) if high >= -low else np.argmin(values), values.shape
    )
    where = ", ".join(
        few(labels[[i]])
        for labels, i in ((panel.units, unit), (panel.periods, t))
        if len(labels) > 1
    )
    what = f"reaches {size:.3g}" if size > LARGEST else f"is nowhere larger than {size:.3g}"
    raise DataError(
        f"Column {name!r} {what}, at ({where}); powers of numbers beyond {SMALLEST:g} to"
        f" {LARGEST:g} leave the range of 64-bit floats: correct the value, or change the unit."
    )
