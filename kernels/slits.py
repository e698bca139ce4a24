"""The conformal map of the plane slit along (-inf, a] and [b, inf) onto an ellipse, by Jacobi's sn:
docs/mathematics.md 5, docs/numerics.md 2.
"""

from typing import NamedTuple

import numpy as np
import scipy.special as special


class SnMap(NamedTuple):
    """The logit variable s <-> x in [-1, 1]. `centre`, `half`: of the covered s; `m`, `quarter`:
    parameter, real quarter period.
    """

    centre: float
    half: float
    m: float
    quarter: float

    def to_x(self, s: np.ndarray) -> np.ndarray:
        """x = sin(pi F(z | m) / 2K), z = tanh((s - centre)/2) / tanh(half/2), F by Carlson's R_F:
        `ellipkinc` errs at isolated points.
        """
        z = np.clip(np.tanh((s - self.centre) / 2) / np.tanh(self.half / 2), -1, 1)
        return np.sin(
            np.pi / (2 * self.quarter) * z * special.elliprf(1 - z * z, 1 - self.m * z * z, 1.0)
        )

    def to_s(self, x: np.ndarray) -> np.ndarray:
        """The inverse."""
        z = special.ellipj(2 * self.quarter / np.pi * np.arcsin(x), self.m)[0]
        return self.centre + 2 * np.arctanh(np.tanh(self.half / 2) * z)


def sn_map(ends: tuple[float, float]) -> SnMap:
    """The map for the range `ends` of the logit variable."""
    half = (ends[1] - ends[0]) / 2
    m = float(np.tanh(half / 2) ** 4)
    return SnMap((ends[0] + ends[1]) / 2, half, m, float(special.ellipk(m)))
