"""Strict JAX for the whole suite: no silent broadcasting of ranks, and the stored reference data."""

import json
from pathlib import Path

import jax
import pandas as pd
import pytest

import spillover as so

REFERENCE = Path(__file__).parent / "oracles" / "reference"

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_cpu_enable_async_dispatch", False)  # each result is there before the next line: a failure shows where it arose


@pytest.fixture(autouse=True, scope="module")
def compiled_programs():
    """Programs compiled for one file are let go after it: kept to the end they take six gigabytes."""
    yield
    jax.clear_caches()


@pytest.fixture(scope="session")
def columbus() -> tuple[pd.DataFrame, so.Weights]:
    """Crime in 49 neighbourhoods of Columbus, Ohio, with row-standardised contiguity."""
    edges = pd.read_csv(REFERENCE / "columbus_weights.csv")
    frame = pd.read_csv(REFERENCE / "columbus.csv")
    return frame, so.Weights.from_edges(edges, *edges.columns[:2]).row_standardize()


@pytest.fixture(scope="session")
def munnell() -> tuple[pd.DataFrame, so.Weights]:
    """The packaged panel, with row-standardised contiguity."""
    frame, weights = so.munnell()
    return frame, weights.row_standardize()


@pytest.fixture(scope="session")
def reference():
    """The stored results of a file in tests/oracles/reference, by its name without .json."""
    return lambda name: json.loads((REFERENCE / f"{name}.json").read_text())
