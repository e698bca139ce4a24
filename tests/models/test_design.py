"""The regressors of a model, their labels, and columns that cannot be told apart."""

import numpy as np
import pytest
import scipy.sparse as sparse
from oracles import dense
from oracles.hostile import knn, row_standardise

from spillover.kernels import moments
from spillover.kernels.errors import DataError
from spillover.models import design as designs
from spillover.models.effects import choose_transformation
from spillover.models.spec import Spec

N, T = 12, 4
W = row_standardise(knn(N, 3))
NAMES = (designs.INTERCEPT, "a", "b")


def panel(seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate([np.ones((T, N, 1)), rng.normal(size=(T, N, 2))], axis=2)


def effects_of(effects, standard=True):
    return choose_transformation(Spec("SDM", effects), N, T, closed=standard)


def build(x=None, names=NAMES, lagged=(), periods=(), matrix=W):
    return designs.build(
        panel() if x is None else x,
        names,
        lagged,
        None if matrix is None else sparse.csr_array(matrix),
        periods,
    )


def test_columns_are_x_then_its_lags_then_dummies_of_the_last_periods():
    x = panel()
    actual = build(x, lagged=("b", "a"), periods=("t[2]", "t[3]"))
    assert actual.terms == (*NAMES, "W:b", "W:a", "t[2]", "t[3]")
    flat = actual.columns.reshape(T * N, -1)
    np.testing.assert_array_equal(flat[:, :3], x.reshape(T * N, 3))
    np.testing.assert_allclose(
        flat[:, 3:5], dense.lag(W, x.reshape(T * N, 3)[:, [2, 1]], T), atol=1e-14
    )
    np.testing.assert_array_equal(flat[:, 5:], dense.dummies("period", N, T)[:, 2:])


def test_a_dummy_for_every_period():
    actual = build(periods=tuple(f"t[{i}]" for i in range(T)))
    np.testing.assert_array_equal(
        actual.columns.reshape(T * N, -1)[:, 3:], dense.dummies("period", N, T)
    )


POSITIONS = [
    ((), (1, 2), (-1, -1)),
    (("a", "b"), (1, 2), (3, 4)),
    (("b",), (1, 2), (-1, 3)),
    (("b", "a"), (1, 2), (4, 3)),
]


POSITIONS = [
    ((), (1, 2), (-1, -1)),
    (("a", "b"), (1, 2), (3, 4)),
    (("b",), (1, 2), (-1, 3)),
    (("b", "a"), (1, 2), (4, 3)),
]


@pytest.mark.parametrize(("lagged", "own", "lags"), POSITIONS)
def test_positions_of_own_and_lagged_columns(lagged, own, lags):
    actual = build(lagged=lagged, periods=("t[3]",))
    assert actual.variables == ("a", "b")
    np.testing.assert_array_equal(actual.own, own)
    np.testing.assert_array_equal(actual.lagged, lags)
    for variable, position in zip(actual.variables, actual.own, strict=True):
        assert actual.terms[position] == variable


def test_no_lags_without_weights():
    assert build(lagged=("a",), matrix=None).terms == NAMES


@pytest.mark.parametrize("effects", dense.EFFECTS)
def test_a_good_design_passes(effects):
    x = panel() if effects == "none" else panel()[:, :, 1:]
    names = NAMES if effects == "none" else NAMES[1:]
    designs.check(build(x, names, lagged=("a", "b")), effects_of(effects))


def replaced(column, values):
    x = panel()
    x[:, :, column] = np.broadcast_to(values, (T, N))
    return x


BY_UNIT, BY_PERIOD = np.arange(1.0, N + 1) ** 2, np.sqrt(np.arange(1.0, T + 1))[:, None]
ABSORBED = [
    ("unit", BY_UNIT, "does not vary over time:"),
    ("period", BY_PERIOD, "does not vary across units:"),
    ("twoway", BY_UNIT, "does not vary over time once it is demeaned across units:"),
    ("twoway", BY_PERIOD, "does not vary over time once it is demeaned across units:"),
    ("twoway", BY_UNIT + BY_PERIOD, "does not vary over time once it is demeaned across units:"),
]


@pytest.mark.parametrize(("effects", "values", "why"), ABSORBED)
def test_a_column_that_the_effects_absorb_is_refused_by_name(effects, values, why):
    x = replaced(2, values)[:, :, 1:]
    with pytest.raises(
        DataError, match=f"'b' is absorbed by the effects.*{why}.*leave it out of the formula"
    ):
        designs.check(build(x, NAMES[1:]), effects_of(effects))


def test_a_constant_under_effects_is_refused_by_name():
    with pytest.raises(DataError, match=f"{designs.INTERCEPT!r} is absorbed"):
        designs.check(build(), effects_of("unit"))


def test_a_column_of_zeros_is_refused_by_name():
    with pytest.raises(DataError, match="'b' is zero everywhere"):
        designs.check(build(replaced(2, 0.0)), effects_of("none"))


@pytest.mark.parametrize("effects", ["none", "unit"])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_collinear_column_is_refused_with_its_company(effects, scale):
    x = panel()
    x = np.concatenate([x, (scale * (2 * x[:, :, 1] - x[:, :, 2]))[:, :, None]], axis=2)
    x, names = (x, (*NAMES, "c")) if effects == "none" else (x[:, :, 1:], (*NAMES[1:], "c"))
    with pytest.raises(DataError, match=r"'c' is a linear combination of 'a', 'b': leave it out"):
        designs.check(build(x, names), effects_of(effects))


def test_a_column_collinear_only_once_demeaned_is_refused():
    x = panel()[:, :, 1:]
    x[:, :, 1] = 3 * x[:, :, 0] + BY_UNIT
    with pytest.raises(DataError, match="'b' is a linear combination of 'a'"):
        designs.check(build(x, NAMES[1:]), effects_of("unit"))
    designs.check(build(x, NAMES[1:]), effects_of("none"))


def test_a_collinear_lag_is_refused_with_its_own_way_out():
    x = panel()
    x[:, :, 2] = x[:, :, 1] @ W.T
    with pytest.raises(
        DataError, match=r"'W:a' is a linear combination of 'b': leave 'a' out of lagged="
    ):
        designs.check(build(x, lagged=("a",)), effects_of("none"))


def test_period_dummies_beside_an_intercept_are_collinear():
    effects = choose_transformation(Spec("SDM", "period"), N, T, closed=False, likelihood="lsdv")
    with pytest.raises(
        DataError,
        match=r"'t\[3\]' is a linear combination of 'Intercept', 't\[0\]', 't\[1\]', 't\[2\]'",
    ):
        designs.check(build(periods=tuple(f"t[{i}]" for i in range(T))), effects)


def test_more_columns_than_rows_are_refused():
    x = np.random.default_rng(1).normal(size=(1, N, N + 2))
    with pytest.raises(DataError, match=f"'x{N}' is a linear combination"):
        designs.check(
            build(x, tuple(f"x{i}" for i in range(N + 2))),
            choose_transformation(Spec("OLS"), N, 1, closed=True),
        )


def test_nearly_collinear_but_told_apart_passes():
    x = panel()
    x[:, :, 2] = x[:, :, 1] + 1e-5 * np.random.default_rng(3).normal(size=(T, N))
    designs.check(build(x), effects_of("none"))


@pytest.mark.parametrize("rows", [1, 5, N, 2 * N])
@pytest.mark.parametrize("effects", dense.EFFECTS)
def test_blocks_find_what_the_whole_finds(effects, rows, monkeypatch):
    monkeypatch.setattr(moments, "ROWS", rows)
    x = panel()[:, :, 1:]
    mix = np.concatenate([x, (x[:, :, 0] - 4 * x[:, :, 1])[:, :, None]], axis=2)
    designs.check(build(x, NAMES[1:], lagged=("a", "b")), effects_of(effects))
    with pytest.raises(DataError, match=r"'c' is a linear combination of 'a', 'b': leave it out"):
        designs.check(build(mix, (*NAMES[1:], "c")), effects_of(effects))
    with pytest.raises(DataError, match="'b' is zero everywhere"):
        designs.check(build(replaced(2, 0.0)[:, :, 1:], NAMES[1:]), effects_of(effects))
    if effects in ("unit", "twoway"):
        with pytest.raises(DataError, match="'b' is absorbed"):
            designs.check(build(replaced(2, BY_UNIT)[:, :, 1:], NAMES[1:]), effects_of(effects))
