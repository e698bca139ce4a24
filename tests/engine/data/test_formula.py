"""A formula is never code: what is not listed is refused before it runs; lags stay within units;
own functions have names.
"""

import os
import sys
import threading

import numpy as np
import pandas as pd
import pytest

import spillover as so
from spillover.engine.config.fit import read_task
from spillover.engine.data import grammar
from spillover.engine.data.panel import read_panel
from spillover.engine.sweeps import plan as members
from spillover.engine.sweeps.sweep import sweep
from spillover.engine.terminal.study import study

RNG = np.random.default_rng(7)
IDS = list("abcdefgh")
W = so.Weights(np.roll(np.eye(8), 1, axis=1) + np.roll(np.eye(8), 3, axis=1), IDS)
ROWS = pd.DataFrame(
    {
        "y": RNG.normal(size=8),
        "x": RNG.normal(size=8),
        "z": RNG.uniform(1, 2, size=8),
        "group": ["north", "south"] * 4,
        "a b": RNG.normal(size=8),
        "gdp.real": RNG.normal(size=8),
        "it's": RNG.normal(size=8),
        "__import__('os').system('touch made')": RNG.normal(size=8),
    },
    index=IDS,
)
RUN = "np.f2py.os.system('touch made')"
CODE = [
    *(
        f"x + np.where({RUN} == 0, z, z)",
        RUN,
        f"I({RUN})",
        f"{{{RUN}}}",
        f"log({RUN})",
        f"C(group, {RUN})",
        f"x:{RUN}",
        f"({RUN} + x)**2",
    ),
    *(
        "I(open('made', 'w').write('a') * x)",
        "open('made', 'w')",
        "{open('made', 'w')}",
        "I(open)",
        "C(group, levels=open('made', 'w'))",
    ),
    *(
        "__import__('os')",
        "I(__import__('os').system('touch made'))",
        "`__import__('os')`",
        "eval('1')",
        "exec('1')",
        "compile('1')",
    ),
    *(
        "getattr(x, 'to_csv')('made')",
        "vars()",
        "globals()",
        "type(x)",
        "print(x)",
        "input()",
        "breakpoint()",
        "exit()",
        "help(x)",
        "abs",
    ),
    *(
        "x.__class__",
        "I(x.__class__)",
        "x.__class__.__init__.__globals__['sys']",
        "I(().__class__.__base__.__subclasses__())",
        "x.values",
    ),
    *(
        "x.to_csv('made')",
        "x.to_pickle('made')",
        "x.tofile('made')",
        "x.pipe(print)",
        "x.apply(print)",
        "x.eval('1')",
        "`x`.to_csv('made')",
    ),
    *(
        "np.load('made', allow_pickle=True)",
        "np.memmap('made', mode='w+', shape=(8,))",
        "np.fromfile('/etc/passwd')",
        "np.save('made', x)",
    ),
    *(
        "np.genfromtxt('/etc/passwd')",
        "np.loadtxt('/etc/passwd')",
        "np.savetxt('made', x)",
        "np.lib.format.open_memmap('made', 'w+')",
    ),
    *(
        "np.ctypeslib.load_library('a', 'b')",
        "np.vectorize(print)(x)",
        "np.frompyfunc(print, 1, 1)(x)",
        "np.apply_along_axis(print, 0, x)",
    ),
    *(
        "np",
        "I(np)",
        "np.__loader__",
        "np.log.__class__",
        "np.log.at(x, 0)",
        "np.add.reduce(x) * x",
        "np.random.rand(8)",
        "np.testing",
    ),
    *(
        "np.log(z, out=x)",
        "np.log(z, where=z > 0)",
        "np.log(z, dtype=object)",
        "np.exp(x, **z)",
        "np.exp(*x)",
        "np.log()",
        "log(base=2)",
    ),
    *(
        "(lambda: x)()",
        "I((lambda: x)())",
        "[i for i in x]",
        "I([i for i in x])",
        "I((q := x))",
        "I(x if z else x)",
        "I(x[0])",
        "x[0]",
    ),
    *(
        "{x: 1}",
        "f'{x}'",
        "I(f'{x}')",
        "I(f'{open(chr(109))}')",
        "I(yield)",
        "I(await x)",
        "I(*x)",
        "I(x @ x)",
        "I(x is z)",
        "I(x in z)",
    ),
    *(
        "I(x and z)",
        "I(x << 2)",
        "I(...)",
        "I(None)",
        "'a'",
        "I('a')",
        "I('a' * 1000000000)",
        "I(b'a')",
        "I(1j * x)",
        "I(x; z)",
        "x; z",
    ),
    *(
        "C(group, levels=['`', __import__('os'), '`'])",
        "C(group, contr.custom(__import__('os')))",
        "C(group, contr.treatment.__class__)",
    ),
    *(
        "C(group, contr.treatment(open('made', 'w')))",
        "C(group, levels=['a\\\\\", 1'])",
        'C(group, levels=["a\\"])',
        "contr",
        "contr.sum",
    ),
    *(
        "ｅｖａｌ('1')",
        "I(ｏｐｅｎ('made', 'w'))",
        "np.ｌｏａｄ('made')",
        "ｎｐ.load('made')",
        "I(оpen('made', 'w'))",
        "x\u202e",
        "x\u200b",
        "\ufeffx",
    ),
    *(
        "x # z",
        "x\0",
        "\\x",
        "$x",
        "x ? z",
        "x = z",
        "x == z",
        "x & z",
        "x %in% z",
        "[x ~ z]",
        "x ~ z",
        "x | z",
        "x,",
        "``",
        "`x",
        "x`",
    ),
    *(
        "np.roll(x, 1)",
        "np.cumsum(x)",
        "np.diff(x)",
        "np.sort(x)",
        "np.mean(x)",
        "x.shift(1)",
        "shift(x)",
        "hashed(group)",
        "Q('x')",
    ),
    *(
        "np.zeros(10**12)",
        "np.repeat(x, 10**9)",
        "np.add.outer(x, x)",
        "pd.eval('1')",
        "I(pd.read_csv('/etc/passwd'))",
        "os.system('a')",
    ),
]
LARGE = {
    "x ** 9**9**9": "power follows a power",
    "I(9**9**9 * x)": "nothing that a formula may hold",
    "I(x**9**9**9)": "nothing that a formula may hold",
    "I(x**65)": "between -64 and 64",
    "(x + z)**30": "more than 5000 terms",
    "(x + z)**9999999999": "whole number from 1 to 50",
    "(((x + z)**9)**9)**9": "more than 5000 terms",
    "*".join(f"I(x + {i})" for i in range(30)): "more than 5000 terms",
    "/".join(["(x + z + group)"] * 4) + "".join([":(x + z + group)"] * 9): "more than 5000 terms",
    "(" * 3000 + "x" + ")" * 3000: "more than 40 brackets",
    "I" + "(" * 3000 + "x" + ")" * 3000: "more than 40 brackets",
    "I(" + "-" * 9000 + "x)": "cannot be read|nothing that a formula",
    "x + " * 9000 + "x": "20000 are allowed",
    "poly(x, 1000000000)": "50 is the most",
    "poly(x, degree=1000000000)": "50 is the most",
    "bs(x, df=1000000000)": "50 is the most",
    "I(x * 99999999999999999999)": "too large a number",
    "~" * 500 + "x": "cannot be read|nothing that",
    ")x(": "more brackets close",
    "(x": "does not close",
}
EVENTS = (
    "open",
    "os.",
    "subprocess.",
    "socket.",
    "shutil.",
    "ctypes.",
    "pickle.",
    "urllib.",
    "mmap.",
)


class _Watch:
    """What this thread has asked of the system since the list was made; an audit hook stays for the
    life of the process.
    """

    def __init__(self) -> None:
        self.seen: list[str] | None = None
        self.thread = threading.get_ident()

    def __call__(self, event: str, given: tuple) -> None:
        if (
            self.seen is None
            or not event.startswith(EVENTS)
            or threading.get_ident() != self.thread
        ):
            return
        # an import
        if (
            not (event == "open" and str(given[0]).endswith((".py", ".pyc")))
            and event != "os.listdir"
        ):
            self.seen.append(f"{event} {given[:1]}")


WATCH = _Watch()


@pytest.fixture(scope="module")
def watch():
    if not hasattr(sys, "_spillover_watched"):
        sys.addaudithook(WATCH)
        sys._spillover_watched = True  # type: ignore[attr-defined]
    return WATCH


def panel(formula, frame=ROWS, weights=W, unit=None, period=None, **functions):
    return read_panel(
        formula,
        frame,
        weights,
        unit=unit,
        period=period,
        effects="none",
        functions=functions or None,
    )


@pytest.mark.parametrize("side", ["left", "right"])
def test_nothing_of_a_formula_runs(side, watch, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    panel("y ~ log(z) + C(group)")  # what is imported once is imported
    answered = {}
    for text in CODE:
        watch.seen = []
        try:
            panel(f"y ~ {text}" if side == "right" else f"{text} ~ x")
            answered[text] = "it was taken"
        except so.SpilloverError as error:
            message = str(error)
            if "\n" in message or "\x1b" in message or len(message) < 20:
                answered[text] = message
        finally:
            seen, watch.seen = watch.seen, None
        if seen or os.listdir(tmp_path):
            answered[text] = f"it did {seen}"
    assert answered == {}


@pytest.mark.parametrize("text", LARGE, ids=lambda text: text[:20])
def test_large_formulas_are_refused_before_they_are_worked_out(text):
    with pytest.raises(so.SpilloverError, match=LARGE[text]):
        panel(f"y ~ {text}")


@pytest.mark.parametrize("formula", [5, None, b"y ~ x", ["y ~ x"], {"y": "x"}])
def test_a_formula_is_text(formula):
    with pytest.raises(so.DataError, match="write it as text"):
        panel(formula)


def test_a_config_runs_nothing(watch, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ROWS.rename_axis("town").to_csv("data.csv")
    frame = ROWS.reset_index(names="town")
    pd.DataFrame({"o": IDS, "d": IDS[1:] + IDS[:1], "w": 1.0}).to_csv("w.csv", index=False)
    head = f'data = "data.csv"\nunit = "town"\nformula = "y ~ x + {RUN}"\n'
    (tmp_path / "fit.toml").write_text(f'{head}weights = "w.csv"\nmodel = "SAR"\n')
    before = sorted(os.listdir(tmp_path))
    for run in (
        lambda: read_task(tmp_path / "fit.toml"),
        lambda: sweep(f"y ~ {RUN}", frame, {"w": W}, unit="town", progress=False),
        lambda: sweep(
            "y ~ x", frame, {"w": W}, unit="town", controls={"more": RUN}, progress=False
        ),
    ):
        with pytest.raises(so.SpilloverError, match=r"np\.f2py\.os\.system"):
            run()
    assert sorted(os.listdir(tmp_path)) == before


def test_a_study_runs_nothing(tmp_path, monkeypatch):
    from spillover.engine.terminal.demo import write_demo

    monkeypatch.chdir(tmp_path)
    path = write_demo(tmp_path / "demo", 0)
    text = path.read_text(encoding="utf-8")
    formula = next(line for line in text.splitlines() if line.startswith("formula"))
    path.write_text(
        text.replace(formula, f'formula = "prosperity ~ integration + {RUN}"'), encoding="utf-8"
    )
    with pytest.raises(so.SpilloverError, match=r"np\.f2py\.os\.system"):
        study(path, progress=False)
    assert os.listdir(tmp_path) == ["demo"]


X, Z = ROWS["x"].to_numpy(), ROWS["z"].to_numpy()
NORTH = (ROWS["group"] == "north").to_numpy(float)
COLUMNS = {  # by NumPy, beside the labels that formulaic gives
    "log(z)": ("log(z)", np.log(Z)),
    "log1p(z)": ("log1p(z)", np.log1p(Z)),
    "log10(z)": ("log10(z)", np.log10(Z)),
    "exp(x)": ("exp(x)", np.exp(X)),
    "exp10(x)": ("exp10(x)", 10.0**X),
    "expm1(x)": ("expm1(x)", np.exp(X) - 1),
    "sqrt(z)": ("sqrt(z)", np.sqrt(Z)),
    "abs(x)": ("abs(x)", np.abs(X)),
    "np.log(z)": ("np.log(z)", np.log(Z)),
    "np.maximum(x, z)": ("np.maximum(x, z)", np.maximum(X, Z)),
    "np.clip(x, -1, 1)": ("np.clip(x, -1, 1)", np.clip(X, -1, 1)),
    "np.where(x > 0, x, 0)": ("np.where(x > 0, x, 0)", np.where(X > 0, X, 0)),
    "np.where(group == 'north', x, z)": (
        "np.where(group == 'north', x, z)",
        np.where(NORTH == 1, X, Z),
    ),
    "I(x ** 2)": ("I(x ** 2)", X**2),
    "I(x ** -1)": ("I(x ** (-1))", 1 / X),
    "I(np.pi * x / 2)": ("I(np.pi * x / 2)", np.pi * X / 2),
    "I(z ** x)": ("I(z ** x)", Z**X),
    "{x ** 2}": ("x ** 2", X**2),
    "x:z": ("x:z", X * Z),
    "`a b`": ("a b", ROWS["a b"].to_numpy()),
    "`gdp.real`": ("gdp.real", ROWS["gdp.real"].to_numpy()),
    "exp(`a b`)": ("exp(`a b`)", np.exp(ROWS["a b"].to_numpy())),
    "x:`it's`": ("x:it's", X * ROWS["it's"].to_numpy()),
    f"`{ROWS.columns[-1]}`": (ROWS.columns[-1], ROWS.iloc[:, -1].to_numpy()),
    "center(x)": ("center(x)", X - X.mean()),
    "scale(x)": ("scale(x)", (X - X.mean()) / X.std(ddof=1)),
    "poly(x, 1, raw=True)": ("poly(x, 1, raw=True)[0]", X),
    "C(group, contr.treatment('south'))": ("C(group, contr.treatment('south'))[T.north]", NORTH),
    "C(group, contr.sum)": ("C(group, contr.sum)[S.north]", 2 * NORTH - 1),
    "C(group, levels=['south', 'north'])": ("C(group, levels=['south', 'north'])[T.north]", NORTH),
}


@pytest.mark.parametrize("text", COLUMNS)
def test_what_a_formula_computes(text):
    label, values = COLUMNS[text]
    found = panel(f"y ~ {text}")
    assert found.names == ("Intercept", label)
    np.testing.assert_allclose(found.x[0, :, 1], values, rtol=1e-14)


def test_every_listed_function_can_be_called():
    for name in grammar.BY_ROW:
        panel(f"y ~ {name}(z)")
    for name in grammar.NUMPY:
        given = {"where": "(x > 0, x, z)", "clip": "(x, 0, 1)"}.get(name, "(z)")
        if getattr(np, name, None) and getattr(getattr(np, name), "nin", 1) == 2:
            given = "(z, x)"
        if name in ("arccosh", "arctanh", "arcsin", "arccos"):
            given = "(z / 2)" if name != "arccosh" else given
        if not name.startswith(("is", "logical")):
            panel(f"y ~ np.{name}{given}")


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        ("y ~ lgo(x)", r"did you mean log\?"),
        ("y ~ np.lgo(x)", r"did you mean np\.log"),
        ("y ~ I(gdp.real)", r"write it in backticks, `gdp\.real`"),
        ("y ~ center(x, 2, what=3)", "what is nothing that it takes"),
        ("y ~ poly(x, degre=3)", "it takes degree, raw"),
    ],
)
def test_a_way_out_is_named(formula, words):
    with pytest.raises(so.SpilloverError, match=words):
        panel(formula)


def test_a_column_may_be_called_as_a_function_is():
    frame = ROWS.assign(log=Z, I=X)
    assert panel("y ~ log + exp(log) + `I`", frame).names == ("Intercept", "log", "exp(log)", "I")
    with pytest.raises(
        so.DataError,
        match=r"'log' is a column and a function .* write np.log\(...\), or rename the column",
    ):
        panel("y ~ log(z)", frame)


# --- functions of one's own
# ----------------------------------------------------------------------------------------------


def test_functions_of_the_user():
    found = so.SAR(
        "y ~ half(x) + x:add(z, 2)",
        ROWS,
        W,
        formula_functions={"half": lambda x: x / 2, "add": lambda x, k: x + k},
    )
    assert found.panel.names == ("Intercept", "half(x)", "x:add(z, 2)")
    np.testing.assert_array_equal(found.panel.x[0, :, 1:], np.column_stack([X / 2, X * (Z + 2)]))


@pytest.mark.parametrize(
    ("functions", "words"),
    [
        ({"log": np.log}, "'log' is a function of formulas or a column"),
        ({"x": np.log}, "'x' is a function of formulas or a column"),
        ({"np": np.log}, "'np' is a function"),
        ({"f": 3}, "give a function"),
        ({"a b": np.log}, "no name for a function"),
        ({"__f": np.log}, "no name for a function"),
        ({"lambda": np.log}, "no name for a function"),
        ({3: np.log}, "no name for a function"),
        ([np.log], "give a dict"),
    ],
)
def test_functions_that_cannot_be(functions, words):
    with pytest.raises(so.SpecificationError, match=words):
        so.SAR("y ~ x", ROWS, W, formula_functions=functions)


def test_a_fault_in_a_function_of_the_user_is_told():
    def fails(_):
        raise KeyError("a fault of mine")

    with pytest.raises(so.DataError, match="a fault of mine"):
        so.SAR("y ~ f(x)", ROWS, W, formula_functions={"f": fails})
    with pytest.raises(so.DataError, match="Complex numbers"):
        so.SAR("y ~ f(x)", ROWS, W, formula_functions={"f": lambda x: x + 0j})


def test_a_sweep_takes_functions_of_the_user():
    plan = members.Plan("y ~ f(x)", {"w": W}, ("SAR",), ("none",), "town", None)
    frame = ROWS.reset_index(names="town")
    one, other = (
        members.read(plan, frame, {"f": lambda x, power=power: x**power}) for power in (1, 3)
    )
    assert next(iter(one.panels.values())).names == ("Intercept", "f(x)")
    assert members.digest(one, []) != members.digest(other, [])  # by which a store knows its sweep


# --- lags
# --------------------------------------------------------------------------------------------------

YEARS = [2001, 2002, 2003, 2004, 2005]
LONG = pd.DataFrame(
    [(unit, year, *RNG.normal(size=2)) for unit in IDS for year in YEARS],
    columns=["town", "year", "y", "x"],
)
SHUFFLED = LONG.sample(frac=1, random_state=3, ignore_index=True)
AT = {(town, year): x for town, year, x in LONG[["town", "year", "x"]].itertuples(index=False)}


@pytest.mark.parametrize(
    ("text", "before", "value"),
    [
        ("lag(x)", 1, lambda town, year: AT[town, year - 1]),
        ("lag(x, 2)", 2, lambda town, year: AT[town, year - 2]),
        ("lag(x, k=2)", 2, lambda town, year: AT[town, year - 2]),
        ("lag(x, 0)", 0, lambda town, year: AT[town, year]),
        ("diff(x)", 1, lambda town, year: AT[town, year] - AT[town, year - 1]),
        ("diff(lag(x))", 2, lambda town, year: AT[town, year - 1] - AT[town, year - 2]),
        ("exp(lag(x)) * 1", 1, lambda town, year: np.exp(AT[town, year - 1])),
        ("I(x - lag(x, 3))", 3, lambda town, year: AT[town, year] - AT[town, year - 3]),
        ("lag(exp(x) + 1)", 1, lambda town, year: np.exp(AT[town, year - 1]) + 1),
    ],
)
def test_lags_stay_within_units_whatever_the_order_of_the_rows(text, before, value):
    text = text.removesuffix(" * 1")
    for weights in (W, W[list("hgfedcba")]):
        found = panel(f"y ~ {text}", SHUFFLED, weights, unit="town", period="year")
        years = YEARS[before:]
        assert found.periods.tolist() == years
        assert found.before.tolist() == YEARS[:before]
        brute = [[value(town, year) for town in weights.ids] for year in years]
        np.testing.assert_allclose(found.x[:, :, 1], brute, rtol=1e-15)
        np.testing.assert_array_equal(
            found.y, LONG.pivot_table("y", "year", "town").loc[years, weights.ids]
        )


def test_the_model_says_what_its_lags_used_up():
    model = so.SAR("y ~ x + lag(x, 2)", SHUFFLED, W, effects="unit", unit="town", period="year")
    assert "8 units x 3 periods (after 2 for lags)" in repr(model)


def test_a_response_may_be_a_difference():
    found = panel("diff(y) ~ x", SHUFFLED, W, unit="town", period="year")
    np.testing.assert_allclose(
        found.y, LONG.pivot_table("y", "year", "town").diff().iloc[1:][IDS], rtol=1e-12
    )


@pytest.mark.parametrize(
    ("formula", "frame", "given", "words"),
    [
        ("y ~ lag(x)", ROWS, {}, "of a panel: say which columns are unit= and period="),
        ("y ~ lag(x, 5)", LONG, {}, "reads 5 periods before each, and the data have 5"),
        ("y ~ lag(x, -1)", LONG, {}, "a whole number from 0 to 4"),
        ("y ~ lag(x, 1.5)", LONG, {}, "a whole number from 0 to 4"),
        ("y ~ lag(x, 'a')", LONG, {}, "a whole number from 0 to 4"),
        ("y ~ lag(x)", LONG[LONG["year"] != 2003], {}, "between year 2002 and 2004 one is missing"),
        ("y ~ lag(x, 4)", LONG, {"effects": "unit"}, "the data have one after its lags, 2005"),
    ],
)
def test_lags_that_cannot_be(formula, frame, given, words):
    names = {} if frame is ROWS else {"unit": "town", "period": "year"}
    with pytest.raises(so.SpilloverError, match=words):
        so.SAR(formula, frame, W, **names, **given)


def test_dates_at_even_distances_have_lags():
    months = LONG.assign(
        year=LONG["year"].map({year: pd.Timestamp(2020, i + 1, 1) for i, year in enumerate(YEARS)})
    )
    found = panel("y ~ lag(x)", months, W, unit="town", period="year")
    np.testing.assert_array_equal(
        found.x[:, :, 1], panel("y ~ lag(x)", LONG, W, unit="town", period="year").x[:, :, 1]
    )
