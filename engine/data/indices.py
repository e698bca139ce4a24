"""Composite indices of a table's columns, weighted by the entropy method."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from spillover.engine.data.columns import list_names, read_numbers
from spillover.engine.labels import few
from spillover.kernels.arguments import front_door, show
from spillover.kernels.errors import DataError, SpilloverWarning
from spillover.models import entropy

Dimensions = Mapping[str, Sequence[Any]] | None


@dataclass(frozen=True, eq=False, repr=False)
class Index:
    """A composite index and what it is made of.

    Attributes
    ----------
    index : Series
        The index in [0, 1], aligned with the frame; its name is "index".
    table : DataFrame
        One row per indicator: direction, dimension (where dimensions were given), minimum, maximum,
        entropy, divergence (1 - entropy) and weight.
    dimensions : DataFrame
        One row per dimension: weight, the sum of the weights of its indicators.
    scores : DataFrame
        One column per dimension: the weighted means of its rescaled indicators, so that::

            index = sum_d weight_d score_d

    See Also
    --------
    entropy_index : Makes it.
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
    """Make a composite index of indicators, weighted by the entropy method.

    An indicator weighs more the more it tells the observations apart::

        index_i = sum_j w_j z_ij,   w_j = (1 - e_j) / sum_j (1 - e_j)
        e_j = -sum_i p_ij ln p_ij / ln n,   p_ij = z_ij / sum_i z_ij

    z are the indicators, rescaled to [0, 1] with 1 the best, over all n rows of the frame: units
    and periods are pooled.

    Parameters
    ----------
    frame : DataFrame
        One row per observation.
    positive : sequence of str
        The columns where more is better, in any units.
    negative : sequence of str
        The columns where more is worse.
    dimensions : dict of str to list of str, optional
        The indicators of each dimension, by its name; every indicator must be in exactly one.

    Returns
    -------
    Index
        The index, the weights of the indicators, and the scores of the dimensions.

    Raises
    ------
    DataError
        For columns that are missing, named twice or not numbers, for missing or infinite values,
        for fewer than two rows, for indicators that are all constant, and for dimensions that leave
        an indicator out or share one.

    Warns
    -----
    SpilloverWarning
        For a constant indicator, which has entropy 1 and weight 0. A dimension with no other
        indicators has weight 0 and scores of 0.

    Examples
    --------
    >>> towns = pd.DataFrame(
    ...     {"income": [10.0, 30.0, 20.0], "pollution": [5.0, 1.0, 1.0]}, index=list("abc")
    ... )
    >>> wealth = entropy_index(towns, positive=["income"], negative=["pollution"])
    >>> wealth.table["weight"].round(4).to_dict()
    {'income': 0.5326, 'pollution': 0.4674}
    >>> wealth.index.round(4).to_dict()
    {'a': 0.0, 'b': 1.0, 'c': 0.7337}

    References
    ----------
    Hwang & Yoon (1981), Multiple Attribute Decision Making: the entropy method.
    """
    good, bad = list_names(positive, "positive="), list_names(negative, "negative=")
    _check_names(good, bad)
    names, directions = good + bad, np.repeat(["positive", "negative"], [len(good), len(bad)])
    dimension = _assign_dimensions(dimensions, names)
    x = _read_indicators(frame, names)
    z = entropy.rescale(x, directions == "negative")
    e = entropy.entropies(entropy.shares(z))
    w = entropy.weights(e)
    table = pd.DataFrame(
        {"direction": directions}
        | ({} if dimension is None else {"dimension": dimension})
        | {
            "minimum": x.min(axis=0),
            "maximum": x.max(axis=0),
            "entropy": e,
            "divergence": 1 - e,
            "weight": w,
        },
        index=pd.Index(names, name="indicator", tupleize_cols=False),
    )
    by_dimension, scores = _score_dimensions(dimensions, names, z, w, frame.index)
    return Index(pd.Series(z @ w, frame.index, name="index"), table, by_dimension, scores)


def _check_names(good: list[Any], bad: list[Any]) -> None:
    """Refuse an empty choice, and an indicator that is both positive and negative."""
    if not good + bad:
        raise DataError("There is no indicator: name columns in positive= or negative=.")
    both = [name for name in good if name in bad]
    if both:
        raise DataError(
            f"{few(both)} cannot be both positive and negative: say whether more is better or"
            " worse."
        )


def _assign_dimensions(dimensions: Dimensions, names: list[Any]) -> list[Any] | None:
    """Find the dimension of each indicator.

    DataError unless every indicator is in exactly one dimension, and nothing else is in any.
    """
    if dimensions is None:
        return None
    if not isinstance(dimensions, Mapping):
        raise DataError(
            f"dimensions= is {show(dimensions)}: give a dict of names and lists of columns."
        )
    home: dict[Any, Any] = {}
    for dimension, members in dimensions.items():
        for name in list_names(members, f"dimensions[{dimension!r}]"):
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


def _read_indicators(frame: pd.DataFrame, names: list[Any]) -> np.ndarray:
    """Read the indicators, (rows, indicators), complete and finite.

    Warns of constant ones; DataError if all are constant.
    """
    x = read_numbers(frame, names)
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
            stacklevel=4,  # the line that calls entropy_index
        )
    return x


def _score_dimensions(
    dimensions: Dimensions, names: list[Any], z: np.ndarray, w: np.ndarray, rows: pd.Index
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute the weights and scores of the dimensions.

    z are the rescaled indicators, and w their weights.
    """
    totals, scores = {}, {}
    for dimension, members in (dimensions or {}).items():
        inside = np.array([name in list(members) for name in names])
        totals[dimension] = w[inside].sum()
        # a dimension of weight 0 has scores of 0
        scores[dimension] = z[:, inside] @ w[inside] / (totals[dimension] or 1.0)
    labels = pd.Index(list(totals), name="dimension", tupleize_cols=False)
    by_dimension = pd.DataFrame({"weight": list(totals.values())}, index=labels, dtype=float)
    return by_dimension, pd.DataFrame(scores, index=rows, columns=labels)
