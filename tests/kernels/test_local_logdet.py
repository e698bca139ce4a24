"""A stochastic log|I - rho W| made exact in a window, against eigenvalues and exact factorisations
everywhere.
"""

import numpy as np
import pytest
from sparse_graphs import GRAPHS, evaluated, exact, nearest, row_standardised

from spillover.kernels import local_logdet, sparse_logdet, stochastic_logdet
from spillover.kernels.errors import WeightsError

FAR = 6.0  # standard errors, of Student's t with 11 degrees of freedom


def build(W, **options):
    return stochastic_logdet.stochastic_logdet(
        W, **({"most": 16, "precision": np.float64} | options)
    )


@pytest.mark.parametrize("symmetric", [True, False])
def test_twenty_five_thousand_units(symmetric):
    W = row_standardised(nearest(25_000, 6, symmetric=symmetric))
    record = sparse_logdet.sparse_logdet(W, interval=(-0.9, 0.91), bounds=(-1.0, 1.0))
    result = local_logdet.refine(
        W, build(W, precision=np.float32, interval=(-0.9, 0.91)), 0.8, 0.004
    )
    assert result.window == pytest.approx((0.76, 0.84))
    assert result.nodes <= 7
    inside = np.linspace(*result.window, 101)
    assert (
        np.abs(evaluated(result, inside) - evaluated(record, inside)).max()
        < result.error + 1e-8
        < 1.2e-7
    )


@pytest.mark.parametrize("centre", [-0.5, 0.3, 0.85])
@pytest.mark.parametrize(
    "name", ["rook", "queen", "knn symmetric", "knn", "binary", "islands", "sinks"]
)
def test_refined_is_exact_in_the_window_and_harmless_outside(name, centre):
    pilot = build(GRAPHS[name], precision=np.float32)
    centre = centre * pilot.bounds[1]
    # that of ten times as many units
    sd = 0.3 * float(stochastic_logdet.deviation(pilot.expansion, np.array([centre]))[0])
    result = local_logdet.refine(GRAPHS[name], pilot, centre, sd)
    assert result.error < 1e-7
    assert 4 <= result.nodes <= 9

    def off(one, rho):
        return np.abs(evaluated(one, rho) - exact(name, rho)[0])

    assert off(result, np.linspace(*result.window, 201)).max() < 1.5 * result.error + 1e-9
    outside = np.linspace(-0.9, 0.9, 61) * pilot.bounds[1]
    assert np.all(
        off(result, outside)
        <= 3 * stochastic_logdet.standard_errors(pilot.expansion, outside)[0] + 1e-6
    )
    assert np.all(
        off(result, outside)
        <= FAR * stochastic_logdet.standard_errors(result.expansion, outside)[0] + 1e-6
    )


@pytest.mark.parametrize("name", ["queen", "knn symmetric", "knn"])
def test_exact_values_in_the_window_reduce_the_error_outside(name):
    """Over 10 seeds: by far on the side of the window, and no worse on the other, where it tells
    little; and the error left is told.
    """
    outside = np.linspace(-0.9, 0.9, 31)
    value = exact(name, outside)[0]
    errors, left = [], []
    for seed in range(10):
        pilot = build(GRAPHS[name], seed=seed)
        refined = local_logdet.refine(GRAPHS[name], pilot, 0.5, 0.01)
        errors.append(
            [stochastic_logdet.value(one.expansion, outside) - value for one in (pilot, refined)]
        )
        left.append(stochastic_logdet.standard_errors(refined.expansion, outside)[0])
    before, after = np.sqrt(np.mean(np.square(errors), axis=0))
    assert np.all(after <= 1.3 * before + 1e-7)
    assert after[-1] < 0.1 * before[-1]
    told = np.sqrt(np.mean(np.square(left), axis=0))
    assert np.all(after[outside > 0.6] < 2 * told[outside > 0.6])


def test_the_slope_in_the_window():
    structure = stochastic_logdet.prepare(GRAPHS["knn"])
    result = local_logdet.refine(structure, build(structure), 0.8, 0.006)
    rho = np.linspace(0.745, 0.855, 31)
    np.testing.assert_allclose(
        stochastic_logdet.slope(result.expansion, rho), exact("knn", rho)[1], rtol=0, atol=1e-5
    )


def test_refine_refuses_what_it_cannot_do():
    pilot = build(GRAPHS["queen"], interval=(-0.5, 0.9))
    with pytest.raises(WeightsError, match="which the pilot covers"):
        local_logdet.refine(GRAPHS["queen"], pilot, 0.95, 0.01)
    with pytest.raises(WeightsError, match="a positive number"):
        local_logdet.refine(GRAPHS["queen"], pilot, 0.5, 0.0)
    with pytest.raises(WeightsError, match=r"give more, e\.g\. memory="):
        local_logdet.refine(GRAPHS["knn"], build(GRAPHS["knn"]), 0.5, 0.01, memory=1e3)
    assert local_logdet.refine(GRAPHS["queen"], pilot, 0.85, 0.02).window == pytest.approx(
        (0.65, 0.9)
    )
