"""What the TOML files of fits, sweeps and studies share: reading, weights, sampler, output."""

import re
import stat
import tomllib
from pathlib import Path
from typing import Any

from spillover.engine.config import wants
from spillover.engine.config.keys import Key, check
from spillover.engine.config.paths import resolve_inside
from spillover.engine.weights.reading import read_weights
from spillover.engine.weights.weights import Weights
from spillover.kernels.errors import SpecificationError

STANDARDS = ("row", "spectral", "none")
ISLANDS = ("error", "allow")
LARGEST = 2**20  # bytes of a TOML file: those that people write have a few thousand
DEEPEST = 64  # parts of a dotted key: the time that tomllib takes is quadratic in their number
DOTTED = re.compile(rf"""(?<![\w"'-])(?:[\w"'-]++[ \t]*+\.[ \t]*+){{{DEEPEST}}}""")
SHARED = (Key("standardize", wants.choice(STANDARDS)), Key("islands", wants.choice(ISLANDS)))


def read_toml(path: Path, keys: tuple[Key, ...]) -> dict[str, Any]:
    """Read a TOML file, and check it against `keys`.

    SpecificationError for a file that does not exist, is not a regular file, is not TOML in UTF-8
    or has more than a megabyte, and for keys that are unknown, missing or have a wrong value.
    """
    text = _text(path)
    if DOTTED.search(text):
        raise SpecificationError(
            f"{path} has a key of more than {DEEPEST} parts joined by dots: no key of ours has."
        )
    try:
        config = tomllib.loads(text)
    except RecursionError as error:
        raise SpecificationError(
            f"{path} nests lists or tables too deeply to be read: no key of ours does."
        ) from error
    except ValueError as error:  # TOMLDecodeError, and a whole number of more than 4,300 digits
        raise SpecificationError(
            f"{path} is not valid TOML: {' '.join(str(error).split())}."
        ) from error
    check(config, keys, str(path))
    return config


def _text(path: Path) -> str:
    """The text of a regular file of at most a megabyte."""
    try:
        mode = path.stat().st_mode
        # checked before opening, since opening a pipe without a writer waits for one
        if not stat.S_ISREG(mode):
            what = "a folder" if stat.S_ISDIR(mode) else "a device or a pipe"
            raise SpecificationError(f"{path} is {what}: give the path of a TOML file.")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SpecificationError(f"There is no file {path}.") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise SpecificationError(f"{path} cannot be read: {reason}.") from error
    if len(content) > LARGEST:
        raise SpecificationError(
            f"{path} has more than a megabyte: that is no TOML file of ours; data go in a .csv or"
            " .parquet."
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecificationError(
            f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8."
        ) from error


def choose_output(path: Path, config: dict[str, Any], output: Path | None) -> Path:
    """The folder to write to.

    `output` where the command line gives one, else what the key output says, else a folder beside
    the file, with the file's name.
    """
    if output is not None:
        return output
    return resolve_inside(path, "output", config.get("output", path.stem), "--output")


def pick_shared(config: dict[str, Any]) -> dict[str, Any]:
    """The keys that apply to all weights of a file, as far as the file has them."""
    return {key.name: config[key.name] for key in SHARED if key.name in config}


def load_weights(path: Path, config: dict[str, Any]) -> Weights:
    """Read weights from a file, with the `islands` and the `standardize` of `config`."""
    weights = read_weights(path, islands=config.get("islands", "error"))
    return standardize(weights, config.get("standardize", "row"))


def standardize(weights: Weights, standard: str) -> Weights:
    """Standardise weights by "row" or "spectral"; "none" leaves them as they are."""
    if standard == "none":
        return weights
    return weights.row_standardize() if standard == "row" else weights.spectral_standardize()


def sampler_keys(*samplers: str) -> tuple[Key, ...]:
    """The keys of a table [sampler]; "sampler" is one where there are `samplers` to choose from."""
    chosen = (Key("sampler", wants.choice(samplers)),) if samplers else ()
    return (
        *chosen,
        Key("draws", wants.whole(1)),
        Key("tune", wants.whole(0)),
        Key("chains", wants.whole(1)),
        Key("target_accept", wants.INSIDE),
    )
