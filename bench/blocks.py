"""What it costs to read 10^6 units x 10 periods x 10 regressors from Parquet and reduce them to R,
in seconds and in memory.

    python bench/blocks.py            one JSON line a model, each in a fresh process; then both,
    with the machine python bench/blocks.py 100000     the same with fewer units

W: 6 nearest neighbours of uniform points, row-standardised, sorted along the map; rows of a period
in random order; two-way effects. `read`: from the file to a checked model, which means one R of the
regressors; `factor`: R of the whole lag basis. `peak_mb`: the process, JAX and W included. Target:
6 GB.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import scipy.sparse as sparse

UNITS, PERIODS, REGRESSORS = 1_000_000, 10, 10
MODELS = ("SAR", "SDM")
LIMIT_MB = 6 * 1024


def write(folder: str, units: int) -> None:
    """W and a panel y = 0.4 W y_0 + X b + effects + e, y_0 without the lag: what is in it does not
    matter to the cost.
    """
    import pyarrow
    import pyarrow.parquet
    from matvec import neighbours

    matrix = neighbours(units, symmetric=False)
    sparse.save_npz(f"{folder}/weights.npz", matrix, compressed=False)
    rng = np.random.default_rng(0)
    level, names = rng.normal(size=units), [f"x{j}" for j in range(REGRESSORS)]
    fields = [
        ("unit", pyarrow.int64()),
        ("year", pyarrow.int64()),
        *((name, pyarrow.float64()) for name in ["y", *names]),
    ]
    with pyarrow.parquet.ParquetWriter(f"{folder}/panel.parquet", pyarrow.schema(fields)) as writer:
        for year in rng.permutation(PERIODS):
            x = rng.normal(size=(units, REGRESSORS)) + level[:, None]
            plain = x.sum(axis=1) + level + year + rng.normal(size=units)
            order = rng.permutation(units)
            columns = [
                order,
                np.full(units, year),
                (plain + 0.4 * (matrix @ plain))[order],
                *x[order].T,
            ]
            writer.write_table(
                pyarrow.table(dict(zip([name for name, _ in fields], columns, strict=True))),
                row_group_size=250_000,
            )


def measure(folder: str, name: str) -> dict:
    """Read and reduce, in this process."""
    from matvec import peak_mb
    from solve import timed

    import spillover as so

    formula = "y ~ " + " + ".join(f"x{j}" for j in range(REGRESSORS))
    options = {"effects": "twoway", "unit": "unit", "period": "year"}
    weights, loaded = timed(lambda: so.Weights(sparse.load_npz(f"{folder}/weights.npz")))
    before = peak_mb()
    model, read = timed(
        lambda: getattr(so, name)(formula, f"{folder}/panel.parquet", weights, **options)
    )
    after_read = peak_mb()
    (factor, parts), reduced = timed(lambda: model.problem.factor)
    assert factor.shape == (len(parts), len(parts))
    memory = {"weights_mb": before, "read_mb": after_read, "peak_mb": peak_mb()}
    return {"model": name, "weights": loaded, "read": read, "factor": reduced, **memory}


def main() -> None:
    """Both models, one after the other."""
    from machine import machine

    if len(sys.argv) == 3:
        command, folder = sys.argv[1:]
        if command not in MODELS:
            write(folder, int(command))
            return
        print(json.dumps(measure(folder, command)))
        return
    units = int(sys.argv[1]) if len(sys.argv) > 1 else UNITS
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for command in (str(units), *MODELS):
            run = [sys.executable, __file__, command, folder]
            done = subprocess.run(
                run,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            )
            if command in MODELS:
                rows.append(json.loads(done.stdout.strip().splitlines()[-1]))
                print(json.dumps(rows[-1]), flush=True)
        size = round((Path(folder) / "panel.parquet").stat().st_size / 2**20)
    peak = max(row["peak_mb"] for row in rows)
    about = {"units": units, "periods": PERIODS, "regressors": REGRESSORS, "file_mb": size}
    verdict = {"peak_mb": peak, "within_limit": peak <= LIMIT_MB}
    print(
        json.dumps(
            {"question": "reading and R of a large panel", **about, **verdict, "machine": machine()}
        )
    )


if __name__ == "__main__":
    main()
