"""Are posteriors calibrated, in every model under every kind of effects?

    python bench/calibration.py [MODELS] [EFFECTS]

Simulation-based calibration (Talts et al. 2018, arXiv:1804.06788): parameters from a proper prior
that does not look at the data, data of 20 units (a cross-section for "none", else three periods)
from the parameters, a row-standardised asymmetric W. The rank of every parameter among independent
draws of its posterior is then uniform, whatever the sample's size. COUNT data sets with exact
draws; for random effects CHAINS data sets, with draws of NUTS thinned to every fifth.

`p`: chi-square p-values of the ranks, the smallest of a vector's columns; `tests`: how many columns
there were. The last record has the smallest p and the number of tests in all: it is to be above
0.001 over that number.
"""

import itertools
import warnings

import common
from common import measure, report
from rank_calibration import p_values, ranks

MODELS = ("OLS", "SLX", "SAR", "SEM", "SDM", "SDEM", "SAC", "GNS")
EFFECTS = ("none", "unit", "period", "twoway", "random", "correlated_random")
COUNT, DRAWS = (20, 99) if common.SMALL else (1000, 999)
CHAINS, KEPT = (2, 19) if common.SMALL else (100, 99)


def main(words: list[str]) -> None:
    """Every model and kind of effects asked for."""
    warnings.simplefilter("ignore")  # of short chains: ranks tell more
    models, kinds = common.choose(words, MODELS, EFFECTS)
    smallest, tests = 1.0, 0
    for name, effects in itertools.product(models, kinds):
        count, draws = (CHAINS, KEPT) if "random" in effects else (COUNT, DRAWS)
        values, took = measure(
            lambda name=name, effects=effects, count=count, draws=draws: ranks(
                name, effects, count, draws, seed=1
            )
        )
        p = p_values(values, draws)
        columns = sum(one.shape[1] for one in values.values())
        smallest, tests = min(smallest, *p.values()), tests + columns
        row = {"model": name, "effects": effects, "data_sets": count, "tests": columns}
        p = {key: round(value, 5) for key, value in p.items()}
        report({**row, "p": p, **took.rounded(2)})
    report({"smallest_p": smallest, "tests": tests})


if __name__ == "__main__":
    common.run(main)
