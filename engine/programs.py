"""Two guards around JAX: against too many compiled programs, and against forked processes.

Every program that JAX compiles takes some of the process's memory maps. Linux allows 65,530 of them
unless set otherwise, and a process that needs more dies. A process forked from one in which JAX has
run lacks JAX's threads, and would wait for them for ever.
"""

import gc
import os
import sys
from pathlib import Path
from typing import Any

import jax

from spillover.kernels.errors import SpecificationError

SHARE = 0.4  # of the allowed maps; beyond it compiled programs are dropped
USUAL = 65_530  # maps allowed where the system does not say
MAPS, MOST = Path("/proc/self/maps"), Path("/proc/sys/vm/max_map_count")
FORKED = (
    "This process was forked from one in which JAX had run, and would hang: start workers by "
    "multiprocessing.get_context('spawn'), give so.sweep all members at once, or a Dask client."
)


class _Process:
    """Whether JAX has run in this process, and whether the process was forked after that."""

    def __init__(self) -> None:
        self.used = False
        self.forked = False

    def after_fork(self) -> None:
        self.forked = self.used


_process = _Process()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_process.after_fork)


def enter() -> None:
    """Note that JAX is about to run; SpecificationError if the process was forked after JAX ran."""
    if _process.forked:
        raise SpecificationError(FORKED)
    _process.used = True


def enter_and_clear() -> None:
    """Call `enter`, and drop compiled programs if there are too many; called before a fit.

    The programs of spillover's own functions are dropped first. If that is not enough, all are,
    including the user's. A dropped program is compiled again when it is next used; one that is
    running in another thread lives until it ends.
    """
    enter()
    if is_crowded():
        for function in find_compiled():
            function.clear_cache()
        gc.collect()
        if is_crowded():
            jax.clear_caches()  # type: ignore[no-untyped-call]
            gc.collect()


def is_crowded() -> bool:
    """Whether this process uses more than SHARE of the maps that it may have."""
    return count_maps() > SHARE * count_allowed()


def find_compiled() -> list[Any]:
    """The compiled functions in the loaded modules of spillover."""
    modules = [
        module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] == "spillover"
    ]
    values = [value for module in modules for value in list(vars(module).values())]
    return list(
        {
            id(one): one
            for one in values
            if callable(getattr(one, "clear_cache", None)) and hasattr(one, "lower")
        }.values()
    )


def count_maps() -> int:
    """How many memory maps this process has; 0 where the system does not say.

    >>> count_maps() >= 0
    True
    """
    try:
        return MAPS.read_bytes().count(b"\n")
    except OSError:
        return 0


def count_allowed() -> int:
    """How many memory maps a process may have.

    >>> count_allowed() > 0
    True
    """
    try:
        return int(MOST.read_text())
    except (OSError, ValueError):
        return USUAL
