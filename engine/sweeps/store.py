"""A sweep on disk: a Zarr group, with a group inside it for every finished chunk.

Each chunk is put in place whole, with a manifest of its files::

    sweep.zarr/
      zarr.json            what was swept, sealed by its own SHA-256
      blocks/FIRST-COUNT/  a chunk: arrays, and manifest.json with the size and the SHA-256
                           of each file and the versions of the programs that made it
      damaged/             blocks that were damaged, moved out of the way
      format-1, format-2   what earlier versions had stored here; `open_sweep` reads it
"""

import errno
import os
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from spillover.engine.data.provenance import versions
from spillover.engine.storage.failures import explain_failures
from spillover.engine.storage.reading import cite
from spillover.engine.storage.sealed import (
    SEAL,
    Broken,
    add_seal,
    encode,
    parse,
    read_content,
    remove_seal,
)
from spillover.engine.storage.whole import UNFINISHED, hold_lock, whole_file, whole_folder
from spillover.engine.sweeps import store_earlier
from spillover.engine.sweeps.block_files import (
    LITTER,
    Kept,
    check_fit,
    name_block,
    read_files,
    read_manifest,
    write_files,
)
from spillover.engine.sweeps.chunk import Block
from spillover.engine.sweeps.plan import DIMS
from spillover.kernels.errors import DataError, SpilloverWarning, StorageError

FORMAT = 3
ROOT = "zarr.json"
BLOCKS = "blocks"
DAMAGED = "damaged"
LOCK = ".lock"
NAME = re.compile(r"\d{8,}-\d+")
REFUSED = "cannot be used as a store"
AGAIN = "run the sweep again with the same store"
NAMED = 10  # blocks in a message
GROUP = {"zarr_format": 3, "node_type": "group"}


class Damage(NamedTuple):
    """A block that is not as it was written.

    Its name, the reason, and its members by position where its manifest still tells them.
    """

    name: str
    reason: str
    members: Sequence[int] | None


@dataclass(frozen=True)
class Store:
    """A store that no other process writes to.

    Its path, the digest of the sweep, the versions of the programs that run now, and the blocks
    that are in it already.
    """

    path: Path
    digest: str
    versions: Mapping[str, str]
    kept: Sequence[Kept]


@contextmanager
def open_store(
    path: Path, about: Mapping[str, Any], parts: Sequence[Sequence[int]]
) -> Iterator[Store]:
    """Hold the store of a sweep: one that is there, with what is finished of it, or a new one.

    A block with a file that is missing, short, altered or not its own is moved to `damaged` in the
    store.

    Parameters
    ----------
    path : Path
        Where the store is, or is to be.
    about : dict
        The description of the sweep, with its "digest".
    parts : sequence of sequence of int
        The members of each of its chunks, by position.

    Yields
    ------
    Store
        The store, until the end of the with statement.

    Raises
    ------
    DataError
        The place holds another sweep, or something else.
    StorageError
        Another process has the store, it cannot be written to, or it is damaged so that it cannot
        be told which sweep it is of.

    Warns
    -----
    SpilloverWarning
        Of damaged blocks, and of blocks made by other versions of spillover or JAX.
    """
    with explain_failures(path, REFUSED):
        _refuse_other_things(path)
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise StorageError(
                f"{cite(path)} is read-only: give another store; so.open_sweep reads it."
            )
    with hold_lock(path / LOCK, f"The store {cite(path)}"):
        with explain_failures(path, REFUSED):
            _clear(path)
            _settle_root(path, about)
            kept = _keep_whole(path, about, parts)
        now = versions()
        _tell_versions(path, kept, now)
        yield Store(path, about["digest"], now, kept)


def load(path: Path) -> tuple[list[Kept], dict[str, Any]]:
    """Read the finished blocks of a stored sweep, and its description.

    DataError for a path that is no stored sweep, StorageError for a damaged one.
    """
    with explain_failures(path, REFUSED):
        about = read_description(path)
        if os.path.lexists(path / BLOCKS) and not (path / BLOCKS).is_dir():
            raise StorageError(
                f"{cite(path)} is damaged: {cite(path / BLOCKS)} is no folder. Its members are"
                f" lost: {AGAIN}."
            )
        if about["format"] < FORMAT:
            return store_earlier.read(path, about), about
        kept, damages = read_blocks(path, about)
        if damages:
            what = _list_damages(damages, about["coords"])
            others = sum(len(one.block.index) for one in kept)
            raise StorageError(
                f"{cite(path)} is damaged: {what}. Its other {others} members are whole: {AGAIN},"
                " which fits these again and no others."
            )
    _tell_unfinished(path, kept, about)
    return kept, about


def read_description(path: Path) -> dict[str, Any]:
    """Read what a stored sweep is of.

    DataError for a path that is no stored sweep, StorageError for a damaged one.
    """
    if not (path / ROOT).exists() and not _list_blocks(path):
        raise DataError(f"{cite(path)} is not a stored sweep.")
    try:
        return _read_root(path)
    except Broken as error:
        raise StorageError(f"{path / ROOT} is damaged ({error}): {AGAIN}.") from error


def write_block(store: Store, block: Block) -> None:
    """Put a chunk in place, whole or not at all, even where the power fails.

    StorageError for what the disk refuses.
    """
    if not (store.path / ROOT).exists():
        raise StorageError(f"{store.path} was removed while the sweep was running.")
    with whole_folder(store.path / BLOCKS / name_block(block.index)) as folder:
        write_files(folder, block, store.digest, store.versions)


def read_blocks(path: Path, about: Mapping[str, Any]) -> tuple[list[Kept], list[Damage]]:
    """Read all finished blocks of the sweep that `about` describes, and find those that are
    damaged.
    """
    kept: list[Kept] = []
    damages: list[Damage] = []
    seen: set[int] = set()
    for name in _list_blocks(path):
        folder = path / BLOCKS / name
        try:
            one = _read_block(folder, about)
            if not seen.isdisjoint(one.block.index.tolist()):
                raise Broken("some of its members are in another block too")
        except Broken as error:
            # else another process moved it away after it was listed
            if os.path.lexists(folder):
                damages.append(Damage(name, str(error), _list_members(folder)))
        else:
            seen.update(one.block.index.tolist())
            kept.append(one)
    return kept, damages


def join_versions(kept: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """The different combinations of versions in a list, each once."""
    return [dict(pairs) for pairs in dict.fromkeys(tuple(one.items()) for one in kept if one)]


def _read_block(folder: Path, about: Mapping[str, Any]) -> Kept:
    """Read one block. Broken where it is damaged; other errors of the machine pass through."""
    try:
        one = read_files(folder, about["digest"])
    except OSError as error:
        if error.errno in (errno.EIO, errno.ENOENT, errno.ENOTDIR, errno.EISDIR):
            raise Broken(f"{error.strerror}: {error.filename}") from error
        raise  # the permissions, or the machine: no fault of the block's
    check_fit(one.block, about)
    return one


def _list_members(folder: Path) -> Sequence[int] | None:
    """The members of a block, as far as its manifest tells."""
    try:
        members: list[int] = read_manifest(folder)["members"]
        return members
    except (Broken, OSError):
        return None


def _list_blocks(path: Path) -> list[str]:
    """The names of all that is named as a block, be it one or not."""
    blocks = path / BLOCKS
    if not blocks.is_dir():
        return []
    return sorted(part.name for part in blocks.iterdir() if NAME.fullmatch(part.name))


def _refuse_other_things(path: Path) -> None:
    """DataError for a file, and for a folder that holds other things than a sweep."""
    if path.is_dir():
        if (path / ROOT).exists():
            return
        own = {LOCK, f"{LOCK}.owner", BLOCKS, DAMAGED, *LITTER}
        if all(p.name in own or p.name.startswith(UNFINISHED) for p in path.iterdir()):
            return
    elif not os.path.lexists(path):
        return
    raise DataError(f"{cite(path)} is not empty and not a sweep: give another store.")


def _clear(path: Path) -> None:
    """Remove what killed processes had not finished.

    Only the holder of the lock may: otherwise another process could still be writing it.
    """
    for folder in (path, path / BLOCKS):
        for left in folder.glob(f"{UNFINISHED}*"):
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            else:
                left.unlink()


def _read_root(path: Path) -> dict[str, Any]:
    """Read the attributes of the store.

    Broken where they were altered, DataError where they are no sweep's.
    """
    content = read_content(path / ROOT)
    document = parse(content)
    about = document.get("attributes")
    if not isinstance(about, dict) or not {"format", "digest"} & set(about):
        raise DataError(f"{cite(path)} is not a stored sweep.")
    if SEAL in about:
        if encode({**GROUP, "attributes": about}) != content:
            raise Broken("not as it was written")
        about = remove_seal(about)
        if about.get("format") != FORMAT:
            raise StorageError(
                f"{cite(path)} is of the format {about.get('format')} of a later version of"
                " spillover: read it with that."
            )
    elif about.get("format") not in store_earlier.FORMATS:
        raise Broken("not as it was written")
    _check_about(about)
    return about


def _check_about(about: Mapping[str, Any]) -> None:
    """Broken unless everything is there that results are made of."""
    lists = [about.get("parameters"), about.get("variables")]
    coords, settings = about.get("coords"), about.get("settings")
    if isinstance(coords, dict) and tuple(coords) == DIMS:
        lists += coords.values()
    else:
        lists.append(None)
    texts = [about.get("digest"), about.get("formula")]
    texts.append(settings.get("sampler") if isinstance(settings, dict) else None)
    for labels in lists:
        texts += labels if isinstance(labels, list) else [None]
    if not all(isinstance(text, str) for text in texts):
        raise Broken("it does not describe a sweep")


def _settle_root(path: Path, about: Mapping[str, Any]) -> None:
    """Put the description of this sweep in its place.

    The one that is there may be this one, missing, damaged, or of an earlier format.
    """
    other = (
        f"{cite(path)} holds another sweep: data, weights, models or settings differ. Give another"
        " store, or remove it."
    )
    if os.path.lexists(path / ROOT) or _list_blocks(path):
        try:
            known = _read_root(path)
        except Broken as error:
            sweeps = {_read_digest(path / BLOCKS / name) for name in _list_blocks(path)} - {None}
            if sweeps - {about["digest"]}:
                raise DataError(other) from error
            if not sweeps:
                raise StorageError(
                    f"{path / ROOT} is damaged ({error}), and no block tells of which sweep it is:"
                    " give another store, or remove it."
                ) from error
            _move_aside(path, path / ROOT)
            _warn(
                f"{path / ROOT} was damaged ({error}) and is written anew; the blocks tell that"
                " they are of this sweep."
            )
        else:
            if known["digest"] != about["digest"]:
                raise DataError(other)
            if known["format"] == FORMAT:
                _settle_blocks(path)
                return
            earlier = store_earlier.move_aside(path, known["format"], (BLOCKS, ROOT))
            _warn(
                f"{cite(path)} held this sweep in format {known['format']}, of an earlier version,"
                f" without checksums: it is in {cite(earlier)} now, where so.open_sweep reads it,"
                " and all members are fitted again."
            )
    _settle_blocks(path)
    attributes = add_seal({"format": FORMAT, **about})
    _write(path / ROOT, encode({**GROUP, "attributes": attributes}))


def _settle_blocks(path: Path) -> None:
    """Make the folder of the blocks, a group to Zarr."""
    if os.path.lexists(path / BLOCKS) and not (path / BLOCKS).is_dir():
        _move_aside(path, path / BLOCKS)
        _warn(
            f"{cite(path / BLOCKS)} was no folder: moved to {cite(path / DAMAGED)}, and all"
            " members are fitted again."
        )
    (path / BLOCKS).mkdir(exist_ok=True)
    if not os.path.lexists(path / BLOCKS / ROOT):
        _write(path / BLOCKS / ROOT, encode({**GROUP, "attributes": {}}))


def _read_digest(folder: Path) -> str | None:
    """The digest of the sweep that a block is of, as far as its manifest tells."""
    try:
        digest: str = read_manifest(folder)["sweep"]
        return digest
    except (Broken, OSError):
        return None


def _write(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with whole_file(path) as beside:
        beside.write_bytes(content)


def _keep_whole(path: Path, about: Mapping[str, Any], parts: Sequence[Sequence[int]]) -> list[Kept]:
    """The blocks that can be kept. The others are moved away, with a warning."""
    whole, damages = read_blocks(path, about)
    chunks = {tuple(part) for part in parts}
    kept = [one for one in whole if tuple(one.block.index.tolist()) in chunks]
    for one in whole:
        members = one.block.index.tolist()
        if tuple(members) not in chunks:
            damages.append(
                Damage(name_block(members), "this version divides members otherwise", members)
            )
    if damages:
        by_name = {name_block(part): part for part in parts}
        damages = [
            damage._replace(members=damage.members or by_name.get(damage.name))
            for damage in damages
        ]
        for damage in damages:
            _move_aside(path, path / BLOCKS / damage.name)
        members = sum(len(one.block.index) for one in kept)
        what = _list_damages(damages, about["coords"])
        _warn(
            f"{cite(path)} was damaged: {what}. Moved to {cite(path / DAMAGED)} and fitted again;"
            f" the other {members} members are kept."
        )
    return kept


def _move_aside(path: Path, what: Path) -> None:
    """Move a part of a store into its folder of damaged parts."""
    if not os.path.lexists(what):
        return
    place = path / DAMAGED
    place.mkdir(exist_ok=True)
    names = (what.name if number == 1 else f"{what.name}.{number}" for number in range(1, 1 << 30))
    what.rename(next(place / name for name in names if not os.path.lexists(place / name)))


def _list_damages(damages: Sequence[Damage], coords: Mapping[str, Sequence[str]]) -> str:
    """Damaged blocks in words, with their members and what is wrong with them."""
    labels = list(product(*coords.values()))
    said = [
        f"block {damage.name} ({_name_members(damage, labels)}: {damage.reason})"
        for damage in damages[:NAMED]
    ]
    more = len(damages) - NAMED
    return ", ".join([*said, f"and {more} more blocks"] if more > 0 else said)


def _name_members(damage: Damage, labels: Sequence[tuple[str, ...]]) -> str:
    """The members of a damaged block in words."""
    members = [labels[i] for i in damage.members or () if 0 <= i < len(labels)]
    if not members:
        return f"{damage.name.split('-')[1]} members"
    ends = [" / ".join(member) for member in (members[0], members[-1])]
    return ends[0] if len(members) == 1 else f"{len(members)} members, {ends[0]} to {ends[1]}"


def _tell_versions(path: Path, kept: Sequence[Kept], now: Mapping[str, str]) -> None:
    """Warn of members that another version fitted."""
    for before in join_versions([one.versions for one in kept]):
        names = [name for name in now if name != "python" and before.get(name) != now[name]]
        if names:
            count = sum(len(one.block.index) for one in kept if one.versions == before)
            then, here = (
                ", ".join(f"{name} {v.get(name)}" for name in names) for v in (before, now)
            )
            _warn(
                f"{count} members in {cite(path)} were fitted under {then}, and this is {here}:"
                " they are kept, and Sweep.about lists the versions. Give another store to have"
                " all of them from one version."
            )


def _tell_unfinished(path: Path, kept: Sequence[Kept], about: Mapping[str, Any]) -> None:
    """Warn of members that are not finished."""
    done = sum(len(one.block.index) for one in kept)
    total = len(list(product(*about["coords"].values())))
    if 0 < done < total:
        _warn(
            f"{total - done} of the {total} members in {cite(path)} are not finished: {AGAIN} to"
            " fit them."
        )


def _warn(message: str) -> None:
    """Warn where the user called `sweep` or `open_sweep`."""
    warnings.warn(message, SpilloverWarning, stacklevel=6)
