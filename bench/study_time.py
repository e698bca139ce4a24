"""What the packaged study costs, from starting `spillover demo` to its report.

    python bench/study_time.py      two JSON lines: "cold", with nothing kept from before, and
    "warm", with what the first run kept

`seconds`: wall time of the whole process; `cpu_s`: processor time, all threads; `page_mb`: size of
the report.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from machine import machine


def main() -> None:
    """Twice in the same empty folders."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        environment = {
            name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"
        }
        environment |= {
            "XDG_CACHE_HOME": str(home / "cache"),
            "MPLCONFIGDIR": str(home / "matplotlib"),
        }
        for state in ("cold", "warm"):
            start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            command = [sys.executable, "-m", "spillover", "demo", "--output", str(home / state)]
            subprocess.run(command, env=environment, check=True, capture_output=True)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            found = {
                "question": "the packaged study",
                "state": state,
                "seconds": round(time.perf_counter() - start, 1),
                "cpu_s": round(
                    after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1
                ),
                "page_mb": round((home / state / "report" / "report.html").stat().st_size / 1e6, 2),
            }
            print(json.dumps({**found, **machine()}), flush=True)


if __name__ == "__main__":
    main()
