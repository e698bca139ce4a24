"""JAX and NumPyro loaded whole, whatever was imported before.

ArviZ leaves modules that load on first use in place of JAX and NumPyro where it finds none. A later
`import numpyro.distributions` then runs NumPyro's own import in the middle of itself and leaves a
second package without its parts. So ArviZ is imported here, after the two; and where a program
imported ArviZ first, they are completed before anything of ours takes a part of them.
"""

import sys
from importlib import import_module
from types import ModuleType

PARTS = ("jax", "numpyro")


def complete() -> None:
    """Load JAX and NumPyro where they stand unloaded; where they are not imported at all, nothing
    happens.
    """
    for name in PARTS:
        # a module that loads on first use loads at its first attribute
        getattr(sys.modules.get(name), "__version__", None)


def arviz(part: str) -> ModuleType:
    """arviz_base, arviz_stats or arviz_plots, for `part` "base", "stats" or "plots"."""
    for name in PARTS:
        import_module(name)
    complete()
    return import_module(f"arviz_{part}")
