"""A folder with a panel, its weights and a TOML file; commands that fail in one line."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spillover.engine.terminal import fit
from spillover.engine.terminal.cli import app

CONFIG = """
data = "panel.csv"
formula = "np.log(gsp) ~ np.log(pcap) + unemp"
weights = "states.csv"
model = "SAR"
effects = "unit"
unit = "state"
period = "year"
output = "out"
"""


@pytest.fixture
def folder(munnell_files: Path) -> Path:
    """A folder with the panel, its weights as an edge list, and a TOML file for one fit."""
    (munnell_files / "config.toml").write_text(CONFIG)
    return munnell_files


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """Fits that take no time and write one file; the list has the options of each of them."""
    made: list[dict] = []

    def write(fit, frames, output: Path) -> list[Path]:
        (output / "posterior.nc").write_text(f"posterior {len(made)}")
        return [output / "posterior.nc"]

    monkeypatch.setattr(fit, "estimate", lambda model, sampler: (made.append(sampler), made))
    monkeypatch.setattr(fit, "make_tables", lambda *_: {})
    monkeypatch.setattr(fit, "draw_tables", lambda *_: [])
    monkeypatch.setattr(fit, "write_files", write)
    return made


@pytest.fixture
def read_files() -> Callable[[Path], dict[str, bytes]]:
    """read_files(folder): the bytes of every file below a folder, by its path."""

    def read(folder: Path) -> dict[str, bytes]:
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }

    return read


@pytest.fixture
def refuse() -> Callable[..., str]:
    """refuse(*arguments): the one line that a command prints when it fails, on standard error."""

    def run(*arguments: str | Path, status: int = 1) -> str:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code == status
        lines = [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]
        assert len(lines) == 1, result.stderr
        assert lines[0].isprintable()
        assert "Traceback" not in result.output
        return lines[0]

    return run
