"""Every refusal in the table, and that no message is missing from it."""

import ast
import inspect
import sys
from pathlib import Path

import pytest
from refusals import ELSEWHERE, REFUSALS, UNPROVOKED, Given

import spillover as so
from spillover.kernels import arguments
from spillover.kernels.errors import ArgumentError

ROOT = Path(__file__).parents[2]
# whose every message is provoked; files, formulas, configs, reports and stores have tests of their
# own
MODULES = (
    *(
        f"engine/{name}.py"
        for name in (
            "arguments",
            "cache",
            "compare",
            "exact",
            "explore",
            "explore_plots",
            "fit",
            "indices",
            "labels",
        )
    ),
    *(
        f"engine/{name}.py"
        for name in (
            "logdet",
            "members",
            "ml",
            "plots",
            "prepare",
            "results",
            "selection",
            "specification",
            "sweep",
        )
    ),
    *(
        f"engine/{name}.py"
        for name in ("sweep_plots", "swept", "weights", "weights_checks", "weights_made")
    ),
    *(
        f"models/{name}.py"
        for name in ("design", "priors", "search", "simulate", "spec", "supports")
    ),
    "kernels/arguments.py",
)


@pytest.fixture(scope="module")
def given():
    return Given()


@pytest.fixture
def made(monkeypatch):
    """Where errors of ours are made from now on, those that something catches too: (file, line)."""
    places = set()

    def note(error, *words):
        frame = sys._getframe(1)
        places.add((Path(frame.f_code.co_filename).resolve(), frame.f_lineno))
        Exception.__init__(error, *words)

    monkeypatch.setattr(so.SpilloverError, "__init__", note)
    return places


@pytest.mark.parametrize(
    ("how", "error", "says"), [row[1:] for row in REFUSALS], ids=[row[0] for row in REFUSALS]
)
def test_it_is_refused_by_name(how, error, says, given):
    with pytest.raises(error, match=says) as caught:
        how(given)
    message = str(caught.value)
    assert message.isprintable()  # one line, no colours
    assert len(message) < 400


def raises(path):
    """{the longest piece of text in it: (first line, last line)} of every error that a module
    raises by itself.
    """
    found = {}
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if (
            isinstance(node, ast.Raise)
            and isinstance(node.exc, ast.Call)
            and isinstance(node.exc.func, ast.Name)
            and node.exc.args
        ):
            texts = [
                part.value
                for part in ast.walk(node.exc)
                if isinstance(part, ast.Constant) and isinstance(part.value, str)
            ]
            found[node.lineno] = (
                max(texts, key=len, default=ast.unparse(node.exc)),
                node.end_lineno,
            )
    return found


def test_no_message_is_missing_from_the_table(given, made):
    """Of every place where these modules raise an error, a row of the table comes out, or ELSEWHERE
    names the tests that do, or UNPROVOKED says why none does.
    """
    for row in REFUSALS:
        with pytest.raises(so.SpilloverError):
            row[1](given)
    missing, idle = [], ELSEWHERE | UNPROVOKED
    for path in MODULES:
        for first, (text, last) in raises(path).items():
            named = [piece for piece in ELSEWHERE | UNPROVOKED if piece in text]
            for piece in named:
                idle.pop(piece, None)
            if not named and not any(
                (ROOT / path, line) in made for line in range(first, last + 1)
            ):
                missing.append(f"{path}:{first}: {text}")
    assert not missing, "\n".join(missing)
    assert not idle  # nor is a message named that is no longer there


@pytest.mark.parametrize("name", sorted(set(ELSEWHERE.values())))
def test_the_tests_named_elsewhere_are_there(name):
    assert (
        "pytest.raises" in (ROOT / "tests" / name).read_text()
        or "assert_refused" in (ROOT / "tests" / name).read_text()
    )


PUBLIC = [
    so.SDM,
    so.sweep,
    so.moran,
    so.compare,
    so.Weights,
    so.Weights.knn,
    so.Model.fit,
    so.MLFit.impacts,
    so.Fit.impacts,
    so.Ridge,
]


@pytest.mark.parametrize("function", PUBLIC, ids=lambda function: function.__qualname__)
def test_a_front_door_keeps_the_signature_and_the_words(function):
    inner = (
        function.__init__ if inspect.isclass(function) else getattr(function, "__func__", function)
    )
    assert hasattr(inner, "__wrapped__")
    assert str(inspect.signature(inner)) == str(inspect.signature(inner.__wrapped__))
    assert function.__doc__


def test_every_public_function_stands_behind_a_front_door():
    kinds = (so.Weights, so.LogDet, so.Model, so.MLFit, so.Fit, so.Sweep, so.Study, so.Priors)
    functions = [value for name in so.__all__ if inspect.isfunction(value := getattr(so, name))]
    functions += [
        value
        for module in (so.cache, so.plots)
        for name, value in vars(module).items()
        if name in ("keep", "trace", "impacts")
    ]
    methods = [
        vars(kind)[name] for kind in kinds for name in vars(kind) if not name.startswith("_")
    ]
    functions += [
        value
        for value in (getattr(method, "__func__", method) for method in methods)
        if inspect.isfunction(value)
    ]
    assert len(functions) > 60
    assert [
        function.__qualname__ for function in functions if not hasattr(function, "__wrapped__")
    ] == []


def test_a_type_error_from_within_is_not_taken_for_a_wrong_call():
    @arguments.front_door
    def adds(a, b=1):
        return a + b

    assert adds(1) == 2
    with pytest.raises(TypeError) as caught:
        adds("1")
    assert not isinstance(caught.value, so.SpilloverError)
    with pytest.raises(ArgumentError, match=r"adds\(\) has no argument 'c': it takes a, b"):
        adds(1, c=2)
    assert issubclass(ArgumentError, TypeError)
