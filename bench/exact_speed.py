"""How many effective draws of rho a second does exact sampling give, beside NUTS?

    python bench/exact_speed.py [PROBLEMS] [MODELS]

Problems: simulated cross-sections of 49, 506, 3,107 and 25,357 units, six nearest neighbours, five
regressors and an intercept, rho = 0.4; "panel", 46 units and 30 periods with unit and period
effects. Each in a fresh process, of which all but the timed call was done before. `fit`: a whole
warm `model.fit(sampler="exact", draws=DRAWS, chains=1)`, with its tree; `draw`: the draws alone;
`nuts`: 4 chains of 1,000 + 1,000 without what both samplers prepare; `nuts_fit`: the whole
`model.fit`. ESS: that of the draws by arviz_stats.ess, over CPU and wall seconds; the best of
REPEATS. Targets: 10^6 a second for SAR and SDM, 10^5 for SAC, 200 times NUTS (`ratio_cpu`, draw
over nuts).
"""

import itertools
import warnings

import common
import numpy as np
from common import measure_warm, report

PROBLEMS = {
    "49": (49, 1),
    "506": (506, 1),
    "3107": (3_107, 1),
    "25357": (25_357, 1),
    "panel": (46, 30),
}
MODELS = ("SAR", "SDM", "SAC")
TRUTH = {"SDM": {"theta": 0.5}, "SAC": {"lam": 0.3}}
DRAWS, REPEATS = (2_000, 1) if common.SMALL else (100_000, 5)


def rates(draws: np.ndarray, took: common.Took) -> dict:
    """Effective draws and what they took. draws: (chain, draw)."""
    import arviz_stats

    ess = float(arviz_stats.ess(np.asarray(draws)))
    row = {"ess": round(ess), **took.rounded(5)}
    return {
        **row,
        "ess_per_cpu_s": round(ess / took.cpu_s),
        "ess_per_wall_s": round(ess / took.wall_s),
    }


def child(size: str, name: str) -> dict:
    """Exact draws and NUTS on one problem, in this process."""
    import jax
    import samplers

    warnings.simplefilter("ignore")
    n, periods = PROBLEMS[size]
    design = common.Design(periods=periods, **TRUTH.get(name, {}))
    model = common.model(name, common.neighbours(n, ordered=True), design)
    exact = {"sampler": "exact", "draws": DRAWS, "chains": 1, "seed": 1}
    fit, took = measure_warm(lambda: model.fit(**exact), REPEATS)
    row = {"model": name, "problem": size, "fit": rates(fit.posterior["rho"].to_numpy(), took)}
    row["quadrature_points"] = int(fit.tree["sample_stats"]["quadrature_points"])
    with jax.enable_x64(True):
        placed = samplers.place(model)
        drawn, took = measure_warm(lambda: samplers.draw_exact(placed.posterior, DRAWS), REPEATS)
        row["draw"] = rates(drawn["rho"], took)
        (drawn, _), took = measure_warm(lambda: samplers.draw_chains(placed), 2)
        row["nuts"] = rates(drawn["rho"], took)
    fit, took = measure_warm(lambda: model.fit(draws=samplers.KEPT, progress=False), 1)
    row["nuts_fit"] = rates(fit.posterior["rho"].to_numpy(), took)
    for clock in ("cpu", "wall"):
        key = f"ess_per_{clock}_s"
        row[f"ratio_{clock}"] = row["draw"][key] / row["nuts"][key]
        row[f"fit_ratio_{clock}"] = row["fit"][key] / row["nuts_fit"][key]
    return row


def main(words: list[str]) -> None:
    """The problems and models asked for."""
    sizes, models = common.choose(words, PROBLEMS, MODELS)
    cases = itertools.product(sizes, models)
    for case in [("49", "SAR")] if common.SMALL and not words else cases:
        report(common.ask_child(__file__, *case))


if __name__ == "__main__":
    common.run(main, child)
