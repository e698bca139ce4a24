"""The devices that JAX runs on, and the folder for its compiled programs."""

import os
from pathlib import Path

import jax
import pandas as pd

from spillover.engine.storage.own_folder import find_cache_home, make_own_folder, restrict_to_user
from spillover.kernels.arguments import front_door, path


@front_door
def devices() -> pd.DataFrame:
    """List the devices that JAX sees, one row each.

    Returns
    -------
    DataFrame
        Columns: `platform`; `kind`; `memory_gib`, the memory in GiB, missing where JAX does not
        report it; `precision`, the one that spillover uses there.

    Examples
    --------
    >>> list(devices().columns)
    ['platform', 'kind', 'memory_gib', 'precision']
    """
    rows = []
    for device in jax.devices():
        limit = (
            (device.memory_stats() or {}).get("bytes_limit") if device.platform != "cpu" else None
        )
        precision = "float64, emulated: slow" if device.platform == "tpu" else "float64"
        rows.append(
            (
                device.platform,
                device.device_kind,
                None if limit is None else limit / 2**30,
                precision,
            )
        )
    return pd.DataFrame(rows, columns=["platform", "kind", "memory_gib", "precision"])


def cache_folder() -> Path:
    """The folder in which the command line keeps compiled programs.

    It is $JAX_COMPILATION_CACHE_DIR, or else a folder in the user's cache. StorageError if the user
    has no home folder.
    """
    given = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    return Path(given) if given else find_cache_home() / "spillover" / "compiled"


@front_door
def keep_compiled(folder: str | Path | None = None) -> Path:
    """Keep compiled programs on disk from now on, so that the next Python session skips compiling.

    This changes JAX's configuration for the whole process, so within the package only the command
    line calls it.

    Parameters
    ----------
    folder : str or Path, optional
        Where to keep them; created with mode 0700 if it does not exist. By default
        $JAX_COMPILATION_CACHE_DIR, else a folder in the user's cache.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    StorageError
        For a folder that belongs to another user, that others can write to, or that cannot be used.
        Programs in the folder are run unchecked, so nothing is kept in such a folder.

    Examples
    --------
    >>> keep_compiled("compiled")  # doctest: +SKIP
    """
    given = (
        path("folder", folder)
        if folder is not None
        else os.environ.get("JAX_COMPILATION_CACHE_DIR") or cache_folder()
    )
    where = make_own_folder(given)
    options = {
        "jax_compilation_cache_dir": str(where),
        "jax_persistent_cache_min_compile_time_secs": 0.1,
    }
    for name, value in {**options, "jax_persistent_cache_min_entry_size_bytes": -1}.items():
        jax.config.update(name, value)  # type: ignore[no-untyped-call]
    # JAX writes files with the process's default mode: restrict those of earlier sessions
    restrict_to_user(where)
    return where


def keep_nothing() -> None:
    """Keep no compiled programs on disk, whatever $JAX_COMPILATION_CACHE_DIR says."""
    jax.config.update("jax_compilation_cache_dir", None)  # type: ignore[no-untyped-call]
