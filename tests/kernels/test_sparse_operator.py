"""W x and W'x on the device against SciPy, and the laws of a linear map under every JAX
transformation.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse as sparse
from oracles import dense
from oracles.hostile import row_standardise

from spillover.kernels import sparse_operator


def star(n):
    """One hub, linked both ways with everyone: a row thousands of times longer than the others."""
    A = np.zeros((n, n))
    A[0, 1:] = A[1:, 0] = 1.0
    return row_standardise(A)


def skewed(n, seed):
    """Degrees from a power law, one way only, with unequal weights; many islands."""
    rng = np.random.default_rng(seed)
    A = np.zeros((n, n))
    for i, degree in enumerate(np.minimum((rng.pareto(0.7, n)).astype(int), n - 1)):
        A[i, rng.choice(np.delete(np.arange(n), i), degree, replace=False)] = rng.uniform(
            0.1, 2, degree
        )
    return A


def steep(n):
    """A chain whose symmetrizer spans 10^(2n): similar to a symmetric matrix, but not
    usefully so.
    """
    return np.diag(np.full(n - 1, 10.0), 1) + np.diag(np.full(n - 1, 0.1), -1)


HOSTILE = {name: W for name, (W, _) in dense.hostile().items()}
SHAPES = {
    "empty": np.zeros((5, 5)),
    "one unit": np.zeros((1, 1)),
    "two units": np.array([[0, 3.0], [0, 0]]),
    "star": star(300),
    "skewed": skewed(150, 1),
    "small skewed": skewed(40, 3),
    "dense": row_standardise(1 - np.eye(70)),
    "steep": steep(12),
}
CASES = HOSTILE | SHAPES
FEW = ["economic", "small skewed"]  # with W' = D W D^-1; with slots of W', islands and long rows
VARIANTS = [
    {"sort": sort, "similar": similar} for sort in (True, False) for similar in (None, False)
]


def rounding(W, x, dtype=float):
    """What a sum of that many products in any order may be off by."""
    return (
        2
        * np.finfo(dtype).eps
        * (np.count_nonzero(W, axis=1).max(initial=0) + 2)
        * (np.abs(W) @ np.abs(x)).max(initial=0)
        + 1e-300
    )


def vectors(n, count=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, count))


@jax.jit
def both(op, x):
    return sparse_operator.apply(op, x), sparse_operator.apply_transpose(op, x)


@pytest.mark.parametrize("name", CASES)
def test_products_are_those_of_the_matrix(name):
    W = CASES[name]
    op, x, y = (
        sparse_operator.build(sparse.csr_array(W), sort=True),
        vectors(len(W)),
        vectors(len(W), seed=1),
    )
    forward, backward = both(op, x)
    np.testing.assert_allclose(forward, sparse.csr_array(W) @ x, rtol=0, atol=rounding(W, x))
    np.testing.assert_allclose(
        backward, sparse.csr_array(W).T @ x, rtol=0, atol=4 * rounding(W.T, x)
    )
    law = 8 * rounding(W, np.abs(x)) * np.abs(y).sum()
    np.testing.assert_allclose(np.sum(y * forward), np.sum(x * both(op, y)[1]), rtol=0, atol=law)


@pytest.mark.parametrize("name", FEW)
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_every_layout_gives_the_same_products(name, variant):
    W = CASES[name]
    op, x = sparse_operator.build(sparse.csr_array(W), **variant), vectors(len(W), 1)[:, 0]
    assert (op.order is not None) == variant["sort"]
    assert (op.d is None) == (variant["similar"] is False or name != "economic")
    assert (op.backward is None) == (op.d is not None)
    forward, backward = both(op, x)
    assert forward.shape == x.shape
    np.testing.assert_allclose(forward, W @ x, rtol=0, atol=rounding(W, x))
    np.testing.assert_allclose(backward, W.T @ x, rtol=0, atol=4 * rounding(W.T, x))


@pytest.mark.parametrize("name", FEW)
def test_compiled_is_eager(name):
    W = CASES[name]
    op, x = sparse_operator.build(sparse.csr_array(W), sort=True), jnp.asarray(vectors(len(W)))
    with jax.disable_jit():
        eager = both(op, x)
    for one, other in zip(both(op, x), eager, strict=True):
        np.testing.assert_allclose(
            one, other, rtol=0, atol=4 * max(rounding(W, x), rounding(W.T, x))
        )


@pytest.mark.parametrize("name", FEW)
def test_vmap_is_a_loop(name):
    W = CASES[name]
    op, x = sparse_operator.build(sparse.csr_array(W), sort=True), vectors(len(W), 4)
    mapped = jax.vmap(both, in_axes=(None, 1), out_axes=1)(op, x)
    looped = [
        np.stack(columns, axis=1)
        for columns in zip(*[both(op, column) for column in x.T], strict=True)
    ]
    for one, other in zip(mapped, looped, strict=True):
        np.testing.assert_allclose(
            one, other, rtol=0, atol=4 * max(rounding(W, x), rounding(W.T, x))
        )


def test_operators_of_one_shape_stack_and_share_a_program():
    graphs = [
        sparse.csr_array(
            row_standardise(np.roll(np.diag(w), 1, axis=1) + np.roll(np.diag(w), -1, axis=1))
        )
        for w in vectors(2, 9) ** 2
    ]
    ops = [sparse_operator.build(W, sort=True, similar=False) for W in graphs]
    x = vectors(9, 2)
    before = sparse_operator.apply(ops[0], x), sparse_operator.apply._cache_size()
    for op, W in zip(ops, graphs, strict=True):
        np.testing.assert_allclose(sparse_operator.apply(op, x), W @ x, atol=1e-14)
    assert sparse_operator.apply._cache_size() == before[1]
    stack = jax.tree.map(lambda *leaves: jnp.stack(leaves), *ops)
    np.testing.assert_allclose(
        jax.vmap(sparse_operator.apply, in_axes=(0, None))(stack, x),
        np.stack([W @ x for W in graphs]),
        atol=1e-14,
    )


@pytest.mark.parametrize("name", FEW)
@pytest.mark.parametrize("product", [sparse_operator.apply, sparse_operator.apply_transpose])
def test_derivatives(name, product):
    """Of f(x) = sum sin(A x): gradient by finite differences and A' cos(A x), tangent A t, Hessian
    -A' diag(sin A x) A.
    """
    W = CASES[name]
    A = W if product is sparse_operator.apply else W.T
    op, x, t = (
        sparse_operator.build(sparse.csr_array(W), sort=True),
        jnp.asarray(vectors(len(W), 1)[:, 0]),
        vectors(len(W), 1, 2)[:, 0],
    )
    scale = np.abs(A).sum(axis=0).max() * np.abs(A).sum(axis=1).max() + 1

    def function(x):
        return jnp.sum(jnp.sin(product(op, x)))

    gradient = jax.jit(jax.grad(function))
    np.testing.assert_allclose(gradient(x), A.T @ np.cos(A @ x), atol=1e-14 * scale)
    step = 1e-5
    np.testing.assert_allclose(
        (function(x + step * t) - function(x - step * t)) / (2 * step),
        gradient(x) @ t,
        atol=1e-8 * scale**1.5,
    )
    np.testing.assert_allclose(
        jax.jvp(lambda x: product(op, x), (x,), (jnp.asarray(t),))[1], A @ t, atol=1e-14 * scale
    )
    curvature = jax.jvp(gradient, (x,), (jnp.asarray(t),))[1]
    np.testing.assert_allclose(curvature, -A.T @ (np.sin(A @ x) * (A @ t)), atol=1e-13 * scale)


def scatters(function, *arguments):
    return str(jax.make_jaxpr(function)(*arguments)).count("scatter")


@pytest.mark.parametrize("name", [*FEW, "directed_ring"])
def test_the_backward_pass_is_the_transposed_product_and_scatters_nothing_more(name):
    op, x = (
        sparse_operator.build(sparse.csr_array(CASES[name]), sort=True),
        jnp.ones(len(CASES[name])),
    )
    pullback = jax.linear_transpose(lambda x: sparse_operator.apply(op, x), x)
    assert scatters(pullback, x) == scatters(lambda x: sparse_operator.apply_transpose(op, x), x)
    assert np.array_equal(pullback(x)[0], sparse_operator.apply_transpose(op, x))
    if name == "directed_ring":
        assert scatters(pullback, x) == 0


@pytest.mark.parametrize("name", FEW)
def test_single_precision(name):
    W = CASES[name]
    op, x = (
        sparse_operator.build(sparse.csr_array(W), np.float32),
        vectors(len(W)).astype(np.float32),
    )
    with jax.enable_x64(False):
        forward, backward = both(op, x)
    assert forward.dtype == backward.dtype == np.float32
    np.testing.assert_allclose(
        forward, W @ x.astype(float), rtol=0, atol=rounding(W, x, np.float32)
    )
    np.testing.assert_allclose(
        backward, W.T @ x.astype(float), rtol=0, atol=4 * rounding(W.T, x, np.float32)
    )


def test_every_leaf_is_an_array_and_indices_are_short():
    for variant in VARIANTS:
        op = sparse_operator.build(sparse.csr_array(CASES["economic"]), **variant)
        leaves = jax.tree.leaves(op)
        assert all(isinstance(leaf, jax.Array) for leaf in leaves)
        assert {leaf.dtype for leaf in leaves} == {np.dtype("int32"), np.dtype("float64")}


def test_a_long_row_costs_its_own_length():
    """A star of 300: one slot a row, and the hub in pieces."""
    slots = sparse_operator.build(sparse.csr_array(star(300))).forward
    assert slots.columns.shape == (1, 300)
    assert slots.more_columns.size < 2 * 300
    assert slots.more_columns.shape[0] == sparse_operator.BLOCK


def test_sorting_is_chosen_where_links_are_long_and_an_order_shortens_them():
    n = 4 * sparse_operator.NEAR
    chain = sparse.csr_array(sparse.diags_array([np.ones(n - 1), np.ones(n - 1)], offsets=[1, -1]))
    shuffle = np.random.default_rng(3).permutation(n)
    mixed = sparse.csr_array(chain[shuffle][:, shuffle])
    assert sparse_operator.build(chain).order is None
    op = sparse_operator.build(mixed)
    assert sorted(np.asarray(op.order)) == list(range(n))
    x = vectors(n, 2)
    np.testing.assert_allclose(sparse_operator.apply(op, x), mixed @ x, atol=1e-14)
    inside = np.abs(np.asarray(op.forward.columns) - np.arange(n))
    assert np.median(inside) <= 2
    np.testing.assert_array_equal(sparse_operator.leave(op, sparse_operator.enter(op, x)), x)


def test_a_steep_symmetrizer_is_not_used():
    assert sparse_operator.build(sparse.csr_array(steep(12)), similar=None).d is None
    assert sparse_operator.build(sparse.csr_array(CASES["economic"])).d is not None
