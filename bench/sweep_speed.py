"""How long does so.sweep take over 1,000 weight matrices, cold, and warm with other data?

    python bench/sweep_speed.py [WEIGHTS]       all runs in one fresh process without a compilation
                                                cache on disk

SAR, SEM and SDM with unit and period effects on a panel of 31 units, 10 periods and 6 regressors;
row-standardised random neighbours of 3 to 8 units and inverse distances of random points, none like
another; 1,000 exact draws of each of the 3,000 members. "cold": the first call after the imports;
"warm": the same weights, another panel; "fresh_weights": the same panel, other weights. `traces`:
programs traced during the run, by JAX's own events; `compiled`: programs compiled; `peak_mb` of the
process up to then. `rho_error`: the largest deviation of the posterior mean of rho or lam from that
of `Model.fit`, in posterior standard deviations, over CHECKED members: to be below 0.2 for 1,000
draws against 100,000. Targets on two cores: cold 30 s, warm 8 s, 2 GB, no trace when warm.
"""

import os
from typing import Any

import common
import numpy as np
from common import measure, peak_mb, report

WEIGHTS = 4 if common.SMALL else 1000
UNITS, PERIODS, REGRESSORS = 31, 10, 6
MODELS = ("SAR", "SEM", "SDM")
DRAWS, EXACT_DRAWS, CHECKED = 1000, 100_000, 4
FORMULA = common.formula(REGRESSORS)
PANEL = {"unit": "unit", "period": "period"}


def build_weights(count: int, seed: int) -> dict:
    """Different row-standardised weights: by turns neighbours at random and inverse distances."""
    import spillover as so

    rng, weights = np.random.default_rng(seed), {}
    for j in range(count):
        points = rng.random((UNITS, 2))
        apart = np.linalg.norm(points[:, None] - points[None], axis=2)
        distance = apart + np.diag(np.full(UNITS, np.inf))
        near = np.argsort(distance, axis=1)[:, : rng.integers(3, 9)]
        matrix = 1 / distance
        if j % 2:
            matrix = np.zeros((UNITS, UNITS))
            np.put_along_axis(matrix, near, 1.0, axis=1)
        weights[f"w{j}"] = so.Weights(matrix / matrix.sum(axis=1, keepdims=True))
    return weights


def simulate(weights, seed: int):
    """A panel of which these weights are the truth."""
    design = common.Design(periods=PERIODS, k=REGRESSORS, seed=seed)
    return common.frame(weights.matrix, design, beta=np.linspace(-1, 1, REGRESSORS))


class Counter:
    """Programs traced and compiled, by JAX's own events."""

    def __init__(self) -> None:
        import jax
        import jax.monitoring

        self.traces = self.compiled = 0
        jax.monitoring.register_event_duration_secs_listener(self)

    def __call__(self, event: str, duration: float, **_: object) -> None:
        self.traces += event == "/jax/core/compile/jaxpr_trace_duration"
        self.compiled += event == "/jax/core/compile/backend_compile_duration"


def sweep(name: str, frame, weights: dict, counter: Counter) -> tuple[dict, Any]:
    """One sweep and what it took."""
    import spillover as so

    traces, compiled = counter.traces, counter.compiled
    options = {"models": MODELS, "effects": ["twoway"], "draws": DRAWS, "seed": 1}
    out, took = measure(
        lambda: so.sweep(FORMULA, frame, weights, **PANEL, **options, progress=False)
    )
    row = {"run": name, "weights": len(weights), **took.rounded()}
    row["ms_a_weights"] = round(1e3 * took.wall_s / len(weights), 3)
    row |= {"traces": counter.traces - traces, "compiled": counter.compiled - compiled}
    return {**row, "failures": len(out.failures), "peak_mb": peak_mb()}, out


def deviate(out, frame, weights: dict) -> float:
    """How far the posterior means of rho or lam are from those of the models by themselves, in
    standard deviations, at most.
    """
    import spillover as so

    worst = 0.0
    for label in list(weights)[:: max(len(weights) // CHECKED, 1)][:CHECKED]:
        for name in MODELS:
            parameter = "lam" if name == "SEM" else "rho"
            build = getattr(so, name)
            model = build(FORMULA, frame, weights[label], effects="twoway", **PANEL)
            exact = model.fit("exact", draws=EXACT_DRAWS, chains=1).posterior[parameter]
            mean = out.summary["mean"].sel(weights=label, model=name, parameter=parameter).item()
            worst = max(worst, abs(mean - float(exact.mean())) / float(exact.std()))
    return worst


def child(word: str) -> list[dict]:
    """All runs in this process."""
    import jax

    import spillover as so

    count, counter = int(word), Counter()
    weights = build_weights(count, seed=1)
    first, second = (simulate(weights["w1"], seed) for seed in (2, 3))
    cold, _ = sweep("cold", first, weights, counter)
    warm, out = sweep("warm", second, weights, counter)
    so.cache.clear()
    fresh, _ = sweep("fresh_weights", second, build_weights(count, seed=4), counter)
    checked = {"rho_error": deviate(out, second, weights), "backend": jax.default_backend()}
    return [cold, warm, fresh, checked]


def main(words: list[str]) -> None:
    """The runs of a fresh process."""
    count = int(words[0]) if words else WEIGHTS
    environment = common.environment_without("JAX_COMPILATION_CACHE")
    for row in common.ask_child(__file__, count, environment=environment):
        report({**row, "threads": os.environ.get("OPENBLAS_NUM_THREADS")})


if __name__ == "__main__":
    common.run(main, child)
