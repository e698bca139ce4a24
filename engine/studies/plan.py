"""The plan of a study: its data, and what is to be done with them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from spillover.engine.weights.weights import Weights

AUTO = "auto"  # as the name of the model: the one that `select_model` chooses
ALTERNATIVES = ("OLS", "SAR", "SEM", "SDM")  # fitted by maximum likelihood for comparison
SWEPT = ("SAR", "SEM", "SDM")  # fitted under every W


@dataclass(frozen=True, eq=False)
class StudyPlan:
    """A study of one panel: its data, its model, and what is reported beside it.

    `spillover.engine.config.study.read_study` makes it from a TOML file.

    Attributes
    ----------
    title, note : str
        Heading of the report, and the paragraph under it.
    frame : DataFrame
        The data as they were read, before gaps are filled and indices added.
    unit, period : str
        The columns that name the unit and the period of a row.
    formula : str
        Formula of the model.
    main : str
        Name of the main weights among `weights`.
    name : str
        The reported model, such as "SDM", or "auto": the one that `select_model` chooses.
    effects : str
        Fixed or random effects of every model.
    weights : mapping of str to str or dict
        By name, what the weights are made from, as the report describes it.
    weights_of : callable
        Makes the weights, by name, from the prepared data: a DataFrame in, a dict of `Weights` out.
    where : str
        Where the study is described, for error messages: the name of the TOML file.
    output : Path
        The folder that the report is written to.
    seed : int
        Seed of all random numbers.
    fill : mapping, optional
        Further arguments of `interpolate_panel`. None: missing values are an error.
    indices : mapping of str to mapping
        By name of the composite index, the arguments of `entropy_index`.
    alternatives : tuple of str
        Models fitted by maximum likelihood for comparison.
    lagged : tuple of str, optional
        The regressors with a spatial lag; None: all.
    explore, sampler, sweep : mapping
        Options for Moran's I, for the sampler and for the sweep over weights.
    places : GeoDataFrame or DataFrame, optional
        Polygons or coordinates by unit, for maps.
    truth : mapping of str to float
        True values of the parameters, where the data are simulated.
    """

    title: str
    note: str
    frame: pd.DataFrame
    unit: str
    period: str
    formula: str
    main: str
    name: str
    effects: str
    weights: Mapping[str, Any]
    weights_of: Callable[[pd.DataFrame], dict[str, Weights]]
    where: str
    output: Path
    seed: int = 0
    fill: Mapping[str, Any] | None = None
    indices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    alternatives: tuple[str, ...] = ALTERNATIVES
    lagged: tuple[str, ...] | None = None
    explore: Mapping[str, Any] = field(default_factory=dict)
    sampler: Mapping[str, Any] = field(default_factory=dict)
    sweep: Mapping[str, Any] = field(default_factory=dict)
    places: Any = None
    truth: Mapping[str, float] = field(default_factory=dict)
