"""A sweep described in a TOML file."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from spillover.engine.config import SAMPLER, known, parse
from spillover.engine.tables import read_table
from spillover.engine.weights_config import SHARED, weights_table
from spillover.kernels.errors import SpecificationError
from spillover.models.priors import FAMILIES, Priors

REQUIRED = ("data", "formula", "weights", "models")
SAME = ("formula", "models", "effects", "unit", "period", "lagged", "controls", "windows")  # handed on to `sweep` as they are
OPTIONAL = (*SAME[2:], "priors", "standardize", "islands", "sampler", "store", "output")
SWEEP_SAMPLER = ("sampler", *SAMPLER, "keep_draws")


@dataclass(frozen=True)
class SweepTask:
    """The arguments of `sweep`, and the folder for what comes of it."""

    arguments: dict[str, Any]
    output: Path


def read_sweep(path: Path) -> SweepTask:
    """The sweep in a TOML file; its paths are relative to the file's own folder.

    Keys: data (.csv, .parquet), formula, a table [weights] of files and of ways to make weights (`weights_table`), models; and, if
    wanted, effects, unit, period, lagged, tables [controls] (what each adds to the formula), [windows] (first and last period) and
    [priors.NAME] with a family for each of beta, sigma, rho, lam ("Flat", or {family = "Ridge", scale = 1.0}), standardize and islands
    for all weights, output, store ("sweep.zarr" in the output unless said), and a table [sampler] with sampler, draws, tune, chains,
    seed, target_accept, keep_draws. SpecificationError for an unknown or missing key.
    """
    config = parse(path, REQUIRED, OPTIONAL)
    known(config.get("sampler", {}), SWEEP_SAMPLER, f"[sampler] in {path}")
    base = path.parent
    output = base / config.get("output", path.stem)
    arguments = {name: config[name] for name in SAME if name in config}
    arguments |= config.get("sampler", {})
    arguments["data"] = read_table(base / config["data"])
    shared = {name: config[name] for name in SHARED if name in config}
    unit, where = config.get("unit"), str(path)
    arguments["weights"] = weights_table(base, config["weights"], arguments["data"], unit=unit, where=where, shared=shared)
    arguments["store"] = base / config["store"] if "store" in config else output / "sweep.zarr"
    if "priors" in config:
        known(config["priors"], tuple(config["priors"]), f"[priors] in {path}")
        arguments["priors"] = {name: _priors(table, f"[priors.{name}] in {path}") for name, table in config["priors"].items()}
    return SweepTask(arguments, output)


def _priors(table: Any, where: str) -> Priors:
    """Priors of the named families."""
    known(table, tuple(FAMILIES), where)
    return Priors(**{name: _family(name, entry, where) for name, entry in table.items()})


def _family(name: str, entry: Any, where: str) -> Any:
    """ "Flat", or {family = "Ridge", scale = 1.0}."""
    own = {"family": entry} if isinstance(entry, str) else entry
    families = {kind.__name__: kind for kind in FAMILIES[name]}
    if not isinstance(own, dict) or own.get("family") not in families:
        raise SpecificationError(f"{name} = {entry!r} in {where}: give a family, one of {', '.join(families)}, such as {{family = ...}}.")
    kind = families[own["family"]]
    known(own, ("family", *(part.name for part in fields(kind))), f"{name} in {where}")
    return kind(**{key: _tuples(value) for key, value in own.items() if key != "family"})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value
