"""The process of hostile.py that runs the cases: mutated files by turns with hostile calls.

python bench/hostile_cases.py SEED FOLDER MEMORY      reads numbers of cases from its standard
                                                      input, answers each with a JSON line
python bench/hostile_cases.py SEED FOLDER 0 17 18     these cases, with the traceback of what
                                                      they raise; FOLDER: an empty one
"""

import inspect
import json
import os
import random
import resource
import shutil
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hostile_inputs import hostile_value, mutate
from hostile_targets import list_calls, sweep_arguments, write_files

FILES = (
    "gal",
    "gwt",
    "csv",
    "mtx",
    "npz",
    "data.csv",
    "parquet",
    "fit.toml",
    "sweep.toml",
    "study.toml",
    "nc",
    "store",
)


def kind_of(seed: int, number: int) -> str:
    """What a case is: a kind of file, or "call"."""
    rng = random.Random(f"{seed}-{number}")
    return f"file {rng.choice(FILES)}" if number % 2 else "call"


class Cases:
    """What the cases need: a small panel, weights, fits, and the files to be mutated, made once in
    `folder`.
    """

    def __init__(self, seed: int, folder: Path) -> None:
        import numpy as np
        import pandas as pd

        import spillover as so

        self.seed, self.folder, self.so = seed, folder, so
        rng = np.random.default_rng(1)
        ids = list("abcdef")
        ring = np.roll(np.eye(6), 1, 1) + np.roll(np.eye(6), -1, 1)
        self.W = so.Weights(ring, ids).row_standardize()
        rows = [(unit, year, *rng.standard_normal(3)) for year in range(4) for unit in ids]
        self.frame = pd.DataFrame(rows, columns=["unit", "year", "y", "x", "z"])
        self.panel = {"unit": "unit", "period": "year", "effects": "unit"}
        self.model = so.SAR("y ~ x + z", self.frame, self.W, **self.panel)
        self.ols = so.OLS("y ~ x + z", self.frame, self.W, **self.panel)
        self.fit = self.model.fit("exact", draws=20, chains=1, progress=False)
        self.ml = self.model.fit_ml()
        self.logdet = so.LogDet.build(self.W)
        self.sweep = so.sweep(**sweep_arguments(self), store=folder / "good" / "s")
        write_files(folder / "good", self)
        self.calls = list_calls(self)

    def run(self, number: int) -> tuple[str, Callable[[], Any]]:
        """What a case is, and the case."""
        rng = random.Random(f"{self.seed}-{number}")
        return self._file(rng.choice(FILES), rng) if number % 2 else self._call(rng)

    def _call(self, rng: random.Random) -> tuple[str, Callable[[], Any]]:
        """A call with one or two of its parameters hostile."""
        name, function, arguments = rng.choice(self.calls)
        parts = inspect.signature(function).parameters.items()
        named = [
            key for key, part in parts if part.kind not in (part.VAR_POSITIONAL, part.VAR_KEYWORD)
        ]
        given = {key: value for key, value in arguments.items() if key in named}
        for key in rng.sample(named, min(len(named), rng.choice((1, 1, 1, 2)))):
            given[key] = hostile_value(rng)
        shown = {
            key: repr(value)[:60]
            for key, value in given.items()
            if key not in arguments or value is not arguments[key]
        }
        return f"{name}({shown})", lambda: function(**given)

    def _file(self, kind: str, rng: random.Random) -> tuple[str, Callable[[], Any]]:
        """A file mutated among its good neighbours, and what reads it."""
        so, place = self.so, self.folder / "mutated"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.folder / "good", place)
        names = {"data.csv": "d.csv", "parquet": "d.parquet", "nc": "f.nc"} | {
            part: part for part in FILES if part.endswith(".toml")
        }
        target = place / names.get(kind, f"w.{kind}")
        if kind == "store":
            target = rng.choice(sorted(path for path in (place / "s").rglob("*") if path.is_file()))
        target.write_bytes(mutate(target.read_bytes(), rng))
        return f"{kind} {target.relative_to(place)}", self._reader(kind, place, so)

    def _reader(self, kind: str, place: Path, so: Any) -> Callable[[], Any]:
        from spillover.engine.config.fit import read_task
        from spillover.engine.config.sweep import read_sweep

        if kind in ("data.csv", "parquet"):
            config = (
                (place / "fit.toml")
                .read_text()
                .replace("d.csv", "d.csv" if kind == "data.csv" else "d.parquet")
            )
            (place / "fit.toml").write_text(config)
        if kind in ("fit.toml", "data.csv", "parquet"):
            return lambda: read_task(place / "fit.toml")
        if kind == "sweep.toml":
            return lambda: read_sweep(place / "sweep.toml")
        if kind == "study.toml":
            from spillover.engine.config.study import read_study

            return lambda: read_study(place / "study.toml")
        if kind == "nc":
            return lambda: so.load(place / "f.nc").impacts()
        if kind == "store":
            return lambda: so.open_sweep(place / "s").to_frame()
        return lambda: so.read_weights(place / f"w.{kind}").row_standardize()


def judge(case: Callable[[], Any], base: type[Exception]) -> tuple[str, str]:
    """The class of what came of a case, and for the raw ones what it was and where it arose."""
    try:
        case()
    except base as error:
        text = str(error)
        several = "\n" in text or "\x1b" in text
        return (
            ("raw", f"message of several lines or with colour codes: {text[:200]!r}")
            if several
            else (type(error).__name__, "")
        )
    except BaseException as error:
        # the point of the exercise: SystemExit and the panics of extensions too
        here = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if "spillover" in frame.filename or "engine" in frame.filename
        ]
        where = f" at {Path(here[-1].filename).name}:{here[-1].lineno}" if here else ""
        return "raw", f"{type(error).__name__}: {str(error)[:200]}{where}"
    return "result", ""


def answer(cases: Cases, number: int) -> dict[str, Any]:
    """A case run: its kind, its outcome, and for an offender what it was."""
    kind = kind_of(cases.seed, number)
    what, case = cases.run(number)
    outcome, detail = judge(case, cases.so.SpilloverError)
    if kind == "call":
        kind = f"call {what.split('(')[0]}"
    text = f"{what}: {detail}".replace(str(cases.folder), "") if detail else ""
    return {
        "case": number,
        "kind": kind,
        "outcome": outcome,
        "detail": text,
        "alike": _alike(kind, detail),
    }


def _alike(kind: str, detail: str) -> str:
    """The same for offenders that are one fault: the kind, the class raised, and where."""
    return (
        f"{kind} {detail.split(':')[0]} {detail.rsplit(' at ', 1)[-1] if ' at ' in detail else ''}"
    )


def main() -> None:
    """Cases from standard input, or those named."""
    seed, folder, memory, *numbers = sys.argv[1:]
    if int(memory):
        resource.setrlimit(resource.RLIMIT_AS, (int(memory), int(memory)))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 28, 1 << 28))
    os.environ |= {
        "OPENBLAS_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
        "SPILLOVER_CACHE": str(Path(folder) / "cache"),
    }
    warnings.simplefilter("ignore")
    os.chdir(folder)
    cases = Cases(int(seed), Path(folder))
    if numbers:
        for number in map(int, numbers):
            what, case = cases.run(number)
            print(what)
            try:
                print(repr(case())[:300])
            except BaseException:
                traceback.print_exc()
        return
    print("\0ready", flush=True)
    for line in sys.stdin:
        print("\0" + json.dumps(answer(cases, int(line))), flush=True)


if __name__ == "__main__":
    main()
