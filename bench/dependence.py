"""How often do intervals hold the truth as dependence grows, under the default priors?

    python bench/dependence.py [MODELS] [DESIGNS] [STRENGTHS]

The default priors beside the reference prior, on the same data. REPLICATES data sets a cell: rho
(SAR, SDM) or lam (SEM) from STRENGTHS, a row-standardised asymmetric W of four nearest neighbours,
two regressors, sigma = 1; a cross-section of N units with an intercept ("49", "100") or five
periods with unit and period effects that the regressors depend on ("49x5", "100x5"). DRAWS exact
draws of each posterior.

`coverage`: the share of 95 % intervals that hold the truth and its standard error, by quantity, the
columns of a vector averaged; `shortfall`, of the default priors only: the reference prior's
coverage less theirs and its standard error over the pairs; `sigma`: the median over data sets of
its posterior median, the truth being 1. Targets: sigma and beta within three standard errors of
0.93 ... 0.97 under the default priors; rho, lam and impacts at most 0.01 below the reference prior.
The last record lists what misses them.
"""

import itertools

import common
import numpy as np
import replicates
from common import measure, report
from coverage import HIGHEST, LOWEST, mean_and_error

import spillover as so

MODELS = ("SAR", "SEM", "SDM")
DESIGNS = {"49": (49, 1), "100": (100, 1), "49x5": (49, 5), "100x5": (100, 5)}
STRENGTHS = (-0.8, 0.0, 0.5, 0.9, 0.97)
REPLICATES, DRAWS = (20, 99) if common.SMALL else (2000, 999)
LEVEL, ERRORS, LOSS = 0.95, 3.0, 0.01
BETA, THETA = (1.0, -0.5), (0.5, 0.3)


def cell(name: str, design: str, strength: float) -> list[dict]:
    """The same data under both priors."""
    n, periods = DESIGNS[design]
    effects, rng = ("none" if periods == 1 else "twoway"), np.random.default_rng(7)
    theta = np.array(THETA) if name == "SDM" else None
    spatial = {"rho": 0.0, "lam" if name == "SEM" else "rho": strength}
    intercept = 1.0 if periods == 1 else 0.0
    truth = replicates.Truth(np.array(BETA), theta, **spatial, sigma=1.0, intercept=intercept)
    weights = replicates.neighbours(n)
    data = [replicates.panel(weights, periods, effects, truth, rng) for _ in range(REPLICATES)]
    held, rows = {}, []
    for label, priors in (("reference", so.Priors.reference()), ("default", so.Priors())):
        base = replicates.model(name, effects, weights, (periods, len(BETA)), priors)
        members = [replicates.member(replicates.on(base, *one)) for one in data]
        drawn, took = measure(lambda members=members: replicates.drawn(members, DRAWS, rng))
        ranks = replicates.ranks(drawn, [truth] * REPLICATES, weights, first=int(periods == 1))
        held[label] = {key: replicates.covered(value, DRAWS, LEVEL) for key, value in ranks.items()}
        shares = {key: mean_and_error(value.mean(axis=1)) for key, value in held[label].items()}
        row = {"model": name, "design": design, "strength": strength, "prior": label}
        sigma = round(float(np.median(np.median(drawn.draw.sigma, axis=1))), 4)
        rows.append({**row, "coverage": shares, "sigma": sigma, **took.rounded(2)})
    rows[1]["shortfall"] = {
        key: mean_and_error((held["reference"][key] * 1.0 - value).mean(axis=1))
        for key, value in held["default"].items()
    }
    return rows


def misses(row: dict) -> list[list]:
    """The quantities of a row that miss their targets."""
    case = [row[key] for key in ("model", "design", "strength")]
    slack = ERRORS * (LOWEST * (1 - LOWEST) / REPLICATES) ** 0.5
    missed: list[list] = []
    for key, (value, _) in row["coverage"].items():
        if key in ("sigma2", "beta", "theta"):
            if not LOWEST - slack <= value <= HIGHEST + slack:
                missed.append([*case, key, value])
        elif row["shortfall"][key][0] > LOSS:
            missed.append([*case, key, value, row["shortfall"][key]])
    return missed


def main(words: list[str]) -> None:
    """Every model, design and strength asked for."""
    missed: list[list] = []
    for case in itertools.product(*common.choose(words, MODELS, DESIGNS, STRENGTHS)):
        for row in cell(*case):
            report(row)
            missed += misses(row) if row["prior"] == "default" else []
    report({"missed": missed, "replicates": REPLICATES, "draws": DRAWS})


if __name__ == "__main__":
    common.run(main)
