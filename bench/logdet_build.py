"""What does log|I - rho W| cost to prepare, and how far off is the series?

    python bench/logdet_build.py [GRAPHS] [SIZES] [--method=nodes] [--threads=2] [--most=128]
                                 [--default]

Each graph and size in a fresh process. method: "nodes", exact nodes over the whole interval;
"stochastic", at most so many random probes; "local", 16 probes, then exact about rho = 0.8 +- 10
standard deviations. default: the default interval in place of (-0.99, 0.99).

    python bench/logdet_build.py 25000 1000000 rook
    python bench/logdet_build.py --method=stochastic --most=16 1000000

`build`: seconds in all; `seconds`: processor seconds by phase; `nodes`; `error` at random rho
against fresh factorisations that pivot; the peak memory and what the process held before.
`factor_s` is one plain factorisation in that process: `factors` over `nodes` times it tells a slow
machine from a slow builder. Random probes: at rho = 0.5 and 0.9 the shift of a posterior mode, in
its standard deviations, and the error of l, each as told and as it is (up to 10^6 units).
"""

import tempfile
from pathlib import Path

import common
import numpy as np
import scipy.sparse as sparse
from common import measure, peak_mb, report, resident_mb

GRAPHS = {
    "rook": lambda n: common.lattice(n),
    "queen": lambda n: common.lattice(n, queen=True),
    "knn_symmetric": lambda n: common.neighbours(n, symmetric=True),
    "knn": lambda n: common.neighbours(n),
    "inverse_distance": lambda n: common.neighbours(n, 10, by_distance=True),
}
SIZES = (400,) if common.SMALL else (2_500, 25_000, 250_000)
INTERVAL, RHO = (-0.99, 0.99), (0.5, 0.9)
CHECKS, FEWER, MANY = 8, 3, 500_000
LARGEST = 1_100_000  # that is factorised to compare with


def build_nodes(matrix, options: dict):
    """Exact nodes over the whole interval."""
    from spillover.kernels import sparse_logdet

    interval = None if options["default"] else INTERVAL
    return sparse_logdet.sparse_logdet(matrix, interval=interval, threads=options["threads"])


def build_probes(matrix, options: dict):
    """Random probes, within the reach of the method."""
    from spillover.kernels import stochastic_logdet

    return stochastic_logdet.stochastic_logdet(matrix, target=0.02, most=options["most"])


def build_window(matrix, options: dict):
    """16 probes, then exact about 0.8."""
    from spillover.kernels import local_logdet, stochastic_logdet

    structure, prepared = measure(lambda: stochastic_logdet.prepare(matrix))
    pilot = stochastic_logdet.stochastic_logdet(structure, most=16)
    sd = float(stochastic_logdet.deviation(pilot.expansion, np.array([0.8]))[0])
    result = local_logdet.refine(structure, pilot, 0.8, sd)
    seconds = {f"pilot {phase}": taken for phase, taken in pilot.seconds.items()}
    seconds |= result.seconds | {"structure": prepared.cpu_s}
    return result._replace(seconds=seconds)


METHODS = {"nodes": build_nodes, "stochastic": build_probes, "local": build_window}


def compare_probes(matrix, result) -> dict:
    """The error of l and the shift of a mode: as told, and against factorisations."""
    from spillover.kernels import factor, stochastic_logdet

    row, expansion = {"probes": result.probes, "shift": result.shift}, result.expansion
    row["traces"] = len(expansion.moments)
    near = matrix.shape[0] <= LARGEST
    evaluate = factor.superlu(factor.pencil(matrix)) if near else None
    for rho in RHO:
        at = np.array([rho])
        half = 0.5 * float(stochastic_logdet.deviation(expansion, at)[0])
        row[f"shift_told_{rho}"] = float(stochastic_logdet.mode_shift(expansion, at)[0])
        row[f"se_{rho}"] = float(stochastic_logdet.standard_errors(expansion, at)[0][0])
        if evaluate:
            ends = np.array([rho - half, rho + half])
            own = stochastic_logdet.value(expansion, ends)
            off = [float(value) - evaluate(one).log for value, one in zip(own, ends, strict=True)]
            row[f"error_{rho}"] = float(np.mean(off))
            row[f"shift_{rho}"] = off[1] - off[0]  # (difference / sd) times sd
    return row


def compare_series(matrix, result) -> dict:
    """The largest error at random rho of the covered range, and what one factorisation takes."""
    from spillover.kernels import factor, logit

    exact = factor.superlu(factor.pencil(matrix)._replace(reach=0.0))  # pivots everywhere
    ends = np.asarray(result.ends)
    if hasattr(result, "window"):
        ends = logit.to_s(np.array(result.window), result.bounds)
    count = CHECKS if matrix.shape[0] < MANY else FEWER
    worst, seconds = 0.0, []
    for s in np.random.default_rng(1).uniform(*ends, count):
        rho = float(logit.to_rho(s, result.bounds))
        value, took = measure(lambda rho=rho: exact(rho).log)
        seconds.append(took.cpu_s)
        t = (2 * s - sum(result.ends)) / (result.ends[1] - result.ends[0])
        worst = max(worst, abs(value - float(np.polynomial.chebyshev.chebval(t, result.coef))))
    counts = {"nodes": result.nodes, "nnz": result.nnz}
    return {**counts, "error": worst, "factor_s": min(seconds)}


def child(path: str, method: str, *given: str) -> dict:
    """One build in this process, then its checks, which do not count."""
    matrix, options = sparse.csr_array(sparse.load_npz(path)), read_options(given)
    build = METHODS[method]
    build(common.lattice(400), options)  # what the first call loads
    before = resident_mb()
    result, took = measure(lambda: build(matrix, options))
    row = {"build": took.rounded(), "peak_mb": peak_mb(), "before_mb": round(before)}
    row |= {"seconds": result.seconds, "coefficients": len(result.coef)}
    row |= {"claimed": result.error, "how": result.how}
    compare = compare_probes if method == "stochastic" else compare_series
    return row | compare(matrix, result)


def read_options(words) -> dict:
    """The interval, the threads and the most probes."""
    given = dict(word.split("=") for word in words if "=" in word)
    numbers = {name: int(given.get(name, usual)) for name, usual in (("threads", 2), ("most", 128))}
    return {"default": "default" in words, **numbers}


def main(words: list[str]) -> None:
    """Every graph and size asked for."""
    words = [word.removeprefix("--").removeprefix("method=") for word in words]
    graphs, (method, *_) = common.choose(words, GRAPHS, METHODS)
    sizes = [int(word) for word in words if word.isdigit()] or SIZES
    given = [word for word in words if "=" in word or word == "default"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.npz"
        for n in sizes:
            for name in graphs:
                sparse.save_npz(path, GRAPHS[name](n), compressed=False)
                about = {"graph": name, "n": n, "method": method, **read_options(given)}
                report({**about, **common.ask_child(__file__, path, method, *given)})


if __name__ == "__main__":
    common.run(main, child)
