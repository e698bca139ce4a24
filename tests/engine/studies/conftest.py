"""Findings of which a test needs only a part, and two fits by maximum likelihood."""

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import spillover as so
from spillover.engine.studies.findings import Findings


@pytest.fixture(scope="session")
def make_findings() -> Callable[..., Findings]:
    """make_findings(field=value): findings whose other fields are None."""

    def make(**fields: Any) -> Findings:
        return Findings(
            **dict.fromkeys(field.name for field in dataclasses.fields(Findings)) | fields
        )

    return make


@pytest.fixture(scope="session")
def fits(munnell) -> dict[str, so.MLFit | so.ConvergenceError]:
    """An OLS and a SAR model without effects, and a model that has no estimate."""
    frame, weights = munnell
    panel = {"effects": "none", "unit": "state", "period": "year"}
    formula = "np.log(gsp) ~ np.log(pc) + unemp"
    return {
        "OLS": so.OLS(formula, frame, weights, **panel).fit_ml(),
        "SAR": so.SAR(formula, frame, weights, **panel).fit_ml(),
        "SEM": so.ConvergenceError("no interior maximum"),
    }


@pytest.fixture
def plan() -> SimpleNamespace:
    """The fields of a plan that tables and sections read."""
    return SimpleNamespace(
        title="Title",
        note="A note.\n",
        main="w",
        unit="unit",
        period="year",
        effects="none",
        formula="y ~ x",
        seed=3,
        sampler={},
        truth={},
        places=None,
    )
