"""The two pictures that only a study has: its indices over time, and estimates beside a truth."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = 3  # units named at either end of a panel


def plot_trajectories(frame: pd.DataFrame, names: list[str], *, unit: str, period: str) -> "Figure":
    """Draw the paths of columns over the periods, a panel for each column.

    Each unit is a line and the mean is a bold one; the units that are highest and lowest in the
    last period are named.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(
        1, len(names), figsize=(5.6 * len(names), 4.4), squeeze=False, layout="constrained"
    )
    for axis, name in zip(axes[0], names, strict=True):
        wide = frame.pivot(index=period, columns=unit, values=name)
        axis.plot(wide.index, wide, color="0.75", linewidth=0.8)
        axis.plot(wide.index, wide.mean(axis=1), color="C3", linewidth=2.5, label="mean")
        last = wide.iloc[-1].sort_values()
        for label in dict.fromkeys([*last.index[:NAMED], *last.index[-NAMED:]]):
            axis.plot(wide.index, wide[label], color="C0", linewidth=1.1)
        _name_ends(axis, wide.index[-1], pd.concat([last[:NAMED], last[-NAMED:]]))
        axis.set_title(name)
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, loc="upper left")
    return figure


def _name_ends(axis: "Axes", at: Any, values: pd.Series) -> None:
    """Write labels to the right of the last values, moved apart where they would touch."""
    low, high = axis.get_ylim()
    step = 0.05 * (high - low)
    place = values.to_numpy(float).copy()
    for i in range(1, len(place)):
        place[i] = max(place[i], place[i - 1] + step)
    for label, y in zip(values.index, place - max(place[-1] - high, 0.0), strict=True):
        axis.annotate(
            str(label),
            (at, y),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize="small",
            color="C0",
        )


def plot_recovery(table: pd.DataFrame) -> "Figure":
    """Draw posterior means with 95 % intervals, and the true values as crosses.

    Parameters
    ----------
    table : DataFrame
        The table "truth" of a study.
    """
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 0.36 * len(table) + 1), layout="constrained")
    height = np.arange(len(table))[::-1]
    axis.axvline(0, color="0.6", linewidth=1)
    axis.hlines(height, table["2.5 %"], table["97.5 %"], color="C0", linewidth=2)
    axis.plot(
        table["posterior mean"],
        height,
        "o",
        color="C0",
        markerfacecolor="white",
        label="posterior mean and 95 % interval",
    )
    axis.plot(
        table["truth"], height, "x", color="C3", markersize=8, markeredgewidth=2, label="truth"
    )
    axis.set_yticks(height, [name if block != "Wx" else f"W {name}" for block, name in table.index])
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
    return figure
