"""What maximum likelihood of a SAR costs from a frame and links to estimates, standard errors and
log-likelihood, everything included.

    python bench/ml_time.py [N]      one JSON line, measured in a fresh process after `import
    spillover`

W: 6 nearest neighbours of N uniform points, symmetrised and row-standardised; 12 regressors.
`cpu_s`: processor time of the whole, all threads; `second_cpu_s`: of another response on the same
W, the programs compiled and the log-determinant known; `peak_mb`: of the process. R's spatialreg
with its Matrix method takes 0.83 s for 25,357 house prices with 12 regressors, the Hessian
included.
"""

import json
import resource
import sys
import time

import numpy as np
import pandas as pd
from machine import machine
from matvec import neighbours

UNITS, REGRESSORS, RHO = 25_357, 12, 0.5


def main() -> None:
    """Measure once."""
    n = int(sys.argv[1]) if len(sys.argv) > 1 else UNITS
    links = neighbours(n)
    rng = np.random.default_rng(0)
    names = [f"x{j}" for j in range(REGRESSORS)]
    frame = pd.DataFrame(rng.normal(size=(n, REGRESSORS)), columns=names)
    from spillover import SAR, LogDet, Weights
    from spillover.kernels import factor

    for name in ("y", "z"):
        frame[name] = factor.factorise(links, RHO).solve(
            frame[names].sum(axis=1).to_numpy() + rng.normal(size=n)
        )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    formula = " + ".join(names)
    seconds, fits = [], []
    for response in ("y", "z"):
        start = time.process_time()
        W = Weights(links)
        fits.append(SAR(f"{response} ~ {formula}", frame, W).fit_ml())
        seconds.append(round(time.process_time() - start, 3))
    found = {
        "question": "ML of a SAR",
        "n": n,
        "cpu_s": seconds[0],
        "second_cpu_s": seconds[1],
        "rho": float(fits[0].params["rho"]),
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        json.dumps(
            {
                **found,
                "logdet": repr(LogDet.build(W)),
                "peak_mb": peak,
                "before_mb": before,
                **machine(),
            }
        )
    )


if __name__ == "__main__":
    main()
