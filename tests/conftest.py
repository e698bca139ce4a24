"""Strict JAX for the whole suite: no silent broadcasting of ranks, and the stored
reference data.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

import jax
import jaxlib
import pandas as pd
import pytest
from covering import among

import spillover as so

REFERENCE = Path(__file__).parent / "oracles" / "reference"

# Compiling is most of this suite's time: programs are compiled without optimisation, each by one
# thread, for the processes of a run share the cores between them.
FLAGS = ["--xla_cpu_parallel_codegen_split_count=1", "--xla_backend_optimization_level=0"]
# later versions have no other emitters, and do not start when told to leave these
if jaxlib.__version__.startswith("0.10."):
    FLAGS.append("--xla_cpu_use_fusion_emitters=false")

# the folder, made for this run, in which its processes share what they have compiled
PROGRAMS = "SPILLOVER_TEST_PROGRAMS"

# read with the first computation, so later than the imports
os.environ["XLA_FLAGS"] = " ".join([*FLAGS, os.environ.get("XLA_FLAGS", "")])
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read by the processes that this one starts

jax.config.update("jax_numpy_rank_promotion", "raise")
# each result is there before the next line: a failure shows where it arose
jax.config.update("jax_cpu_enable_async_dispatch", False)


def pytest_configure(config):
    """One folder of compiled programs for all processes of this run: most of its time went into
    compiling the same samplers again.
    """
    if not hasattr(config, "workerinput"):
        os.environ[PROGRAMS] = tempfile.mkdtemp(prefix="spillover-programs-")
    # nothing is left in the repository
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(Path(os.environ[PROGRAMS]) / "hypothesis")
    jax.config.update("jax_compilation_cache_dir", os.environ[PROGRAMS])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(PROGRAMS), ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Of a test marked `cover` make test runs a covering of its table, cover(name=[...]) among
    these values only; make verify the rest.
    """
    if any("::" in argument for argument in config.args):
        return  # tests asked for by name
    tables: dict = {}
    for item in items:
        if item.get_closest_marker("cover"):
            tables.setdefault((item.path, item.originalname), []).append(item)
    for table in tables.values():
        kept = among(
            [item.callspec.params for item in table], table[0].get_closest_marker("cover").kwargs
        )
        for i, item in enumerate(table):
            if i not in kept:
                item.add_marker("verify")


@pytest.fixture(autouse=True, scope="module")
def compiled_programs():
    """Programs compiled for one file are let go from memory after it: kept to the end they take six
    gigabytes.
    """
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
