"""Spatial weights: an immutable, checked matrix and the labels of its units.

This module imports the makers of matrices (builders, tables, libpysal_objects), never the reverse.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sparse

from spillover.engine.labels import align, as_index, as_numbers, few, type_hint
from spillover.engine.storage.reading import spell
from spillover.engine.weights import builders
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
    how_to_make,
    spectral_radius,
    warn_of_short_floats,
)
from spillover.engine.weights.libpysal_objects import make_libpysal, read_libpysal
from spillover.engine.weights.tables import read_edges, read_square
from spillover.kernels import admissible
from spillover.kernels.arguments import expect, front_doors
from spillover.kernels.errors import SpecificationError, SpilloverError, WeightsError


@front_doors
@dataclass(frozen=True, init=False, eq=False, repr=False)
class Weights:
    """A spatial weights matrix W and the labels of its N units.

    w_ij >= 0 is the influence of unit j on unit i, and w_ii = 0::

        (W x)_i = sum_j w_ij x_j

    so that row i holds the neighbours of unit i. Weights never change: `row_standardize` and
    `spectral_standardize` return new ones.

    Parameters
    ----------
    matrix : sparse array, array or DataFrame, shape (N, N)
        The weights, kept as they are given, in float64. A DataFrame has the units as its index and
        as its columns, in any order. True counts as 1, and a masked value as NaN. Entries that a
        sparse matrix stores more than once are summed, as SciPy does.
    ids : sequence of N labels, optional
        The labels of the units in the order of the rows; by default 0 … N - 1. A DataFrame brings
        its own.
    islands : {"error", "allow"}
        Whether units without neighbours are refused (default) or kept as zero rows.
    bounds : (float, float), optional
        An interval of rho around 0, used in place of the one computed from the eigenvalues. A W
        without cycles of links needs it.

    Raises
    ------
    WeightsError
        For a matrix that is not square, holds NaN, infinite or negative values, a non-zero diagonal
        or anything but numbers; for islands; and for ids that are missing, repeated, without an
        order (a set), of the wrong number, or the same but for their type or blanks, like 1 and
        "1".

    Warns
    -----
    SpilloverWarning
        For rows that sum to 1 in float32 only: in float64 such a W is not row-standardised.

    Attributes
    ----------
    matrix : scipy.sparse.csr_array, shape (N, N)
        W, read-only, with sorted indices and no explicit zeros.
    ids : pandas.Index, shape (N,)
        The labels of the units.
    transform : {"raw", "row", "spectral"}
        How W was standardised.
    islands_allowed : bool
        Whether zero rows are allowed, in W and in parts of it.
    given_bounds : (float, float) or None
        The interval of rho that the user gave.

    References
    ----------
    LeSage, J. & Pace, R. K. (2009). Introduction to Spatial Econometrics. CRC Press, sections 1.2
    and 4.3.2.

    Examples
    --------
    >>> W = Weights([[0, 1, 1], [1, 0, 0], [2, 0, 0]], ids=["a", "b", "c"])
    >>> W.row_standardize() @ pd.Series({"c": 4.0, "b": 2.0, "a": 1.0})
    c    1.0
    b    1.0
    a    3.0
    dtype: float64
    """

    matrix: sparse.csr_array
    ids: pd.Index
    transform: str
    islands_allowed: bool
    given_bounds: Bounds

    def __init__(
        self, matrix: Any, ids: Any = None, *, islands: str = "error", bounds: Bounds = None
    ) -> None:
        check_islands(islands)
        if isinstance(matrix, pd.DataFrame):
            matrix, ids = read_square(matrix, ids)
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
        """Make weights from a table with one link per row.

        Parameters
        ----------
        frame : DataFrame
            The links.
        origin, destination : str
            The columns with the labels of units i and j of w_ij.
        weight : str, optional
            The column of the weights w_ij; by default all are 1.
        ids : sequence of labels, optional
            The units and their order; by default the sorted labels of both columns. A link of a
            unit to itself with weight 0 declares the unit and adds no link.
        islands : {"error", "allow"}
            Whether units without neighbours are refused (default) or kept as zero rows.
        bounds : (float, float), optional
            As for `Weights`.

        Returns
        -------
        Weights

        Raises
        ------
        WeightsError
            For columns that do not exist, labels that are missing, empty or the same but for their
            type or blanks, labels not in `ids`, and links given twice.

        Examples
        --------
        >>> edges = pd.DataFrame(
        ...     {"from": ["a", "b", "b"], "to": ["b", "a", "c"], "trade": [2.0, 1.0, 3.0]}
        ... )
        >>> Weights.from_edges(edges, "from", "to", "trade", islands="allow").to_scipy().toarray()
        array([[0., 2., 0.],
               [1., 0., 3.],
               [0., 0., 0.]])
        """
        matrix, labels = read_edges(frame, origin, destination, weight, ids)
        return cls(matrix, labels, islands=islands, bounds=bounds)

    @classmethod
    def from_libpysal(
        cls, w_or_graph: Any, *, islands: str = "error", bounds: Bounds = None
    ) -> "Weights":
        """Make weights from a libpysal object.

        Parameters
        ----------
        w_or_graph : libpysal.weights.W or libpysal.graph.Graph
            The object; its values are taken under its present transform, its units in its order.
        islands : {"error", "allow"}
            Whether units without neighbours are refused (default) or kept as zero rows.
        bounds : (float, float), optional
            As for `Weights`.

        Returns
        -------
        Weights

        Raises
        ------
        WeightsError
            For anything else.

        Examples
        --------
        >>> from libpysal.weights import W as PysalW
        >>> Weights.from_libpysal(PysalW({"a": ["b"], "b": ["a", "c"], "c": ["b"]}))
        Weights(n=3, links=4, mean neighbours=1.33, max neighbours=2, islands=0, transform='raw')
        """
        matrix, labels = read_libpysal(w_or_graph)
        return cls(matrix, labels, islands=islands, bounds=bounds)

    @classmethod
    def contiguity(
        cls, geodataframe: Any, *, rook: bool = False, islands: str = "error"
    ) -> "Weights":
        """Link polygons that share a border, with weight 1.

        This needs the `geo` extra. A border is found only where both polygons have its vertices.

        Parameters
        ----------
        geodataframe : geopandas.GeoDataFrame or GeoSeries
            One polygon for each unit; its index gives the ids.
        rook : bool
            False (default, "queen"): a shared vertex is a border. True: a shared edge is.
        islands : {"error", "allow"}
            Whether units without neighbours are refused (default) or kept as zero rows.

        Returns
        -------
        Weights

        Raises
        ------
        WeightsError
            For repeated labels, for geometries that are not polygons, and for islands.

        References
        ----------
        Anselin, L. (1988). Spatial Econometrics: Methods and Models. Kluwer, chapter 3.

        Examples
        --------
        >>> import geopandas, shapely
        >>> squares = geopandas.GeoDataFrame(
        ...     geometry=[shapely.box(x, 0, x + 1, 1) for x in range(3)], index=["a", "b", "c"]
        ... )
        >>> Weights.contiguity(squares, rook=True)
        Weights(n=3, links=4, mean neighbours=1.33, max neighbours=2, islands=0, transform='raw')
        """
        matrix, ids = builders.link_contiguous(geodataframe, rook)
        return cls(matrix, ids, islands=islands)

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
        """Link every unit to its k nearest units, with weight 1; in general asymmetric.

        Among units equally far away, to rounding, those first in the order of ids are taken.

        Parameters
        ----------
        coordinates : array, shape (N, 2), DataFrame of two columns, or points of GeoPandas
            x and y, or for `metric="haversine"` longitude, then latitude, in degrees. The index of
            a table gives the ids.
        k : int
            The number of neighbours of each unit, 1 … N - 1.
        ids : sequence of N labels, optional
            The labels of the rows of an array; by default 0 … N - 1.
        metric : {"euclidean", "haversine"}
            Straight distances (default), or distances in km on a sphere with the earth's mean
            radius, 6371.0088 km.
        max_memory : float, optional
            Bytes of memory for making W, some 50 for each link; by default what is free.

        Returns
        -------
        Weights

        Raises
        ------
        WeightsError
            For coordinates that are missing or off the globe, for columns called latitude, then
            longitude, for points whose coordinate reference system does not suit the metric, for
            `k` out of range, and for more links than there is memory for.

        Warns
        -----
        SpilloverWarning
            For straight distances between columns called latitude or longitude that hold degrees.
            An array has no names and may hold anything.

        References
        ----------
        Getis, A. & Aldstadt, J. (2004). Constructing the spatial weights matrix using a local
        statistic. Geographical Analysis 36, 90-104.

        Moritz, H. (2000). Geodetic Reference System 1980. Journal of Geodesy 74, 128-133.

        Examples
        --------
        >>> Weights.knn([[0, 0], [1, 0], [5, 0]], 1).to_scipy().indices
        array([1, 0, 1], dtype=int32)
        """
        matrix, labels = builders.link_nearest(coordinates, k, ids, metric, max_memory)
        return cls(matrix, labels)

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
        """Link units no farther apart than a threshold, with weight 1.

        To rounding::

            w_ij = 1 where d_ij <= threshold

        Parameters
        ----------
        coordinates : array, shape (N, 2), DataFrame of two columns, or points of GeoPandas
            As for `knn`.
        threshold : float
            The greatest distance between neighbours, in the unit of the coordinates, or in km for
            `metric="haversine"`.
        ids : sequence of N labels, optional
            The labels of the rows of an array; by default 0 … N - 1.
        metric : {"euclidean", "haversine"}
            Straight distances (default), or distances in km on the sphere.
        islands : {"error", "allow"}
            Whether units without neighbours are refused (default) or kept as zero rows.
        max_memory : float, optional
            Bytes of memory for making W; by default what is free.

        Returns
        -------
        Weights

        Raises
        ------
        WeightsError
            As for `knn`; also for islands, and for a threshold beyond half way round the earth.

        Warns
        -----
        SpilloverWarning
            As for `knn`; also for a threshold that links every unit to every other.

        References
        ----------
        Getis, A. & Aldstadt, J. (2004). Constructing the spatial weights matrix using a local
        statistic. Geographical Analysis 36, 90-104.

        Examples
        --------
        >>> Weights.distance_band([[0, 0], [1, 0], [3, 0]], 2).to_scipy().toarray()[0]
        array([0., 1., 0.])
        """
        matrix, labels = builders.link_within(coordinates, threshold, ids, metric, max_memory)
        return cls(matrix, labels, islands=islands)

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
        """Make weights that fall with a power of the distance.

        For all pairs, or those within a cutoff::

            w_ij = 1 / d_ij ^ power

        Parameters
        ----------
        coordinates : array, shape (N, 2), DataFrame of two columns, or points of GeoPandas
            As for `knn`.
        power : float
            The exponent, positive; by default 1.
        cutoff : float, optional
            The distance beyond which w_ij = 0, in the unit of the coordinates, or in km for
            `metric="haversine"`; by default all pairs are linked.
        ids : sequence of N labels, optional
            The labels of the rows of an array; by default 0 … N - 1.
        metric : {"euclidean", "haversine"}
            Straight distances (default), or distances in km on the sphere.
        islands : {"error", "allow"}
            Whether units without neighbours are refused (default) or kept as zero rows.
        max_memory : float, optional
            Bytes of memory for making W; by default what is free.

        Returns
        -------
        Weights

        Raises
        ------
        WeightsError
            As for `knn`; also for islands, for units in the same place, and for a cutoff beyond
            half way round the earth.

        Warns
        -----
        SpilloverWarning
            As for `knn`; also for a cutoff above ten times the greatest distance.

        References
        ----------
        Getis, A. & Aldstadt, J. (2004). Constructing the spatial weights matrix using a local
        statistic. Geographical Analysis 36, 90-104.

        Examples
        --------
        >>> Weights.inverse_distance(
        ...     [[0, 0], [2, 0], [6, 0]], power=2, cutoff=5
        ... ).to_scipy().toarray()[1]
        array([0.25  , 0.    , 0.0625])
        """
        matrix, labels = builders.weigh_by_distance(
            coordinates, power, cutoff, ids=ids, metric=metric, max_memory=max_memory
        )
        return cls(matrix, labels, islands=islands)

    @classmethod
    def economic(
        cls, values: pd.Series, *, power: float = 1, max_memory: float | None = None
    ) -> "Weights":
        """Make weights that fall with the difference between units in a variable x.

        For all pairs::

            w_ij = 1 / |x_i - x_j|^power

        Parameters
        ----------
        values : Series, shape (N,)
            x, indexed by unit, such as a mean over periods; no two values may be equal.
        power : float
            The exponent, positive; by default 1.
        max_memory : float, optional
            Bytes of memory for making W; by default what is free.

        Returns
        -------
        Weights

        Raises
        ------
        WeightsError
            For missing and for equal values, and for more links than there is memory for.

        References
        ----------
        Case, A. C., Rosen, H. S. & Hines, J. R. (1993). Budget spillovers and fiscal policy
        interdependence. Journal of Public Economics 52, 285-307.

        Examples
        --------
        >>> Weights.economic(pd.Series({"a": 1.0, "b": 3.0, "c": 4.0})).to_scipy().toarray()[1]
        array([0.5, 0. , 1. ])
        """
        matrix, ids = builders.weigh_by_difference(values, power, max_memory)
        return cls(matrix, ids)

    @classmethod
    def economic_geography(cls, geography: "Weights", values: pd.Series) -> "Weights":
        """Scale weights by the size x of the neighbour.

        For every link::

            v_ij = w_ij x_j / mean(x)

        Parameters
        ----------
        geography : Weights
            The weights w, used as they are.
        values : Series, shape (N,)
            The size x > 0 of each unit, matched to the ids of `geography` by its index.

        Returns
        -------
        Weights
            With the units and the islands of `geography`.

        Raises
        ------
        WeightsError
            For values that are missing or not positive, and for units that do not match.

        Examples
        --------
        >>> Weights.economic_geography(
        ...     Weights([[0, 1], [1, 0]], ["a", "b"]), pd.Series({"b": 3.0, "a": 1.0})
        ... ).to_scipy().toarray()
        array([[0. , 1.5],
               [0.5, 0. ]])
        """
        geography = as_weights("geography", geography, error=WeightsError)
        matrix = builders.scale_by_size(geography.matrix, geography.ids, values)
        return cls(matrix, geography.ids, islands="allow" if geography.islands_allowed else "error")

    @classmethod
    def nested(cls, a: "Weights", b: "Weights", share: float = 0.5) -> "Weights":
        """Row-standardise two weights A and B of the same units, and average them::

            share A + (1 - share) B

        The result is row-standardised again: an island in one of the two takes its row from the
        other.

        Parameters
        ----------
        a, b : Weights
            Two weights of the same N units, in any order.
        share : float
            The share of `a`, from 0 to 1; by default 0.5.

        Returns
        -------
        Weights
            With the units in the order of `a`.

        Raises
        ------
        WeightsError
            For units that only one of the two has, and for a share outside [0, 1].

        References
        ----------
        Debarsy, N. & LeSage, J. (2018). Flexible dependence modeling using convex combinations of
        different types of connectivity structures. Regional Science and Urban Economics 69, 48-68.

        Examples
        --------
        >>> Weights.nested(
        ...     Weights([[0, 1, 1], [1, 0, 0], [1, 0, 0]]),
        ...     Weights([[0, 1, 0], [0, 0, 1], [1, 0, 0]]),
        ... ).to_scipy().toarray()[0]
        array([0.  , 0.75, 0.25])
        """
        a = as_weights("a", a, error=WeightsError)
        b = as_weights("b", b, error=WeightsError)
        first = builders.as_share(share)
        builders.check_same_units(a.ids, b.ids)
        matrix = (
            first * a.row_standardize().matrix + (1 - first) * b[a.ids].row_standardize().matrix
        )
        islands = "allow" if a.islands_allowed or b.islands_allowed else "error"
        return cls(matrix, a.ids, islands=islands).row_standardize()

    @property
    def n(self) -> int:
        """The number of units."""
        return int(self.matrix.shape[0])

    @property
    def islands(self) -> list[Any]:
        """The labels of the units without neighbours."""
        lonely: list[Any] = self.ids[np.diff(self.matrix.indptr) == 0].tolist()
        return lonely

    @cached_property
    def is_symmetric(self) -> bool:
        """Whether w_ij = w_ji for all i, j, to 1e-12 of the largest weight."""
        return bool(abs(self.matrix - self.matrix.T).max() <= SAME * self.matrix.max())

    @cached_property
    def is_row_standardized(self) -> bool:
        """Whether every row sums to 1 within 1e-10, however it came about; False with islands."""
        return bool((np.abs(self.matrix.sum(axis=1) - 1) <= STANDARD).all())

    @cached_property
    def row_sum(self) -> float | None:
        """The sum that all rows have, to 1e-10 of its size; None where they differ.

        With equal row sums, W x is the same for all units wherever x is.

        Examples
        --------
        >>> Weights([[0, 2], [2, 0]]).row_sum
        2.0
        """
        sums = self.matrix.sum(axis=1)
        mean = 1.0 if self.is_row_standardized else float(sums.mean())
        return mean if bool((np.abs(sums - mean) <= STANDARD * abs(mean)).all()) else None

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """The admissible interval of rho: (1/omega_min, 1/omega_max), or the one given.

        omega_min and omega_max are the extreme real eigenvalues; where W has none of one sign, -1
        or +1 over the spectral radius takes its place. For a sparse W of more than 500 units the
        lower end may be up to 0.1 % short. It may be shorter still where the leftmost eigenvalue is
        complex and no real one was found; `LogDet.build(W).cautious` is then True.

        Raises
        ------
        WeightsError
            For a W without cycles and without given bounds, and for given bounds that were shown to
            reach a singular I - rho W.

        Examples
        --------
        >>> Weights([[0, 2], [2, 0]]).bounds
        (-0.5, 0.5)
        """
        if self.given_bounds is None:
            return admissible.interval(self.matrix)
        check_admissible(self.matrix, self.given_bounds)
        return self.given_bounds

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the matrix in hexadecimal, without the labels."""
        parts = (np.array(self.matrix.shape), self.matrix.indptr, self.matrix.indices)
        content = (
            b"".join(part.astype("<i8").tobytes() for part in parts)
            + self.matrix.data.astype("<f8").tobytes()
        )
        return hashlib.sha256(content).hexdigest()

    def row_standardize(self) -> "Weights":
        """Scale the rows so that each sums to 1; islands stay zero rows::

            w_ij / sum_j w_ij

        Bounds given for W do not carry over, since they were for other values, unless W has no
        cycles.

        Returns
        -------
        Weights

        Examples
        --------
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
        """Divide the weights by their spectral radius, so that it becomes 1::

            W / max |omega|

        The ratios between weights do not change. Given bounds are scaled along.

        Returns
        -------
        Weights

        Raises
        ------
        WeightsError
            For a W without cycles, whose spectral radius is 0.

        References
        ----------
        Kelejian, H. H. & Prucha, I. R. (2010). Specification and estimation of spatial
        autoregressive models with autoregressive and heteroskedastic disturbances. Journal of
        Econometrics 157, 53-67.

        Examples
        --------
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
        """Compute the spatial lag W x, the weighted sum over each unit's neighbours; also W @ x.

        Parameters
        ----------
        x : array, shape (N,) or (N, k), Series or DataFrame
            An array is in the order of `ids`. A Series or DataFrame is matched to `ids` by its
            index, in any order. A NaN makes the lag NaN for all units that it is a neighbour of.

        Returns
        -------
        array, Series or DataFrame
            Of the type of `x`, with the index of `x` in its order.

        Raises
        ------
        WeightsError
            For the wrong shape, for values that are not numbers, and for labels that do not match.

        Examples
        --------
        >>> Weights([[0, 1], [2, 0]]).lag(np.array([10.0, 1.0]))
        array([ 1., 20.])
        """
        values = as_numbers(x, "x")
        if not isinstance(x, pd.Series | pd.DataFrame):
            if values.ndim not in (1, 2) or len(values) != self.n:
                raise WeightsError(
                    f"x has shape {values.shape}: give ({self.n},) or ({self.n}, k), one row per"
                    " unit in the order of W.ids."
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
        """Take the weights among some of the units, in the order given: W[["b", "a"]].

        Leaving units out undoes a standardisation: `transform` is then "raw" again.

        Parameters
        ----------
        labels : list, Index or array of labels
            The units to keep.

        Returns
        -------
        Weights

        Raises
        ------
        WeightsError
            For unknown and repeated labels, and for islands that arise unless islands="allow" was
            set.

        Examples
        --------
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
                f"W[{spell(labels)}]: give a list of labels, e.g. W[W.ids[:10]] or W[['a', 'b']]."
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
        """Return a copy of the matrix, free to be changed.

        Returns
        -------
        scipy.sparse.csr_array, shape (N, N)
        """
        return self.matrix.copy()

    def to_libpysal(self) -> Any:
        """Convert the weights to a libpysal object; needs the `geo` extra.

        `libpysal.graph.Graph.from_W` makes a graph of it.

        Returns
        -------
        libpysal.weights.W
        """
        return make_libpysal(self.matrix, self.ids)

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


def as_weights(
    name: str, value: Any, *, error: type[SpilloverError] = SpecificationError
) -> Weights:
    """Check that the argument `name` is a `Weights`; `error` says how to make one of anything else.

    >>> as_weights("W", [[0, 1], [1, 0]])
    Traceback (most recent call last):
    ...
    spillover.kernels.errors.SpecificationError: W is a list: make it one with
    spillover.Weights(matrix, ids).
    """
    expect(name, value, Weights, how_to_make(value), error=error)
    weights: Weights = value
    return weights
