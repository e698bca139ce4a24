"""A file that is no TOML of ours is refused by name, and nothing of it is used."""

import os
import re

import pytest

from spillover.engine.config.fit import read_task
from spillover.engine.config.study import read_study
from spillover.engine.config.sweep import read_sweep
from spillover.engine.config.toml import DEEPEST, LARGEST, read_toml
from spillover.kernels.errors import SpecificationError

CONTENT = {
    "empty": (b"", "lacks data, "),
    "binary": (bytes(range(256)), "not UTF-8"),
    "not UTF-8": ('title = "caf\xe9"'.encode("latin-1"), "not UTF-8 text (byte 12)"),
    "UTF-16": ("data = 1".encode("utf-16"), "not UTF-8"),
    "null characters": (b"data = \0", "not valid TOML"),
    "no TOML": (b"data = ", "not valid TOML"),
    "twice": (b"data = 1\ndata = 2", "not valid TOML"),
    "deep lists": (b"data = " + b"[" * 9000 + b"]" * 9000, "nests lists or tables too deeply"),
    "deep tables": (
        b"data = " + b"{a=" * 9000 + b"1" + b"}" * 9000,
        "nests lists or tables too deeply",
    ),
    "deep keys": (b"a" + b".a" * 100_000 + b" = 1", f"more than {DEEPEST} parts"),
    "deep keys in quotes": (b'"a"' + b' . "a"' * 100_000 + b" = 1", f"more than {DEEPEST} parts"),
    "a deep header": (b"[a" + b".a" * 100_000 + b"]", f"more than {DEEPEST} parts"),
    "a huge number": (b"data = " + b"9" * 5000, "not valid TOML"),
    "a huge file": (b"#" * (LARGEST + 1), "more than a megabyte"),
}


@pytest.mark.parametrize("what", CONTENT)
@pytest.mark.parametrize("read", [read_task, read_sweep, read_study])
def test_a_file_that_is_no_toml(what, read, tmp_path):
    content, message = CONTENT[what]
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    with pytest.raises(SpecificationError, match=re.escape(message)) as caught:
        read(path)
    assert "c.toml" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [one.name for one in tmp_path.iterdir()] == ["c.toml"]


def test_a_mark_of_byte_order_is_no_fault(tmp_path):
    (tmp_path / "c.toml").write_bytes(b"\xef\xbb\xbfdata = 1.5\n")
    with pytest.raises(SpecificationError, match="lacks formula"):
        read_task(tmp_path / "c.toml")


def test_a_path_that_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")  # opened, it would wait for a writer that never comes
    (tmp_path / "loop.toml").symlink_to(tmp_path / "loop.toml")
    (tmp_path / "file").touch()
    for path, message in (
        (tmp_path / "pipe.toml", "is a device or a pipe"),
        ("/dev/zero", "is a device or a pipe"),
        (tmp_path, "is a folder"),
        (tmp_path / "none.toml", "There is no file"),
        (tmp_path / "file" / "c.toml", "There is no file"),
        (tmp_path / "loop.toml", "cannot be read"),
        (tmp_path / ("x" * 300), "cannot be read"),
        ("a\0b", "cannot be read"),
    ):
        with pytest.raises(SpecificationError, match=message):
            read_toml(type(tmp_path)(path), ())
