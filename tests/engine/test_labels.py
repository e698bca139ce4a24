"""Labels as users give them, matched to the units."""

import numpy as np
import pandas as pd
import pytest

from spillover.engine.labels import align

LABELS = ["oslo", "bergen", "åre", "x4", "x5", "x6", "x7"]


@pytest.mark.parametrize("seed", range(3))
def test_align_undoes_any_permutation(seed):
    ids = pd.Index(LABELS)
    shuffled = np.random.default_rng(seed).permutation(LABELS)
    np.testing.assert_array_equal(shuffled[align(ids, shuffled)], LABELS)
