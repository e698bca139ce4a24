"""What log|I - rho W| costs to prepare, and how far off the series is.

    python bench/logdet_build.py                    all graphs of 2,500, 25,000 and 250,000 units
    python bench/logdet_build.py 25000 1000000      these sizes; a name (rook, queen, knn,
    knn_symmetric, inverse_distance) selects graphs python bench/logdet_build.py --default 25000
    the default interval in place of (-0.99, 0.99) python bench/logdet_build.py --threads=1 1000000
    python bench/logdet_build.py --method=stochastic --most=16 1000000     random probes, at most 16
    of them python bench/logdet_build.py --method=local 1000000                    16 probes, then
    exact at 0.8 +- 10 standard deviations

One JSON line a (graph, n), each built in a fresh process: processor seconds by phase, nodes, the
error at random rho against fresh factorisations that pivot, the peak memory and what the process
held before. `factor_s` is one plain factorisation in that process: `factors` over `nodes` times it
tells a slow machine from a slow builder. Random probes: `shift` is what is told for |rho| <= 0.9;
at rho = 0.5 and 0.9 the shift of a posterior mode, in its standard deviations, and the error of l,
each as told and as it is (up to 10^6 units, by fresh factorisations).
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
from scipy.spatial import cKDTree

INTERVAL = (-0.99, 0.99)
CHECKS = 8


def row_standardised(links):
    """Rows divided by their sums."""
    links = sparse.csr_array(links)
    return sparse.csr_array(sparse.diags_array(1 / links.sum(axis=1)) @ links)


def lattice(n, *, queen):
    """A square lattice of about n units."""
    side = round(n**0.5)
    path = sparse.diags_array([np.ones(side - 1)] * 2, offsets=[-1, 1], shape=(side, side))
    links = sparse.kron(path, sparse.eye_array(side)) + sparse.kron(sparse.eye_array(side), path)
    return row_standardised(links + sparse.kron(path, path) if queen else links)


def nearest(n, k, *, symmetric=False, by_distance=False):
    """The k nearest of n uniform points in the unit square."""
    points = np.random.default_rng(0).uniform(size=(n, 2))
    distance, neighbour = cKDTree(points).query(points, k + 1)
    values = 1 / distance[:, 1:].ravel() if by_distance else np.ones(n * k)
    links = sparse.csr_array(
        (values, (np.repeat(np.arange(n), k), neighbour[:, 1:].ravel())), shape=(n, n)
    )
    return row_standardised(links.maximum(links.T) if symmetric else links)


GRAPHS = {
    "rook": lambda n: lattice(n, queen=False),
    "queen": lambda n: lattice(n, queen=True),
    "knn_symmetric": lambda n: nearest(n, 6, symmetric=True),
    "knn": lambda n: nearest(n, 6),
    "inverse_distance": lambda n: nearest(n, 10, by_distance=True),
}


def resident_mb():
    """The memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def measure(path, method, options):
    """One build in this process, then its checks, which do not count."""
    matrix = sparse.load_npz(path)
    BUILDERS[method](lattice(400, queen=False), options)  # what the first call loads
    before, cpu, wall = resident_mb(), time.process_time(), time.perf_counter()
    result = BUILDERS[method](matrix, options)
    row = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
    row |= {
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
        "before_mb": before,
    }
    row |= {
        "seconds": result.seconds,
        "coefficients": len(result.coef),
        "claimed": result.error,
        "how": result.how,
    }
    if method == "stochastic":
        return (
            row
            | {
                "probes": result.probes,
                "shift": result.shift,
                "traces": len(result.expansion.moments),
            }
            | compared(matrix, result)
        )
    return row | {"nodes": result.nodes, "nnz": result.nnz} | checked(matrix, result)


def by_nodes(matrix, options):
    """Exact nodes over the whole interval."""
    from spillover.kernels import sparse_logdet

    return sparse_logdet.sparse_logdet(
        matrix, interval=options["interval"], threads=options["threads"]
    )


def by_probes(matrix, options):
    """Random probes, within the reach of the method."""
    from spillover.kernels import stochastic_logdet

    return stochastic_logdet.stochastic_logdet(
        matrix, target=options["target"], most=options["most"]
    )


def by_window(matrix, options):
    """16 probes, then exact about 0.8."""
    from spillover.kernels import local_logdet, stochastic_logdet

    start = time.process_time()
    structure = stochastic_logdet.prepare(matrix)
    prepared = time.process_time() - start
    pilot = stochastic_logdet.stochastic_logdet(structure, most=16)
    sd = float(stochastic_logdet.deviation(pilot.expansion, np.array([0.8]))[0])
    result = local_logdet.refine(structure, pilot, 0.8, sd)
    return result._replace(
        seconds={f"pilot {phase}": taken for phase, taken in pilot.seconds.items()}
        | result.seconds
        | {"structure": prepared}
    )


BUILDERS = {"nodes": by_nodes, "stochastic": by_probes, "local": by_window}


def compared(matrix, result):
    """The error of l and the shift of a mode at 0.5 and 0.9: told, and against factorisations."""
    from spillover.kernels import factor, stochastic_logdet

    row = {}
    evaluate = factor.superlu(factor.pencil(matrix)) if matrix.shape[0] <= 1_100_000 else None
    for rho in (0.5, 0.9):
        at, half = (
            np.array([rho]),
            0.5 * float(stochastic_logdet.deviation(result.expansion, np.array([rho]))[0]),
        )
        told = {
            "shift_told": stochastic_logdet.mode_shift(result.expansion, at),
            "se": stochastic_logdet.standard_errors(result.expansion, at)[0],
        }
        row |= {f"{name}_{rho}": float(found[0]) for name, found in told.items()}
        if evaluate:
            off = [
                float(stochastic_logdet.value(result.expansion, np.array([one]))[0])
                - evaluate(one).log
                for one in (rho - half, rho + half)
            ]
            # (difference / sd) times sd
            row |= {
                f"error_{rho}": np.mean(off),
                f"shift_{rho}": off[1] - off[0],
            }
    return row


def checked(matrix, result):
    """The largest error at random rho of the covered range, and what one factorisation takes."""
    from spillover.kernels import factor, logit

    prepared = factor.pencil(matrix)._replace(reach=0.0)  # pivots everywhere
    worst, seconds = 0.0, []
    ends = (
        logit.to_s(np.array(result.window), result.bounds)
        if hasattr(result, "window")
        else result.ends
    )
    for s in np.random.default_rng(1).uniform(*ends, CHECKS if matrix.shape[0] < 500_000 else 3):
        start = time.process_time()
        value = factor.superlu(prepared)(float(logit.to_rho(s, result.bounds))).log
        seconds.append(time.process_time() - start)
        t = (2 * s - sum(result.ends)) / (result.ends[1] - result.ends[0])
        worst = max(worst, abs(value - float(np.polynomial.chebyshev.chebval(t, result.coef))))
    return {"error": worst, "factor_s": min(seconds)}


def main():
    """Every graph and size asked for."""
    from machine import machine

    words = sys.argv[1:]
    if words[:1] == ["--child"]:
        print(json.dumps(measure(words[1], words[2], json.loads(words[3]))))
        return
    sizes = [int(word) for word in words if word.isdigit()] or [2_500, 25_000, 250_000]
    given = dict(word[2:].split("=") for word in words if "=" in word)
    method = given.get("method", "nodes")
    options = {
        "interval": None if "--default" in words else INTERVAL,
        "threads": int(given.get("threads", 2)),
    }
    options |= {"target": float(given.get("target", 0.02)), "most": int(given.get("most", 128))}
    with tempfile.TemporaryDirectory() as folder:
        for n in sizes:
            for name in [word for word in words if word in GRAPHS] or GRAPHS:
                path = str(Path(folder) / "w.npz")
                sparse.save_npz(path, GRAPHS[name](n), compressed=False)
                command = [sys.executable, __file__, "--child", path, method, json.dumps(options)]
                out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                print(
                    json.dumps(
                        {"graph": name, "n": n, "method": method}
                        | json.loads(out.strip().splitlines()[-1])
                    ),
                    flush=True,
                )
    print(json.dumps({"method": method, **options, "machine": machine()}))


if __name__ == "__main__":
    main()
