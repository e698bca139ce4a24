"""Whether the evidence finds the W that made the data, and whether posterior probabilities are what
they say.

    python bench/evidence.py            a JSON line a model and strength: how often W is found; then
    the reliability tables python bench/evidence.py SAR        this model only python
    bench/evidence.py selection  W and model together

31 units and 10 periods, unit and period effects, six regressors; candidates, row-standardised:
contiguity, inverse distance, four nearest neighbours, contiguity with the units permuted. Truth:
the W of the simulation, drawn uniformly from the candidates. "found": rho = 0.4, beta = `strength`,
theta = strength / 2, sigma = 1, default priors; the share of PANELS where the true W has the
highest evidence, to be at least 0.90 for SAR and 0.98 for SDM at strength 1. "reliability": every
parameter drawn from a prior that the model has too, so that by the law of total probability a
candidate given the probability p is the true one in a share p of cases: by bin of p its mean, the
share, its standard error and the number of candidates; "selection": models SAR, SEM and SDM under
the same W, three regressors, default priors: what the true W and the true model are given.
`surprise`: the log score of all less its expectation, in standard errors, below 0 where the
probabilities are too sure.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

MODELS = ("SAR", "SDM")
STRENGTHS = (0.25, 0.5, 1.0)
PANELS = 100
DEPENDENCE = (0.4, 0.8, 0.95)  # rho, or lam of SEM, in the question "selection"
SELECTED = ("SAR", "SEM", "SDM")
SELECTION_PANELS = 600
RELIABILITY_PANELS = 2000
REGRESSORS = 6
BINS = np.linspace(0, 1, 11)


def found(name: str, strength: float) -> dict:
    """How often the true W has the highest evidence."""
    from replicates import Truth, probabilities

    beta = strength * np.ones(REGRESSORS)
    truth = Truth(beta, beta / 2 if name == "SDM" else None, 0.4, 1.0)
    true, p = probabilities(name, 10, lambda _weights, _rng: truth, None, PANELS, seed=2)
    right = p.argmax(axis=1) == true
    return {
        "model": name,
        "strength": strength,
        "found": float(right.mean()),
        "standard_error": float(right.std()) / PANELS**0.5,
        "mean_probability_of_the_true": float(p[np.arange(PANELS), true].mean()),
    }


def reliability(name: str) -> dict:
    """Probabilities against shares, where the parameters are drawn from the prior."""
    from replicates import prior_of, probabilities, reliability_table, surprise

    priors, draw = prior_of(REGRESSORS, durbin=name == "SDM", spread=0.1)
    true, p = probabilities(name, 10, draw, priors, RELIABILITY_PANELS, seed=3)
    return {
        "model": name,
        "panels": RELIABILITY_PANELS,
        "surprise": surprise(true, p),
        "reliability": reliability_table(true, p, BINS),
    }


def selected(strength: float, dependence: float) -> dict:
    """What is given to the W and to the model that made the data, and the mean log of it."""
    from replicates import selection

    true, p = selection(SELECTED, strength, dependence, SELECTION_PANELS, seed=5)
    row = np.arange(len(true))
    shares = {"model": p.sum(axis=2)[row, true[:, 0]], "weights": p.sum(axis=1)[row, true[:, 1]]}
    found = {
        f"mean_probability_of_the_true_{name}": round(float(value.mean()), 4)
        for name, value in shares.items()
    }
    found |= {
        f"mean_log_probability_{name}": round(float(np.log(value).mean()), 4)
        for name, value in shares.items()
    }
    by_model = {
        name: round(float(shares["model"][true[:, 0] == i].mean()), 4)
        for i, name in enumerate(SELECTED)
    }
    return {
        "strength": strength,
        "dependence": dependence,
        **found,
        "by_model": by_model,
        "panels": SELECTION_PANELS,
    }


def main() -> None:
    """Both questions for the models asked for."""
    from machine import machine

    words = set(sys.argv[1:])
    models = [name for name in MODELS if name in words] or ([] if "selection" in words else MODELS)
    tasks = [
        task
        for name in models
        for task in (*((found, name, strength) for strength in STRENGTHS), (reliability, name))
    ]
    if "selection" in words or not words:
        tasks += [
            (selected, strength, dependence) for dependence in DEPENDENCE for strength in STRENGTHS
        ]
    for function, *arguments in tasks:
        cpu, wall = time.process_time(), time.perf_counter()
        row = function(*arguments)
        print(
            json.dumps(
                row | {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
            ),
            flush=True,
        )
    print(json.dumps({"load": os.getloadavg(), "machine": machine()}))


if __name__ == "__main__":
    main()
