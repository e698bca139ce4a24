"""Names in errors."""

from spillover.engine.config.wording import find_near


def test_the_nearest_of_some_names():
    assert find_near("perid", ["unit", "period"]) == "period"
    assert find_near("sdm", ["SAR", "SDM"]) == "SDM"
    assert find_near("zebra", ["unit", "period"]) is None
