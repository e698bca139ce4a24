"""What `spillover fit` writes: the numbers of the same model fitted in Python."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import spillover as so
from spillover.engine.terminal import fit
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

[sampler]
draws = 500
tune = 300
seed = 1
"""

pytestmark = pytest.mark.usefixtures("no_cache")


@pytest.fixture
def folder(munnell_files):
    """A folder with the panel, its weights as an edge list, and a config."""
    (munnell_files / "config.toml").write_text(CONFIG)
    return munnell_files


def test_fit_writes_what_python_gives(folder):
    """The files hold the numbers of the same model fitted in Python, and the screen has
    the terms.
    """
    result = runner.invoke(app, ["fit", str(folder / "config.toml")])
    assert result.exit_code == 0, result.output
    frame, contiguity = so.munnell()
    model = so.SAR(
        "np.log(gsp) ~ np.log(pcap) + unemp",
        frame,
        contiguity.row_standardize(),
        effects="unit",
        unit="state",
        period="year",
    )
    fit = model.fit(draws=500, tune=300, seed=1, progress=False)
    written = so.load(folder / "out" / "posterior.nc")
    np.testing.assert_array_equal(written.posterior["rho"], fit.posterior["rho"])
    table = pd.read_csv(folder / "out" / "coefficients.csv", index_col=0)
    np.testing.assert_allclose(table["mean"], fit.summary()["mean"], rtol=1e-12)
    comparison = pd.read_csv(folder / "out" / "comparison.csv", index_col=[0, 1], header=[0, 1])
    np.testing.assert_allclose(
        comparison.loc[("parameter", "rho"), ("ML", "estimate")],
        model.fit_ml().params["rho"],
        rtol=1e-10,
    )
    assert {path.name for path in (folder / "out").glob("*.png")} == {
        "impacts.png",
        "trace.png",
        "prior_posterior.png",
    }
    assert "np.log(pcap)" in result.output
    assert "wrote" in result.output


@pytest.mark.verify
def test_fit_by_exact_draws(folder):
    """The same files, and the evidence of the same fit in Python."""
    (folder / "config.toml").write_text(CONFIG.replace("[sampler]", '[sampler]\nsampler = "exact"'))
    result = runner.invoke(app, ["fit", str(folder / "config.toml")])
    assert result.exit_code == 0, result.output
    frame, contiguity = so.munnell()
    model = so.SAR(
        "np.log(gsp) ~ np.log(pcap) + unemp",
        frame,
        contiguity.row_standardize(),
        effects="unit",
        unit="state",
        period="year",
    )
    evidence = model.fit("exact", draws=10).log_marginal_likelihood
    assert so.load(folder / "out" / "posterior.nc").log_marginal_likelihood == pytest.approx(
        evidence, abs=1e-9
    )
    assert len(list((folder / "out").glob("*.png"))) == 3


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('model = "SAR"', 'model = "SARX"', "SARX"),
        ('model = "SAR"', "", "lacks model"),
        ('unit = "state"', 'unti = "state"', "unti"),
        ("draws = 500", "drwas = 500", "drwas"),
        ("panel.csv", "missing.csv", "missing.csv"),
        ("panel.csv", "panel.xlsx", "panel.xlsx"),
        ("np.log(pcap)", "np.log(capital)", "capital"),
        ('output = "out"', 'standardize = "rows"', "rows"),
        ("[sampler]", "[sampler", "not valid TOML"),
    ],
)
def test_a_wrong_config_is_one_line_that_names_it(folder, old, new, message):
    """Exit status 1, no traceback, the culprit in the message."""
    (folder / "config.toml").write_text(CONFIG.replace(old, new))
    (folder / "panel.xlsx").touch()
    result = runner.invoke(app, ["fit", str(folder / "config.toml")])
    assert result.exit_code == 1
    assert "error:" in result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_missing_config_is_named(tmp_path):
    """A path that is not there."""
    result = runner.invoke(app, ["fit", str(tmp_path / "nothing.toml")])
    assert result.exit_code == 1
    assert "nothing.toml" in result.stderr


def test_the_tables_of_a_fit_are_csv(tmp_path):
    """The writer of a fit's tables, on a label that a spreadsheet would run."""

    class Made:
        def save(self, path):
            Path(path).touch()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "PICTURES", ())
        fit.write_files(
            Made(), {"coefficients": pd.DataFrame({"mean": [-1.0]}, index=["=x"])}, tmp_path
        )
    assert (tmp_path / "coefficients.csv").read_text() == ",mean\n'=x,-1.0\n"
