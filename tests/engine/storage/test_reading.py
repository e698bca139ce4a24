"""Files read safely: what is no file is refused at once, too large a one before it is read, and no
text is named as what it is.
"""

import os
import socket

import pytest

from spillover.engine.storage import reading
from spillover.kernels.errors import DataError, SpecificationError, WeightsError

CHINESE = "省份,产值\n北京,1\n上海,2\n"
FAULTS = {
    "UTF-16": (CHINESE.encode("utf-16"), ["UTF-16", "save it as UTF-8"]),
    "UTF-32": (CHINESE.encode("utf-32"), ["UTF-32"]),
    "GB18030": (CHINESE.encode("gb18030"), ["line 1", "byte 2 is 0xb7", "GB18030", "UTF-8"]),
    "GB18030 further down": (
        b"a,b\n1,2\n" + "\u5317\u4eac,1\n".encode("gb18030"),
        ["line 3", "byte 8 is 0xb1", "GB18030"],
    ),
    "Latin-1": (
        "name,x\nCôte d'Ivoire,1\nRéunion,2\n".encode("latin-1"),
        ["line 2", "byte 8 is 0xf4", "Latin-1"],
    ),
    "UTF-8 with its mark, then not": (b"\xef\xbb\xbfa\n\xff", ["line 2", "byte 5 is 0xff"]),
    "a NUL": (b"a,b\n1,\x002\n", ["line 2", "byte 6 is 0x00", "binary"]),
    "a NUL after a bad byte": (b"a\n\xff\n\x00", ["line 2", "byte 2 is 0xff", "binary"]),
    "binary": (bytes(range(128, 256)) + bytes(range(1, 32)) * 9, ["line 1", "binary"]),
    "Excel": (b"PK\x03\x04abc", ["Excel"]),
    "Parquet": (b"PAR1abc", ["Parquet"]),
    "NetCDF": (b"\x89HDF\r\n", ["NetCDF"]),
    "NumPy": (b"\x93NUMPY\x01\x00", ["NumPy"]),
    "gzip": (b"\x1f\x8b\x08", ["gzip"]),
    "nothing": (b"", ["empty", "a table"]),
    "blanks": (b"\xef\xbb\xbf \n\r\n\t", ["empty"]),
}


def text_error(path, error=DataError, **options) -> str:
    with pytest.raises(error) as caught:
        reading.read_text(path, "a table", error, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("case", FAULTS)
def test_what_is_no_text_in_utf8_is_named(tmp_path, case):
    found, wanted = FAULTS[case]
    path = tmp_path / "t.csv"
    path.write_bytes(found)
    message = text_error(path)
    assert message.startswith(str(path))
    for part in wanted:
        assert part in message, f"{part!r} not in {message}"


@pytest.mark.parametrize("text", ["a", "\ufeffa,b\n1,2\n", CHINESE, "a\r\nb\r\n", "€ × –"])
def test_text_comes_as_it_is_but_for_the_mark(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode())
    assert reading.read_text(path, "a table") == text.removeprefix("\ufeff")


def test_what_is_no_file_is_refused_without_waiting(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the name of a socket may not be long
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind("socket")
        for name, kind in (
            ("pipe", "a pipe"),
            ("socket", "a socket"),
            (".", "a folder"),
            ("/dev/zero", "a device"),
        ):
            assert f"{name} is {kind}" in text_error(
                tmp_path / name if name.isalpha() else reading.Path(name)
            )
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "loop").symlink_to("loop")
    assert "is a pipe" in text_error(tmp_path / "link")
    assert "cannot be read" in text_error(tmp_path / "loop")
    assert "no such file" in text_error(tmp_path / "none", SpecificationError)
    assert "no such file" in text_error(tmp_path / "link" / "beyond")
    assert "cannot be read" in text_error(tmp_path / ("x" * 5000))
    assert "cannot be read" in text_error(reading.Path("a\0b"))


def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(reading, "check_file", lambda *_: 5)
    assert "no file any more" in text_error(tmp_path / "pipe")


@pytest.mark.parametrize("path", [None, 3, b"x", "", ["x"], float("nan")])
def test_what_is_no_path(path):
    with pytest.raises(WeightsError, match="path"):
        reading.as_path(path, "weights", WeightsError)


def test_names_with_codes_for_the_terminal_are_quoted(tmp_path):
    assert "\x1b" not in text_error(tmp_path / "\x1b[31mred\n")
    assert r"\x1b[31mred\n" in text_error(tmp_path / "\x1b[31mred\n")


def test_a_file_that_memory_does_not_hold_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "t.csv"
    with path.open("wb") as file:
        file.truncate(10**13)  # a hole: it takes no place on the disk
    assert "some 50 TB of memory" in text_error(path)
    path.write_text("a,b")
    assert "are free" in text_error(path, times=1e14)


def test_a_file_that_grows_is_read_no_further(tmp_path, monkeypatch):
    path = tmp_path / "t.csv"
    path.write_bytes(b"x" * 20)
    monkeypatch.setattr(reading, "SAMPLE", 1)
    real = os.fstat
    monkeypatch.setattr(
        reading.os,
        "fstat",
        lambda number: os.stat_result((real(number).st_mode, *[0] * 5, 10, 0, 0, 0)),
    )
    assert "grew" in text_error(path)
