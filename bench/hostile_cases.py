"""The cases of hostile.py, and the process that runs them: mutated files by turns with hostile
calls.

python bench/hostile_cases.py SEED FOLDER MEMORY     reads numbers of cases from its standard input,
answers each with a JSON line python bench/hostile_cases.py SEED FOLDER 0 17 18    these cases, with
the traceback of what they raise
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
from copy import copy
from pathlib import Path
from typing import Any

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
JUNK = (
    *(b"\0", b"nan", b"inf", b"-1", b"1e400", b"9" * 40, b"\xff\xfe", b"\n\n", b'"', b"\x1b[31m"),
    *(b"[[", b"2147483648", "\u200b\u202e".encode(), b"1x", b" " * 99, b","),
)
CONTAINERS = ([], {}, (), [None], [[]], {"a": None}, {1: 2}, ["x", "x"], [1, "1"], (1, 2, 3), {"x"})


def kind_of(seed: int, number: int) -> str:
    """What a case is: a kind of file, or "call"."""
    rng = random.Random(f"{seed}-{number}")
    return f"file {rng.choice(FILES)}" if number % 2 else "call"


def mutated(content: bytes, rng: random.Random) -> bytes:
    """One to four of: flipped bits, cuts, junk put in or in place of something, pieces doubled,
    lines swapped.
    """
    body = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at, size = rng.randrange(len(body) + 1), rng.randint(1, 40)
        how = rng.choice(("flip", "cut", "insert", "replace", "double", "short", "lines"))
        if how == "flip" and body:
            body[at % len(body)] ^= 1 << rng.randrange(8)
        elif how == "cut":
            del body[at : at + size]
        elif how == "insert":
            body[at:at] = rng.choice(JUNK)
        elif how == "replace":
            body[at : at + size] = rng.choice(JUNK)
        elif how == "double":
            body[at:at] = body[at : at + size]
        elif how == "short":
            del body[at:]
        else:
            lines = body.split(b"\n")
            rng.shuffle(lines)
            body = bytearray(b"\n".join(lines))
    return bytes(body)


def hostile_value(rng: random.Random) -> Any:
    """What nobody should pass, made anew so that a call cannot spoil it for the next."""
    import numpy as np
    import pandas as pd

    plain = (
        None,
        True,
        -1,
        0,
        1,
        2**70,
        -5.5,
        0.5,
        1e308,
        float("nan"),
        float("inf"),
        1j,
        int,
        len,
    )
    texts = (
        "",
        "x",
        "500",
        "\x1b[31m",
        "no/such/file.csv",
        b"x",
        "1 2",
        "y ~ x",
        "\0",
        "né\u202e",
        ...,
    )
    makers: tuple[Callable[[], Any], ...] = (
        *(lambda value=value: value for value in (*plain, *texts)),
        *(lambda value=value: copy(value) for value in CONTAINERS),
        lambda: object(),
        lambda: lambda *_: 1 / 0,
        lambda: np.array([]),
        lambda: np.zeros((2, 3)),
        lambda: np.array([[np.nan, 1], [1, 0]]),
        lambda: np.array(["a", None], dtype=object),
        lambda: np.eye(4),
        lambda: np.arange(4) + 1j,
        lambda: pd.DataFrame(),
        lambda: pd.DataFrame({"x": [1, 2], "y": ["a", None]}),
        lambda: pd.DataFrame([[1, 2]], columns=["x", "x"]),
        lambda: pd.Series([np.nan, np.inf, -1]),
        lambda: pd.Series(["1", "2"], index=["a", "a"]),
        lambda: pd.date_range("2000", periods=3),
        lambda: Path("."),
        lambda: Path("no/such/folder/file.nc"),
    )
    return rng.choice(makers)()


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
        self.sweep = so.sweep(**self._sweep_arguments(), store=folder / "good" / "s")
        self._write(folder / "good")
        self.calls = self._calls()

    def _lists(self) -> dict[str, Any]:
        return {**self.panel, "effects": [self.panel["effects"]]}

    def _write(self, good: Path) -> None:
        """The files as they should be."""
        import scipy.io
        import scipy.sparse as sparse

        good.mkdir(exist_ok=True)
        ids, links = list(self.W.ids), self.W.matrix.tocoo()
        near = {
            i: [ids[j] for j in row.nonzero()[0]]
            for i, row in zip(ids, self.W.matrix.toarray(), strict=True)
        }
        pairs = [
            (ids[i], ids[j], w) for i, j, w in zip(links.row, links.col, links.data, strict=True)
        ]
        (good / "w.gal").write_text(
            "6\n" + "".join(f"{i} {len(to)}\n{' '.join(to)}\n" for i, to in near.items())
        )
        (good / "w.gwt").write_text(
            "0 6 file unit\n" + "".join(f"{i} {j} {w}\n" for i, j, w in pairs)
        )
        (good / "w.csv").write_text(
            "origin,destination,weight\n" + "".join(f"{i},{j},{w}\n" for i, j, w in pairs)
        )
        scipy.io.mmwrite(good / "w.mtx", self.W.matrix)
        sparse.save_npz(good / "w.npz", sparse.csr_matrix(self.W.matrix))
        self.frame.to_csv(good / "d.csv", index=False)
        self.frame.to_parquet(good / "d.parquet", index=False)
        shared = 'data = "d.csv"\nunit = "unit"\nperiod = "year"\n'
        (good / "fit.toml").write_text(
            shared
            + 'formula = "y ~ x + np.log(z**2 + 1)"\nweights = "w.gal"\nmodel = "SAR"\neffects ='
            ' "unit"\noutput = "fit"\nlagged = ["x"]\nstandardize = "row"\nislands ='
            ' "error"\n[sampler]\nsampler = "exact"\ndraws = 20\nchains = 1\nseed = 1\n'
        )
        (good / "sweep.toml").write_text(
            shared + 'formula = "y ~ x"\nmodels = ["SAR"]\neffects = ["unit"]\noutput ='
            ' "sweep"\n[weights]\na = "w.gal"\n[weights.b]\nkind = "economic"\nvalues ='
            ' "z"\n[controls]\nnone = ""\nfull = "z"\n[windows]\nall = [0,'
            ' 3]\n[priors.tight]\nbeta = {family = "Ridge", scale = 1.0}\n[sampler]\nsampler ='
            ' "exact"\ndraws = 20\n'
        )
        (good / "study.toml").write_text(
            shared + 'title = "t"\noutput = "report"\nseed = 1\n[fill]\n[indices.i]\npositive ='
            ' ["x"]\nnegative = ["z"]\n[weights]\na = "w.gal"\n[model]\nformula = "y ~'
            ' i"\nweights = "a"\nname = "SAR"\neffects = "unit"\n[explore]\nvariables ='
            ' ["x"]\npermutations = 99\n[sampler]\ndraws = 20\nchains = 1\n'
        )
        self.fit.save(good / "f.nc")

    def _calls(self) -> list[tuple[str, Callable, dict[str, Any]]]:
        """Every public function and method with arguments that it takes: (name, function, arguments
        by name).
        """
        so, W, frame = self.so, self.W, self.frame
        year = frame[frame["year"] == 0].set_index("unit")
        edges = [("a", "b", 1.0), ("b", "a", 2.0)]
        import numpy as np
        import pandas as pd

        table = pd.DataFrame(edges, columns=["o", "d", "w"])
        points = np.random.default_rng(2).uniform(size=(6, 2))
        model = {"formula": "y ~ x + z", "data": frame, "weights": W, **self.panel}
        model |= {"error_weights": None, "lagged": None, "priors": so.Priors()}
        drawn = {
            "sampler": "exact",
            "draws": 20,
            "tune": 10,
            "chains": 1,
            "seed": 0,
            "target_accept": 0.8,
            "progress": False,
        }
        truth = {
            "x": np.ones((2, 6, 1)),
            "beta": np.ones(1),
            "rho": 0.5,
            "rng": np.random.default_rng(0),
        }
        by_hand: list[tuple[str, Callable, dict[str, Any]]] = [
            *(
                (name, getattr(so, name), model)
                for name in ("OLS", "SLX", "SAR", "SEM", "SDM", "SDEM", "SAC", "GNS")
            ),
            (
                "Weights",
                so.Weights,
                {"matrix": W.matrix, "ids": W.ids, "islands": "error", "bounds": None},
            ),
            (
                "Weights.from_edges",
                so.Weights.from_edges,
                {"frame": table, "origin": "o", "destination": "d", "weight": "w", "ids": None},
            ),
            ("Weights.from_libpysal", so.Weights.from_libpysal, {"w_or_graph": W.to_libpysal()}),
            ("Weights.contiguity", so.Weights.contiguity, {"geodataframe": None, "rook": False}),
            (
                "Weights.knn",
                so.Weights.knn,
                {"coordinates": points, "k": 2, "ids": None, "metric": "euclidean"},
            ),
            (
                "Weights.distance_band",
                so.Weights.distance_band,
                {"coordinates": points, "threshold": 0.9, "metric": "euclidean"},
            ),
            (
                "Weights.inverse_distance",
                so.Weights.inverse_distance,
                {"coordinates": points, "power": 1, "cutoff": None, "ids": None},
            ),
            ("Weights.economic", so.Weights.economic, {"values": year["x"], "power": 1}),
            (
                "Weights.economic_geography",
                so.Weights.economic_geography,
                {"geography": W, "values": year["x"].abs()},
            ),
            ("Weights.nested", so.Weights.nested, {"a": W, "b": W, "share": 0.5}),
            ("W.lag", W.lag, {"x": year["x"]}),
            ("W[]", W.__getitem__, {"labels": ["a", "b"]}),
            (
                "LogDet.build",
                so.LogDet.build,
                {"W": W, "method": "auto", "interval": None, "tol": None},
            ),
            ("LogDet()", self.logdet, {"rho": 0.5}),
            ("LogDet.derivative", self.logdet.derivative, {"rho": 0.5}),
            ("model.fit", self.model.fit, drawn),
            (
                "model.fit_ml",
                self.model.fit_ml,
                {"method": "transformed", "information": "observed"},
            ),
            ("fit.impacts", self.fit.impacts, {"by": None, "orders": 2, "draws": 5}),
            ("fit.save", self.fit.save, {"path": "out.nc"}),
            ("ml.impacts", self.ml.impacts, {"method": "delta", "draws": 50, "seed": 0}),
            ("compare", so.compare, {"fits": {"one": self.fit, "two": self.ml}}),
            ("moran", so.moran, {"x": year["x"], "W": W}),
            ("moran_local", so.moran_local, {"x": year["x"], "W": W}),
            (
                "moran_by_period",
                so.moran_by_period,
                {"frame": frame, "column": "x", "W": W, "unit": "unit", "period": "year"},
            ),
            ("lm_tests", so.lm_tests, {"model": self.ols}),
            ("lr_test", so.lr_test, {"restricted": self.ml, "full": self.ml}),
            ("wald_no_lag", so.wald_no_lag, {"ml": self.ml}),
            ("wald_common_factor", so.wald_common_factor, {"ml": self.ml}),
            ("hausman", so.hausman, {"fixed": self.ml, "random": self.ml}),
            ("spatial_hausman", so.spatial_hausman, {"plain": self.ml, "error": self.ml}),
            ("mundlak", so.mundlak, {"ml": self.ml}),
            (
                "entropy_index",
                so.entropy_index,
                {"frame": year, "positive": ["x"], "negative": ["z"]},
            ),
            (
                "interpolate_panel",
                so.interpolate_panel,
                {"frame": frame, "unit": "unit", "period": "year"},
            ),
            ("read_weights", so.read_weights, {"path": str(self.folder / "good" / "w.gal")}),
            ("load", so.load, {"path": str(self.folder / "good" / "f.nc")}),
            ("open_sweep", so.open_sweep, {"path": str(self.folder / "good" / "s")}),
            ("study", so.study, {"config": str(self.folder / "good" / "none.toml")}),
            ("sweep", so.sweep, self._sweep_arguments()),
            ("Sweep.conclusions", self.sweep.conclusions, {}),
            ("Sweep.average", self.sweep.average, {}),
            ("Sweep.to_frame", self.sweep.to_frame, {}),
            ("Sweep.plot", self.sweep.plot, {"kind": "total", "term": "x"}),
            ("Priors", so.Priors, {"beta": so.Ridge(1.0), "sigma": None, "rho": None, "lam": None}),
            *(
                (name, getattr(so, name), {})
                for name in (
                    "Ridge",
                    "Zellner",
                    "InverseGamma",
                    "ScaledBeta",
                    "Uniform",
                    "Shrinkage",
                )
            ),
            (
                "select_model",
                so.select_model,
                {"model": self.ols, "alpha": 0.05, "bayes": False, "draws": 50, "seed": 0},
            ),
            ("simulate", so.simulate, {"weights": W.matrix, **truth}),
        ]
        return [entry for entry in by_hand if callable(entry[1])]

    def _sweep_arguments(self) -> dict[str, Any]:
        given = {
            "formula": "y ~ x + z",
            "data": self.frame,
            "weights": {"w": self.W},
            "models": ["SAR"],
            **self._lists(),
        }
        return given | {
            "controls": None,
            "priors": None,
            "windows": None,
            "sampler": "exact",
            "draws": 20,
            "seed": 0,
            "progress": False,
        }

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
        target.write_bytes(mutated(target.read_bytes(), rng))
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


def outcome(case: Callable[[], Any], base: type[Exception]) -> tuple[str, str]:
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
    found, detail = outcome(case, cases.so.SpilloverError)
    if kind == "call":
        kind = f"call {what.split('(')[0]}"
    text = f"{what}: {detail}".replace(str(cases.folder), "") if detail else ""
    return {
        "case": number,
        "kind": kind,
        "outcome": found,
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
