"""How long so.sweep takes over 1,000 weight matrices, SAR, SEM and SDM, with unit and period
effects: cold, and warm with other data.

    python bench/sweep_speed.py          a JSON line a run, both in one fresh process without a
    compilation cache on disk python bench/sweep_speed.py 100      with so many weight matrices

A panel of 31 units, 10 periods and 6 regressors; row-standardised random neighbours of 3 to 8 units
and inverse distances of random points, none like another; 1,000 exact draws of each of the 3,000
members. "cold": the first call after the imports; "warm": the same weights, another panel;
"fresh_weights": the same panel, other weights. `traces`: programs traced during the run, by JAX's
own events; `compiled`: programs compiled; `peak_gb` of the process up to then. `rho_error`: the
largest deviation of the posterior mean of rho from that of `Model.fit`, in posterior standard
deviations, over CHECKED members: to be below 0.2 for 1,000 draws against 100,000. Targets on two
cores: cold 30 s, warm 8 s, 2 GB, no trace when warm.
"""

import json
import os
import resource
import subprocess
import sys
import time

import numpy as np

UNITS, PERIODS, REGRESSORS = 31, 10, 6
MODELS = ("SAR", "SEM", "SDM")
DRAWS = 1000
CHECKED = 4
COLUMNS = [f"x{j}" for j in range(1, REGRESSORS + 1)]
FORMULA = f"y ~ {' + '.join(COLUMNS)}"
PANEL = {"unit": "unit", "period": "period"}


def matrices(count: int, seed: int) -> dict:
    """Different row-standardised weights: by turns neighbours at random and inverse distances."""
    import spillover as so

    rng = np.random.default_rng(seed)
    found = {}
    for j in range(count):
        points = rng.random((UNITS, 2))
        distance = np.linalg.norm(points[:, None] - points[None], axis=2) + np.diag(
            np.full(UNITS, np.inf)
        )
        near = np.argsort(distance, axis=1)[:, : rng.integers(3, 9)]
        matrix = 1 / distance
        if j % 2:
            matrix = np.zeros((UNITS, UNITS))
            np.put_along_axis(matrix, near, 1.0, axis=1)
        found[f"w{j}"] = so.Weights(matrix / matrix.sum(axis=1, keepdims=True))
    return found


def panel(weights, seed: int):
    """A simulated panel whose truth is one of the weights."""
    import pandas as pd

    import spillover as so

    rng = np.random.default_rng(seed)
    x = rng.standard_normal((PERIODS, UNITS, REGRESSORS))
    effects = rng.standard_normal(UNITS)[None] + rng.standard_normal(PERIODS)[:, None]
    y = so.simulate(
        weights.matrix, x, beta=np.linspace(-1, 1, REGRESSORS), rho=0.4, effects=effects, rng=rng
    )
    index = pd.MultiIndex.from_product([range(PERIODS), range(UNITS)], names=["period", "unit"])
    return pd.DataFrame(x.reshape(-1, REGRESSORS), index, COLUMNS).assign(y=y.ravel()).reset_index()


class Counter:
    """Programs traced and compiled, by JAX's own events."""

    def __init__(self) -> None:
        import jax

        self.traces = self.compiled = 0
        jax.monitoring.register_event_duration_secs_listener(self)

    def __call__(self, event: str, duration: float, **_: object) -> None:
        self.traces += event == "/jax/core/compile/jaxpr_trace_duration"
        self.compiled += event == "/jax/core/compile/backend_compile_duration"


def run(name: str, frame, weights: dict, counter: Counter) -> tuple[dict, object]:
    """One sweep and what it took."""
    import spillover as so

    before = counter.traces, counter.compiled
    cpu, wall = time.process_time(), time.perf_counter()
    out = so.sweep(
        FORMULA,
        frame,
        weights,
        models=MODELS,
        effects=["twoway"],
        **PANEL,
        draws=DRAWS,
        seed=1,
        progress=False,
    )
    row = {
        "run": name,
        "weights": len(weights),
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
    }
    row |= {
        "traces": counter.traces - before[0],
        "compiled": counter.compiled - before[1],
        "failures": len(out.failures),
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return (
        row
        | {
            "ms_a_weights": 1e3 * row["wall_s"] / len(weights),
            "peak_gb": peak,
            "load": os.getloadavg()[0],
        },
        out,
    )


def deviation(out, frame, weights: dict) -> float:
    """Of the posterior means of rho or lam from those of the models by themselves, in standard
    deviations.
    """
    import spillover as so

    worst = 0.0
    for label in list(weights)[:: max(len(weights) // CHECKED, 1)][:CHECKED]:
        for name in MODELS:
            parameter = "lam" if name == "SEM" else "rho"
            fit = getattr(so, name)(FORMULA, frame, weights[label], effects="twoway", **PANEL).fit(
                "exact", draws=100_000, chains=1
            )
            mean = out.summary["mean"].sel(weights=label, model=name, parameter=parameter).item()
            exact = fit.posterior[parameter]
            worst = max(worst, abs(mean - float(exact.mean())) / float(exact.std()))
    return worst


def measure(count: int) -> None:
    """All runs in this process."""
    import jax
    import jax.monitoring

    import spillover as so

    counter = Counter()
    weights = matrices(count, seed=1)
    first, second = (panel(weights["w1"], seed) for seed in (2, 3))
    for name, frame, chosen in (("cold", first, weights), ("warm", second, weights)):
        row, out = run(name, frame, chosen, counter)
        print(json.dumps(row), flush=True)
    so.cache.clear()
    fresh = matrices(count, seed=4)
    row, _ = run("fresh_weights", second, fresh, counter)
    print(json.dumps(row), flush=True)
    print(
        json.dumps(
            {"rho_error": deviation(out, second, weights), "backend": jax.default_backend()}
        ),
        flush=True,
    )


def main() -> None:
    """A fresh process, then the machine."""
    from machine import machine

    words = sys.argv[1:]
    if words[:1] == ["--child"]:
        measure(int(words[1]))
        return
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("JAX_COMPILATION_CACHE")
    }
    subprocess.run(
        [sys.executable, __file__, "--child", words[0] if words else "1000"],
        check=True,
        env=environment,
    )
    print(json.dumps({"threads": os.environ.get("OPENBLAS_NUM_THREADS"), "machine": machine()}))


if __name__ == "__main__":
    main()
