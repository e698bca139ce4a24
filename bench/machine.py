"""What a figure was measured on."""

import os
import platform
from importlib.metadata import version


def machine() -> dict[str, str | int | None]:
    """Processor, cores, Python and the versions that matter."""
    packages = {name: version(name) for name in ("jax", "numpyro", "numpy", "scipy", "spillover")}
    processor = platform.processor() or platform.machine()
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **packages,
    }
