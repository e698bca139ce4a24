"""How long does NUTS take on an SDM, beside NumPyro's usual way of writing the model?

    python bench/nuts_time.py        each contender in a fresh process, in turn; then the ratios

4 x (1,000 + 1,000) draws of 12 coefficients, cold (compiling) and warm, without a compilation cache
on disk. A row-standardised ring of 49 units with 5 regressors, their lags and an intercept, and
rho. Contenders: "flat", `Model.fit`; "named", the same likelihood with a site for every parameter
under numpyro.infer.MCMC.
"""

import common
from common import measure, report

CONTENDERS = ("flat", "named")
KEYS = ("cold_s", "warm_s")
REPEATS, WARM = (1, 1) if common.SMALL else (3, 2)
TUNE, DRAWS = (50, 50) if common.SMALL else (1000, 1000)


def sample_flat(model, seed: int, _: dict) -> None:
    """Our sampler."""
    model.fit(tune=TUNE, draws=DRAWS, seed=seed, progress=False)


def sample_named(model, seed: int, kept: dict) -> None:
    """A textbook NumPyro model: beta, rho and sigma as sites, the same R factor and
    log-determinant.
    """
    import jax
    import numpyro
    import numpyro.distributions as dist
    import samplers
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
            kept["likelihood"] = samplers.place(model).posterior.likelihood
            lengths = {"num_warmup": TUNE, "num_samples": DRAWS, "num_chains": 4}
            how = {"chain_method": "vectorized", "progress_bar": False, "jit_model_args": True}
            kept["mcmc"] = MCMC(NUTS(sites), **lengths, **how)
        kept["mcmc"].run(jax.random.PRNGKey(seed), kept["likelihood"])
        jax.block_until_ready(kept["mcmc"].get_samples())


def child(contender: str) -> dict:
    """Cold and warm wall seconds in this process."""
    import warnings

    warnings.simplefilter("ignore")  # of the short chains of --small
    sample = {"flat": sample_flat, "named": sample_named}[contender]
    model, kept = common.model("SDM", common.ring(49), common.Design(theta=0.5)), {}
    seconds = [
        measure(lambda seed=seed: sample(model, seed, kept))[1].wall_s for seed in range(1 + WARM)
    ]
    return {"cold_s": seconds[0], "warm_s": min(seconds[1:])}


def main(_: list[str]) -> None:
    """All contenders, and the ratio of the best of each."""
    contenders = {name: (name,) for name in CONTENDERS}
    least = common.take_turns(__file__, contenders, REPEATS, KEYS)
    ratio = {key: least["flat"][key] / least["named"][key] for key in KEYS}
    report({"question": "flat over named", **least, "ratio": ratio})


if __name__ == "__main__":
    common.run(main, child)
