"""A study's folder: the old report is there whole until the new one is, and what is not ours is
left alone.
"""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

import spillover as so
from spillover.engine.reporting.page import Report, Section, Table
from spillover.engine.studies import study as studies
from spillover.engine.studies.findings import Findings


@pytest.fixture
def write(tmp_path, monkeypatch):
    """write(text, folder, save): `Study.write` of a study whose report has one table that says
    `text`.
    """

    def act(
        text: str, folder: Path | None = None, save=lambda path: path.write_text("draws"), **options
    ) -> list[Path]:
        table = Table(f"of_{text}", text, pd.DataFrame({"score": [text]}))
        page = Report("Scores", "", (Section("Data", parts=(table,)),), {})
        monkeypatch.setattr(studies, "make_tables", lambda findings: {})
        monkeypatch.setattr(studies, "make_report", lambda findings, tables: page)
        fields = dict.fromkeys(field.name for field in dataclasses.fields(Findings))
        fields["plan"] = SimpleNamespace(output=tmp_path / "report")
        fields["fit"] = SimpleNamespace(save=save)
        return so.Study(Findings(**fields)).write(folder, **options)

    return act


def names(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".spillover.json"
    }


def test_a_new_report_replaces_the_old_one_as_a_whole(write, tmp_path):
    write("old")
    paths = write("new")
    assert {path.relative_to(tmp_path / "report").as_posix() for path in paths} == names(
        tmp_path / "report"
    )
    assert names(tmp_path / "report") == {
        "report.html",
        "posterior.nc",
        "tables/of_new.csv",
        "tables/of_new.tex",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_fault_at_the_last_file_leaves_the_old_report(write, tmp_path):
    write("old", tmp_path / "out")
    before = {name: (tmp_path / "out" / name).read_bytes() for name in names(tmp_path / "out")}

    def full(path):
        raise so.StorageError("No space left on device")

    with pytest.raises(so.StorageError, match="No space left"):
        write("new", tmp_path / "out", full)
    assert {
        name: (tmp_path / "out" / name).read_bytes() for name in names(tmp_path / "out")
    } == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("name", ["study.toml", "report.html", "sweep.zarr/zarr.json"])
def test_a_folder_with_other_files_is_refused_and_kept(name, write, tmp_path):
    mine = tmp_path / "report" / name
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(so.StorageError, match=r"which spillover did not write: .*overwrite=True"):
        write("new")
    assert mine.read_text() == "mine"
    assert names(tmp_path / "report") == {name}
    write("new", overwrite=True)
    # over files of the same names only
    assert (mine.read_text() == "mine") == (name != "report.html")
    assert names(tmp_path / "report") == {
        name,
        "report.html",
        "posterior.nc",
        "tables/of_new.csv",
        "tables/of_new.tex",
    }


@pytest.mark.parametrize("folder", [3, "", b"out"])
def test_what_is_no_folder_is_refused(folder, write):
    with pytest.raises(so.SpecificationError, match=r"folder=.*: give a path"):
        write("new", folder)
