"""ArviZ, imported after JAX and NumPyro.

ArviZ leaves modules that load on first use in place of JAX and NumPyro where it finds none. A later
`import numpyro.distributions` then runs NumPyro's own import in the middle of itself, and leaves a
second package without its parts. So ArviZ is imported here, after the two. Where a program imported
ArviZ first, the two are loaded before anything of this package takes a part of them.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Literal

LATE = ("jax", "numpyro")


def finish_loading() -> None:
    """Load JAX and NumPyro where ArviZ left modules that wait for their first use; where nobody
    imported them, do nothing.
    """
    for name in LATE:
        getattr(sys.modules.get(name), "__version__", None)  # any attribute loads the module


def load_arviz(part: Literal["base", "stats", "plots"]) -> ModuleType:
    """The module arviz_base, arviz_stats or arviz_plots."""
    for name in LATE:
        import_module(name)
    finish_loading()
    return import_module(f"arviz_{part}")
