"""`spillover sweep`: what it prints, what it writes, that it goes on where it was, how
it refuses.
"""

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import spillover as so
from spillover.engine.config.sweep import read_sweep
from spillover.engine.sweeps import sweep
from spillover.engine.terminal.cli import app

runner = CliRunner()
CONFIG = """
data = "panel.csv"
formula = "np.log(gsp) ~ np.log(pcap)"
models = ["OLS", "SLX"]
effects = ["unit"]
unit = "state"
period = "year"
lagged = ["np.log(pcap)"]
output = "out"
store = "kept.zarr"

[weights]
contiguity = "states.csv"
spectral = {file = "states.csv", standardize = "spectral"}

[controls]
none = ""
unemployment = "unemp"

[windows]
all = [1970, 1986]
late = [1980, 1986]

[priors.vague]
beta = {family = "Ridge", scale = 2.5}
rho = {family = "ScaledBeta", a = 2.0, b = 2.0}

[priors.reference]
beta = "Flat"
sigma = "Flat"

[sampler]
sampler = "exact"
draws = 100
seed = 4
"""


pytestmark = pytest.mark.usefixtures("no_cache")


@pytest.fixture
def folder(munnell_files):
    """A folder with the panel, its weights as an edge list, and a config."""
    (munnell_files / "config.toml").write_text(CONFIG)
    return munnell_files


def swept(frame: pd.DataFrame, contiguity: so.Weights) -> so.Sweep:
    """The sweep of the config in Python."""
    return so.sweep(
        "np.log(gsp) ~ np.log(pcap)",
        frame,
        {"contiguity": contiguity.row_standardize(), "spectral": contiguity.spectral_standardize()},
        models=["OLS", "SLX"],
        effects=["unit"],
        unit="state",
        period="year",
        lagged=["np.log(pcap)"],
        controls={"none": "", "unemployment": "unemp"},
        windows={"all": (1970, 1986), "late": (1980, 1986)},
        priors={
            "vague": so.Priors(beta=so.Ridge(2.5), rho=so.ScaledBeta(2.0, 2.0)),
            "reference": so.Priors.reference(),
        },
        draws=100,
        seed=4,
        progress=False,
    )


@pytest.mark.verify
def test_sweep_writes_what_python_gives_and_goes_on(folder, monkeypatch):
    """The files hold the numbers of the same sweep in Python; a second run fits nothing and writes
    the same.
    """
    result = runner.invoke(app, ["sweep", str(folder / "config.toml")])
    assert result.exit_code == 0, result.output
    out = swept(*so.munnell())
    wanted = out.to_frame()
    table = pd.read_csv(folder / "out" / "summary.csv", index_col=list(range(6)))
    assert list(table.columns) == list(wanted.columns)
    np.testing.assert_allclose(table.loc[wanted.index].to_numpy(), wanted.to_numpy(), rtol=1e-9)
    conclusions = pd.read_csv(folder / "out" / "conclusions.csv", index_col=[0, 1])
    np.testing.assert_allclose(conclusions.to_numpy(), out.conclusions().to_numpy(), rtol=1e-9)
    average = pd.read_csv(
        folder / "out" / "average.csv", index_col=["impact", "effects", "window", "term"]
    )
    own = out.average()["total"].sel(effects="unit", window="late", term="unemp", statistic="sd")
    np.testing.assert_allclose(
        average.loc[("total", "unit", "late", "unemp"), "sd"], own, rtol=1e-9
    )
    assert pd.read_csv(folder / "out" / "failures.csv").empty
    assert {path.name for path in (folder / "out").glob("*.png")} == {
        "direct.png",
        "indirect.png",
        "total.png",
        "forest_1_np_log_pcap.png",
        "forest_2_unemp.png",
        "probability.png",
    }
    assert "np.log(pcap)" in result.output
    assert "wrote" in result.output
    before = (folder / "out" / "summary.csv").read_bytes()

    def never(*_):
        raise AssertionError("fitted again")

    monkeypatch.setattr(sweep, "write_block", never)
    assert runner.invoke(app, ["sweep", str(folder / "config.toml")]).exit_code == 0
    assert (folder / "out" / "summary.csv").read_bytes() == before


@pytest.mark.verify
def test_log_determinants_are_kept_on_disk(folder):
    """A model with rho leaves its records in the folder that `devices` names."""
    text = (
        CONFIG.replace('["OLS", "SLX"]', '["SAR"]')
        .replace('lagged = ["np.log(pcap)"]\n', "")
        .replace('sampler = "exact"', 'sampler = "ml"')
    )
    (folder / "config.toml").write_text(text)
    result = runner.invoke(app, ["sweep", str(folder / "config.toml")])
    assert result.exit_code == 0, result.output
    assert list((folder / "cache").glob("*.npz"))
    assert not (folder / "out" / "average.csv").exists()
    assert not (folder / "out" / "probability.png").exists()
    assert str(folder / "cache") in runner.invoke(app, ["devices"]).output.replace("\n", "")


@pytest.mark.verify
def test_a_changed_config_is_refused(folder):
    """Rather than mixed with what is stored."""
    assert runner.invoke(app, ["sweep", str(folder / "config.toml")]).exit_code == 0
    (folder / "config.toml").write_text(CONFIG.replace("seed = 4", "seed = 5"))
    result = runner.invoke(app, ["sweep", str(folder / "config.toml")])
    assert result.exit_code == 1
    assert "another sweep" in result.stderr


def test_the_store_is_in_the_output_unless_said(folder):
    (folder / "config.toml").write_text(CONFIG.replace('store = "kept.zarr"\n', ""))
    assert read_sweep(folder / "config.toml").arguments["store"] == folder / "out" / "sweep.zarr"


def test_conjugate_priors_take_lists(folder):
    """Numbers of a family as they stand in the file."""
    conjugate = (
        'beta = {family = "Conjugate", mean = [0.0, 1.0], covariance = [[1.0, 0.0], [0.0, 2.0]]}'
    )
    (folder / "config.toml").write_text(
        CONFIG.replace('beta = {family = "Ridge", scale = 2.5}', conjugate)
    )
    priors = read_sweep(folder / "config.toml").arguments["priors"]
    assert priors["vague"].beta == so.Conjugate((0.0, 1.0), ((1.0, 0.0), (0.0, 2.0)))
    assert priors["reference"].sigma == so.Flat()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"SLX"]', '"SLXX"]', "SLXX"),
        ('models = ["OLS", "SLX"]', "", "lacks models"),
        ('models = ["OLS", "SLX"]', 'models = "OLS"', "give a list"),
        ('unit = "state"', 'unti = "state"', "unti"),
        ("draws = 100", "drwas = 100", "drwas"),
        ("panel.csv", "missing.csv", "missing.csv"),
        ('standardize = "spectral"', 'standardize = "spectrum"', "spectrum"),
        ('file = "states.csv", ', "", "lacks its file"),
        ('{family = "Ridge"', '{family = "Lasso"', "Lasso"),
        ('{family = "Ridge", scale', '{family = "Ridge", scales', "scales"),
        ("[priors.reference]\\nbeta", "[priors.reference]\\nbetta", "betta"),
        ("late = [1980, 1986]", "late = [1880, 1886]", ""),
        ("late = [1980, 1986]", "late = 1980", "first and last period"),
        (
            (
                '[weights]\\ncontiguity = "states.csv"\\nspectral = {file = "states.csv",'
                ' standardize = "spectral"}'
            ),
            "",
            "lacks weights",
        ),
    ],
)
def test_a_wrong_config_is_one_line_that_names_it(folder, old, new, message):
    """Exit status 1, no traceback, the culprit in the message; a window without data fails its
    members alone.
    """
    old, new = old.replace("\\n", "\n"), new.replace("\\n", "\n")
    assert old in CONFIG
    (folder / "config.toml").write_text(CONFIG.replace(old, new))
    result = runner.invoke(app, ["sweep", str(folder / "config.toml")])
    if not message:
        assert result.exit_code == 0
        assert "16 members failed" in result.output
        return
    assert result.exit_code == 1
    assert "error:" in result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.output
