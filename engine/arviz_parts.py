"""ArviZ, imported after JAX and NumPyro.

Where JAX and NumPyro have not been imported yet, ArviZ puts modules in their place that load on
first use. A later `import numpyro.distributions` would then start NumPyro's own import in the
middle of itself, and leave a second, incomplete package. So ArviZ is imported here, after the two.
Where a program imported ArviZ first, both are loaded before anything in this package uses them.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Literal

LATE = ("jax", "numpyro")


def finish_loading() -> None:
    """Load JAX and NumPyro where ArviZ left lazy modules in their place; else do nothing."""
    for name in LATE:
        getattr(sys.modules.get(name), "__version__", None)  # any attribute loads the module


def load_arviz(part: Literal["base", "stats", "plots"]) -> ModuleType:
    """Import arviz_base, arviz_stats or arviz_plots."""
    for name in LATE:
        import_module(name)
    finish_loading()
    return import_module(f"arviz_{part}")
