"""Models that several files of this folder sample."""

from collections.abc import Callable

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest

import spillover as so


@pytest.fixture(scope="session")
def informed() -> Callable[..., so.Model]:
    """A SAR under priors that are not conjugate: one coefficient ~ Student-t, sigma ~ half normal,
    rho ~ a normal cut to the interval.
    """

    def build(frame: pd.DataFrame, W: np.ndarray, df: float, scale: float) -> so.Model:
        priors = so.Priors(
            beta={"x": dist.StudentT(df, 0.2, scale)},
            sigma=dist.HalfNormal(2 * scale),
            rho=dist.Normal(-0.1, scale),
        )
        return so.SAR("y ~ 0 + x", frame, so.Weights(W), priors=priors)

    return build
