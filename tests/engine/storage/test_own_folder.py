"""Folders of compiled programs and records: the user's own or not used; records that were altered
are not believed.
"""

import os
import stat
import warnings
from pathlib import Path

import numpy as np
import pytest

import spillover as so
from spillover.engine import cache, devices
from spillover.engine.storage.own_folder import make_own_folder, restrict_to_user
from spillover.kernels.errors import SpilloverWarning, StorageError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_is_made_for_the_user_alone(tmp_path):
    umask = os.umask(0)
    try:
        assert make_own_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    finally:
        os.umask(umask)
    assert mode(tmp_path / "a" / "b") == mode(tmp_path / "a") == 0o700
    (tmp_path / "a" / "b" / "kept").touch()
    assert make_own_folder(str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert make_own_folder(tmp_path / "link") == tmp_path / "link"
    (tmp_path / "a").chmod(0o755)  # others may look
    assert make_own_folder(tmp_path / "a") == tmp_path / "a"


@pytest.mark.parametrize("rights", [0o770, 0o702, 0o777, 0o1777])
def test_a_folder_that_others_write_to(rights, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(rights)
    with pytest.raises(StorageError, match=r"can be written to by others: chmod go-w"):
        make_own_folder(tmp_path / "a")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    with pytest.raises(StorageError, match="by others"):
        make_own_folder(tmp_path / "link")


def test_a_folder_that_others_could_exchange(tmp_path):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(StorageError, match="which everybody can write to"):
        make_own_folder(tmp_path / "open" / "a")
    (tmp_path / "open").chmod(0o1777)  # as /tmp: each removes one's own
    assert make_own_folder(tmp_path / "open" / "b") == tmp_path / "open" / "b"


def test_a_folder_of_another_user(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    owner = (tmp_path / "a").stat().st_uid
    real = Path.stat

    def owned(path, **options):
        fields = list(real(path, **options))
        return os.stat_result([*fields[:4], owner + 12345, *fields[5:]])

    monkeypatch.setattr(Path, "stat", owned)
    with pytest.raises(StorageError, match=f"belongs to another user \\(number {owner + 12345}\\)"):
        make_own_folder(tmp_path / "a")


def test_what_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for path in (
        tmp_path / "file",
        tmp_path / "file" / "x",
        "gs://bucket/x",
        tmp_path / "a\0b",
        tmp_path / ("x" * 300),
        "/proc/none",
    ):
        with pytest.raises(StorageError, match=r"is no folder|cannot be used as a folder"):
            make_own_folder(path)
    assert (tmp_path / "file").read_text() == "mine"
    assert make_own_folder(tmp_path / "nowhere") == tmp_path / "nowhere"


@pytest.mark.parametrize("keep", [so.cache.keep, so.keep_compiled])
def test_what_is_kept_is_kept_in_a_folder_of_ones_own(keep, tmp_path, monkeypatch):
    """JAX's configuration and the shelf stay as they were where the folder is refused."""
    told = []
    monkeypatch.setattr(devices.jax.config, "update", lambda *given: told.append(given))
    monkeypatch.setattr(cache._shelf, "folder", None)
    (tmp_path / "file").touch()
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    for path in (tmp_path / "file", tmp_path / "open"):
        for name in ("SPILLOVER_CACHE", "JAX_COMPILATION_CACHE_DIR"):
            monkeypatch.setenv(name, str(path))
        for given in ((path,), ()):  # as an argument, and by the environment
            with pytest.raises(StorageError, match=path.name):
                keep(*given)
    assert told == []
    assert cache.folder() is None
    assert keep(tmp_path / "own") == tmp_path / "own"
    assert mode(tmp_path / "own") == 0o700


@pytest.mark.parametrize("keep", [so.cache.keep, so.keep_compiled])
def test_a_user_without_a_home(keep, monkeypatch):
    for name in ("SPILLOVER_CACHE", "JAX_COMPILATION_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(StorageError, match="set HOME or XDG_CACHE_HOME"):
        keep()


def test_files_are_made_private(tmp_path):
    (tmp_path / "program").touch()
    (tmp_path / "program").chmod(0o644)
    (tmp_path / "elsewhere").touch()
    (tmp_path / "elsewhere").chmod(0o644)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    restrict_to_user(tmp_path / "in")
    assert mode(tmp_path / "elsewhere") == 0o644
    restrict_to_user(tmp_path)
    assert mode(tmp_path / "program") == 0o600
    restrict_to_user(tmp_path / "gone")


ARRAYS = {"nodes": np.linspace(-1, 1, 7), "values": np.arange(6, dtype=np.int64).reshape(2, 3)}


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """The cache on disk in a folder of the test's, with one record, whose path is returned; nothing
    in memory.
    """
    monkeypatch.setattr(cache, "_shelf", cache._Shelf())
    cache.keep(tmp_path / "kept")
    cache.recall(("a",), lambda: ARRAYS)
    cache._shelf.records.clear()
    (path,) = (tmp_path / "kept").iterdir()
    return path


def test_a_record_that_was_altered_is_made_again(shelf):
    """Every 3rd byte with one bit turned: the numbers are those that were kept, or are
    made again.
    """
    whole = shelf.read_bytes()
    for place in range(0, len(whole), 3):
        altered = bytearray(whole)
        altered[place] ^= 1 << (place % 8)
        shelf.write_bytes(altered)
        found = cache._read(shelf.stem)
        assert found is None or all(
            np.array_equal(found[name], ARRAYS[name]) for name in ARRAYS | found
        ), place
    for cut in range(0, len(whole), 50):
        shelf.write_bytes(whole[:cut])
        assert cache._read(shelf.stem) is None


def test_a_record_that_was_made_for_another_key_is_not_believed(shelf):
    cache.recall(("b",), lambda: {"nodes": np.zeros(7)})
    (other,) = (path for path in shelf.parent.iterdir() if path != shelf)
    other.replace(shelf)
    cache._shelf.records.clear()
    np.testing.assert_array_equal(cache.recall(("a",), lambda: ARRAYS)["nodes"], ARRAYS["nodes"])
    assert mode(shelf) == 0o600
    # one of an earlier version, or a forged one without a digest
    np.savez(shelf, nodes=np.zeros(7))
    assert cache._read(shelf.stem) is None
    np.savez(shelf, nodes=np.array([{"run": print}], dtype=object))
    assert cache._read(shelf.stem) is None


def test_a_full_disk_is_a_warning(shelf, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.warns(
        SpilloverWarning, match=r"kept cannot be written to \(No space left on device\): "
    ):
        found = cache.recall(("b",), lambda: ARRAYS)
    np.testing.assert_array_equal(found["nodes"], ARRAYS["nodes"])
    assert [path.name for path in shelf.parent.iterdir()] == [shelf.name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache.recall(("c",), lambda: ARRAYS)  # once said is enough
