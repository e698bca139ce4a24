"""Memory maps and memory of one process over fits of different shapes: python bench/programs.py
[fits] [share] > programs.jsonl.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

import spillover as so
from spillover.engine import programs


def resident() -> int:
    """Bytes of this process in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def main(fits: int, share: float) -> None:
    """`share`: of the maps allowed from which programs are let go; 1 never does."""
    programs.SHARE = share
    rng, start = np.random.default_rng(0), time.perf_counter()
    for i in range(fits):
        n, k = 400 + i, 1 + i
        ring = np.roll(np.eye(n), 1, axis=1)
        frame = pd.DataFrame(
            rng.standard_normal((n, k)), columns=[f"x{j}" for j in range(k)]
        ).assign(y=rng.standard_normal(n))
        so.SAR(
            "y ~ " + " + ".join(frame.columns[:k]),
            frame,
            so.Weights(ring + ring.T).row_standardize(),
        ).fit_ml()
        row = {"fits": i + 1, "share": share, "maps": programs.count_maps(), "resident": resident()}
        print(json.dumps({**row, "seconds": round(time.perf_counter() - start, 1)}), flush=True)


if __name__ == "__main__":
    main(
        int(sys.argv[1]) if len(sys.argv) > 1 else 300,
        float(sys.argv[2]) if len(sys.argv) > 2 else programs.SHARE,
    )
