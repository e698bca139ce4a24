"""Average, ordered and unit-level impacts against the dense S^-1 (beta I + theta W)."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sparse
from oracles import dense

from spillover.kernels import multiplier
from spillover.models import impacts

HOSTILE = {name: W for name, (W, _) in dense.hostile().items()}
BETA, THETA = np.array([0.7, -1.2, 0.0]), np.array([0.4, 0.0, 2.1])
SHARES = np.array([0.08, 0.3, 0.5, 0.75, 0.97])


@pytest.fixture(scope="module")
def channels_of(logdet_of):
    """What the engine hands over: log-determinant, multiplier where rows do not sum to one, and the
    mean row sum.
    """

    @cache
    def build(name):
        W = HOSTILE[name]
        record = logdet_of(W)
        standard = dense.row_standardised(W)
        rows = (
            None
            if standard
            else multiplier.build(sparse.csr_array(W), tuple(np.asarray(record.bounds)))
        )
        return impacts.Channels(record, rows, jnp.asarray(W.sum() / len(W)))

    return build


def inside(channels, shares=SHARES):
    lower, upper = np.asarray(channels.logdet.bounds)
    return lower + shares * (upper - lower)


def draws(count):
    """Coefficients that differ from draw to draw."""
    rng = np.random.default_rng(1)
    return rng.normal(size=(count, 3)), rng.normal(size=(count, 3))


@pytest.mark.parametrize("name", HOSTILE)
def test_average_impacts_are_those_of_the_dense_inverse(channels_of, name):
    channels = channels_of(name)
    rho, (beta, theta) = inside(channels), draws(len(SHARES))
    actual = impacts.average(channels, jnp.asarray(beta), jnp.asarray(theta), jnp.asarray(rho))
    for i, value in enumerate(rho):
        expected = dense.impacts(beta[i], theta[i], value, HOSTILE[name])
        rows = np.array([actual.direct[i], actual.indirect[i], actual.total[i]]).T
        np.testing.assert_allclose(rows, expected, rtol=2e-7, atol=2e-7)


@pytest.mark.parametrize("name", ["knn", "sinks", "binary"])
def test_average_impacts_keep_the_axes_of_the_draws(channels_of, name):
    channels = channels_of(name)
    rho = jnp.asarray(inside(channels, SHARES[:4])).reshape(2, 2)
    beta, theta = (jnp.asarray(values).reshape(2, 2, 3) for values in draws(4))
    actual = impacts.average(channels, beta, theta, rho)
    one = impacts.average(channels, beta[1, 0], theta[1, 0], rho[1, 0])
    for whole, single in zip(actual, one, strict=True):
        assert whole.shape == (2, 2, 3)
        np.testing.assert_allclose(whole[1, 0], single, rtol=1e-12)
    batch = jax.vmap(jax.vmap(impacts.average, in_axes=(None, 0, 0, 0)), in_axes=(None, 0, 0, 0))(
        channels, beta, theta, rho
    )
    np.testing.assert_allclose(batch.total, actual.total, rtol=1e-12)


@pytest.mark.parametrize("name", HOSTILE)
def test_without_rho_the_lag_of_x_is_all_that_spills_over(name):
    """OLS, SEM, SLX, SDEM: direct = beta, indirect = theta times the mean row sum."""
    W = HOSTILE[name]
    channels = impacts.Channels(None, None, jnp.asarray(W.sum() / len(W)))
    for theta in (THETA, np.zeros(3)):
        actual = impacts.average(channels, jnp.asarray(BETA), jnp.asarray(theta), None)
        np.testing.assert_allclose(
            np.array(actual).T, dense.impacts(BETA, theta, 0.0, W), rtol=1e-12, atol=1e-12
        )


@pytest.mark.parametrize("name", ["contiguity", "sinks"])
def test_a_model_without_rho_has_no_rho_in_its_impacts_whatever_the_channels(channels_of, name):
    actual = impacts.average(channels_of(name), jnp.asarray(BETA), jnp.asarray(THETA), None)
    np.testing.assert_allclose(
        np.array(actual).T, dense.impacts(BETA, THETA, 0.0, HOSTILE[name]), rtol=1e-12, atol=1e-12
    )


def test_coefficients_by_position_with_zero_for_a_missing_lag():
    beta = jnp.asarray(np.random.default_rng(2).normal(size=(4, 2, 6)))
    own, theta = impacts.split_coefficients(beta, np.array([1, 2, 3]), np.array([5, -1, 4]))
    np.testing.assert_array_equal(own, beta[..., 1:4])
    np.testing.assert_array_equal(
        theta, np.stack([beta[..., 5], 0 * beta[..., 0], beta[..., 4]], axis=-1)
    )


def shrunk(W, share=0.6):
    """rho at a share of the radius of convergence, on both sides."""
    radius = np.abs(np.linalg.eigvals(W)).max()
    return np.array([share, -share]) / (radius if radius > 1e-3 else 1.0)


@pytest.mark.parametrize("name", HOSTILE)
def test_orders_are_the_terms_of_the_power_series(name):
    W = HOSTILE[name]
    rho, (beta, theta) = shrunk(W), draws(2)
    actual = impacts.by_order(sparse.csr_array(W), 4, beta, theta, rho)
    assert actual.total.shape == (2, 3, 5)
    for i, value in enumerate(rho):
        for q in range(5):
            power = value**q * np.linalg.matrix_power(W, q)
            for k in range(3):
                P = power @ (beta[i, k] * np.eye(len(W)) + theta[i, k] * W)
                expected = np.trace(P) / len(W), (P.sum() - np.trace(P)) / len(W), P.sum() / len(W)
                np.testing.assert_allclose(
                    [part[i, k, q] for part in actual], expected, rtol=1e-10, atol=1e-12
                )


@pytest.mark.parametrize("name", HOSTILE)
def test_orders_add_up_to_the_impacts(name):
    W = HOSTILE[name]
    rho, (beta, theta) = shrunk(W), draws(2)
    actual = impacts.by_order(sparse.csr_array(W), 60, beta, theta, rho)
    for i, value in enumerate(rho):
        summed = np.array([part[i].sum(axis=-1) for part in actual]).T
        np.testing.assert_allclose(
            summed,
            dense.impacts(beta[i], theta[i], value, W),
            rtol=1e-9,
            atol=1e-9 * max(1, W.sum(axis=1).max()),
        )


def test_order_zero_without_dependence():
    actual = impacts.by_order(
        sparse.csr_array(HOSTILE["knn"]), 3, BETA[None], 0 * THETA[None], np.zeros(1)
    )
    np.testing.assert_array_equal(actual.direct[0], np.pad(BETA[:, None], ((0, 0), (0, 3))))
    assert not actual.indirect.any()


@pytest.mark.parametrize("name", HOSTILE)
def test_unit_impacts_are_diagonals_row_sums_and_column_sums(name):
    W = HOSTILE[name]
    rho, (beta, theta) = np.array([*shrunk(W), 0.0]), draws(3)
    actual = impacts.by_unit(sparse.csr_array(W), beta, theta, rho)
    for i, value in enumerate(rho):
        expected = dense.unit_impacts(beta[i], theta[i], value, W)
        for part, column in zip(actual, range(3), strict=True):
            assert part.shape == (3, 3, len(W))
            np.testing.assert_allclose(part[i], expected[:, column], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["knn", "binary", "sinks"])
def test_unit_impacts_average_to_the_average_impacts(channels_of, name):
    W, channels = HOSTILE[name], channels_of(name)
    rho, (beta, theta) = shrunk(W), draws(2)
    units = impacts.by_unit(sparse.csr_array(W), beta, theta, rho)
    means = impacts.average(channels, jnp.asarray(beta), jnp.asarray(theta), jnp.asarray(rho))
    np.testing.assert_allclose(units.direct.mean(axis=-1), means.direct, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(units.received.mean(axis=-1), means.total, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(units.sent.mean(axis=-1), means.total, rtol=1e-7, atol=1e-8)
