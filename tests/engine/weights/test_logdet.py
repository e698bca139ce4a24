"""The log-determinant of any W by one call: the method it takes, the values it gives, what it
remembers, and that fits use it.
"""

import jax
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sparse
from oracles import dense
from oracles.hostile import knn, ring, row_standardise

import spillover as so
from spillover.engine.weights import logdet
from spillover.kernels import admissible, sparse_logdet
from spillover.kernels.errors import FactorMemoryError

HOSTILE = {name: W for name, (W, _) in dense.hostile().items()}
GIVEN = {"acyclic": (-1.5, 2.5)}


@pytest.fixture(autouse=True)
def fresh_memory():
    so.cache.clear()
    yield
    so.cache.clear()


def weights(name):
    return so.Weights(HOSTILE[name], islands="allow", bounds=GIVEN.get(name))


@pytest.mark.cover
@pytest.mark.parametrize("method", ["auto", "sparse"])
@pytest.mark.parametrize("name", HOSTILE)
def test_value_and_derivative_are_the_dense_ones(name, method):
    W = weights(name)
    ld = so.LogDet.build(W, method)
    low, high = ld.interval
    rho = np.linspace(low, high, 11)[1:-1] * 0.95
    for value in rho:
        S = np.eye(W.n) - value * HOSTILE[name]
        trace = -np.trace(np.linalg.solve(S, HOSTILE[name]))
        assert ld(value) == pytest.approx(
            dense.logdet(value, HOSTILE[name]), abs=2 * ld.error + 1e-9
        )
        assert ld.derivative(value) == pytest.approx(trace, rel=1e-6, abs=1e-4 + 1e3 * ld.error)
    np.testing.assert_allclose(
        ld(rho.reshape(3, 3)).ravel(), [ld(value) for value in rho], rtol=1e-12
    )
    assert ld.bounds == pytest.approx(W.bounds, rel=2e-3)


def lattice(side):
    """A row-standardised rook lattice, as a sparse matrix."""
    path = sparse.diags_array([np.ones(side - 1)] * 2, offsets=[-1, 1], shape=(side, side))
    return so.Weights(
        sparse.kron(path, sparse.eye_array(side)) + sparse.kron(sparse.eye_array(side), path)
    ).row_standardize()


def test_auto_chooses_by_size_and_fill():
    assert so.LogDet.build(weights("knn")).method == "eigenvalues"
    large = so.LogDet.build(lattice(30))
    assert (large.method, large.bounds) == ("sparse", (-1.0, 1.0))
    assert 5 < large.nodes < 40
    assert large.shift == 0
    full = np.random.default_rng(0).random((501, 501))
    np.fill_diagonal(full, 0)
    assert so.LogDet.build(so.Weights(full)).method == "eigenvalues"


def test_repr_says_how_and_how_well():
    text = repr(so.LogDet.build(lattice(30)))
    for part in ("n=900", "exact nodes", "rho in (-0.96, 0.992)", "error", " s)"):
        assert part in text
    assert "all eigenvalues" in repr(so.LogDet.build(weights("knn")))


def test_a_bound_that_may_be_short_is_said_to_be_and_others_may_be_given():
    """A directed ring of odd length has no negative real eigenvalue, and its rho end at -1 by
    convention.
    """
    made = row_standardise(ring(601, ((1, 0.7), (2, 0.3))))
    ld = so.LogDet.build(so.Weights(made))
    assert ld.cautious
    assert "cautious bounds (-1, 1)" in repr(ld)
    given = so.LogDet.build(so.Weights(made, bounds=(-1.1, 0.9)))
    assert (given.bounds, given.cautious) == ((-1.1, 0.9), False)
    assert "cautious" not in repr(given)
    assert not so.LogDet.build(lattice(30)).cautious


def test_the_claims_of_probes_are_for_the_interval_that_is_told():
    W = so.Weights(sparse.csr_array(knn(520, 5, seed=3))).row_standardize()
    ld = so.LogDet.build(W, "stochastic")
    assert ld.interval == pytest.approx((-0.9, 0.9))
    assert "standard error" in repr(ld)
    exact = so.LogDet.build(W, "eigenvalues")
    rho = np.linspace(*ld.interval, 9)
    assert np.abs(ld(rho) - exact(rho)).max() <= 4 * ld.error
    around = logdet.refine(W, ld, 0.5, 0.01)
    assert around.interval == pytest.approx((0.4, 0.6))
    rho = np.linspace(*around.interval, 9)
    assert np.abs(around(rho) - exact(rho)).max() <= 2 * around.error + exact.error


def test_an_interval_is_covered_and_a_tolerance_kept():
    W = lattice(30)
    wide, rough = so.LogDet.build(W, interval=(-0.5, 0.9999)), so.LogDet.build(W, tol=1e-3)
    assert wide.interval == pytest.approx((-0.5, 0.9999), abs=1e-9)
    assert wide(0.9999) == pytest.approx(dense.logdet(0.9999, W.to_scipy().toarray()), abs=1e-6)
    assert wide.nodes > rough.nodes
    assert rough.error <= 1e-3


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda W: so.LogDet.build(W.to_scipy()), r"spillover\.Weights"),
        (lambda W: so.LogDet.build(W, "guess"), "guess.*eigenvalues"),
        (lambda W: so.LogDet.build(W)(1.0), r"rho=1\.0.*\(-1, 1\)"),
        (lambda W: so.LogDet.build(W, "sparse", interval=(-2, 0.5)), "interval"),
        (lambda W: so.LogDet.build(so.Weights(HOSTILE["acyclic"], islands="allow")), "bounds"),
    ],
)
def test_mistakes_are_refused_by_name(mistake, message):
    with pytest.raises(so.SpilloverError, match=message):
        mistake(lattice(25))


def test_the_same_content_is_worked_out_once(monkeypatch):
    """Whatever the labels; other bounds or another method are another record."""
    made = []
    monkeypatch.setattr(
        logdet.sparse_logdet,
        "sparse_logdet",
        lambda *a, real=sparse_logdet.sparse_logdet, **k: made.append(1) or real(*a, **k),
    )
    W = lattice(25)
    first = so.LogDet.build(W)
    again = so.LogDet.build(so.Weights(W.to_scipy(), ids=[f"u{i}" for i in range(W.n)]))
    np.testing.assert_array_equal(first.record.coef, again.record.coef)
    assert len(made) == 1
    so.LogDet.build(so.Weights(W.to_scipy(), bounds=(-0.5, 0.5)))
    assert len(made) == 2
    so.LogDet.build(W, "eigenvalues")
    assert len(made) == 2


def test_on_disk_for_the_next_session(tmp_path, monkeypatch):
    monkeypatch.setattr(so.cache._shelf, "folder", None)
    assert so.cache.keep(tmp_path / "kept") == tmp_path / "kept" == so.cache.folder()
    W = lattice(25)
    first = so.LogDet.build(W)
    so.cache.clear()
    monkeypatch.setattr(logdet.sparse_logdet, "sparse_logdet", None)  # would fail if it were called
    again = so.LogDet.build(W)
    assert repr(again) == repr(first)
    for one, other in zip(again.record, first.record, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    so.cache.clear(disk=True)
    assert not list((tmp_path / "kept").iterdir())


def test_what_was_made_before_goes_to_disk_when_it_is_used_again(tmp_path, monkeypatch):
    monkeypatch.setattr(so.cache._shelf, "folder", None)
    W = lattice(25)
    so.LogDet.build(W)
    so.cache.keep(tmp_path)
    assert not list(tmp_path.iterdir())
    so.LogDet.build(W)
    assert len(list(tmp_path.glob("*.npz"))) == 1


def test_a_torn_file_is_made_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(so.cache._shelf, "folder", None)
    so.cache.keep(tmp_path)
    W = lattice(25)
    first = so.LogDet.build(W)
    (file,) = tmp_path.glob("*.npz")
    file.write_bytes(file.read_bytes()[:100])
    so.cache.clear()
    np.testing.assert_array_equal(so.LogDet.build(W).record.coef, first.record.coef)
    assert file.stat().st_size > 100


def frame_of(W, rho, seed=0):
    """A cross-section generated with this rho."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(1, W.n, 1))
    y = so.simulate(W.matrix, x, beta=np.array([1.0]), rho=rho, sigma=0.5, rng=rng)
    return pd.DataFrame({"y": y[0], "x": x[0, :, 0]}, index=W.ids)


@pytest.mark.parametrize("rho", [0.4, 0.997])
def test_a_fit_is_the_same_by_either_method(rho, monkeypatch):
    """Also where the posterior lies beyond the usual interval of the sparse route, which is then
    widened.
    """
    W = so.Weights(sparse.csr_array(knn(520, 5, seed=3))).row_standardize()
    frame = frame_of(W, rho)
    sparse_ml = so.SAR("y ~ x", frame, W).fit_ml()
    assert so.LogDet.build(W).method == "sparse"
    assert (sparse_ml.params["rho"] > so.LogDet.build(W).interval[1]) == (rho > 0.99)
    impacts = sparse_ml.impacts(method="delta")
    so.cache.clear()
    monkeypatch.setattr(admissible, "DENSE", 1000)
    dense_ml = so.SAR("y ~ x", frame, W).fit_ml()
    assert so.LogDet.build(W).method == "eigenvalues"
    assert sparse_ml.loglik == pytest.approx(dense_ml.loglik, abs=1e-5)
    np.testing.assert_allclose(sparse_ml.params, dense_ml.params, rtol=1e-6)
    np.testing.assert_allclose(sparse_ml.std_errors, dense_ml.std_errors, rtol=1e-4)
    np.testing.assert_allclose(impacts, dense_ml.impacts(method="delta"), rtol=1e-3)


def test_impacts_of_a_binary_w_by_either_method(monkeypatch):
    """Total impacts need iota'(I - rho W)^-1 iota where rows do not sum to one."""
    W = so.Weights((lattice(23).to_scipy() > 0).astype(float))
    frame = frame_of(W, 0.1)
    one = so.SAR("y ~ x", frame, W).fit_ml().impacts(method="delta")
    so.cache.clear()
    monkeypatch.setattr(admissible, "DENSE", 1000)
    other = so.SAR("y ~ x", frame, W).fit_ml().impacts(method="delta")
    np.testing.assert_allclose(one, other, rtol=1e-6)


def test_precision_of_the_caller_is_left_alone():
    so.LogDet.build(weights("knn"))(0.5)
    assert jax.numpy.ones(1).dtype == np.float32


@pytest.mark.parametrize("asymmetric", [False, True])
def test_beyond_a_size_a_pilot_is_refined_where_the_posterior_lies(monkeypatch, asymmetric):
    """The same estimates as by exact nodes over the whole interval."""
    W = (
        so.Weights(sparse.csr_array(knn(2000, 6, seed=1))).row_standardize()
        if asymmetric
        else lattice(45)
    )
    frame = frame_of(W, 0.6)
    exact = so.SAR("y ~ x", frame, W).fit_ml()
    so.cache.clear()
    monkeypatch.setattr(logdet, "LARGE", 1000)
    pilot = so.LogDet.build(W)
    assert (pilot.method, pilot.shift <= 0.02) == ("stochastic", True)
    assert f"{pilot.nodes} probes" in repr(pilot)
    assert "posterior shift" in repr(pilot)
    refined = so.SAR("y ~ x", frame, W).fit_ml()
    np.testing.assert_allclose(refined.params, exact.params, atol=1e-4 * exact.std_errors.max())
    np.testing.assert_allclose(refined.std_errors, exact.std_errors, rtol=1e-3)
    assert refined.loglik == pytest.approx(exact.loglik, abs=1e-4)


def test_where_factors_do_not_fit_the_probes_remain(monkeypatch):
    W = lattice(30)
    monkeypatch.setattr(
        logdet.sparse_logdet,
        "sparse_logdet",
        lambda *_, **__: (_ for _ in ()).throw(FactorMemoryError("they do not fit")),
    )
    monkeypatch.setattr(
        logdet.local_logdet,
        "refine",
        lambda *_, **__: (_ for _ in ()).throw(FactorMemoryError("they do not fit")),
    )
    assert so.LogDet.build(W).method == "stochastic"
    fit = so.SAR("y ~ x", frame_of(W, 0.5), W).fit_ml()
    assert abs(fit.params["rho"] - 0.5) < 5 * fit.std_errors["rho"]


@pytest.mark.parametrize("program", ["columbus_r", "columbus_exact"])
@pytest.mark.parametrize("method", ["eigenvalues", "sparse"])
def test_columbus_as_other_programs_have_it(columbus, reference, program, method):
    """spatialreg in R, and a dense computation that shares nothing with this one."""
    stored = reference(program)["logdet"]
    options = {} if method == "eigenvalues" else {"interval": (-0.995, 0.995), "tol": 1e-11}
    ld = so.LogDet.build(columbus[1], method, **options)
    np.testing.assert_allclose(ld(stored["rho"]), stored["value"], rtol=1e-10, atol=1e-11)
    if "derivative" in stored:
        np.testing.assert_allclose(ld.derivative(stored["rho"]), stored["derivative"], rtol=1e-8)


def test_given_bounds_hold_after_a_refinement(monkeypatch):
    monkeypatch.setattr(logdet, "LARGE", 100)
    W = so.Weights(lattice(25).to_scipy(), bounds=(-0.5, 0.9))
    usual = so.LogDet.build(W)
    refined = logdet.refine(W, usual, 0.3, 0.02)
    assert (usual.method, refined.method) == ("stochastic", "local")
    assert usual.bounds == refined.bounds == (-0.5, 0.9)
    exact = so.LogDet.build(W, "sparse")
    rho = np.linspace(0.2, 0.4, 5)
    np.testing.assert_allclose(refined(rho), exact(rho), atol=1e-6)


def test_what_the_probes_told_is_kept_with_the_record(tmp_path, monkeypatch):
    """So that a posterior found in another session is refined without new probes."""
    monkeypatch.setattr(so.cache._shelf, "folder", None)
    so.cache.keep(tmp_path)
    W = lattice(25)
    first = logdet.refine(W, so.LogDet.build(W, "stochastic"), 0.3, 0.02)
    so.cache.clear()
    monkeypatch.setattr(logdet.stochastic_logdet, "stochastic_logdet", None)
    again = logdet.refine(W, so.LogDet.build(W, "stochastic"), 0.3, 0.02)
    np.testing.assert_array_equal(again.record.coef, first.record.coef)
