"""A fit described in a TOML file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spillover.engine.config.keys import (
    FOLDER,
    NAME,
    PATH,
    SEED,
    TEXT,
    TEXTS,
    Either,
    Key,
    Keys,
    choice,
)
from spillover.engine.config.paths import resolve_inside
from spillover.engine.config.toml import DATA, SHARED, read_toml, sampler_keys, weights_from
from spillover.engine.config.weights import ENTRIES, check_entries, weights_table
from spillover.engine.data.tables import read_table
from spillover.engine.estimation.model import SAMPLERS, Model, Options, specify_model
from spillover.engine.weights.weights import Weights
from spillover.kernels.errors import SpecificationError
from spillover.models.spec import EFFECTS, FLAGS, RANDOM

SAMPLER = (*sampler_keys(*SAMPLERS), Key("seed", SEED))
KEYS = (
    Key("data", DATA, required=True),
    Key("formula", NAME, required=True),
    Key("weights", Either(PATH, ENTRIES), required=True),
    Key("model", choice(FLAGS), required=True),
    Key("effects", choice(EFFECTS + RANDOM)),
    Key("unit", NAME),
    Key("period", NAME),
    Key("lagged", TEXTS),
    Key("main", TEXT),
    Key("error_weights", PATH),
    *SHARED,
    Key("output", FOLDER),
    Key("sampler", Keys(SAMPLER, "a table [sampler]")),
)


@dataclass(frozen=True)
class Task:
    """A model to fit, the options of `Model.fit`, and the folder for what comes of it."""

    model: Model
    sampler: dict[str, Any]
    output: Path


def read_task(path: Path, output: Path | None = None) -> Task:
    """The task in a TOML file; its paths are relative to the file's own folder.

    Keys: data (.csv, .parquet), formula, weights (any file `read_weights` takes, or a table
    [weights] of names as `weights_table` has it), model; and, if wanted, effects, unit, period,
    lagged, main (which of [weights] is the model's, where they are several), error_weights (a file,
    or a name in [weights]), standardize ("row" unless said, "spectral", "none"), islands ("error",
    "allow"), output, and a table [sampler] with sampler, draws, tune, chains, seed, target_accept.
    `output`: a folder in place of the file's.

    SpecificationError for a key that is unknown, missing or holds what it may not, and for an
    output of the file that is not below its own folder.
    """
    config = read_toml(path, KEYS)
    if isinstance(config["weights"], dict):
        check_entries(config["weights"], str(path))
    folder = (
        resolve_inside(path, "output", config.get("output", path.stem), "--output")
        if output is None
        else output
    )
    frame = read_table(path.parent / config["data"])
    main, errors = _weights(config, frame, path)
    options = Options(
        effects=config.get("effects", "none"),
        unit=config.get("unit"),
        period=config.get("period"),
        lagged=config.get("lagged"),
        error_weights=errors,
    )
    model = specify_model(config["model"], config["formula"], frame, main, options)
    return Task(model, config.get("sampler", {}), folder)


def _weights(config: dict[str, Any], frame: Any, path: Path) -> tuple[Weights, Weights | None]:
    """The weights of the model and of its errors, None where these have none of their own."""
    entries, base, named = config["weights"], path.parent, config.get("error_weights")
    if isinstance(entries, str):
        if "main" in config:
            raise SpecificationError(
                f"{path}: key main names one of a table [weights], but weights is a file: leave"
                " main out."
            )
        errors = None if named is None else weights_from(base / named, config)
        return weights_from(base / entries, config), errors
    chosen = _chosen(config, path)
    shared = {key.name: config[key.name] for key in SHARED if key.name in config}
    made = weights_table(
        base, entries, frame, unit=config.get("unit"), where=str(path), shared=shared
    )
    if named is None or named in made:
        return made[chosen], None if named is None else made[named]
    return made[chosen], weights_from(base / named, config)


def _chosen(config: dict[str, Any], path: Path) -> str:
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
    chosen = config.get("main", names[0])
    if chosen not in names:
        raise SpecificationError(
            f"{path}: key main: there are no weights {chosen!r}; [weights] has {', '.join(names)}."
        )
    return chosen
