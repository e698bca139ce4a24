"""What comes of 10,000 mutated files and hostile calls?

    python bench/hostile.py [--count 10000] [--seed 0] [--workers 2]

Nothing but results and SpilloverErrors is to come: exit code 1 where there is anything else. A
record a kind of case; those that are neither in full; then the sum.

Files: weights (.gal .gwt .csv .mtx .npz), data (.csv .parquet), the TOML of a fit, sweep and study,
a saved fit (.nc) and the files of a sweep's store, each with bytes flipped, cut, doubled or
replaced by what breaks readers. Calls: every parameter of every public function and method replaced
by a hostile value. Cases run in child processes with bounds of memory and time, many to a child; a
child that dies or hangs counts for the case it was at, and the rest goes on in another. The same
seed, the same cases.

`outcome`: "result", a SpilloverError by its class, "raw" (another exception, or what pandas or
SciPy warn of as one), "crash" (the process died), "timeout".
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import common
from children import Child
from common import report
from hostile_cases import kind_of

COUNT, SEED, WORKERS = (20 if common.SMALL else 10_000), 0, 2
TIMEOUT = 60  # seconds a case, compiling included
START = 180  # seconds until the first case: imports, and the files to be mutated
MEMORY = 6 << 30  # bytes of address space of a child
BATCH = 500  # cases a child is given at a time
SHOWN = 100  # offenders printed in full, one of those that are alike
ACCEPTED = (
    *("result", "WeightsError", "DataError", "SpecificationError", "PriorError"),
    *("StorageError", "ConvergenceError", "ArgumentError", "SpilloverError"),
)


def start_child(seed: int, folder: Path) -> Child:
    """A process that runs cases."""
    cases = str(Path(__file__).with_name("hostile_cases.py"))
    return Child([sys.executable, cases, str(seed), str(folder), str(MEMORY)], folder, START)


def run_case(child: Child, number: int) -> dict[str, Any]:
    """What came of a case."""
    answer = child.ask(str(number), TIMEOUT)
    if answer not in (None, Child.TIMEOUT):
        return json.loads(answer)
    outcome = "crash" if answer is None else answer
    about = {"detail": f"exit status {child.process.returncode}", "alike": f"{outcome} {number}"}
    return {"case": number, "outcome": outcome, **about}


def run_batch(numbers: range, seed: int) -> list[dict[str, Any]]:
    """The cases of a batch, in as many children as it takes."""
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        child = start_child(seed, Path(folder))
        for number in numbers:
            if child.process.poll() is not None:  # of the case before
                child = start_child(seed, Path(folder))
            row = {"kind": kind_of(seed, number), **run_case(child, number)}
            rows.append(row)
            if row["outcome"] in ("crash", Child.TIMEOUT):
                # at once: each costs a new child
                print(json.dumps(row), file=sys.stderr, flush=True)
        child.end()
    return rows


def main(words: list[str]) -> None:
    """All cases; the table; the offenders."""
    parser = argparse.ArgumentParser()
    for name, value in (("count", COUNT), ("seed", SEED), ("workers", WORKERS)):
        parser.add_argument(f"--{name}", type=int, default=value)
    asked = parser.parse_args(words)
    start = time.perf_counter()
    firsts = range(0, asked.count, BATCH)
    parts = [range(first, min(first + BATCH, asked.count)) for first in firsts]
    table: dict[str, Counter] = defaultdict(Counter)
    offenders: dict[str, dict[str, Any]] = {}
    with ThreadPoolExecutor(asked.workers) as pool:
        for rows in pool.map(lambda numbers: run_batch(numbers, asked.seed), parts):
            for row in rows:
                table[row["kind"]][row["outcome"]] += 1
                if row["outcome"] not in ACCEPTED:
                    first = offenders.setdefault(row["alike"], row | {"times": 0})
                    first["times"] += 1
    for kind, counts in sorted(table.items()):
        report({"kind": kind, **dict(sorted(counts.items()))})
    for row in sorted(offenders.values(), key=lambda row: -row["times"])[:SHOWN]:
        report({name: row[name] for name in ("case", "kind", "outcome", "times", "detail")})
    total = sum(table.values(), Counter())
    about = {"cases": asked.count, "seed": asked.seed, "outcomes": dict(sorted(total.items()))}
    count = sum(row["times"] for row in offenders.values())
    report({**about, "offenders": count, "wall_s": round(time.perf_counter() - start, 1)})
    raise SystemExit(bool(offenders))


if __name__ == "__main__":
    common.run(main)
