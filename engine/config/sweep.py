"""A sweep described in a TOML file."""

import os
from dataclasses import MISSING, dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

from spillover.engine.config import wants
from spillover.engine.config.keys import ByName, Either, Key, Keys, check, require
from spillover.engine.config.paths import resolve_inside
from spillover.engine.config.toml import (
    SHARED,
    choose_output,
    pick_shared,
    read_toml,
    sampler_keys,
)
from spillover.engine.config.weights import ENTRIES, check_entries, make_weights
from spillover.engine.data.tables import read_table
from spillover.engine.sweeps.chunk import SAMPLERS
from spillover.kernels.errors import SpecificationError
from spillover.models.priors import FAMILIES, Priors
from spillover.models.spec import EFFECTS, FLAGS, RANDOM

# passed to `sweep` as they are
SAME = ("formula", "models", "effects", "unit", "period", "lagged", "controls", "windows")
SAMPLER = (*sampler_keys(*SAMPLERS), Key("seed", wants.SEED), Key("keep_draws", wants.TRUTH))
END = wants.Want(
    "a number, a text or a date",
    lambda value: wants.NUMBER.fits(value) or isinstance(value, str | date),
)
WINDOW = wants.Several(END, "a list, the first and last period", 2, 2)
FAMILY = Either(wants.TEXT, ByName(wants.ANYTHING, "a family, such as {family = ...}"))
MODELS = wants.Several(wants.choice(FLAGS), "a list of models", 1)
EFFECT = wants.Several(wants.choice(EFFECTS + RANDOM), "a list of effects", 1)
KEYS = (
    Key("data", wants.DATA, required=True),
    Key("formula", wants.NAME, required=True),
    Key("weights", ENTRIES, required=True),
    Key("models", MODELS, required=True),
    Key("effects", EFFECT),
    Key("unit", wants.NAME),
    Key("period", wants.NAME),
    Key("lagged", wants.TEXTS),
    Key(
        "controls",
        ByName(wants.TEXT, "a table [controls] of names and what each adds to the formula"),
    ),
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
    Key("store", wants.FOLDER),
    Key("output", wants.FOLDER),
)


@dataclass(frozen=True)
class SweepTask:
    """The arguments of `sweep`, and the folder for the results."""

    arguments: dict[str, Any]
    output: Path


def read_sweep(path: Path, output: Path | None = None, store: Path | None = None) -> SweepTask:
    """Read a sweep from a TOML file.

    It must have data (.csv, .parquet), formula, models and a table [weights] (see `make_weights`).
    It may have effects, unit, period and lagged, standardize and islands for all weights, output,
    store ("sweep.zarr" in the output by default), and other tables:

    - [controls]: by name, what each adds to the formula
    - [windows]: by name, first and last period
    - [priors.NAME]: a family for each of beta, sigma, rho, lam, such as "Flat" or
      {family = "Ridge", scale = 1.0}
    - [sampler]: sampler, draws, tune, chains, seed, target_accept, keep_draws

    Parameters
    ----------
    path : Path
        The file; the paths in it are relative to its folder.
    output, store : Path, optional
        A folder and a store in place of those that the file names.

    Raises
    ------
    SpecificationError
        For a key that is unknown, missing or has a wrong value, and for an output or a store in the
        file that is not below the file's own folder.
    """
    config = read_toml(path, KEYS)
    check_entries(config["weights"], str(path))
    priors = {
        name: _make_priors(table, str(path), ("priors", name))
        for name, table in config.get("priors", {}).items()
    }
    folder = choose_output(path, config, output)
    kept = _choose_store(config, path, folder) if store is None else store
    _check_store(kept, folder, str(path))
    arguments = {name: config[name] for name in SAME if name in config} | config.get("sampler", {})
    arguments["data"] = read_table(path.parent / config["data"])
    arguments["weights"] = make_weights(
        path.parent,
        config["weights"],
        arguments["data"],
        unit=config.get("unit"),
        where=str(path),
        shared=pick_shared(config),
    )
    arguments["store"] = kept
    if priors:
        arguments["priors"] = priors
    return SweepTask(arguments, folder)


def _choose_store(config: dict[str, Any], path: Path, output: Path) -> Path:
    """Where the sweep is kept: in the output unless the file says otherwise."""
    if "store" not in config:
        return output / "sweep.zarr"
    return resolve_inside(path, "store", config["store"], "--store")


def _check_store(store: Path, output: Path, where: str) -> None:
    """Refuse a store that is the output folder or holds it, since it would replace that folder."""
    folder = Path(os.path.realpath(output))
    if Path(os.path.realpath(store)) in (folder, *folder.parents):
        raise SpecificationError(
            f"{where}: the store {store} is the output {output} or holds it: give a store of its"
            " own."
        )


def _make_priors(table: Any, where: str, path: tuple[str, ...]) -> Priors:
    """Priors of the named families."""
    return Priors(
        **{name: _make_family(name, entry, where, (*path, name)) for name, entry in table.items()}
    )


def _make_family(name: str, entry: Any, where: str, path: tuple[str, ...]) -> Any:
    """One prior: `entry` is "Flat", or {family = "Ridge", scale = 1.0}."""
    own = {"family": entry} if isinstance(entry, str) else entry
    families = {kind.__name__: kind for kind in FAMILIES[name]}
    inner = path if isinstance(entry, str) else (*path, "family")
    if "family" not in own:
        raise SpecificationError(
            f"{where}: key {'.'.join(path)} lacks its family, one of {', '.join(families)}."
        )
    require(own["family"], wants.choice(families), where, inner)
    kind = families[own["family"]]
    parts = tuple(Key(part.name, wants.NUMBERS, part.default is MISSING) for part in fields(kind))
    check(own, (Key("family", wants.TEXT), *parts), where, path)
    return kind(**{key: _to_tuples(value) for key, value in own.items() if key != "family"})


def _to_tuples(value: Any) -> Any:
    return tuple(_to_tuples(part) for part in value) if isinstance(value, list) else value
