"""Towns whose values must not turn into others on their way into the package."""

import numpy as np
import pandas as pd
import pytest

import spillover as so
from spillover.engine.data.panel import read_panel

IDS = [3, 1, 2, 10, 5, 7]


DENSE = np.random.default_rng(4).uniform(0.2, 1.0, (6, 6)) * (1 - np.eye(6))


W = so.Weights(DENSE, IDS)


TOWNS = pd.DataFrame({"y": np.arange(6.0) ** 2, "z": np.cos(np.arange(6))}, index=IDS)


WHOLE = np.array([10**10, 3, 5 * 10**9, 7, 2, 4 * 10**9])


def panel(formula="y ~ x", frame=TOWNS, weights=W, unit=None, period=None, **columns):
    return read_panel(
        formula, frame.assign(**columns), weights, unit=unit, period=period, effects="none"
    )


def expect_refusal(make, *words, error=so.DataError):
    with pytest.raises(error) as caught:
        make()
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)
