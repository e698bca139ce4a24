"""The package as it is imported: quick, complete, and its examples true."""

import doctest
import importlib
import pkgutil
import subprocess
import sys

import pytest

import spillover
import spillover.engine
import spillover.kernels
import spillover.models

MODULES = [
    "spillover",
    *(
        module.name
        for package in (spillover.engine, spillover.kernels, spillover.models)
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")
        if "_root" not in module.name
    ),
    "spillover.kernels",
    "spillover.models",
    "spillover.engine",
]


def seconds(statement: str) -> float:
    """The best of three fresh interpreters."""
    code = (
        f"import time; start = time.perf_counter(); {statement}; print(time.perf_counter() - start)"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(3)
    ]
    return min(float(run.stdout) for run in runs)


@pytest.mark.verify
def test_importing_costs_less_than_a_second_beyond_jax():
    assert seconds("import spillover") < seconds("import jax") + 1.0


def test_importing_loads_nothing_heavy():
    """Heavy parts load when used."""
    heavy = ("pandas", "xarray", "arviz_base", "matplotlib", "numpyro", "rich")
    code = f"import sys, spillover; print(*[name for name in {heavy} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


@pytest.mark.verify  # make test imports every module so, tests/kernels/test_layers.py
def test_importing_leaves_the_configuration_of_jax_alone():
    code = (
        "import jax; before = dict(jax.config.values); import spillover as so\nfor name in"
        " so.__all__: getattr(so, name)\nimport importlib, pkgutil\nchanged = {k for k, v in"
        " jax.config.values.items() if before.get(k, v) != v}; print(sorted(changed),"
        " jax.numpy.ones(1).dtype)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["[]", "float32"]


LAZY = """
import importlib.util, sys
def lazily(name):  # what lazy_loader, and so ArviZ, does where a package is not imported yet
    spec = importlib.util.find_spec(name)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    importlib.util.LazyLoader(spec.loader).exec_module(module)
"""
ORDERS = {
    "ArviZ first": (
        "import arviz_base; lazily('jax'); lazily('numpyro'); import spillover as so; so.SDM"
    ),
    "ours first": "import spillover as so; so.SDM; import arviz_base",
    "ours first, unused": (
        "import spillover as so; lazily('jax'); lazily('numpyro'); import arviz_base; so.SDM"
    ),
    "saved fits first": (
        "import spillover as so; so.load; from spillover.engine.arviz_parts import load_arviz;"
        " load_arviz('base'); so.SDM"
    ),
}


@pytest.mark.cover(order=["ours first"])
@pytest.mark.parametrize("order", ORDERS)
def test_numpyro_is_whole_whoever_imports_arviz_first(order):
    code = (
        f"{LAZY}{ORDERS[order]}\nimport numpyro, numpyro.distributions as d, jax, jax.numpy as"
        " jnp\n"
    )
    code += (
        "print(d.distribution.__name__, numpyro.distributions is d, jax.numpy is jnp,"
        " so.Priors().rho)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["numpyro.distributions.distribution", "True", "True", "Uniform()"]


@pytest.mark.parametrize("name", spillover.__all__)
def test_every_public_name_resolves(name):
    value = getattr(spillover, name)
    assert value is not None
    if name not in ("__version__", "cache", "plots"):
        assert value.__name__ == name
        assert value.__doc__


def test_the_facade_is_complete_and_closed():
    assert set(dir(spillover)) >= set(spillover.__all__)
    assert len(set(spillover.__all__)) == len(spillover.__all__)
    with pytest.raises(AttributeError, match="gibbs"):
        spillover.gibbs  # noqa: B018
    contract = (
        "Weights read_weights LogDet OLS SLX SAR SEM SDM SDEM SAC GNS Priors load compare"
        " SpilloverError"
    )
    assert set(contract.split()) <= set(spillover.__all__)


@pytest.mark.cover(name=["spillover.engine.weights.weights"])
@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    """Each module by its real name."""
    module = importlib.import_module(name)
    result = doctest.testmod(
        module,
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
        extraglobs={"__name__": name},
    )
    assert result.failed == 0


def test_there_are_examples_to_run():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = sum(
        len(test.examples)
        for name in MODULES
        for test in finder.find(importlib.import_module(name))
    )
    assert found >= 20
