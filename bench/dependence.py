"""How often intervals hold the truth as dependence grows: the default priors beside the reference
prior, on the same data.

    python bench/dependence.py                  a JSON line a model, design, strength and prior;
    then what misses its target python bench/dependence.py SAR 49 0.97      these models, designs or
    strengths only

REPLICATES data sets a cell: rho (SAR, SDM) or lam (SEM) from STRENGTHS, a row-standardised
asymmetric W of four nearest neighbours, two regressors, sigma = 1; a cross-section of N units with
an intercept ("49", "100") or five periods with unit and period effects that the regressors depend
on ("49x5", "100x5"). DRAWS exact draws of each posterior. `coverage`: the share of 95 % intervals
that hold the truth and its standard error, by quantity, the columns of a vector averaged;
`shortfall`, of the default priors only: the reference prior's coverage less theirs and its standard
error over the pairs; `sigma`: the median over data sets of its posterior median, the truth being 1.

Targets: sigma and beta within three standard errors of 0.93 ... 0.97 under the default priors; rho,
lam and impacts at most 0.01 below the reference prior.
"""

import itertools
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

MODELS = ("SAR", "SEM", "SDM")
DESIGNS = {"49": (49, 1), "100": (100, 1), "49x5": (49, 5), "100x5": (100, 5)}
STRENGTHS = (-0.8, 0.0, 0.5, 0.9, 0.97)
REPLICATES = 2000
DRAWS = 999
LEVEL = 0.95
LOWEST, HIGHEST, ERRORS, LOSS = 0.93, 0.97, 3.0, 0.01
BETA, THETA = (1.0, -0.5), (0.5, 0.3)


def cell(name: str, design: str, strength: float) -> list[dict]:
    """The same data under both priors."""
    import replicates

    import spillover as so

    n, periods = DESIGNS[design]
    effects, rng = ("none" if periods == 1 else "twoway"), np.random.default_rng(7)
    where = {"lam" if name == "SEM" else "rho": strength}
    theta = np.array(THETA) if name == "SDM" else None
    truth = replicates.Truth(
        np.array(BETA),
        theta,
        **{"rho": 0.0, **where},
        sigma=1.0,
        intercept=1.0 if periods == 1 else 0.0,
    )
    weights = replicates.neighbours(n)
    data = [replicates.panel(weights, periods, effects, truth, rng) for _ in range(REPLICATES)]
    held, rows = {}, []
    for label, priors in (("reference", so.Priors.reference()), ("default", so.Priors())):
        cpu = time.process_time()
        base = replicates.model(name, effects, weights, (periods, len(BETA)), priors)
        found = replicates.drawn(
            [replicates.member(replicates.on(base, *one)) for one in data], DRAWS, rng
        )
        ranks = replicates.ranks(found, [truth] * REPLICATES, weights, first=int(periods == 1))
        held[label] = {key: replicates.covered(value, DRAWS, LEVEL) for key, value in ranks.items()}
        row = {"model": name, "design": design, "strength": strength, "prior": label}
        row |= {"coverage": {key: share(value.mean(axis=1)) for key, value in held[label].items()}}
        row |= {"sigma": round(float(np.median(np.median(found.draw.sigma, axis=1))), 4)}
        rows.append(row | {"cpu_s": round(time.process_time() - cpu, 2)})
    rows[1]["shortfall"] = {
        key: share((held["reference"][key] * 1.0 - held["default"][key]).mean(axis=1))
        for key in held["default"]
    }
    return rows


def share(values: np.ndarray) -> list[float]:
    """A mean over data sets and its standard error."""
    return [round(float(values.mean()), 4), round(float(values.std()) / len(values) ** 0.5, 4)]


def misses(row: dict) -> list[list]:
    """The quantities of a row that miss their targets."""
    case = [row[key] for key in ("model", "design", "strength")]
    found = []
    for key, (value, _) in row["coverage"].items():
        if key in ("sigma2", "beta", "theta"):
            slack = ERRORS * (LOWEST * (1 - LOWEST) / REPLICATES) ** 0.5
            found += [[*case, key, value]] if not LOWEST - slack <= value <= HIGHEST + slack else []
        elif row["shortfall"][key][0] > LOSS:
            found.append([*case, key, value, row["shortfall"][key]])
    return found


def main() -> None:
    """Every model, design and strength asked for."""
    from machine import machine

    words = set(sys.argv[1:])
    chosen = [
        [value for value in values if str(value) in words] or list(values)
        for values in (MODELS, DESIGNS, STRENGTHS)
    ]
    start, outside = (time.process_time(), time.perf_counter()), []
    for case in itertools.product(*chosen):
        for row in cell(*case):
            print(json.dumps(row), flush=True)
            outside += misses(row) if row["prior"] == "default" else []
    took = {
        "cpu_s": time.process_time() - start[0],
        "wall_s": time.perf_counter() - start[1],
        "load": os.getloadavg(),
    }
    print(
        json.dumps(
            {
                "missed": outside,
                "replicates": REPLICATES,
                "draws": DRAWS,
                **took,
                "machine": machine(),
            }
        )
    )


if __name__ == "__main__":
    main()
