"""What JAX runs on, and where it keeps what it compiled."""

import os
from pathlib import Path

import jax
import pandas as pd


def devices() -> pd.DataFrame:
    """The devices that JAX sees, one row each: platform, kind, memory in GiB where it says, the precision spillover uses there.

    >>> list(devices().columns)
    ['platform', 'kind', 'memory_gib', 'precision']
    """
    rows = []
    for device in jax.devices():
        limit = (device.memory_stats() or {}).get("bytes_limit") if device.platform != "cpu" else None
        precision = "float64, emulated: slow" if device.platform == "tpu" else "float64"
        rows.append((device.platform, device.device_kind, None if limit is None else limit / 2**30, precision))
    return pd.DataFrame(rows, columns=["platform", "kind", "memory_gib", "precision"])


def cache_folder() -> Path:
    """Where the command line keeps compiled programs: $JAX_COMPILATION_CACHE_DIR, else a folder in the user's cache."""
    given = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "spillover" / "compiled"


def keep_compiled(folder: str | Path | None = None) -> Path:
    """Keep compiled programs on disk from now on, so that the next Python session skips compiling; returns the folder.

    Sets JAX's own configuration for the whole process, which is why nothing here calls it but the command line.
    """
    where = cache_folder() if folder is None else Path(folder)
    options = {"jax_compilation_cache_dir": str(where), "jax_persistent_cache_min_compile_time_secs": 0.1}
    for name, value in {**options, "jax_persistent_cache_min_entry_size_bytes": -1}.items():
        jax.config.update(name, value)
    return where
