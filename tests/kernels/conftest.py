"""Every test of the kernels runs in double precision, as the engine runs them."""

import jax
import pytest


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield
