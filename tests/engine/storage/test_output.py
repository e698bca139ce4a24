"""Where commands write: below the TOML file's folder, over nothing but what spillover wrote and
nobody changed.
"""

import json
import os
from pathlib import Path

import pytest

from spillover.engine.storage.output import MARKER, begin, check_output, publish
from spillover.kernels.errors import StorageError


def content(folder: Path) -> dict[str, bytes]:
    """All files below a folder but for the lists."""
    found = {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file() and path.name != MARKER
    }
    return {name: path.read_bytes() for name, path in found.items()}


def writer(**files: str):
    """What writes some files, in folders too, into an empty folder."""

    def write(folder: Path) -> list[Path]:
        assert list(folder.iterdir()) == []
        paths = [folder / name.replace("__", "/").replace("_", ".") for name in files]
        for path, text in zip(paths, files.values(), strict=True):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        return paths

    return write


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_output_that_cannot_be(overwrite, tmp_path):
    (tmp_path / "file").write_text("mine")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone" / "x")
    for path in (
        tmp_path / "file",
        tmp_path / "file" / "out",
        tmp_path / "pipe",
        Path("/dev/null"),
        tmp_path / "nowhere" / "out",
    ):
        with pytest.raises(StorageError, match=r"is no folder; give another by --output"):
            check_output(path, overwrite)
    for path in (tmp_path / ("x" * 300), tmp_path / "a\0b"):
        with pytest.raises(StorageError, match="cannot be looked at"):
            check_output(path, overwrite)
    assert content(tmp_path) == {"file": b"mine"}


def test_a_folder_that_is_read_only(tmp_path, monkeypatch):
    """By os.access, for an administrator may write anywhere."""
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(StorageError, match="read-only for you"):
        check_output(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()


def test_a_folder_of_ours_is_replaced_as_a_whole(tmp_path):
    out = tmp_path / "out"
    assert check_output(out) is False
    assert publish(out, writer(a_csv="1", sub__b_png="2")) == [out / "a.csv", out / "sub" / "b.png"]
    assert check_output(out) is True
    publish(out, writer(a_csv="3"))
    assert content(tmp_path) == {"out/a.csv": b"3"}
    assert check_output(out) is True


def add(folder: Path) -> str:
    (folder / "notes.txt").write_text("my notes")
    return '"notes.txt", which spillover did not write'


def add_below(folder: Path) -> str:
    (folder / "sub" / "notes.txt").write_text("my notes")
    return '"sub/notes.txt", which spillover did not write'


def change(folder: Path) -> str:
    (folder / "a.csv").write_text("my notes")
    return '"a.csv", which was changed since'


def link(folder: Path) -> str:
    (folder / "a.csv").replace(folder.parent / "notes.txt")
    (folder / "a.csv").symlink_to(folder.parent / "notes.txt")
    return '"a.csv", which spillover did not write'


def unlist(folder: Path) -> str:
    (folder / MARKER).unlink()
    return "which spillover did not write"


def spoil(folder: Path) -> str:
    (folder / MARKER).write_text("[" * 100_000)
    return "which spillover did not write"


def spoil_types(folder: Path) -> str:
    (folder / MARKER).write_text(json.dumps({"files": 3, "apart": []}))
    return "which spillover did not write"


@pytest.mark.parametrize("act", [add, add_below, change, link, unlist, spoil, spoil_types])
@pytest.mark.parametrize("whole", [True, False])
def test_what_is_not_ours_is_not_lost(act, whole, tmp_path):
    """Refused; and with overwrite=True, files of the same names go and all else stays."""
    out = tmp_path / "out"
    publish(out, writer(a_csv="1", sub__b_png="2"), whole=whole)
    words = act(out)
    before = content(tmp_path)
    with pytest.raises(StorageError) as caught:
        check_output(out)
    assert words in str(caught.value)
    assert "--overwrite" in str(caught.value)
    assert content(tmp_path) == before
    assert check_output(out, True) is True
    publish(out, writer(a_csv="3"), whole=whole)
    after = content(tmp_path)
    assert after.pop("out/a.csv") == b"3"
    mine = {
        name: text for name, text in before.items() if text == b"my notes" and name != "out/a.csv"
    }
    assert mine.items() <= after.items()
    assert not (out / "a.csv").is_symlink()
    if act in (add, add_below):
        with pytest.raises(StorageError, match="spillover did not write"):
            check_output(out)  # overwritten once is not given away


def test_what_file_managers_and_killed_processes_leave_is_no_reason(tmp_path):
    publish(tmp_path / "out", writer(a_csv="1"))
    (tmp_path / "out" / ".DS_Store").touch()
    (tmp_path / "out" / ".writing-0").mkdir()
    (tmp_path / "out" / ".writing-0" / "half").touch()
    assert check_output(tmp_path / "out") is True


def test_a_sweep_keeps_its_store(tmp_path):
    out, store = tmp_path / "out", tmp_path / "out" / "sweep.zarr"
    begin(out, store)
    store.mkdir()
    (store / "chunk").write_text("1")
    assert check_output(out) is True  # stopped before anything else was written
    publish(out, writer(a_csv="1", b_csv="2"), whole=False)
    begin(out, store)
    publish(out, writer(a_csv="3"), whole=False)
    assert content(out) == {"sweep.zarr/chunk": b"1", "a.csv": b"3", "b.csv": b"2"}
    assert check_output(out) is True
    begin(out, tmp_path / "elsewhere.zarr")
    assert check_output(out) is True


def test_a_failure_leaves_what_was_there(tmp_path):
    out = tmp_path / "out"

    def fail(folder: Path) -> list[Path]:
        (folder / "a.csv").write_text("half")
        raise OSError(28, "No space left on device")

    for whole in (True, False):
        publish(out, writer(a_csv="1"), whole=whole)
        with pytest.raises((OSError, StorageError), match="No space left"):
            publish(out, fail, whole=whole)
        assert content(tmp_path) == {"out/a.csv": b"1"}
        assert check_output(out) is True


def test_a_process_killed_between_two_files_is_ours_to_go_on_with(tmp_path, monkeypatch):
    out = tmp_path / "out"
    publish(out, writer(a_csv="1", b_csv="2"), whole=False)
    real, moved = Path.replace, []

    def replace(path: Path, target: Path) -> Path:
        if path.suffix == ".csv":
            moved.append(path)
            if len(moved) == 2:
                raise KeyboardInterrupt
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(KeyboardInterrupt):
        publish(out, writer(a_csv="3", b_csv="4", c_csv="5"), whole=False)
    monkeypatch.undo()
    assert content(out) == {"a.csv": b"3", "b.csv": b"2"}
    assert check_output(out) is True


def test_a_link_in_a_foreign_folder_leads_nowhere(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "elsewhere").mkdir()
    (out / "sub").symlink_to(tmp_path / "elsewhere")
    check_output(out, True)
    with pytest.raises(StorageError, match="is a link that leads out of"):
        publish(out, writer(sub__b_png="2"))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_the_folder_one_stands_in_is_not_taken_away(tmp_path, monkeypatch):
    publish(tmp_path, writer(a_csv="1"))
    monkeypatch.chdir(tmp_path)
    before = tmp_path.stat().st_ino
    publish(Path("."), writer(a_csv="2"))
    assert content(tmp_path) == {"a.csv": b"2"}
    assert Path.cwd() == tmp_path
    assert tmp_path.stat().st_ino == before


def test_two_folders_of_ours_in_one_another(tmp_path):
    publish(tmp_path / "demo", writer(study_toml="1"), whole=False)
    publish(tmp_path / "demo" / "report", writer(a_html="1"))
    assert check_output(tmp_path / "demo") is True
    publish(tmp_path / "demo", writer(study_toml="2"), whole=False)
    assert content(tmp_path) == {"demo/study.toml": b"2", "demo/report/a.html": b"1"}
    (tmp_path / "demo" / "report" / "a.html").write_text("mine")
    with pytest.raises(StorageError, match="changed since"):
        check_output(tmp_path / "demo")
