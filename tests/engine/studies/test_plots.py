"""The pictures of a study: what is drawn, and that names do not touch."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from spillover.engine.studies.plots import NAMED, plot_recovery, plot_trajectories


@pytest.fixture(autouse=True)
def no_window():
    """Pictures are drawn without a window, and closed again."""
    import matplotlib.pyplot as plt

    with mpl.rc_context():
        plt.switch_backend("agg")
        yield
        plt.close("all")


def test_the_units_at_either_end_are_named_apart():
    """Ten units that end in one point."""
    names = [f"unit {i}" for i in range(10)]
    frame = pd.DataFrame(
        {"unit": np.repeat(names, 3), "year": np.tile([2000, 2001, 2002], 10), "a": 1.0, "b": 2.0}
    )
    figure = plot_trajectories(frame, ["a", "b"], unit="unit", period="year")
    assert [axis.get_title() for axis in figure.axes] == ["a", "b"]
    for axis in figure.axes:
        assert len(axis.texts) == 2 * NAMED
        heights = np.sort([text.xy[1] for text in axis.texts])
        low, high = axis.get_ylim()
        assert np.diff(heights).min() >= 0.049 * (high - low)
        assert heights[-1] <= high


def test_the_truth_is_a_cross_beside_its_interval():
    index = pd.MultiIndex.from_tuples([("Main", "x"), ("Wx", "x")])
    table = pd.DataFrame(
        {"truth": [1.0, 2.0], "posterior mean": [1.1, 1.9], "2.5 %": 0.5, "97.5 %": 2.5}, index
    )
    (axis,) = plot_recovery(table).axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["x", "W x"]
    crosses = next(line for line in axis.lines if line.get_label() == "truth")
    np.testing.assert_array_equal(crosses.get_xdata(), table["truth"])
