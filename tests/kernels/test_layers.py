"""The layers kernels <- models <- engine and the rooms of engine, read from the source, and what an
import may not do.
"""

import ast
import subprocess
import sys
import tomllib
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAYERS = ("kernels", "models", "engine")
FILES = {
    str(path.relative_to(ROOT)): path
    for layer in LAYERS
    for path in sorted((ROOT / layer).rglob("*.py"))
}
NUMERIC = {"jax", "numpy", "scipy"}
# pymetis: orders the elimination of a sparse matrix
OUTSIDE = {
    "kernels": NUMERIC | {"pymetis"},
    "models": NUMERIC | {"numpyro"},
}
DOWNWARD = {"kernels": {"kernels"}, "models": {"kernels", "models"}, "engine": set(LAYERS)}


def imports(tree):
    """(module, level) of every import in the file, functions and type checking included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if module == "spillover":
                yield from ((f"spillover.{alias.name}", node.level) for alias in node.names)
            else:
                yield module, node.level


@cache
def parsed(name):
    """The tree of a file."""
    return ast.parse(FILES[name].read_text())


def test_the_three_layers_are_there():
    assert {name.split("/")[0] for name in FILES} == set(LAYERS)
    assert len(FILES) > 20


def test_imports_are_absolute_and_by_the_package_name():
    for name in FILES:
        for module, level in imports(parsed(name)):
            assert level == 0, f"{name}: a relative import of {module!r}"
            assert module.split(".")[0] not in LAYERS, (
                f"{name}: imports {module!r} as a top-level package"
            )


def test_layers_depend_downwards_only():
    for name in FILES:
        layer = name.split("/")[0]
        for module, _ in imports(parsed(name)):
            head, _, rest = module.partition(".")
            if head == "spillover":
                inner = rest.split(".")[0]
                assert inner in DOWNWARD[layer] or (layer == "engine" and inner not in LAYERS), (
                    f"{name}: {layer} imports {module}"
                )
            elif layer in OUTSIDE:
                assert head in OUTSIDE[layer] | sys.stdlib_module_names, (
                    f"{name}: {layer} imports {module}"
                )


# The rooms of engine: an import goes to a room further up in this list only. What lies right in
# engine/ is ground that every room but storage stands on.
GROUND = "ground"
ROOMS = (
    "storage",
    GROUND,
    "weights",
    "data",
    "exploration",
    "estimation",
    "specification",
    "sweeps",
    "reporting",
    "studies",
    "config",
    "terminal",
)


def dotted(path):
    """The name by which a file of the package is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(["spillover", *parts]).removesuffix(".__init__")


MODULES = {dotted(path): name for name, path in FILES.items() if "_root" not in path.parts}


def our_imports(name):
    """The modules of the package that a file imports, lazily and for type checking too."""
    for node in ast.walk(parsed(name)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in MODULES or node.module in MODULES:
                    yield inner if inner in MODULES else node.module


def room_of(module):
    """The room of a module of engine, None for one of the layers below."""
    _, layer, *rest = module.split(".")
    if layer != "engine":
        return None
    return rest[0] if rest and rest[0] in ROOMS else GROUND


def test_an_import_goes_to_a_room_further_up():
    for module in filter(room_of, MODULES):
        room = ROOMS.index(room_of(module))
        for other in our_imports(MODULES[module]):
            if room_of(other) not in (None, room_of(module)):
                assert ROOMS.index(room_of(other)) < room, f"{module} imports {other}"


def test_nothing_but_the_version_is_taken_from_the_facade():
    for module in MODULES:
        for node in ast.walk(parsed(MODULES[module])):
            if isinstance(node, ast.ImportFrom) and node.module == "spillover":
                assert {alias.name for alias in node.names} <= {*LAYERS, "__version__"}, module
            elif isinstance(node, ast.ImportFrom) and node.module:
                assert not node.module.startswith("spillover.plots"), module
        facade = {"spillover.plots", "spillover.__main__"}
        for node in ast.walk(parsed(MODULES[module])):
            if isinstance(node, ast.Import):
                assert not facade & {alias.name for alias in node.names}, module


def test_no_module_is_imported_by_what_it_imports():
    graph = {module: set(our_imports(name)) - {module} for module, name in MODULES.items()}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"a circle: {' <- '.join(error.args[1])}")


def test_every_room_says_what_it_is_and_is_installed():
    folders = {path.parent.name for path in (ROOT / "engine").glob("*/__init__.py")} - {"_root"}
    assert folders == set(ROOMS) - {GROUND}
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
        "packages"
    ]
    assert {f"spillover.engine.{room}" for room in folders} <= set(packages)
    for room in folders:
        words = ast.get_docstring(ast.parse((ROOT / "engine" / room / "__init__.py").read_text()))
        assert "import" in words.split("\n\n")[1], room


def at_import(tree):
    """Nodes that run when the module is imported: all but the bodies of functions."""
    queue = list(tree.body)
    while queue:
        node = queue.pop()
        yield node
        inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        queue += (
            [*node.decorator_list, node.args]
            if inside and hasattr(node, "decorator_list")
            else ast.iter_child_nodes(node)
        )


def test_no_module_sets_a_jax_option_when_imported():
    for name in FILES:
        for node in at_import(parsed(name)):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert not called.endswith(
                    ("config.update", "enable_x64", "config.parse_flags_with_absl")
                ), f"{name}: {called} at import"


IMPORT_ALL = """
import importlib, sys, jax, numpyro
before = dict(jax.config.values)
for module in sys.argv[1:]:
    importlib.import_module(module)
after = jax.config.values
changed = [name for name, value in before.items() if after[name] != value]
assert not changed, changed
assert jax.numpy.zeros(1).dtype == "float32"
"""


def test_importing_the_package_leaves_the_jax_configuration_alone():
    modules = [
        "spillover." + ".".join(Path(name).with_suffix("").parts)
        for name in FILES
        if "_root" not in name and "__init__" not in name
    ]
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, "spillover", *modules],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
