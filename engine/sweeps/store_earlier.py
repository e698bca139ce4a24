"""Sweeps stored by version 0.1.0, in the formats 1 and 2, which have no checksums.

They are read, but sweeps do not go on from them.
"""

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spillover.engine.storage.reading import cite
from spillover.engine.storage.sealed import Broken
from spillover.engine.sweeps.block_files import Kept, check_fit, list_files, name_block, unpack
from spillover.engine.sweeps.chunk import Block
from spillover.kernels.errors import SpilloverWarning, StorageError

FORMATS = (1, 2)
NO_QUASI = (
    "Period effects with rows of W of several sums were fitted otherwise then, and are not marked"
    " (CHANGELOG, 0.2.0). "
)
# arrays that may have chunks of zeros, which these formats left out
ZERO = ("index", "impacts", "impact_draws")


def read(path: Path, about: Mapping[str, Any]) -> list[Kept]:
    """Read the blocks of a store of an earlier format.

    StorageError for a block that cannot be right; a SpilloverWarning that there are no checksums.
    """
    kept = []
    blocks = path / "blocks"
    for folder in sorted(blocks.iterdir()) if blocks.is_dir() else ():
        if folder.is_dir():
            try:
                kept.append(Kept(_read_block(folder, about), {}))
            except Broken as error:
                raise StorageError(
                    f"{cite(path)} is damaged: block {folder.name} ({error}). Sweep again to a new"
                    " store."
                ) from error
    members = [i for one in kept for i in one.block.index.tolist()]
    if len(members) != len(set(members)):
        raise StorageError(
            f"{cite(path)} is damaged: a member is in two of its blocks. Sweep again to a new"
            " store."
        )
    warnings.warn(
        f"{cite(path)} is of format {about['format']}, of version 0.1.0, without checksums: what"
        " was altered in it since would not be noticed."
        f" {NO_QUASI if about['format'] == 1 else ''}Sweep again to a new store for one that has"
        " them.",
        SpilloverWarning,
        stacklevel=4,
    )
    return kept


def move_aside(path: Path, known: int, names: Sequence[str]) -> Path:
    """Move the parts of an earlier store into a folder of their own within it, in the order
    given.
    """
    place = path / f"format-{known}"
    place.mkdir(exist_ok=True)
    for name in names:
        if os.path.lexists(path / name):  # else a killed process had moved it already
            (path / name).rename(place / name)
    return place


def _read_block(folder: Path, about: Mapping[str, Any]) -> Block:
    """Read a block of an earlier format. Broken where it is damaged."""
    paths = {name: folder / name for name in list_files(folder)}
    files = {name: path.read_bytes() for name, path in paths.items() if path.is_file()}
    block = unpack(files, may_lack=ZERO)
    if folder.name != name_block(block.index):
        raise Broken("it is not of the members that its name says")
    if about["format"] == 1:
        unknown = np.full((len(block.index), 1), np.nan)
        block = Block(**{**vars(block), "scores": np.concatenate([block.scores, unknown], axis=1)})
    check_fit(block, about)
    _check_zeros(block)
    return block


def _check_zeros(block: Block) -> None:
    """Broken where zeros can only be chunks that were lost.

    That is where impacts are zero in part or do not add up, and where draws are zero and their
    impacts are not. Indirect impacts of a model without spillovers are zeros throughout.
    """
    numbers = np.delete(block.impacts, 2, axis=-1)  # a probability of a positive value may be 0
    some = (numbers == 0).any(axis=-1)
    zero = some & ((numbers == 0) | np.isnan(numbers)).all(axis=-1)
    direct, indirect, total = np.moveaxis(block.impacts[..., 0], 1, 0)
    size = np.abs(direct) + np.abs(indirect) + np.abs(total)
    if (some != zero).any() or zero[:, 0].any():
        raise Broken("impacts are missing in part")
    if (np.abs(direct + indirect - total) > 1e-9 * size).any():
        raise Broken("impacts do not add up")
    if ((block.impact_draws == 0).any(axis=1) & ~zero).any():
        raise Broken("draws of impacts are missing in part")
