"""Each key of each TOML file with each kind of value: what does not fit is refused by name."""

import copy
import datetime
import re
from functools import partial

import pytest

from spillover.engine.config import fit, study, sweep
from spillover.engine.config.keys import check
from spillover.engine.config.weights import check_entries
from spillover.kernels.errors import SpecificationError

VALUES = {
    "word": "zzz",
    "number as text": "500",
    "whole": 7,
    "large": 2**70,
    "negative": -1,
    "number": 1.5,
    "truth": True,
    "list": [],
    "texts": ["zzz"],
    "numbers": [1, 2],
    "lists": [["a"]],
    "table": {},
    "date": datetime.date(2020, 1, 1),
    "moment": datetime.datetime(2020, 1, 1, 2),
    "time": datetime.time(1, 2),
    "infinite": float("inf"),
    "nan": float("nan"),
}


NUMERIC = {"whole", "large", "negative", "number"}


TEXT = {"word", "number as text"}


LIST = {"list", "texts"}


SEED, COUNT = {"whole"}, {"whole"}


SAMPLER = {"draws": COUNT, "tune": COUNT, "chains": COUNT, "target_accept": set()}


PLACES = {"file": TEXT, "unit": TEXT, "x": TEXT, "y": TEXT}


CHOICE: set[str] = set()


FIT = {  # what of the values each key takes; a table for a table of keys
    "data": TEXT,
    "formula": TEXT,
    "weights": TEXT | {"table"},
    "model": CHOICE,
    "effects": CHOICE,
    "unit": TEXT,
    "period": TEXT,
    "lagged": LIST,
    "main": TEXT,
    "error_weights": TEXT,
    "standardize": CHOICE,
    "islands": CHOICE,
    "output": TEXT,
    "sampler": {"sampler": CHOICE, "seed": SEED, **SAMPLER},
}


WEIGHTS = {
    "file": {"file": TEXT, "standardize": CHOICE, "islands": CHOICE},
    "contiguity": {"kind": CHOICE, "geometry": {"file": TEXT, "unit": TEXT}, "rook": {"truth"}},
    "knn": {"kind": CHOICE, "k": COUNT, "metric": CHOICE, "coordinates": PLACES},
    "distance_band": {
        "kind": CHOICE,
        "threshold": NUMERIC - {"negative"},
        "metric": CHOICE,
        "coordinates": PLACES,
    },
    "inverse_distance": {
        "kind": CHOICE,
        "power": NUMERIC,
        "cutoff": NUMERIC - {"negative"},
        "coordinates": PLACES,
    },
    "economic": {"kind": CHOICE, "values": TEXT, "power": NUMERIC},
    "economic_geography": {"kind": CHOICE, "geography": TEXT, "values": TEXT},
    "nested": {"kind": CHOICE, "of": CHOICE, "share": CHOICE},
}


SWEEP = {
    **{
        name: FIT[name]
        for name in (
            "data",
            "formula",
            "unit",
            "period",
            "lagged",
            "standardize",
            "islands",
            "output",
        )
    },
    "models": CHOICE,
    "effects": CHOICE,
    "weights": dict.fromkeys(("a", "b"), TEXT | {"table"}),
    "controls": {"none": TEXT},
    "windows": {"late": {"numbers"}},
    "priors": {"tight": {"beta": TEXT | {"table"}, "rho": TEXT | {"table"}}},
    "sampler": {"sampler": CHOICE, "seed": SEED, "keep_draws": {"truth"}, **SAMPLER},
    "store": TEXT,
}


STUDY = {
    **{name: FIT[name] for name in ("data", "unit", "period", "standardize", "islands", "output")},
    "title": TEXT,
    "note": TEXT,
    "seed": SEED,
    "weights": dict.fromkeys(("a", "b"), TEXT | {"table"}),
    "model": {
        "formula": TEXT,
        "weights": TEXT,
        "name": CHOICE,
        "effects": CHOICE,
        "alternatives": {"list"},
        "lagged": LIST,
    },
    "fill": {"columns": LIST},
    "indices": {"index": {"positive": LIST, "negative": LIST, "dimensions": {"one": LIST}}},
    "explore": {"variables": LIST, "permutations": COUNT, "fdr": CHOICE},
    "sampler": SAMPLER,
    "sweep": {"weights": LIST, "models": {"list"}, "draws": COUNT},
    "map": {"coordinates": PLACES, "geometry": {"file": TEXT, "unit": TEXT}},
    "truth": {"rho": NUMERIC},
}


GOOD = {  # values that fit, for the other keys
    "model": "SAR",
    "models": ["SAR"],
    "effects": ["none"],
    "standardize": "row",
    "islands": "error",
    "sampler": "nuts",
    "target_accept": 0.8,
    "kind": "knn",
    "metric": "haversine",
    "name": "auto",
    "fdr": 0.1,
    "share": 0.5,
    "of": ["a", "b"],
}


FILES = {"fit": (FIT, fit.KEYS), "sweep": (SWEEP, sweep.KEYS), "study": (STUDY, study.KEYS)}


def good(wanted, name=""):
    """A value that fits."""
    if isinstance(wanted, dict):
        return {key: good(part, key) for key, part in wanted.items()}
    if name in GOOD and not wanted:
        return GOOD[name]
    return VALUES[sorted(wanted)[0]]


def leaves(wanted, path=()):
    for name, part in wanted.items():
        yield (*path, name), ({"table"} if isinstance(part, dict) else part), isinstance(part, dict)
        if isinstance(part, dict):
            yield from leaves(part, (*path, name))


def placed(config, path, value):
    config = copy.deepcopy(config)
    at = config
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value
    return config


def refused(run, path):
    with pytest.raises(SpecificationError) as caught:
        run()
    message = str(caught.value)
    assert message.startswith(f"study.toml: key {'.'.join(path)}: ")
    assert re.search(r"; give |it is one of|It is one of", message)
    assert message.isprintable()
    return message


@pytest.mark.parametrize("name", FILES)
def test_every_key_refuses_every_kind_of_value_that_it_does_not_take(name):
    wanted, keys = FILES[name]
    config = {key: good(part, key) for key, part in wanted.items()}
    if name == "fit":
        config["effects"] = "none"
    if name == "study":
        config["model"]["effects"] = "none"
    check(config, keys, "study.toml")
    refusals = 0
    for path, takes, table in leaves(wanted):
        for kind, value in VALUES.items():
            if table and kind == "table":
                continue  # an empty table lacks what it needs, which is another refusal
            if kind in takes:
                check(placed(config, path, value), keys, "study.toml")
            else:
                refused(
                    lambda path=path, value=value: check(
                        placed(config, path, value), keys, "study.toml"
                    ),
                    path,
                )
                refusals += 1
    assert refusals > 10 * len(keys)


@pytest.mark.parametrize("kind", WEIGHTS)
def test_every_key_of_an_entry_of_weights_refuses_what_it_does_not_take(kind):
    entry = {key: good(part, key) for key, part in WEIGHTS[kind].items()}
    if kind != "file":
        entry["kind"] = kind
    check_entries({"w": entry}, "study.toml")
    for path, takes, table in leaves(WEIGHTS[kind]):
        for name, value in VALUES.items():
            if table and name == "table":
                continue
            run = partial(check_entries, {"w": placed(entry, path, value)}, "study.toml")
            if name in takes:
                run()
            else:
                refused(run, ("weights", "w", *path))


SAID = {
    "a number for a path": (
        {"data": 1.5},
        "study.toml: key data: 1.5 is a number; give a text, the path of a .csv or .parquet file.",
    ),
    "draws as text": (
        {"sampler": {"draws": "500"}},
        'study.toml: key sampler.draws: "500" is a text; give a whole number from 1 on.',
    ),
    "draws as a number": (
        {"sampler": {"draws": 100.0}},
        "study.toml: key sampler.draws: 100.0 is a number; give a whole number from 1 on.",
    ),
    "a negative seed": (
        {"sampler": {"seed": -1}},
        (
            "study.toml: key sampler.seed: -1 is a whole number; give a whole number from 0 to"
            " 2**63 - 1."
        ),
    ),
    "a misspelt key": ({"unti": "state"}, "study.toml: unknown key unti: did you mean unit?"),
    "a misspelt key of a table": (
        {"sampler": {"drwas": 5}},
        "study.toml: unknown key sampler.drwas: did you mean draws?",
    ),
    "a key that is near to none": (
        {"zebra": 1},
        "study.toml: unknown key zebra: the keys are data, ",
    ),
    "a misspelt model": (
        {"model": "SDMM"},
        'study.toml: key model: there is no "SDMM": did you mean "SDM"? It is one of "OLS", ',
    ),
    "colours": ({"model": "\x1b[31mSAR"}, r'there is no "\u001b[31mSAR"'),
    "a key with a line's end": ({"a\nb": 1}, r'unknown key "a\nb"'),
    "a long text": ({"effects": "x" * 10_000}, f'there is no "{"x" * 58}…'),
    "a huge number": ({"unit": 10**5000}, "a number of more than 20 digits is a whole number"),
}


@pytest.mark.parametrize("what", SAID)
def test_what_is_said(what):
    change, message = SAID[what]
    config = {"data": "a.csv", "formula": "y ~ x", "weights": "w.csv", "model": "SAR"} | change
    with pytest.raises(SpecificationError) as caught:
        check(config, fit.KEYS, "study.toml")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 400
