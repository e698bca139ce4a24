"""A study from its TOML file: what does not fit is refused by name before anything is fitted."""

import pytest
from changed_demo import demo

import spillover as so
from spillover.engine.data.datasets import province_coordinates

REGRESSORS = ["integration", "government", "openness", "human_capital", "industry", "technology"]
FORMULA = f"prosperity ~ {' + '.join(REGRESSORS)}"
pytestmark = pytest.mark.usefixtures("no_cache")


WRONG = {
    "an unknown key": (("seed = 0\n", "sede = 0\n"), "unknown key sede: did you mean seed"),
    "an unknown key of the model": (
        ('effects = "twoway"', 'efects = "twoway"'),
        "unknown key model.efects: did you mean effects",
    ),
    "no formula": ((f'formula = "{FORMULA}"\n', ""), "lacks formula"),
    "unknown main weights": (('weights = "economic_geography"', 'weights = "trade"'), "'trade'"),
    "an unknown model": (('name = "SDM"', 'name = "SDX"'), 'key model.name: there is no "SDX"'),
    "gaps without [fill]": (("[fill] ", "# "), "missing values"),
    "an indicator that is not there": (('"freight", ', '"frieght", '), "'frieght'"),
    "a variable that is not there": (
        ('variables = ["integration"]', 'variables = ["trade"]'),
        "'trade'",
    ),
    "a column that is not there": (("+ technology", "+ patents"), "patents"),
    "no such file": (('data = "panel.csv"', 'data = "pannel.csv"'), "pannel.csv"),
    "a truth that is no parameter": (('"rho" = 0.396', '"rhoo" = 0.396'), "'rhoo'"),
    "weights of other units": (('file = "borders.csv"', 'file = "capitals.csv"'), "contiguity"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_file_is_refused_by_name_before_anything_is_fitted(what, tmp_path):
    change, culprit = WRONG[what]
    with pytest.raises(so.SpilloverError, match=culprit):
        so.study(demo(tmp_path, change), progress=False)


def test_a_map_without_a_unit_is_refused_before_anything_is_fitted(tmp_path):
    path = demo(
        tmp_path,
        ('[map]\ncoordinates = {file = "capitals.csv"', '[map]\ncoordinates = {file = "fewer.csv"'),
    )
    province_coordinates().drop("Zhejiang").to_csv(tmp_path / "fewer.csv")
    with pytest.raises(so.DataError, match=r"\[map\].*'Zhejiang'"):
        so.study(path, progress=False)
