"""Whatever goes wrong on the command line: one line on the standard error stream, exit status 1,
and what was there still is.
"""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import spillover as so
from spillover.engine import devices
from spillover.engine.storage.output import MARKER
from spillover.engine.terminal import fit as run
from spillover.engine.terminal import printing
from spillover.engine.terminal.cli import app

runner = CliRunner()
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
SWEEP = """
data = "panel.csv"
formula = "np.log(gsp) ~ unemp"
models = ["SAR"]
unit = "state"
period = "year"
weights.w = "states.csv"
"""
COMMANDS = ("demo", "study", "fit", "sweep", "devices")

pytestmark = pytest.mark.usefixtures("no_cache")


@pytest.fixture
def folder(munnell_files):
    """A folder with the panel, its weights as an edge list, and a config."""
    (munnell_files / "config.toml").write_text(CONFIG)
    return munnell_files


@pytest.fixture
def fits(monkeypatch):
    """Fits that take no time, and how many there were: one file is written."""
    made = []

    def write(fit, frames, output: Path) -> list[Path]:
        (output / "posterior.nc").write_text(f"posterior {len(made)}")
        return [output / "posterior.nc"]

    monkeypatch.setattr(run, "estimate", lambda model, sampler: (made.append(sampler), made))
    for name, function in {
        "make_tables": lambda *_: {},
        "draw_tables": lambda *_: [],
        "write_files": write,
    }.items():
        monkeypatch.setattr(run, name, function)
    return made


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def refused(*arguments: str | Path, status: int = 1) -> str:
    """The one line that a command says of its end."""
    result = runner.invoke(app, [str(argument) for argument in arguments])
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == status
    lines = [line for line in result.stderr.splitlines() if not line.startswith("warning: ")]
    assert len(lines) == 1, result.stderr
    assert lines[0].isprintable()
    assert "Traceback" not in result.output
    return lines[0]


def test_the_version():
    result = runner.invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"spillover {so.__version__}\n")


def test_alone_it_shows_its_help():
    alone, asked = (runner.invoke(app, arguments) for arguments in ([], ["--help"]))
    assert alone.exit_code == asked.exit_code == 0
    assert alone.stdout == asked.stdout
    assert all(f"\n  {name} " in alone.stdout for name in COMMANDS)


HELP = {
    "study": ["[indices]", "[weights]", "[model]"],
    "fit": ["[sampler]"],
    "sweep": ["[weights]"],
    "demo": ["--seed"],
    "devices": ["JAX"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_every_word(command):
    """Words in brackets are no styles."""
    result = runner.invoke(app, [command, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    assert all(word in result.stdout for word in HELP[command])
    assert "\x1b" not in result.stdout


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
def test_a_wrong_option_is_one_line(arguments, words):
    line = refused(*arguments)
    assert line.startswith("error: ")
    assert words.lower() in line.lower()
    assert "--help` says what there is." in line


@pytest.mark.parametrize("command", ["fit", "sweep", "study"])
@pytest.mark.parametrize("value", ["/", "../../x", "link/x", "."])
def test_a_file_does_not_choose_what_is_written_elsewhere(
    command, value, folder, tmp_path_factory, fits
):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (folder / "link").symlink_to(elsewhere)
    output = elsewhere / "escaped" if value == "/" else value
    head = f'output = "{output}"\nunit = "state"\nperiod = "year"\ndata = "panel.csv"\n'
    text = {
        "fit": (
            head
            + 'formula = "np.log(gsp) ~ unemp"\nweights = "states.csv"\nmodel = "SAR"\neffects ='
            ' "unit"\n'
        ),
        "sweep": (
            head + 'formula = "np.log(gsp) ~ unemp"\nmodels = ["SAR"]\nweights.w = "states.csv"\n'
        ),
        "study": (
            head
            + '[weights]\nw = "states.csv"\n[model]\nformula = "np.log(gsp) ~ unemp"\nweights ='
            ' "w"\n'
        ),
    }[command]
    (folder / "c.toml").write_text(text)
    before = files(folder)
    line = refused(command, folder / "c.toml")
    assert "c.toml: key output: " in line
    assert "--output" in line
    assert files(folder) == before
    assert fits == []
    assert list(elsewhere.iterdir()) == []
    if command == "fit" and value == "/":  # and the user may
        result = runner.invoke(
            app, ["fit", str(folder / "c.toml"), "--output", str(elsewhere / "out")]
        )
        assert result.exit_code == 0, result.output
        assert (elsewhere / "out" / "posterior.nc").exists()


@pytest.mark.parametrize("value", ["/", "../x.zarr", "out", "."])
def test_a_store_stays_in_the_folder_too(value, folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    store = elsewhere / "x.zarr" if value == "/" else value
    (folder / "c.toml").write_text(f'store = "{store}"\noutput = "out"\n{SWEEP}')
    before = files(folder)
    line = refused("sweep", folder / "c.toml")
    assert "--store" in line or "is the output" in line
    assert files(folder) == before
    assert list(elsewhere.iterdir()) == []


def test_an_output_is_refused_before_the_fit(folder, fits):
    (folder / "out").write_text("mine")
    before = files(folder)
    assert "is no folder" in refused("fit", folder / "config.toml")
    assert files(folder) == before
    (folder / "out").unlink()
    (folder / "out").mkdir()
    (folder / "out" / "notes.txt").write_text("mine")
    before = files(folder)
    line = refused("fit", folder / "config.toml")
    assert '"notes.txt", which spillover did not write' in line
    assert "--overwrite" in line
    assert files(folder) == before
    assert fits == []
    result = runner.invoke(app, ["fit", str(folder / "config.toml"), "--overwrite"])
    assert result.exit_code == 0, result.output
    assert files(folder)["out/notes.txt"] == b"mine"
    assert files(folder)["out/posterior.nc"] == b"posterior 1"


def test_a_second_run_says_that_it_replaced_the_first(folder, fits):
    first, second = (runner.invoke(app, ["fit", str(folder / "config.toml")]) for _ in range(2))
    assert first.exit_code == second.exit_code == 0
    assert "replaced" not in first.stdout
    assert second.stdout.splitlines()[-1] == f"replaced what was in {folder / 'out'} before"
    assert f"wrote {folder / 'out' / 'posterior.nc'}" in second.stdout
    assert set(files(folder / "out")) == {"posterior.nc", MARKER}
    assert files(folder)["out/posterior.nc"] == b"posterior 2"
    (folder / "out" / "posterior.nc").write_text("mine")
    assert "changed since" in refused("fit", folder / "config.toml")
    assert files(folder)["out/posterior.nc"] == b"mine"


def test_a_demo_is_not_written_over_what_the_user_changed(tmp_path, monkeypatch):
    def stop(plan):
        raise so.DataError("far enough")

    monkeypatch.setattr("spillover.engine.studies.study.run_study", stop)
    for _ in range(2):  # over its own
        assert "far enough" in refused("demo", "--output", tmp_path / "demo")
    path = tmp_path / "demo" / "study.toml"
    path.write_text(path.read_text() + "# mine\n")
    before = files(tmp_path / "demo")
    assert '"study.toml", which was changed since' in refused("demo", "--output", tmp_path / "demo")
    for example in ("provinces", "states"):
        assert "--overwrite" in refused("demo", "--output", tmp_path / "demo", "--example", example)
    assert files(tmp_path / "demo") == before


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
def test_a_fault_in_a_fit_is_one_line(what, folder, monkeypatch):
    fault, status, words = FAULTS[what]
    before = files(folder)

    def fail(model, sampler):
        raise fault

    monkeypatch.setattr(run, "estimate", fail)
    assert refused("fit", folder / "config.toml", status=status).startswith(words)
    assert files(folder) == before


def test_a_full_disk_while_the_results_are_written(folder, fits, monkeypatch):
    assert runner.invoke(app, ["fit", str(folder / "config.toml")]).exit_code == 0
    before = files(folder)

    def full(fit, frames, output):
        (output / "posterior.nc").write_text("half")
        raise OSError(28, "No space left on device", str(output / "posterior.nc"))

    monkeypatch.setattr(run, "write_files", full)
    line = refused("fit", folder / "config.toml")
    assert "out" in line
    assert "No space left on device" in line
    assert files(folder) == before


def test_a_sweep_that_is_stopped_says_what_is_kept(folder, monkeypatch):
    text = (
        'unit = "state"\nperiod = "year"\ndata = "panel.csv"\nformula = "np.log(gsp) ~'
        ' unemp"\nmodels = ["SAR"]\nweights.w = "states.csv"\n'
    )
    (folder / "c.toml").write_text(text)

    def stop(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("spillover.engine.sweeps.sweep.sweep", stop)
    for _ in range(2):
        line = refused("sweep", folder / "c.toml", status=130)
        assert (
            line
            == f"stopped: finished members are kept in {folder / 'c' / 'sweep.zarr'}: run it again,"
            " and it goes on there."
        )


def test_a_fault_of_ours_keeps_its_traceback(folder, monkeypatch):
    monkeypatch.setattr(run, "estimate", lambda model, sampler: 1 / 0)
    result = runner.invoke(app, ["fit", str(folder / "config.toml")])
    assert isinstance(result.exception, ZeroDivisionError)


def test_an_unusable_cache_stops_nothing(tmp_path, monkeypatch):
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
    assert files(tmp_path) == {"file": b"mine"}


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
    found = call("devices", **both)
    assert (found.returncode, "Traceback" in found.stderr) == (0, False), found.stderr
    found = call("fit", "ρ.toml", **both)
    assert (found.returncode, found.stderr.splitlines()[-1]) == (
        1,
        r"error: There is no file \u03c1.toml.",
    )
    found = call("--version", **both)
    assert (found.returncode, found.stdout) == (0, f"spillover {so.__version__}\n")
    reader, writer = os.pipe()
    os.close(reader)
    found = call("devices", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert found.returncode == 1
    assert found.stderr.splitlines()[-1].startswith("error: whoever read the output closed it")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_tables_of_a_fit_are_csv(tmp_path):
    """The writer of a fit's tables, on a label that a spreadsheet would run."""

    class Made:
        def save(self, path):
            Path(path).touch()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "PICTURES", ())
        run.write_files(
            Made(), {"coefficients": pd.DataFrame({"mean": [-1.0]}, index=["=x"])}, tmp_path
        )
    assert (tmp_path / "coefficients.csv").read_text() == ",mean\n'=x,-1.0\n"
