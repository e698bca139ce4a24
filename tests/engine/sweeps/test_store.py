"""A sweep's store loses nothing and changes nothing silently: hand-made blocks, read back after
every kind of damage.
"""

import errno
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile
import warnings
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import zarr

import spillover as so
from spillover.engine.data import provenance
from spillover.engine.storage.sealed import Broken, canonical, seal, with_seal
from spillover.engine.sweeps import store, store_earlier
from spillover.engine.sweeps.block_files import pack, unpack
from spillover.engine.sweeps.chunk import ARRAYS, EFFECTS, LEVELS, SCORES, STATISTICS, Block
from spillover.engine.sweeps.plan import DIMS
from spillover.kernels.errors import SpilloverWarning, StorageError

DATA = Path(__file__).parents[1] / "data"
LABELS = (["north", "Zürich"], ["SAR", "SDM"], ["twoway"], ["default"], ["default"], ["all"])
ABOUT = {
    "digest": "5" * 64,
    "formula": "y ~ x",
    "coords": dict(zip(DIMS, LABELS, strict=True)),
    "parameters": ["Intercept", "x", "rho", "sigma"],
    "variables": ["x"],
    "settings": {"sampler": "exact", "draws": 4, "seed": 3},
    "data": ["6" * 64],
    "weights": {"north": "7" * 64, "Zürich": "8" * 64},
}
PARTS = [[0, 2], [1], [3]]
NUMBERS = len(STATISTICS) + len(LEVELS)


def made(members: list[int]) -> Block:
    """A block with numbers of its own, among them missing ones and zeros."""
    rng, m = np.random.default_rng(members), len(members)
    impacts = rng.normal(size=(m, len(EFFECTS), 1, NUMBERS))
    impacts[:, 1] = 0.0
    scores = rng.normal(size=(m, len(SCORES)))
    scores[:, 3:] = np.nan
    failure = tuple("Ω is singular" if position == 3 else "" for position in members)
    parameters, draws = rng.normal(size=(m, 4, NUMBERS)), rng.normal(size=(m, 4, 4))
    draws_of_impacts = np.zeros((m, 4, len(EFFECTS), 1))
    return Block(np.asarray(members), parameters, impacts, scores, draws, draws_of_impacts, failure)


def finish(path: Path, about=ABOUT, parts=PARTS) -> tuple[list, list[list[int]]]:
    """What a sweep does with its store, the members being `made` in place of fitted; and which
    were.
    """
    with store.open_store(path, about, parts) as place:
        blocks = [one.block for one in place.kept]
        done = {position for block in blocks for position in block.index.tolist()}
        todo = [part for part in parts if not done.issuperset(part)]
        for part in todo:
            store.write_block(place, made(part))
            blocks.append(made(part))
        return numbers(blocks, about), todo


def opened(path: Path) -> list:
    kept, about = store.load(path)
    return numbers(
        [one.block for one in kept],
        {name: value for name, value in about.items() if name != "format"},
    )


def numbers(blocks: list[Block], about: dict) -> list:
    """Every bit of what a sweep is made of."""
    ordered = sorted(blocks, key=lambda block: int(block.index[0]))
    return [
        about,
        *(
            [getattr(block, name).tobytes() for name in ("index", *ARRAYS)] + [block.failure]
            for block in ordered
        ),
    ]


def files(path: Path) -> list[Path]:
    """Those that hold anything: not the lock, and not what describes the empty group of
    the blocks.
    """
    found = sorted(place for place in path.rglob("*") if place.is_file())
    return [place for place in found if not place.name.startswith(".lock")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A store, and the numbers in it."""
    path = tmp_path_factory.mktemp("whole") / "out.zarr"
    return path, finish(path)[0]


def fresh(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole[0], tmp_path / "out.zarr"))


def survive(path: Path, wanted: list, damaged: Path, *, mend: bool = True) -> bool:
    """Reading gives the same numbers or an error that names the damage; sweeping again gives the
    same numbers, having fitted no more than the members of the damaged block; `mend`: do so.
    Whether the damage was named.
    """
    block = (
        damaged.relative_to(path / "blocks").parts[0] if "blocks" in damaged.parts else "zarr.json"
    )
    try:
        assert opened(path) == wanted
        message = None
    except StorageError as error:
        message = str(error)
    named = message is not None
    if message is not None:
        assert block in message
        assert "run the sweep again with the same store" in message
        assert "\n" not in message
    if not mend:
        return named
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found, fitted = finish(path)
    assert found == wanted
    assert opened(path) == wanted
    assert len(said) == named
    assert all(one.category is SpilloverWarning and block in str(one.message) for one in said)
    assert len(fitted) == (named if block != "zarr.json" else 0)
    assert all(block.startswith(f"{part[0]:08d}") for part in fitted)
    return named


def flips(path: Path, count: int) -> list[tuple[int, int]]:
    """Some (file, bit) of a store, each file among them."""
    rng, places = random.Random(1), files(path)
    which = [i % len(places) for i in range(count)]
    return [(i, rng.randrange(8 * places[i].stat().st_size)) for i in which]


def flipped(whole, tmp_path, count: int, mended: int) -> None:
    """So many flips, each `mended`-th of them followed by a sweep that mends it."""
    path = fresh(whole, tmp_path)
    for number, (i, bit) in enumerate(flips(whole[0], count)):
        place = path / files(whole[0])[i].relative_to(whole[0])
        before = place.read_bytes()
        content = bytearray(before)
        content[bit // 8] ^= 1 << bit % 8
        place.write_bytes(content)
        mend = number % mended == 0
        named = survive(path, whole[1], place, mend=mend)
        # blocks/zarr.json says nothing that is read
        assert named == (place.parent.name != "blocks")
        if mend:
            shutil.rmtree(path)
            fresh(whole, tmp_path)
        else:
            place.write_bytes(before)


def test_a_flipped_bit_is_found(whole, tmp_path):
    flipped(whole, tmp_path, len(files(whole[0])), mended=8)


@pytest.mark.verify
def test_a_flipped_bit_is_found_wherever_it_is(whole, tmp_path):
    flipped(whole, tmp_path, 400, mended=4)


def to_folder(place: Path) -> None:
    place.unlink()
    place.mkdir()


def to_pipe(place: Path) -> None:
    place.unlink()
    os.mkfifo(place)


def to_endless(place: Path) -> None:
    place.unlink()
    place.symlink_to("/dev/zero")


DAMAGES = {
    "deleted": Path.unlink,
    "cut": lambda place: os.truncate(place, place.stat().st_size - 1),
    "emptied": lambda place: os.truncate(place, 0),
    "longer": lambda place: place.write_bytes(place.read_bytes() + b"\n"),
    "junk": lambda place: place.write_bytes(b"{\xff\x00" * 50),
    "nested": lambda place: place.write_bytes(b"[" * 100_000),
    "folder": to_folder,
    "pipe": to_pipe,
    "endless": to_endless,
}


def damaged(whole, tmp_path, kind: str, which: slice) -> None:
    path = fresh(whole, tmp_path)
    for file in files(whole[0])[which]:
        place = path / file.relative_to(whole[0])
        DAMAGES[kind](place)
        named = survive(path, whole[1], place)
        assert named == (place.parent.name != "blocks")
        shutil.rmtree(path)
        fresh(whole, tmp_path)


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_to_one_file_is_named_and_mended(whole, tmp_path, kind):
    damaged(whole, tmp_path, kind, slice(None, None, 4) if kind == "deleted" else slice(3, 4))


@pytest.mark.verify
@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_to_any_file_is_named_and_mended(whole, tmp_path, kind):
    damaged(whole, tmp_path, kind, slice(None))


def test_files_that_changed_places_are_found(whole, tmp_path):
    path = fresh(whole, tmp_path)
    one, two = (
        path / "blocks" / "00000001-1" / name / "c" / at
        for name, at in (("impacts", "0/0/0/0"), ("parameters", "0/0/0"))
    )
    held = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(held)
    survive(path, whole[1], one)


def test_blocks_that_changed_places_are_found(whole, tmp_path):
    path = fresh(whole, tmp_path)
    blocks = path / "blocks"
    for old, new in (("00000001-1", "x"), ("00000003-1", "00000001-1"), ("x", "00000003-1")):
        (blocks / old).rename(blocks / new)
    with pytest.raises(
        StorageError, match=r"block 00000001-1 .*, block 00000003-1 .* not of the members"
    ):
        opened(path)
    with pytest.warns(SpilloverWarning, match="block 00000001-1"):
        assert finish(path) == (whole[1], [[1], [3]])


def test_a_block_of_another_sweep_is_found(whole, tmp_path):
    path = fresh(whole, tmp_path)
    finish(tmp_path / "other.zarr", ABOUT | {"digest": "4" * 64})
    shutil.rmtree(path / "blocks" / "00000001-1")
    shutil.copytree(
        tmp_path / "other.zarr" / "blocks" / "00000001-1", path / "blocks" / "00000001-1"
    )
    with pytest.raises(
        StorageError, match=r"block 00000001-1 \(north / SDM .*: it is of another sweep"
    ):
        opened(path)


def test_a_file_that_does_not_belong_is_found_and_what_file_managers_leave_is_not(whole, tmp_path):
    path = fresh(whole, tmp_path)
    (path / "blocks" / "00000000-2" / ".DS_Store").write_text("mine")
    (path / "blocks" / "notes.txt").write_text("mine")
    assert opened(path) == whole[1]
    more = path / "blocks" / "00000000-2" / "impacts" / "c" / "1"
    more.write_text("x")
    assert survive(path, whole[1], more) == 1
    assert (
        path / "damaged" / "00000000-2" / "impacts" / "c" / "1"
    ).read_text() == "x"  # set aside, not deleted


def test_a_file_in_the_place_of_a_block_and_of_all_blocks(whole, tmp_path):
    path = fresh(whole, tmp_path)
    place = path / "blocks" / "00000003-1"
    shutil.rmtree(place)
    place.write_text("x")
    assert survive(path, whole[1], place) == 1
    shutil.rmtree(path / "blocks")
    (path / "blocks").write_text("x")
    with pytest.raises(StorageError, match="blocks is no folder"):
        opened(path)
    with pytest.warns(
        SpilloverWarning,
        match="blocks was no folder: moved to .*damaged, and all members are fitted again",
    ):
        out, fitted = finish(path)
    assert fitted == PARTS
    assert out == whole[1]


def test_a_block_that_is_gone_is_not_finished(whole, tmp_path):
    path = fresh(whole, tmp_path)
    shutil.rmtree(path / "blocks" / "00000000-2")
    with pytest.warns(SpilloverWarning, match="2 of the 4 members in .* are not finished"):
        out = so.open_sweep(path)
    assert int(np.isfinite(out.summary["mean"].sel(parameter="x")).sum()) == 2
    out, fitted = finish(path)
    assert fitted == [[0, 2]]
    assert out == whole[1]


@pytest.mark.parametrize("left", ["missing", "damaged"])
def test_a_description_that_is_lost_is_told_by_the_blocks(whole, tmp_path, left):
    path = fresh(whole, tmp_path)
    (path / "zarr.json").write_text("{}") if left == "damaged" else (path / "zarr.json").unlink()
    if left == "damaged":  # not ours to tell: any Zarr array may look so
        with pytest.raises(so.DataError, match="not a stored sweep"):
            finish(path)
        return
    with pytest.raises(so.DataError, match="another sweep"):
        finish(path, ABOUT | {"digest": "4" * 64})
    with pytest.warns(
        SpilloverWarning, match=r"zarr\.json was damaged \(missing\) and is written anew"
    ):
        out, fitted = finish(path)
    assert not fitted
    assert out == whole[1]


def test_a_store_of_which_nothing_tells_whose_it_is(whole, tmp_path):
    path = fresh(whole, tmp_path)
    for place in (path / "zarr.json", *path.glob("blocks/*/manifest.json")):
        place.write_text("x")
    with pytest.raises(
        StorageError, match=r"zarr\.json is damaged \(no JSON\), and no block tells"
    ):
        finish(path)
    assert not (path / "damaged").exists()


def test_a_forged_store_is_refused_in_our_own_words(whole, tmp_path):
    """Sealed anew by someone who knows how: shapes, types and members that are not the sweep's,
    paths that lead out of it.
    """
    path = fresh(whole, tmp_path)
    place = path / "blocks" / "00000001-1" / "manifest.json"
    about = json.loads(place.read_text())
    del about["sha256"]
    entries = about["files"]
    forged = [
        about | {"members": [2]},
        about | {"members": None},
        about | {"files": entries | {"../../../secret": {"bytes": 1, "sha256": "0"}}},
        about | {"files": dict.fromkeys(entries)},
        {"sweep": about["sweep"]},
    ]
    for document in forged:
        place.write_bytes(seal(document))
        with pytest.raises(StorageError, match="block 00000001-1"):
            opened(path)
    attributes = {"format": 3, **ABOUT, "coords": {"weights": []}}
    (path / "zarr.json").write_bytes(
        canonical({**store.GROUP, "attributes": with_seal(attributes)})
    )
    with pytest.raises(StorageError, match="does not describe a sweep"):
        opened(path)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("impacts/zarr.json", {"shape": [1 << 40, 3, 1, 26]}, "larger than any block"),
        ("impacts/zarr.json", {"shape": [1e400]}, "no array"),
        ("impacts/zarr.json", {"data_type": "object"}, "not an array of a sweep"),
        ("impacts/zarr.json", {"codecs": [{"name": "pickle"}]}, "not an array of a sweep"),
        (
            "impacts/zarr.json",
            {"chunk_grid": {"configuration": {"chunk_shape": [0, 3, 1, 26]}}},
            "no shape",
        ),
        ("impacts/zarr.json", {"zarr_format": 2}, "cannot be decoded"),
        ("impacts/zarr.json", {"fill_value": {}}, "cannot be decoded"),
        ("zarr.json", {"attributes": None}, "no reasons of failures"),
        ("zarr.json", {"attributes": {"failure": "[1]"}}, "no reasons of failures"),
        ("zarr.json", {"attributes": {"failure": "[]"}}, "not of one length"),
    ],
)
def test_what_zarr_would_stumble_over(name, change, says):
    content = pack(made([1]))
    content[name] = json.dumps(json.loads(content[name]) | change).encode()
    with pytest.raises(Broken, match=says):
        unpack(content)


def test_other_programs_read_a_store_and_miss_no_chunk_unnoticed(whole, tmp_path):
    """Empty chunks are there; one that is lost is not a number to Zarr; one that is altered is
    refused by its own checksum.
    """
    path = fresh(whole, tmp_path)
    group = zarr.open_group(path, mode="r")
    assert group["blocks/00000000-2/impact_draws"][:].any() == False  # noqa: E712
    (chunk,) = (p for p in (path / "blocks/00000000-2/impact_draws/c").rglob("*") if p.is_file())
    held = bytearray(chunk.read_bytes())
    held[-6] ^= 1
    chunk.write_bytes(held)
    with pytest.raises(ValueError, match="checksum"):
        group["blocks/00000000-2/impact_draws"][:]
    chunk.unlink()
    assert np.isnan(group["blocks/00000000-2/impact_draws"][:]).all()


def test_members_divided_otherwise_are_fitted_again(whole, tmp_path):
    path = fresh(whole, tmp_path)
    with pytest.warns(SpilloverWarning, match="00000000-2 .*divides members otherwise"):
        _, fitted = finish(path, parts=[[0], [2], [1], [3]])
    assert fitted == [[0], [2]]
    shutil.copytree(path / "damaged" / "00000000-2", path / "blocks" / "00000000-2")
    with pytest.raises(StorageError, match=r"block 00000000-2 .*in another block too"):
        opened(path)


def test_a_warning_names_some_blocks_and_counts_the_others(tmp_path):
    labels = [f"w{i}" for i in range(15)]
    about = ABOUT | {"coords": ABOUT["coords"] | {"weights": labels, "model": ["SAR"]}}
    finish(tmp_path / "out.zarr", about, [[i] for i in range(15)])
    for place in (tmp_path / "out.zarr").glob("blocks/*/manifest.json"):
        place.unlink()
    with pytest.raises(
        StorageError, match=r"00000009-1 \(1 members: manifest.json: missing\), and 5 more blocks"
    ):
        opened(tmp_path / "out.zarr")


# versions


def test_a_sweep_that_goes_on_under_another_version_says_so(tmp_path, monkeypatch):
    path, now = tmp_path / "out.zarr", provenance.versions()
    before = now | {"spillover": "0.1.9", "jax": "0.9"}
    with monkeypatch.context() as patch:
        patch.setattr(store, "versions", lambda: before)
        with store.open_store(path, ABOUT, PARTS) as place:
            store.write_block(place, made([0, 2]))
    here = re.escape(f"spillover {now['spillover']}, jax {now['jax']}: they are kept")
    with pytest.warns(
        SpilloverWarning,
        match=rf"2 members in .* under spillover 0\.1\.9, jax 0\.9, and this is {here}",
    ):
        _, fitted = finish(path)
    assert fitted == [[1], [3]]
    assert so.open_sweep(path).about["versions"] == [before, now]


def test_what_was_swept_and_by_which_versions_is_in_about(whole):
    assert so.open_sweep(whole[0]).about == ABOUT | {"versions": [provenance.versions()]}


# stores of version 0.1.0, made by it, with the numbers that it returned


@pytest.fixture(params=[1, 2])
def earlier(request, tmp_path):
    with tarfile.open(DATA / f"sweep_format_{request.param}.tar.xz") as file:
        file.extractall(tmp_path, filter="data")
    return request.param, tmp_path / "sweep.zarr", np.load(tmp_path / "returned.npz")


def assert_returned(out: so.Sweep, returned) -> None:
    for name in returned.files:
        if name != "failures":
            kind, field = name.split(".")
            np.testing.assert_array_equal(getattr(out, kind)[field].to_numpy(), returned[name])
    np.testing.assert_array_equal(out.failures.to_numpy(dtype=str), returned["failures"])


def test_a_store_of_version_0_1_0_opens_to_its_numbers(earlier):
    known, path, returned = earlier
    with pytest.warns(
        SpilloverWarning, match=f"is of format {known}, of version 0.1.0, without checksums"
    ):
        out = so.open_sweep(path)
    assert_returned(out, returned)
    assert np.isnan(out.summary["quasi"]).all() == (known == 1)
    assert len(returned["failures"]) == 2


def test_a_store_of_version_0_1_0_is_moved_aside_when_its_sweep_goes_on(earlier):
    known, path, returned = earlier
    about = json.loads((path / "zarr.json").read_text())["attributes"]
    about.pop("format")
    with pytest.raises(so.DataError, match="another sweep"):
        finish(path, about | {"digest": "4" * 64})
    with (
        pytest.warns(SpilloverWarning, match=f"in format {known}.*all members are fitted again"),
        store.open_store(path, about, PARTS) as place,
    ):
        assert place.kept == []
    with pytest.warns(SpilloverWarning, match="without checksums"):
        assert_returned(so.open_sweep(path / f"format-{known}"), returned)


def test_damage_in_a_store_of_version_0_1_0_is_named_where_it_can_be_seen(earlier):
    """A file that is missing or cut. Bits that were altered cannot be seen there, which the warning
    says.
    """
    _, path, _ = earlier
    for place in sorted(place for place in path.glob("blocks/*/**/*") if place.is_file())[::7]:
        content = place.read_bytes()
        for damage in (
            place.unlink,
            lambda content=content, place=place: place.write_bytes(content[: len(content) // 2]),
        ):
            damage()
            with pytest.raises(
                StorageError, match=f"block {place.relative_to(path / 'blocks').parts[0]} "
            ):
                opened(path)
        place.write_bytes(content)


def test_a_format_to_come_is_not_read(whole, tmp_path):
    path = fresh(whole, tmp_path)
    attributes = with_seal(ABOUT | {"format": 4})
    (path / "zarr.json").write_bytes(canonical({**store.GROUP, "attributes": attributes}))
    with pytest.raises(StorageError, match="format 4 of a later version"):
        opened(path)


# disks and places


def test_a_full_disk_keeps_what_is_finished(tmp_path, monkeypatch):
    path, write = tmp_path / "out.zarr", Path.write_bytes

    def full(place: Path, content: bytes) -> int:
        if "00000001-1" in str(place) and place.name == "0":
            write(place, content[:5])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(place, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(
        StorageError, match=r"00000001-1 could not be written \(No space left on device\)"
    ):
        finish(path)
    monkeypatch.undo()
    assert [p.name for p in sorted((path / "blocks").iterdir())] == ["00000000-2", "zarr.json"]
    assert finish(path)[1] == [[1], [3]]


LIMITED = """
import resource, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from test_store import finish
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
finish(Path(sys.argv[1]))
"""


@pytest.mark.verify
def test_a_disk_that_takes_no_more_keeps_what_is_finished(tmp_path):
    """The system's own refusal, in a process that may not write files of more than 1,500 bytes:
    descriptions are larger.
    """
    command = [
        sys.executable,
        "-c",
        LIMITED,
        str(tmp_path / "out.zarr"),
        str(Path(__file__).parent),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 1
    assert re.search(
        r"StorageError: .* could not be written \(File too large\)", ended.stderr.splitlines()[-1]
    )
    assert finish(tmp_path / "out.zarr")[1] == PARTS


def test_a_read_only_store_is_refused_and_read(whole, tmp_path, monkeypatch):
    path = fresh(whole, tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(
        StorageError, match=r"is read-only: give another store; so\.open_sweep reads it"
    ):
        finish(path)
    assert opened(path) == whole[1]


@pytest.mark.parametrize(("place", "error", "says"), [
    ("file", so.DataError, "not empty and not a sweep"),
    ("folder", so.DataError, "not empty and not a sweep"),
    ("file/out.zarr", StorageError, "cannot be used as a store .Not a directory"),
    ("x" * 300, StorageError, "File name too long"),
    ("loop", so.DataError, "not empty and not a sweep"),
])  # fmt: skip
def test_places_that_cannot_be(tmp_path, place, error, says):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").write_text("mine")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(error, match=says):
        finish(tmp_path / place)
    with pytest.raises((so.DataError, StorageError)):
        opened(tmp_path / place)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "folder" / "mine").read_text() == "mine"


@pytest.mark.parametrize("path", [3, None, "", "a\0b", b"bytes", True])
def test_what_is_no_path(path):
    with pytest.raises(so.SpecificationError, match="give a path"):
        so.open_sweep(path)


def test_a_place_in_folders_that_are_not_there_yet(tmp_path):
    assert finish(tmp_path / "a" / "b" / "out.zarr")[1] == PARTS


# two at a time


def test_two_sweeps_do_not_share_a_store(tmp_path):
    path = tmp_path / "out.zarr"
    says = (
        f"The store {re.escape(str(path))} is in use by process {os.getpid()} of .*: wait for it,"
        " end it, or give another place"
    )
    with store.open_store(path, ABOUT, PARTS) as place:
        (path / "blocks" / ".writing-x").mkdir()
        with pytest.raises(StorageError, match=says):
            finish(path)
        assert (path / "blocks" / ".writing-x").is_dir()  # another's unfinished block
        store.write_block(place, made([1]))
        with pytest.warns(SpilloverWarning, match="3 of the 4 members"):
            opened(path)  # while it is being written
    assert finish(path)[1] == [[0, 2], [3]]
    assert not list(path.rglob(".writing-*"))


def test_a_store_that_is_removed_meanwhile_is_not_made_again(tmp_path):
    path = tmp_path / "out.zarr"
    with store.open_store(path, ABOUT, PARTS) as place:
        shutil.rmtree(path)
        with pytest.raises(StorageError, match="was removed while the sweep was running"):
            store.write_block(place, made([1]))
    assert not path.exists()


def test_a_block_comes_back_as_it_was(tmp_path):
    block = made([3])
    found = unpack(pack(block))
    for entry in fields(Block):
        if entry.name in ARRAYS:
            assert getattr(found, entry.name).tobytes() == getattr(block, entry.name).tobytes()
    assert found.failure == block.failure == ("Ω is singular",)
    # empty to Zarr, and written
    failed = replace(block, **{name: np.full_like(getattr(block, name), np.nan) for name in ARRAYS})
    assert all(np.isnan(getattr(unpack(pack(failed)), name)).all() for name in ARRAYS)
    assert store_earlier.FORMATS == (1, 2)
