"""The tables of a report's page, read back from its HTML."""

from html.parser import HTMLParser
from itertools import product
from typing import Any

import pandas as pd

WORDS = {"True": True, "False": False}
WHOLE = frozenset("-0123456789")


class _Reader(HTMLParser):
    """Every table as rows of (tag, attributes, text), by the name in the id around it; no tag may
    stay open.
    """

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: dict[str, dict[str, list[list[list]]]] = {}
        self.name, self.part, self.cell = "", "", None

    def handle_starttag(self, tag: str, attrs: list) -> None:
        given = dict(attrs)
        if given.get("id", "").startswith("table-"):
            self.name = given["id"].removeprefix("table-")
            self.tables[self.name] = {"thead": [], "tbody": []}
        elif tag in ("thead", "tbody"):
            self.part = tag
        elif tag == "tr":
            self.tables[self.name][self.part].append([])
        elif tag in ("th", "td"):
            self.cell = [tag, given, ""]
            self.tables[self.name][self.part][-1].append(self.cell)
        else:
            assert self.cell is None, f"<{tag}> within a cell"

    def handle_endtag(self, tag: str) -> None:
        if tag in ("th", "td"):
            self.cell = None

    def handle_data(self, data: str) -> None:
        if self.cell is not None:
            self.cell[2] += data


def read_tables(html: str) -> dict[str, pd.DataFrame]:
    """The tables of a page by name, of Python objects, exact; the names of the index and of the
    columns are not read.
    """
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return {
        name: _frame(_spread(parts["thead"]), _spread(parts["tbody"]))
        for name, parts in reader.tables.items()
    }


def _spread(rows: list[list[list]]) -> list[list[tuple[str, Any]]]:
    """(tag and scope, value) at every place, cells that span several repeated; every place is taken
    once.
    """
    grid: list[dict[int, tuple[str, Any]]] = [{} for _ in rows]
    for i, row in enumerate(rows):
        for tag, attrs, text in row:
            start = next(j for j in range(len(grid[i]) + 1) if j not in grid[i])
            cell = (
                f"{tag} {attrs.get('scope', '')}".strip(),
                _value(text, attrs.get("data-value")),
            )
            for down, across in product(
                range(int(attrs.get("rowspan", 1))), range(int(attrs.get("colspan", 1)))
            ):
                assert start + across not in grid[i + down]
                grid[i + down][start + across] = cell
    assert len({len(row) for row in grid}) <= 1, "rows of different lengths"
    return [[row[j] for j in range(len(row))] for row in grid]


def _value(text: str, full: str | None) -> Any:
    if full is None:
        return text
    return WORDS[full] if full in WORDS else int(full) if set(full) <= WHOLE else float(full)


def _frame(head: list[list[tuple[str, Any]]], body: list[list[tuple[str, Any]]]) -> pd.DataFrame:
    depth = sum(kind == "th row" for kind, _ in body[0])
    assert all(
        [kind for kind, _ in row] == ["th row"] * depth + ["td"] * (len(row) - depth)
        for row in body
    )
    levels = [row[depth:] for row in head if any(kind == "th col" for kind, _ in row[depth:])]
    columns = _index([tuple(value for _, value in places) for places in zip(*levels, strict=True)])
    index = _index([tuple(value for _, value in row[:depth]) for row in body])
    return pd.DataFrame(
        [[value for _, value in row[depth:]] for row in body], index, columns, dtype=object
    )


def _index(labels: list[tuple]) -> pd.Index:
    return (
        pd.MultiIndex.from_tuples(labels)
        if len(labels[0]) > 1
        else pd.Index([label for (label,) in labels], dtype=object)
    )


def assert_same(found: pd.DataFrame, frame: pd.DataFrame) -> None:
    """A table read back is the frame, to the last digit."""
    wanted = frame.astype(object)
    assert [list(map(repr, row)) for row in found.to_numpy()] == [
        [repr(value if isinstance(value, str | bool | int) else float(value)) for value in row]
        for row in wanted.to_numpy().tolist()
    ]
    assert found.index.tolist() == frame.index.tolist()
    assert found.columns.tolist() == frame.columns.tolist()
