"""The commands: their help, what they print, and which folders they write to."""

import pandas as pd
import pytest
from typer.testing import CliRunner

import spillover as so
from spillover.engine import devices
from spillover.engine.config.study import read_study
from spillover.engine.storage.output import MARKER
from spillover.engine.terminal import fit
from spillover.engine.terminal.cli import app

runner = CliRunner()

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


@pytest.mark.parametrize("command", ["fit", "sweep", "study"])
@pytest.mark.parametrize("value", ["/", "../../x", "link/x", "."])
def test_a_file_does_not_choose_what_is_written_elsewhere(
    command, value, folder, tmp_path_factory, fits, refuse, read_files
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
    before = read_files(folder)
    line = refuse(command, folder / "c.toml")
    assert "c.toml: key output: " in line
    assert "--output" in line
    assert read_files(folder) == before
    assert fits == []
    assert list(elsewhere.iterdir()) == []
    if command == "fit" and value == "/":  # and the user may
        result = runner.invoke(
            app, ["fit", str(folder / "c.toml"), "--output", str(elsewhere / "out")]
        )
        assert result.exit_code == 0, result.output
        assert (elsewhere / "out" / "posterior.nc").exists()


@pytest.mark.parametrize("value", ["/", "../x.zarr", "out", "."])
def test_a_store_stays_in_the_folder_too(value, folder, tmp_path_factory, refuse, read_files):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    store = elsewhere / "x.zarr" if value == "/" else value
    (folder / "c.toml").write_text(f'store = "{store}"\noutput = "out"\n{SWEEP}')
    before = read_files(folder)
    line = refuse("sweep", folder / "c.toml")
    assert "--store" in line or "is the output" in line
    assert read_files(folder) == before
    assert list(elsewhere.iterdir()) == []


def test_an_output_is_refused_before_the_fit(folder, fits, refuse, read_files):
    (folder / "out").write_text("mine")
    before = read_files(folder)
    assert "is no folder" in refuse("fit", folder / "config.toml")
    assert read_files(folder) == before
    (folder / "out").unlink()
    (folder / "out").mkdir()
    (folder / "out" / "notes.txt").write_text("mine")
    before = read_files(folder)
    line = refuse("fit", folder / "config.toml")
    assert '"notes.txt", which spillover did not write' in line
    assert "--overwrite" in line
    assert read_files(folder) == before
    assert fits == []
    result = runner.invoke(app, ["fit", str(folder / "config.toml"), "--overwrite"])
    assert result.exit_code == 0, result.output
    assert read_files(folder)["out/notes.txt"] == b"mine"
    assert read_files(folder)["out/posterior.nc"] == b"posterior 1"


def test_a_second_run_says_that_it_replaced_the_first(folder, fits, refuse, read_files):
    first, second = (runner.invoke(app, ["fit", str(folder / "config.toml")]) for _ in range(2))
    assert first.exit_code == second.exit_code == 0
    assert "replaced" not in first.stdout
    assert second.stdout.splitlines()[-1] == f"replaced what was in {folder / 'out'} before"
    assert f"wrote {folder / 'out' / 'posterior.nc'}" in second.stdout
    assert set(read_files(folder / "out")) == {"posterior.nc", MARKER}
    assert read_files(folder)["out/posterior.nc"] == b"posterior 2"
    (folder / "out" / "posterior.nc").write_text("mine")
    assert "changed since" in refuse("fit", folder / "config.toml")
    assert read_files(folder)["out/posterior.nc"] == b"mine"


def test_a_demo_is_not_written_over_what_the_user_changed(
    tmp_path, monkeypatch, refuse, read_files
):
    def stop(plan):
        raise so.DataError("far enough")

    monkeypatch.setattr("spillover.engine.studies.study.run_study", stop)
    for _ in range(2):  # over its own
        assert "far enough" in refuse("demo", "--output", tmp_path / "demo")
    path = tmp_path / "demo" / "study.toml"
    path.write_text(path.read_text() + "# mine\n")
    before = read_files(tmp_path / "demo")
    assert '"study.toml", which was changed since' in refuse("demo", "--output", tmp_path / "demo")
    for example in ("provinces", "states"):
        assert "--overwrite" in refuse("demo", "--output", tmp_path / "demo", "--example", example)
    assert read_files(tmp_path / "demo") == before


def test_a_full_disk_while_the_results_are_written(folder, fits, monkeypatch, refuse, read_files):
    assert runner.invoke(app, ["fit", str(folder / "config.toml")]).exit_code == 0
    before = read_files(folder)

    def full(fit, frames, output):
        (output / "posterior.nc").write_text("half")
        raise OSError(28, "No space left on device", str(output / "posterior.nc"))

    monkeypatch.setattr(fit, "write_files", full)
    line = refuse("fit", folder / "config.toml")
    assert "out" in line
    assert "No space left on device" in line
    assert read_files(folder) == before


def test_a_sweep_that_is_stopped_says_what_is_kept(folder, monkeypatch, refuse):
    text = (
        'unit = "state"\nperiod = "year"\ndata = "panel.csv"\nformula = "np.log(gsp) ~'
        ' unemp"\nmodels = ["SAR"]\nweights.w = "states.csv"\n'
    )
    (folder / "c.toml").write_text(text)

    def stop(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr("spillover.engine.sweeps.sweep.sweep", stop)
    for _ in range(2):
        line = refuse("sweep", folder / "c.toml", status=130)
        assert (
            line
            == f"stopped: finished members are kept in {folder / 'c' / 'sweep.zarr'}: run it again,"
            " and it goes on there."
        )


@pytest.mark.verify
def test_demo_of_the_states_fits_the_packaged_panel(tmp_path):
    """The demo's posterior agrees with its maximum-likelihood estimates within a tenth of a
    standard error and the Monte Carlo error.
    """
    result = runner.invoke(app, ["demo", "--example", "states", "--output", str(tmp_path / "demo")])
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "demo" / "comparison.csv", index_col=[0, 1], header=[0, 1])
    distance = (table[("Bayes", "estimate")] - table[("ML", "estimate")]) / table[
        ("ML", "std_error")
    ]
    assert distance.drop(("parameter", "sigma")).abs().max() < 0.1
    assert "indirect[unemp]" in result.output


def test_demo_without_more_runs_the_study_that_it_writes(tmp_path, monkeypatch):
    """The data, the places, the borders and the TOML file are there for the user to change; `study`
    is handed that file.
    """
    handed = []

    def stop(config):
        handed.append(config)
        raise so.DataError("far enough")

    monkeypatch.setattr("spillover.engine.studies.study.run_study", stop)
    result = runner.invoke(app, ["demo", "--output", str(tmp_path / "demo"), "--seed", "3"])
    assert result.exit_code == 1
    assert "far enough" in result.stderr
    assert [plan.where for plan in handed] == [str(tmp_path / "demo" / "study.toml")]
    assert {path.name for path in (tmp_path / "demo").iterdir()} == {
        "panel.csv",
        "capitals.csv",
        "borders.csv",
        "study.toml",
        MARKER,
    }
    plan = read_study(tmp_path / "demo" / "study.toml")
    assert plan.seed == handed[0].seed == 3
    pd.testing.assert_frame_equal(plan.frame, so.provinces(3)[0])


def test_an_unknown_example_is_named(tmp_path):
    result = runner.invoke(app, ["demo", "--example", "counties", "--output", str(tmp_path)])
    assert result.exit_code == 1
    assert "'counties'" in result.stderr


def test_devices_names_the_platform():
    """The platform, the precision and the folder of compiled programs."""
    result = runner.invoke(app, ["devices"])
    assert result.exit_code == 0
    assert "cpu" in result.output
    assert "float64" in result.output
    assert str(devices.cache_folder()) in result.output.replace("\n", "")
