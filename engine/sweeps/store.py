"""A sweep on disk: a Zarr group, one group inside it for every finished chunk, each put in place
whole and with a manifest of its files.

sweep.zarr/
  zarr.json            what was swept, sealed by its own SHA-256 blocks/FIRST-COUNT/  a chunk:
  arrays, and manifest.json with the size and the SHA-256 of each file, and the versions that made
  it damaged/             blocks that were found damaged, out of the way format-1, format-2   what
  earlier versions had stored here, to be read by `open_sweep`
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
    block_name,
    check_fit,
    manifest,
    read_files,
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
    """A block that is not as it was written: its name, why, and its members by position where its
    manifest still tells.
    """

    name: str
    reason: str
    members: Sequence[int] | None


@dataclass(frozen=True)
class Store:
    """A store that this process alone writes to: the sweep it is of, the versions of now, and the
    blocks already in it.
    """

    path: Path
    digest: str
    versions: Mapping[str, str]
    kept: Sequence[Kept]


@contextmanager
def open_store(
    path: Path, about: Mapping[str, Any], parts: Sequence[Sequence[int]]
) -> Iterator[Store]:
    """Hold the store of a sweep: the one that is there, with what is finished of it, or a new one.

    A block that is missing a file, or has one that is short, altered or not its own, is moved to
    `damaged` in the store, which a SpilloverWarning says, as it says where blocks were made by
    other versions of spillover or JAX.

    Parameters
    ----------
    path : where it is to be.
    about : what the sweep is, its "digest" among it.
    parts : the members of each of its chunks, by position.

    Raises ------ DataError : the place holds another sweep, or something else. StorageError :
    another process has it, it cannot be written to, or it is damaged beyond knowing whose it is.
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
            kept = _whole_blocks(path, about, parts)
        now = versions()
        _tell_versions(path, kept, now)
        yield Store(path, about["digest"], now, kept)


def load(path: Path) -> tuple[list[Kept], dict[str, Any]]:
    """The finished blocks of a stored sweep, and what it is. DataError for a path that is none,
    StorageError for a damaged one.
    """
    with explain_failures(path, REFUSED):
        about = description(path)
        if os.path.lexists(path / BLOCKS) and not (path / BLOCKS).is_dir():
            raise StorageError(
                f"{cite(path)} is damaged: {cite(path / BLOCKS)} is no folder. Its members are"
                f" lost: {AGAIN}."
            )
        if about["format"] < FORMAT:
            return store_earlier.read(path, about), about
        kept, damages = read_blocks(path, about)
        if damages:
            what = _listed(damages, about["coords"])
            others = sum(len(one.block.index) for one in kept)
            raise StorageError(
                f"{cite(path)} is damaged: {what}. Its other {others} members are whole: {AGAIN},"
                " which fits these again and no others."
            )
    _tell_unfinished(path, kept, about)
    return kept, about


def description(path: Path) -> dict[str, Any]:
    """What a stored sweep is. DataError for a path that is none, StorageError for one that is
    damaged.
    """
    if not (path / ROOT).exists() and not _block_names(path):
        raise DataError(f"{cite(path)} is not a stored sweep.")
    try:
        return _root(path)
    except Broken as error:
        raise StorageError(f"{path / ROOT} is damaged ({error}): {AGAIN}.") from error


def write_block(store: Store, block: Block) -> None:
    """Put a chunk in place, whole or not at all, also where the power fails. StorageError for what
    the disk refuses.
    """
    if not (store.path / ROOT).exists():
        raise StorageError(f"{store.path} was removed while the sweep was running.")
    with whole_folder(store.path / BLOCKS / block_name(block.index)) as folder:
        write_files(folder, block, store.digest, store.versions)


def read_blocks(path: Path, about: Mapping[str, Any]) -> tuple[list[Kept], list[Damage]]:
    """All finished blocks of the sweep that `about` describes, and those that are damaged."""
    kept: list[Kept] = []
    damages: list[Damage] = []
    seen: set[int] = set()
    for name in _block_names(path):
        folder = path / BLOCKS / name
        try:
            one = _read(folder, about)
            if not seen.isdisjoint(one.block.index.tolist()):
                raise Broken("some of its members are in another block too")
        except Broken as error:
            # else moved away by another process, between the list and the look
            if os.path.lexists(folder):
                damages.append(Damage(name, str(error), _members(folder)))
        else:
            seen.update(one.block.index.tolist())
            kept.append(one)
    return kept, damages


def join_versions(kept: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """The different versions in a list of them, each once."""
    return [dict(pairs) for pairs in dict.fromkeys(tuple(one.items()) for one in kept if one)]


def _read(folder: Path, about: Mapping[str, Any]) -> Kept:
    try:
        one = read_files(folder, about["digest"])
    except OSError as error:
        if error.errno in (errno.EIO, errno.ENOENT, errno.ENOTDIR, errno.EISDIR):
            raise Broken(f"{error.strerror}: {error.filename}") from error
        raise  # the permissions, or the machine: no fault of the block's
    check_fit(one.block, about)
    return one


def _members(folder: Path) -> Sequence[int] | None:
    try:
        return manifest(folder)["members"]
    except (Broken, OSError):
        return None


def _block_names(path: Path) -> list[str]:
    """Of all that has the name of a block, be it one or not."""
    blocks = path / BLOCKS
    return (
        sorted(p.name for p in blocks.iterdir() if NAME.fullmatch(p.name))
        if blocks.is_dir()
        else []
    )


def _refuse_other_things(path: Path) -> None:
    """DataError for a file, and a folder that is not empty and holds other things than a sweep."""
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
    """Remove what killed processes had not finished. Only the holder of the lock may: else it could
    be another's, still being written.
    """
    for folder in (path, path / BLOCKS):
        for left in folder.glob(f"{UNFINISHED}*"):
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            else:
                left.unlink()


def _root(path: Path) -> dict[str, Any]:
    """The attributes of the store. Broken where they were altered; DataError where they are no
    sweep's.
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
    """Broken unless all is there that results are made of."""
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
    """The description of this sweep in its place, be it there, missing, damaged, or of an earlier
    format.
    """
    other = (
        f"{cite(path)} holds another sweep: data, weights, models or settings differ. Give another"
        " store, or remove it."
    )
    if os.path.lexists(path / ROOT) or _block_names(path):
        try:
            known = _root(path)
        except Broken as error:
            sweeps = {_sweep(path / BLOCKS / name) for name in _block_names(path)} - {None}
            if sweeps - {about["digest"]}:
                raise DataError(other) from error
            if not sweeps:
                raise StorageError(
                    f"{path / ROOT} is damaged ({error}), and no block tells of which sweep it is:"
                    " give another store, or remove it."
                ) from error
            _aside(path, path / ROOT)
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
    """The folder of the blocks, a group to Zarr."""
    if os.path.lexists(path / BLOCKS) and not (path / BLOCKS).is_dir():
        _aside(path, path / BLOCKS)
        _warn(
            f"{cite(path / BLOCKS)} was no folder: moved to {cite(path / DAMAGED)}, and all"
            " members are fitted again."
        )
    (path / BLOCKS).mkdir(exist_ok=True)
    if not os.path.lexists(path / BLOCKS / ROOT):
        _write(path / BLOCKS / ROOT, encode({**GROUP, "attributes": {}}))


def _sweep(folder: Path) -> str | None:
    """The digest of the sweep that a block is of, as far as its manifest tells."""
    try:
        return manifest(folder)["sweep"]
    except (Broken, OSError):
        return None


def _write(path: Path, content: bytes) -> None:
    with whole_file(path) as beside:
        beside.write_bytes(content)


def _whole_blocks(
    path: Path, about: Mapping[str, Any], parts: Sequence[Sequence[int]]
) -> list[Kept]:
    """The blocks that can be kept; the others are moved away, which a warning says."""
    found, damages = read_blocks(path, about)
    chunks = {tuple(part) for part in parts}
    kept = [one for one in found if tuple(one.block.index.tolist()) in chunks]
    for one in found:
        members = one.block.index.tolist()
        if tuple(members) not in chunks:
            damages.append(
                Damage(block_name(members), "this version divides members otherwise", members)
            )
    if damages:
        by_name = {block_name(part): part for part in parts}
        damages = [
            damage._replace(members=damage.members or by_name.get(damage.name))
            for damage in damages
        ]
        for damage in damages:
            _aside(path, path / BLOCKS / damage.name)
        members = sum(len(one.block.index) for one in kept)
        what = _listed(damages, about["coords"])
        _warn(
            f"{cite(path)} was damaged: {what}. Moved to {cite(path / DAMAGED)} and fitted again;"
            f" the other {members} members are kept."
        )
    return kept


def _aside(path: Path, what: Path) -> None:
    """Move a part of a store out of the way, to a name that says so."""
    if not os.path.lexists(what):
        return
    place = path / DAMAGED
    place.mkdir(exist_ok=True)
    names = (what.name if number == 1 else f"{what.name}.{number}" for number in range(1, 1 << 30))
    what.rename(next(place / name for name in names if not os.path.lexists(place / name)))


def _listed(damages: Sequence[Damage], coords: Mapping[str, Sequence[str]]) -> str:
    """Damaged blocks with their members and what is wrong with them."""
    labels = list(product(*coords.values()))
    said = [
        f"block {damage.name} ({_of(damage, labels)}: {damage.reason})"
        for damage in damages[:NAMED]
    ]
    more = len(damages) - NAMED
    return ", ".join([*said, f"and {more} more blocks"] if more > 0 else said)


def _of(damage: Damage, labels: Sequence[tuple[str, ...]]) -> str:
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
    done = sum(len(one.block.index) for one in kept)
    total = len(list(product(*about["coords"].values())))
    if 0 < done < total:
        _warn(
            f"{total - done} of the {total} members in {cite(path)} are not finished: {AGAIN} to"
            " fit them."
        )


def _warn(message: str) -> None:
    warnings.warn(message, SpilloverWarning, stacklevel=6)
