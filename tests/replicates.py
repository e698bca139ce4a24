"""Many simulated panels of one design, and their exact posteriors by one program: for tests of
coverage and of evidence.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import jax
import numpy as np
import pandas as pd
from oracles.hostile import contiguity, knn, points, row_standardise
from scipy.spatial.distance import cdist
from scipy.special import softmax

import spillover as so
from spillover.engine.estimation import exact
from spillover.engine.estimation.problem import with_method
from spillover.engine.sweeps import stacking
from spillover.engine.sweeps.plan import member_of
from spillover.engine.sweeps.stacking import Member
from spillover.engine.weights.logdet import LogDet
from spillover.kernels.arrays import leaf
from spillover.kernels.moments import append_rows, split
from spillover.models.likelihood import Likelihood
from spillover.models.prior_arrays import measure_scales, resolve
from spillover.models.profile import residual_scale

STACK = 500  # members to a program
TERMS = (
    64  # series have a multiple of this many terms, so that one program does for more than one W
)
# relative error of the quadrature: two hundred times finer than ranks of a thousand draws and
# shares of panels can tell
LARGEST = 1e-6


@dataclass(frozen=True)
class Truth:
    """What data are made with. beta, theta: (k,); theta None for a model without lags; the
    `intercept` of a cross-section.
    """

    beta: np.ndarray
    theta: np.ndarray | None
    rho: float
    sigma: float
    lam: float = 0.0
    intercept: float = 0.0


def neighbours(n: int, k: int = 4) -> so.Weights:
    """Row-standardised k nearest neighbours of seeded points, an asymmetric W."""
    return so.Weights(row_standardise(knn(n, k)))


def several_row_sums(n: int, k: int = 4) -> so.Weights:
    """The same neighbours with uneven weights, over their spectral radius."""
    near = knn(n, k) * np.random.default_rng(8).uniform(0.2, 2.0, (n, n))
    return so.Weights(near).spectral_standardize()


def panel(
    weights: so.Weights, periods: int, effects: str, truth: Truth, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """y, (T, N), and x, (T, N, k), with "unit", "period" or "twoway" effects that x depends on, or
    with "none" the intercept alone.
    """
    n, k = weights.n, len(truth.beta)
    fixed = np.zeros((1, 1))
    if effects != "none":
        of_units = rng.standard_normal(n)[None] if effects != "period" else np.zeros((1, n))
        fixed = of_units + (rng.standard_normal(periods)[:, None] if effects != "unit" else 0.0)
    x = rng.standard_normal((periods, n, k)) + 0.5 * fixed[:, :, None]
    options = {
        "rho": truth.rho,
        "lam": truth.lam,
        "sigma": truth.sigma,
        "effects": truth.intercept + fixed,
    }
    return so.simulate(weights.matrix, x, beta=truth.beta, theta=truth.theta, **options, rng=rng), x


def model(
    name: str,
    effects: str,
    weights: so.Weights,
    shape: tuple[int, int],
    priors: so.Priors | None = None,
) -> so.Model:
    """A model of (T, k) panels, on data that are to be replaced by `on`."""
    (periods, k), rng = shape, np.random.default_rng(0)
    index = pd.MultiIndex.from_product([range(periods), weights.ids], names=["period", "unit"])
    names = [f"x{j}" for j in range(1, k + 1)]
    frame = pd.DataFrame(
        rng.standard_normal((len(index), k + 1)), index, ["y", *names]
    ).reset_index()
    return getattr(so, name)(
        f"y ~ {' + '.join(names)}",
        frame,
        weights,
        effects=effects,
        unit="unit",
        period="period",
        priors=priors,
    )


def on(model: so.Model, y: np.ndarray, x: np.ndarray) -> so.Model:
    """The model on other data; the constant is the model's own."""
    constant = np.ones((*y.shape, model.panel.x.shape[2] - x.shape[2]))
    panel = replace(model.panel, y=y, x=np.concatenate([constant, x], axis=2))
    return replace(model, problem=replace(model.problem, panel=panel))


def member(model: so.Model, likelihood: str = "transformed") -> Member:
    """What the batched sampler needs; with the likelihood "direct": demeaned data as N T
    observations, T log|S|, the same priors; with "uncorrected": the observations of "transformed",
    but T log|S|, whatever period effects take of it.
    """
    found = member_of(model.problem)
    if likelihood == "transformed":
        return found
    method = "transformed" if likelihood == "uncorrected" else likelihood
    problem = with_method(model.problem, method)
    effects, (factor, parts) = problem.effects, problem.factor
    record = LogDet.build(model.weights).record
    plain = Likelihood(
        split(factor, parts), record, None, leaf(effects.nu), leaf(effects.multiplicity)
    )
    scale = measure_scales(factor, parts, model.design.terms, residual_scale(plain), effects.nu)
    prior = resolve(model.priors, model.design.terms, scale, model.problem.dependence)
    rows = append_rows(factor, parts, np.asarray(prior.root), np.asarray(prior.target))
    data = plain._replace(moments=split(rows, parts))
    return found._replace(posterior=found.posterior._replace(likelihood=data, prior=prior))


def drawn(members: Sequence[Member], draws: int, rng: np.random.Generator) -> stacking.Drawn:
    """Exact draws of members of one signature, arrays (members, draws, ...); tables as fine as a
    model's own would be.
    """
    with jax.enable_x64(True):
        longest = [
            -(-max(found) // TERMS) * TERMS
            for found in zip(*map(stacking.measure, members), strict=True)
        ]
        blocks = [members[start : start + STACK] for start in range(0, len(members), STACK)]
        found = [
            _block([stacking.pad(one, *longest) for one in block], draws, rng) for block in blocks
        ]
        return jax.tree.map(lambda *parts: np.concatenate(parts), *found)


def _block(members: list[Member], draws: int, rng: np.random.Generator) -> stacking.Drawn:
    stack, noise = (
        stacking.stack(members),
        stacking.stack([exact.make_noise(one.posterior, draws, rng) for one in members]),
    )
    for fineness in exact.POINTS:
        found = stacking.sample(stack, noise, points=fineness, batch=None)
        if np.asarray(found.quality.error).max() < LARGEST:
            return jax.tree.map(np.asarray, found)
    raise AssertionError("The quadrature is not good enough.")


def log_evidence(members: Sequence[Member], rng: np.random.Generator) -> np.ndarray:
    """log p(y) of each member: (members,)."""
    found = drawn(members, 1, rng).quality.log_evidence
    return np.array(
        [
            exact.log_evidence(one, float(value))
            for one, value in zip((m.posterior for m in members), found, strict=True)
        ]
    )


def impacts(weights: so.Weights, truth: Truth) -> tuple[np.ndarray, np.ndarray]:
    """Direct and total impacts, (k,) each, by the dense inverse."""
    n, w = weights.n, weights.matrix.toarray()
    inverse = np.linalg.inv(np.eye(n) - truth.rho * w)
    theta = np.zeros_like(truth.beta) if truth.theta is None else truth.theta
    direct = truth.beta * np.trace(inverse) / n + theta * np.trace(inverse @ w) / n
    return direct, truth.beta * inverse.sum() / n + theta * (inverse @ w).sum() / n


def ranks(
    found: stacking.Drawn, truths: Sequence[Truth], weights: so.Weights, first: int = 0
) -> dict[str, np.ndarray]:
    """How many draws of each quantity lie below its true value: (members, columns), uniform on 0
    ... draws where all is right. `first`: the number of coefficients before those of x, 1 with an
    intercept.
    """
    k = first + len(truths[0].beta)
    effects = [impacts(weights, truth) for truth in truths]
    dependence = {name: getattr(found.draw, name) for name in ("rho", "lam")}
    pairs = {
        **{
            name: (draws[..., None], [[getattr(t, name)] for t in truths])
            for name, draws in dependence.items()
            if draws is not None
        },
        **(
            {"intercept": (found.draw.beta[..., :1], [[truth.intercept] for truth in truths])}
            if first
            else {}
        ),
        "beta": (found.draw.beta[..., first:k], [truth.beta for truth in truths]),
        "sigma2": (found.draw.sigma[..., None] ** 2, [[truth.sigma**2] for truth in truths]),
        "direct": (found.impacts.direct, [direct for direct, _ in effects]),
        "total": (found.impacts.total, [total for _, total in effects]),
    }
    if truths[0].theta is not None:
        pairs["theta"] = (found.draw.beta[..., k:], [truth.theta for truth in truths])
    return {
        name: (values < np.asarray(true)[:, None]).sum(axis=1)
        for name, (values, true) in pairs.items()
    }


def covered(ranks: np.ndarray, draws: int, level: float) -> np.ndarray:
    """Whether the true value lies in the central interval of `level`, by rank: of draws + 1 equally
    likely ones, the middle.
    """
    out = round((1 - level) / 2 * (draws + 1))
    return (ranks >= out) & (ranks <= draws - out)


def candidates(n: int = 31) -> dict[str, so.Weights]:
    """Four W of the same points: contiguity, inverse distance, four nearest neighbours, contiguity
    of other units; row-standardised.
    """
    near = contiguity(n)
    distance = cdist(points(n), points(n)) + np.diag(np.full(n, np.inf))
    other = np.random.default_rng(6).permutation(n)
    matrices = {
        "contiguity": near,
        "inverse_distance": 1 / distance,
        "nearest": knn(n, 4),
        "permuted": near[np.ix_(other, other)],
    }
    return {name: so.Weights(row_standardise(matrix)) for name, matrix in matrices.items()}


def prior_of(
    k: int, *, durbin: bool, spread: float
) -> tuple[so.Priors, Callable[[so.Weights, np.random.Generator], Truth]]:
    """A proper prior that does not look at the data, beta and theta ~ N(0, sigma^2 spread), and how
    a truth is drawn from it.
    """
    shape, rate, count = 6.0, 5.0, k * (1 + durbin)
    beta = so.Conjugate((0.0,) * count, tuple(map(tuple, spread * np.eye(count))))

    def draw(weights: so.Weights, rng: np.random.Generator) -> Truth:
        sigma = np.sqrt(rate / rng.gamma(shape))
        beta = sigma * np.sqrt(spread) * rng.standard_normal(count)
        return Truth(beta[:k], beta[k:] if durbin else None, rng.uniform(*weights.bounds), sigma)

    return so.Priors(beta=beta, sigma=so.InverseGamma(shape, rate), rho=so.Uniform()), draw


def probabilities(
    name: str,
    periods: int,
    draw: Callable[[so.Weights, np.random.Generator], Truth],
    priors: so.Priors | None,
    panels: int,
    *,
    seed: int,
    likelihood: str = "transformed",
) -> tuple[np.ndarray, np.ndarray]:
    """Panels with two-way effects from `candidates` drawn uniformly: the true one of each,
    (panels,), and the posterior probabilities of all, (panels, candidates).
    """
    rng = np.random.default_rng(seed)
    weights = list(candidates().values())
    true = rng.integers(len(weights), size=panels)
    truths = [draw(weights[one], rng) for one in true]
    data = [
        panel(weights[one], periods, "twoway", truth, rng)
        for one, truth in zip(true, truths, strict=True)
    ]
    models = [model(name, "twoway", w, (periods, len(truths[0].beta)), priors) for w in weights]
    evidence = log_evidence(
        [member(on(one, *pair), likelihood) for pair in data for one in models], rng
    ).reshape(panels, -1)
    return true, softmax(evidence, axis=1)


def selection(
    names: Sequence[str], strength: float, dependence: float, panels: int, *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Panels of 10 periods with two-way effects, each from a model of `names` and a W of
    `candidates`, both drawn uniformly, sigma = 1 and default priors: positions of the true model
    and W, (panels, 2), and posterior probabilities, (panels, models, candidates).

    Three regressors with beta = strength, theta of an SDM half that with signs of its own; rho, or
    lam of an SEM, is `dependence`.
    """
    rng, weights, periods, k = np.random.default_rng(seed), list(candidates().values()), 10, 3
    true = np.column_stack(
        [rng.integers(len(names), size=panels), rng.integers(len(weights), size=panels)]
    )
    data = []
    for which, w in true:
        where = {"lam" if names[which] == "SEM" else "rho": dependence}
        theta = 0.5 * strength * rng.choice([-1.0, 1.0], k) if names[which] == "SDM" else None
        truth = Truth(np.full(k, strength), theta, **{"rho": 0.0, **where}, sigma=1.0)
        data.append(panel(weights[w], periods, "twoway", truth, rng))
    evidence = np.empty((panels, len(names), len(weights)))
    for i, name in enumerate(names):
        models = [model(name, "twoway", w, (periods, k)) for w in weights]
        evidence[:, i] = log_evidence(
            [member(on(one, *pair)) for pair in data for one in models], rng
        ).reshape(panels, -1)
    return true, softmax(evidence, axis=(1, 2))


def reliability_table(true: np.ndarray, p: np.ndarray, bins: np.ndarray) -> list[dict[str, float]]:
    """By bin of the probability given to a candidate: its mean, the share of those that were true,
    the standard error of the share if p is right, and how many there were.
    """
    hit = np.arange(p.shape[1])[None] == true[:, None]
    which = np.minimum(np.digitize(p, bins) - 1, len(bins) - 2)
    rows = []
    for cell in range(len(bins) - 1):
        inside = which == cell
        if count := int(inside.sum()):
            error = np.sqrt((p[inside] * (1 - p[inside])).sum()) / count
            rows.append(
                {
                    "mean": float(p[inside].mean()),
                    "share": float(hit[inside].mean()),
                    "error": float(error),
                    "count": count,
                }
            )
    return rows


def surprise(true: np.ndarray, p: np.ndarray) -> float:
    """log p of the true candidates less what it should be on average if p is right, sum p log p, in
    standard errors: below 0 where the probabilities are too sure of themselves, above 0 where they
    are too timid.
    """
    safe = np.maximum(p, np.finfo(float).tiny)
    mean = (p * np.log(safe)).sum(axis=1)
    variance = (p * np.log(safe) ** 2).sum(axis=1) - mean**2
    return float((np.log(safe)[np.arange(len(p)), true] - mean).sum() / np.sqrt(variance.sum()))
