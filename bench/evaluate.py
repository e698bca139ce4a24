"""What does it cost to evaluate, and to compile, a log-determinant inside a compiled program?

    python bench/evaluate.py [CASES]        each case and contender in a fresh process

Cases: "64" and "96", so many coefficients over all of the interval; "sparse", the record of 2,500
units on its default interval; "density", the log-density of an SDM with 12 coefficients, of which
the log-determinant is a part.

Contenders for the series: "package", kernels.chebyshev as it is; Clenshaw's recurrence by "scan" so
many steps at a time, or "unrolled"; the terms of each k mod m apart, a recurrence in T_m, as m
numbers ("chains") or a vector ("lanes"); "basis", all T_k by doubling, then a dot product. Their
derivative rule sums the differentiated series, and one of zeros for coefficients that have no
tangent; "lean" leaves the latter out; "dual" differentiates the recurrence instead of the
coefficients, for the first derivative.

A call depends on the one before it; all numbers of the record are arguments of the program.
`value_us`, `gradient_us` (value and gradient), `hessian_us` (the second derivative): CPU
microseconds a call, the best of REPEATS; `*_compile_s`: CPU seconds to trace, lower and compile it,
alone, in a process that has compiled before. Targets for the series: value at most 0.15, value and
gradient at most 0.25, compilation at most 0.5.
"""

import common
import numpy as np
from common import measure, report

CONTENDERS = (
    *("package", "scan 1", "scan 8", "scan 8 lean", "unrolled", "unrolled lean"),
    *("chains 2 lean", "chains 3 lean", "chains 4 lean"),
    *("lanes 4 lean", "lanes 4 dual", "lanes 8 lean", "basis lean"),
)
SERIES = ("64", "96", "sparse")
DENSITY = "density"
CALLS, DENSITY_CALLS, REPEATS = (2_000, 200, 2) if common.SMALL else (200_000, 20_000, 7)


def time_loop(function, record, start, calls: int) -> tuple[float, float]:
    """CPU microseconds of a call in a loop of dependent ones, and CPU seconds to compile one call.

    function: (record, point) -> point.
    """
    import jax

    def program(record, start):
        return jax.lax.fori_loop(
            0, calls, lambda _, point: start + 1e-9 * function(record, point), start
        )

    _, compiling = measure(lambda: jax.jit(function).lower(record, start).compile())
    compiled = jax.jit(program).lower(record, start).compile()
    _, least = common.measure_warm(
        lambda: jax.block_until_ready(compiled(record, start)), repeats=REPEATS
    )
    return 1e6 * least.cpu_s / calls, compiling.cpu_s


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
    row = {}
    for name, program in programs.items():
        microseconds, seconds = time_loop(program, record, start, calls)
        row |= {f"{name}_us": round(microseconds, 4), f"{name}_compile_s": round(seconds, 3)}
    return row


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

    known = jnp.stack([jnp.ones_like(t), t])
    while (m := len(known) - 1) < count - 1:
        known = jnp.concatenate([known, 2 * known[m] * known[1:] - known[m - 1 :: -1]])
    return known[:count]


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


def build_series(case: str):
    """The record of a case."""
    import jax.numpy as jnp

    from spillover.kernels import chebyshev, logdet, sparse_logdet

    if case == "sparse":
        made = sparse_logdet.sparse_logdet(common.neighbours(2_500))
        return logdet.from_series(made.coef, made.bounds, 2_500, made.error, made.ends)
    coef = np.random.default_rng(0).normal(size=int(case)) * 0.7 ** np.arange(int(case))
    parts = (coef, [-1.0, 1.0], 1e3, 0.0, np.zeros((0, 2)), chebyshev.FULL)
    return logdet.LogDetSeries(*map(jnp.asarray, parts))


def child(case: str, contender: str) -> dict:
    """One case and contender in this process."""
    import jax
    import jax.numpy as jnp
    import samplers

    from spillover.kernels import chebyshev
    from spillover.models import posterior as posteriors

    with jax.enable_x64(True):
        if case == DENSITY:
            design = common.Design(theta=0.5)
            posterior = samplers.place(
                common.model("SDM", common.neighbours(49, 4), design)
            ).posterior
            start = jnp.full(posteriors.flat_size(posterior), 0.1)
            return figures(posteriors.log_density, posterior, start, DENSITY_CALLS)
        record = build_series(case)
        if contender != "package":
            chebyshev.polynomial = polynomial(contender)
        used = int(np.max(np.flatnonzero(record.coef))) + 1
        shown = {"coefficients": int(record.coef.shape[0]), "used": used}
        return shown | figures(lambda record, s: record.at(s), record, jnp.asarray(0.3), CALLS)


def main(words: list[str]) -> None:
    """All cases and contenders."""
    (cases,) = common.choose(words, (*SERIES, DENSITY))
    for case in cases:
        for contender in CONTENDERS if case in SERIES else CONTENDERS[:1]:
            about = {"case": case, "contender": contender}
            report({**about, **common.ask_child(__file__, case, contender)})


if __name__ == "__main__":
    common.run(main, child)
