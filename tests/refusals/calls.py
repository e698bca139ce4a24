"""Calls that do not fit a function, and numbers that are none."""

import spillover as so
from refusals.given import FLAT, PLACES
from spillover import SpecificationError

REFUSALS = [
    # calls that do not fit
    (
        "misspelt",
        lambda g: so.SDM("y ~ x1", g.frame, g.W, effect="unit"),
        SpecificationError,
        r"^SDM\(\) has no argument 'effect': did you mean 'effects'\?$",
    ),
    (
        "unknown",
        lambda g: g.model().fit(colour=3),
        SpecificationError,
        r"^Model.fit\(\) has no argument 'colour': it takes sampler, draws",
    ),
    (
        "missing",
        lambda g: so.SDM("y ~ x1"),
        SpecificationError,
        r"^SDM\(\) needs formula, data and weights: data and weights are missing\.$",
    ),
    (
        "too many",
        lambda g: so.provinces(1, 2),
        SpecificationError,
        r"^provinces\(\) takes only seed without a name, not 2 values; .* such as complete=",
    ),
    (
        "none wanted",
        lambda g: so.Uniform(2, 3),
        SpecificationError,
        r"^Uniform\(\) takes no argument, not 2 values\.$",
    ),
    (
        "twice",
        lambda g: so.moran(g.cross["y"], g.W, x=1),
        SpecificationError,
        r"^moran\(\) has 'x' twice",
    ),
    (
        "builder",
        lambda g: so.Weights.knn(PLACES, kk=2),
        SpecificationError,
        r"^Weights.knn\(\) has no argument 'kk': did you mean 'k'\?$",
    ),
    (
        "family",
        lambda g: so.Ridge(scal=2.0),
        SpecificationError,
        r"^Ridge\(\) has no argument 'scal': did you mean 'scale'\?$",
    ),
    (
        "weights of a call",
        lambda g: g.W.lag(),
        SpecificationError,
        r"^Weights.lag\(\) needs x: x is missing\.$",
    ),
    (
        "options of moran",
        lambda g: so.moran_by_period(g.frame, "y", g.W, **FLAT, permutation=9),
        SpecificationError,
        "'permutation': did you mean 'permutations'",
    ),
    # numbers
    (
        "draws text",
        lambda g: g.model().fit(draws="500"),
        SpecificationError,
        r"^draws='500': give a whole number from 1 on, such as draws=500\.$",
    ),
    (
        "draws float",
        lambda g: g.model().fit(draws=100.0),
        SpecificationError,
        r"^draws=100\.0: give a whole number from 1 on, such as draws=100\.$",
    ),
    (
        "draws true",
        lambda g: g.model().fit(draws=True),
        SpecificationError,
        r"^draws=True: give a whole number from 1 on",
    ),
    (
        "draws none",
        lambda g: g.model().fit(draws=0),
        SpecificationError,
        r"^draws=0: give a whole number from 1 on",
    ),
    (
        "draws endless",
        lambda g: g.model().fit(draws=2**70),
        SpecificationError,
        r"^draws=1180591620717411303424: give a whole number from 1 to 2147483647",
    ),
    (
        "chains",
        lambda g: g.model().fit(chains="2"),
        SpecificationError,
        r"^chains='2': give a whole number from 1 on, such as chains=2\.$",
    ),
    (
        "tune",
        lambda g: g.model().fit(tune=-1),
        SpecificationError,
        r"^tune=-1: give a whole number from 0 on, such as tune=1000\.$",
    ),
    (
        "seed below",
        lambda g: g.model().fit(seed=-1),
        SpecificationError,
        r"^seed=-1: give a whole number from 0 to 2\*\*63 - 1, such as seed=0\.$",
    ),
    (
        "seed text",
        lambda g: so.provinces(seed="a"),
        SpecificationError,
        r"^seed='a': give a whole number from 0 to 2\*\*63 - 1",
    ),
    (
        "seed beyond",
        lambda g: g.sweep(seed=2**70),
        SpecificationError,
        r"^seed=1180591620717411303424: give a whole number from 0 to 2\*\*63 - 1",
    ),
    (
        "target",
        lambda g: g.model().fit(target_accept=2),
        SpecificationError,
        r"^target_accept=2: give a number between 0 and 1, such as target_accept=0\.8\.$",
    ),
    (
        "progress",
        lambda g: g.model().fit(progress="yes"),
        SpecificationError,
        r"^progress='yes': give True or False\.$",
    ),
    ("folder", lambda g: so.keep_compiled(3), SpecificationError, r"^folder=3: give a path"),
]
