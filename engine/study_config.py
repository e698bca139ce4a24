"""A whole study described in a TOML file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from spillover.engine.config import known, parse
from spillover.engine.tables import read_table
from spillover.engine.weights import Weights
from spillover.engine.weights_config import Material, places, polygons, weights_table
from spillover.kernels.errors import SpecificationError
from spillover.models.spec import FLAGS

AUTO = "auto"
REQUIRED = ("data", "unit", "period", "weights", "model")
OPTIONAL = ("title", "note", "output", "seed", "fill", "indices", "explore", "sampler", "sweep", "map", "truth", "standardize", "islands")
OF_INDEX = ("positive", "negative", "dimensions")
OF_MODEL = ("formula", "weights", "name", "effects", "alternatives", "lagged")
OF_SAMPLER = ("draws", "tune", "chains", "target_accept")
OF_SWEEP = ("weights", "models", "draws")
OF_EXPLORE = ("variables", "permutations", "fdr")
ALTERNATIVES = ("OLS", "SAR", "SEM", "SDM")
SWEPT = ("SAR", "SEM", "SDM")
WHERE = ("coordinates", "geometry")


@dataclass(frozen=True, eq=False)
class StudyPlan:
    """A study: what to do with a table. `frame`: the data as they are; `indices`: the arguments of `entropy_index` by name; `weights`: by
    name, a function of the prepared data; the other fields as the keys of the file, see `read_study`."""

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
    base: Path
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
    shared: Mapping[str, Any] = field(default_factory=dict)

    def weights_of(self, frame: pd.DataFrame) -> dict[str, Weights]:
        """The weights of the file, of which some may be made from columns of the prepared data."""
        return weights_table(self.base, dict(self.weights), frame, unit=self.unit, where=self.where, shared=dict(self.shared))


def read_study(path: Path) -> StudyPlan:
    """The study in a TOML file; its paths are relative to the file's own folder.

    Keys: data (.csv, .parquet), unit, period, [weights] (see `spillover.engine.weights_config`), [model] with formula, weights (the name
    of the main ones), name ("auto", what `select_model` chooses, or a model), effects ("twoway" unless said), alternatives, lagged; and, if
    wanted, title, note, output, seed, [fill] with columns (missing values are an error without it), [indices.NAME] with positive, negative,
    dimensions, [explore] with variables, permutations, fdr, [sampler] with draws, tune, chains, target_accept, [sweep] with weights,
    models, draws, [map] with coordinates or geometry, [truth] with the coefficients of simulated data, standardize and islands for all
    weights.

    SpecificationError for an unknown or missing key, and for names that do not exist.
    """
    config = parse(path, REQUIRED, OPTIONAL)
    tables = {"fill": ("columns",), "explore": OF_EXPLORE, "sampler": OF_SAMPLER, "sweep": OF_SWEEP, "map": WHERE, "model": OF_MODEL}
    for name, keys in tables.items():
        known(config.get(name, {}), keys, f"[{name}] in {path}")
    model = config["model"]
    for key in ("formula", "weights"):
        if key not in model:
            raise SpecificationError(f"[model] in {path} lacks {key}.")
    _check_names(config, path)
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
        base=path.parent,
        where=str(path),
        output=path.parent / config.get("output", path.stem),
        seed=config.get("seed", 0),
        fill=config.get("fill"),
        indices=_indices(config.get("indices", {}), path),
        alternatives=tuple(model.get("alternatives", ALTERNATIVES)),
        lagged=tuple(model["lagged"]) if "lagged" in model else None,
        explore=config.get("explore", {}),
        sampler=config.get("sampler", {}),
        sweep={"models": SWEPT, **config.get("sweep", {})},
        places=_places(config.get("map", {}), path, frame),
        truth=config.get("truth", {}),
        shared={name: config[name] for name in ("standardize", "islands") if name in config},
    )


def _check_names(config: Mapping[str, Any], path: Path) -> None:
    """Refuse models and weights that do not exist, and a table where a table is wanted."""
    model, sweep = config["model"], config.get("sweep", {})
    names = [*model.get("alternatives", ()), *sweep.get("models", ()), *([] if model.get("name", AUTO) == AUTO else [model["name"]])]
    wrong = [name for name in names if name not in FLAGS]
    if wrong:
        raise SpecificationError(f"There is no model {wrong[0]!r} for {path}; choose among {', '.join(FLAGS)}; name may be {AUTO!r}.")
    if not isinstance(config["weights"], dict):
        raise SpecificationError(f"weights = {config['weights']!r} in {path}: give a table [weights] of names and files.")
    unknown = [name for name in (model["weights"], *sweep.get("weights", ())) if name not in config["weights"]]
    if unknown:
        raise SpecificationError(f"There are no weights {unknown[0]!r} in {path}; [weights] has {', '.join(config['weights'])}.")


def _indices(tables: Any, path: Path) -> dict[str, Mapping[str, Any]]:
    known(tables, tuple(tables) if isinstance(tables, dict) else (), f"[indices] in {path}")
    for name, table in tables.items():
        known(table, OF_INDEX, f"[indices.{name}] in {path}")
    return dict(tables)


def _places(table: Mapping[str, Any], path: Path, frame: pd.DataFrame) -> Any:
    """Where the units are, for maps: polygons or points by unit; None where the file does not say."""
    material = Material(path.parent, frame, None, str(path))
    for key, parts in (("geometry", ("file", "unit")), ("coordinates", ("file", "unit", "x", "y"))):
        if key in table:
            known(table[key], parts, f"{key} of [map] in {path}")
            return polygons(table[key], material) if key == "geometry" else places(table[key], material)
    return None
