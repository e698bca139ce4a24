"""A result says from which data and weights it came: equal for equal ones, another for
any other.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from spillover.engine.data.panel import Panel
from spillover.engine.data.provenance import hash_panel, hash_weights, versions
from spillover.engine.weights.weights import Weights

PANEL = Panel(
    np.ones((2, 3)),
    np.zeros((2, 3, 1)),
    "y",
    ("x",),
    pd.Index(["a", "b", "c"]),
    pd.Index([2000, 2001]),
    "year",
)
CHANGES = {
    "y": np.ones((2, 3)) + 1e-15,
    "x": np.zeros((2, 3, 2)),
    "response": "z",
    "names": ("x2",),
    "units": pd.Index(["a", "c", "b"]),
    "periods": pd.Index([2000, 2002]),
    "period_name": "t",
}


@pytest.mark.parametrize("name", CHANGES)
def test_another_panel_has_another_digest(name):
    assert hash_panel(replace(PANEL)) == hash_panel(PANEL)
    assert hash_panel(replace(PANEL, **{name: CHANGES[name]})) != hash_panel(PANEL)


def test_another_matrix_or_other_labels_have_another_digest():
    ring = np.roll(np.eye(3), 1, axis=1)
    assert hash_weights(Weights(ring)) == hash_weights(Weights(ring))
    assert (
        len(
            {
                hash_weights(Weights(ring)),
                hash_weights(Weights(2 * ring)),
                hash_weights(Weights(ring, ["a", "b", "c"])),
            }
        )
        == 3
    )


def test_versions_are_those_installed():
    import jax

    assert versions()["jax"] == jax.__version__
