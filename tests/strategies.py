"""Random inputs for properties: weights that break careless code, well and badly scaled numbers,
hostile labels and frames.

`properties(examples)` runs a test on a few examples in `make test`; its twin marked `verify` runs
on many. Both are derandomised, so that a failure is there again the next time, and keep no
database.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

QUIET = [
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.filter_too_much,
    HealthCheck.differing_executors,
]
PHASES = (Phase.explicit, Phase.generate, Phase.shrink)


def properties(examples: int) -> Callable:
    """Settings: `examples` of them, the same every time, no deadline, nothing kept on disk."""
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=QUIET,
        phases=PHASES,
        print_blob=False,
    )


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def ring(n: int, seed: int) -> np.ndarray:
    """Each unit follows the next one: every eigenvalue but one or two is complex."""
    A = np.zeros((n, n))
    A[np.arange(n), (np.arange(n) + 1) % n] = _rng(seed).uniform(0.5, 2.0, n)
    return A


def star(n: int, seed: int) -> np.ndarray:
    """All linked to one, there and back: n - 2 eigenvalues are 0."""
    A = np.zeros((n, n))
    A[0, 1:], A[1:, 0] = _rng(seed).uniform(0.1, 3.0, (2, n - 1))
    return A


def chain(n: int, seed: int) -> np.ndarray:
    """One-way links along a line and one pair at its end: a defective eigenvalue 0, far from
    normal.
    """
    A = np.diag(_rng(seed).uniform(0.5, 5.0, n - 1), 1)
    A[-1, -2] = 1.0
    return A


def components(n: int, seed: int) -> np.ndarray:
    """Two parts without a link between them, one much heavier than the other."""
    rng, half = _rng(seed), n // 2
    A = np.zeros((n, n))
    A[:half, :half] = rng.uniform(0.1, 1.0, (half, half))
    A[half:, half:] = 1e3 * rng.uniform(0.1, 1.0, (n - half, n - half))
    return _hollow(A)


def islands(n: int, seed: int) -> np.ndarray:
    """Units without a neighbour among others that have some."""
    A = sparse_asymmetric(n, seed)
    lonely = _rng(seed).choice(n, max(n // 4, 1), replace=False)
    A[lonely], A[:, lonely] = 0.0, 0.0
    rest = np.setdiff1d(np.arange(n), lonely)[:2]
    A[rest[0], rest[1]] = A[rest[1], rest[0]] = 1.0
    return A


def sinks(n: int, seed: int) -> np.ndarray:
    """Rows of zeros that others still point to."""
    A = sparse_asymmetric(n, seed)
    A[_rng(seed).integers(n)] = 0.0
    return A if np.any(np.linalg.matrix_power(A > 0, n)) else A + ring(n, seed)


def binary(n: int, seed: int) -> np.ndarray:
    """Symmetric 0/1 links; a path keeps it in one piece."""
    A = np.triu(_rng(seed).uniform(size=(n, n)) < 0.3, 1).astype(float)
    A[np.arange(n - 1), np.arange(1, n)] = 1.0
    return A + A.T


def sparse_asymmetric(n: int, seed: int) -> np.ndarray:
    """A third of the links, log-normal weights, on top of a ring."""
    rng = _rng(seed)
    return _hollow(
        (rng.uniform(size=(n, n)) < 0.3) * rng.lognormal(size=(n, n)) + ring(n, seed + 1)
    )


def uneven(n: int, seed: int) -> np.ndarray:
    """Weights that span ten orders of magnitude."""
    return _hollow(10.0 ** _rng(seed).uniform(-5, 5, (n, n)))


def alike(n: int, seed: int) -> np.ndarray:
    """Everyone a neighbour of everyone, nearly the same weight: n - 1 eigenvalues within 1e-9 of
    each other.
    """
    return _hollow(1.0 + 1e-9 * _rng(seed).uniform(size=(n, n)))


def bipartite(n: int, seed: int) -> np.ndarray:
    """Links between two halves only: for each eigenvalue its negative."""
    half = n // 2
    A = np.zeros((n, n))
    A[:half, half:] = _rng(seed).uniform(0.5, 1.5, (half, n - half))
    return A + A.T


SHAPES = (
    ring,
    star,
    chain,
    components,
    islands,
    sinks,
    binary,
    sparse_asymmetric,
    uneven,
    alike,
    bipartite,
)


def _hollow(A: np.ndarray) -> np.ndarray:
    np.fill_diagonal(A, 0.0)
    return A


def _row_standardised(A: np.ndarray) -> np.ndarray:
    sums = A.sum(axis=1, keepdims=True)
    return np.divide(A, sums, out=np.zeros_like(A), where=sums > 0)


@st.composite
def matrices(draw: st.DrawFn, n: int, shapes: tuple = SHAPES, *, scaled: bool = True) -> np.ndarray:
    """W (n, n): one of the shapes, its units permuted, as it is, row-standardised, or `scaled` by
    1e-8 ... 1e8.
    """
    A = draw(st.sampled_from(shapes))(n, draw(st.integers(0, 2**16)))
    order = np.array(draw(st.permutations(range(n))))
    A = A[np.ix_(order, order)]
    kind = draw(st.sampled_from(("raw", "row", "scaled") if scaled else ("raw", "row")))
    if kind == "row":
        return _row_standardised(A)
    return A * 10.0 ** draw(st.integers(-8, 8)) if kind == "scaled" else A


# Where in the admissible interval: the middle, either side, and within a millionth of its ends.
shares = st.one_of(st.floats(0.001, 0.999), st.sampled_from([1e-6, 1e-4, 0.5, 1 - 1e-4, 1 - 1e-6]))
scales = st.integers(-8, 8).map(lambda power: 10.0**power)
seeds = st.integers(0, 2**16)

_words = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp", "Cn", "Co")),
    min_size=1,
    max_size=8,
)


@st.composite
def labels(draw: st.DrawFn, n: int) -> pd.Index:
    """n labels that differ: whole numbers, half ones, dates, or text of any script, none the same
    but for case or blanks.
    """
    kind = draw(st.sampled_from(("int", "float", "date", "text")))
    if kind == "text":
        return pd.Index(
            draw(
                st.lists(
                    _words, min_size=n, max_size=n, unique_by=lambda word: word.strip().casefold()
                )
            ),
            dtype=object,
        )
    numbers = draw(st.lists(st.integers(-(2**40), 2**40), min_size=n, max_size=n, unique=True))
    if kind == "date":
        seconds = [number % 2**20 * 97 + i for i, number in enumerate(numbers)]
        return pd.DatetimeIndex(pd.Timestamp("2000-01-01") + pd.to_timedelta(seconds, "s"))
    return pd.Index(numbers, dtype="int64") if kind == "int" else pd.Index(np.array(numbers) + 0.5)


# What is wrong with a frame: a name, and what makes it so of the columns unit, year, y, x1, x2.
def _cell(column: str, value: object) -> Callable[[pd.DataFrame, int], pd.DataFrame]:
    def spoil(frame: pd.DataFrame, row: int) -> pd.DataFrame:
        values = frame[column].astype(object)
        values.iloc[row] = value
        numbers = column != "unit" and not isinstance(value, str)
        return frame.assign(**{column: values.astype(float) if numbers else values})

    return spoil


SPOILT: dict[str, Callable[[pd.DataFrame, int], pd.DataFrame]] = {
    "missing x": _cell("x1", np.nan),
    "infinite x": _cell("x1", np.inf),
    "minus infinite y": _cell("y", -np.inf),
    "missing y": _cell("y", np.nan),
    "text in x": _cell("x2", "1,234"),
    "missing unit": _cell("unit", None),
    "unknown unit": _cell("unit", "nowhere"),
    "missing period": _cell("year", np.nan),
    "row twice": lambda frame, row: pd.concat([frame, frame.iloc[[row]]]),
    "row left out": lambda frame, row: frame.drop(index=frame.index[row]),
    "column twice": lambda frame, _: pd.concat([frame, frame[["x1"]]], axis=1),
    "no rows": lambda frame, _: frame.iloc[:0],
    "no column": lambda frame, _: frame.drop(columns="x1"),
    "constant x": lambda frame, _: frame.assign(x1=3.0),
    "copied x": lambda frame, _: frame.assign(x2=3 * frame["x1"] - 1),
    "constant y": lambda frame, _: frame.assign(y=2.0),
}
