"""How long 4 x (1,000 + 1,000) draws of a 12-coefficient SDM take, cold (compiling) and warm,
beside NumPyro's usual way of writing it.

    python bench/nuts_time.py        one JSON line a contender, each in a fresh process without a
    compilation cache; then the ratios

Contenders: "flat", `Model.fit`; "named", the same likelihood with a site for every parameter under
numpyro.infer.MCMC.
"""

import json
import subprocess
import sys
import time

import numpy as np
import pandas as pd

CONTENDERS = ("flat", "named")
REPEATS = 3


def problem():
    """A row-standardised ring of 49 units with 5 regressors, their lags and an intercept, and rho:
    12 coefficients with rho.
    """
    import spillover as so

    rng = np.random.default_rng(0)
    n = 49
    matrix = 0.5 * (np.roll(np.eye(n), 1, axis=1) + np.roll(np.eye(n), -1, axis=1))
    weights = so.Weights(matrix)
    x = rng.standard_normal((1, n, 5))
    y = so.simulate(weights.matrix, x, beta=np.ones(5), theta=0.5 * np.ones(5), rho=0.4, rng=rng)
    frame = pd.DataFrame(x[0], columns=list("abcde")).assign(y=y[0])
    return so.SDM("y ~ a + b + c + d + e", frame, weights)


def flat(model, seed: int) -> None:
    """Our sampler."""
    model.fit(seed=seed, progress=False)


def named(model, seed: int, kept: dict) -> None:
    """A textbook NumPyro model: beta, rho and sigma as sites, the same R factor and
    log-determinant.
    """
    import jax
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer import MCMC, NUTS

    from spillover.models.likelihood import Parameters, log_likelihood

    def sites(likelihood) -> None:
        k = likelihood.moments.d.shape[1]
        beta = numpyro.sample("beta", dist.Normal(0, 10).expand([k]).to_event(1))
        sigma = numpyro.sample("sigma", dist.HalfNormal(10))
        rho = numpyro.sample("rho", dist.Uniform(-1, 1))
        numpyro.factor("y", log_likelihood(likelihood, Parameters(beta, rho, None, sigma**2)))

    with jax.enable_x64(True):
        if not kept:
            kept["likelihood"] = model.problem.placed.posterior.likelihood
            options = {
                "num_warmup": 1000,
                "num_samples": 1000,
                "num_chains": 4,
                "chain_method": "vectorized",
                "progress_bar": False,
            }
            kept["mcmc"] = MCMC(NUTS(sites), jit_model_args=True, **options)
        kept["mcmc"].run(jax.random.PRNGKey(seed), kept["likelihood"])
        jax.block_until_ready(kept["mcmc"].get_samples())


def measure(contender: str) -> dict:
    """Cold and warm wall seconds in this process."""
    model, kept = problem(), {}
    seconds = []
    for seed in range(3):
        start = time.perf_counter()
        flat(model, seed) if contender == "flat" else named(model, seed, kept)
        seconds.append(time.perf_counter() - start)
    return {"contender": contender, "cold_s": seconds[0], "warm_s": min(seconds[1:])}


def main() -> None:
    """All contenders, interleaved, and the ratio of the best of each."""
    from machine import machine

    if len(sys.argv) > 1:
        print(json.dumps(measure(sys.argv[1])))
        return
    rows = []
    for _ in range(REPEATS):
        for contender in CONTENDERS:
            out = subprocess.run(
                [sys.executable, __file__, contender], capture_output=True, text=True, check=True
            ).stdout
            rows.append(json.loads(out.strip().splitlines()[-1]))
            print(json.dumps(rows[-1]), flush=True)
    best = {
        name: {
            key: min(row[key] for row in rows if row["contender"] == name)
            for key in ("cold_s", "warm_s")
        }
        for name in CONTENDERS
    }
    ratio = {key: best["flat"][key] / best["named"][key] for key in ("cold_s", "warm_s")}
    print(json.dumps({"question": "flat over named", **ratio, "machine": machine()}))


if __name__ == "__main__":
    main()
