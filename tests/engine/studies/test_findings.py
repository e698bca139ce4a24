"""The record of a study: every field of it is an attribute of the study."""

import dataclasses

import pytest

import spillover as so
from spillover.engine.studies.findings import Findings

FIELDS = [field.name for field in dataclasses.fields(Findings)]


@pytest.mark.parametrize("name", FIELDS)
def test_a_study_has_every_finding(name, make_findings):
    value = object()
    assert getattr(so.Study(make_findings(**{name: value})), name) is value
    assert getattr(so.Study, name).__doc__


def test_findings_stay_as_they_were_found(make_findings):
    with pytest.raises(dataclasses.FrozenInstanceError):
        make_findings().frame = None
