"""A block of a sweep as a folder: a Zarr group, and a manifest with the size and the SHA-256 of
each of its files.

The files are read into memory, checked there, and decoded from there: no number comes from bytes
that were not checked.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import MemoryStore

from spillover.engine.storage.failures import prefix_errors
from spillover.engine.storage.sealed import Broken, parse, read_content, seal, unseal
from spillover.engine.sweeps.chunk import ARRAYS, EFFECTS, LEVELS, SCORES, STATISTICS, Block

MANIFEST = "manifest.json"
# what file managers leave in every folder that they show
LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
FIELDS = {"sweep": str, "members": list, "versions": dict, "files": dict}  # of a manifest
CODECS = frozenset({"bytes", "zstd", "crc32c"})
MOST = 1 << 34  # numbers in an array, 128 GB: more than any block has
TYPES = {"index": "int64"} | dict.fromkeys(ARRAYS, "float64")


@dataclass(frozen=True)
class Kept:
    """A whole block, and the versions of the programs that made it, by name.

    There are no versions where its format has none.
    """

    block: Block
    versions: Mapping[str, str]


def name_block(members: Any) -> str:
    """The name of the folder of these members: the first of them, which is in no other block, and
    how many they are.
    """
    return f"{int(members[0]):08d}-{len(members)}"


def write_files(folder: Path, block: Block, digest: str, versions: Mapping[str, str]) -> None:
    """Write a block of the sweep with this digest into an empty folder, its manifest last."""
    files = pack(block)
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    entries = {
        name: {"bytes": len(files[name]), "sha256": _hash(files[name])} for name in sorted(files)
    }
    members = [int(position) for position in block.index]
    about = {"sweep": digest, "members": members, "versions": dict(versions), "files": entries}
    (folder / MANIFEST).write_bytes(seal(about))


def read_files(folder: Path, digest: str) -> Kept:
    """Read the block of the sweep with this digest from a folder.

    Broken, with the name of the file, unless every bit is as it was written.
    """
    about = read_manifest(folder)
    if about["sweep"] != digest:
        raise Broken("it is of another sweep")
    block = unpack(_check_files(folder, about["files"]))
    if block.index.tolist() != about["members"] or folder.name != name_block(about["members"]):
        raise Broken("it is not of the members that its name says")
    return Kept(block, about["versions"])


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a block. Broken where there is none, or not as it was written."""
    if not folder.is_dir():
        raise Broken("it is not a folder")
    with prefix_errors(Broken, MANIFEST):
        about = unseal(read_content(folder / MANIFEST))
        if {name: type(value) for name, value in about.items()} != FIELDS:
            raise Broken("not a manifest of a block")
    return about


def _check_files(folder: Path, entries: Mapping[str, Any]) -> dict[str, bytes]:
    """The bytes of all files by name.

    Broken for one that is missing, short or altered, and for one that the manifest does not list.
    """
    present = {name for name in list_files(folder) if name != MANIFEST}
    for name in sorted(present ^ set(entries)):
        raise Broken(f"{name} is missing" if name in entries else f"{name} does not belong there")
    contents = {}
    for name, entry in entries.items():
        if not isinstance(entry, dict) or set(entry) != {"bytes", "sha256"}:
            raise Broken(f"{MANIFEST} does not tell of {name}")
        size = (folder / name).stat().st_size
        if size != entry["bytes"] or not (folder / name).is_file():
            raise Broken(f"{name} has {size} bytes instead of {entry['bytes']}")
        contents[name] = (folder / name).read_bytes()
        if _hash(contents[name]) != entry["sha256"]:
            raise Broken(f"{name} was altered")
    return contents


def list_files(folder: Path) -> list[str]:
    """The names of all files below a folder, without what file managers leave there."""
    paths = [path for path in folder.rglob("*") if path.name not in LITTER and not path.is_dir()]
    return [path.relative_to(folder).as_posix() for path in paths]


def _hash(content: bytes) -> str:
    """The SHA-256 of bytes, as text."""
    return hashlib.sha256(content).hexdigest()


def pack(block: Block) -> dict[str, bytes]:
    """The files of the Zarr group of a block.

    Chunks are written where they are empty as well, and have a checksum of Zarr's own.
    """
    held: dict[str, Any] = {}
    group = zarr.create_group(
        store=MemoryStore(held), attributes={"failure": json.dumps(block.failure)}
    )
    for name, kind in TYPES.items():
        group.create_array(
            name,
            data=np.asarray(getattr(block, name), kind),
            compressors=(ZstdCodec(level=0), Crc32cCodec()),
            fill_value=np.nan if kind == "float64" else -1,
            config={"write_empty_chunks": True},
        )
    return {name: content.to_bytes() for name, content in held.items()}


def unpack(files: Mapping[str, bytes], may_lack: Sequence[str] = ()) -> Block:
    """Read a block from its files. Broken for files that hold none, and for a missing chunk.

    Parameters
    ----------
    files : dict of str to bytes
        The files by name.
    may_lack : sequence of str, default ()
        Arrays of which a chunk may be missing. It is zeros then: Zarr leaves such chunks out unless
        told not to.

    Returns
    -------
    Block
        The members with their numbers.
    """
    failure = _read_reasons(files)
    for name in TYPES:
        lacking = [chunk for chunk in _list_chunks(name, files) if chunk not in files]
        if lacking and name not in may_lack:
            raise Broken(f"{lacking[0]} is missing")
    make = default_buffer_prototype().buffer.from_bytes
    store = MemoryStore({name: make(content) for name, content in files.items()}, read_only=True)
    arrays = {}
    for name in TYPES:
        try:
            arrays[name] = np.asarray(zarr.open_array(store, path=name, mode="r", zarr_format=3)[:])
        except (ValueError, TypeError, KeyError, RuntimeError, MemoryError) as error:
            # what Zarr and its codecs raise for what they cannot decode
            raise Broken(f"{name} cannot be decoded") from error
    if len({len(failure), *map(len, arrays.values())}) != 1:
        raise Broken("its arrays are not of one length")
    return Block(**arrays, failure=failure)


def _read_reasons(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """The reasons of the members that failed, from the attributes of the group."""
    with prefix_errors(Broken, "zarr.json"):
        attributes: Any = parse(files.get("zarr.json", b"")).get("attributes")
        try:
            reasons = json.loads(attributes["failure"])
        except (TypeError, KeyError, ValueError, RecursionError) as error:
            raise Broken("no reasons of failures") from error
        if not (isinstance(reasons, list) and all(isinstance(reason, str) for reason in reasons)):
            raise Broken("no reasons of failures")
    return tuple(reasons)


def _list_chunks(name: str, files: Mapping[str, bytes]) -> list[str]:
    """The names of the chunks of an array.

    Broken unless the array has its type and our codecs, and chunks no larger than itself.
    """
    with prefix_errors(Broken, f"{name}/zarr.json"):
        about = parse(files.get(f"{name}/zarr.json", b""))
        try:
            shape = [int(size) for size in about["shape"]]
            chunk = [int(size) for size in about["chunk_grid"]["configuration"]["chunk_shape"]]
            codecs = {codec["name"] for codec in about["codecs"]}
            kind = about["data_type"]
        except (TypeError, KeyError, ValueError, OverflowError) as error:
            raise Broken("no array") from error
        if kind != TYPES[name] or not codecs <= CODECS or len(shape) != len(chunk):
            raise Broken("not an array of a sweep")
        if (
            min(shape) < 0
            or min(chunk) < 1
            or any(c > max(n, 1) for c, n in zip(chunk, shape, strict=True))
        ):
            raise Broken("no shape")
        if math.prod(max(size, 1) for size in shape) > MOST:
            raise Broken("larger than any block")
        counts = [-(-size // part) for size, part in zip(shape, chunk, strict=True)]
    return ["/".join([name, "c", *map(str, at)]) for at in product(*map(range, counts))]


def check_fit(block: Block, about: Mapping[str, Any]) -> None:
    """Broken unless the members and the shapes of a block fit the sweep that `about` describes."""
    p, v = len(about["parameters"]), len(about["variables"])
    numbers = len(STATISTICS) + len(LEVELS)
    samples = block.draws.shape[1] if block.draws.ndim == 3 else 0
    shapes = {
        "parameters": (p, numbers),
        "impacts": (len(EFFECTS), v, numbers),
        "scores": (len(SCORES),),
        "draws": (samples, p),
        "impact_draws": (samples, len(EFFECTS), v),
    }
    total = math.prod(len(labels) for labels in about["coords"].values())
    members = block.index.tolist() if block.index.ndim == 1 else []
    if (
        not members
        or len(set(members)) != len(members)
        or not 0 <= min(members) <= max(members) < total
    ):
        raise Broken("it does not tell its members")
    for name, shape in shapes.items():
        if getattr(block, name).shape != (len(members), *shape):
            raise Broken(f"{name} has a shape that is not this sweep's")
