"""Damage to a sweep's store is named, mended, or refused: flipped bits, files that are cut, moved,
forged or not the sweep's.
"""

import json
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from stored_blocks import ABOUT, PARTS, copy_store, files, finish, read_numbers, survive

import spillover as so
from spillover.engine.storage.sealed import add_seal, encode, seal
from spillover.engine.sweeps import store
from spillover.kernels.errors import SpilloverWarning, StorageError


def flips(path: Path, count: int) -> list[tuple[int, int]]:
    """Some (file, bit) of a store, each file among them."""
    rng, places = random.Random(1), files(path)
    which = [i % len(places) for i in range(count)]
    return [(i, rng.randrange(8 * places[i].stat().st_size)) for i in which]


def flip_and_mend(whole, tmp_path, count: int, mended: int) -> None:
    """So many flips, each `mended`-th of them followed by a sweep that mends it."""
    path = copy_store(whole, tmp_path)
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
            copy_store(whole, tmp_path)
        else:
            place.write_bytes(before)


def test_a_flipped_bit_is_found(whole, tmp_path):
    flip_and_mend(whole, tmp_path, len(files(whole[0])), mended=8)


@pytest.mark.verify
def test_a_flipped_bit_is_found_wherever_it_is(whole, tmp_path):
    flip_and_mend(whole, tmp_path, 400, mended=4)


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


def damage_and_mend(whole, tmp_path, kind: str, which: slice) -> None:
    path = copy_store(whole, tmp_path)
    for file in files(whole[0])[which]:
        place = path / file.relative_to(whole[0])
        DAMAGES[kind](place)
        named = survive(path, whole[1], place)
        assert named == (place.parent.name != "blocks")
        shutil.rmtree(path)
        copy_store(whole, tmp_path)


@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_to_one_file_is_named_and_mended(whole, tmp_path, kind):
    damage_and_mend(
        whole, tmp_path, kind, slice(None, None, 4) if kind == "deleted" else slice(3, 4)
    )


@pytest.mark.verify
@pytest.mark.parametrize("kind", DAMAGES)
def test_damage_to_any_file_is_named_and_mended(whole, tmp_path, kind):
    damage_and_mend(whole, tmp_path, kind, slice(None))


def test_files_that_changed_places_are_found(whole, tmp_path):
    path = copy_store(whole, tmp_path)
    one, two = (
        path / "blocks" / "00000001-1" / name / "c" / at
        for name, at in (("impacts", "0/0/0/0"), ("parameters", "0/0/0"))
    )
    held = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(held)
    survive(path, whole[1], one)


def test_blocks_that_changed_places_are_found(whole, tmp_path):
    path = copy_store(whole, tmp_path)
    blocks = path / "blocks"
    for old, new in (("00000001-1", "x"), ("00000003-1", "00000001-1"), ("x", "00000003-1")):
        (blocks / old).rename(blocks / new)
    with pytest.raises(
        StorageError, match=r"block 00000001-1 .*, block 00000003-1 .* not of the members"
    ):
        read_numbers(path)
    with pytest.warns(SpilloverWarning, match="block 00000001-1"):
        assert finish(path) == (whole[1], [[1], [3]])


def test_a_block_of_another_sweep_is_found(whole, tmp_path):
    path = copy_store(whole, tmp_path)
    finish(tmp_path / "other.zarr", ABOUT | {"digest": "4" * 64})
    shutil.rmtree(path / "blocks" / "00000001-1")
    shutil.copytree(
        tmp_path / "other.zarr" / "blocks" / "00000001-1", path / "blocks" / "00000001-1"
    )
    with pytest.raises(
        StorageError, match=r"block 00000001-1 \(north / SDM .*: it is of another sweep"
    ):
        read_numbers(path)


def test_a_file_that_does_not_belong_is_found_and_what_file_managers_leave_is_not(whole, tmp_path):
    path = copy_store(whole, tmp_path)
    (path / "blocks" / "00000000-2" / ".DS_Store").write_text("mine")
    (path / "blocks" / "notes.txt").write_text("mine")
    assert read_numbers(path) == whole[1]
    more = path / "blocks" / "00000000-2" / "impacts" / "c" / "1"
    more.write_text("x")
    assert survive(path, whole[1], more) == 1
    assert (
        path / "damaged" / "00000000-2" / "impacts" / "c" / "1"
    ).read_text() == "x"  # set aside, not deleted


def test_a_file_in_the_place_of_a_block_and_of_all_blocks(whole, tmp_path):
    path = copy_store(whole, tmp_path)
    place = path / "blocks" / "00000003-1"
    shutil.rmtree(place)
    place.write_text("x")
    assert survive(path, whole[1], place) == 1
    shutil.rmtree(path / "blocks")
    (path / "blocks").write_text("x")
    with pytest.raises(StorageError, match="blocks is no folder"):
        read_numbers(path)
    with pytest.warns(
        SpilloverWarning,
        match="blocks was no folder: moved to .*damaged, and all members are fitted again",
    ):
        out, fitted = finish(path)
    assert fitted == PARTS
    assert out == whole[1]


def test_a_block_that_is_gone_is_not_finished(whole, tmp_path):
    path = copy_store(whole, tmp_path)
    shutil.rmtree(path / "blocks" / "00000000-2")
    with pytest.warns(SpilloverWarning, match="2 of the 4 members in .* are not finished"):
        out = so.open_sweep(path)
    assert int(np.isfinite(out.summary["mean"].sel(parameter="x")).sum()) == 2
    out, fitted = finish(path)
    assert fitted == [[0, 2]]
    assert out == whole[1]


@pytest.mark.parametrize("left", ["missing", "damaged"])
def test_a_description_that_is_lost_is_told_by_the_blocks(whole, tmp_path, left):
    path = copy_store(whole, tmp_path)
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
    path = copy_store(whole, tmp_path)
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
    path = copy_store(whole, tmp_path)
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
            read_numbers(path)
    attributes = {"format": 3, **ABOUT, "coords": {"weights": []}}
    (path / "zarr.json").write_bytes(encode({**store.GROUP, "attributes": add_seal(attributes)}))
    with pytest.raises(StorageError, match="does not describe a sweep"):
        read_numbers(path)


def test_a_warning_names_some_blocks_and_counts_the_others(tmp_path):
    labels = [f"w{i}" for i in range(15)]
    about = ABOUT | {"coords": ABOUT["coords"] | {"weights": labels, "model": ["SAR"]}}
    finish(tmp_path / "out.zarr", about, [[i] for i in range(15)])
    for place in (tmp_path / "out.zarr").glob("blocks/*/manifest.json"):
        place.unlink()
    with pytest.raises(
        StorageError, match=r"00000009-1 \(1 members: manifest.json: missing\), and 5 more blocks"
    ):
        read_numbers(tmp_path / "out.zarr")
