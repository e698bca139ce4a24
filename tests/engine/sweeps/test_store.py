"""A sweep's store keeps what is finished: versions, full and read-only disks, places that cannot
be, two sweeps at a time.
"""

import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr
from stored_blocks import ABOUT, PARTS, copy_store, finish, make_block, read_numbers

import spillover as so
from spillover.engine.data import provenance
from spillover.engine.sweeps import store
from spillover.kernels.errors import SpilloverWarning, StorageError


def test_other_programs_read_a_store_and_miss_no_chunk_unnoticed(whole, tmp_path):
    """Empty chunks are there; one that is lost is not a number to Zarr; one that is altered is
    refused by its own checksum.
    """
    path = copy_store(whole, tmp_path)
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
    path = copy_store(whole, tmp_path)
    with pytest.warns(SpilloverWarning, match="00000000-2 .*divides members otherwise"):
        _, fitted = finish(path, parts=[[0], [2], [1], [3]])
    assert fitted == [[0], [2]]
    shutil.copytree(path / "damaged" / "00000000-2", path / "blocks" / "00000000-2")
    with pytest.raises(StorageError, match=r"block 00000000-2 .*in another block too"):
        read_numbers(path)


def test_a_sweep_that_goes_on_under_another_version_says_so(tmp_path, monkeypatch):
    path, now = tmp_path / "out.zarr", provenance.versions()
    before = now | {"spillover": "0.1.9", "jax": "0.9"}
    with monkeypatch.context() as patch:
        patch.setattr(store, "versions", lambda: before)
        with store.open_store(path, ABOUT, PARTS) as place:
            store.write_block(place, make_block([0, 2]))
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
from stored_blocks import finish
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
        str(Path(__file__).parents[2]),
    ]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 1
    assert re.search(
        r"StorageError: .* could not be written \(File too large\)", ended.stderr.splitlines()[-1]
    )
    assert finish(tmp_path / "out.zarr")[1] == PARTS


def test_a_read_only_store_is_refused_and_read(whole, tmp_path, monkeypatch):
    path = copy_store(whole, tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(
        StorageError, match=r"is read-only: give another store; so\.open_sweep reads it"
    ):
        finish(path)
    assert read_numbers(path) == whole[1]


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
        read_numbers(tmp_path / place)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "folder" / "mine").read_text() == "mine"


@pytest.mark.parametrize("path", [3, None, "", "a\0b", b"bytes", True])
def test_what_is_no_path(path):
    with pytest.raises(so.SpecificationError, match="give a path"):
        so.open_sweep(path)


def test_a_place_in_folders_that_are_not_there_yet(tmp_path):
    assert finish(tmp_path / "a" / "b" / "out.zarr")[1] == PARTS


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
        store.write_block(place, make_block([1]))
        with pytest.warns(SpilloverWarning, match="3 of the 4 members"):
            read_numbers(path)  # while it is being written
    assert finish(path)[1] == [[0, 2], [3]]
    assert not list(path.rglob(".writing-*"))


def test_a_store_that_is_removed_meanwhile_is_not_made_again(tmp_path):
    path = tmp_path / "out.zarr"
    with store.open_store(path, ABOUT, PARTS) as place:
        shutil.rmtree(path)
        with pytest.raises(StorageError, match="was removed while the sweep was running"):
            store.write_block(place, make_block([1]))
    assert not path.exists()
