"""Does the time of sampling grow with the number of units?

    python bench/exact_growth.py

Sampling time at 10^6 units over that at 49, a SAR with ten regressors, after R and the
log-determinant, by exact draws and by NUTS. At 10^6 units a log-determinant of few nodes, on
(0.3, 0.6) to 1e-4, does. NUTS is compared by its steps too, for the posteriors differ. Target: at
most 1.2.
"""

import common
from common import measure, measure_warm, peak_mb, report

UNITS = (49, 2_000) if common.SMALL else (49, 1_000_000)
WINDOW, TOLERANCE = (0.3, 0.6), 1e-4
DRAWS, REPEATS = (2_000, 1) if common.SMALL else (100_000, 5)


def child(word: str) -> dict:
    """Sampling a SAR of n units, and what came before, in this process."""
    import jax
    import samplers

    import spillover as so

    n = int(word)
    large = n > UNITS[0]
    options = {"interval": WINDOW, "tol": TOLERANCE} if large else {}
    design = common.Design(k=10)
    model, built = measure(lambda: common.model("SAR", common.neighbours(n, ordered=True), design))
    series, prepared = measure(lambda: so.LogDet.build(model.weights, **options))
    with jax.enable_x64(True):
        placed = samplers.place_with(model, series)
        drawn, exact = measure_warm(lambda: samplers.draw_exact(placed.posterior, DRAWS), REPEATS)
        (_, steps), nuts = measure_warm(lambda: samplers.draw_chains(placed), 3)
    return {
        "units": n,
        "coefficients": series.record.coef.shape[0],
        "rho": float(drawn["rho"].mean()),
        "exact": exact.rounded(5),
        "nuts": {**nuts.rounded(5), "steps": steps},
        "model": built.rounded(),
        "logdet": prepared.rounded(),
        "peak_mb": peak_mb(),
    }


def main(_: list[str]) -> None:
    """Few units, many, and the ratio."""
    few, many = (common.ask_child(__file__, n) for n in UNITS)
    ratio = {key: many[key]["cpu_s"] / few[key]["cpu_s"] for key in ("exact", "nuts")}
    ratio["nuts_per_step"] = ratio["nuts"] * few["nuts"]["steps"] / many["nuts"]["steps"]
    for row in (few, many, {"question": "many units over few, CPU seconds", **ratio}):
        report(row)


if __name__ == "__main__":
    common.run(main, child)
