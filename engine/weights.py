"""Spatial weights: one frozen record of a checked matrix and the labels of its units."""

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sparse
import scipy.sparse.csgraph as csgraph
import scipy.sparse.linalg

from spillover.kernels import nodes, spectrum
from spillover.kernels.errors import WeightsError

STANDARD = 1e-10  # a row sum this close to 1 is 1
SAME = 1e-12  # numbers this close, relative to the largest, are equal
Bounds = tuple[float, float] | None
SHOWN = 5  # labels an error message names before it counts the rest


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Weights:
    """A spatial weights matrix W (n, n), w_ij >= 0 the influence of unit j on unit i, w_ii = 0, with a label for each unit.

    (W x)_i = sum_j w_ij x_j: row i holds the neighbours of unit i. The values are kept as they are given, in float64;
    `row_standardize` and `spectral_standardize` return new weights.

    Parameters: `matrix`, scipy.sparse, an (n, n) array, or a DataFrame with the units as its index and its columns; `ids`, n unique
    labels (default 0 … n-1); `islands`, "error" or "allow" for units without neighbours; `bounds`, an interval of rho around 0
    to use in place of the one worked out from the eigenvalues (an acyclic W needs it).

    Raises WeightsError for a matrix that is not square, holds NaN, infinite or negative values or a non-zero diagonal, for islands,
    and for ids that are missing, repeated or of the wrong number.

    >>> W = Weights([[0, 1, 1], [1, 0, 0], [2, 0, 0]], ids=["a", "b", "c"])
    >>> W.row_standardize() @ pd.Series({"c": 4.0, "b": 2.0, "a": 1.0})
    c    1.0
    b    1.0
    a    3.0
    dtype: float64

    Source: LeSage & Pace (2009), Introduction to Spatial Econometrics, 1.2 and 4.3.2.
    """

    matrix: sparse.csr_array  # read-only: sorted indices, no explicit zeros
    ids: pd.Index
    transform: str  # "raw" | "row" | "spectral"
    islands_allowed: bool
    given_bounds: Bounds

    def __init__(self, matrix: Any, ids: Any = None, *, islands: str = "error", bounds: Bounds = None) -> None:
        if islands not in ("error", "allow"):
            raise WeightsError(f'islands={islands!r}: say "error" (refuse units without neighbours) or "allow" (keep them as zero rows).')
        if isinstance(matrix, pd.DataFrame):
            from spillover.engine.weights_files import square

            matrix, ids = square(matrix, ids)
        checked = _csr(matrix)
        labels = as_index(np.arange(checked.shape[0]) if ids is None else ids, checked.shape[0])
        _check_values(checked, labels)
        lonely = labels[np.diff(checked.indptr) == 0]
        if len(lonely) and islands == "error":
            who = f"{len(lonely)} of {len(labels)} units have no neighbours: {few(lonely)}"
            raise WeightsError(f'{who}. Give them neighbours, leave them out, or keep them as zero rows with islands="allow".')
        for part in (checked.data, checked.indices, checked.indptr):
            part.flags.writeable = False
        vars(self).update(matrix=checked, ids=labels, transform="raw", islands_allowed=islands == "allow", given_bounds=_interval(bounds))

    @classmethod
    def from_edges(
        cls,
        frame: pd.DataFrame,
        origin: str,
        destination: str,
        weight: str | None = None,
        ids: Any = None,
        *,
        islands: str = "error",
        bounds: Bounds = None,
    ) -> "Weights":
        """Weights from a table with one link a row: w_ij is the weight of the row with origin i and destination j (default 1).

        `ids` gives the units and their order (default: the sorted union of the labels of both columns). A self-link of weight 0
        declares a unit and adds no link. Raises WeightsError for columns that are not there, missing labels, labels not in `ids`
        and repeated links.

        >>> edges = pd.DataFrame({"from": ["a", "b", "b"], "to": ["b", "a", "c"], "trade": [2.0, 1.0, 3.0]})
        >>> Weights.from_edges(edges, "from", "to", "trade", islands="allow").to_scipy().toarray()
        array([[0., 2., 0.],
               [1., 0., 3.],
               [0., 0., 0.]])
        """
        from spillover.engine.weights_files import table_links

        return cls(*table_links(frame, origin, destination, weight, ids), islands=islands, bounds=bounds)

    @classmethod
    def from_libpysal(cls, w_or_graph: Any, *, islands: str = "error", bounds: Bounds = None) -> "Weights":
        """Weights from a `libpysal.weights.W` or a `libpysal.graph.Graph`: its values under its present transform, its units in its order.

        >>> from libpysal.weights import W as PysalW
        >>> Weights.from_libpysal(PysalW({"a": ["b"], "b": ["a", "c"], "c": ["b"]}))
        Weights(n=3, links=4, mean neighbours=1.33, max neighbours=2, islands=0, transform='raw')
        """
        from spillover.engine.weights_files import libpysal_links

        return cls(*libpysal_links(w_or_graph), islands=islands, bounds=bounds)

    @property
    def n(self) -> int:
        """The number of units."""
        return self.matrix.shape[0]

    @property
    def islands(self) -> list:
        """The labels of the units without neighbours."""
        return self.ids[np.diff(self.matrix.indptr) == 0].tolist()

    @cached_property
    def is_symmetric(self) -> bool:
        """Whether w_ij = w_ji for all i, j, to 1e-12 of the largest weight."""
        return bool(abs(self.matrix - self.matrix.T).max() <= SAME * self.matrix.max())

    @cached_property
    def is_row_standardized(self) -> bool:
        """Whether every row sums to 1 within 1e-10, however it came to; False with islands."""
        return bool((np.abs(self.matrix.sum(axis=1) - 1) <= STANDARD).all())

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """The admissible interval (1/omega_min, 1/omega_max) of rho, or the one given if it lies inside.

        omega are the extreme real eigenvalues; where a sign is missing, -1 or +1 over the spectral radius. Above 500 units of sparse W
        the lower end may be up to 0.1 % short.
        Raises WeightsError for an acyclic W without given bounds, and for given bounds that reach a singular I - rho W.

        >>> Weights([[0, 2], [2, 0]]).bounds
        (-0.5, 0.5)
        """
        if self.given_bounds is None:
            return nodes.interval(self.matrix)
        _check_admissible(self.matrix, self.given_bounds)
        return self.given_bounds

    @cached_property
    def digest(self) -> str:
        """The sha256 of shape, indptr, indices and data, in hex: equal for equal matrices, whatever their labels."""
        parts = (np.array(self.matrix.shape), self.matrix.indptr, self.matrix.indices)
        content = b"".join(part.astype("<i8").tobytes() for part in parts) + self.matrix.data.astype("<f8").tobytes()
        return hashlib.sha256(content).hexdigest()

    def row_standardize(self) -> "Weights":
        """w_ij / sum_j w_ij: every row sums to 1, islands stay zero rows.

        Given bounds do not carry over (they were for other values) unless W is acyclic.

        >>> Weights([[0, 1, 3], [1, 0, 0], [1, 0, 0]]).row_standardize().to_scipy().toarray()[0]
        array([0.  , 0.25, 0.75])
        """
        if self.transform == "row":
            return self
        sums = np.asarray(self.matrix.sum(axis=1))
        scaled = self.matrix.copy()
        scaled.data = self.matrix.data / np.repeat(sums, np.diff(self.matrix.indptr))
        return self._derived(scaled, self.ids, "row", self.given_bounds if acyclic(scaled) else None)

    def spectral_standardize(self) -> "Weights":
        """W / max |omega|: spectral radius 1, the ratios of all weights kept; given bounds are scaled along.

        Raises WeightsError for an acyclic W, whose spectral radius is 0. Source: Kelejian & Prucha (2010, J. Econometrics 157).

        >>> Weights([[0, 4], [1, 0]]).spectral_standardize().to_scipy().toarray()
        array([[0. , 2. ],
               [0.5, 0. ]])
        """
        if self.transform == "spectral":
            return self
        radius = spectral_radius(self.matrix)
        if radius == 0.0:
            raise WeightsError("W has no cycle of links, so its spectral radius is 0: use row_standardize().")
        bounds = None if self.given_bounds is None else (self.given_bounds[0] * radius, self.given_bounds[1] * radius)
        return self._derived(self.matrix / radius, self.ids, "spectral", bounds)

    def lag(self, x: Any) -> Any:
        """W x, the weighted sum over each unit's neighbours; also written W @ x.

        `x`: an array (n,) or (n, k) in the order of `ids`, or a Series or DataFrame in any order, matched to `ids` by its index
        and returned with that index in that order. A NaN spreads to the units it is a neighbour of.
        Raises WeightsError for another shape, for values that are not numbers and for labels that do not match.

        >>> Weights([[0, 1], [2, 0]]).lag(np.array([10.0, 1.0]))
        array([ 1., 20.])
        """
        values = as_numbers(x, "x")
        if not isinstance(x, pd.Series | pd.DataFrame):
            if values.ndim not in (1, 2) or len(values) != self.n:
                raise WeightsError(f"x has shape {values.shape}: give ({self.n},) or ({self.n}, k), one row a unit in the order of W.ids.")
            return self.matrix @ values
        order = align(self.ids, x.index)
        lagged = np.empty_like(values)
        lagged[order] = self.matrix @ values[order]
        return pd.Series(lagged, x.index, name=x.name) if x.ndim == 1 else pd.DataFrame(lagged, x.index, x.columns)

    __matmul__ = lag
    __array_ufunc__ = None  # array @ W is an error, not an attempt to broadcast

    def __getitem__(self, labels: Any) -> "Weights":
        """The weights among the units named, in the order named: W[["b", "a"]].

        Raises WeightsError for unknown or repeated labels, and for islands that arise unless islands="allow" was set. Leaving units
        out undoes a standardisation: `transform` is then "raw" again.

        >>> Weights([[0, 1, 2], [3, 0, 4], [5, 6, 0]], ids=list("abc"))[["c", "a"]].to_scipy().toarray()
        array([[0., 5.],
               [2., 0.]])
        """
        if isinstance(labels, str | slice) or not isinstance(labels, Iterable):
            raise WeightsError(f"W[{labels!r}]: give a list of labels, e.g. W[W.ids[:10]] or W[['a', 'b']].")
        if np.asarray(labels).dtype == bool and self.ids.dtype != bool:
            raise WeightsError("W[mask]: give labels, not true and false: W[W.ids[mask]].")
        wanted = as_index(labels)
        where = self.ids.get_indexer(wanted)
        if (where < 0).any():
            raise WeightsError(f"not among the ids of W: {few(wanted[where < 0])}.{type_hint(self.ids, wanted)}")
        whole = len(where) == self.n
        part = self.matrix[where][:, where]
        bounds = self.given_bounds if whole or acyclic(part) else None
        return self._derived(part, self.ids[where], self.transform if whole else "raw", bounds)

    def to_scipy(self) -> sparse.csr_array:
        """A copy of the matrix, free to change."""
        return self.matrix.copy()

    def to_libpysal(self) -> Any:
        """The same weights as a `libpysal.weights.W` (for a graph: `libpysal.graph.Graph.from_W`); needs the `geo` extra."""
        from spillover.engine.weights_files import libpysal_weights

        return libpysal_weights(self)

    def _derived(self, matrix: sparse.csr_array, ids: pd.Index, transform: str, bounds: Bounds) -> "Weights":
        new = Weights(matrix, ids, islands="allow" if self.islands_allowed else "error", bounds=bounds)
        vars(new)["transform"] = transform
        return new

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Weights):
            return NotImplemented
        return self.digest == other.digest and self.ids.equals(other.ids) and self.given_bounds == other.given_bounds

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        k = np.diff(self.matrix.indptr)
        size = f"n={self.n}, links={self.matrix.nnz}, mean neighbours={k.mean():.2f}, max neighbours={k.max()}"
        return f"Weights({size}, islands={(k == 0).sum()}, transform={self.transform!r})"


def align(ids: pd.Index, labels: Any) -> np.ndarray:
    """The positions (n,) at which each of `ids` stands in `labels`, so that labels[positions] = ids.

    Raises WeightsError naming the repeated labels, or those found on one side only.

    >>> align(pd.Index(["a", "b", "c"]), ["c", "a", "b"])
    array([1, 2, 0])
    """
    found = as_labels(labels)
    if isinstance(found, pd.MultiIndex):
        raise WeightsError(f"the data have an index of the levels {few(found.names)}: give one row a unit, indexed by the unit.")
    if found.has_duplicates:
        raise WeightsError(f"the data repeat the units {few(found[found.duplicated()].unique())}: give one row a unit.")
    positions = found.get_indexer(ids)
    extra, missing = found[ids.get_indexer(found) < 0], ids[positions < 0]
    if len(extra) or len(missing):
        both = (("in the data but not in W", extra), ("in W but not in the data", missing))
        sides = "; ".join(f"{side}: {few(units)}" for side, units in both if len(units))
        raise WeightsError(f"the units of the data are not those of W; {sides}.{type_hint(ids, found)}")
    return positions


def spectral_radius(matrix: sparse.csr_array) -> float:
    """max |omega| over the eigenvalues of a non-negative W, which is its largest real eigenvalue (Perron-Frobenius)."""
    sums = np.asarray(matrix.sum(axis=1))
    if np.ptp(sums) <= SAME * sums.max():  # the radius lies between the least and the greatest row sum
        return float(sums.max())
    if matrix.shape[0] <= spectrum.DENSE_LIMIT:
        return float(np.abs(spectrum.eigenvalues(matrix)).max())
    if acyclic(matrix):
        return 0.0
    start = np.random.default_rng(0).uniform(0.5, 1.5, matrix.shape[0])  # positive, so not orthogonal to the Perron vector; fixed
    return float(scipy.sparse.linalg.eigs(matrix, k=1, which="LR", v0=start, return_eigenvectors=False)[0].real)


def acyclic(matrix: sparse.csr_array) -> bool:
    """Whether no unit is reached from itself along the links, so that every eigenvalue is 0."""
    return csgraph.connected_components(matrix, directed=True, connection="strong", return_labels=False) == matrix.shape[0]


def few(labels: Any, show: Callable[[Any], str] = repr) -> str:
    """The first few labels for an error message, and how many more there are."""
    texts = [show(label.item() if isinstance(label, np.generic) else label) for label in labels[:SHOWN]]
    return ", ".join(texts) + (f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else "")


def link_name(ids: pd.Index, i: int, j: int) -> str:
    return f"{few(ids[[i]])} → {few(ids[[j]])}"


def type_hint(ids: pd.Index, labels: pd.Index) -> str:
    """A hint for labels of another type than the ids, like 1 and '1'."""
    ours, theirs = ids.inferred_type, labels.inferred_type
    return "" if ours == theirs or not len(labels) else f" The ids are of type {ours}, those labels of type {theirs}: convert one of them."


def _csr(matrix: Any) -> sparse.csr_array:
    """A float64 CSR copy with sorted indices and no explicit zeros."""
    if not sparse.issparse(matrix):
        matrix = as_numbers(matrix, "the matrix")
    elif matrix.dtype.kind not in "biuf":
        raise WeightsError(f"the matrix holds {matrix.dtype} values: weights are real numbers.")
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] == 0:
        raise WeightsError(f"the matrix has shape {matrix.shape}: weights are square and not empty, one row and one column a unit.")
    csr = sparse.csr_array(matrix, dtype=np.float64, copy=True)
    csr.sum_duplicates()
    csr.eliminate_zeros()
    kind = np.int32 if max(csr.nnz, csr.shape[0]) <= np.iinfo(np.int32).max else np.int64  # sparse factorisations want 32 bits
    return sparse.csr_array((csr.data, csr.indices.astype(kind), csr.indptr.astype(kind)), shape=csr.shape)


def as_numbers(values: Any, what: str) -> np.ndarray:
    """A float64 array of what a user gave, without turning text or complex values into numbers."""
    table = isinstance(values, pd.Series | pd.DataFrame)
    array = values.to_numpy(na_value=np.nan) if table else np.asarray(values)
    text = array.dtype.kind == "O" and any(isinstance(value, str) for value in array.flat)
    if array.dtype.kind in "biufO" and not text:
        with suppress(TypeError, ValueError):
            return array.astype(np.float64)
    columns = [name for name, kind in values.dtypes.items() if kind.kind not in "biuf"] if isinstance(values, pd.DataFrame) else []
    where = f"look at the columns {few(columns)}" if columns else f"this is a {type(values).__name__} of type {array.dtype}"
    raise WeightsError(f"{what} must be real numbers, as an array or a table: {where}.")


def as_labels(labels: Any) -> pd.Index:
    return labels if isinstance(labels, pd.Index) else pd.Index(labels, tupleize_cols=False)


def as_index(ids: Any, n: int | None = None) -> pd.Index:
    """The labels as an index that is flat, complete, unique and, where n is given, of that length."""
    try:
        index = as_labels(ids).copy(deep=True)
    except (TypeError, ValueError) as error:
        raise WeightsError(f"ids must be a list of labels, one a unit, not {ids!r}.") from error
    if isinstance(index, pd.MultiIndex):
        raise WeightsError(f"ids have the levels {few(index.names)}: give one label a unit.")
    if n is not None and len(index) != n:
        raise WeightsError(f"{len(index)} ids for {n} units: give one id for each row of the matrix.")
    if index.hasnans:
        raise WeightsError(f"{index.isna().sum()} ids are missing, the first at position {index.isna().argmax()}: label every unit.")
    if index.has_duplicates:
        raise WeightsError(f"ids occur more than once: {few(index[index.duplicated()].unique())}. Give each unit its own.")
    return index


def _check_values(csr: sparse.csr_array, ids: pd.Index) -> None:
    rows = np.repeat(np.arange(csr.shape[0]), np.diff(csr.indptr))
    for bad, what, way_out in (
        (~np.isfinite(csr.data), "NaN or infinite", "Give a number, or 0 for no link."),
        (csr.data < 0, "negative", "Weights say how near two units are: 0 for no link, more for nearer."),
        (rows == csr.indices, "on the diagonal", "No unit is its own neighbour: set the diagonal to 0."),
    ):
        if bad.any():
            where = np.flatnonzero(bad).tolist()
            cells = few(where, lambda e: f"{link_name(ids, rows[e], csr.indices[e])} = {csr.data[e]}")
            raise WeightsError(f"{len(where)} weights are {what}: {cells}. {way_out}")


def _interval(bounds: Any) -> tuple[float, float] | None:
    if bounds is None:
        return None
    given = as_numbers(bounds, "bounds")
    if given.shape != (2,) or not np.isfinite(given).all() or not given[0] < 0 < given[1]:
        raise WeightsError(f"bounds={bounds!r}: give two numbers around 0, e.g. (-1, 1); a prior can restrict rho further.")
    return float(given[0]), float(given[1])


def _check_admissible(matrix: sparse.csr_array, given: tuple[float, float]) -> None:
    """Refuse bounds outside the admissible interval, without eigenvalues where a row or column sum already bounds the radius."""
    reach = max(-given[0], given[1])
    if acyclic(matrix) or reach * min(matrix.sum(axis=0).max(), matrix.sum(axis=1).max()) <= 1 + SAME:
        return
    lower, upper = nodes.interval(matrix)
    if matrix.shape[0] > nodes.DENSE:
        lower = -np.inf  # there the lower end is a cautious one; factorisations that turn out singular refuse the rest
    if given[0] < lower * (1 + STANDARD) or given[1] > upper * (1 + STANDARD):
        raise WeightsError(f"bounds={given} reach beyond the admissible ({lower:.6g}, {upper:.6g}): narrow them, or leave them out.")
