"""The conformal map of the slit plane."""

import numpy as np
import pytest

from spillover.kernels import slits


@pytest.mark.parametrize("ends", [(-2.0, 4.0), (-6.9, 6.9), (0.1, 0.2), (-0.3, 2.0)])
def test_the_map_and_its_inverse(ends):
    """Jacobi's sn takes the ends to -1 and 1; one half of the range is not the image of one half
    where it is lopsided in rho alone.
    """
    sn = slits.sn_map(ends)
    np.testing.assert_allclose(sn.to_x(np.asarray(ends)), [-1, 1], rtol=1e-12)
    s = np.linspace(*ends, 401)
    x = sn.to_x(s)
    assert np.all(np.diff(x) > 0)
    np.testing.assert_allclose(sn.to_s(x), s, rtol=0, atol=1e-7 * (ends[1] - ends[0]))
    middle = s[20:-20]  # at the ends the arcsine has a root
    np.testing.assert_allclose(sn.to_s(sn.to_x(middle)), middle, rtol=0, atol=1e-12)
