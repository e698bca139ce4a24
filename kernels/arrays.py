"""The float64 arrays that a model's records hold, such as its log-determinant and its moments."""

from typing import Any, cast

import jax
import numpy as np


def leaf(value: Any) -> jax.Array:
    """Return a float64 array that stays on the host until a compiled program needs it.

    Hundreds of records may be made and stacked for one call; made on the device, each array would
    be a transfer of its own. A single number becomes an array too, because a Python number is
    weakly typed in JAX and would compile another program.
    """
    return cast(jax.Array, np.asarray(value, float))
