"""How long 16 solves with I - rho W take at n = 250,000, rho = 0.9, to a residual of 1e-8.

    python bench/solve.py        one JSON line a contender, each in a fresh process; then the best
    of each

W: 6 nearest neighbours of uniform points, row-standardised, rows sorted along the map; symmetrised
for "cg", "refined" (float32 with float64 residuals), "gradient" (value and gradients in rho and b
by CG) and "superlu" (factor and solve), as it is for "bicgstab". Target for "cg": at most 1.3 CPU
seconds and 40 iterations.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sparse

N, RHO, TOLERANCE, COLUMNS = 250_000, 0.9, 1e-8, 16
CONTENDERS = ("cg", "refined", "gradient", "bicgstab", "superlu")
REPEATS = 3


def timed(function) -> tuple[object, dict]:
    """The result, with wall and CPU seconds."""
    start = time.perf_counter(), time.process_time()
    result = function()
    return result, {
        "wall_s": round(time.perf_counter() - start[0], 3),
        "cpu_s": round(time.process_time() - start[1], 3),
    }


def on_host(matrix: sparse.csr_array, b: np.ndarray) -> dict:
    """SuperLU: factor, then solve."""
    from spillover.kernels import factor

    found, made = timed(lambda: factor.factorise(matrix, RHO))
    value, seconds = timed(lambda: found.solve(b))
    residual = np.linalg.norm(b - value + RHO * (matrix @ value)) / np.linalg.norm(b)
    return {**seconds, "factor_s": made["cpu_s"], "residual": float(residual)}


def on_device(matrix: sparse.csr_array, b: np.ndarray, contender: str) -> dict:
    """An iterative solve, compiled before the clock starts."""
    import jax
    import jax.numpy as jnp

    from spillover.kernels import sparse_operator
    from spillover.kernels import spatial_filter as filters

    def gradient(op, rho, b):
        return jax.grad(
            lambda rho, b: jnp.sum(filters.solve(op, rho, b, tolerance=TOLERANCE) ** 2),
            argnums=(0, 1),
        )(rho, b)

    low = np.float32 if contender == "refined" else None
    solve = (
        jax.jit(gradient)
        if contender == "gradient"
        else lambda *a: filters.solve_info(*a, tolerance=TOLERANCE, low=low)
    )
    with jax.enable_x64(True):
        op, right = sparse_operator.build(matrix), jnp.asarray(b)
        _, cold = timed(lambda: jax.block_until_ready(solve(op, RHO, right)))
        runs = [timed(lambda: jax.block_until_ready(solve(op, RHO, right))) for _ in range(3)]
    found = {key: min(seconds[key] for _, seconds in runs) for key in ("wall_s", "cpu_s")}
    if contender != "gradient":
        found |= {
            "iterations": int(runs[0][0].iterations),
            "residual": float(runs[0][0].residual.max()),
        }
    return {**found, "cold_s": cold["wall_s"]}


def measure(contender: str, path: str) -> dict:
    """One contender on the stored matrix, in this process."""
    from matvec import peak_mb

    matrix = sparse.csr_array(sparse.load_npz(path))
    b = np.random.default_rng(1).normal(size=(matrix.shape[0], COLUMNS))
    found = on_host(matrix, b) if contender == "superlu" else on_device(matrix, b, contender)
    return {"contender": contender, **found, "peak_mb": peak_mb()}


def main() -> None:
    """All contenders, interleaved, and the best of each."""
    from machine import machine
    from matvec import neighbours

    if len(sys.argv) > 1:
        print(json.dumps(measure(*sys.argv[1:])))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        paths = {symmetric: str(Path(folder) / f"{symmetric}.npz") for symmetric in (True, False)}
        for symmetric, path in paths.items():
            sparse.save_npz(path, neighbours(N, symmetric=symmetric), compressed=False)
        for _ in range(REPEATS):
            for contender in CONTENDERS:
                command = [sys.executable, __file__, contender, paths[contender != "bicgstab"]]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                rows.append(json.loads(done.stdout.strip().splitlines()[-1]))
                print(json.dumps(rows[-1]), flush=True)
    best = {
        name: {
            key: min(row[key] for row in rows if row["contender"] == name)
            for key in ("wall_s", "cpu_s")
        }
        for name in CONTENDERS
    }
    print(
        json.dumps(
            {
                "question": "16 solves",
                "n": N,
                "rho": RHO,
                "tolerance": TOLERANCE,
                **best,
                "machine": machine(),
            }
        )
    )


if __name__ == "__main__":
    main()
