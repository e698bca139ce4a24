"""Demeaning equals the projection on an explicit orthonormal basis of the contrasts."""

import numpy as np
import pytest
from oracles import dense

from spillover.kernels.demean import demean

T, N, K = 4, 7, 3
EFFECTS = {
    "none": (False, False),
    "unit": (True, False),
    "period": (False, True),
    "twoway": (True, True),
}


def panel(seed=0):
    return 1e3 + np.random.default_rng(seed).normal(size=(T, N, K))


@pytest.mark.parametrize("effects", EFFECTS)
def test_demean_is_the_projection_on_the_contrasts(effects):
    x, (over_periods, over_units) = panel(), EFFECTS[effects]
    found = demean(x, over_periods=over_periods, over_units=over_units)
    B = np.kron(*dense.contrasts(effects, N, T))
    np.testing.assert_allclose(found.reshape(T * N, K), B.T @ B @ x.reshape(T * N, K), atol=1e-9)


@pytest.mark.parametrize("effects", EFFECTS)
def test_cross_products_are_those_on_the_contrasts(effects):
    x, (over_periods, over_units) = panel(), EFFECTS[effects]
    found = demean(x, over_periods=over_periods, over_units=over_units).reshape(T * N, K)
    shown = np.kron(*dense.contrasts(effects, N, T)) @ x.reshape(T * N, K)
    np.testing.assert_allclose(found.T @ found, shown.T @ shown, rtol=1e-9, atol=1e-8)


@pytest.mark.parametrize("effects", EFFECTS)
def test_demean_removes_the_dummies_is_idempotent_and_leaves_its_input_alone(effects):
    x, (over_periods, over_units) = panel(), EFFECTS[effects]
    before = x.copy()
    D = dense.dummies(effects, N, T)
    shift = (D @ np.random.default_rng(1).normal(size=(D.shape[1], K))).reshape(T, N, K)
    once = demean(x, over_periods=over_periods, over_units=over_units)
    np.testing.assert_allclose(
        demean(x + shift, over_periods=over_periods, over_units=over_units), once, atol=1e-10
    )
    np.testing.assert_allclose(
        demean(once, over_periods=over_periods, over_units=over_units), once, atol=1e-12
    )
    np.testing.assert_array_equal(x, before)


def test_one_period_leaves_nothing_beside_unit_effects():
    x = panel()[:1]
    assert not demean(x, over_periods=True, over_units=False).any()
