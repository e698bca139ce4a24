"""What every TOML file of ours shares: how it is read, its weights, its sampler, its output."""

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
LARGEST = 2**20  # bytes of a TOML file: those that people write have some thousands
DEEPEST = 64  # parts of a dotted key: tomllib takes the square of their number in time
DOTTED = re.compile(rf"""(?<![\w"'-])(?:[\w"'-]++[ \t]*+\.[ \t]*+){{{DEEPEST}}}""")
SHARED = (Key("standardize", wants.choice(STANDARDS)), Key("islands", wants.choice(ISLANDS)))


def read_toml(path: Path, keys: tuple[Key, ...]) -> dict[str, Any]:
    """Read a TOML file whose keys hold what `keys` say.

    SpecificationError for a file that is not there, is no regular file or no TOML in UTF-8, or has
    more than a megabyte, and for keys that are unknown, missing, or hold what they may not.
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
    """The text of a regular file, no more of it than a TOML file has."""
    try:
        mode = path.stat().st_mode
        # before it is opened: a pipe without a writer would wait for one
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
    """The folder to write to: `output` where the command line gives one, else what the key output
    says, else a folder of the file's own name beside it.
    """
    if output is not None:
        return output
    return resolve_inside(path, "output", config.get("output", path.stem), "--output")


def pick_shared(config: dict[str, Any]) -> dict[str, Any]:
    """The keys of a file that hold for all of its weights, as far as it has them."""
    return {key.name: config[key.name] for key in SHARED if key.name in config}


def load_weights(path: Path, config: dict[str, Any]) -> Weights:
    """The weights in a file, with the `islands` and the `standardize` of `config`."""
    weights = read_weights(path, islands=config.get("islands", "error"))
    return standardize(weights, config.get("standardize", "row"))


def standardize(weights: Weights, standard: str) -> Weights:
    """The weights by "row" or "spectral" standard, or with "none" as they are."""
    if standard == "none":
        return weights
    return weights.row_standardize() if standard == "row" else weights.spectral_standardize()


def sampler_keys(*samplers: str) -> tuple[Key, ...]:
    """The keys of a table [sampler]: how much it draws, and, where there are several `samplers` to
    choose from, which of them.
    """
    chosen = (Key("sampler", wants.choice(samplers)),) if samplers else ()
    return (
        *chosen,
        Key("draws", wants.whole(1)),
        Key("tune", wants.whole(0)),
        Key("chains", wants.whole(1)),
        Key("target_accept", wants.INSIDE),
    )
