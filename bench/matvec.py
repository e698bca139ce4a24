"""How long does W x take for 16 right-hand sides on the device's operator, beside SciPy's CSR?

    python bench/matvec.py        each contender in a fresh process, in turn; then the best of each

W: 6 nearest neighbours of uniform points, symmetrised, row-standardised; rows sorted along the map
(reverse Cuthill-McKee) or in random order. `wall_ms`, `cpu_ms`: one call; `loop_ms`: a call of
eight inside one program, free of the allocation of the result. Target, 10^6 rows sorted, float64:
at most 60 ms wall on two cores and no more than SciPy.
"""

import tempfile
from pathlib import Path

import common
import numpy as np
import scipy.sparse as sparse
from common import measure, measure_warm, peak_mb, report

COLUMNS = 16
CASES = (
    (10_000, "float64", "sorted"),
    (100_000, "float64", "sorted"),
    (100_000, "float32", "sorted"),
    (1_000_000, "float64", "sorted"),
    (1_000_000, "float32", "sorted"),
    (1_000_000, "float64", "random"),
)
CONTENDERS = ("operator", "transpose", "scipy")
REPEATS, CALLS, LOOP = (1 if common.SMALL else 3), 7, 8
KEYS = ("wall_ms", "loop_ms")


def milliseconds(function) -> tuple[float, float]:
    """Least wall and least CPU milliseconds of a call."""
    _, took = measure_warm(function, CALLS)
    return round(1e3 * took.wall_s, 3), round(1e3 * took.cpu_s, 3)


def time_on_host(matrix: sparse.csr_array, x: np.ndarray) -> dict:
    """SciPy."""
    wall, cpu = milliseconds(lambda: matrix @ x)
    return {"wall_ms": wall, "cpu_ms": cpu, "loop_ms": wall}


def time_on_device(matrix: sparse.csr_array, x: np.ndarray, contender: str) -> dict:
    """The operator, alone and in a loop."""
    import jax
    import jax.numpy as jnp

    from spillover.kernels import sparse_operator

    product = sparse_operator.apply if contender == "operator" else sparse_operator.apply_transpose
    with jax.enable_x64(True):
        op, built = measure(
            lambda: jax.block_until_ready(sparse_operator.build(matrix, x.dtype.type))
        )
        right = jnp.asarray(x)
        loop = jax.jit(lambda op, x: jax.lax.fori_loop(0, LOOP, lambda _, v: product(op, v), x))
        wall, cpu = milliseconds(lambda: product(op, right).block_until_ready())
        whole, _ = milliseconds(lambda: loop(op, right).block_until_ready())
    took = {"wall_ms": wall, "cpu_ms": cpu, "loop_ms": round(whole / LOOP, 3)}
    return {**took, "build_s": round(built.wall_s, 3)}


def child(contender: str, path: str, dtype: str) -> dict:
    """One contender on the stored matrix, in this process."""
    matrix = sparse.csr_array(sparse.load_npz(path)).astype(dtype)
    x = np.random.default_rng(1).normal(size=(matrix.shape[0], COLUMNS)).astype(dtype)
    row = time_on_host(matrix, x) if contender == "scipy" else time_on_device(matrix, x, contender)
    return {"n": matrix.shape[0], "dtype": dtype, **row, "peak_mb": peak_mb()}


def main(_: list[str]) -> None:
    """Every contender in every case, then the best of each and the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        for n, dtype, order in CASES[:1] if common.SMALL else CASES:
            path = Path(folder) / f"{n}-{order}.npz"
            if not path.exists():
                matrix = common.neighbours(n, symmetric=True, ordered=order == "sorted")
                sparse.save_npz(path, matrix, compressed=False)
            contenders = {name: (name, path, dtype) for name in CONTENDERS}
            least = common.take_turns(__file__, contenders, REPEATS, KEYS)
            ratio = {
                f"{key}_ratio": round(least["operator"][key] / least["scipy"][key], 3)
                for key in KEYS
            }
            about = {"question": "operator over scipy", "n": n, "dtype": dtype, "order": order}
            report({**about, **least, **ratio})


if __name__ == "__main__":
    common.run(main, child)
