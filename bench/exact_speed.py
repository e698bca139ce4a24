"""Effective draws of rho a second: exact draws beside NUTS on the same posterior; and how sampling
time grows with the number of units.

    python bench/exact_speed.py             a JSON line a problem and model python
    bench/exact_speed.py sac         words choose among the problems' names, the models, and
    "growth"

Problems: simulated cross-sections of 49, 506, 3,107 and 25,357 units, six nearest neighbours, five
regressors and an intercept, rho = 0.4; "panel", 46 units and 30 periods with unit and period
effects. Each in a fresh process, of which all but the timed call was done before. `fit`: a whole
warm `model.fit(sampler="exact", draws=DRAWS, chains=1)`, with its tree; `draw`: engine.exact.draw
alone; `nuts`: 4 chains of 1,000 + 1,000, `sampling` without what both samplers prepare. ESS: that
of the draws by arviz_stats.ess, over CPU and wall seconds; the best of REPEATS. Targets: 10^6 a
second for SAR and SDM, 10^5 for SAC, 200 times NUTS (`ratio`, of CPU seconds; draw over sampling).
"growth": sampling time at 10^6 units over that at 49, ten regressors, after R and the
log-determinant, by exact draws and by NUTS on SAR; at 10^6 units a log-determinant of few nodes, on
(0.3, 0.6) to 1e-4, does. To be at most 1.2. NUTS by its steps: the posteriors differ.
"""

import json
import os
import resource
import subprocess
import sys
import time
import warnings

import numpy as np
import scipy.sparse as sparse

PROBLEMS = {
    "49": (49, 1),
    "506": (506, 1),
    "3107": (3_107, 1),
    "25357": (25_357, 1),
    "panel": (46, 30),
}
MODELS = ("SAR", "SDM", "SAC")
GROWTH = (49, 1_000_000)
WINDOW = (0.3, 0.6)
DRAWS = 100_000
REPEATS = 5


def neighbours(n: int, k: int = 6) -> sparse.csr_array:
    """Row-standardised k nearest neighbours of uniform points, in the order of a space-filling
    strip.
    """
    from scipy.spatial import KDTree

    points = np.random.default_rng(0).uniform(size=(n, 2))
    points = points[np.lexsort((points[:, 1], np.floor(points[:, 0] * n**0.5 / 8)))]
    near = KDTree(points).query(points, k + 1, workers=1)[1][:, 1:]
    return sparse.csr_array(
        (np.full(n * k, 1 / k), (np.repeat(np.arange(n), k), near.ravel())), shape=(n, n)
    )


def problem(name: str, n: int, periods: int, k: int = 5):
    """The model on simulated data, and the matrix."""
    import pandas as pd

    import spillover as so

    weights, rng = so.Weights(neighbours(n)), np.random.default_rng(1)
    x = rng.standard_normal((periods, n, k))
    truth = {"theta": 0.5 * np.ones(k)} if name == "SDM" else {"lam": 0.3} if name == "SAC" else {}
    y = so.simulate(weights.matrix, x, beta=np.ones(k), rho=0.4, **truth, rng=rng)
    columns = [f"x{j}" for j in range(1, k + 1)]
    index = pd.MultiIndex.from_product([range(periods), weights.ids], names=["period", "unit"])
    frame = pd.DataFrame(x.reshape(-1, k), index, columns).assign(y=y.ravel()).reset_index()
    panel = {"effects": "twoway"} if periods > 1 else {}
    return getattr(so, name)(
        f"y ~ {' + '.join(columns)}", frame, weights, unit="unit", period="period", **panel
    )


def best(function, repeats: int = REPEATS) -> tuple[object, float, float]:
    """The last result, and the least CPU and wall seconds of calls after one that compiles."""
    function()
    cpu, wall, result = [], [], None
    for _ in range(repeats):
        start = time.process_time(), time.perf_counter()
        result = function()
        cpu.append(time.process_time() - start[0])
        wall.append(time.perf_counter() - start[1])
    return result, min(cpu), min(wall)


def rates(draws: np.ndarray, cpu: float, wall: float) -> dict:
    """Effective draws and what they took. draws: (chain, draw)."""
    import arviz_stats

    ess = float(arviz_stats.ess(np.asarray(draws)))
    return {
        "ess": round(ess),
        "cpu_s": cpu,
        "wall_s": wall,
        "ess_per_cpu_s": round(ess / cpu),
        "ess_per_wall_s": round(ess / wall),
    }


def speed(name: str, size: str) -> dict:
    """Exact draws and NUTS on one problem, in this process."""
    import jax

    from spillover.engine.estimation import exact
    from spillover.engine.estimation.arguments import SamplingPlan

    model = problem(name, *PROBLEMS[size])
    fit, cpu, wall = best(lambda: model.fit(sampler="exact", draws=DRAWS, chains=1, seed=1))
    row = {"model": name, "problem": size, "fit": rates(fit.posterior["rho"].to_numpy(), cpu, wall)}
    row["quadrature_points"] = int(fit.tree["sample_stats"]["quadrature_points"])
    with jax.enable_x64(True):
        posterior, mass = model.problem.placed
        plan = SamplingPlan(DRAWS, 0, chains=1, seed=1, target_accept=0.8)
        drawn, cpu, wall = best(lambda: exact.draw_from(posterior, plan))
        row["draw"] = rates(drawn.parameters["rho"], cpu, wall)
        path, cpu, wall = best(lambda: chains(posterior, mass), 2)
        rho = path[1]["rho"]
    row["nuts"] = rates(rho, cpu, wall)
    whole, cpu, wall = best(lambda: model.fit(draws=1000, progress=False), 1)
    row["nuts_fit"] = rates(whole.posterior["rho"].to_numpy(), cpu, wall)
    for clock in ("cpu", "wall"):
        row[f"ratio_{clock}"] = (
            row["draw"][f"ess_per_{clock}_s"] / row["nuts"][f"ess_per_{clock}_s"]
        )
        row[f"fit_ratio_{clock}"] = (
            row["fit"][f"ess_per_{clock}_s"] / row["nuts_fit"][f"ess_per_{clock}_s"]
        )
    return row


def chains(posterior, mass):
    """4 x (1,000 + 1,000) draws by NUTS: the path, and the parameters."""
    from spillover.engine.estimation import nuts
    from spillover.engine.estimation.arguments import SamplingPlan
    from spillover.engine.estimation.problem import Placed

    plan = SamplingPlan(draws=1000, tune=1000, chains=4, seed=1, target_accept=0.8)
    start = nuts.draw_starts(Placed(posterior, mass), plan.chains, plan.seed)
    path = nuts.sample_from(posterior, start, plan, lambda *_: None)
    return path, {
        key: np.asarray(value) for key, value in nuts.parameters(posterior, path.flat).items()
    }


def growth(n: int) -> dict:
    """Sampling a SAR of n units with ten regressors, and what came before."""
    import jax

    import spillover as so
    from spillover.engine.estimation import exact
    from spillover.engine.estimation.arguments import SamplingPlan
    from spillover.kernels.arrays import leaf
    from spillover.kernels.moments import split
    from spillover.models.likelihood import Likelihood
    from spillover.models.mode_search import centre_and_scale, explore
    from spillover.models.posterior import Posterior

    start = time.process_time()
    model = problem("SAR", n, 1, 10)
    interval = WINDOW if n > 10_000 else None
    series = so.LogDet.build(model.weights, interval=interval, tol=1e-4 if interval else None)
    prepared = time.process_time() - start
    with jax.enable_x64(True):
        (factor, parts), prior = model.problem.factor_with_prior, model.problem.prior
        data = Likelihood(
            split(factor, parts),
            series.record,
            None,
            leaf(model.problem.effects.nu),
            leaf(model.problem.effects.multiplicity),
        )
        bare = Posterior(data, prior, leaf(np.zeros(1)), leaf(np.ones(1)))
        mass = explore(lambda points: collapsed(data, prior, points), 1)
        posterior = bare._replace(
            **dict(zip(("centre", "scale"), map(leaf, centre_and_scale(mass)), strict=True))
        )
        plan = SamplingPlan(DRAWS, 0, chains=1, seed=1, target_accept=0.8)
        drawn, cpu, wall = best(lambda: exact.draw_from(posterior, plan))
        row = {
            "growth": n,
            "coefficients": len(np.asarray(series.record.coef)),
            "exact": rates(drawn.parameters["rho"], cpu, wall),
        }
        path, cpu, wall = best(lambda: chains(posterior, mass)[0], 3)
    steps = int(path.stats["n_steps"].sum())
    row |= {
        "nuts": {"cpu_s": cpu, "wall_s": wall, "steps": steps},
        "rho": float(drawn.parameters["rho"].mean()),
    }
    row |= {"prepare_cpu_s": prepared, "logdet_cpu_s": series.seconds}
    return row | {"peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9}


def collapsed(data, prior, points):
    """The log-density of rho's logit variable at (m, 1) points."""
    import jax

    from spillover.models import posterior

    return jax.jit(
        lambda points: jax.lax.map(
            lambda s: posterior.collapsed_log_density(data, prior, s), points
        )
    )(points)


def child(words: list[str]) -> dict:
    """The last line that a fresh process prints."""
    out = subprocess.run(
        [sys.executable, __file__, "--child", *words], capture_output=True, text=True, check=True
    ).stdout
    return json.loads(out.strip().splitlines()[-1]) | {"load": os.getloadavg()[0]}


def main() -> None:
    """The problems, models and questions asked for."""
    from machine import machine

    words = sys.argv[1:]
    if words[:1] == ["--child"]:
        warnings.simplefilter("ignore")
        print(json.dumps(growth(int(words[2])) if words[1] == "growth" else speed(*words[1:])))
        return
    sizes = [size for size in PROBLEMS if size in words] or list(PROBLEMS)
    models = [name for name in MODELS if name in words] or list(MODELS)
    if words != ["growth"]:
        for name in models:
            for size in sizes:
                print(json.dumps(child([name, size])), flush=True)
    if not words or "growth" in words:
        small, large = (child(["growth", str(n)]) for n in GROWTH)
        ratio = {key: large[key]["cpu_s"] / small[key]["cpu_s"] for key in ("exact", "nuts")}
        ratio["nuts_per_step"] = ratio["nuts"] * small["nuts"]["steps"] / large["nuts"]["steps"]
        for row in (small, large, {"question": "10^6 units over 49, CPU seconds", **ratio}):
            print(json.dumps(row), flush=True)
    print(json.dumps({"machine": machine()}))


if __name__ == "__main__":
    main()
