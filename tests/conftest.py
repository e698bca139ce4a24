"""Strict JAX for the whole suite: no silent broadcasting of ranks, and the stored reference data."""

import json
import os
import shutil
import tempfile
from pathlib import Path

import jax
import pandas as pd
import pytest

import spillover as so

REFERENCE = Path(__file__).parent / "oracles" / "reference"

PROGRAMS = "SPILLOVER_TEST_PROGRAMS"  # the folder, made for this run, in which its processes share what they have compiled

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_cpu_enable_async_dispatch", False)  # each result is there before the next line: a failure shows where it arose


def pytest_configure(config):
    """One folder of compiled programs for all processes of this run: most of its time went into compiling the same samplers again."""
    if not hasattr(config, "workerinput"):
        os.environ[PROGRAMS] = tempfile.mkdtemp(prefix="spillover-programs-")
    jax.config.update("jax_compilation_cache_dir", os.environ[PROGRAMS])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(PROGRAMS), ignore_errors=True)


@pytest.fixture(autouse=True, scope="module")
def compiled_programs():
    """Programs compiled for one file are let go from memory after it: kept to the end they take six gigabytes."""
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
