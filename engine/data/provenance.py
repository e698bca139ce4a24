"""What made a result: the versions of the programs, and the SHA-256 of the data and of the weights.

>>> sorted(versions())
['jax', 'numpyro', 'python', 'spillover']
"""

import hashlib
import platform
from importlib.metadata import version

import numpy as np
import pandas as pd

import spillover
from spillover.engine.data.panel import Panel
from spillover.engine.weights.weights import Weights

PACKAGES = ("jax", "numpyro")


def versions() -> dict[str, str]:
    """The versions that results depend on, by name."""
    others = {name: version(name) for name in PACKAGES}
    return {"spillover": spillover.__version__, **others, "python": platform.python_version()}


def of_panel(panel: Panel) -> str:
    """The SHA-256 of a panel's y and X with their labels: equal for equal data, whatever the order
    of the rows of their table.
    """
    found = hashlib.sha256()
    for values in (panel.y, panel.x):
        found.update(repr(values.shape).encode() + np.ascontiguousarray(values, "<f8").tobytes())
    found.update(repr([panel.response, list(panel.names), panel.period_name]).encode())
    for labels in (panel.units, panel.periods):
        found.update(_labels(labels))
    return found.hexdigest()


def of_weights(weights: Weights) -> str:
    """The SHA-256 of a matrix and the labels of its rows."""
    return hashlib.sha256(weights.digest.encode() + _labels(weights.ids)).hexdigest()


def _labels(labels: pd.Index) -> bytes:
    return repr([str(label) for label in labels]).encode()
