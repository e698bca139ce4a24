"""Tables as CSV: text that a spreadsheet would run gets a ' before it; numbers are what
they were.
"""

import csv
import io

import numpy as np
import pandas as pd
import pytest

from spillover.engine.data.datasets import munnell
from spillover.engine.reporting import page
from spillover.engine.storage.csv_text import csv_text
from spillover.engine.terminal import sweep

HOSTILE = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\tx",
    "\rx",
    "\n=1",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://x")',
    "＝1",
]
TAME = ["a", "", "a=b", "W:x", "'x", "np.log(x)", "ρ", 'say "x"', "a,b", "1-1", "a\r=1", "a\n=1"]


def cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("text", HOSTILE)
def test_text_that_a_spreadsheet_would_run(text):
    """In a cell, a heading, the name of the labels, and a label, of one level or two."""
    frame = pd.DataFrame(
        {"x": [text, "a"], text: [-1.5, 2.0]}, index=pd.Index([text, "b"], name=text)
    )
    found = cells(csv_text(frame))
    quoted = f"'{text}"
    assert found == [[quoted, "x", quoted], [quoted, quoted, "-1.5"], ["b", "a", "2.0"]]
    both = pd.DataFrame(
        {("a", text): [-1]}, index=pd.MultiIndex.from_tuples([(text, -1)], names=[text, "n"])
    )
    both.columns.names = [None, text]
    found = cells(csv_text(both))
    assert all(not cell.startswith(tuple("=+@\t\r\n＝")) for row in found for cell in row)
    assert found[-1] == [quoted, "-1", "-1"]


@pytest.mark.parametrize("text", TAME)
def test_other_text_stays(text):
    frame = pd.DataFrame({text: [text]}, index=pd.Index([text], name="name"))
    assert cells(csv_text(frame)) == [["name", text], [text, text]]


def test_numbers_are_what_they_were():
    """As pandas writes them, of any type; gaps, dates and truths too."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "float": rng.normal(size=3) * [1e-300, 1, 1e300],
            "whole": [-1, 0, 2**62],
            "gap": [-1.5, np.nan, np.inf],
            "truth": [True, False, True],
            "day": pd.date_range("2020-01-01", periods=3),
            "mixed": [-1, "=1", None],
            "kind": pd.Categorical(["=a", "b", "=a"]),
            "nullable": pd.array([-1, None, 2], dtype="Int64"),
        },
        index=[-1.5, 0.0, 2.5],
    )
    quoted = frame.assign(mixed=[-1, "'=1", None], kind=["'=a", "b", "'=a"])
    assert csv_text(frame) == quoted.to_csv(lineterminator="\n")
    assert csv_text(frame, index=False) == quoted.to_csv(index=False, lineterminator="\n")
    panel = munnell()[0]
    assert csv_text(panel, index=False) == panel.to_csv(index=False, lineterminator="\n")
    assert csv_text(panel[[]][:0]) == panel[[]][:0].to_csv(lineterminator="\n")
    twice = pd.DataFrame([[1, "=x"]], columns=["a", "a"])
    assert cells(csv_text(twice)) == [["", "a", "a"], ["0", "1", "'=x"]]


def test_reports_are_written_so(tmp_path):
    table = page.Table("scores", "Scores", pd.DataFrame({"=x": [-0.25]}, index=["@a"]))
    page.write_report(
        page.Report("Scores", "", (page.Section("Data", parts=(table,)),), {}), tmp_path
    )
    found = cells((tmp_path / "tables" / "scores.csv").read_text())
    assert found == [["", "'=x"], ["'@a", "-0.25"]]


def test_sweeps_are_written_so(tmp_path, monkeypatch):
    class Made:
        impacts = pd.DataFrame({"term": []})
        members = np.array([np.nan])

        def plot(self, kind, term=None):
            from matplotlib.figure import Figure

            return Figure()

    monkeypatch.setattr(
        sweep, "make_tables", lambda out: {"summary": pd.DataFrame({"rho": [-1.0]}, index=["=W"])}
    )
    sweep.write_files(Made(), tmp_path)
    assert cells((tmp_path / "summary.csv").read_text()) == [["", "rho"], ["'=W", "-1.0"]]
