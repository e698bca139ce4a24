"""How long W x takes for 16 right-hand sides on the device's operator, beside SciPy's CSR on the
same matrix.

    python bench/matvec.py        one JSON line a contender, each in a fresh process; then the ratio
    of the best of each

W: 6 nearest neighbours of uniform points, symmetrised, row-standardised; rows sorted along the map
(reverse Cuthill-McKee) or in random order. `wall_ms`, `cpu_ms`: one call; `loop_ms`: a call of
eight inside one program, free of the allocation of the result. Target, 10^6 rows sorted, float64:
at most 60 ms wall on two cores and no more than SciPy.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sparse
import scipy.sparse.csgraph as csgraph
from scipy.spatial import cKDTree

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
REPEATS = 3


def neighbours(
    n: int, k: int = 6, *, symmetric: bool = True, ordered: bool = True
) -> sparse.csr_array:
    """Row-standardised k nearest neighbours of n uniform points."""
    points = np.random.default_rng(0).uniform(size=(n, 2))
    near = cKDTree(points).query(points, k + 1)[1][:, 1:]
    links = sparse.csr_array(
        (np.ones(n * k), (np.repeat(np.arange(n), k), near.ravel())), shape=(n, n)
    )
    links = links.maximum(links.T).tocsr() if symmetric else links
    if ordered:
        order = csgraph.reverse_cuthill_mckee(links)
        links = links[order][:, order]
    matrix = sparse.csr_array(sparse.diags_array(1 / links.sum(axis=1)) @ links)
    matrix.sort_indices()
    return matrix


def peak_mb() -> int:
    """Largest resident set of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def best(function, repeats: int = 7) -> tuple[float, float]:
    """Least wall and least CPU milliseconds of a call, after one to warm up."""
    function()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        function()
        seconds.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    wall, cpu = np.min(seconds, axis=0) * 1e3
    return round(float(wall), 3), round(float(cpu), 3)


def on_host(matrix: sparse.csr_array, dtype: str) -> dict:
    """SciPy."""
    x = np.random.default_rng(1).normal(size=(matrix.shape[0], COLUMNS)).astype(dtype)
    matrix = matrix.astype(dtype)
    wall, cpu = best(lambda: matrix @ x)
    return {"wall_ms": wall, "cpu_ms": cpu, "loop_ms": wall}


def on_device(matrix: sparse.csr_array, dtype: str, contender: str) -> dict:
    """The operator, alone and in a loop."""
    import jax
    import jax.numpy as jnp

    from spillover.kernels import sparse_operator

    product = sparse_operator.apply if contender == "operator" else sparse_operator.apply_transpose
    with jax.enable_x64(True):
        start = time.perf_counter()
        op = jax.block_until_ready(sparse_operator.build(matrix, np.dtype(dtype).type))
        build = time.perf_counter() - start
        x = jnp.asarray(
            np.random.default_rng(1).normal(size=(matrix.shape[0], COLUMNS)).astype(dtype)
        )
        loop = jax.jit(lambda op, x: jax.lax.fori_loop(0, 8, lambda _, v: product(op, v), x))
        wall, cpu = best(lambda: product(op, x).block_until_ready())
        in_loop = best(lambda: loop(op, x).block_until_ready())[0] / 8
    return {
        "wall_ms": wall,
        "cpu_ms": cpu,
        "loop_ms": round(in_loop, 3),
        "build_s": round(build, 3),
    }


def measure(contender: str, path: str, dtype: str) -> dict:
    """One contender on the stored matrix, in this process."""
    matrix = sparse.csr_array(sparse.load_npz(path))
    found = on_host(matrix, dtype) if contender == "scipy" else on_device(matrix, dtype, contender)
    return {**found, "peak_mb": peak_mb()}


def run(*arguments: str) -> dict:
    """The last line of this script in a fresh process, read as JSON."""
    done = subprocess.run(
        [sys.executable, __file__, *arguments], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


def case(n: int, dtype: str, order: str, path: str) -> None:
    """Every contender in turn, then the best of each and the ratios."""
    rows = []
    for _ in range(REPEATS):
        for contender in CONTENDERS:
            rows.append(
                {
                    "n": n,
                    "dtype": dtype,
                    "order": order,
                    "contender": contender,
                    **run(contender, path, dtype),
                }
            )
            print(json.dumps(rows[-1]), flush=True)
    least = {
        key: {
            name: min(row[key] for row in rows if row["contender"] == name) for name in CONTENDERS
        }
        for key in ("wall_ms", "loop_ms")
    }
    ratio = {
        f"{key}_ratio": round(value["operator"] / value["scipy"], 3) for key, value in least.items()
    }
    print(
        json.dumps(
            {
                "question": "operator over scipy",
                "n": n,
                "dtype": dtype,
                "order": order,
                **least,
                **ratio,
            }
        ),
        flush=True,
    )


def main() -> None:
    """All cases, or one contender of one of them."""
    from machine import machine

    if len(sys.argv) > 1:
        print(json.dumps(measure(*sys.argv[1:])))
        return
    with tempfile.TemporaryDirectory() as folder:
        for n, dtype, order in CASES:
            path = Path(folder) / f"{n}-{order}.npz"
            if not path.exists():
                sparse.save_npz(path, neighbours(n, ordered=order == "sorted"), compressed=False)
            case(n, dtype, order, str(path))
    print(json.dumps({"machine": machine()}))


if __name__ == "__main__":
    main()
