"""A sweep on disk: a Zarr group, one group inside it for every finished chunk, each put in place whole."""

import json
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zarr

from spillover.engine.chunks import ARRAYS, Block
from spillover.kernels.errors import DataError

FORMAT = 2
BLOCKS = "blocks"


def open_store(path: Path, about: Mapping[str, Any]) -> list[Block]:
    """The blocks already there; a new store where there is none. DataError where the store is of another sweep.

    `about`: what the sweep is, its "digest" among it.
    """
    if (path / "zarr.json").exists():
        known = description(path)
        if known["digest"] != about["digest"]:
            raise DataError(f"{path} holds another sweep: data, weights, models or settings differ. Give another store, or remove it.")
        for unfinished in path.glob(".writing-*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        return read_blocks(path)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise DataError(f"{path} is not empty and not a sweep: give another store.")
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    root = zarr.open_group(fresh, mode="w")
    root.attrs.update({"format": FORMAT, **about})
    root.create_group(BLOCKS)
    if path.exists():
        path.rmdir()
    fresh.replace(path)
    return []


def description(path: Path) -> dict[str, Any]:
    """What a stored sweep is. DataError for a path that is none."""
    if not (path / "zarr.json").exists():
        raise DataError(f"{path} is not a stored sweep.")
    about = dict(zarr.open_group(path, mode="r").attrs)
    if about.get("format") != FORMAT:
        raise DataError(f"{path} is not a sweep stored in the format {FORMAT} of this version.")
    return about


def write_block(path: Path, block: Block) -> None:
    """Put a chunk in place, whole or not at all: it is written beside its place and then renamed."""
    part = path / f".writing-{uuid.uuid4().hex}"
    group = zarr.open_group(part, mode="w")
    group.create_array("index", data=block.index)
    for name in ARRAYS:
        group.create_array(name, data=getattr(block, name))
    group.attrs["failure"] = json.dumps(block.failure)
    place = path / BLOCKS / f"{int(block.index[0]):08d}-{len(block.index)}"
    part.replace(place)


def read_blocks(path: Path) -> list[Block]:
    """All finished chunks."""
    found = []
    for place in sorted((path / BLOCKS).iterdir()):
        if not place.is_dir():
            continue
        group = zarr.open_group(place, mode="r")
        arrays = {name: np.asarray(group[name]) for name in ("index", *ARRAYS)}
        found.append(Block(**arrays, failure=tuple(json.loads(str(group.attrs["failure"])))))
    return found
