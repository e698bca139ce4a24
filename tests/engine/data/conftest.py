"""The panel of six towns, and its first year."""

import numpy as np
import pandas as pd
import pytest
from town_panel import IDS, YEARS


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    labels = pd.MultiIndex.from_product([YEARS, IDS], names=["year", "town"])
    data = pd.DataFrame(
        rng.standard_normal((24, 3)), index=labels, columns=["y", "x", "z"]
    ).reset_index()
    return data.assign(
        size=rng.uniform(1, 9, 24),
        group=np.resize(["north", "south", "south", "east", "north"], 24),
    )


@pytest.fixture
def towns(frame) -> pd.DataFrame:
    return frame[frame["year"] == 2001].drop(columns="year").set_index("town")
