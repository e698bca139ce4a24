"""The arrays that records are made of."""

from typing import Any, cast

import jax
import numpy as np


def leaf(value: Any) -> jax.Array:
    """A float64 array that stays on the host until a compiled program takes it to its device.

    Hundreds of records are made and stacked for one call, which on the device would be as many
    transfers. The result is an array even where the value is one number: a Python number is weakly
    typed in JAX and would compile another program.
    """
    return cast(jax.Array, np.asarray(value, float))
