"""Each key of each TOML file with each kind of value: what does not fit is refused by file, key and
what is wanted, unread.
"""

import copy
import datetime
import os
import re
from functools import partial

import pytest

from spillover.engine.config import fit, study, sweep
from spillover.engine.config.fit import read_task
from spillover.engine.config.keys import check
from spillover.engine.config.study import read_study
from spillover.engine.config.sweep import read_sweep
from spillover.engine.config.toml import DEEPEST, LARGEST, read_toml
from spillover.engine.config.weights import check_entries
from spillover.engine.config.wording import find_near
from spillover.kernels.errors import SpecificationError, SpilloverError

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


def test_the_nearest_of_some_names():
    assert find_near("perid", ["unit", "period"]) == "period"
    assert find_near("sdm", ["SAR", "SDM"]) == "SDM"
    assert find_near("zebra", ["unit", "period"]) is None


CONTENT = {
    "empty": (b"", "lacks data, "),
    "binary": (bytes(range(256)), "not UTF-8"),
    "not UTF-8": ('title = "caf\xe9"'.encode("latin-1"), "not UTF-8 text (byte 12)"),
    "UTF-16": ("data = 1".encode("utf-16"), "not UTF-8"),
    "null characters": (b"data = \0", "not valid TOML"),
    "no TOML": (b"data = ", "not valid TOML"),
    "twice": (b"data = 1\ndata = 2", "not valid TOML"),
    "deep lists": (b"data = " + b"[" * 9000 + b"]" * 9000, "nests lists or tables too deeply"),
    "deep tables": (
        b"data = " + b"{a=" * 9000 + b"1" + b"}" * 9000,
        "nests lists or tables too deeply",
    ),
    "deep keys": (b"a" + b".a" * 100_000 + b" = 1", f"more than {DEEPEST} parts"),
    "deep keys in quotes": (b'"a"' + b' . "a"' * 100_000 + b" = 1", f"more than {DEEPEST} parts"),
    "a deep header": (b"[a" + b".a" * 100_000 + b"]", f"more than {DEEPEST} parts"),
    "a huge number": (b"data = " + b"9" * 5000, "not valid TOML"),
    "a huge file": (b"#" * (LARGEST + 1), "more than a megabyte"),
}


@pytest.mark.parametrize("what", CONTENT)
@pytest.mark.parametrize("read", [read_task, read_sweep, read_study])
def test_a_file_that_is_no_toml(what, read, tmp_path):
    content, message = CONTENT[what]
    path = tmp_path / "c.toml"
    path.write_bytes(content)
    with pytest.raises(SpecificationError, match=re.escape(message)) as caught:
        read(path)
    assert "c.toml" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [one.name for one in tmp_path.iterdir()] == ["c.toml"]


def test_a_mark_of_byte_order_is_no_fault(tmp_path):
    (tmp_path / "c.toml").write_bytes(b"\xef\xbb\xbfdata = 1.5\n")
    with pytest.raises(SpecificationError, match="lacks formula"):
        read_task(tmp_path / "c.toml")


def test_a_path_that_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")  # opened, it would wait for a writer that never comes
    (tmp_path / "loop.toml").symlink_to(tmp_path / "loop.toml")
    (tmp_path / "file").touch()
    for path, message in (
        (tmp_path / "pipe.toml", "is a device or a pipe"),
        ("/dev/zero", "is a device or a pipe"),
        (tmp_path, "is a folder"),
        (tmp_path / "none.toml", "There is no file"),
        (tmp_path / "file" / "c.toml", "There is no file"),
        (tmp_path / "loop.toml", "cannot be read"),
        (tmp_path / ("x" * 300), "cannot be read"),
        ("a\0b", "cannot be read"),
    ):
        with pytest.raises(SpecificationError, match=message):
            read_toml(type(tmp_path)(path), ())


TABLE = (
    'data = "panel.csv"\nformula = "np.log(gsp) ~ unemp"\nmodel = "SLX"\neffects = "unit"\nunit ='
    ' "state"\nperiod = "year"\n'
)
NEAR = '[weights.spectral]\nfile = "states.csv"\nstandardize = "spectral"\n'


def test_a_fit_takes_the_table_of_weights(munnell_files):
    """The weights, and what is estimated with them, are those of the file that holds the same."""
    (munnell_files / "file.toml").write_text(
        'weights = "states.csv"\nstandardize = "spectral"\n' + TABLE
    )
    (munnell_files / "table.toml").write_text(TABLE + NEAR)
    (munnell_files / "several.toml").write_text(
        'main = "spectral"\n' + TABLE + NEAR + '[weights.plain]\nfile = "states.csv"\n'
    )
    tasks = [read_task(munnell_files / f"{name}.toml") for name in ("file", "table", "several")]
    wanted = tasks[0].model.fit_ml()
    for task in tasks[1:]:
        assert task.model.weights == tasks[0].model.weights
        found = task.model.fit_ml()
        assert (found.params == wanted.params).all()
        assert (found.covariance == wanted.covariance).all(axis=None)
    assert wanted.params["W:unemp"] != 0


def test_weights_of_the_errors_by_name_or_file(munnell_files):
    text = TABLE.replace("SLX", "SAC") + NEAR + '[weights.plain]\nfile = "states.csv"\n'
    (munnell_files / "name.toml").write_text('main = "spectral"\nerror_weights = "plain"\n' + text)
    (munnell_files / "path.toml").write_text(
        'main = "spectral"\nerror_weights = "states.csv"\n' + text
    )
    name, path = (read_task(munnell_files / f"{one}.toml").model for one in ("name", "path"))
    assert name.weights == path.weights
    assert name.weights.transform == "spectral"
    assert name.error_weights == path.error_weights
    assert name.error_weights.transform == "row"


def test_weights_that_cannot_be_chosen(munnell_files):
    several = NEAR + '[weights.plain]\nfile = "states.csv"\n'
    for text, message in (
        (TABLE + several, r"lacks main: \[weights\] has spectral, plain"),
        (
            'main = "other"\n' + TABLE + several,
            r"key main: there are no weights 'other'; \[weights\] has spectral, plain",
        ),
        ('main = "x"\nweights = "states.csv"\n' + TABLE, "weights is a file: leave main out"),
        (TABLE + "[weights]\n", r"\[weights\] is empty"),
        (
            TABLE + "[weights]\nk = 4\n",
            "key weights.k: 4 is a whole number; give the path of a file, or a table",
        ),
    ):
        (munnell_files / "c.toml").write_text(text)
        with pytest.raises(SpilloverError, match=message):
            read_task(munnell_files / "c.toml")
