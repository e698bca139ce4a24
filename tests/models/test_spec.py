"""The family of models: three flags each, as the oracle has them."""

import pytest
from oracles import dense

from spillover.kernels.errors import SpecificationError
from spillover.models import spec


@pytest.mark.parametrize("name", dense.MODELS)
def test_flags_of_every_model(name):
    actual = spec.specify(name, "unit")
    assert (actual.lag, actual.durbin, actual.error) == dense.MODELS[name]
    assert actual.effects == "unit"


def test_the_family_is_complete():
    assert set(spec.FLAGS) == set(dense.MODELS)
    assert spec.EFFECTS == dense.EFFECTS
    assert len(set(spec.FLAGS.values())) == 8


@pytest.mark.parametrize(
    ("name", "effects", "culprit"),
    [("SARMA", "none", "'SARMA'"), ("sar", "none", "'sar'"), ("SAR", "time", "'time'")],
)
def test_what_does_not_exist_is_refused_by_name(name, effects, culprit):
    with pytest.raises(SpecificationError, match=f"{culprit}.*choose one of"):
        spec.specify(name, effects)
