"""What is attacked: files of every kind that is read, every public function, all unspoilt."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

CONFIGS = {
    "fit.toml": """\
data = "d.csv"
unit = "unit"
period = "year"
formula = "y ~ x + np.log(z**2 + 1)"
weights = "w.gal"
model = "SAR"
effects = "unit"
output = "fit"
lagged = ["x"]
standardize = "row"
islands = "error"
[sampler]
sampler = "exact"
draws = 20
chains = 1
seed = 1
""",
    "sweep.toml": """\
data = "d.csv"
unit = "unit"
period = "year"
formula = "y ~ x"
models = ["SAR"]
effects = ["unit"]
output = "sweep"
[weights]
a = "w.gal"
[weights.b]
kind = "economic"
values = "z"
[controls]
none = ""
full = "z"
[windows]
all = [0, 3]
[priors.tight]
beta = {family = "Ridge", scale = 1.0}
[sampler]
sampler = "exact"
draws = 20
""",
    "study.toml": """\
data = "d.csv"
unit = "unit"
period = "year"
title = "t"
output = "report"
seed = 1
[fill]
[indices.i]
positive = ["x"]
negative = ["z"]
[weights]
a = "w.gal"
[model]
formula = "y ~ i"
weights = "a"
name = "SAR"
effects = "unit"
[explore]
variables = ["x"]
permutations = 99
[sampler]
draws = 20
chains = 1
""",
}


def write_files(good: Path, cases: Any) -> None:
    """The files as they should be."""
    import scipy.io
    import scipy.sparse as sparse

    good.mkdir(exist_ok=True)
    ids, links = list(cases.W.ids), cases.W.matrix.tocoo()
    near = {
        i: [ids[j] for j in row.nonzero()[0]]
        for i, row in zip(ids, cases.W.matrix.toarray(), strict=True)
    }
    pairs = [(ids[i], ids[j], w) for i, j, w in zip(links.row, links.col, links.data, strict=True)]
    (good / "w.gal").write_text(
        "6\n" + "".join(f"{i} {len(to)}\n{' '.join(to)}\n" for i, to in near.items())
    )
    (good / "w.gwt").write_text("0 6 file unit\n" + "".join(f"{i} {j} {w}\n" for i, j, w in pairs))
    (good / "w.csv").write_text(
        "origin,destination,weight\n" + "".join(f"{i},{j},{w}\n" for i, j, w in pairs)
    )
    scipy.io.mmwrite(good / "w.mtx", cases.W.matrix)
    sparse.save_npz(good / "w.npz", sparse.csr_matrix(cases.W.matrix))
    cases.frame.to_csv(good / "d.csv", index=False)
    cases.frame.to_parquet(good / "d.parquet", index=False)
    for name, text in CONFIGS.items():
        (good / name).write_text(text)
    cases.fit.save(good / "f.nc")


def list_calls(cases: Any) -> list[tuple[str, Callable, dict[str, Any]]]:
    """Every public function and method with arguments that it takes: (name, function, arguments
    by name).
    """
    so, W, frame = cases.so, cases.W, cases.frame
    year = frame[frame["year"] == 0].set_index("unit")
    edges = [("a", "b", 1.0), ("b", "a", 2.0)]
    import numpy as np
    import pandas as pd

    table = pd.DataFrame(edges, columns=["o", "d", "w"])
    points = np.random.default_rng(2).uniform(size=(6, 2))
    model = {"formula": "y ~ x + z", "data": frame, "weights": W, **cases.panel}
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
        ("LogDet()", cases.logdet, {"rho": 0.5}),
        ("LogDet.derivative", cases.logdet.derivative, {"rho": 0.5}),
        ("model.fit", cases.model.fit, drawn),
        (
            "model.fit_ml",
            cases.model.fit_ml,
            {"method": "transformed", "information": "observed"},
        ),
        ("fit.impacts", cases.fit.impacts, {"by": None, "orders": 2, "draws": 5}),
        ("fit.save", cases.fit.save, {"path": "out.nc"}),
        ("ml.impacts", cases.ml.impacts, {"method": "delta", "draws": 50, "seed": 0}),
        ("compare", so.compare, {"fits": {"one": cases.fit, "two": cases.ml}}),
        ("moran", so.moran, {"x": year["x"], "W": W}),
        ("moran_local", so.moran_local, {"x": year["x"], "W": W}),
        (
            "moran_by_period",
            so.moran_by_period,
            {"frame": frame, "column": "x", "W": W, "unit": "unit", "period": "year"},
        ),
        ("lm_tests", so.lm_tests, {"model": cases.ols}),
        ("lr_test", so.lr_test, {"restricted": cases.ml, "full": cases.ml}),
        ("wald_no_lag", so.wald_no_lag, {"ml": cases.ml}),
        ("wald_common_factor", so.wald_common_factor, {"ml": cases.ml}),
        ("hausman", so.hausman, {"fixed": cases.ml, "random": cases.ml}),
        ("spatial_hausman", so.spatial_hausman, {"plain": cases.ml, "error": cases.ml}),
        ("mundlak", so.mundlak, {"ml": cases.ml}),
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
        ("read_weights", so.read_weights, {"path": str(cases.folder / "good" / "w.gal")}),
        ("load", so.load, {"path": str(cases.folder / "good" / "f.nc")}),
        ("open_sweep", so.open_sweep, {"path": str(cases.folder / "good" / "s")}),
        ("study", so.study, {"config": str(cases.folder / "good" / "none.toml")}),
        ("sweep", so.sweep, sweep_arguments(cases)),
        ("Sweep.conclusions", cases.sweep.conclusions, {}),
        ("Sweep.average", cases.sweep.average, {}),
        ("Sweep.to_frame", cases.sweep.to_frame, {}),
        ("Sweep.plot", cases.sweep.plot, {"kind": "total", "term": "x"}),
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
            {"model": cases.ols, "alpha": 0.05, "bayes": False, "draws": 50, "seed": 0},
        ),
        ("simulate", so.simulate, {"weights": W.matrix, **truth}),
    ]
    return [entry for entry in by_hand if callable(entry[1])]


def sweep_arguments(cases: Any) -> dict[str, Any]:
    """A small sweep that nothing is wrong with."""
    given = {
        "formula": "y ~ x + z",
        "data": cases.frame,
        "weights": {"w": cases.W},
        "models": ["SAR"],
        **cases.panel,
        "effects": [cases.panel["effects"]],
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
