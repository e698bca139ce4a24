"""The paths to write to that a TOML file names."""

import os
from pathlib import Path

from spillover.engine.storage.quoting import quote, shorten
from spillover.kernels.errors import SpecificationError


def resolve_inside(config: Path, key: str, value: str, option: str) -> Path:
    """Resolve a path to write to that a TOML file names, relative to the file's own folder.

    A file that came from elsewhere must not choose what is overwritten, so the path has to lie
    below the file's folder once links are followed. Only the command line may lead elsewhere.

    Parameters
    ----------
    config : Path
        The TOML file.
    key, value : str
        The key, and the path that it holds.
    option : str
        The command-line option that takes any path, for the error message.

    Raises
    ------
    SpecificationError
        Where the path is not below the folder of the file.
    """
    base, path = Path(os.path.realpath(config.parent)), config.parent / value
    if base not in Path(os.path.realpath(path)).parents:
        raise SpecificationError(
            f"{config}: key {key}: {shorten(quote(value))} leads out of the folder of that file, or"
            f" is it: a TOML file writes below its own folder; say {option} on the command line to"
            " write elsewhere."
        )
    return path
