"""Composite indices of a table's columns, weighted by the entropy method."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from spillover.engine.data.interpolation import as_names, numbers
from spillover.engine.labels import few
from spillover.kernels.arguments import front_door, show
from spillover.kernels.errors import DataError, SpilloverWarning
from spillover.models import entropy

Dimensions = Mapping[str, Sequence[Any]] | None


@dataclass(frozen=True, eq=False, repr=False)
class Index:
    """A composite index and where it comes from.

    `index`: a Series "index" in [0, 1], aligned with the frame; `table`: a row an indicator:
    direction, dimension (if any were given), minimum, maximum, entropy, divergence (1 - entropy),
    weight; `dimensions`: a row a dimension: weight, the sum of its indicators' weights; `scores`:
    (rows, dimensions), the weighted means of the rescaled indicators, so that index = sum_d
    weight_d score_d.
    """

    index: pd.Series
    table: pd.DataFrame
    dimensions: pd.DataFrame
    scores: pd.DataFrame

    def __repr__(self) -> str:
        return (
            f"Entropy index of {len(self.table)} indicators over {len(self.index)}"
            f" observations\n{self.table.to_string()}"
        )


@front_door
def entropy_index(
    frame: pd.DataFrame,
    *,
    positive: Sequence[Any] = (),
    negative: Sequence[Any] = (),
    dimensions: Dimensions = None,
) -> Index:
    """The composite index whose indicators weigh by how much they tell the observations apart
    (entropy method).

    index_i = sum_j w_j z_ij,   w_j = (1 - e_j) / sum_j (1 - e_j),   e_j = -sum_i p_ij ln p_ij / ln
    n,   p_ij = z_ij / sum_i z_ij

    with z the indicators rescaled to [0, 1] over all rows of the frame, units and periods pooled: 1
    is best.

    `positive`, `negative`: columns of which more is better, or worse, in any units; `dimensions`:
    names of dimensions and the list of indicators of each, every indicator in exactly one. A
    constant indicator has weight 0, entropy 1 and a SpilloverWarning; a dimension of such
    indicators alone has weight and scores 0.

    Raises DataError for columns that are missing, named twice or not numbers, for missing or
    infinite values, for fewer than two rows, for indicators that are all constant, and for
    dimensions that leave one out or share one.

    >>> towns = pd.DataFrame(
    ...     {"income": [10.0, 30.0, 20.0], "pollution": [5.0, 1.0, 1.0]}, index=list("abc")
    ... )
    >>> found = entropy_index(towns, positive=["income"], negative=["pollution"])
    >>> found.table["weight"].round(4).to_dict()
    {'income': 0.5326, 'pollution': 0.4674}
    >>> found.index.round(4).to_dict()
    {'a': 0.0, 'b': 1.0, 'c': 0.7337}

    Source: Hwang & Yoon (1981), Multiple Attribute Decision Making, the entropy method.
    """
    good, bad = as_names(positive, "positive="), as_names(negative, "negative=")
    _check_names(good, bad)
    names, directions = good + bad, np.repeat(["positive", "negative"], [len(good), len(bad)])
    group = _grouped(dimensions, names)
    x = _values(frame, names)
    z = entropy.rescale(x, directions == "negative")
    e = entropy.entropies(entropy.shares(z))
    w = entropy.weights(e)
    columns = {"direction": directions} | ({} if group is None else {"dimension": group})
    measures = {
        "minimum": x.min(axis=0),
        "maximum": x.max(axis=0),
        "entropy": e,
        "divergence": 1 - e,
        "weight": w,
    }
    table = pd.DataFrame(
        columns | measures, index=pd.Index(names, name="indicator", tupleize_cols=False)
    )
    return Index(
        pd.Series(z @ w, frame.index, name="index"),
        table,
        *_by_dimension(dimensions, names, z, w, frame.index),
    )


def _check_names(good: list, bad: list) -> None:
    if not good + bad:
        raise DataError("There is no indicator: name columns in positive= or negative=.")
    both = [name for name in good if name in bad]
    if both:
        raise DataError(
            f"{few(both)} cannot be both positive and negative: say whether more is better or"
            " worse."
        )


def _grouped(dimensions: Dimensions, names: list) -> list | None:
    """The dimension of each indicator; DataError unless every one has exactly one and nothing else
    has any.
    """
    if dimensions is None:
        return None
    if not isinstance(dimensions, Mapping):
        raise DataError(
            f"dimensions= is {show(dimensions)}: give a dict of names and lists of columns."
        )
    home: dict = {}
    for dimension, members in dimensions.items():
        for name in as_names(members, f"dimensions[{dimension!r}]"):
            if name not in names:
                raise DataError(
                    f"{name!r} in the dimension {dimension!r} is no indicator: add it to positive="
                    " or negative=."
                )
            if name in home:
                raise DataError(
                    f"{name!r} is in the dimensions {home[name]!r} and {dimension!r}: keep it in"
                    " one."
                )
            home[name] = dimension
        if not len(members):
            raise DataError(
                f"The dimension {dimension!r} has no indicator: leave it out, or name some."
            )
    left = [name for name in names if name not in home]
    if left:
        raise DataError(
            f"{few(left)} belong to no dimension: put each indicator in one of"
            f" {few(list(dimensions))}."
        )
    return [home[name] for name in names]


def _values(frame: pd.DataFrame, names: list) -> np.ndarray:
    """The indicators, (rows, indicators), complete, finite and not all constant; warns of those
    that are.
    """
    x = numbers(frame, names)
    if len(x) < 2:
        raise DataError(
            f"The entropy of {len(x)} observations says nothing: give at least two rows."
        )
    for bad, what, way_out in (
        (
            np.isnan(x),
            "missing",
            "Fill it in, with interpolate_panel for example, or drop those rows",
        ),
        (np.isinf(x), "infinite", "Replace it"),
    ):
        if bad.any():
            j = int(np.argmax(bad.any(axis=0)))
            rows = frame.index[bad[:, j]]
            raise DataError(
                f"Indicator {names[j]!r} is {what} in {len(rows)} rows ({few(rows)}). {way_out}."
            )
    flat = [name for name, yes in zip(names, entropy.is_constant(x), strict=True) if yes]
    if len(flat) == len(names):
        raise DataError(
            f"Every indicator is constant ({few(flat)}), so none tells the observations apart: give"
            " one that varies."
        )
    if flat:
        warnings.warn(
            f"Constant, so of weight 0: {few(flat)}. Leave it out, or check the column.",
            SpilloverWarning,
            stacklevel=4,
        )
    return x


def _by_dimension(
    dimensions: Dimensions, names: list, z: np.ndarray, w: np.ndarray, rows: pd.Index
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The weights and the scores of the dimensions."""
    weights, scores = {}, {}
    for dimension, members in (dimensions or {}).items():
        inside = np.array([name in list(members) for name in names])
        weights[dimension] = w[inside].sum()
        # a weight of 0 has scores of 0
        scores[dimension] = z[:, inside] @ w[inside] / (weights[dimension] or 1.0)
    labels = pd.Index(list(weights), name="dimension", tupleize_cols=False)
    return pd.DataFrame(
        {"weight": list(weights.values())}, index=labels, dtype=float
    ), pd.DataFrame(scores, index=rows, columns=labels)
