"""A study's file becomes a plan: what it leaves out has its default, and weights are made later."""

import pandas as pd
import pytest

from spillover.engine.config.study import read_study
from spillover.engine.studies.plan import ALTERNATIVES, AUTO
from spillover.kernels.errors import SpecificationError

TEXT = """
data = "panel.csv"
unit = "town"
period = "year"
standardize = "none"

[weights.wealth]
kind = "economic"
values = "gdp"

[model]
formula = "y ~ gdp"
weights = "wealth"
"""


@pytest.fixture
def path(tmp_path):
    rows = [(town, year, size, 1.0) for year in (1, 2) for town, size in (("a", 1), ("b", 2))]
    frame = pd.DataFrame(rows, columns=["town", "year", "gdp", "y"])
    frame.to_csv(tmp_path / "panel.csv", index=False)
    (tmp_path / "towns.toml").write_text(TEXT)
    return tmp_path / "towns.toml"


def test_what_a_file_leaves_out(path):
    plan = read_study(path)
    assert (plan.title, plan.name, plan.effects, plan.main) == ("towns", AUTO, "twoway", "wealth")
    assert plan.alternatives == ALTERNATIVES
    assert plan.output == path.parent / "towns"
    assert plan.where == str(path)
    assert (plan.fill, plan.lagged, plan.places) == (None, None, None)
    assert read_study(path, path.parent.parent).output == path.parent.parent


def test_weights_are_made_of_the_data_as_they_are_by_then(path):
    plan = read_study(path)
    assert plan.weights == {"wealth": {"kind": "economic", "values": "gdp"}}
    assert plan.weights_of(plan.frame)["wealth"].to_scipy()[0, 1] == 1.0
    later = plan.frame.assign(gdp=plan.frame["gdp"] * 4)
    made = plan.weights_of(later)["wealth"]
    assert made.ids.tolist() == ["a", "b"]
    assert made.to_scipy()[0, 1] == 0.25


def test_weights_that_do_not_exist_are_named(path):
    path.write_text(TEXT.replace('weights = "wealth"', 'weights = "distance"'))
    with pytest.raises(SpecificationError, match=r"no weights 'distance' .* has wealth"):
        read_study(path)
