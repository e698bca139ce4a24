"""The weights of a fit: a file, or entries of the table [weights] by name."""

import pytest

from spillover.engine.config.fit import read_task
from spillover.kernels.errors import SpilloverError

TABLE = (
    'data = "panel.csv"\nformula = "np.log(gsp) ~ unemp"\nmodel = "SLX"\neffects = "unit"\nunit ='
    ' "state"\nperiod = "year"\n'
)


NEAR = '[weights.spectral]\nfile = "states.csv"\nstandardize = "spectral"\n'


def test_a_fit_takes_the_table_of_weights(munnell_files):
    """The weights, and what is estimated with them, are those of the file that holds the same."""
    (munnell_files / "file.toml").write_text(
        'weights = "states.csv"\nstandardize = "spectral"\n' + TABLE
    )
    (munnell_files / "table.toml").write_text(TABLE + NEAR)
    (munnell_files / "several.toml").write_text(
        'main = "spectral"\n' + TABLE + NEAR + '[weights.plain]\nfile = "states.csv"\n'
    )
    tasks = [read_task(munnell_files / f"{name}.toml") for name in ("file", "table", "several")]
    wanted = tasks[0].model.fit_ml()
    for task in tasks[1:]:
        assert task.model.weights == tasks[0].model.weights
        found = task.model.fit_ml()
        assert (found.params == wanted.params).all()
        assert (found.covariance == wanted.covariance).all(axis=None)
    assert wanted.params["W:unemp"] != 0


def test_weights_of_the_errors_by_name_or_file(munnell_files):
    text = TABLE.replace("SLX", "SAC") + NEAR + '[weights.plain]\nfile = "states.csv"\n'
    (munnell_files / "name.toml").write_text('main = "spectral"\nerror_weights = "plain"\n' + text)
    (munnell_files / "path.toml").write_text(
        'main = "spectral"\nerror_weights = "states.csv"\n' + text
    )
    name, path = (read_task(munnell_files / f"{one}.toml").model for one in ("name", "path"))
    assert name.weights == path.weights
    assert name.weights.transform == "spectral"
    assert name.error_weights == path.error_weights
    assert name.error_weights.transform == "row"


def test_weights_that_cannot_be_chosen(munnell_files):
    several = NEAR + '[weights.plain]\nfile = "states.csv"\n'
    for text, message in (
        (TABLE + several, r"lacks main: \[weights\] has spectral, plain"),
        (
            'main = "other"\n' + TABLE + several,
            r"key main: there are no weights 'other'; \[weights\] has spectral, plain",
        ),
        ('main = "x"\nweights = "states.csv"\n' + TABLE, "weights is a file: leave main out"),
        (TABLE + "[weights]\n", r"\[weights\] is empty"),
        (
            TABLE + "[weights]\nk = 4\n",
            "key weights.k: 4 is a whole number; give the path of a file, or a table",
        ),
    ):
        (munnell_files / "c.toml").write_text(text)
        with pytest.raises(SpilloverError, match=message):
            read_task(munnell_files / "c.toml")
