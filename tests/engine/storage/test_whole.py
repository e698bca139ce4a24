"""Files and folders are written whole or not at all, and a lock says whose it is."""

import errno
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spillover.engine.storage import whole as storage
from spillover.engine.storage.whole import hash_file, hold_lock, whole_file, whole_folder
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

    with pytest.raises(
        StorageError,
        match=r"fit\.nc could not be written \(No space left on device\): what was there before is",
    ):
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


@pytest.mark.parametrize(
    ("place", "says"), [("", "is a folder"), ("none/file", "There is no folder")]
)
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
    with (
        pytest.raises(StorageError, match="is a file: give the name of a folder"),
        whole_folder(tmp_path / "report"),
    ):
        pytest.fail("the block was entered")
    assert (tmp_path / "report").read_text() == "mine"


def test_what_a_process_killed_between_the_two_renamings_left_is_put_back(tmp_path):
    aside = tmp_path / f"{storage.REPLACED}{'0' * 32}-report"
    aside.mkdir()
    (aside / "kept").write_text("old")
    storage.restore(tmp_path / "report")
    assert names(tmp_path) == ["report"]
    assert names(tmp_path / "report") == ["kept"]


def test_sha256_of_a_file(tmp_path):
    (tmp_path / "bytes").write_bytes(b"\x00" * 100_000)
    assert hash_file(tmp_path / "bytes") == hashlib.sha256(b"\x00" * 100_000).hexdigest()


HOLD = """
import sys
from pathlib import Path
from spillover.engine.storage.whole import hold_lock
with hold_lock(Path(sys.argv[1]), "the store"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_names_its_owner_and_goes_with_its_process(tmp_path):
    lock = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        try:
            assert other.stdout.readline() == b"held\n"
            says = rf"the store is in use by process {other.pid} of .* since 20"
            with pytest.raises(StorageError, match=says), hold_lock(lock, "the store"):
                pytest.fail("two held it at once")
        finally:
            other.kill()
    with (
        hold_lock(lock, "the store"),
        pytest.raises(StorageError, match=f"process {os.getpid()} "),
        hold_lock(lock, "the store"),
    ):
        pytest.fail("one process held it twice")
    with hold_lock(lock, "the store"):
        pass


@pytest.mark.parametrize(
    "target", [".replaced-{hex}-my-report", ".replaced-{hex}-report", ".replaced-notours-report"]
)
def test_what_another_folder_left_is_not_touched(tmp_path, target):
    """A folder `my-report` was moved aside when its process was killed: it is neither put back as
    `report` nor removed.
    """
    aside = tmp_path / target.format(hex="0" * 32)
    aside.mkdir()
    (aside / "kept").write_text("old")
    place = tmp_path / ("my-report" if target.endswith("}-report") else "report")
    with whole_folder(place) as beside:
        (beside / "new").write_text("new")
    assert names(place) == ["new"]
    assert names(aside) == ["kept"]


def test_a_name_with_brackets_is_put_back_too(tmp_path):
    (tmp_path / f"{storage.REPLACED}{'0' * 32}-out[1]").mkdir()
    storage.restore(tmp_path / "out[1]")
    assert names(tmp_path) == ["out[1]"]


def test_a_pipe_is_not_replaced_by_a_file(tmp_path):
    """Nor a device: the superuser's /dev/null would be a file then."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match="pipe is no file"), whole_file(tmp_path / "pipe"):
        pytest.fail("the block was entered")
    assert (tmp_path / "pipe").is_fifo()


def test_a_file_keeps_its_mode(tmp_path):
    path = tmp_path / "private"
    path.write_text("old")
    path.chmod(0o600)
    with whole_file(path) as beside:
        beside.write_text("new")
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_read_only_stays(tmp_path, monkeypatch):
    path = tmp_path / "finished"
    path.write_text("old")
    path.chmod(0o400)
    # nothing is read-only for the superuser
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place) != path)
    with pytest.raises(StorageError, match="finished is read-only"), whole_file(path):
        pytest.fail("the block was entered")
    assert path.read_text() == "old"


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "\ud800"])
@pytest.mark.parametrize("whole", [whole_file, whole_folder])
def test_names_that_no_disk_has(name, whole, tmp_path):
    with pytest.raises(StorageError) as caught, whole(tmp_path / name):
        pytest.fail("the block was entered")
    assert str(caught.value).isprintable()
    assert names(tmp_path) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from spillover.engine.storage.whole import whole_folder
with whole_folder(Path(sys.argv[1])) as beside:
    (beside / "report.html").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_killed_in_mid_write_leaves_the_old_folder(tmp_path):
    place = tmp_path / "report"
    place.mkdir()
    (place / "report.html").write_text("old")
    ended = subprocess.run([sys.executable, "-c", KILLED, str(place)], timeout=60, check=False)
    assert ended.returncode == -9
    assert names(place) == ["report.html"]
    assert (place / "report.html").read_text() == "old"


LIMITED = """
import resource, signal, sys
from pathlib import Path
from spillover.engine.storage.whole import whole_file
from spillover.kernels.errors import StorageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with whole_file(Path(sys.argv[1])) as beside:
        beside.write_bytes(bytes(5000))
except StorageError as error:
    print(error)
"""


def test_a_file_larger_than_the_system_lets_through(tmp_path):
    path = tmp_path / "fit.nc"
    path.write_text("old")
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)],
        timeout=60,
        check=True,
        capture_output=True,
        text=True,
    )
    assert "fit.nc could not be written (File too large)" in ended.stdout
    assert path.read_text() == "old"
    assert names(tmp_path) == ["fit.nc"]
