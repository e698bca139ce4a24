"""The packaged study as files."""

from spillover.engine.config.study import read_study
from spillover.engine.data.datasets import province_indicators
from spillover.engine.terminal.demo import write_demo
from spillover.models.prosperity import TRUTH


def test_the_file_lists_the_packaged_indicators(tmp_path):
    table, plan = province_indicators(), read_study(write_demo(tmp_path, 0))
    for name, rows in table.groupby("composite"):
        for side in ("positive", "negative"):
            assert set(plan.indices[name][side]) == set(rows.index[rows["direction"] == side])
    dimensions = plan.indices["prosperity"]["dimensions"]
    assert {one: name for name, ones in dimensions.items() for one in ones} == dict(
        table["dimension"].dropna()
    )
    assert dict(plan.truth) == dict(TRUTH)
