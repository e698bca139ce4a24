"""The entropy method on arrays against its definition in plain Python."""

import numpy as np
import pytest
from oracles.entropy import composite, rescaled

from spillover.models import entropy

RNG = np.random.default_rng(11)
TABLES = {
    "two rows": np.array([[1.0, 4.0], [2.0, -1.0]]),
    "normal": RNG.normal(size=(40, 5)),
    "skewed, of many scales": RNG.lognormal(sigma=2.0, size=(25, 4)) * 10.0 ** np.arange(-6, 6, 3),
    "ties and zeros": RNG.integers(0, 3, (30, 3)).astype(float),
    "one row stands out": np.eye(12)[:, :2] + 1e-9 * RNG.uniform(size=(12, 2)),
    "one constant": np.column_stack([RNG.normal(size=9), np.full(9, 0.3), RNG.normal(size=9)]),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("negative", [False, True])
def test_every_step_is_the_definition(name, negative):
    x = TABLES[name]
    worse = [negative ^ bool(j % 2) for j in range(x.shape[1])]
    z = entropy.rescale(x, np.array(worse))
    np.testing.assert_allclose(
        z.T,
        [rescaled(column.tolist(), w) for column, w in zip(x.T, worse, strict=True)],
        rtol=1e-12,
        atol=0,
    )
    values, entropies, weights = composite(x.T.tolist(), worse)
    np.testing.assert_allclose(
        entropy.entropies(entropy.shares(z)), entropies, rtol=1e-12, atol=1e-15
    )
    actual, w = entropy.index(z)
    np.testing.assert_allclose(w, weights, rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(actual, values, rtol=1e-10, atol=1e-15)


def test_a_column_with_all_in_one_row_has_entropy_zero_and_the_most_weight():
    z = np.column_stack([np.eye(6)[:, 0], np.linspace(0, 1, 6)])
    e = entropy.entropies(entropy.shares(z))
    assert e[0] == 0.0 < e[1] < 1.0
    w = entropy.weights(e)
    assert w[0] > w[1]
    assert w.sum() == pytest.approx(1.0, abs=1e-15)


def test_n_equal_shares_beside_zeros_have_entropy_ln_n_over_ln_total():
    column = np.array([[1.0], [1.0], [1.0], [1.0], [0.0], [0.0], [0.0], [0.0], [0.0], [0.0]])
    assert entropy.entropies(entropy.shares(column))[0] == pytest.approx(
        np.log(4) / np.log(10), rel=1e-15
    )


@pytest.mark.parametrize("value", [0.0, 0.3, -1e9])
@pytest.mark.parametrize("n", [2, 3, 310])
def test_a_constant_has_exactly_no_weight(value, n):
    x = np.column_stack([np.full(n, value), np.arange(float(n))])
    assert entropy.is_constant(x).tolist() == [True, False]
    z = entropy.rescale(x)
    assert entropy.index(z)[1].tolist() == [0.0, 1.0]


def test_rounding_is_no_variation():
    """0.1 + 0.2 and 0.3 differ in the last bit: by the definition alone this would be all the
    information there is.
    """
    x = np.column_stack([np.full(10, 0.3), np.arange(10.0)])
    x[4, 0] = 0.1 + 0.2
    assert x[4, 0] != 0.3
    assert entropy.index(entropy.rescale(x))[1].tolist() == [0.0, 1.0]
