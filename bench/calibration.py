"""Whether posteriors are calibrated: simulation-based calibration of every model under every kind
of effects.

    python bench/calibration.py                  a JSON line a model and kind of effects
    python bench/calibration.py SDM random       these models or effects only

Parameters from a proper prior that does not look at the data, data of 20 units (a cross-section for
"none", else three periods) from the parameters, a row-standardised asymmetric W: then the rank of
every parameter among independent draws of its posterior is uniform, whatever the sample's size.
Talts et al. (2018), arXiv:1804.06788. COUNT data sets with exact draws; for random effects CHAINS
data sets, with draws of NUTS thinned to every fifth. `p`: chi-square p-values of the ranks, the
smallest of a vector's columns; `tests`: how many columns there were. The last line has the smallest
p and the number of tests in all: it is to be above 0.001 over that number.
"""

import itertools
import json
import os
import sys
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

MODELS = ("OLS", "SLX", "SAR", "SEM", "SDM", "SDEM", "SAC", "GNS")
EFFECTS = ("none", "unit", "period", "twoway", "random", "correlated_random")
COUNT, DRAWS = 1000, 999
CHAINS, KEPT = 100, 99


def main() -> None:
    """Every model and kind of effects asked for."""
    from machine import machine
    from rank_calibration import p_values, ranks

    warnings.simplefilter("ignore")  # of short chains: ranks tell more
    words = set(sys.argv[1:])
    chosen = [
        [name for name in names if name in words] or list(names) for names in (MODELS, EFFECTS)
    ]
    smallest, tests = 1.0, 0
    for name, effects in itertools.product(*chosen):
        cpu, wall = time.process_time(), time.perf_counter()
        count, draws = (CHAINS, KEPT) if "random" in effects else (COUNT, DRAWS)
        found = ranks(name, effects, count, draws, seed=1)
        p = p_values(found, draws)
        columns = sum(values.shape[1] for values in found.values())
        smallest, tests = min(smallest, *p.values()), tests + columns
        row = {
            "model": name,
            "effects": effects,
            "data_sets": count,
            "p": {key: round(value, 5) for key, value in p.items()},
            "tests": columns,
        }
        took = {
            "cpu_s": round(time.process_time() - cpu, 2),
            "wall_s": round(time.perf_counter() - wall, 2),
        }
        print(json.dumps(row | took), flush=True)
    print(
        json.dumps(
            {"smallest_p": smallest, "tests": tests, "load": os.getloadavg(), "machine": machine()}
        )
    )


if __name__ == "__main__":
    main()
