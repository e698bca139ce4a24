"""10,000 mutated files and hostile calls, counted by what came of them: nothing but results and SpilloverErrors is to come.

    python bench/hostile.py                  10,000 cases: a JSON line a kind of case, those that are neither in full, then the sum
    python bench/hostile.py --count 300 --seed 5 --workers 2

Files: weights (.gal .gwt .csv .mtx .npz), data (.csv .parquet), the TOML of a fit, sweep and study, a saved fit (.nc) and the files of a
sweep's store, each with bytes flipped, cut, doubled or replaced by what breaks readers. Calls: every parameter of every public function and
method replaced by a hostile value. Cases run in child processes with bounds of memory and time, many to a child; a child that dies or
hangs counts for the case it was at, and the rest goes on in another. The same seed, the same cases.

"outcome": "result", a SpilloverError by its class, "raw" (another exception, or what pandas or SciPy warn of as one), "crash" (the process
died), "timeout". Exit code 1 where there is any of the last three.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

COUNT, SEED, WORKERS = 10_000, 0, 2
TIMEOUT = 60  # seconds a case, compiling included
START = 180  # seconds until the first case: imports, and the files to be mutated
MEMORY = 6 << 30  # bytes of address space of a child
BATCH = 500  # cases a child is given at a time
SHOWN = 60  # offenders printed in full, one of those that are alike
ACCEPTED = ("result", "WeightsError", "DataError", "SpecificationError", "PriorError", "StorageError", "ConvergenceError", "SpilloverError")


class Child:
    """A process that runs cases, one a line."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.folder = folder
        command = [sys.executable, str(Path(__file__).with_name("hostile_cases.py")), str(seed), str(folder), str(MEMORY)]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=quiet, text=True, cwd=folder)
        self.answers: Queue[str | None] = Queue()
        Thread(target=self._read, daemon=True).start()
        self.ready = self._answer(START) == "ready"

    def _read(self) -> None:
        for line in self.process.stdout:
            if line.startswith("\0"):  # what the product prints is not an answer
                self.answers.put(line[1:].strip())
        self.answers.put(None)

    def _answer(self, seconds: float) -> str | None:
        try:
            return self.answers.get(timeout=seconds)
        except Empty:
            return "timeout"

    def run(self, number: int) -> dict[str, Any]:
        """What came of a case; `alive` false where the process did not survive it."""
        try:
            self.process.stdin.write(f"{number}\n")
            self.process.stdin.flush()
            answer = self._answer(TIMEOUT)
        except BrokenPipeError:
            answer = None
        if answer in (None, "timeout"):
            self.end()
            code = self.process.returncode
            outcome = "timeout" if answer == "timeout" else "crash"
            about = {"detail": f"exit status {code}", "alike": f"{outcome} {number}"}
            return {"case": number, "kind": "", "outcome": outcome, "alive": False, **about}
        return {"alive": True, **json.loads(answer)}

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def batch(numbers: range, seed: int) -> list[dict[str, Any]]:
    """The cases of a batch, in as many children as it takes."""
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
        child = Child(seed, Path(folder))
        for number in numbers:
            if not child.ready:
                raise SystemExit(f"a child did not start within {START} seconds")
            row = child.run(number)
            if not row["alive"]:
                from hostile_cases import kind_of

                row["kind"] = kind_of(seed, number)
                if number != numbers[-1]:
                    child = Child(seed, Path(folder))
            found.append(row)
        child.end()
    return found


def main() -> None:
    """All cases; the table; the offenders."""
    from machine import machine

    parser = argparse.ArgumentParser()
    for name, value in (("count", COUNT), ("seed", SEED), ("workers", WORKERS)):
        parser.add_argument(f"--{name}", type=int, default=value)
    asked = parser.parse_args()
    start = time.perf_counter()
    parts = [range(first, min(first + BATCH, asked.count)) for first in range(0, asked.count, BATCH)]
    table: dict[str, Counter] = defaultdict(Counter)
    offenders: dict[str, dict[str, Any]] = {}
    with ThreadPoolExecutor(asked.workers) as pool:
        for rows in pool.map(lambda numbers: batch(numbers, asked.seed), parts):
            for row in rows:
                table[row["kind"]][row["outcome"]] += 1
                if row["outcome"] not in ACCEPTED:
                    first = offenders.setdefault(row["alike"], row | {"times": 0})
                    first["times"] += 1
    for kind, counts in sorted(table.items()):
        print(json.dumps({"kind": kind, **dict(sorted(counts.items()))}))
    for row in sorted(offenders.values(), key=lambda row: -row["times"])[:SHOWN]:
        print(json.dumps({name: row[name] for name in ("case", "kind", "outcome", "times", "detail")}))
    total = sum(table.values(), Counter())
    count = sum(row["times"] for row in offenders.values())
    about = {
        "cases": asked.count,
        "seed": asked.seed,
        "offenders": count,
        "outcomes": dict(sorted(total.items())),
    }
    print(json.dumps(about | {"wall_s": round(time.perf_counter() - start, 1), "load": os.getloadavg(), "machine": machine()}))
    raise SystemExit(bool(offenders))


if __name__ == "__main__":
    main()
