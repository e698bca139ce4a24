"""How often intervals hold the truth: simulated panels with effects, the transformed likelihood
beside demeaned data taken as they are.

    python bench/coverage.py                a JSON line a design, model and likelihood python
    bench/coverage.py 49x3 twoway    these designs, effects, models or likelihoods only python
    bench/coverage.py any_rows       period and two-way effects with a W whose rows do not all have
    one sum, rho = 0.5

REPLICATES panels of every design: rho = 0.4, a row-standardised asymmetric W of four nearest
neighbours, two regressors that depend on the unit and period effects, sigma = 1; DRAWS exact draws
of each posterior under the default priors. Truth: the parameters of the simulation, direct and
total impacts by the dense inverse. An interval of 95 % should hold it 95 % of the time: to be
within 0.93 ... 0.97 for "transformed" (Lee & Yu 2010); "direct" is what most panel programs do.
`coverage`: the share, and its standard error, by quantity, the columns of a vector averaged; `bias`
of the posterior mean of rho; `cpu_s`, `wall_s`. With any_rows the quasi-likelihood of
`models/effects.py`, "transformed", stands beside "uncorrected", T log|S| on the same demeaned data.
"""

import itertools
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

DESIGNS = {"30x10": (30, 10), "49x3": (49, 3), "100x2": (100, 2), "50x20": (50, 20)}
EFFECTS = ("unit", "twoway")
MODELS = ("SAR", "SDM")
LIKELIHOODS = ("transformed", "direct")
ANY_ROWS = "any_rows"
ANY_DESIGNS = {"25x10": (25, 10), "49x10": (49, 10), "25x20": (25, 20)}
LEVELS = (0.9, 0.95)
REPLICATES = 1000
DRAWS = 1000


def study(design: str, effects: str, name: str, *, any_rows: bool = False) -> list[dict]:
    """One design: the same panels under each likelihood."""
    import replicates

    (n, periods), rng = (ANY_DESIGNS if any_rows else DESIGNS)[design], np.random.default_rng(1)
    theta = np.array([0.5, 0.3]) if name == "SDM" else None
    truth = replicates.Truth(np.array([1.0, -0.5]), theta, 0.5 if any_rows else 0.4, 1.0)
    weights = (replicates.several_row_sums if any_rows else replicates.neighbours)(n)
    base = replicates.model(name, effects, weights, (periods, 2))
    models = [
        replicates.on(base, *replicates.panel(weights, periods, effects, truth, rng))
        for _ in range(REPLICATES)
    ]
    rows = []
    for likelihood in ("transformed", "uncorrected") if any_rows else LIKELIHOODS:
        cpu, wall = time.process_time(), time.perf_counter()
        found = replicates.drawn(
            [replicates.member(model, likelihood) for model in models], DRAWS, rng
        )
        ranks = replicates.ranks(found, [truth] * REPLICATES, weights)
        row = {
            "design": design,
            "effects": effects,
            "model": name,
            "likelihood": likelihood,
            "any_rows": any_rows,
        }
        row |= {
            f"coverage_{level}": {key: share(value, level) for key, value in ranks.items()}
            for level in LEVELS
        }
        means = found.draw.rho.mean(axis=1)
        row |= {
            "bias": round(float(means.mean()) - truth.rho, 4),
            "bias_se": round(float(means.std()) / REPLICATES**0.5, 4),
        }
        rows.append(
            row
            | {
                "cpu_s": round(time.process_time() - cpu, 2),
                "wall_s": round(time.perf_counter() - wall, 2),
            }
        )
    return rows


def share(ranks: np.ndarray, level: float) -> list[float]:
    """The share of intervals that hold the truth, and its standard error over the panels."""
    from replicates import covered

    by_panel = covered(ranks, DRAWS, level).mean(axis=1)
    return [
        round(float(by_panel.mean()), 4),
        round(float(by_panel.std()) / len(by_panel) ** 0.5, 4),
    ]


def main() -> None:
    """Every design, kind of effects and model asked for."""
    from machine import machine

    words = set(sys.argv[1:])
    any_rows = ANY_ROWS in words
    tables = (ANY_DESIGNS, ("period", "twoway"), MODELS) if any_rows else (DESIGNS, EFFECTS, MODELS)
    chosen = [[name for name in names if name in words] or list(names) for names in tables]
    start = time.process_time(), time.perf_counter()
    outside = []
    for design, effects, name in itertools.product(*chosen):
        for row in study(design, effects, name, any_rows=any_rows):
            print(json.dumps(row), flush=True)
            case = (design, effects, name, row["likelihood"])
            outside += [
                (*case, key, found[0])
                for key, found in row["coverage_0.95"].items()
                if not 0.93 <= found[0] <= 0.97
            ]
    took = {
        "cpu_s": time.process_time() - start[0],
        "wall_s": time.perf_counter() - start[1],
        "load": os.getloadavg(),
    }
    print(
        json.dumps(
            {
                "outside_0.93_0.97": [case for case in outside if case[3] == "transformed"],
                **took,
                "machine": machine(),
            }
        )
    )


if __name__ == "__main__":
    main()
