"""The table of effects, and R of the transformed data, against explicit Kronecker bases."""

import jax
import numpy as np
import pytest
import scipy.sparse as sparse
import whole_arrays
from oracles import dense
from oracles.hostile import knn

from spillover.kernels import moments
from spillover.kernels.demean import demean
from spillover.kernels.lag_basis import Regressors
from spillover.models import likelihood as gaussian
from spillover.models.effects import choose_transformation, factorize
from spillover.models.spec import Spec

HOSTILE = list(dense.hostile())
least_squares = jax.jit(gaussian.regress)
STANDARD = [name for name, (W, _) in dense.hostile().items() if dense.row_standardised(W)]
N, T = 9, 4
TABLE = {  # effects: observations and multiplicity
    "none": (N * T, T),
    "unit": (N * (T - 1), T - 1),
    "period": ((N - 1) * T, T),
    "twoway": ((N - 1) * (T - 1), T - 1),
}


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("effects", dense.EFFECTS)
def test_the_table_of_effects(effects, closed):
    actual = choose_transformation(Spec("SAR", effects), N, T, closed=closed)
    assert (actual.nu, actual.multiplicity, actual.dummies) == (*TABLE[effects], 0)
    assert actual.contrasts == (effects in ("period", "twoway"))
    assert actual.quasi == (actual.contrasts and not closed)
    assert actual.over_periods == (effects in ("unit", "twoway"))
    assert actual.over_units == actual.contrasts
    assert actual.lag_first


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("effects", dense.EFFECTS)
@pytest.mark.parametrize("kind", ["direct", "lsdv"])
def test_direct_and_lsdv_keep_all_observations(kind, effects, closed):
    actual = choose_transformation(Spec("SAC", effects), N, T, closed=closed, likelihood=kind)
    assert not actual.quasi
    as_dummies = kind == "lsdv" and not closed and effects in ("period", "twoway")
    dummies = (T - 1 if effects == "twoway" else T) if as_dummies else 0
    assert (actual.nu, actual.multiplicity, actual.dummies, actual.contrasts) == (
        N * T,
        T,
        dummies,
        False,
    )
    assert (actual.over_periods, actual.over_units) == (
        effects in ("unit", "twoway"),
        effects in ("period", "twoway") and not as_dummies,
    )
    assert actual.lag_first == (kind == "lsdv")


def combination(case, beta, rho, lam):
    """v with Z v = S_lam (S y - D beta)."""
    ends = {"y": 1.0, "wy": -rho, "my": -lam, "mwy": rho * lam}
    blocks = {"d": -beta, "md": lam * beta}
    return np.concatenate(
        [blocks[part] if part in blocks else [ends[part]] for part in dict.fromkeys(case.parts)]
    )


def check_sum_of_squares(case, seed):
    rng = np.random.default_rng(seed)
    assert (case.effects.nu, case.effects.multiplicity) == (case.problem.nu, case.problem.t)
    for _ in range(3):
        beta = rng.normal(size=case.columns.shape[2])
        _, (rho, lam) = case.named(rng.normal(size=2))
        k = case.problem.X.shape[1]
        residual = dense.residual(
            case.problem, beta[:k], rho, lam, beta[k:] if len(beta) > k else None
        )
        actual = case.factor @ combination(case, beta, rho, lam)
        assert actual @ actual == pytest.approx(residual @ residual, rel=1e-11)


@pytest.mark.cover
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("effects", dense.EFFECTS)
@pytest.mark.parametrize("model", dense.MODELS)
def test_r_gives_the_sum_of_squares_of_the_transformed_data(case, model, effects, name):
    check_sum_of_squares(case(name, model, effects), len(name))


@pytest.mark.cover
@pytest.mark.parametrize("name", ["knn", "contiguity", "binary", "sinks", "components"])
@pytest.mark.parametrize("other", ["other", "raw"])
@pytest.mark.parametrize("effects", dense.EFFECTS)
@pytest.mark.parametrize("model", ["SEM", "SDEM", "SAC", "GNS"])
def test_r_with_other_weights_for_the_error(case, model, effects, other, name):
    check_sum_of_squares(case(name, model, effects, other=other), len(name))


@pytest.mark.cover
@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("effects", dense.EFFECTS)
@pytest.mark.parametrize("model", ["SLX", "SAR", "GNS"])
def test_r_of_the_direct_likelihood(case, model, effects, name):
    check_sum_of_squares(case(name, model, effects, kind="direct"), len(name))


@pytest.mark.cover
@pytest.mark.parametrize(
    "name", [*(name for name in STANDARD if name != "complete"), "binary", "sinks", "islands"]
)
@pytest.mark.parametrize("effects", dense.EFFECTS)
@pytest.mark.parametrize("model", ["SLX", "SDM", "SEM", "GNS"])
def test_r_of_the_dummy_likelihood(case, model, effects, name):
    """The least sum of squares over coefficients and dummies: where W's rows do not sum to one,
    demeaning does not remove S_lam D.

    Not for the complete graph, whose lags are collinear with X and the dummies.
    """
    chosen = case(name, model, effects, kind="lsdv")
    for shares in ((0.3, 0.6), (0.7, 0.2)):
        (rho, lam), there = chosen.named(chosen.inside(*shares))
        residual = dense.gls(chosen.problem, *there)[1]
        assert float(least_squares(chosen.likelihood.moments, rho, lam).ssr) == pytest.approx(
            residual @ residual, rel=1e-9
        )


@pytest.mark.parametrize("periods", [1, 2])
@pytest.mark.parametrize("model", ["OLS", "GNS"])
@pytest.mark.parametrize("effects", ["none", "period"])
def test_few_periods(case, model, effects, periods):
    check_sum_of_squares(case("knn", model, effects, periods=periods), periods)


def test_effects_drop_out_of_the_likelihood(case):
    """Reduced-form effects of any size leave R's residual alone: the flat prior on S^-1 alpha."""
    from_case = case("knn", "SDM", "twoway")
    p = from_case.problem
    shift = (
        np.kron(np.eye(p.T), np.linalg.inv(np.eye(40) - 0.4 * p.raw_W))
        @ p.flat
        @ np.random.default_rng(1).normal(size=p.flat.shape[1])
    )
    moved = dense.problem(
        p.raw_y + shift,
        np.column_stack([np.ones(len(p.raw_y)), p.raw_X[:, :2]]),
        p.raw_W,
        "SDM",
        "twoway",
        p.T,
    )
    np.testing.assert_allclose(moved.y, p.y, atol=1e-10)


BLOCKS = [
    (kind, effects) for kind in ("transformed", "direct", "lsdv") for effects in dense.EFFECTS
]


@pytest.mark.cover
@pytest.mark.parametrize("name", ["knn", "sinks", "raw", "islands"])
@pytest.mark.parametrize(("kind", "effects"), BLOCKS)
@pytest.mark.parametrize("model", ["OLS", "SDM", "GNS"])
def test_r_does_not_depend_on_the_blocks(model, kind, effects, name, monkeypatch):
    """R'R of one row, a few and all rows at a time, against the cross-products of the whole basis,
    demeaned whole.
    """
    W = 0.7 * knn(20, 3, seed=4) if name == "raw" else dense.hostile()[name][0]
    n, rng = len(W), np.random.default_rng(len(name))
    lag, error = (
        sparse.csr_array(A) if there else None
        for A, there in ((W, model != "OLS"), (W.copy(), model == "GNS"))
    )
    actual = choose_transformation(
        Spec(model, effects), n, T, closed=dense.row_standardised(W), likelihood=kind
    )
    y, x = rng.normal(size=(T, n)), rng.normal(size=(T, n, 2)) + rng.normal(size=(n, 2))
    described = Regressors(x, sparse.csr_array(W), () if model == "OLS" else (1, 0), actual.dummies)

    def within(values):
        return demean(values, over_periods=actual.over_periods, over_units=actual.over_units)

    data = (
        (y, described.whole())
        if actual.lag_first
        else (within(y[:, :, None])[:, :, 0], within(described.whole()))
    )
    basis, parts = whole_arrays.lag_basis(*data, lag, error)
    z = (within(basis) if actual.lag_first else basis).reshape(n * T, -1)
    for rows in (1, 7, n, 2 * n + 1, 10**6):
        monkeypatch.setattr(moments, "ROWS", rows)
        for regressors in (described, described.whole()):
            factor, named = factorize(y, regressors, actual, lag, error)
            assert named == parts
            np.testing.assert_allclose(factor.T @ factor, z.T @ z, rtol=1e-11, atol=1e-11)


def test_the_data_are_left_as_they_were():
    rng = np.random.default_rng(0)
    y, x = rng.normal(size=(T, 20)), rng.normal(size=(T, 20, 2))
    before = y.copy(), x.copy()
    effects = choose_transformation(Spec("GNS", "twoway"), 20, T, closed=True)
    W = sparse.csr_array(knn(20, 3))
    factorize(y, Regressors(x, W, (0, 1)), effects, W, W)
    for value, kept in zip((y, x), before, strict=True):
        np.testing.assert_array_equal(value, kept)
