"""Spatial weights: one frozen record of a checked matrix and the labels of its units."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sparse

from spillover.engine.labels import align, as_index, as_numbers, few, type_hint
from spillover.engine.storage.reading import shown
from spillover.engine.weights.checks import (
    SAME,
    STANDARD,
    Bounds,
    acyclic,
    as_csr,
    as_interval,
    check_admissible,
    check_islands,
    check_values,
    spectral_radius,
    warn_of_short_floats,
)
from spillover.kernels import admissible
from spillover.kernels.arguments import front_doors
from spillover.kernels.errors import WeightsError


@front_doors
@dataclass(frozen=True, init=False, eq=False, repr=False)
class Weights:
    """A spatial weights matrix W (n, n), w_ij >= 0 the influence of unit j on unit i, w_ii = 0,
    with a label for each unit.

    (W x)_i = sum_j w_ij x_j: row i holds the neighbours of unit i. The values are kept as they are
    given, in float64; `row_standardize` and `spectral_standardize` return new weights.

    Parameters: `matrix`, scipy.sparse, an (n, n) array, or a DataFrame with the units as its index
    and its columns; `ids`, n unique labels (default 0 … n-1); `islands`, "error" or "allow" for
    units without neighbours; `bounds`, an interval of rho around 0 to use in place of the one
    worked out from the eigenvalues (an acyclic W needs it).

    True counts as 1, masked as NaN; entries that a sparse matrix stores more than once are summed,
    as SciPy does. Rows that sum to 1 in float32 only are warned of: in float64 W is not
    row-standardised.

    Raises WeightsError for a matrix that is not square, holds NaN, infinite or negative values, a
    non-zero diagonal or anything but numbers, for islands, and for ids that are missing, repeated,
    unordered (a set), of the wrong number, or the same but for their type or blanks, like 1 and
    "1".

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

    def __init__(
        self, matrix: Any, ids: Any = None, *, islands: str = "error", bounds: Bounds = None
    ) -> None:
        check_islands(islands)
        if isinstance(matrix, pd.DataFrame):
            from spillover.engine.weights.files import square

            matrix, ids = square(matrix, ids)
        checked = as_csr(matrix)
        labels = as_index(np.arange(checked.shape[0]) if ids is None else ids, checked.shape[0])
        check_values(checked, labels)
        lonely = labels[np.diff(checked.indptr) == 0]
        if len(lonely) and islands == "error":
            who = f"{len(lonely)} of {len(labels)} units have no neighbours: {few(lonely)}"
            raise WeightsError(
                f"{who}. Give them neighbours, leave them out, or keep them as zero rows with"
                ' islands="allow".'
            )
        warn_of_short_floats(getattr(matrix, "dtype", None), checked)
        for part in (checked.data, checked.indices, checked.indptr):
            part.flags.writeable = False
        vars(self).update(
            matrix=checked,
            ids=labels,
            transform="raw",
            islands_allowed=islands == "allow",
            given_bounds=as_interval(bounds),
        )

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
        """Weights from a table with one link a row: w_ij is the weight of the row with origin i and
        destination j (default 1).

        `ids` gives the units and their order (default: the sorted union of the labels of both
        columns). A self-link of weight 0 declares a unit and adds no link. Raises WeightsError for
        columns that are not there, missing or empty labels, labels that are the same but for their
        type or blanks, labels not in `ids` and repeated links.

        >>> edges = pd.DataFrame(
        ...     {"from": ["a", "b", "b"], "to": ["b", "a", "c"], "trade": [2.0, 1.0, 3.0]}
        ... )
        >>> Weights.from_edges(edges, "from", "to", "trade", islands="allow").to_scipy().toarray()
        array([[0., 2., 0.],
               [1., 0., 3.],
               [0., 0., 0.]])
        """
        from spillover.engine.weights.files import table_links

        return cls(
            *table_links(frame, origin, destination, weight, ids), islands=islands, bounds=bounds
        )

    @classmethod
    def from_libpysal(
        cls, w_or_graph: Any, *, islands: str = "error", bounds: Bounds = None
    ) -> "Weights":
        """Weights from a `libpysal.weights.W` or a `libpysal.graph.Graph`: its values under its
        present transform, its units in its order.

        >>> from libpysal.weights import W as PysalW
        >>> Weights.from_libpysal(PysalW({"a": ["b"], "b": ["a", "c"], "c": ["b"]}))
        Weights(n=3, links=4, mean neighbours=1.33, max neighbours=2, islands=0, transform='raw')
        """
        from spillover.engine.weights.files import libpysal_links

        return cls(*libpysal_links(w_or_graph), islands=islands, bounds=bounds)

    @classmethod
    def contiguity(
        cls, geodataframe: Any, *, rook: bool = False, islands: str = "error"
    ) -> "Weights":
        """w_ij = 1 for polygons that share a vertex (queen) or, with `rook`, an edge; ids from the
        frame's index; needs the `geo` extra.

        A border counts where both polygons have its vertices. Raises WeightsError for repeated
        labels, for what is no polygon, and for islands.

        >>> import geopandas, shapely
        >>> squares = geopandas.GeoDataFrame(
        ...     geometry=[shapely.box(x, 0, x + 1, 1) for x in range(3)], index=["a", "b", "c"]
        ... )
        >>> Weights.contiguity(squares, rook=True)
        Weights(n=3, links=4, mean neighbours=1.33, max neighbours=2, islands=0, transform='raw')

        Source: Anselin (1988), Spatial Econometrics, chapter 3; libpysal compares the vertices.
        """
        from spillover.engine.weights import builders

        return cls(*builders.contiguity(geodataframe, rook), islands=islands)

    @classmethod
    def knn(
        cls,
        coordinates: Any,
        k: int,
        *,
        ids: Any = None,
        metric: str = "euclidean",
        max_memory: float | None = None,
    ) -> "Weights":
        """w_ij = 1 for the k units j nearest to i, in general asymmetric; of units equally far, to
        rounding, the first in the order of ids.

        `coordinates`: (n, 2), or a DataFrame of two columns or points of a GeoDataFrame or
        GeoSeries, whose index gives the ids. `metric`: "euclidean", or "haversine" for longitude,
        then latitude, in degrees, with distances in km on a sphere of radius 6371.0088 km, the mean
        one of the earth. `max_memory`: bytes that making W may take, by default what is free; some
        50 a link. Raises WeightsError for coordinates that are missing or off the globe, for
        columns called latitude, then longitude, for points whose coordinate reference system does
        not suit the metric, and for k outside 1 … n - 1. Warns (SpilloverWarning) of straight
        distances between columns called latitude or longitude that hold degrees; an array without
        names may be anything.

        >>> Weights.knn([[0, 0], [1, 0], [5, 0]], 1).to_scipy().indices
        array([1, 0, 1], dtype=int32)

        Source: Getis & Aldstadt (2004), Geographical Analysis 36, 90-104; the radius: Moritz
        (2000), Journal of Geodesy 74, 128-133.
        """
        from spillover.engine.weights import builders

        return cls(*builders.knn(coordinates, k, ids, metric, max_memory))

    @classmethod
    def distance_band(
        cls,
        coordinates: Any,
        threshold: float,
        *,
        ids: Any = None,
        metric: str = "euclidean",
        islands: str = "error",
        max_memory: float | None = None,
    ) -> "Weights":
        """w_ij = 1 where d_ij <= threshold, to rounding; coordinates, metric, unit and errors as
        for `knn`, and islands.

        Raises WeightsError for more km than half way round the earth; warns of a threshold that
        links every unit to every other.

        >>> Weights.distance_band([[0, 0], [1, 0], [3, 0]], 2).to_scipy().toarray()[0]
        array([0., 1., 0.])

        Source: Getis & Aldstadt (2004), Geographical Analysis 36, 90-104.
        """
        from spillover.engine.weights import builders

        return cls(
            *builders.distance_band(coordinates, threshold, ids, metric, max_memory),
            islands=islands,
        )

    @classmethod
    def inverse_distance(
        cls,
        coordinates: Any,
        power: float = 1,
        cutoff: float | None = None,
        *,
        ids: Any = None,
        metric: str = "euclidean",
        islands: str = "error",
        max_memory: float | None = None,
    ) -> "Weights":
        """w_ij = 1 / d_ij^power, of all pairs or where d_ij <= cutoff; coordinates, metric, unit
        and errors as for `knn`.

        Raises WeightsError for units in the same place, for a cutoff of more km than half way round
        the earth, and for more links than there is memory for; warns of a cutoff above ten times
        the greatest distance.

        >>> Weights.inverse_distance(
        ...     [[0, 0], [2, 0], [6, 0]], power=2, cutoff=5
        ... ).to_scipy().toarray()[1]
        array([0.25  , 0.    , 0.0625])

        Source: Getis & Aldstadt (2004), Geographical Analysis 36, 90-104.
        """
        from spillover.engine.weights import builders

        return cls(
            *builders.inverse_distance(coordinates, power, cutoff, ids, metric, max_memory),
            islands=islands,
        )

    @classmethod
    def economic(
        cls, values: pd.Series, *, power: float = 1, max_memory: float | None = None
    ) -> "Weights":
        """`w_ij = 1 / |x_i - x_j|^power` for `values` x, a Series indexed by unit, such as a mean
        over periods.

        Raises WeightsError for missing and for equal values, and for more links than there is
        memory for.

        >>> Weights.economic(pd.Series({"a": 1.0, "b": 3.0, "c": 4.0})).to_scipy().toarray()[1]
        array([0.5, 0. , 1. ])

        Source: Case, Rosen & Hines (1993), Journal of Public Economics 52, 285-307.
        """
        from spillover.engine.weights import builders

        return cls(*builders.economic(values, power, max_memory))

    @classmethod
    def economic_geography(cls, geography: "Weights", values: pd.Series) -> "Weights":
        """w_ij x_j / mean(x): weights w as they stand times the size x > 0 of unit j, a Series
        matched to their ids by its index.

        Raises WeightsError for values that are missing or not positive, and for other units.

        >>> Weights.economic_geography(
        ...     Weights([[0, 1], [1, 0]], ["a", "b"]), pd.Series({"b": 3.0, "a": 1.0})
        ... ).to_scipy().toarray()
        array([[0. , 1.5],
               [0.5, 0. ]])
        """
        from spillover.engine.weights import builders

        matrix = builders.economic_geography(geography, values)
        return cls(matrix, geography.ids, islands="allow" if geography.islands_allowed else "error")

    @classmethod
    def nested(cls, a: "Weights", b: "Weights", share: float = 0.5) -> "Weights":
        """share A + (1 - share) B of the row-standardised A and B, row-standardised, units in the
        order of a.

        A unit that is an island of one has its row in the other. WeightsError for other units and
        for a share outside [0, 1].

        >>> Weights.nested(
        ...     Weights([[0, 1, 1], [1, 0, 0], [1, 0, 0]]),
        ...     Weights([[0, 1, 0], [0, 0, 1], [1, 0, 0]]),
        ... ).to_scipy().toarray()[0]
        array([0.  , 0.75, 0.25])

        Source: Debarsy & LeSage (2018), Regional Science and Urban Economics 69, 48-68.
        """
        from spillover.engine.weights import builders

        matrix = builders.nested(a, b, share)
        return cls(
            matrix, a.ids, islands="allow" if a.islands_allowed or b.islands_allowed else "error"
        ).row_standardize()

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
    def row_sum(self) -> float | None:
        """The sum that all rows have, within 1e-10 of it, None where they differ: such a W keeps
        what is the same for all units the same.

        >>> Weights([[0, 2], [2, 0]]).row_sum
        2.0
        """
        sums = self.matrix.sum(axis=1)
        mean = 1.0 if self.is_row_standardized else float(sums.mean())
        return mean if bool((np.abs(sums - mean) <= STANDARD * abs(mean)).all()) else None

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """The admissible interval (1/omega_min, 1/omega_max) of rho, or the one given if it lies
        inside.

        omega are the extreme real eigenvalues; where a sign is missing, -1 or +1 over the spectral
        radius. Above 500 units of sparse W the lower end may be up to 0.1 % short, and more where
        the eigenvalue furthest left is complex and no real one is found: `LogDet.build(W).cautious`
        tells. Raises WeightsError for an acyclic W without given bounds, and for given bounds shown
        to reach a singular I - rho W.

        >>> Weights([[0, 2], [2, 0]]).bounds
        (-0.5, 0.5)
        """
        if self.given_bounds is None:
            return admissible.interval(self.matrix)
        check_admissible(self.matrix, self.given_bounds)
        return self.given_bounds

    @cached_property
    def digest(self) -> str:
        """The sha256 of shape, indptr, indices and data, in hex: equal for equal matrices, whatever
        their labels.
        """
        parts = (np.array(self.matrix.shape), self.matrix.indptr, self.matrix.indices)
        content = (
            b"".join(part.astype("<i8").tobytes() for part in parts)
            + self.matrix.data.astype("<f8").tobytes()
        )
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
        return self._derived(
            scaled, self.ids, "row", self.given_bounds if acyclic(scaled) else None
        )

    def spectral_standardize(self) -> "Weights":
        """`W / max |omega|`: spectral radius 1, the ratios of all weights kept; given bounds are
        scaled along.

        Raises WeightsError for an acyclic W, whose spectral radius is 0. Source: Kelejian & Prucha
        (2010, J. Econometrics 157).

        >>> Weights([[0, 4], [1, 0]]).spectral_standardize().to_scipy().toarray()
        array([[0. , 2. ],
               [0.5, 0. ]])
        """
        if self.transform == "spectral":
            return self
        radius = spectral_radius(self.matrix)
        if radius == 0.0:
            raise WeightsError(
                "W has no cycle of links, so its spectral radius is 0: use row_standardize()."
            )
        bounds = (
            None
            if self.given_bounds is None
            else (self.given_bounds[0] * radius, self.given_bounds[1] * radius)
        )
        return self._derived(self.matrix / radius, self.ids, "spectral", bounds)

    def lag(self, x: Any) -> Any:
        """W x, the weighted sum over each unit's neighbours; also written W @ x.

        `x`: an array (n,) or (n, k) in the order of `ids`, or a Series or DataFrame in any order,
        matched to `ids` by its index and returned with that index in that order. A NaN spreads to
        the units it is a neighbour of. Raises WeightsError for another shape, for values that are
        not numbers and for labels that do not match.

        >>> Weights([[0, 1], [2, 0]]).lag(np.array([10.0, 1.0]))
        array([ 1., 20.])
        """
        values = as_numbers(x, "x")
        if not isinstance(x, pd.Series | pd.DataFrame):
            if values.ndim not in (1, 2) or len(values) != self.n:
                raise WeightsError(
                    f"x has shape {values.shape}: give ({self.n},) or ({self.n}, k), one row a unit"
                    " in the order of W.ids."
                )
            return self.matrix @ values
        order = align(self.ids, x.index)
        lagged = np.empty_like(values)
        lagged[order] = self.matrix @ values[order]
        return (
            pd.Series(lagged, x.index, name=x.name)
            if x.ndim == 1
            else pd.DataFrame(lagged, x.index, x.columns)
        )

    __matmul__ = lag
    __array_ufunc__ = None  # array @ W is an error, not an attempt to broadcast

    def __getitem__(self, labels: Any) -> "Weights":
        """The weights among the units named, in the order named: W[["b", "a"]].

        Raises WeightsError for unknown or repeated labels, and for islands that arise unless
        islands="allow" was set. Leaving units out undoes a standardisation: `transform` is then
        "raw" again.

        >>> Weights([[0, 1, 2], [3, 0, 4], [5, 6, 0]], ids=list("abc"))[
        ...     ["c", "a"]
        ... ].to_scipy().toarray()
        array([[0., 5.],
               [2., 0.]])
        """
        if (
            isinstance(labels, str | slice)
            or not isinstance(labels, Iterable)
            or sparse.issparse(labels)
        ):
            raise WeightsError(
                f"W[{shown(labels)}]: give a list of labels, e.g. W[W.ids[:10]] or W[['a', 'b']]."
            )
        if not isinstance(labels, pd.Index | np.ndarray | set | frozenset):
            labels = list(labels)
        kinds = (
            {type(one) for one in np.ravel(labels)}
            if isinstance(labels, np.ndarray)
            else {type(one) for one in labels}
        )
        if kinds and kinds <= {bool, np.bool_} and self.ids.dtype != bool:
            raise WeightsError("W[mask]: give labels, not true and false: W[W.ids[mask]].")
        wanted = as_index(labels)
        where = self.ids.get_indexer(wanted)
        if (where < 0).any():
            raise WeightsError(
                f"not among the ids of W: {few(wanted[where < 0])}.{type_hint(self.ids, wanted)}"
            )
        whole = len(where) == self.n
        part = self.matrix[where][:, where]
        bounds = self.given_bounds if whole or acyclic(part) else None
        return self._derived(part, self.ids[where], self.transform if whole else "raw", bounds)

    def to_scipy(self) -> sparse.csr_array:
        """A copy of the matrix, free to change."""
        return self.matrix.copy()

    def to_libpysal(self) -> Any:
        """The same weights as a `libpysal.weights.W` (for a graph: `libpysal.graph.Graph.from_W`);
        needs the `geo` extra.
        """
        from spillover.engine.weights.files import libpysal_weights

        return libpysal_weights(self)

    def _derived(
        self, matrix: sparse.csr_array, ids: pd.Index, transform: str, bounds: Bounds
    ) -> "Weights":
        new = Weights(
            matrix, ids, islands="allow" if self.islands_allowed else "error", bounds=bounds
        )
        vars(new)["transform"] = transform
        return new

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Weights):
            return NotImplemented
        return (
            self.digest == other.digest
            and self.ids.equals(other.ids)
            and self.given_bounds == other.given_bounds
        )

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        k = np.diff(self.matrix.indptr)
        size = (
            f"n={self.n}, links={self.matrix.nnz}, mean neighbours={k.mean():.2f}, max"
            f" neighbours={k.max()}"
        )
        return f"Weights({size}, islands={(k == 0).sum()}, transform={self.transform!r})"
