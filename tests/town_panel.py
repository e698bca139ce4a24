"""A panel of six towns in four years, and what can be wrong with it."""

import numpy as np
import pytest

import spillover as so

IDS = ["oslo", "bergen", "åre", "x4", "x5", "x6"]


YEARS = [2001, 2002, 2003, 2004]


PANEL = {"unit": "town", "period": "year"}


def asymmetric(n: int) -> np.ndarray:
    dense = np.random.default_rng(3).uniform(0.2, 1.0, (n, n)) * (1 - np.eye(n))
    dense[np.arange(n), (np.arange(n) + 2) % n] = 0.0
    return dense


W = so.Weights(asymmetric(6), IDS)


def assert_refused(error: type[Exception], words: list[str], make) -> None:
    with pytest.raises(error) as caught:
        make()
    message = str(caught.value)
    missing = [word for word in words if word not in message]
    assert not missing, (missing, message)


def without(frame, town, year):
    return frame[(frame["town"] != town) | (frame["year"] != year)]


def changed(frame, column, value, rows=(3,)):
    frame = frame.copy()
    frame[column] = frame[column].astype(object) if not isinstance(value, float) else frame[column]
    frame.loc[frame.index[list(rows)], column] = value
    return frame
