"""What a log-determinant and a log-density cost to evaluate inside a compiled program, and to
compile.

    python bench/evaluate.py        one JSON line a case and contender, each in a fresh process
    python bench/evaluate.py 96     these cases only

Cases: "64" and "96", so many coefficients over all of the interval; "sparse", the record of 2,500
units by kernels.nodes on its default interval; "density", models.posterior.log_density of an SDM
with 12 coefficients. Contenders for the series:
"package", kernels.chebyshev as it is; Clenshaw's recurrence by "scan" so many steps at a time, or
"unrolled"; the terms of each k mod m apart, a recurrence in T_m, as m numbers ("chains") or a
vector ("lanes"); "basis", all T_k by doubling, then a dot product. Their derivative rule sums the
differentiated series, and one of zeros for coefficients that have no tangent; "lean" leaves the
latter out; "dual" differentiates the recurrence instead of the coefficients, for the first
derivative. A call depends on the one before it; all numbers of the record are arguments of the
program. `value_us`, `gradient_us` (value and gradient), `hessian_us` (the second derivative): CPU
microseconds a call, the best of REPEATS; `*_compile_s`: CPU seconds to trace, lower and compile it,
alone, in a process that has compiled before. Targets for the series: value at most 0.15, value and
gradient at most 0.25, compilation at most 0.5.
"""

import json
import subprocess
import sys
import time

import numpy as np
import scipy.sparse as sparse

CONTENDERS = (
    "package",
    "scan 1",
    "scan 8",
    "scan 8 lean",
    "unrolled",
    "unrolled lean",
    "chains 2 lean",
    "chains 3 lean",
    "chains 4 lean",
)
CONTENDERS += ("lanes 4 lean", "lanes 4 dual", "lanes 8 lean", "basis lean")
SERIES = ("64", "96", "sparse")
DENSITIES = {"density": 20_000}
CALLS = 200_000
REPEATS = 7


def timed(function) -> tuple[object, float]:
    """The result, and CPU seconds."""
    start = time.process_time()
    result = function()
    return result, time.process_time() - start


def in_loop(function, record, start, calls: int) -> tuple[float, float]:
    """CPU microseconds of a call in a loop of dependent ones, and CPU seconds to compile one call.
    function: (record, point) -> point.
    """
    import jax

    def program(record, start):
        return jax.lax.fori_loop(
            0, calls, lambda _, point: start + 1e-9 * function(record, point), start
        )

    _, seconds = timed(lambda: jax.jit(function).lower(record, start).compile())
    compiled = jax.jit(program).lower(record, start).compile()
    jax.block_until_ready(compiled(record, start))
    best = min(
        timed(lambda: jax.block_until_ready(compiled(record, start)))[1] for _ in range(REPEATS)
    )
    return 1e6 * best / calls, seconds


def figures(function, record, start, calls: int) -> dict:
    """Those of a function (record, point) -> number, of its value and gradient, and, of one
    variable, of its second derivative.
    """
    import jax
    import jax.numpy as jnp

    def gradient(record, point):
        value, slope = jax.value_and_grad(function, argnums=1)(record, point)
        return slope + value

    programs = {
        "value": lambda record, point: function(record, point) + 0 * point,
        "gradient": gradient,
    }
    if jnp.ndim(start) == 0:
        programs["hessian"] = jax.hessian(function, argnums=1)
    jax.jit(lambda point: 2 * point)(start).block_until_ready()
    found = {}
    for name, program in programs.items():
        microseconds, seconds = in_loop(program, record, start, calls)
        found |= {f"{name}_us": round(microseconds, 4), f"{name}_compile_s": round(seconds, 3)}
    return found


def clenshaw(coef, t, unroll):
    """The recurrence, `unroll` steps at a time."""
    import jax
    import jax.numpy as jnp

    def step(carry, c):
        later, latest = carry
        return (latest, c + 2 * t * latest - later), None

    zero = jnp.zeros(jnp.shape(t), jnp.result_type(coef, t))
    (later, latest), _ = jax.lax.scan(step, (zero, zero), coef[:0:-1], unroll=unroll)
    return coef[0] + t * latest - later


def basis(t, count):
    """T_0(t), ..., T_(count - 1)(t) by T_(m + j) = 2 T_m T_j - T_(m - j)."""
    import jax.numpy as jnp

    found = jnp.stack([jnp.ones_like(t), t])
    while (m := len(found) - 1) < count - 1:
        found = jnp.concatenate([found, 2 * found[m] * found[1:] - found[m - 1 :: -1]])
    return found[:count]


def lanes(coef, t, m):
    """Clenshaw's recurrence in T_m for the terms of each k mod m: sum over r of T_r b_0 - T_(m - r)
    b_1.
    """
    import jax.numpy as jnp

    known = basis(t, m + 1)
    rows = jnp.pad(coef, (0, -len(coef) % m)).reshape((-1, m) + (1,) * jnp.ndim(t))
    later, latest = jnp.zeros_like(known[:m]), rows[-1] + jnp.zeros_like(known[:m])
    for row in rows[-2::-1]:
        later, latest = latest, row + 2 * known[m] * latest - later
    return jnp.sum(known[:m] * latest - known[m:0:-1] * later, axis=0)


def chains(coef, t, m):
    """The same, without vectors."""
    import jax.numpy as jnp

    known = [jnp.ones_like(t), t]
    while len(known) <= m:
        known.append(2 * t * known[-1] - known[-2])
    total = jnp.zeros_like(t)
    for r in range(m):
        later, latest = jnp.zeros_like(t), jnp.zeros_like(t)
        for c in coef[r::m][::-1]:
            later, latest = latest, c + 2 * known[m] * latest - later
        total += known[r] * latest - known[m - r] * later
    return total


def polynomial(contender: str):
    """The sum of a series, with its derivative rule."""
    import jax
    import jax.numpy as jnp
    from jax.custom_derivatives import SymbolicZero

    from spillover.kernels.chebyshev import derivative

    how, *words = contender.split()
    number = next((word for word in words if word.isdigit()), "")
    rule = next((word for word in words if not word.isdigit()), "")
    plain = {
        "scan": lambda coef, t: clenshaw(coef, t, int(number)),
        "unrolled": lambda coef, t: clenshaw(coef, t, len(coef)),
        "lanes": lambda coef, t: lanes(coef, t, int(number)),
        "chains": lambda coef, t: chains(coef, t, int(number)),
        "basis": lambda coef, t: jnp.sum(coef * basis(t, len(coef))),
    }[how]
    ruled = jax.custom_jvp(plain)

    def with_zeros(primals, tangents):
        (coef, t), (d_coef, d_t) = primals, tangents
        return ruled(coef, t), ruled(derivative(coef), t) * d_t + ruled(d_coef, t)

    def without(primals, tangents):
        (coef, t), (d_coef, d_t) = primals, tangents
        parts = [] if isinstance(d_t, SymbolicZero) else [slope(coef, t) * d_t]
        parts += [] if isinstance(d_coef, SymbolicZero) else [ruled(d_coef, t)]
        return ruled(coef, t), sum(parts, jnp.zeros_like(t))

    def differentiated(coef, t):
        return jax.jvp(lambda t: plain(coef, t), (t,), (jnp.ones_like(t),))[1]

    slope = (
        jax.custom_jvp(differentiated)
        if rule == "dual"
        else lambda coef, t: ruled(derivative(coef), t)
    )
    if rule == "dual":
        slope.defjvp(
            lambda primals, tangents: (
                slope(*primals),
                ruled(derivative(derivative(primals[0])), primals[1]) * tangents[1],
            )
        )
    ruled.defjvp(
        without if rule in ("lean", "dual") else with_zeros, symbolic_zeros=rule in ("lean", "dual")
    )
    return ruled


def neighbours(n: int, k: int) -> sparse.csr_array:
    """Row-standardised k nearest neighbours of n uniform points."""
    from scipy.spatial import cKDTree

    near = cKDTree(np.random.default_rng(0).uniform(size=(n, 2))).query(
        np.random.default_rng(0).uniform(size=(n, 2)), k + 1
    )[1][:, 1:]
    return sparse.csr_array(
        (np.full(n * k, 1 / k), (np.repeat(np.arange(n), k), near.ravel())), shape=(n, n)
    )


def series(case: str):
    """The record of a case."""
    import jax.numpy as jnp

    from spillover.kernels import chebyshev, logdet, sparse_logdet

    if case == "sparse":
        made = sparse_logdet.sparse_logdet(neighbours(2_500, 6))
        return logdet.from_series(made.coef, made.bounds, 2_500, made.error, made.ends)
    coef = np.random.default_rng(0).normal(size=int(case)) * 0.7 ** np.arange(int(case))
    return logdet.LogDetSeries(
        *(jnp.asarray(a) for a in (coef, [-1.0, 1.0], 1e3, 0.0, np.zeros((0, 2)), chebyshev.FULL))
    )


def posterior():
    """The posterior of an SDM of 49 units and 5 regressors, with the default priors: 12 numbers
    and sigma.
    """
    import jax
    import jax.numpy as jnp

    from spillover.kernels import logdet, moments, spectrum
    from spillover.models import (
        effects,
        likelihood,
        mode_search,
        posterior,
        prior_arrays,
        priors,
    )
    from spillover.models.design import INTERCEPT
    from spillover.models.spec import Spec

    rng, n, W = np.random.default_rng(0), 49, neighbours(49, 4)
    x = rng.normal(size=(n, 5))
    columns = np.column_stack([np.ones(n), x, W @ x])
    y = np.linalg.solve(np.eye(n) - 0.4 * W.toarray(), columns @ np.ones(11) + rng.normal(size=n))
    table = effects.choose_transformation(Spec("SDM"), n, 1, closed=True)
    factor, parts = effects.factorize(y[None], columns[None], table, W, None)
    terms = (INTERCEPT, *(f"x{j}" for j in range(10)))
    prior = prior_arrays.resolve(
        priors.Priors(), terms, prior_arrays.measure_scales(factor, parts, terms, 1.0, n), ("rho",)
    )
    data = moments.split(
        moments.append_rows(factor, parts, np.asarray(prior.root), np.asarray(prior.target)), parts
    )
    record = logdet.from_eigenvalues(spectrum.eigenvalues(W))
    whole = likelihood.Likelihood(data, record, None, jnp.asarray(float(n)), jnp.asarray(1.0))
    mass = mode_search.explore(
        lambda s: jax.lax.map(
            lambda at: posterior.collapsed_log_density(whole, prior, at), jnp.asarray(s)
        ),
        1,
    )
    centre, root = mode_search.centre_and_root(mass)
    return posterior.Posterior(whole, prior, jnp.asarray(centre), jnp.asarray(root[0]))


def measure(case: str, contender: str) -> dict:
    """One case and contender in this process."""
    import jax
    import jax.numpy as jnp

    from spillover.kernels import chebyshev
    from spillover.models import posterior as posteriors

    with jax.enable_x64(True):
        if case in SERIES:
            record = series(case)
            if contender != "package":
                chebyshev.polynomial = polynomial(contender)
            shown = {
                "coefficients": int(record.coef.shape[0]),
                "used": int(np.max(np.flatnonzero(record.coef))) + 1,
            }
            return shown | figures(lambda record, s: record.at(s), record, jnp.asarray(0.3), CALLS)
        built = posterior()
        start = jnp.full(posteriors.flat_size(built), 0.1)
        return figures(
            lambda at, flat: posteriors.log_density(at, flat), built, start, DENSITIES[case]
        )


def main() -> None:
    """All cases and contenders."""
    from machine import machine

    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(measure(*sys.argv[2:])))
        return
    for case in sys.argv[1:] or [*SERIES, *DENSITIES]:
        for contender in CONTENDERS if case in SERIES else ("package",):
            command = [sys.executable, __file__, "--child", case, contender]
            out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            print(
                json.dumps(
                    {"case": case, "contender": contender}
                    | json.loads(out.strip().splitlines()[-1])
                ),
                flush=True,
            )
    print(json.dumps({"machine": machine()}))


if __name__ == "__main__":
    main()
