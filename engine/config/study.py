"""A whole study described in a TOML file."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from spillover.engine.config import wants
from spillover.engine.config.keys import ByName, Key, Keys
from spillover.engine.config.toml import (
    SHARED,
    choose_output,
    pick_shared,
    read_toml,
    sampler_keys,
)
from spillover.engine.config.weights import (
    COORDINATES,
    ENTRIES,
    GEOMETRY,
    Material,
    check_entries,
    make_weights,
    read_places,
    read_polygons,
)
from spillover.engine.data.tables import read_table
from spillover.engine.studies.plan import ALTERNATIVES, AUTO, SWEPT, StudyPlan
from spillover.kernels.errors import SpecificationError
from spillover.models.spec import EFFECTS, FLAGS, RANDOM

MODELS = wants.Several(wants.choice(FLAGS), "a list of models")
FILL = (Key("columns", wants.TEXTS),)
INDEX = (
    Key("positive", wants.TEXTS),
    Key("negative", wants.TEXTS),
    Key("dimensions", ByName(wants.TEXTS, "a table of names and their indicators")),
)
MODEL = (
    Key("formula", wants.NAME, required=True),
    Key("weights", wants.TEXT, required=True),
    Key("name", wants.choice((AUTO, *FLAGS))),
    Key("effects", wants.choice(EFFECTS + RANDOM)),
    Key("alternatives", MODELS),
    Key("lagged", wants.TEXTS),
)
EXPLORE = (
    Key("variables", wants.TEXTS),
    Key("permutations", wants.whole(0)),
    Key("fdr", wants.INSIDE),
)
SWEEP = (Key("weights", wants.TEXTS), Key("models", MODELS), Key("draws", wants.whole(1)))
MAP = (Key("coordinates", COORDINATES), Key("geometry", GEOMETRY))
KEYS = (
    Key("data", wants.DATA, required=True),
    Key("unit", wants.NAME, required=True),
    Key("period", wants.NAME, required=True),
    Key("weights", ENTRIES, required=True),
    Key("model", Keys(MODEL, "a table [model]"), required=True),
    Key("title", wants.TEXT),
    Key("note", wants.TEXT),
    Key("output", wants.FOLDER),
    Key("seed", wants.SEED),
    Key("fill", Keys(FILL, "a table [fill]")),
    Key("indices", ByName(Keys(INDEX, "a table [indices.NAME]"), "a table [indices] of tables")),
    Key("explore", Keys(EXPLORE, "a table [explore]")),
    Key("sampler", Keys(sampler_keys(), "a table [sampler]")),
    Key("sweep", Keys(SWEEP, "a table [sweep]")),
    Key("map", Keys(MAP, "a table [map]")),
    Key("truth", ByName(wants.NUMBER, "a table [truth] of parameters and their values")),
    *SHARED,
)


def read_study(path: Path, output: Path | None = None) -> StudyPlan:
    """Read a study from a TOML file.

    It must have data (.csv, .parquet), unit, period, [weights] (see `make_weights`) and [model]. It
    may have title, note, output and seed, standardize and islands for all weights, and other
    tables. The tables and their keys:

    - [model]: formula, weights (the name of the main ones), name ("auto", the model that
      `select_model` chooses, or a model), effects ("twoway" by default), alternatives, lagged
    - [fill]: columns; without this table missing values are an error
    - [indices.NAME]: positive, negative, dimensions
    - [explore]: variables, permutations, fdr
    - [sampler]: draws, tune, chains, target_accept
    - [sweep]: weights, models, draws
    - [map]: coordinates or geometry
    - [truth]: the coefficients of simulated data

    Parameters
    ----------
    path : Path
        The file; the paths in it are relative to its folder.
    output : Path, optional
        A folder in place of the one that the file names.

    Raises
    ------
    SpecificationError
        For a key that is unknown, missing or has a wrong value, for names that do not exist, and
        for an output in the file that is not below the file's own folder.
    """
    config = read_toml(path, KEYS)
    check_entries(config["weights"], str(path))
    model = config["model"]
    _check_names(config, path)
    folder = choose_output(path, config, output)
    frame = read_table(path.parent / config["data"])
    return StudyPlan(
        title=config.get("title", path.stem),
        note=config.get("note", ""),
        frame=frame,
        unit=config["unit"],
        period=config["period"],
        formula=model["formula"],
        main=model["weights"],
        name=model.get("name", AUTO),
        effects=model.get("effects", "twoway"),
        weights=config["weights"],
        weights_of=partial(
            make_weights,
            path.parent,
            config["weights"],
            unit=config["unit"],
            where=str(path),
            shared=pick_shared(config),
        ),
        where=str(path),
        output=folder,
        seed=config.get("seed", 0),
        fill=config.get("fill"),
        indices=config.get("indices", {}),
        alternatives=tuple(model.get("alternatives", ALTERNATIVES)),
        lagged=tuple(model["lagged"]) if "lagged" in model else None,
        explore=config.get("explore", {}),
        sampler=config.get("sampler", {}),
        sweep={"models": SWEPT, **config.get("sweep", {})},
        places=_read_map(config.get("map", {}), path, frame),
        truth=config.get("truth", {}),
    )


def _check_names(config: Mapping[str, Any], path: Path) -> None:
    """Refuse weights that do not exist."""
    named = (config["model"]["weights"], *config.get("sweep", {}).get("weights", ()))
    unknown = [name for name in named if name not in config["weights"]]
    if unknown:
        raise SpecificationError(
            f"There are no weights {unknown[0]!r} in {path}; [weights] has"
            f" {', '.join(config['weights'])}."
        )


def _read_map(table: Mapping[str, Any], path: Path, frame: pd.DataFrame) -> Any:
    """Where the units are, for maps: polygons or points by unit; None unless the file says."""
    material = Material(path.parent, frame, None, str(path))
    if "geometry" in table:
        return read_polygons(table["geometry"], material)
    return read_places(table["coordinates"], material) if "coordinates" in table else None
