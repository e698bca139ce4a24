"""A fit described in a TOML file."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from spillover.engine.fit import Model, Options, specify_model
from spillover.engine.weights import Weights
from spillover.engine.weights_files import read_weights
from spillover.kernels.errors import DataError, SpecificationError

REQUIRED = ("data", "formula", "weights", "model")
OPTIONAL = ("effects", "unit", "period", "lagged", "error_weights", "standardize", "islands", "output", "sampler")
SAMPLER = ("draws", "tune", "chains", "seed", "target_accept")
STANDARDS = ("row", "spectral", "none")


@dataclass(frozen=True)
class Task:
    """A model to fit, the options of `Model.fit`, and the folder for what comes of it."""

    model: Model
    sampler: dict[str, Any]
    output: Path


def read_task(path: Path) -> Task:
    """The task in a TOML file; its paths are relative to the file's own folder.

    Keys: data (.csv, .parquet), formula, weights (any file `read_weights` takes), model; and, if wanted, effects, unit, period, lagged,
    error_weights, standardize ("row" unless said, "spectral", "none"), islands ("error", "allow"), output, and a table [sampler] with
    draws, tune, chains, seed, target_accept. SpecificationError for an unknown or missing key.
    """
    config = _parse(path)
    base = path.parent
    options = Options(
        effects=config.get("effects", "none"),
        unit=config.get("unit"),
        period=config.get("period"),
        lagged=config.get("lagged"),
        error_weights=_weights(base / config["error_weights"], config) if "error_weights" in config else None,
    )
    weights = _weights(base / config["weights"], config)
    model = specify_model(config["model"], config["formula"], _table(base / config["data"]), weights, options)
    return Task(model, config.get("sampler", {}), base / config.get("output", path.stem))


def _parse(path: Path) -> dict[str, Any]:
    try:
        config = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SpecificationError(f"There is no file {path}.") from error
    except tomllib.TOMLDecodeError as error:
        raise SpecificationError(f"{path} is not valid TOML: {error}.") from error
    _known(config, REQUIRED + OPTIONAL, str(path))
    _known(config.get("sampler", {}), SAMPLER, f"[sampler] in {path}")
    missing = [name for name in REQUIRED if name not in config]
    if missing:
        raise SpecificationError(f"{path} lacks {', '.join(missing)}; it needs {', '.join(REQUIRED)}.")
    if config.get("standardize", "row") not in STANDARDS:
        raise SpecificationError(f"standardize = {config['standardize']!r} in {path}: choose one of {', '.join(STANDARDS)}.")
    return config


def _known(table: dict[str, Any], names: tuple[str, ...], where: str) -> None:
    unknown = [name for name in table if name not in names]
    if unknown:
        raise SpecificationError(f"{where} has an unknown key {unknown[0]!r}; the keys are {', '.join(names)}.")


def _table(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise DataError(f"There is no data file {path}.")
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    if path.suffix == ".csv":
        return pd.read_csv(path)
    raise DataError(f"{path.name}: data are read from .csv and .parquet files.")


def _weights(path: Path, config: dict[str, Any]) -> Weights:
    weights = read_weights(path, islands=config.get("islands", "error"))
    standard = config.get("standardize", "row")
    if standard == "none":
        return weights
    return weights.row_standardize() if standard == "row" else weights.spectral_standardize()
