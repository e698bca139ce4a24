"""The paths that a TOML file names: below its own folder, or the command line says otherwise."""

from pathlib import Path

import pytest

from spillover.engine.config.paths import resolve_inside
from spillover.kernels.errors import SpecificationError

ESCAPES = [
    "/abs",
    "/",
    "..",
    "../x",
    "../../x",
    ".",
    "",
    "a/../..",
    "a/../../x",
    "link",
    "link/x",
    "a/../link/x",
]


@pytest.mark.parametrize("value", ESCAPES)
def test_a_file_does_not_choose_what_is_written_elsewhere(value, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SpecificationError, match="--output") as caught:
        resolve_inside(tmp_path / "in" / "c.toml", "output", value, "--output")
    assert "c.toml: key output: " in str(caught.value)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_path_below_the_file(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    # a link that stays inside is no way out
    for value in (
        "out",
        "a/b",
        "a/../out",
        "link",
        "link/x",
    ):
        assert resolve_inside(tmp_path / "c.toml", "output", value, "--output") == tmp_path / value
    monkeypatch.chdir(tmp_path)
    assert resolve_inside(Path("c.toml"), "output", "out", "--output") == Path("out")
    (tmp_path / "elsewhere.toml").symlink_to(tmp_path / "real" / "c.toml")
    assert (
        resolve_inside(tmp_path / "elsewhere.toml", "output", "out", "--output") == tmp_path / "out"
    )
