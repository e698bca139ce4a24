"""Tests of specification, and comparisons."""

import spillover as so
from spillover import SpecificationError

REFUSALS = [
    (
        "compare list",
        lambda g: so.compare([1]),
        SpecificationError,
        "^fits is a list: give a dict of names and fits",
    ),
    ("compare nothing", lambda g: so.compare({}), SpecificationError, "needs at least one fit"),
    (
        "compare a model",
        lambda g: so.compare({"a": g.model()}),
        SpecificationError,
        "'a' is a Model: give fits made by",
    ),
    (
        "lm of a frame",
        lambda g: so.lm_tests(g.frame),
        SpecificationError,
        "lm_tests takes a model before it is fitted.*not a DataFrame",
    ),
    (
        "lm kind",
        lambda g: so.lm_tests(g.model("OLS"), kind="x"),
        SpecificationError,
        "no kind 'x'; choose one of 'transformed'",
    ),
    (
        "lm of a SAR",
        lambda g: so.lm_tests(g.model("SAR")),
        SpecificationError,
        "which SAR models have none of",
    ),
    (
        "lm random",
        lambda g: so.lm_tests(g.model("OLS", effects="random")),
        SpecificationError,
        "These tests are for pooled data",
    ),
    (
        "lr of a model",
        lambda g: so.lr_test(g.model(), g.model()),
        SpecificationError,
        "This is a Model: the test takes maximum-likelihood fits",
    ),
    (
        "mundlak of a frame",
        lambda g: so.mundlak(g.frame),
        SpecificationError,
        "This is a DataFrame: the test takes",
    ),
    (
        "select a frame",
        lambda g: so.select_model(g.frame),
        SpecificationError,
        "^model is a DataFrame: give one before it is fitted",
    ),
    (
        "select random",
        lambda g: so.select_model(g.model(effects="random")),
        SpecificationError,
        "select_model compares random with fixed effects itself",
    ),
    (
        "select alpha",
        lambda g: so.select_model(g.model(), alpha=5),
        SpecificationError,
        "^alpha=5: give a number between 0 and 1",
    ),
]
