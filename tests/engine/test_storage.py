"""Files and folders are written whole or not at all, and a lock says whose it is."""

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spillover.engine import storage
from spillover.engine.storage import locked, sha256, whole_file, whole_folder
from spillover.kernels.errors import StorageError


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_its_place_when_the_block_ends(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with whole_file(path) as beside:
        beside.write_text("new")
        assert path.read_text() == "old"
        assert beside.suffix == ".csv"  # libraries read the format off it
    assert path.read_text() == "new"
    assert names(tmp_path) == ["table.csv"]


def test_a_full_disk_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "fit.nc"
    path.write_text("old")

    def write() -> None:
        with whole_file(path) as beside:
            beside.write_text("ne")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(StorageError, match=r"fit\.nc could not be written \(No space left on device\): what was there before is"):
        write()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["fit.nc"]


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    with whole_file(link) as beside:
        beside.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"


@pytest.mark.parametrize(("place", "says"), [("", "is a folder"), ("none/file", "There is no folder")])
def test_no_place_for_a_file(tmp_path, place, says):
    with pytest.raises(StorageError, match=says), whole_file(tmp_path / place):
        pytest.fail("the block was entered")


def test_a_folder_replaces_the_old_one_with_all_that_was_in_it(tmp_path):
    place = tmp_path / "report"
    place.mkdir()
    (place / "stale").write_text("old")
    with whole_folder(place) as beside:
        (beside / "tables").mkdir()
        (beside / "tables" / "new").write_text("new")
        assert names(place) == ["stale"]
    assert names(place) == ["tables"]
    assert names(tmp_path) == ["report"]


@pytest.mark.parametrize("fault", [ValueError("a fault in the block"), KeyboardInterrupt()])
def test_a_fault_leaves_the_old_folder(tmp_path, fault):
    place = tmp_path / "report"
    place.mkdir()
    (place / "kept").write_text("old")

    def write() -> None:
        with whole_folder(place) as beside:
            (beside / "new").write_text("new")
            raise fault

    with pytest.raises(type(fault)):
        write()
    assert names(place) == ["kept"]
    assert names(tmp_path) == ["report"]


def test_a_file_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "report").write_text("mine")
    with pytest.raises(StorageError, match="is a file: give the name of a folder"), whole_folder(tmp_path / "report"):
        pytest.fail("the block was entered")
    assert (tmp_path / "report").read_text() == "mine"


def test_what_a_process_killed_between_the_two_renamings_left_is_put_back(tmp_path):
    aside = tmp_path / f"{storage.REPLACED}0-report"
    aside.mkdir()
    (aside / "kept").write_text("old")
    storage.restore(tmp_path / "report")
    assert names(tmp_path) == ["report"]
    assert names(tmp_path / "report") == ["kept"]


def test_sha256_of_a_file(tmp_path):
    (tmp_path / "bytes").write_bytes(b"\x00" * 100_000)
    assert sha256(tmp_path / "bytes") == hashlib.sha256(b"\x00" * 100_000).hexdigest()


HOLD = """
import sys
from pathlib import Path
from spillover.engine.storage import locked
with locked(Path(sys.argv[1]), "the store"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_names_its_owner_and_goes_with_its_process(tmp_path):
    lock = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout.readline() == b"held\n"
            says = rf"the store is in use by process {other.pid} of .* since 20"
            with pytest.raises(StorageError, match=says), locked(lock, "the store"):
                pytest.fail("two held it at once")
        finally:
            other.kill()
    with locked(lock, "the store"), pytest.raises(StorageError, match=f"process {os.getpid()} "), locked(lock, "the store"):
        pytest.fail("one process held it twice")
    with locked(lock, "the store"):
        pass
