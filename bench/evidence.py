"""Does the evidence find the W that made the data, and are posterior probabilities what they say?

    python bench/evidence.py [SAR] [SDM] [selection]

31 units and 10 periods, unit and period effects, six regressors; candidates, row-standardised:
contiguity, inverse distance, four nearest neighbours, contiguity with the units permuted. Truth:
the W of the simulation, drawn uniformly from the candidates.

`found`: rho = 0.4, beta = `strength`, theta = strength / 2, sigma = 1, default priors; the share of
PANELS where the true W has the highest evidence, to be at least 0.90 for SAR and 0.98 for SDM at
strength 1. `reliability`: every parameter drawn from a prior that the model has too, so that by the
law of total probability a candidate given the probability p is the true one in a share p of cases:
by bin of p its mean, the share, its standard error and the number of candidates. `surprise`: the
log score of all less its expectation, in standard errors, below 0 where the probabilities are too
sure. "selection": models SAR, SEM and SDM under the same W, three regressors, default priors: what
the true W and the true model are given.
"""

import itertools

import common
import numpy as np
import replicates
from common import measure, report

MODELS = ("SAR", "SDM")
STRENGTHS = (0.25, 0.5, 1.0)
DEPENDENCE = (0.4, 0.8, 0.95)  # rho, or lam of SEM, in the question "selection"
SELECTED = ("SAR", "SEM", "SDM")
SELECTION = "selection"
PANELS, RELIABILITY_PANELS, SELECTION_PANELS = (10, 10, 10) if common.SMALL else (100, 2000, 600)
REGRESSORS = 6
BINS = np.linspace(0, 1, 11)


def count_finds(name: str, strength: float) -> dict:
    """How often the true W has the highest evidence."""
    beta = strength * np.ones(REGRESSORS)
    truth = replicates.Truth(beta, beta / 2 if name == "SDM" else None, 0.4, 1.0)
    true, p = replicates.probabilities(name, 10, lambda *_: truth, None, PANELS, seed=2)
    right = p.argmax(axis=1) == true
    return {
        "model": name,
        "strength": strength,
        "found": float(right.mean()),
        "standard_error": float(right.std()) / PANELS**0.5,
        "mean_probability_of_the_true": float(p[np.arange(PANELS), true].mean()),
    }


def compare_with_shares(name: str) -> dict:
    """Probabilities against shares, where the parameters are drawn from the prior."""
    priors, draw = replicates.prior_of(REGRESSORS, durbin=name == "SDM", spread=0.1)
    true, p = replicates.probabilities(name, 10, draw, priors, RELIABILITY_PANELS, seed=3)
    table = replicates.reliability_table(true, p, BINS)
    score = replicates.surprise(true, p)
    return {"model": name, "panels": RELIABILITY_PANELS, "surprise": score, "reliability": table}


def select(strength: float, dependence: float) -> dict:
    """What is given to the W and to the model that made the data, and the mean log of it."""
    true, p = replicates.selection(SELECTED, strength, dependence, SELECTION_PANELS, seed=5)
    row = np.arange(len(true))
    shares = {"model": p.sum(axis=2)[row, true[:, 0]], "weights": p.sum(axis=1)[row, true[:, 1]]}
    record = {"strength": strength, "dependence": dependence, "panels": SELECTION_PANELS}
    for name, value in shares.items():
        record[f"mean_probability_of_the_true_{name}"] = round(float(value.mean()), 4)
        record[f"mean_log_probability_{name}"] = round(float(np.log(value).mean()), 4)
    chosen = {name: shares["model"][true[:, 0] == i] for i, name in enumerate(SELECTED)}
    by_model = {name: round(float(one.mean()), 4) for name, one in chosen.items() if one.size}
    return {**record, "by_model": by_model}


def main(words: list[str]) -> None:
    """The questions and models asked for."""
    models = [name for name in MODELS if name in words]
    if not words:
        models = list(MODELS)
    tasks = []
    for name in models:
        tasks += [(count_finds, name, strength) for strength in STRENGTHS]
        tasks.append((compare_with_shares, name))
    if SELECTION in words or not words:
        cases = itertools.product(DEPENDENCE, STRENGTHS)
        tasks += [(select, strength, dependence) for dependence, strength in cases]
    for function, *arguments in tasks:
        record, took = measure(lambda f=function, given=arguments: f(*given))
        report({**record, **took.rounded(2)})


if __name__ == "__main__":
    common.run(main)
