"""Every refusal in the tables, and that no message is missing from them."""

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
LAYERS = ("engine", "kernels", "models")
# Modules whose messages need a file, a formula, a config, a store or an array that the tables do
# not have, and the tests that provoke them. All other modules are covered by the tables.
APART = {
    "engine/_root/__init__.py": "engine/test_import.py",
    "engine/config/*.py": "engine/config",
    "engine/data/formula*.py": "engine/data",
    "engine/data/grammar.py": "engine/data/test_grammar.py",
    "engine/data/lags.py": "engine/data/test_lags.py",
    "engine/data/panel.py": "engine/data/test_panel.py",
    "engine/data/sources.py": "engine/data/test_sources.py",
    "engine/data/tables.py": "engine/data/test_tables.py",
    "engine/estimation/saving.py": "engine/estimation/test_saving.py",
    "engine/memory.py": "engine/test_memory.py",
    "engine/programs.py": "engine/test_programs.py",
    "engine/reporting/*.py": "engine/reporting",
    "engine/storage/*.py": "engine/storage",
    "engine/studies/*.py": "engine/studies",
    "engine/sweeps/block_files.py": "engine/sweeps",
    "engine/sweeps/chunk.py": "engine/sweeps",
    "engine/sweeps/store.py": "engine/sweeps",
    "engine/sweeps/store_earlier.py": "engine/sweeps",
    "engine/terminal/*.py": "engine/terminal",
    "engine/weights/files.py": "engine/weights/test_files.py",
    "engine/weights/libpysal_objects.py": "engine/weights/test_libpysal_objects.py",
    "engine/weights/matrix_market.py": "engine/weights/test_matrix_market.py",
    "engine/weights/npz_files.py": "engine/weights/test_npz_files.py",
    "engine/weights/tables.py": "engine/weights/test_tables.py",
    "engine/weights/texts.py": "engine/weights/test_texts.py",
    "kernels/factor.py": "kernels/test_factor.py",
    "kernels/local_logdet.py": "kernels/test_local_logdet.py",
    "kernels/logdet.py": "kernels/test_logdet.py",
    "kernels/multiplier.py": "kernels/test_multiplier.py",
    "kernels/sparse_logdet.py": "kernels/test_sparse_logdet.py",
    "kernels/spatial_filter.py": "kernels/test_spatial_filter.py",
    "kernels/spectrum.py": "kernels/test_spectrum.py",
    "kernels/stochastic_logdet.py": "kernels/test_stochastic_logdet.py",
}


# How a test shows that something is refused: the command line and a forked process in a line.
PROVOKED = (
    "pytest.raises",
    "assert_refused",
    "expect_refusal",
    "read_error(",
    "def refused(",
    "programs.FORKED",
)


def modules() -> list[str]:
    """The modules whose every message is provoked, by their paths: all that do not stand apart."""
    paths = [
        path.relative_to(ROOT) for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))
    ]
    return [str(path) for path in paths if not any(path.match(pattern) for pattern in APART)]


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
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
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
    for path in modules():
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


def test_a_module_apart_is_there_and_raises_something():
    """A module that is renamed or emptied does not stay on the list."""
    for name in APART:
        assert any(raises(path.relative_to(ROOT)) for path in ROOT.glob(name)), name


@pytest.mark.parametrize("name", sorted({*ELSEWHERE.values(), *APART.values()}))
def test_the_tests_named_elsewhere_are_there(name):
    """Files of tests, or folders of them, that provoke errors."""
    path = ROOT / "tests" / name
    files = [path] if path.suffix else sorted(path.glob("test_*.py"))
    texts = [file.read_text(encoding="utf-8") for file in files]
    assert any(mark in text for mark in PROVOKED for text in texts)


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
