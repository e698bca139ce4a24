"""Sweeps and stores that several files of this folder look at."""

import pytest
from small_sweeps import MODELS, run_sweep, weights_of
from stored_blocks import finish


@pytest.fixture(scope="module")
def case(small):
    """A SAR with unit effects."""
    return small("SAR", "unit", "spectral", columns=2)


@pytest.fixture(scope="module")
def family(small, case):
    """Six models on W of which not every row sums to one."""
    return run_sweep(
        case,
        weights_of(small, "spectral", "islands", "sinks"),
        models=MODELS,
        effects=["unit"],
        keep_draws=True,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A store, and the numbers in it."""
    path = tmp_path_factory.mktemp("whole") / "out.zarr"
    return path, finish(path)[0]
