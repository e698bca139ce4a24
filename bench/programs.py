"""How many memory maps and how much memory does one process use over fits of different shapes?

    python bench/programs.py [FITS] [SHARE]

Maximum likelihood of SAR, each fit with one unit and one regressor more than the one before, so
that every fit compiles. SHARE: of the memory maps allowed, that from which compiled programs are
let go; 1 never does. `maps`: in use after the fit; `resident_mb`: memory of the process.
"""

import common
from common import measure, report, resident_mb

import spillover as so
from spillover.engine import programs

FITS, UNITS = (3 if common.SMALL else 300), 400


def main(words: list[str]) -> None:
    """A record a fit."""
    fits = int(words[0]) if words else FITS
    programs.SHARE = float(words[1]) if len(words) > 1 else programs.SHARE
    for i in range(fits):
        matrix, design = common.ring(UNITS + i), common.Design(k=1 + i)
        fit, took = measure(lambda m=matrix, d=design: common.model("SAR", m, d).fit_ml())
        assert isinstance(fit, so.MLFit)
        row = {"fits": i + 1, "share": programs.SHARE, "maps": programs.count_maps()}
        report({**row, "resident_mb": round(resident_mb()), **took.rounded(2)})


if __name__ == "__main__":
    common.run(main)
