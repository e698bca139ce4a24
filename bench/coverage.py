"""How often do intervals hold the truth in panels with effects, by each kind of likelihood?

    python bench/coverage.py [DESIGNS] [EFFECTS] [MODELS] [any_rows]

REPLICATES panels of every design: rho = 0.4, a row-standardised asymmetric W of four nearest
neighbours, two regressors that depend on the unit and period effects, sigma = 1; DRAWS exact draws
of each posterior under the default priors. Truth: the parameters of the simulation, direct and
total impacts by the dense inverse. An interval of 95 % should hold it 95 % of the time: to be
within 0.93 ... 0.97 for "transformed" (Lee & Yu 2010); "direct", demeaned data taken as they are,
is what most panel programs do. any_rows: period and two-way effects with a W whose rows do not all
have one sum, rho = 0.5; the quasi-likelihood of `models/effects.py`, "transformed", stands beside
"uncorrected", T log|S| on the same demeaned data.

`coverage_0.9`, `coverage_0.95`: the share, and its standard error, by quantity, the columns of a
vector averaged; `bias` of the posterior mean of rho. The last record lists what misses the target.
"""

import itertools

import common
import numpy as np
import replicates
from common import measure, report

DESIGNS = {"30x10": (30, 10), "49x3": (49, 3), "100x2": (100, 2), "50x20": (50, 20)}
EFFECTS = ("unit", "twoway")
MODELS = ("SAR", "SDM")
LIKELIHOODS = ("transformed", "direct")
ANY_ROWS = "any_rows"
ANY_DESIGNS = {"25x10": (25, 10), "49x10": (49, 10), "25x20": (25, 20)}
ANY_EFFECTS = ("period", "twoway")
ANY_LIKELIHOODS = ("transformed", "uncorrected")
LEVELS = (0.9, 0.95)
LOWEST, HIGHEST = 0.93, 0.97
REPLICATES, DRAWS = (20, 100) if common.SMALL else (1000, 1000)


def study(design: str, effects: str, name: str, *, any_rows: bool) -> list[dict]:
    """One design: the same panels under each likelihood."""
    (n, periods), rng = (ANY_DESIGNS if any_rows else DESIGNS)[design], np.random.default_rng(1)
    theta = np.array([0.5, 0.3]) if name == "SDM" else None
    truth = replicates.Truth(np.array([1.0, -0.5]), theta, 0.5 if any_rows else 0.4, 1.0)
    weights = (replicates.several_row_sums if any_rows else replicates.neighbours)(n)
    base = replicates.model(name, effects, weights, (periods, 2))
    panels = [replicates.panel(weights, periods, effects, truth, rng) for _ in range(REPLICATES)]
    models = [replicates.on(base, *one) for one in panels]
    about = {"design": design, "effects": effects, "model": name, "any_rows": any_rows}
    rows = []
    for likelihood in ANY_LIKELIHOODS if any_rows else LIKELIHOODS:
        members = [replicates.member(model, likelihood) for model in models]
        drawn, took = measure(lambda members=members: replicates.drawn(members, DRAWS, rng))
        ranks = replicates.ranks(drawn, [truth] * REPLICATES, weights)
        row = {**about, "likelihood": likelihood}
        for level in LEVELS:
            row[f"coverage_{level}"] = {key: share(one, level) for key, one in ranks.items()}
        means = drawn.draw.rho.mean(axis=1)
        row["bias"] = round(float(means.mean()) - truth.rho, 4)
        row["bias_se"] = round(float(means.std()) / REPLICATES**0.5, 4)
        rows.append({**row, **took.rounded(2)})
    return rows


def share(ranks: np.ndarray, level: float) -> list[float]:
    """The share of intervals that hold the truth, and its standard error over the panels."""
    return mean_and_error(replicates.covered(ranks, DRAWS, level).mean(axis=1))


def mean_and_error(values: np.ndarray) -> list[float]:
    """A mean over data sets and its standard error."""
    return [round(float(values.mean()), 4), round(float(values.std()) / len(values) ** 0.5, 4)]


def main(words: list[str]) -> None:
    """Every design, kind of effects and model asked for."""
    any_rows = ANY_ROWS in words
    kinds = (ANY_DESIGNS, ANY_EFFECTS) if any_rows else (DESIGNS, EFFECTS)
    outside = []
    for case in itertools.product(*common.choose(words, *kinds, MODELS)):
        for row in study(*case, any_rows=any_rows):
            report(row)
            if row["likelihood"] == "transformed":
                shares = {key: pair[0] for key, pair in row["coverage_0.95"].items()}
                missed = {key: p for key, p in shares.items() if not LOWEST <= p <= HIGHEST}
                outside += [[*case, key, p] for key, p in missed.items()]
    report({"outside_0.93_0.97": outside, "replicates": REPLICATES, "draws": DRAWS})


if __name__ == "__main__":
    common.run(main)
