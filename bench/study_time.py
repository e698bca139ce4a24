"""What does the packaged study cost, from starting `spillover demo` to its report?

    python bench/study_time.py      "cold", with nothing kept from before, then "warm", with what
                                    the first run kept

`wall_s`: of the whole process; `cpu_s`: processor time, all threads; `page_mb`: size of the report.
"""

import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import common
from common import measure, report

STATES = ("cold",) if common.SMALL else ("cold", "warm")


def main(_: list[str]) -> None:
    """Twice in the same empty folders."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        places = {"XDG_CACHE_HOME": str(home / "cache"), "MPLCONFIGDIR": str(home / "matplotlib")}
        environment = common.environment_without("JAX_COMPILATION_CACHE", **places)
        for state in STATES:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            command = [sys.executable, "-m", "spillover", "demo", "--output", str(home / state)]
            _, took = measure(
                lambda command=command: subprocess.run(
                    command, env=environment, check=True, capture_output=True
                )
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            page = (home / state / "report" / "report.html").stat().st_size / 1e6
            row = {"question": "the packaged study", "state": state, "page_mb": round(page, 2)}
            report({**row, "wall_s": round(took.wall_s, 1), "cpu_s": round(cpu, 1)})


if __name__ == "__main__":
    common.run(main)
