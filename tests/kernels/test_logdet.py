"""log|I - rho W| and its derivatives against dense algebra and closed forms, over the whole
admissible interval.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sparse
from oracles import dense
from oracles.hostile import knn, row_standardise

from spillover.kernels import chebyshev, logdet, spectrum
from spillover.kernels.errors import WeightsError

EPS = np.finfo(float).eps
END = chebyshev.END
HOSTILE = {name: W for name, (W, _) in dense.hostile().items()}
STANDARD = [name for name, W in HOSTILE.items() if dense.row_standardised(W)]
COMPLEX = ["knn", "directed_ring", "bent_ring", "sinks"]
GIVEN = {"acyclic": (-1.5, 2.5)}  # the others' bounds come from their eigenvalues
S = np.array([-END, -6.0, -3.3, -1.4, -0.4, 0.0, 0.3, 1.1, 2.6, 4.9, 6.5, END])


def spectrum_of(name):
    return spectrum.eigenvalues(sparse.csr_array(HOSTILE[name]))


def build(name):
    return logdet.from_eigenvalues(spectrum_of(name), GIVEN.get(name))


@jax.jit
def second_derivative(record, rho):
    return jax.grad(jax.grad(record))(rho)


def rho_at(s, bounds):
    """The rho of a logit variable, and d rho / d s."""
    a, b = np.asarray(bounds)
    near = (b - a) / (1 + np.exp(2 * np.abs(s)))
    return np.where(s > 0, b - near, a + near), 2 * near * (1 - near / (b - a))


def resolvent(rho, W):
    """(I - rho W)^-1 and its norm, by which rounding of the dense truth is amplified."""
    inverse = np.linalg.inv(np.eye(len(W)) - rho * W)
    return inverse, np.linalg.norm(inverse, 2)


def representable(rho, W):
    """How far l moves when rho, or an eigenvalue, moves by a few units in its last place."""
    return 4 * EPS * max(abs(rho * np.trace(resolvent(rho, W)[0] @ W)), len(W))


@pytest.mark.parametrize("name", HOSTILE)
def test_value_is_the_dense_log_determinant_over_the_whole_interval(name):
    W, record = HOSTILE[name], build(name)
    n = len(W)
    assert int(record.size) == n
    for s in S:
        rho = float(rho_at(s, record.bounds)[0])
        tolerance = 2e-11 * n + EPS * n * resolvent(rho, W)[1] + representable(rho, W)
        expected = dense.logdet(rho, W)
        assert float(record(rho)) == pytest.approx(expected, abs=tolerance)
        assert float(record.at(s)) == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize("name", HOSTILE)
def test_derivative_is_minus_the_trace_of_the_resolvent(name):
    """1e-8 N in the logit variable everywhere, hence 1e-8 N in rho away from the ends."""
    W, record = HOSTILE[name], build(name)
    n = len(W)
    for s in S:
        rho, stretch = rho_at(s, record.bounds)
        inverse, norm = resolvent(rho, W)
        tolerance = 1e-8 * n / min(stretch, 1) + EPS * n * norm**2 * np.linalg.norm(W, 2)
        assert float(logdet.derivative(record, float(rho))) == pytest.approx(
            -np.trace(inverse @ W), abs=tolerance
        )


@pytest.mark.parametrize("name", ["contiguity", "knn", "binary", "defective", "complete"])
def test_second_derivative_is_minus_the_trace_of_the_squared_resolvent(name):
    W, record = HOSTILE[name], build(name)
    for s in S[np.abs(S) < 3]:
        rho, stretch = rho_at(s, record.bounds)
        spill = resolvent(rho, W)[0] @ W
        expected = -np.trace(spill @ spill)
        assert float(second_derivative(record, float(rho))) == pytest.approx(
            expected, abs=1e-6 * len(W) / min(stretch, 1) ** 2
        )


CLOSED = {
    "directed_ring": lambda rho, near, side: (
        np.log1p(-(rho**25)) if side < 0 else np.log(-np.expm1(25 * np.log1p(-near)))
    ),
    "complete": lambda rho, near, side: (
        (np.log(near) if side > 0 else np.log1p(-rho))
        + 11 * (np.log(near / 11) if side < 0 else np.log1p(rho / 11))
    ),
    "blocks": lambda rho, near, side: (
        5 * (np.log(near) if side > 0 else np.log1p(-rho))
        + 25 * (np.log(near / 5) if side < 0 else np.log1p(rho / 5))
    ),
}


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("s", [-END, -6.0, -4.0, -0.5, 0.5, 4.0, 6.0, END])
def test_value_in_closed_form_to_the_last_digits_near_the_ends(name, s):
    """1 - rho^25, (1 - rho)(1 + rho/11)^11 and [(1 - rho)(1 + rho/5)^5]^5, with the distance to the
    end as the argument.
    """
    record = build(name)
    W, rho = HOSTILE[name], rho_at(s, record.bounds)[0]
    near = float(np.ptp(record.bounds)) / (1 + np.exp(2 * abs(s)))
    assert float(record.at(s)) == pytest.approx(
        CLOSED[name](rho, near, np.sign(s)), abs=2e-11 * len(W) + representable(rho, W)
    )


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_eigenvalues_enter_as_complex(name):
    """With their real parts alone, the same eigenvalues would be off by far more than any tolerance
    here.
    """
    W, values, record = HOSTILE[name], spectrum_of(name), build(name)
    for rho in 0.9 * np.asarray(record.bounds):
        assert float(record(rho)) == pytest.approx(dense.logdet(rho, W), abs=1e-9)
        assert abs(np.sum(np.log(np.abs(1 - rho * values.real))) - dense.logdet(rho, W)) > 0.01


@pytest.mark.parametrize("name", HOSTILE)
def test_given_bounds_keep_the_function(name):
    whole = build(name)
    bounds = tuple(0.6 * np.asarray(whole.bounds))
    narrow = logdet.from_eigenvalues(spectrum_of(name), bounds)
    np.testing.assert_array_equal(narrow.bounds, bounds)
    rho = np.linspace(*bounds, 31)[1:-1]
    np.testing.assert_allclose(narrow(rho), whole(rho), rtol=0, atol=3e-11 * len(HOSTILE[name]))


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "acyclic"])
@pytest.mark.parametrize("scale", [1e-6, 1e6])
def test_the_scale_of_w_goes_into_the_bounds_alone(name, scale):
    plain, scaled = (
        build(name),
        logdet.from_eigenvalues(spectrum.eigenvalues(sparse.csr_array(scale * HOSTILE[name]))),
    )
    np.testing.assert_allclose(np.asarray(scaled.bounds) * scale, plain.bounds, rtol=1e-9)
    inner = S[np.abs(S) < 6]
    np.testing.assert_allclose(
        scaled.at(inner), plain.at(inner), rtol=0, atol=2e-11 * len(HOSTILE[name])
    )


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("side", [-1, 1])
def test_continuation_is_the_tangent_at_the_end_of_the_covered_range(name, side):
    values, record = spectrum_of(name), build(name)
    rho, stretch = rho_at(side * END, record.bounds)
    steps = np.array([0.0, 1e-9, 2.0, 30.0])
    value, slope = (
        np.sum(np.log(np.abs(1 - rho * values))),
        -stretch * np.sum((values / (1 - rho * values)).real),
    )
    tolerance = 1e-7 * len(values) * (1 + steps)
    assert np.all(
        np.abs(np.asarray(record.at(side * (END + steps))) - value - side * slope * steps)
        <= tolerance
    )


@pytest.mark.parametrize("name", ["knn"])
def test_one_program_for_every_shape_and_record(name):
    """jit = eager, vmap = loop, over rho and over stacked records."""
    record = build(name)
    rho = rho_at(S, record.bounds)[0]
    eager = np.array([float(record(value)) for value in rho])
    np.testing.assert_allclose(
        jax.jit(lambda record, rho: record(rho))(record, rho), eager, rtol=1e-13, atol=1e-13
    )
    np.testing.assert_allclose(record(rho.reshape(3, 4)).reshape(-1), eager, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(jax.vmap(record)(jnp.asarray(rho)), eager, rtol=1e-13, atol=1e-13)
    two = jax.tree.map(
        lambda *leaves: jnp.stack(leaves), record, record._replace(coef=2 * record.coef)
    )
    both = jax.vmap(lambda record, s: record.at(s), in_axes=(0, None))(two, jnp.asarray(S))
    np.testing.assert_allclose(both, [record.at(S), 2 * record.at(S)], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", HOSTILE)
def test_length_is_padded_and_the_error_is_honest(name):
    record, values = build(name), spectrum_of(name)
    assert record.coef.ndim == 1
    assert len(record.coef) % chebyshev.BLOCK == 0
    s = np.random.default_rng(1).uniform(-END, END, 3000)
    exact = np.log(np.abs(1 - rho_at(s, record.bounds)[0][:, None] * values)).sum(axis=1)
    rounding = (
        EPS * len(values) / np.abs(1 - rho_at(s, record.bounds)[0][:, None] * values).min(axis=1)
    )
    claimed = 2 * float(record.error) + logdet.TOLERANCE * len(values) / 10
    assert np.all(np.abs(np.asarray(record.at(s)) - exact) <= claimed + 4 * rounding)
    assert float(record.error) <= 1e3 * logdet.TOLERANCE * len(values)


@pytest.mark.parametrize(
    ("values", "bounds"),
    [
        (np.array([2.0, -1.0, 0.3]), (-1.0, 1.0)),
        (np.array([1.0, -1.0]), (-1.5, 0.9)),
    ],
)
def test_bounds_with_a_singular_point_inside_are_refused(values, bounds):
    with pytest.raises(WeightsError, match=r"not smooth on .* Give narrower bounds"):
        logdet.from_eigenvalues(values, bounds)


@pytest.mark.parametrize(("n", "k", "seed"), [(20, 3, 4), (60, 6, 4), (60, 4, 3), (400, 6, 4)])
def test_plain_nearest_neighbours_have_a_log_determinant_on_their_own_interval(n, k, seed):
    """A complex pair may lie close to the real axis between two real eigenvalues: that is no reason
    to refuse the W.
    """
    W = row_standardise(knn(n, k, seed=seed))
    record = logdet.from_eigenvalues(spectrum.eigenvalues(sparse.csr_array(W)))
    for rho in (*np.linspace(*np.asarray(record.bounds), 7)[1:-1], 0.9):
        assert float(record(rho)) == pytest.approx(dense.logdet(rho, W), abs=1e-8 * n)


def test_a_complex_pair_next_to_the_real_axis_is_exact():
    """Within a millionth of the interval: no series resolves it, so it is kept apart."""
    values = np.array([1.0, -0.5, 1 / (0.5 + 1e-6j), 1 / (0.5 - 1e-6j)])
    record = logdet.from_eigenvalues(values, (-2.0, 1.0))
    for rho in (-1.9, -0.3, 0.1, 0.4, 0.5 - 1e-6, 0.5, 0.9, 0.99):
        assert float(record(rho)) == pytest.approx(np.log(np.abs(1 - rho * values)).sum(), abs=1e-9)
        if abs(rho - 0.5) > 1e-3:  # nearer, terms of a million cancel in the derivative itself
            assert float(logdet.derivative(record, rho)) == pytest.approx(
                -np.sum(values / (1 - rho * values)).real, rel=1e-8
            )


def on_contrasts(rho, W):
    F = dense.basis(len(W))
    return dense.logdet(rho, F.T @ W @ F)


@pytest.mark.parametrize("name", STANDARD)
def test_without_root_is_the_log_determinant_on_contrasts(name):
    W, record = HOSTILE[name], build(name)
    contrasts = logdet.remove_root(record)
    for s in S:
        rho = float(rho_at(s, record.bounds)[0])
        F = dense.basis(len(W))
        inner = F.T @ W @ F
        tolerance = (
            4e-11 * len(W) + EPS * len(W) * resolvent(rho, inner)[1] + representable(rho, inner)
        )
        assert float(contrasts.at(s)) == pytest.approx(on_contrasts(rho, W), abs=tolerance)
        if rho < 0.999:
            assert float(contrasts(rho)) == pytest.approx(
                float(record(rho)) - np.log1p(-rho), abs=1e-10 * len(W)
            )


@pytest.mark.parametrize(
    "name", [name for name in STANDARD if name not in ("components", "blocks")]
)
def test_without_root_is_finite_at_one(name):
    """It reaches its limit at rho = 1 as a straight line in rho, and stays finite on
    the way there.
    """
    W, record = HOSTILE[name], logdet.remove_root(build(name))
    F = dense.basis(len(W))
    inner = F.T @ W @ F
    left = 1 - float(rho_at(END, record.bounds)[0])
    slope, norm = (
        -np.trace(np.linalg.solve(np.eye(len(inner)) - inner, inner)),
        resolvent(1.0, inner)[1],
    )
    tolerance = 1e-10 * len(W) + len(W) * (left * norm) ** 2
    assert float(record.at(END)) == pytest.approx(
        on_contrasts(1.0, W) - left * slope, abs=tolerance
    )
    assert np.isfinite(record.at(np.array([END + 1, END + 30, 400.0]))).all()


@pytest.mark.parametrize("bounds", [(-1.0, 0.9), (-0.5, 0.25)])
def test_without_root_on_bounds_that_stop_before_one(bounds):
    W = HOSTILE["contiguity"]
    record = logdet.remove_root(logdet.from_eigenvalues(spectrum_of("contiguity"), bounds))
    for rho in np.linspace(*bounds, 9)[1:-1]:
        assert float(record(rho)) == pytest.approx(on_contrasts(rho, W), abs=4e-11 * len(W))


def test_without_root_of_rows_that_sum_to_another_number():
    """2.5 W between units at rho / 2.5 is W at rho."""
    scaled = logdet.remove_root(logdet.from_eigenvalues(2.5 * spectrum_of("knn")), 2.5)
    plain = logdet.remove_root(build("knn"))
    for rho in (-0.9, 0.1, 0.7, 0.999):
        assert float(scaled(rho / 2.5)) == pytest.approx(
            float(plain(rho)), abs=4e-11 * len(HOSTILE["knn"])
        )
