"""What a result was made from: versions of the programs, SHA-256 of the data and of the weights.

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
    """Return the versions of the programs that results depend on, by name."""
    packages = {name: version(name) for name in PACKAGES}
    return {"spillover": spillover.__version__, **packages, "python": platform.python_version()}


def hash_panel(panel: Panel) -> str:
    """Compute the SHA-256 of the arrays and labels of a panel.

    It does not depend on the order of the table's rows, because a `Panel` is sorted.
    """
    digest = hashlib.sha256()
    for values in (panel.y, panel.x):
        digest.update(repr(values.shape).encode() + np.ascontiguousarray(values, "<f8").tobytes())
    digest.update(repr([panel.response, list(panel.names), panel.period_name]).encode())
    for labels in (panel.units, panel.periods):
        digest.update(_encode_labels(labels))
    return digest.hexdigest()


def hash_weights(weights: Weights) -> str:
    """Compute the SHA-256 of a weight matrix and the labels of its rows."""
    return hashlib.sha256(weights.digest.encode() + _encode_labels(weights.ids)).hexdigest()


def _encode_labels(labels: pd.Index) -> bytes:
    return repr([str(label) for label in labels]).encode()
