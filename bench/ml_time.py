"""What does maximum likelihood of a SAR cost, from a frame and links to standard errors?

    python bench/ml_time.py [UNITS]      measured in this process after `import spillover`

Weights, estimates, standard errors and log-likelihood, everything included. W: 6 nearest neighbours
of uniform points, symmetrised and row-standardised; 12 regressors. `first`: of the first response;
`second`: of another response on the same W, the programs compiled and the log-determinant known;
`peak_mb`: of the process. R's spatialreg with its Matrix method takes 0.83 s for 25,357 house
prices with 12 regressors, the Hessian included.
"""

import common
from common import measure, peak_mb, report

import spillover as so

UNITS, REGRESSORS, RHO = (400 if common.SMALL else 25_357), 12, 0.5


def main(words: list[str]) -> None:
    """Measure once."""
    n = int(words[0]) if words else UNITS
    links = common.neighbours(n, symmetric=True, ordered=True)
    designs = [common.Design(k=REGRESSORS, rho=RHO, seed=seed) for seed in (0, 1)]
    tables = [common.frame(links, design) for design in designs]
    formula, before = common.formula(REGRESSORS), peak_mb()
    (fit, first), (_, second) = (
        measure(lambda table=table: so.SAR(formula, table, so.Weights(links)).fit_ml())
        for table in tables
    )
    row = {"question": "ML of a SAR", "n": n, "rho": float(fit.params["rho"])}
    took = {"first": first.rounded(), "second": second.rounded()}
    report({**row, **took, "before_mb": before, "peak_mb": peak_mb()})


if __name__ == "__main__":
    common.run(main)
