"""A whole study described in a TOML file."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from spillover.engine.config.keys import (
    FOLDER,
    INSIDE,
    NAME,
    NUMBER,
    SEED,
    TEXT,
    TEXTS,
    ByName,
    Key,
    Keys,
    Several,
    choice,
    whole,
)
from spillover.engine.config.paths import resolve_inside
from spillover.engine.config.toml import DATA, SHARED, read_toml, sampler_keys
from spillover.engine.config.weights import (
    COORDINATES,
    ENTRIES,
    GEOMETRY,
    Material,
    check_entries,
    places,
    polygons,
    weights_table,
)
from spillover.engine.data.tables import read_table
from spillover.engine.studies.plan import ALTERNATIVES, AUTO, SWEPT, StudyPlan
from spillover.kernels.errors import SpecificationError
from spillover.models.spec import EFFECTS, FLAGS, RANDOM

MODELS = Several(choice(FLAGS), "a list of models")
FILL = (Key("columns", TEXTS),)
INDEX = (
    Key("positive", TEXTS),
    Key("negative", TEXTS),
    Key("dimensions", ByName(TEXTS, "a table of names and their indicators")),
)
MODEL = (
    Key("formula", NAME, required=True),
    Key("weights", TEXT, required=True),
    Key("name", choice((AUTO, *FLAGS))),
    Key("effects", choice(EFFECTS + RANDOM)),
    Key("alternatives", MODELS),
    Key("lagged", TEXTS),
)
KEYS = (
    Key("data", DATA, required=True),
    Key("unit", NAME, required=True),
    Key("period", NAME, required=True),
    Key("weights", ENTRIES, required=True),
    Key("model", Keys(MODEL, "a table [model]"), required=True),
    Key("title", TEXT),
    Key("note", TEXT),
    Key("output", FOLDER),
    Key("seed", SEED),
    Key("fill", Keys(FILL, "a table [fill]")),
    Key("indices", ByName(Keys(INDEX, "a table [indices.NAME]"), "a table [indices] of tables")),
    Key(
        "explore",
        Keys(
            (Key("variables", TEXTS), Key("permutations", whole(0)), Key("fdr", INSIDE)),
            "a table [explore]",
        ),
    ),
    Key("sampler", Keys(sampler_keys(), "a table [sampler]")),
    Key(
        "sweep",
        Keys(
            (Key("weights", TEXTS), Key("models", MODELS), Key("draws", whole(1))),
            "a table [sweep]",
        ),
    ),
    Key("map", Keys((Key("coordinates", COORDINATES), Key("geometry", GEOMETRY)), "a table [map]")),
    Key("truth", ByName(NUMBER, "a table [truth] of parameters and their values")),
    *SHARED,
)


def read_study(path: Path, output: Path | None = None) -> StudyPlan:
    """The study in a TOML file; its paths are relative to the file's own folder.

    Keys: data (.csv, .parquet), unit, period, [weights] (see `spillover.engine.config.weights`),
    [model] with formula, weights (the name of the main ones), name ("auto", what `select_model`
    chooses, or a model), effects ("twoway" unless said), alternatives, lagged; and, if wanted,
    title, note, output, seed, [fill] with columns (missing values are an error without it),
    [indices.NAME] with positive, negative, dimensions, [explore] with variables, permutations, fdr,
    [sampler] with draws, tune, chains, target_accept, [sweep] with weights, models, draws, [map]
    with coordinates or geometry, [truth] with the coefficients of simulated data, standardize and
    islands for all weights.

    `output`: a folder in place of the file's.

    SpecificationError for a key that is unknown, missing or holds what it may not, for names that
    do not exist, and for an output of the file that is not below its own folder.
    """
    config = read_toml(path, KEYS)
    check_entries(config["weights"], str(path))
    model = config["model"]
    _check_names(config, path)
    folder = (
        resolve_inside(path, "output", config.get("output", path.stem), "--output")
        if output is None
        else output
    )
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
            weights_table,
            path.parent,
            config["weights"],
            unit=config["unit"],
            where=str(path),
            shared={key.name: config[key.name] for key in SHARED if key.name in config},
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
        places=_places(config.get("map", {}), path, frame),
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


def _places(table: Mapping[str, Any], path: Path, frame: pd.DataFrame) -> Any:
    """Where the units are, for maps: polygons or points by unit; None where the file
    does not say.
    """
    material = Material(path.parent, frame, None, str(path))
    if "geometry" in table:
        return polygons(table["geometry"], material)
    return places(table["coordinates"], material) if "coordinates" in table else None
