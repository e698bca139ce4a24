"""Models, priors and posteriors."""

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import xarray as xr

import spillover as so
from refusals.given import IDS, ring
from spillover import (
    ConvergenceError,
    DataError,
    PriorError,
    SpecificationError,
    StorageError,
    WeightsError,
)
from spillover.models.mode_search import explore


def _posterior(draws: int = 50) -> so.Fit:
    """A few draws of rho, that no model made."""
    draws = np.random.default_rng(0).uniform(0, 0.5, (2, draws))
    return so.Fit(
        xr.DataTree.from_dict({"posterior": xr.Dataset({"rho": (("chain", "draw"), draws)})})
    )


REFUSALS = [
    # models
    (
        "sampler",
        lambda g: g.model().fit(sampler="exakt"),
        SpecificationError,
        "no sampler 'exakt'; choose one of 'nuts', 'exact': did you mean 'exact'",
    ),
    (
        "method",
        lambda g: g.model().fit_ml(method="lee-yu"),
        SpecificationError,
        "no method 'lee-yu'; choose one of 'transformed'",
    ),
    (
        "information",
        lambda g: g.model().fit_ml(information=3),
        SpecificationError,
        "no information 3; choose one of 'observed'",
    ),
    (
        "effects list",
        lambda g: g.model(effects=["twoway"]),
        SpecificationError,
        r"no effects \['twoway'\]; choose one of 'none'",
    ),
    (
        "effects none",
        lambda g: g.model(effects=None),
        SpecificationError,
        "no effects None; choose one of",
    ),
    (
        "effects near",
        lambda g: g.model(effects="two-way"),
        SpecificationError,
        "did you mean 'twoway'",
    ),
    (
        "model",
        lambda g: g.sweep(models=["SMD"]),
        SpecificationError,
        "no model 'SMD'; choose one of 'OLS'",
    ),
    (
        "weights",
        lambda g: g.model(W=ring()),
        SpecificationError,
        "^weights is an ndarray: make it one with spillover.Weights",
    ),
    (
        "error_weights",
        lambda g: g.model("SEM", error_weights=3),
        SpecificationError,
        "^error_weights is an int: make one with spillover.Weights",
    ),
    (
        "error_weights none",
        lambda g: g.model("SAR", error_weights=g.W),
        SpecificationError,
        "SAR has no spatial error",
    ),
    (
        "priors",
        lambda g: g.model(priors={"rho": 1}),
        SpecificationError,
        r"^priors is a dict: make it spillover.Priors",
    ),
    (
        "unit list",
        lambda g: g.model(unit=["unit"]),
        SpecificationError,
        r"^unit=\['unit'\]: give the name of one column, 'unit'\.$",
    ),
    (
        "period list",
        lambda g: g.model(period=["year", 3]),
        SpecificationError,
        "^period=.*give the name of one column",
    ),
    (
        "unit absent",
        lambda g: g.model(unit="state"),
        DataError,
        "unit='state' is not a column of the data",
    ),
    (
        "unit alone",
        lambda g: g.model(unit=None, effects="none"),
        SpecificationError,
        "period='year' needs unit=",
    ),
    ("no panel", lambda g: g.model(period=None), SpecificationError, "effects='unit' need a panel"),
    ("unit twice", lambda g: g.model(period="unit"), SpecificationError, "both name 'unit'"),
    (
        "copies of a label",
        lambda g: g.model(frame=pd.concat([g.frame, g.frame[["unit"]]], axis=1)),
        DataError,
        "name of more than one column",
    ),
    (
        "copies of a column",
        lambda g: g.model(frame=pd.concat([g.frame, g.frame[["x1"]]], axis=1)),
        DataError,
        "More than one column is called 'x1'",
    ),
    (
        "one period",
        lambda g: g.model(frame=g.frame[g.frame["year"] == 2001]),
        SpecificationError,
        "need at least two periods; the data have one, 2001",
    ),
    (
        "lagged text",
        lambda g: g.model(lagged="x1"),
        SpecificationError,
        r"^lagged='x1': give a list, such as lagged=\['x1'\]",
    ),
    (
        "lagged number",
        lambda g: g.model(lagged=[1]),
        SpecificationError,
        r"^lagged=\[1\]: 1 is no text",
    ),
    (
        "lagged unknown",
        lambda g: g.model(lagged=["x3"]),
        SpecificationError,
        "no regressor to lag called 'x3'; choose one of 'x1'",
    ),
    (
        "lagged of SAR",
        lambda g: g.model("SAR", lagged=["x1"]),
        SpecificationError,
        "SAR has no lagged regressors",
    ),
    ("y flat", lambda g: g.model(frame=g.edit(y=2.0)), DataError, "response 'y' is 2 everywhere"),
    (
        "y huge",
        lambda g: g.model(frame=g.edit(y=g.frame["y"] * 1e160)),
        DataError,
        r"^Column 'y' reaches .*e\+160, at \('u\d', 200\d\)",
    ),
    (
        "y tiny",
        lambda g: g.model(frame=g.edit(y=g.frame["y"] * 1e-160)),
        DataError,
        r"^Column 'y' is nowhere larger than .*e-160",
    ),
    (
        "a cell huge",
        lambda g: g.model(frame=g.edit(x1=g.frame["x1"].where(g.frame.index != 3, -1e200))),
        DataError,
        r"^Column 'x1' reaches 1e\+200, at \('u3', 2001\)",
    ),
    (
        "weights huge",
        lambda g: g.model(W=so.Weights(1e200 * ring(), IDS)),
        WeightsError,
        r"^The largest of the weights is 1e\+200",
    ),
    (
        "multiple",
        lambda g: g.model("SAR", "y ~ x1 + x2", g.edit(x2=3 * g.frame["x1"])),
        DataError,
        "^Column 'x2' is a linear combination of 'x1'",
    ),
    (
        "nearly",
        lambda g: g.model(
            "SDM", "y ~ x1 + x2", g.edit(x2=3 * g.frame["x1"] + 1e-11 * g.frame["x2"])
        ),
        DataError,
        "^Column 'x2' is a linear combination of 'x1'",
    ),
    (
        "its own lag",
        lambda g: g.model("SDM", "y ~ x1 + x2", g.edit(x2=g.frame["year"] * 1.0), effects="none"),
        DataError,
        "^Column 'W:x2' is a linear .*leave 'x2' out of lagged",
    ),
    (
        "absorbed",
        lambda g: g.model("SAR", "y ~ x1 + x2", g.edit(x2=g.frame["unit"].str[1:].astype(float))),
        DataError,
        "^Column 'x2' is absorbed by the effects",
    ),
    (
        "too many terms",
        lambda g: g.of_two(),
        DataError,
        "2 coefficients for 2 observations after the effects",
    ),
    (
        "no regressor",
        lambda g: g.model(formula="y ~ 1"),
        DataError,
        "no regressor beside the constant",
    ),
    (
        "exact and random",
        lambda g: g.model("SAR", effects="random").fit(sampler="exact"),
        SpecificationError,
        "does not take random effects",
    ),
    (
        "expected and random",
        lambda g: g.model("SAR", effects="random").fit_ml(information="expected"),
        SpecificationError,
        "With random effects the information",
    ),
    # priors
    (
        "prior of nothing",
        lambda g: so.Priors(betta=so.Ridge()),
        PriorError,
        "no parameter 'betta'.*did you mean 'beta'",
    ),
    (
        "prior text",
        lambda g: so.Priors(rho="uniform"),
        PriorError,
        "The prior of rho is 'uniform': give one of Uniform, ScaledBeta",
    ),
    (
        "prior of a term",
        lambda g: so.Priors(beta={"x1": "HalfNormal"}),
        PriorError,
        "The prior of 'x1' is 'HalfNormal': give a NumPyro distribution",
    ),
    (
        "prior of several",
        lambda g: so.Priors(sigma=dist.HalfNormal(np.ones(2))),
        PriorError,
        r"The prior of sigma has shape \(2,\)",
    ),
    (
        "prior negative",
        lambda g: so.Priors(beta=so.Ridge(-1.0)),
        PriorError,
        r"Ridge\(scale=-1.0\): its numbers must be positive",
    ),
    (
        "prior no number",
        lambda g: so.Priors(rho=so.ScaledBeta("1", 2.0)),
        PriorError,
        r"ScaledBeta\(a='1'\): its numbers must be positive",
    ),
    (
        "prior arrays",
        lambda g: so.Priors(beta=so.Conjugate((0.0, "x"), ((1.0,),))),
        PriorError,
        "Conjugate takes finite numbers only",
    ),
    (
        "prior enormous",
        lambda g: so.Priors(sigma=so.InverseGamma(2**70)),
        PriorError,
        r"at most 1e\+12",
    ),
    # posteriors
    (
        "picture of few",
        lambda g: so.plots.rank(_posterior(3)),
        SpecificationError,
        "Chains of 3 draws are too short",
    ),
    (
        "summary option",
        lambda g: _posterior().summary(colour=1),
        SpecificationError,
        "no option 'colour'; choose one of 'var_names'",
    ),
    (
        "summary value",
        lambda g: _posterior().summary(kind="some"),
        SpecificationError,
        "ArviZ makes no summary with kind='some': ",
    ),
    (
        "impacts by",
        lambda g: _posterior().impacts(by=3),
        SpecificationError,
        "There are no impacts by 3; choose one of 'unit', 'order'",
    ),
    (
        "orders",
        lambda g: _posterior().impacts(by="order", orders=-1),
        SpecificationError,
        "^orders=-1: give a whole number from 0",
    ),
    (
        "impact draws",
        lambda g: _posterior().impacts(by="unit", draws=-5),
        SpecificationError,
        "^draws=-5: give a whole number from 1 on",
    ),
    ("cache", lambda g: so.cache.keep(__file__), StorageError, "estimation.py"),
    (
        "no mass",
        lambda g: explore(lambda points: np.full(len(points), np.nan), 1),
        ConvergenceError,
        "No rho or lam has a density",
    ),
]
