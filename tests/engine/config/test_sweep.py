"""Priors of a sweep by the names of their families."""

import re

import pytest

from spillover.engine.config.sweep import read_sweep
from spillover.kernels.errors import SpecificationError


def test_a_prior_of_no_family(tmp_path):
    head = 'data = "a.csv"\nformula = "y ~ x"\nmodels = ["SAR"]\nweights.w = "w.csv"\n[priors.v]\n'
    for text, message in (
        ('beta = "Rigde"', 'key priors.v.beta: there is no "Rigde": did you mean "Ridge"'),
        ("beta = {scale = 1}", "key priors.v.beta lacks its family, one of Ridge"),
        (
            'beta = {family = "Ridge", scale = "1"}',
            'key priors.v.beta.scale: "1" is a text; give a number',
        ),
        (
            'beta = {family = "Ridge", scael = 1}',
            "unknown key priors.v.beta.scael: did you mean scale",
        ),
        ('beta = {family = "Conjugate", mean = [0]}', "priors.v.beta lacks covariance"),
        ("beat = 'Ridge'", "unknown key priors.v.beat: did you mean beta"),
    ):
        (tmp_path / "sweep.toml").write_text(head + text)
        with pytest.raises(SpecificationError, match=re.escape(message)):
            read_sweep(tmp_path / "sweep.toml")
