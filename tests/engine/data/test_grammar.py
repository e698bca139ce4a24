"""A formula is never code: what is not listed is refused before anything of it runs."""

import os
import sys
import threading

import numpy as np
import pandas as pd
import pytest
from formula_rows import IDS, ROWS, RUN, W, panel

import spillover as so
from spillover.engine.config.fit import read_task
from spillover.engine.data import grammar
from spillover.engine.sweeps.sweep import sweep
from spillover.engine.terminal.study import study

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


WHOLE = (
    "poly",
    "center",
    "scale",
    "bs",
    "cc",
    "cr",
    "cs",
    "standardize",
    "Q",
    "hashed",
    "C",
    "I",
    "lag",
    "log",
    "diff",
)


PLACES = (
    "{} ~ x",
    "{} + y ~ x",
    "y ~ {}",
    "y ~ x - {}",
    "y ~ x:{}",
    "y ~ (x + {})",
    "y - {} ~ x",
    "~ {}",
    "{}",
    "y | {} ~ x",
    "y ~ x | {}",
)


@pytest.mark.parametrize("name", WHOLE)
def test_no_argument_runs_wherever_it_stands(name, tmp_path, monkeypatch):
    """formulaic evaluates the arguments of some functions as it reads, of the response and of terms
    taken out again too.
    """
    monkeypatch.chdir(tmp_path)
    taken, messages = [], []
    for place in PLACES:
        for call in (
            f"{name}({RUN})",
            f"{name}({RUN}, 2)",
            f"{name}(x, {RUN})",
            f"{name}(x, df={RUN})",
            f"log({name}({RUN}))",
        ):
            try:
                panel(place.format(call))
                taken.append(place.format(call))
            except so.SpilloverError as error:
                messages.append(str(error))
    assert taken == []
    assert [message for message in messages if "\n" in message or "\x1b" in message] == []
    assert os.listdir(tmp_path) == []
