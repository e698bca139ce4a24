"""A fit described in a TOML file."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spillover.engine.fit import Model, Options, specify_model
from spillover.engine.tables import read_table
from spillover.engine.weights import Weights
from spillover.engine.weights_files import read_weights
from spillover.kernels.errors import SpecificationError

REQUIRED = ("data", "formula", "weights", "model")
OPTIONAL = ("effects", "unit", "period", "lagged", "error_weights", "standardize", "islands", "output", "sampler")
SAMPLER = ("sampler", "draws", "tune", "chains", "seed", "target_accept")
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
    sampler, draws, tune, chains, seed, target_accept. SpecificationError for an unknown or missing key.
    """
    config = _parse(path)
    base = path.parent
    options = Options(
        effects=config.get("effects", "none"),
        unit=config.get("unit"),
        period=config.get("period"),
        lagged=config.get("lagged"),
        error_weights=weights_from(base / config["error_weights"], config) if "error_weights" in config else None,
    )
    weights = weights_from(base / config["weights"], config)
    model = specify_model(config["model"], config["formula"], read_table(base / config["data"]), weights, options)
    return Task(model, config.get("sampler", {}), base / config.get("output", path.stem))


def _parse(path: Path) -> dict[str, Any]:
    config = parse(path, REQUIRED, OPTIONAL)
    known(config.get("sampler", {}), SAMPLER, f"[sampler] in {path}")
    return config


def parse(path: Path, required: tuple[str, ...], optional: tuple[str, ...]) -> dict[str, Any]:
    """The keys of a TOML file. SpecificationError for a file that is none, a key unknown or missing, and an unknown `standardize`."""
    try:
        config = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SpecificationError(f"There is no file {path}.") from error
    except tomllib.TOMLDecodeError as error:
        raise SpecificationError(f"{path} is not valid TOML: {error}.") from error
    known(config, required + optional, str(path))
    missing = [name for name in required if name not in config]
    if missing:
        raise SpecificationError(f"{path} lacks {', '.join(missing)}; it needs {', '.join(required)}.")
    return config


def known(table: Any, names: tuple[str, ...], where: str) -> None:
    """SpecificationError for what is not a table, or has a key that is not among `names`."""
    if not isinstance(table, dict):
        raise SpecificationError(f"{where} is {table!r}: give a table with keys among {', '.join(names)}.")
    unknown = [name for name in table if name not in names]
    if unknown:
        raise SpecificationError(f"{where} has an unknown key {unknown[0]!r}; the keys are {', '.join(names)}.")


def weights_from(path: Path, config: dict[str, Any]) -> Weights:
    """The weights in a file, standardised as the keys `standardize` and `islands` of `config` say."""
    standard = config.get("standardize", "row")
    check_standard(standard, path.name)
    return standardized(read_weights(path, islands=config.get("islands", "error")), standard)


def check_standard(standard: Any, where: str) -> None:
    """SpecificationError for a standardisation that is none of ours."""
    if standard not in STANDARDS:
        raise SpecificationError(f"standardize = {standard!r} for {where}: choose one of {', '.join(STANDARDS)}.")


def standardized(weights: Weights, standard: str) -> Weights:
    """The weights as `standardize` says: "row", "spectral" or "none"."""
    if standard == "none":
        return weights
    return weights.row_standardize() if standard == "row" else weights.spectral_standardize()
