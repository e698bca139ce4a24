"""The change of variable in which polynomials approximate log|I - rho W| with the fewest nodes.

With real eigenvalues, the log-determinant as a function of a complex rho is analytic off two slits
of the real line, (-inf, a] and [b, inf), where (a, b) is the admissible interval. Jacobi's elliptic
function sn maps the plane without the slits onto an ellipse around [-1, 1], in which polynomials
converge at the best possible rate: docs/mathematics.md 5, docs/numerics.md 2.1.
"""

from typing import NamedTuple

import numpy as np
import scipy.special as special


class SnMap(NamedTuple):
    """The map between a range of the logit variable s and x in [-1, 1].

        z = tanh((s - centre) / 2) / tanh(half / 2),      x = sin(pi F(z | m) / 2K)

    Attributes
    ----------
    centre, half : float
        The middle of the range of s, and half its length.
    m : float
        The parameter of the elliptic functions.
    quarter : float
        Their real quarter period K.
    """

    centre: float
    half: float
    m: float
    quarter: float

    def to_x(self, s: np.ndarray) -> np.ndarray:
        """x of the logit variable s, clipped to the range."""
        z = np.clip(np.tanh((s - self.centre) / 2) / np.tanh(self.half / 2), -1, 1)
        # F by Carlson's R_F, because SciPy's `ellipkinc` errs at isolated points
        over_z = special.elliprf(1 - z * z, 1 - self.m * z * z, 1.0)
        x: np.ndarray = np.sin(np.pi / (2 * self.quarter) * z * over_z)
        return x

    def to_s(self, x: np.ndarray) -> np.ndarray:
        """The logit variable of x."""
        z = special.ellipj(2 * self.quarter / np.pi * np.arcsin(x), self.m)[0]
        s: np.ndarray = self.centre + 2 * np.arctanh(np.tanh(self.half / 2) * z)
        return s


def sn_map(ends: tuple[float, float]) -> SnMap:
    """The map for the range `ends` of the logit variable.

    Examples
    --------
    >>> sn_map((-2.0, 4.0)).to_x(np.array([-2.0, 4.0])).round(12).tolist()
    [-1.0, 1.0]
    """
    half = (ends[1] - ends[0]) / 2
    m = float(np.tanh(half / 2) ** 4)
    return SnMap((ends[0] + ends[1]) / 2, half, m, float(special.ellipk(m)))
