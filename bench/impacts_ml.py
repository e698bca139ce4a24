"""How often do 95 % intervals of a total impact by maximum likelihood hold the truth?

    python bench/impacts_ml.py [REPLICATES]

The delta method beside quantiles of the simulation: a SAR of 49 units, 4 nearest neighbours
row-standardised, one regressor with coefficient 1, sigma = 1; replicates without an interior
maximum are left out and counted. `delta`: estimate -+ 1.96 std_error; `simulation`: the columns
"2.5 %" and "97.5 %". 250 replicates gave 0.860 and 0.936 at rho = 0.5, 0.764 and 0.924 at
rho = 0.9, with a Monte Carlo error of 0.016 at 0.93 and 0.027 at 0.76.
"""

import common
import numpy as np
from common import report

import spillover as so

UNITS, NEIGHBOURS, RHO = 49, 4, (0.5, 0.9)
REPLICATES = 5 if common.SMALL else 250


def hold(matrix, rho: float, seed: int) -> tuple[bool, bool] | None:
    """Whether each interval of one replicate holds the truth; None without a maximum."""
    table = common.frame(matrix, common.Design(k=1, rho=rho, seed=seed))
    try:
        fit = so.SAR("y ~ x1", table.drop(columns="period"), so.Weights(matrix), unit="unit")
        ml = fit.fit_ml()
        delta, simulated = (
            ml.impacts(method=method).loc[("total", "x1")] for method in ("delta", "simulation")
        )
    except so.ConvergenceError:
        return None
    truth = 1 / (1 - rho)
    near = abs(delta["estimate"] - truth) < 1.96 * delta["std_error"]
    return bool(near), bool(simulated["2.5 %"] < truth < simulated["97.5 %"])


def main(words: list[str]) -> None:
    """Simulate and count."""
    replicates = int(words[0]) if words else REPLICATES
    matrix = common.neighbours(UNITS, NEIGHBOURS)
    for rho in RHO:
        rows = [hold(matrix, rho, seed) for seed in range(replicates)]
        held = [row for row in rows if row is not None]
        shares = np.mean(held, axis=0).tolist()
        about = {"rho": rho, "replicates": len(held), "failed": len(rows) - len(held)}
        report({**about, **dict(zip(("delta", "simulation"), shares, strict=True))})


if __name__ == "__main__":
    common.run(main)
