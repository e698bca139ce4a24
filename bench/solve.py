"""How long do 16 solves with I - rho W take at n = 250,000, rho = 0.9, to a residual of 1e-8?

    python bench/solve.py        each contender in a fresh process, in turn; then the best of each

W: 6 nearest neighbours of uniform points, row-standardised, rows sorted along the map; symmetrised
for "cg", "refined" (float32 with float64 residuals), "gradient" (value and gradients in rho and b
by CG) and "superlu" (factor and solve), as it is for "bicgstab". Target for "cg": at most 1.3 CPU
seconds and 40 iterations.
"""

import tempfile
from pathlib import Path

import common
import numpy as np
import scipy.sparse as sparse
from common import measure, measure_warm, peak_mb, report

N, RHO, TOLERANCE, COLUMNS = (2_500 if common.SMALL else 250_000), 0.9, 1e-8, 16
CONTENDERS = ("cg", "refined", "gradient", "bicgstab", "superlu")
REPEATS, CALLS = (1, 1) if common.SMALL else (3, 3)


def solve_on_host(matrix: sparse.csr_array, b: np.ndarray) -> dict:
    """SuperLU: factor, then solve."""
    from spillover.kernels import factor

    factors, made = measure(lambda: factor.factorise(matrix, RHO))
    value, took = measure(lambda: factors.solve(b))
    residual = np.linalg.norm(b - value + RHO * (matrix @ value)) / np.linalg.norm(b)
    return {**took.rounded(), "factor_s": round(made.cpu_s, 3), "residual": float(residual)}


def solve_on_device(matrix: sparse.csr_array, b: np.ndarray, contender: str) -> dict:
    """An iterative solve, compiled before the clock starts."""
    import jax
    import jax.numpy as jnp

    from spillover.kernels import sparse_operator, spatial_filter

    def total(op, rho, b):
        return jnp.sum(spatial_filter.solve(op, rho, b, tolerance=TOLERANCE) ** 2)

    low = np.float32 if contender == "refined" else None
    gradient = jax.jit(jax.grad(total, argnums=(1, 2)))

    def solve(op, b):
        if contender == "gradient":
            return gradient(op, RHO, b)
        return spatial_filter.solve_info(op, RHO, b, tolerance=TOLERANCE, low=low)

    with jax.enable_x64(True):
        op, right = sparse_operator.build(matrix), jnp.asarray(b)
        _, cold = measure(lambda: jax.block_until_ready(solve(op, right)))
        info, took = measure_warm(lambda: jax.block_until_ready(solve(op, right)), CALLS)
    row = {**took.rounded(), "cold_s": round(cold.wall_s, 3)}
    if contender == "gradient":
        return row
    return {
        **row,
        "iterations": int(info.iterations),
        "residual": float(np.asarray(info.residual).max()),
    }


def child(contender: str, path: str) -> dict:
    """One contender on the stored matrix, in this process."""
    matrix = sparse.csr_array(sparse.load_npz(path))
    b = np.random.default_rng(1).normal(size=(matrix.shape[0], COLUMNS))
    if contender == "superlu":
        return {**solve_on_host(matrix, b), "peak_mb": peak_mb()}
    return {**solve_on_device(matrix, b, contender), "peak_mb": peak_mb()}


def main(_: list[str]) -> None:
    """All contenders, and the best of each."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {symmetric: Path(folder) / f"{symmetric}.npz" for symmetric in (True, False)}
        for symmetric, path in paths.items():
            matrix = common.neighbours(N, symmetric=symmetric, ordered=True)
            sparse.save_npz(path, matrix, compressed=False)
        contenders = {name: (name, paths[name != "bicgstab"]) for name in CONTENDERS}
        least = common.take_turns(__file__, contenders, REPEATS, ("wall_s", "cpu_s"))
    about = {"question": "16 solves", "n": N, "rho": RHO, "tolerance": TOLERANCE}
    report({**about, **least})


if __name__ == "__main__":
    common.run(main, child)
