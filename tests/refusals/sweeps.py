"""Sweeps, and what is read from them."""

import numpy as np
import pandas as pd
import xarray as xr

import spillover as so
from refusals.given import ring
from spillover import DataError, SpecificationError, SpilloverError
from spillover.engine.sweeps import results
from spillover.engine.sweeps.chunk import LEVELS, SCORES, STATISTICS


def _swept() -> so.Sweep:
    """The frame of a sweep of which no member has any number."""
    dims = {"weights": ["ring"], "model": ["SAR"], "effects": ["unit"]}
    shape = (1, 1, 1)
    empty = np.full((*shape, 1, len(STATISTICS) + len(LEVELS)), np.nan)
    scores = {
        name: (tuple(dims), np.full(shape, np.nan)) for name in (*SCORES, "posterior_probability")
    }
    names = [*STATISTICS, *(f"{level:g}" for level in LEVELS)]
    impacts = dict.fromkeys(("direct", "indirect", "total"), ((*dims, "term", "statistic"), empty))
    coords = {**dims, "term": ["x1"], "statistic": names}
    return so.Sweep(
        xr.Dataset(scores, coords=dims),
        xr.Dataset(impacts, coords=coords),
        None,
        pd.DataFrame(),
        {},
    )


REFUSALS = [
    (
        "sweep weights",
        lambda g: g.sweep(weights=[g.W]),
        SpecificationError,
        "^weights is a list: give a dict of names",
    ),
    (
        "sweep one weights",
        lambda g: g.sweep(weights={"ring": ring()}),
        SpecificationError,
        r"^weights\['ring'\] is an ndarray: make it",
    ),
    (
        "sweep name",
        lambda g: g.sweep(weights={1: g.W}),
        SpecificationError,
        "weights: 1 is no name",
    ),
    ("sweep none", lambda g: g.sweep(models=[]), SpecificationError, "model is empty"),
    (
        "sweep twice",
        lambda g: g.sweep(models=["SAR", "SAR"]),
        SpecificationError,
        "model: 'SAR' is listed twice",
    ),
    (
        "sweep models",
        lambda g: g.sweep(models="SAR"),
        SpecificationError,
        r"^models='SAR': give a list, such as models=\['SAR'\]",
    ),
    (
        "sweep effects",
        lambda g: g.sweep(effects=["random"]),
        SpecificationError,
        "a sweep takes fixed effects",
    ),
    (
        "sweep controls",
        lambda g: g.sweep(controls={"a": 3}),
        SpecificationError,
        r"^controls\['a'\]=3: give a text",
    ),
    (
        "sweep window",
        lambda g: g.sweep(windows={"a": "2001"}),
        SpecificationError,
        r"windows\['a'\] is '2001': give its first and last period",
    ),
    (
        "sweep window of text",
        lambda g: g.sweep(windows={"a": ("x", "z")}),
        SpecificationError,
        "does not compare with the periods",
    ),
    (
        "sweep window empty",
        lambda g: g.sweep(windows={"a": (1990, 1991)}),
        SpecificationError,
        "No row of the data lies in the window from 1990 to 1991",
    ),
    (
        "sweep window of what",
        lambda g: g.sweep(windows={"a": (2001, 2002)}, period=None, effects=["none"]),
        SpecificationError,
        "windows need a pandas DataFrame",
    ),
    (
        "sweep draws",
        lambda g: g.sweep(draws="10"),
        SpecificationError,
        "^draws='10': give a whole number from 1 on, such as draws=10",
    ),
    (
        "sweep keep",
        lambda g: g.sweep(keep_draws=1),
        SpecificationError,
        "^keep_draws=1: give True or False",
    ),
    (
        "lags apart",
        lambda g: g.sweep(controls={"a": "", "b": "lag(x2)"}),
        SpilloverError,
        "give all of them the same longest lag",
    ),
    (
        "sweep client",
        lambda g: g.sweep(client=3),
        SpecificationError,
        "^client is an int: give a distributed.Client",
    ),
    ("open what", lambda g: so.open_sweep(3), SpecificationError, "^path=3: give a path"),
    ("study of what", lambda g: so.study(3), SpecificationError, "^config=3: give a path"),
    (
        "over text",
        lambda g: _swept().average(over="weights"),
        SpecificationError,
        "over='weights': 'weights' is not a list",
    ),
    (
        "over nothing",
        lambda g: _swept().average(over=[]),
        SpecificationError,
        r"over=\[\] names no dimension",
    ),
    (
        "no probabilities",
        lambda g: _swept().average(),
        SpecificationError,
        "These members have no posterior probabilities",
    ),
    (
        "interval",
        lambda g: _swept().conclusions(interval=(0.3, 0.33)),
        SpecificationError,
        r"interval=\(0.3, 0.33\): choose two levels among",
    ),
    (
        "by",
        lambda g: _swept().conclusions(by=["colour"]),
        SpecificationError,
        r"by=\['colour'\]: choose among weights",
    ),
    (
        "picture",
        lambda g: _swept().plot("pie"),
        SpecificationError,
        "no picture 'pie'; choose one of 'direct'",
    ),
    (
        "no picture",
        lambda g: _swept().plot("probability"),
        SpecificationError,
        "These members have no posterior probabilities",
    ),
    (
        "nothing finished",
        lambda g: results.assemble([], {}),
        DataError,
        "No member of this sweep is finished yet",
    ),
]
