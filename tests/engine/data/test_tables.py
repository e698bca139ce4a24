"""Tables in files: what pandas would rename, shift, fill or drop without a word is refused with
file and line.
"""

import os

import numpy as np
import pandas as pd
import pytest

import spillover as so
from spillover.engine.data.tables import read_table

W = so.Weights([[0, 1], [1, 0]], ["a", "b"])
CSV_FAULTS = {
    "a name twice": ("a,x,x\n1,2,3\n", ["line 1", "'x'"]),
    "a name that pandas would make of it": ("x,x.1,x\n1,2,3\n", ["line 1", "'x'"]),
    "more fields in every row": ("a,b\n1,2,3\n4,5,6\n", ["line 2", "3 fields", "header of 2"]),
    "a comma at the end of every row": ("a,b\n1,2,\n4,5,\n", ["line 2", "3 fields"]),
    "fewer fields": ("a,b,c\n1,2,3\n\n4,5\n", ["line 4", "2 fields", "header of 3"]),
    "a decimal comma": ("a,b\nx,1,5\n", ["line 2", "3 fields"]),
    "a quotation mark without an end": ('a,b\n1,"2\n3,4\n', ["line 3", "quotation"]),
    "text after a quoted one": ('a,b\n1,"2"3\n', ["line 2", "quotation"]),
    "a field without end": ("a,b\n1," + "2" * 200_000 + "\n", ["line 2", "field"]),
    "a header only": ("a,b\n\n", ["'a', 'b'", "no row"]),
    "nothing": ("", ["empty"]),
    "semicolons": ("a;b\n1;2\n", ["line 1", "semicolons", "sep=';'"]),
    "tabs": ("a\tb\n1\t2\n", ["line 1", "tabs"]),
    "a NUL": ("a,b\n1,\0\n", ["line 2", "0x00"]),
}


def message_of(path, read=read_table) -> str:
    with pytest.raises(so.DataError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("case", CSV_FAULTS)
def test_csv_files_that_are_none(tmp_path, case):
    text, wanted = CSV_FAULTS[case]
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode())
    message = message_of(path)
    assert message.startswith(str(path))
    for part in wanted:
        assert part in message, f"{part!r} not in {message}"
    assert message_of(path, lambda data: so.SAR("y ~ x", data, W)) == message


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_csv_that_is_one_reads_as_pandas_reads_it(tmp_path, mark, end):
    frame = pd.DataFrame(
        {"city": ["Ürümqi, Xinjiang", 'the "capital"'], "x": [0.1, np.nan], "": [1e-17, 1 / 3]}
    )
    path = tmp_path / "T.CSV"
    frame.to_csv(path, lineterminator=end)
    path.write_bytes(mark.encode() + path.read_bytes())
    pd.testing.assert_frame_equal(read_table(path), pd.read_csv(path), check_exact=True)


def test_types_are_of_columns_not_of_their_parts(tmp_path):
    """pandas tells the type of each part of a long file, 1 in one and "1" in the next."""
    rows = 300_000
    tmp_path.joinpath("t.csv").write_text("unit,x\n" + "1,1\n" * rows + "a,2\n" + "1,1\n" * rows)
    assert {type(label) for label in read_table(tmp_path / "t.csv")["unit"].unique()} == {str}


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "t.xlsx"])
def test_what_is_no_file(tmp_path, name):
    path = tmp_path / name
    assert "no such file" in message_of(path)
    os.mkfifo(path)
    assert "is a pipe" in message_of(path)
    assert "is a pipe" in message_of(path, lambda data: so.SAR("y ~ x", data, W))
    path.unlink()
    with path.open("wb") as file:
        file.truncate(10**13)
    assert (
        "TB" in message_of(path)
        or "cannot be read as Parquet" in message_of(path)
        or "pd.read_excel" in message_of(path)
    )


@pytest.mark.parametrize(
    ("name", "way_out"),
    [("t.xlsx", "pd.read_excel"), ("t.nc", "xarray"), ("t.npz", "DataFrame"), ("t", "DataFrame")],
)
def test_files_of_other_kinds_say_what_to_do(tmp_path, name, way_out):
    (tmp_path / name).write_bytes(b"\x89HDF\r\n\x1a\n")
    for read in (
        read_table,
        lambda data: so.SAR("y ~ x", data, W),
        lambda data: so.SAR("y ~ x", str(data), W),
    ):
        message = message_of(tmp_path / name, read)
        assert way_out in message
        assert ".csv and .parquet" in message


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame({"unit": list("abc"), "y": [1.0, 2.0, 3.0], "x": [0.0, 1.0, 0.5]})


def test_broken_parquet_is_one_error(tmp_path, frame):
    frame.to_parquet(tmp_path / "whole.parquet")
    whole, path = (tmp_path / "whole.parquet").read_bytes(), tmp_path / "t.parquet"
    pd.testing.assert_frame_equal(read_table(tmp_path / "whole.parquet"), frame)
    for content in (
        b"",
        b"PAR1",
        whole[:-1],
        whole[: len(whole) // 2],
        whole[:4] + whole[400:],
        whole.replace(b"x", b"\xff"),
    ):
        path.write_bytes(content)
        assert str(path) in message_of(path)
        assert str(path) in message_of(path, lambda data: so.SAR("y ~ x", data, W, unit="unit"))


def test_text_in_parquet_that_is_none(tmp_path, frame):
    path = tmp_path / "t.parquet"
    frame.assign(unit=["aaa", "bbb", "ccc"]).to_parquet(path, compression=None)
    path.write_bytes(path.read_bytes().replace(b"bbb", b"\xff\xfe\xfd"))
    assert "UTF8" in message_of(path)
    assert "UTF8" in message_of(path, lambda data: so.SAR("y ~ x", data, W, unit="unit"))


def test_a_folder_with_other_things_in_it(tmp_path, frame):
    folder = tmp_path / "t.parquet"
    folder.mkdir()
    frame.to_parquet(folder / "one.parquet")
    assert len(read_table(folder)) == 3
    (folder / "notes.txt").write_text("not a table")
    os.mkfifo(folder / ".hidden")  # which pyarrow leaves alone
    for read in (read_table, lambda data: so.SAR("y ~ x", data, W, unit="unit")):
        assert "cannot be read as Parquet" in message_of(folder, read)
    (folder / "notes.txt").unlink()
    os.mkfifo(folder / "two.parquet")
    for read in (read_table, lambda data: so.SAR("y ~ x", data, W, unit="unit")):
        assert "two.parquet is a pipe" in message_of(folder, read)


def test_codes_in_a_file_keep_their_zeros(tmp_path):
    tmp_path.joinpath("t.csv").write_text("code,year,x\n01001,2001,0\n10003,2001,10\n")
    frame = read_table(tmp_path / "t.csv")
    assert frame["code"].tolist() == ["01001", "10003"]
    assert [frame[name].tolist() for name in ("year", "x")] == [[2001, 2001], [0, 10]]
    assert frame.columns.tolist() == ["code", "year", "x"]
