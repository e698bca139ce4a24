"""The arrays of records."""

from typing import Any, cast

import jax
import numpy as np


def leaf(value: Any) -> jax.Array:
    """A float64 array that stays on the host until a program takes it to its device: hundreds of
    records are made and stacked for one call.

    An array even where the value is one number, which as a Python number would be weakly typed and
    compile another program.
    """
    return cast(jax.Array, np.asarray(value, float))
