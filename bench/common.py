"""What the benches share: problems, timing, the machine, and records printed as JSON lines.

Every bench is a script, `python bench/NAME.py [words] [--small]`: words choose among its cases,
`--small` takes seconds to show that it works. What it prints is one record a line, each with the
machine and the versions that it was measured on. Figures of different runs are not compared:
contenders take turns within one run, and their ratio is the finding.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sparse
from scipy.sparse import csgraph
from scipy.spatial import KDTree

ROOT = Path(__file__).resolve().parents[1]
SMALL = "--small" in sys.argv
PACKAGES = ("spillover", "jax", "numpyro", "numpy", "scipy")

# The studies of calibration and coverage are also tests, of fewer data sets: one code for both.
sys.path.append(str(ROOT / "tests"))

# Records


@cache
def machine() -> dict[str, str | int | None]:
    """The processor, its cores, Python, and the versions that matter."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def _processor() -> str:
    """The name of the processor as Linux gives it, elsewhere as Python does."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return (names or [platform.processor() or platform.machine()])[0]


def report(record: Mapping[str, Any]) -> None:
    """Print a record as one JSON line, with the machine, the versions and the load."""
    about = {"load": round(os.getloadavg()[0], 2), "machine": machine()}
    print(json.dumps({**record, **about}), flush=True)


# The command line


def run(main: Callable[[list[str]], Any], child: Callable[..., Any] | None = None) -> None:
    """Run a bench: `main` with the words given, or `child` for `ask_child` of another process."""
    words = [word for word in sys.argv[1:] if word != "--small"]
    if words[:1] == ["--child"] and child is not None:
        print(json.dumps(child(*words[1:])))
    else:
        main(words)


def ask_child(script: str, *words: object, environment: Mapping[str, str] | None = None) -> Any:
    """What `child` of a script returns in a fresh process."""
    flags = ["--small"] if SMALL else []
    command = [sys.executable, script, "--child", *map(str, words), *flags]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return json.loads(done.stdout.strip().splitlines()[-1])


def environment_without(prefix: str, **more: str) -> dict[str, str]:
    """This process's environment without the variables of a prefix, and with others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(prefix)}
    return kept | more


def choose(words: Sequence[str], *tables: Iterable[Any]) -> list[list[Any]]:
    """Of each table the members that the words name; the whole table where they name none."""
    rows = [list(table) for table in tables]
    return [[one for one in row if str(one) in words] or row for row in rows]


# Timing


class Took(NamedTuple):
    """Seconds on the clock, and seconds of all processors."""

    wall_s: float
    cpu_s: float

    def rounded(self, digits: int = 5) -> dict[str, float]:
        """For a record."""
        return {name: round(value, digits) for name, value in self._asdict().items()}


def measure(function: Callable[[], Any]) -> tuple[Any, Took]:
    """The result of a call, and what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return result, Took(time.perf_counter() - wall, time.process_time() - cpu)


def measure_warm(function: Callable[[], Any], repeats: int = 5) -> tuple[Any, Took]:
    """The last result, and the least that a call took, after one call that compiles."""
    function()
    rows = [measure(function) for _ in range(repeats)]
    return rows[-1][0], Took(
        *(min(values) for values in zip(*(took for _, took in rows), strict=True))
    )


def take_turns(
    script: str, contenders: Mapping[str, Sequence[object]], repeats: int, keys: Sequence[str]
) -> dict[str, dict[str, float]]:
    """The least of each figure by contender, each measured so often in a fresh process, in turn.

    contenders: the words for the child, by name. Every answer is reported.
    """
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
    for _ in range(repeats):
        for name, words in contenders.items():
            rows[name].append(ask_child(script, *words))
            report({"contender": name, **rows[name][-1]})
    return {
        name: {key: min(row[key] for row in answers if key in row) for key in keys}
        for name, answers in rows.items()
    }


def peak_mb() -> int:
    """The largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def resident_mb() -> float:
    """The memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * resource.getpagesize() / 2**20


# Problems


def row_standardize(links: sparse.sparray) -> sparse.csr_array:
    """Rows divided by their sums."""
    links = sparse.csr_array(links)
    matrix = sparse.csr_array(sparse.diags_array(1 / links.sum(axis=1)) @ links)
    matrix.sort_indices()
    return matrix


def neighbours(
    n: int,
    k: int = 6,
    *,
    symmetric: bool = False,
    by_distance: bool = False,
    ordered: bool = False,
) -> sparse.csr_array:
    """Row-standardised k nearest neighbours of n uniform points in the unit square.

    symmetric: linked where either is near the other; by_distance: inverse distances in place of
    ones; ordered: sorted along the map (reverse Cuthill-McKee), or else in random order.
    """
    points = np.random.default_rng(0).uniform(size=(n, 2))
    distance, near = KDTree(points).query(points, k + 1)
    values = 1 / distance[:, 1:].ravel() if by_distance else np.ones(n * k)
    pairs = np.repeat(np.arange(n), k), near[:, 1:].ravel()
    links = sparse.csr_array((values, pairs), shape=(n, n))
    links = links.maximum(links.T).tocsr() if symmetric else links
    if ordered:
        order = csgraph.reverse_cuthill_mckee(links)
        links = links[order][:, order]
    return row_standardize(links)


def lattice(n: int, *, queen: bool = False) -> sparse.csr_array:
    """A row-standardised square lattice of about n units, by edges, or by corners too."""
    side = round(n**0.5)
    path = sparse.diags_array([np.ones(side - 1)] * 2, offsets=[-1, 1], shape=(side, side))
    links = sparse.kron(path, sparse.eye_array(side)) + sparse.kron(sparse.eye_array(side), path)
    return row_standardize(links + sparse.kron(path, path) if queen else links)


def ring(n: int) -> sparse.csr_array:
    """A row-standardised ring: each unit and its two neighbours."""
    links = sparse.eye_array(n, k=1) + sparse.eye_array(n, k=-1)
    return row_standardize(links + sparse.eye_array(n, k=n - 1) + sparse.eye_array(n, k=1 - n))


class Design(NamedTuple):
    """What `frame` simulates: the periods, k regressors, the truth and the seed.

    theta: the same for every W x, which are left out of the truth where it is 0.
    """

    periods: int = 1
    k: int = 5
    rho: float = 0.4
    lam: float = 0.0
    theta: float = 0.0
    seed: int = 1


CROSS_SECTION = Design()


def formula(k: int, response: str = "y") -> str:
    """y ~ x1 + ... + xk."""
    return f"{response} ~ {' + '.join(f'x{j}' for j in range(1, k + 1))}"


def frame(matrix: sparse.csr_array, design: Design = CROSS_SECTION, *, beta: Any = None) -> Any:
    """A simulated table of unit, period, y, x1 ... xk, with unit and period effects in a panel.

    beta: (k,), ones unless given.
    """
    import pandas as pd

    import spillover as so

    n, rng = matrix.shape[0], np.random.default_rng(design.seed)
    x = rng.standard_normal((design.periods, n, design.k))
    options = {"theta": design.theta * np.ones(design.k)} if design.theta else {}
    options |= {"lam": design.lam} if design.lam else {}
    if design.periods > 1:
        options["effects"] = rng.standard_normal(n) + rng.standard_normal((design.periods, 1))
    beta = np.ones(design.k) if beta is None else beta
    y = so.simulate(matrix, x, beta=beta, rho=design.rho, rng=rng, **options)
    labels = pd.MultiIndex.from_product([range(design.periods), range(n)], names=["period", "unit"])
    columns = [f"x{j}" for j in range(1, design.k + 1)]
    table = pd.DataFrame(x.reshape(-1, design.k), labels, columns)
    return table.assign(y=y.ravel()).reset_index()


def model(name: str, matrix: sparse.csr_array, design: Design = CROSS_SECTION) -> Any:
    """A model of that name on a simulated table, with two-way effects in a panel."""
    import spillover as so

    effects = "twoway" if design.periods > 1 else "none"
    return getattr(so, name)(
        formula(design.k),
        frame(matrix, design),
        so.Weights(matrix),
        effects=effects,
        unit="unit",
        period="period",
    )
