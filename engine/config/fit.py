"""A fit described in a TOML file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from spillover.engine.config import wants
from spillover.engine.config.keys import Either, Key, Keys
from spillover.engine.config.toml import (
    SHARED,
    choose_output,
    load_weights,
    pick_shared,
    read_toml,
    sampler_keys,
)
from spillover.engine.config.weights import ENTRIES, check_entries, make_weights
from spillover.engine.data.tables import read_table
from spillover.engine.estimation.model import SAMPLERS, Model, Options, specify_model
from spillover.engine.weights.weights import Weights
from spillover.kernels.errors import SpecificationError
from spillover.models.spec import EFFECTS, FLAGS, RANDOM

SAMPLER = (*sampler_keys(*SAMPLERS), Key("seed", wants.SEED))
KEYS = (
    Key("data", wants.DATA, required=True),
    Key("formula", wants.NAME, required=True),
    Key("weights", Either(wants.PATH, ENTRIES), required=True),
    Key("model", wants.choice(FLAGS), required=True),
    Key("effects", wants.choice(EFFECTS + RANDOM)),
    Key("unit", wants.NAME),
    Key("period", wants.NAME),
    Key("lagged", wants.TEXTS),
    Key("main", wants.TEXT),
    Key("error_weights", wants.PATH),
    *SHARED,
    Key("output", wants.FOLDER),
    Key("sampler", Keys(SAMPLER, "a table [sampler]")),
)


@dataclass(frozen=True)
class Task:
    """A model to fit, the arguments of `Model.fit`, and the folder for the results."""

    model: Model
    sampler: dict[str, Any]
    output: Path


def read_task(path: Path, output: Path | None = None) -> Task:
    """Read a fit from a TOML file.

    Its keys are data (.csv, .parquet), formula, weights (any file that `read_weights` takes, or a
    table [weights] of names, see `make_weights`) and model. Optional are effects, unit, period,
    lagged, main (the model's own entry of [weights], where there are several), error_weights (a
    file, or a name in [weights]), standardize ("row" by default, "spectral", "none"), islands
    ("error" by default, "allow"), output, and a table [sampler] with sampler, draws, tune, chains,
    seed, target_accept.

    Parameters
    ----------
    path : Path
        The file; the paths in it are relative to its folder.
    output : Path, optional
        A folder in place of the one that the file names.

    Raises
    ------
    SpecificationError
        For a key that is unknown, missing or has a wrong value, and for an output in the file that
        is not below the file's own folder.
    """
    config = read_toml(path, KEYS)
    if isinstance(config["weights"], dict):
        check_entries(config["weights"], str(path))
    folder = choose_output(path, config, output)
    frame = read_table(path.parent / config["data"])
    main, errors = _read_weights(config, frame, path)
    options = Options(
        effects=config.get("effects", "none"),
        unit=config.get("unit"),
        period=config.get("period"),
        lagged=config.get("lagged"),
        error_weights=errors,
    )
    model = specify_model(config["model"], config["formula"], frame, main, options)
    return Task(model, config.get("sampler", {}), folder)


def _read_weights(
    config: dict[str, Any], frame: pd.DataFrame, path: Path
) -> tuple[Weights, Weights | None]:
    """The weights of the model and of its errors; None where the errors have none of their own."""
    entries, base, named = config["weights"], path.parent, config.get("error_weights")
    if isinstance(entries, str):
        if "main" in config:
            raise SpecificationError(
                f"{path}: key main names one of a table [weights], but weights is a file: leave"
                " main out."
            )
        errors = None if named is None else load_weights(base / named, config)
        return load_weights(base / entries, config), errors
    main = _choose_main(config, path)
    made = make_weights(
        base,
        entries,
        frame,
        unit=config.get("unit"),
        where=str(path),
        shared=pick_shared(config),
    )
    if named is None:
        return made[main], None
    return made[main], made[named] if named in made else load_weights(base / named, config)


def _choose_main(config: dict[str, Any], path: Path) -> str:
    """The name of the model's weights in the table [weights]."""
    names = list(config["weights"])
    if not names:
        raise SpecificationError(
            f"{path}: [weights] is empty; give the path of a file, or an entry [weights.NAME]."
        )
    if "main" not in config and len(names) > 1:
        raise SpecificationError(
            f"{path} lacks main: [weights] has {', '.join(names)}, and main says which the model"
            " has."
        )
    main: str = config.get("main", names[0])
    if main not in names:
        raise SpecificationError(
            f"{path}: key main: there are no weights {main!r}; [weights] has {', '.join(names)}."
        )
    return main
