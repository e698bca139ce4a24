"""What is lost by kills, full disks, damaged files and dead workers, and what does a restart give?

    python bench/faults.py [--kills 50] [--disks 12] [--flips 60] [--workers 4] [--seed 0]

A record a fault, then the sum; exit code 1 where anything is lost or different. The work: a sweep
of eight members with a store, a fit and a study, of small data, by the command line. "kill":
SIGKILL at a random moment of the time that an undisturbed run takes, then a restart. "full disk":
no file may grow beyond a random size (RLIMIT_FSIZE), then a restart with room; "read-only disk":
the output folder cannot be written (left out for root, who can). "flip", "missing", "short": a bit
of a file of a store, or of a saved fit, is flipped, the file deleted or cut, and read again.
"workers": a worker of a Dask cluster is killed in a sweep.

`outcome`: "identical" (the numbers of the undisturbed run, bit for bit), or a SpilloverError by its
class where nothing but an error can come; or what must not be: "different", "raw", "crash",
"timeout", "lost" (something that had been finished is gone or damaged).
"""

import argparse
import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import common
from children import Child
from common import report

KILLS, DISKS, FLIPS, WORKERS = (1, 1, 2, 0) if common.SMALL else (50, 12, 60, 4)
SEED = 0
TIMEOUT = 300  # seconds for a run, imports and compiling included
MEMORY = 8 << 30  # bytes of address space of a child
BAD = ("different", "raw", "crash", "timeout", "lost")
CONFIGS = {
    "sweep": """\
data = "d.csv"
unit = "unit"
period = "year"
formula = "y ~ x + z"
models = ["SAR", "SDM"]
effects = ["unit", "none"]
output = "out"
[weights]
a = "a.csv"
b = "b.csv"
[sampler]
sampler = "exact"
draws = 50
seed = 1
""",
    "fit": """\
data = "d.csv"
unit = "unit"
period = "year"
formula = "y ~ x + z"
weights = "a.csv"
model = "SAR"
effects = "unit"
output = "out"
[sampler]
sampler = "exact"
draws = 200
chains = 2
seed = 1
""",
    "study": """\
data = "d.csv"
unit = "unit"
period = "year"
title = "t"
output = "out"
seed = 1
[weights]
a = "a.csv"
b = "b.csv"
[model]
formula = "y ~ x + z"
weights = "a"
name = "SAR"
effects = "unit"
[sampler]
draws = 100
tune = 100
chains = 1
[sweep]
models = ["SAR"]
draws = 50
""",
}
READ = """
import hashlib, resource, sys, warnings
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
warnings.simplefilter("ignore")
import numpy as np, spillover as so
def datasets(kind, path):
    if kind == "sweep":
        out = so.open_sweep(path)
        return [out.summary, out.impacts]
    fit = so.load(path)
    groups = ("constant_data", "observed_data")
    constant, observed = (fit.tree[name].to_dataset() for name in groups)
    return [fit.posterior, constant, observed, fit.impacts()]
def answer(kind, path):
    try:
        digest = hashlib.sha256()
        for data in datasets(kind, path):
            for name in sorted(map(str, data.variables)):
                values = np.ascontiguousarray(data[name].to_numpy())
                text = values.dtype.kind in "OUST"
                content = repr(values.tolist()).encode() if text else values.tobytes()
                digest.update(name.encode() + content)
        print("\\0result", digest.hexdigest(), flush=True)
    except so.SpilloverError as error:
        print("\\0" + type(error).__name__, " ".join(str(error).split())[:200], flush=True)
    except BaseException as error:
        print("\\0raw", type(error).__name__, " ".join(str(error).split())[:200], flush=True)
print("\\0ready", flush=True)
for line in sys.stdin:
    answer(*line.rstrip("\\n").split(" ", 1))
"""
CLUSTER = """
import os, signal, sys, threading, time, warnings
warnings.simplefilter("ignore")
from pathlib import Path
import pandas as pd, spillover as so
if __name__ == "__main__":
    from distributed import Client, LocalCluster
    moment, store = float(sys.argv[1]), sys.argv[2]
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        pids = list(client.run(os.getpid).values())
        def kill():
            time.sleep(moment)
            os.kill(pids[0], signal.SIGKILL)
        if moment > 0:
            threading.Thread(target=kill, daemon=True).start()
        W = {name: so.read_weights(f"{name}.csv").row_standardize() for name in "ab"}
        try:
            so.sweep("y ~ x + z", pd.read_csv("d.csv"), W, models=["SAR", "SDM"],
                     effects=["unit", "none"], unit="unit", period="year",
                     draws=50, seed=1, store=store, client=client, progress=False)
            print("\\0result")
        except so.SpilloverError as error:
            print("\\0" + type(error).__name__, " ".join(str(error).split())[:200])
"""


def limit_child(size: int | None = None) -> Callable[[], None]:
    """What bounds a child before it starts: memory, no core file, and the size of a file."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if size is not None:
            # a write beyond the size fails, as on a full disk
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


class Work:
    """The data and one folder of it for every run; the compiled programs are shared."""

    def __init__(self, folder: Path) -> None:
        import numpy as np
        import pandas as pd

        self.folder, self.count = folder, 0
        (folder / "data").mkdir()
        rng, ids = np.random.default_rng(1), list("abcdefgh")
        rows = [(unit, year, *rng.standard_normal(3)) for year in range(5) for unit in ids]
        pd.DataFrame(rows, columns=["unit", "year", "y", "x", "z"]).to_csv(
            folder / "data" / "d.csv", index=False
        )
        for name, reach in (("a", 1), ("b", 2)):
            links = [
                (ids[i], ids[(i + step) % 8], 1.0)
                for i in range(8)
                for step in range(-reach, reach + 1)
                if step
            ]
            pd.DataFrame(links, columns=["origin", "destination", "weight"]).to_csv(
                folder / "data" / f"{name}.csv", index=False
            )
        for kind, text in CONFIGS.items():
            (folder / "data" / f"{kind}.toml").write_text(text)
        (folder / "read.py").write_text(READ)
        (folder / "cluster.py").write_text(CLUSTER)
        self.reader: Child | None = None
        self.environment = os.environ | {
            "SPILLOVER_CACHE": str(folder / "cache"),
            "MPLBACKEND": "agg",
            "OPENBLAS_NUM_THREADS": "1",
        }

    def place(self) -> Path:
        """A folder with the data."""
        self.count += 1
        return Path(shutil.copytree(self.folder / "data", self.folder / f"run-{self.count}"))

    def start(self, kind: str, place: Path, size: int | None = None) -> subprocess.Popen:
        return self._child(["-m", "spillover", kind, f"{kind}.toml"], place, size)

    def _child(
        self, arguments: list[str], place: Path, size: int | None = None
    ) -> subprocess.Popen:
        pipe = subprocess.PIPE
        command, limit = [sys.executable, *arguments], limit_child(size)
        return subprocess.Popen(
            command,
            cwd=place,
            env=self.environment,
            stdout=pipe,
            stderr=pipe,
            text=True,
            preexec_fn=limit,
            start_new_session=True,
        )

    def finish(self, kind: str, place: Path, size: int | None = None) -> tuple[str, str]:
        """A run to its end: "done", "SpilloverError" (one line and exit code 1), or what must not
        be.
        """
        return read_status(self.start(kind, place, size))

    def read(self, kind: str, place: Path) -> tuple[str, str]:
        """The digest of what a run left, read back by the public API, or the error."""
        path = place / "out" / ("sweep.zarr" if kind == "sweep" else "posterior.nc")
        if kind == "study" and not path.exists():
            path = next(iter(sorted((place / "out").rglob("*.nc"))), path)
        if self.reader is None or self.reader.process.poll() is not None:
            self.reader = Child(
                [sys.executable, str(self.folder / "read.py")],
                self.folder,
                TIMEOUT,
                self.environment,
            )
        answer = self.reader.ask(f"{'sweep' if kind == 'sweep' else 'fit'} {path}", TIMEOUT)
        if answer is None:
            return "crash", f"exit status {self.reader.process.returncode} while it was read"
        word, _, rest = answer.partition(" ")
        return word, rest

    def cluster(self, place: Path, moment: float) -> tuple[str, str]:
        """The sweep on two workers, of which one is killed."""
        (place / "out").mkdir()
        return read_answer(
            self._child([str(self.folder / "cluster.py"), str(moment), "out/sweep.zarr"], place)
        )


def wait_for(process: subprocess.Popen) -> tuple[str, str] | None:
    """What a process wrote; None where it did not end."""
    try:
        return process.communicate(timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None


def read_status(process: subprocess.Popen) -> tuple[str, str]:
    """How a command ended."""
    texts = wait_for(process)
    if texts is None:
        return "timeout", ""
    if process.returncode == 0:
        return "done", ""
    last = texts[1].strip().splitlines()[-1:] or [""]
    if process.returncode < 0:
        return "crash", f"signal {-process.returncode}"
    clean = process.returncode == 1 and "Traceback" not in texts[1] and "error: " in texts[1]
    return ("SpilloverError" if clean else "raw"), last[0][:200]


def read_answer(process: subprocess.Popen) -> tuple[str, str]:
    """What a script of ours answered on the line that begins with NUL."""
    texts = wait_for(process)
    if texts is None:
        return "timeout", ""
    lines = [line[1:] for line in texts[0].splitlines() if line.startswith("\0")]
    if not lines:
        return "crash", f"exit status {process.returncode}: {texts[1].strip()[-200:]}"
    word, _, rest = lines[-1].partition(" ")
    return word, rest


def snapshot(place: Path) -> dict[str, str]:
    """The digest of every file of the output but those that are being written or belong
    to a lock.
    """
    files = [path for path in (place / "out").rglob("*") if path.is_file()]
    kept = [path for path in files if not any(map(_passing, path.relative_to(place).parts))]
    return {
        str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept
    }


def _passing(name: str) -> bool:
    """What is there for the time of a run only."""
    return name.startswith(".") or name.endswith((".lock", ".owner"))


def blocks(files: dict[str, str]) -> dict[str, str]:
    """Those of a store's finished chunks."""
    return {
        name: digest
        for name, digest in files.items()
        if "/blocks/" in name and not name.endswith(("blocks/zarr.json",))
    }


class Faults:
    """The undisturbed runs, and each fault against them."""

    def __init__(self, work: Work, rng: random.Random) -> None:
        self.work, self.rng = work, rng
        self.good: dict[str, tuple[Path, str]] = {}
        self.seconds: dict[str, float] = {}
        for kind in CONFIGS:
            for _ in range(2):  # the first compiles
                place, start = work.place(), time.perf_counter()
                outcome, text = work.finish(kind, place)
                self.seconds[kind] = time.perf_counter() - start
                if outcome != "done":
                    raise SystemExit(f"the undisturbed {kind} failed: {outcome}: {text}")
            self.good[kind] = place, work.read(kind, place)[1]

    def compare(self, kind: str, place: Path) -> tuple[str, str]:
        """What is there, against the undisturbed run."""
        outcome, text = self.work.read(kind, place)
        if outcome != "result":
            return outcome, text
        return ("identical" if text == self.good[kind][1] else "different"), ""

    def restart(self, kind: str, place: Path) -> tuple[str, str]:
        """A run in a folder that an earlier one left; what finished chunks there were must be there
        still, byte for byte.
        """
        before = blocks(snapshot(place))
        outcome, text = self.work.finish(kind, place)
        if outcome != "done":
            return outcome, text
        after = snapshot(place)
        gone = [name for name, digest in before.items() if after.get(name) != digest]
        return ("lost", ", ".join(gone[:3])) if gone else self.compare(kind, place)

    def kill(self, kind: str) -> tuple[str, str]:
        """SIGKILL at a random moment; half of the time in a folder where an earlier run had
        finished, whose results must outlive it.
        """
        again = kind != "sweep" and self.rng.random() < 0.5
        place = self.work.place()
        if again:
            shutil.copytree(self.good[kind][0] / "out", place / "out")
        process = self.work.start(kind, place)
        moment = self.rng.uniform(0.1, 1.0) * self.seconds[kind]
        time.sleep(moment)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if again and (outcome := self.compare(kind, place))[0] != "identical":
            return "lost", f"after {moment:.1f} s: {' '.join(outcome)}"
        outcome, text = self.restart(kind, place)
        return outcome, f"killed after {moment:.1f} s{': ' + text if text else ''}"

    def disk(self, kind: str) -> tuple[str, str]:
        """No file larger than some size; an earlier run's results must outlive it; then a restart
        with room.
        """
        place = self.work.place()
        if kind != "sweep":
            shutil.copytree(self.good[kind][0] / "out", place / "out")
        size = int(10 ** self.rng.uniform(1.5, 4.6))
        outcome, text = self.work.finish(kind, place, size)
        if outcome not in ("done", "SpilloverError"):
            return outcome, f"{size} bytes: {text}"
        if kind != "sweep" and (earlier := self.compare(kind, place))[0] != "identical":
            return "lost", f"{size} bytes: {' '.join(earlier)}"
        found, more = self.restart(kind, place)
        return found, f"{size} bytes: {outcome} {text}; then {found} {more}".strip()

    def read_only(self, kind: str) -> tuple[str, str]:
        """The folder cannot be written."""
        place = self.work.place()
        place.chmod(0o555)
        outcome = self.work.finish(kind, place)
        place.chmod(0o755)
        return ("raw", "it was written") if outcome[0] == "done" else outcome

    def damage(self, kind: str, how: str) -> tuple[str, str]:
        """A file flipped, missing or short: an error or the same numbers, never others; a sweep
        then mends itself.
        """
        place = self.work.place()
        shutil.copytree(self.good[kind][0] / "out", place / "out")
        files = (
            (place / "out" / "sweep.zarr").rglob("*")
            if kind == "sweep"
            else (place / "out").glob("*.nc")
        )
        path = self.rng.choice(
            sorted(file for file in files if file.is_file() and file.stat().st_size)
        )
        content = bytearray(path.read_bytes())
        if how == "missing":
            path.unlink()
        elif how == "short":
            path.write_bytes(content[: self.rng.randrange(len(content))])
        else:
            content[self.rng.randrange(len(content))] ^= 1 << self.rng.randrange(8)
            path.write_bytes(content)
        name = str(path.relative_to(place / "out"))
        outcome, text = self.compare(kind, place)
        if kind == "sweep" and outcome not in BAD:
            again, more = self.work.finish(kind, place)
            after, rest = self.compare(kind, place) if again == "done" else (again, more)
            return (
                after if again == "done" or again in BAD else again
            ), f"{name}: read {outcome}; then {after} {more} {rest}".strip()
        return outcome, f"{name}: {text}"

    def workers(self, kind: str) -> tuple[str, str]:
        """One of two workers killed in the middle."""
        place = self.work.place()
        outcome, text = self.work.cluster(place, self.rng.uniform(0.5, 8.0))
        return self.compare(kind, place) if outcome == "result" else (outcome, text)


def cases(
    faults: Faults, asked: argparse.Namespace
) -> Iterator[tuple[str, str, Callable[[], tuple[str, str]]]]:
    """(fault, work, what to do), the kills going round the kinds."""
    kinds = list(CONFIGS)
    for i in range(asked.kills):
        kind = kinds[i % len(kinds)]
        yield "kill", kind, lambda kind=kind: faults.kill(kind)
    for i in range(asked.disks):
        kind = kinds[i % len(kinds)]
        yield "full disk", kind, lambda kind=kind: faults.disk(kind)
    if os.geteuid():  # root writes to read-only folders
        for kind in kinds:
            yield "read-only disk", kind, lambda kind=kind: faults.read_only(kind)
    for i in range(asked.flips):
        kind, how = ("sweep", "fit")[i % 2], ("flip", "flip", "missing", "short")[i // 2 % 4]
        if kind == "fit" and how == "missing":
            how = "flip"
        yield how, kind, lambda kind=kind, how=how: faults.damage(kind, how)
    for _ in range(asked.workers):
        yield "workers", "sweep", lambda: faults.workers("sweep")


def main(words: list[str]) -> None:
    """All faults; the sum; what must not be."""
    parser = argparse.ArgumentParser()
    usual = {"kills": KILLS, "disks": DISKS, "flips": FLIPS, "workers": WORKERS, "seed": SEED}
    for name, value in usual.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    asked = parser.parse_args(words)
    start, total = time.perf_counter(), Counter[str]()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        faults = Faults(Work(Path(folder)), random.Random(asked.seed))
        report({"undisturbed_s": {kind: round(took, 1) for kind, took in faults.seconds.items()}})
        for fault, kind, inflict in cases(faults, asked):
            outcome, text = inflict()
            total[outcome] += 1
            about = {"fault": fault, "work": kind, "outcome": outcome}
            report({**about, "detail": text.replace(folder, "")})
            shutil.rmtree(Path(folder) / f"run-{faults.work.count}", ignore_errors=True)
        if faults.work.reader is not None:
            faults.work.reader.end()
    bad = sum(total[name] for name in BAD)
    about = {"faults": sum(total.values()), "seed": asked.seed, "bad": bad}
    outcomes = dict(sorted(total.items()))
    report({**about, "outcomes": outcomes, "wall_s": round(time.perf_counter() - start, 1)})
    raise SystemExit(bool(bad))


if __name__ == "__main__":
    common.run(main)
