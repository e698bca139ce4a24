"""How this repository is written: the habits that a reader relies on, checked by reading its files.

Lengths are counted without docstrings and blank lines. What a rule finds is printed as path:line.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("engine", "kernels", "models")
COLUMNS = 100
FILE_LINES = 400
FUNCTION_LINES = 45
POSITIONAL = 5
ONLY_BY_POSITION = ("jax.lax.cond", "jax.lax.switch", "lax.cond", "lax.switch")  # their operands

# Modules that have no file of tests of their own name, and the file that tests them: what they do
# is only seen through another module, or is one of several that a law is about.
TESTED_IN = {
    "engine/estimation/test_hard_bounds.py": ("models/supports.py",),
    "engine/specification/test_hypothesis_tests.py": ("models/lagrange.py",),
    "engine/test_refusals.py": ("engine/estimation/arguments.py", "engine/estimation/compare.py"),
    "engine/estimation/test_nuts_posterior.py": ("engine/estimation/model.py",),
    "engine/estimation/test_saving.py": ("engine/storage/hdf5_layout.py",),
    "engine/storage/test_csv_text.py": ("engine/storage/quoting.py",),
    "engine/storage/test_own_folder.py": ("engine/cache.py", "engine/devices.py"),
    "engine/test_import.py": ("engine/arviz_parts.py",),
    "engine/studies/test_study.py": ("engine/studies/plan.py",),
    "engine/sweeps/test_store_damage.py": ("engine/storage/sealed.py",),
    "engine/sweeps/test_sweep.py": ("engine/sweeps/plan.py", "engine/sweeps/stacking.py"),
    "engine/terminal/test_cli.py": ("engine/progress.py",),
    "engine/weights/test_logdet.py": ("engine/weights/channels.py",),
}


@cache
def files(*folders: str) -> tuple[Path, ...]:
    """The Python files below some folders."""
    return tuple(path for one in folders for path in sorted((ROOT / one).rglob("*.py")))


@cache
def tree(path: Path) -> ast.Module:
    """The file as syntax."""
    return ast.parse(path.read_text(encoding="utf-8"))


def docstring_lines(node: ast.AST) -> set[int]:
    """The lines of every docstring at and below a node."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    bodies = [
        one.body[0]
        for one in ast.walk(node)
        if isinstance(one, documented) and ast.get_docstring(one, clean=False) is not None
    ]
    return {k for body in bodies for k in range(body.lineno, body.end_lineno + 1)}


def length(path: Path, node: ast.AST, first: int, last: int) -> int:
    """The lines from first to last that are neither blank nor of a docstring of the node."""
    lines, described = path.read_text(encoding="utf-8").splitlines(), docstring_lines(node)
    return sum(bool(lines[k - 1].strip()) and k not in described for k in range(first, last + 1))


def at(path: Path, line: int, words: str) -> str:
    """A place to look."""
    return f"{path.relative_to(ROOT)}:{line}: {words}"


def long_files(*folders: str) -> Iterator[str]:
    """Files of more than FILE_LINES lines."""
    for path in files(*folders):
        last = len(path.read_text(encoding="utf-8").splitlines())
        if (count := length(path, tree(path), 1, last)) > FILE_LINES:
            yield at(path, 1, f"{count} lines, at most {FILE_LINES}")


def long_functions() -> Iterator[str]:
    """Functions of the package of more than FUNCTION_LINES lines, their signature not counted."""
    for path in files(*LAYERS):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                count = length(path, node, node.body[0].lineno, node.end_lineno)
                if count > FUNCTION_LINES:
                    yield at(path, node.lineno, f"{node.name}: {count} lines, at most 45")


def wide_lines() -> Iterator[str]:
    """Lines of more than COLUMNS columns."""
    for path in files(*LAYERS, "tests", "bench"):
        for k, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if len(line) > COLUMNS:
                yield at(path, k, f"{len(line)} columns, at most {COLUMNS}")


def shared_class_names() -> Iterator[str]:
    """Names that two modules of the package give to a class."""
    homes = defaultdict(list)
    for path in files(*LAYERS):
        for node in tree(path).body:
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(at(path, node.lineno, f"class {node.name}"))
    for places in homes.values():
        if len(places) > 1:
            yield ", ".join(places)


def loose_zips() -> Iterator[str]:
    """zip(strict=False), which drops what has no partner."""
    for path in files(*LAYERS, "tests", "bench"):
        for call in calls(path):
            loose = any(
                word.arg == "strict"
                and isinstance(word.value, ast.Constant)
                and word.value.value is False
                for word in call.keywords
            )
            if loose and isinstance(call.func, ast.Name) and call.func.id == "zip":
                yield at(path, call.lineno, "zip(strict=False)")


def calls(path: Path) -> Iterator[ast.Call]:
    """The calls of a file."""
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.Call))


def calls_by_position() -> Iterator[str]:
    """Calls of more than POSITIONAL arguments without a name. f(*parts) counts as one: how many
    they are is not seen here, and arrays are stacked that way.
    """
    for path in files(*LAYERS):
        for call in calls(path):
            name = ast.unparse(call.func)
            if len(call.args) > POSITIONAL and name not in ONLY_BY_POSITION:
                words = f"{name}: {len(call.args)} arguments without a name"
                yield at(path, call.lineno, words)


def modules() -> list[str]:
    """The modules of the package that hold code, by their paths."""
    paths = [path.relative_to(ROOT) for path in files(*LAYERS)]
    return [str(p) for p in paths if p.name != "__init__.py" and "_root" not in p.parts]


def has_tests_of_its_name(module: str) -> bool:
    """Whether tests/ has test_NAME.py, or test_NAME_ABOUT.py, in the module's place."""
    path = ROOT / "tests" / module
    return any(path.parent.glob(f"test_{path.stem}.py")) or any(
        path.parent.glob(f"test_{path.stem}_*.py")
    )


def untested_modules() -> Iterator[str]:
    """Modules without a file of tests of their name, that no other is said to test."""
    named = {module for group in TESTED_IN.values() for module in group}
    for module in modules():
        if module not in named and not has_tests_of_its_name(module):
            yield f"{module}: no tests/{module.rpartition('/')[0]}/test_{Path(module).name}"


def benches_without_a_question() -> Iterator[str]:
    """Scripts of bench/ whose docstring does not begin with a question, and those that print their
    records without the machine.
    """
    for path in files("bench"):
        source = path.read_text(encoding="utf-8")
        if "common.run(" not in source or path.name == "common.py":
            continue
        question = (ast.get_docstring(tree(path)) or "").partition("\n")[0]
        if not question.endswith("?"):
            yield at(path, 1, "its docstring begins with no question")
        for call in calls(path):
            prints = isinstance(call.func, ast.Name) and call.func.id == "print"
            if prints and not call.keywords:  # to standard output
                yield at(path, call.lineno, "prints without common.report")


RULES = {
    "files of the package": lambda: long_files(*LAYERS),
    "files of tests and benches": lambda: long_files("tests", "bench"),
    "functions": long_functions,
    "columns": wide_lines,
    "one name, one class": shared_class_names,
    "strict zips": loose_zips,
    "named arguments": calls_by_position,
    "a file of tests for every module": untested_modules,
    "a question for every bench": benches_without_a_question,
}


@pytest.mark.parametrize("rule", RULES)
def test_the_habit_is_kept(rule):
    broken = list(RULES[rule]())
    assert not broken, "\n".join(broken)


def test_the_list_of_modules_tested_elsewhere_is_true():
    """Nothing on it is gone, has tests of its name by now, or is on it twice."""
    named = [module for group in TESTED_IN.values() for module in group]
    assert len(named) == len(set(named))
    assert [name for name in named if not (ROOT / name).exists()] == []
    assert [name for name in named if has_tests_of_its_name(name)] == []
    assert [name for name in TESTED_IN if not (ROOT / "tests" / name).exists()] == []
