"""Data far from centred, and what the priors of a model of them resolve to."""

import numpy as np
import whole_arrays

from spillover.models import prior_arrays
from spillover.models.design import INTERCEPT

TERMS = (INTERCEPT, "a", "b", "W:a")
N = 200


def data(seed=0):
    """Regressors with an intercept and y, far from centred."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, 3)) * [1.0, 20.0, 0.3] + [2.0, -5.0, 1.0]
    return np.column_stack([np.ones(N), x]), 3 + x @ [1.0, 0.1, -2.0] + rng.normal(size=N)


def scales_of(d, y, terms=TERMS):
    """Of a model without dependence, whose errors are the residuals of least squares."""
    parts = ("d",) * d.shape[1] + ("y",)
    e = y - d @ np.linalg.lstsq(d, y, rcond=None)[0]
    return prior_arrays.measure_scales(
        whole_arrays.r_factor(np.column_stack([d, y])),
        parts,
        terms,
        np.sqrt(e @ e / (len(y) - d.shape[1])),
        len(y),
    )


def resolve(priors, d=None, y=None, dependence=("rho",)):
    plain = data()
    return prior_arrays.resolve(
        priors,
        TERMS,
        scales_of(plain[0] if d is None else d, plain[1] if y is None else y),
        dependence,
    )
