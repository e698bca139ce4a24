"""A sweep described in a TOML file."""

import os
from dataclasses import MISSING, dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

from spillover.engine.config.keys import (
    FOLDER,
    NAME,
    NUMBER,
    SEED,
    TEXT,
    TEXTS,
    TRUTH,
    ByName,
    Either,
    Key,
    Keys,
    Several,
    Want,
    check,
    choice,
    require,
)
from spillover.engine.config.paths import resolve_inside
from spillover.engine.config.toml import DATA, SHARED, read_toml, sampler_keys
from spillover.engine.config.weights import ENTRIES, check_entries, weights_table
from spillover.engine.data.tables import read_table
from spillover.engine.sweeps.chunk import SAMPLERS
from spillover.kernels.errors import SpecificationError
from spillover.models.priors import FAMILIES, Priors
from spillover.models.spec import EFFECTS, FLAGS, RANDOM

# handed on to `sweep` as they are
SAME = (
    "formula",
    "models",
    "effects",
    "unit",
    "period",
    "lagged",
    "controls",
    "windows",
)
SAMPLER = (*sampler_keys(*SAMPLERS), Key("seed", SEED), Key("keep_draws", TRUTH))
END = Want(
    "a number, a text or a date", lambda value: NUMBER.fits(value) or isinstance(value, str | date)
)
WINDOW = Several(END, "a list, the first and last period", 2, 2)
FAMILY = Either(TEXT, ByName(Want("", lambda _: True), "a family, such as {family = ...}"))
MODELS = Several(choice(FLAGS), "a list of models", 1)
EFFECT = Several(choice(EFFECTS + RANDOM), "a list of effects", 1)
KEYS = (
    Key("data", DATA, required=True),
    Key("formula", NAME, required=True),
    Key("weights", ENTRIES, required=True),
    Key("models", MODELS, required=True),
    Key("effects", EFFECT),
    Key("unit", NAME),
    Key("period", NAME),
    Key("lagged", TEXTS),
    Key("controls", ByName(TEXT, "a table [controls] of names and what each adds to the formula")),
    Key("windows", ByName(WINDOW, "a table [windows] of names and their first and last period")),
    Key(
        "priors",
        ByName(
            Keys(tuple(Key(name, FAMILY) for name in FAMILIES), "a table of families"),
            "a table [priors.NAME]",
        ),
    ),
    *SHARED,
    Key("sampler", Keys(SAMPLER, "a table [sampler]")),
    Key("store", FOLDER),
    Key("output", FOLDER),
)


@dataclass(frozen=True)
class SweepTask:
    """The arguments of `sweep`, and the folder for what comes of it."""

    arguments: dict[str, Any]
    output: Path


def read_sweep(path: Path, output: Path | None = None, store: Path | None = None) -> SweepTask:
    """The sweep in a TOML file; its paths are relative to the file's own folder.

    Keys: data (.csv, .parquet), formula, a table [weights] of files and of ways to make weights
    (`weights_table`), models; and, if wanted, effects, unit, period, lagged, tables [controls]
    (what each adds to the formula), [windows] (first and last period) and [priors.NAME] with a
    family for each of beta, sigma, rho, lam ("Flat", or {family = "Ridge", scale = 1.0}),
    standardize and islands for all weights, output, store ("sweep.zarr" in the output unless said),
    and a table [sampler] with sampler, draws, tune, chains, seed, target_accept, keep_draws.
    `output`, `store`: paths in place of the file's.

    SpecificationError for a key that is unknown, missing or holds what it may not, and for an
    output or store of the file that is not below its own folder.
    """
    config = read_toml(path, KEYS)
    base, where = path.parent, str(path)
    check_entries(config["weights"], where)
    priors = {
        name: _priors(table, where, ("priors", name))
        for name, table in config.get("priors", {}).items()
    }
    folder = (
        resolve_inside(path, "output", config.get("output", path.stem), "--output")
        if output is None
        else output
    )
    kept = _store(config, path, folder) if store is None else store
    if Path(os.path.realpath(kept)) in (whole := Path(os.path.realpath(folder)), *whole.parents):
        raise SpecificationError(
            f"{where}: the store {kept} is the output {folder} or holds it: give a store of its"
            " own."
        )
    arguments = {name: config[name] for name in SAME if name in config} | config.get("sampler", {})
    arguments["data"] = read_table(base / config["data"])
    shared = {key.name: config[key.name] for key in SHARED if key.name in config}
    made = weights_table(
        base,
        config["weights"],
        arguments["data"],
        unit=config.get("unit"),
        where=where,
        shared=shared,
    )
    arguments |= {"weights": made, "store": kept}
    if priors:
        arguments["priors"] = priors
    return SweepTask(arguments, folder)


def _store(config: dict[str, Any], path: Path, output: Path) -> Path:
    """Where the sweep is kept: in the output unless the file says otherwise."""
    return (
        resolve_inside(path, "store", config["store"], "--store")
        if "store" in config
        else output / "sweep.zarr"
    )


def _priors(table: Any, where: str, path: tuple[str, ...]) -> Priors:
    """Priors of the named families."""
    return Priors(
        **{name: _family(name, entry, where, (*path, name)) for name, entry in table.items()}
    )


def _family(name: str, entry: Any, where: str, path: tuple[str, ...]) -> Any:
    """ "Flat", or {family = "Ridge", scale = 1.0}."""
    own = {"family": entry} if isinstance(entry, str) else entry
    families = {kind.__name__: kind for kind in FAMILIES[name]}
    inner = path if isinstance(entry, str) else (*path, "family")
    if "family" not in own:
        raise SpecificationError(
            f"{where}: key {'.'.join(path)} lacks its family, one of {', '.join(families)}."
        )
    require(own["family"], choice(families), where, inner)
    kind = families[own["family"]]
    parts = tuple(Key(part.name, NUMBERS, part.default is MISSING) for part in fields(kind))
    check(own, (Key("family", TEXT), *parts), where, path)
    return kind(**{key: _tuples(value) for key, value in own.items() if key != "family"})


def _numbers(value: Any) -> bool:
    """A number, a list of numbers, or a list of such lists."""
    rows = value if isinstance(value, list) else [value]
    return all(
        NUMBER.fits(part) for row in rows for part in (row if isinstance(row, list) else [row])
    )


NUMBERS = Want("a number, or a list or a list of lists of numbers", _numbers)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value
