"""The arrays of records."""

import numpy as np

from spillover.kernels.arrays import leaf


def test_a_leaf_is_a_float64_array_of_the_host():
    for value in (1, [1, 2], np.float32(1)):
        made = leaf(value)
        assert type(made) is np.ndarray
        assert made.dtype == np.float64
    assert leaf(1).shape == ()
