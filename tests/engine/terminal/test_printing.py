"""Whatever goes wrong on the command line: one line on the standard error stream, exit status 1."""

import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import spillover as so
from spillover.engine import devices
from spillover.engine.terminal import fit, printing
from spillover.engine.terminal.cli import app

runner = CliRunner()
pytestmark = pytest.mark.usefixtures("no_cache")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nope"], "--nope"),
        (["fit", "--nope"], "--nope"),
        (["fit"], "config"),
        (["fti", "c.toml"], "'fti'"),
        (["fit", "a.toml", "b.toml"], "b.toml"),
        (["demo", "--seed", "x"], "--seed"),
        (["demo", "--seed", "-1"], "--seed"),
        (["demo", "--seed", str(2**70)], "--seed"),
        (["demo", "--output"], "--output"),
        (["fit", "--output=\x1b[31m", "--nope"], "--nope"),
    ],
)
def test_a_wrong_option_is_one_line(arguments, words, refuse):
    line = refuse(*arguments)
    assert line.startswith("error: ")
    assert words.lower() in line.lower()
    assert "--help` says what there is." in line


FAULTS = {
    "a full disk": (
        OSError(28, "No space left on device", "/some/path"),
        1,
        "error: /some/path: No space left on device.",
    ),
    "a disk without a name": (OSError("the cable"), 1, "error: the disk refused: the cable."),
    "no right": (
        PermissionError(13, "Permission denied", "a\nb"),
        1,
        "error: a b: Permission denied.",
    ),
    "memory": (MemoryError(), 1, "error: there is not enough memory"),
    "a reader that went": (
        BrokenPipeError(32, "Broken pipe"),
        1,
        "error: whoever read the output closed it",
    ),
    "ctrl-C": (KeyboardInterrupt(), 130, "stopped: nothing was written: the output is as it was."),
    "an error of ours of two lines": (
        so.DataError("one\ntwo \x1b[31mred"),
        1,
        r"error: one two \x1b[31mred",
    ),
}


@pytest.mark.parametrize("what", FAULTS)
def test_a_fault_in_a_fit_is_one_line(what, folder, monkeypatch, refuse, read_files):
    fault, status, words = FAULTS[what]
    before = read_files(folder)

    def fail(model, sampler):
        raise fault

    monkeypatch.setattr(fit, "estimate", fail)
    assert refuse("fit", folder / "config.toml", status=status).startswith(words)
    assert read_files(folder) == before


def test_a_fault_of_ours_keeps_its_traceback(folder, monkeypatch):
    monkeypatch.setattr(fit, "estimate", lambda model, sampler: 1 / 0)
    result = runner.invoke(app, ["fit", str(folder / "config.toml")])
    assert isinstance(result.exception, ZeroDivisionError)


def test_an_unusable_cache_stops_nothing(tmp_path, monkeypatch, read_files):
    """A file where the folder of caches would be: two lines of warning, the answer, and nothing
    kept.
    """
    (tmp_path / "file").write_text("mine")
    told = {}
    monkeypatch.setattr(devices.jax.config, "update", told.__setitem__)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.delenv("SPILLOVER_CACHE")
    result = runner.invoke(app, ["devices"])
    assert result.exit_code == 0, result.output
    first, second = result.stderr.splitlines()
    assert first.startswith("warning: Compiled programs are not kept on disk. ")
    assert second.startswith("warning: Log-determinants are not kept on disk. ")
    assert str(tmp_path / "file") in first
    assert "cpu" in result.stdout
    assert "log-determinants: not kept" in result.stdout
    assert told == {"jax_compilation_cache_dir": None}  # nor where $JAX_COMPILATION_CACHE_DIR says
    assert read_files(tmp_path) == {"file": b"mine"}


def test_one_line_whatever_the_text():
    assert printing.to_one_line("a\n\n b\t\x1b[1m\x07ρ") == r"a b \x1b[1m\x07ρ"
    assert printing.to_one_line("") == ""


@pytest.mark.verify
def test_from_the_shell(tmp_path):
    """No home, a screen of ASCII, a config that is no file, a reader that goes away: in processes
    of their own.
    """
    environment = {
        **os.environ,
        "PYTHONIOENCODING": "ascii",
        "XDG_CACHE_HOME": "",
        "HOME": str(tmp_path / "file"),
    }
    del environment["SPILLOVER_CACHE"]
    (tmp_path / "file").touch()

    def call(*arguments: str, **options) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "spillover", *arguments]
        return subprocess.run(
            command, env=environment, text=True, timeout=120, check=False, cwd=tmp_path, **options
        )

    both = {"capture_output": True}
    ended = call("devices", **both)
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr
    ended = call("fit", "ρ.toml", **both)
    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (
        1,
        r"error: There is no file \u03c1.toml.",
    )
    ended = call("--version", **both)
    assert (ended.returncode, ended.stdout) == (0, f"spillover {so.__version__}\n")
    reader, writer = os.pipe()
    os.close(reader)
    ended = call("devices", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("error: whoever read the output closed it")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
