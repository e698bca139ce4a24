"""Tables with everything that a report may meet: groups, gaps, names, and text that is markup."""

import numpy as np
import pandas as pd
import pytest

EVIL = "<script>alert('&amp;\"')</script>"


@pytest.fixture
def frames() -> dict[str, pd.DataFrame]:
    rng = np.random.default_rng(1)
    mixed = {
        "estimate": [0.1 + 0.2, -1e-300, np.inf, np.nan],
        "count": [1, -2, 10**15, 0],
        "sure": [True, False, True, True],
        "unit": ["a", "1.0", "–", EVIL],
    }
    pairs = pd.MultiIndex.from_product(
        [["SDM", "SAR"], ["direct", "indirect", "total"]], names=["model", "impact"]
    )
    years = pd.MultiIndex.from_product([["x", EVIL], [1970, 1971]], names=["variable", None])
    deep = pd.MultiIndex.from_tuples(
        [("a", 1, "p"), ("a", 1, "q"), ("a", 2, "q"), ("b", 2, "q"), ("b", 2, "q")]
    )
    return {
        "mixed": pd.DataFrame(mixed),
        "wide": pd.DataFrame(
            rng.normal(size=(3, 40)) * 10.0 ** rng.integers(-9, 9, 40),
            index=[1970.5, 2, 3],
            columns=range(40),
        ),
        "grouped": pd.DataFrame(rng.normal(size=(6, 4)), pairs, years),
        "deep": pd.DataFrame(rng.normal(size=(5, 2)), deep, ["x", "x"]),
        "named": pd.DataFrame(
            rng.normal(size=(2, 2)),
            pd.Index(["a", "b"], name="unit"),
            pd.Index([1, 2], name="year"),
        ),
        "single": pd.DataFrame(rng.normal(size=(2, 3)).astype(np.float32), ["a", "b"], list("xyz")),
    }
