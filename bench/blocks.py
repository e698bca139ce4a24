"""How much time and memory does it take to read a large panel from Parquet and reduce it to R?

    python bench/blocks.py [UNITS]

10^6 units x 10 periods x 10 regressors, SAR and SDM, each in a fresh process. W: 6 nearest
neighbours of uniform points, row-standardised, sorted along the map; rows of a period in random
order; two-way effects. `read`: from the file to a checked model, which means one R of the
regressors; `factor`: R of the whole lag basis; `peak_mb`: the process, JAX and W included.
Target: 6 GB.
"""

import tempfile
from pathlib import Path

import common
import numpy as np
import scipy.sparse as sparse
from common import measure, peak_mb, report

UNITS, PERIODS, REGRESSORS = (2_000 if common.SMALL else 1_000_000), 10, 10
MODELS = ("SAR", "SDM")
LIMIT_MB = 6 * 1024
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}


def write(folder: str, units: str) -> int:
    """Write W and a panel, y = 0.4 W m + m + e with m = X b + effects, and return its megabytes.

    What is in the panel does not matter to the cost.
    """
    import pyarrow
    import pyarrow.parquet

    n = int(units)
    matrix = common.neighbours(n, ordered=True)
    sparse.save_npz(f"{folder}/weights.npz", matrix, compressed=False)
    rng = np.random.default_rng(0)
    level, names = rng.normal(size=n), [f"x{j}" for j in range(1, REGRESSORS + 1)]
    numbers = [(name, pyarrow.float64()) for name in ["y", *names]]
    schema = pyarrow.schema([("unit", pyarrow.int64()), ("year", pyarrow.int64()), *numbers])
    with pyarrow.parquet.ParquetWriter(f"{folder}/panel.parquet", schema) as writer:
        for year in rng.permutation(PERIODS):
            x = rng.normal(size=(n, REGRESSORS)) + level[:, None]
            mean = x.sum(axis=1) + level + year + rng.normal(size=n)
            order = rng.permutation(n)
            y = (mean + 0.4 * (matrix @ mean))[order]
            columns = [order, np.full(n, year), y, *x[order].T]
            rows = pyarrow.table(dict(zip(schema.names, columns, strict=True)))
            writer.write_table(rows, row_group_size=250_000)
    return round((Path(folder) / "panel.parquet").stat().st_size / 2**20)


def read(folder: str, name: str) -> dict:
    """Read and reduce, in this process."""
    import samplers

    import spillover as so

    options = {"effects": "twoway", "unit": "unit", "period": "year"}
    weights, loaded = measure(lambda: so.Weights(sparse.load_npz(f"{folder}/weights.npz")))
    before, build = peak_mb(), getattr(so, name)
    formula, path = common.formula(REGRESSORS), f"{folder}/panel.parquet"
    model, opened = measure(lambda: build(formula, path, weights, **options))
    after = peak_mb()
    (factor, parts), reduced = measure(lambda: samplers.factorize(model))
    assert factor.shape == (len(parts), len(parts))
    memory = {"weights_mb": before, "read_mb": after, "peak_mb": peak_mb()}
    took = {"weights": loaded.rounded(), "read": opened.rounded(), "factor": reduced.rounded()}
    return {"model": name, **took, **memory}


def child(task: str, folder: str, word: str) -> dict | int:
    """One of the two tasks."""
    return write(folder, word) if task == "write" else read(folder, word)


def main(words: list[str]) -> None:
    """Both models, one after the other."""
    units = int(words[0]) if words else UNITS
    environment = common.environment_without("OPENBLAS", **ONE_THREAD)
    about = {"units": units, "periods": PERIODS, "regressors": REGRESSORS}
    with tempfile.TemporaryDirectory() as folder:
        size = common.ask_child(__file__, "write", folder, units, environment=environment)
        for name in MODELS:
            row = common.ask_child(__file__, "read", folder, name, environment=environment)
            within = row["peak_mb"] <= LIMIT_MB
            report({**about, "file_mb": size, **row, "within_limit": within})


if __name__ == "__main__":
    common.run(main, child)
