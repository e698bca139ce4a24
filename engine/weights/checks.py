"""Checks of a weights matrix, and of the interval that its eigenvalues allow for rho."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sparse
import scipy.sparse.csgraph as csgraph

from spillover.engine.labels import as_numbers, few, link_name
from spillover.engine.storage.reading import spell
from spillover.kernels import admissible, perron, spectrum
from spillover.kernels.errors import SpilloverWarning, WeightsError

STANDARD = 1e-10  # a row sum this close to 1 is 1
SAME = 1e-12  # numbers this close, relative to the largest, are equal
Bounds = tuple[float, float] | None
Labelled = tuple[sparse.csr_array, pd.Index]  # a matrix (N, N) and the labels (N,) of its units


def as_csr(matrix: Any) -> sparse.csr_array:
    """Copy a matrix to float64 CSR, with sorted indices and no explicit zeros.

    Entries that a sparse matrix stores more than once are summed, as SciPy does (true and true is
    true). WeightsError where negative ones among them could cancel out.
    """
    if not sparse.issparse(matrix):
        matrix = as_numbers(matrix, "the matrix")
    elif matrix.dtype.kind not in "biuf":
        raise WeightsError(f"the matrix holds {matrix.dtype} values: weights are real numbers.")
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape[0] == 0:
        raise WeightsError(
            f"the matrix has shape {matrix.shape}: weights are square and not empty, one row and"
            " one column a unit."
        )
    if sparse.issparse(matrix):  # summed as floats: small integers would overflow
        matrix = (
            sparse.csr_array(matrix)
            if matrix.dtype.kind == "b"
            else matrix.astype(np.float64, copy=False)
        )
        if (
            isinstance(getattr(matrix, "data", None), np.ndarray)
            and matrix.data.dtype.kind == "f"
            and (matrix.data < 0).any()
        ):
            _refuse_cancelling(matrix.tocoo())
    csr = sparse.csr_array(matrix, dtype=np.float64, copy=True)
    csr.sum_duplicates()
    csr.eliminate_zeros()
    # sparse factorisations need 32-bit indices
    kind = np.int32 if max(csr.nnz, csr.shape[0]) <= np.iinfo(np.int32).max else np.int64
    return sparse.csr_array(
        (csr.data, csr.indices.astype(kind), csr.indptr.astype(kind)), shape=csr.shape
    )


def _refuse_cancelling(entries: sparse.coo_array) -> None:
    """Refuse negative entries in cells stored more than once, before the sum hides them."""
    place = entries.row.astype(np.int64) * entries.shape[1] + entries.col
    hidden = (entries.data < 0) & np.isin(place, place[pd.Index(place).duplicated()])
    if hidden.any():
        where = list(zip(entries.row[hidden].tolist(), entries.col[hidden].tolist(), strict=True))
        raise WeightsError(
            f"negative weights at places (row, column) stored more than once: {few(where)}. Sum the"
            " entries first."
        )


def how_to_make(value: Any) -> str:
    """Say how to make a `Weights` from what was given in its place, for an error message.

    >>> how_to_make("queen.gal")
    "make it one with spillover.read_weights('queen.gal')"
    """
    kind = type(value)
    if kind.__module__.partition(".")[0] == "libpysal":
        return "make it one with spillover.Weights.from_libpysal(w)"
    if isinstance(value, str | Path):
        return f"make it one with spillover.read_weights({str(value)!r})"
    if isinstance(value, pd.DataFrame):
        return (
            "make it one with spillover.Weights(frame), units on both sides, or"
            " spillover.Weights.from_edges(frame, origin, destination)"
        )
    if sparse.issparse(value) or isinstance(value, np.ndarray | list | tuple):
        return "make it one with spillover.Weights(matrix, ids)"
    return (
        "make one with spillover.Weights(matrix, ids), spillover.Weights.from_libpysal(w) or"
        " spillover.read_weights(path)"
    )


def check_islands(islands: Any) -> None:
    """Refuse any choice for units without neighbours but "error" and "allow"."""
    if not isinstance(islands, str) or islands not in ("error", "allow"):
        ways = '"error" (refuse units without neighbours) or "allow" (keep them as zero rows)'
        raise WeightsError(f"islands={spell(islands)}: say {ways}.")


def check_values(csr: sparse.csr_array, ids: pd.Index) -> None:
    """Refuse weights that are not finite, negative or on the diagonal, naming their units."""
    rows = np.repeat(np.arange(csr.shape[0]), np.diff(csr.indptr))
    for bad, what, way_out in (
        (~np.isfinite(csr.data), "NaN or infinite", "Give a number, or 0 for no link."),
        (
            csr.data < 0,
            "negative",
            "Weights say how near two units are: 0 for no link, more for nearer.",
        ),
        (
            rows == csr.indices,
            "on the diagonal",
            "No unit is its own neighbour: set the diagonal to 0.",
        ),
    ):
        if bad.any():
            where = np.flatnonzero(bad).tolist()
            cells = few(
                where, lambda e: f"{link_name(ids, rows[e], csr.indices[e])} = {csr.data[e]}"
            )
            raise WeightsError(f"{len(where)} weights are {what}: {cells}. {way_out}")


def warn_of_short_floats(kind: Any, csr: sparse.csr_array) -> None:
    """Warn of rows that sum to 1 in the float16 or float32 they came in, but not in float64."""
    if kind not in (np.float16, np.float32):
        return
    count, off = np.diff(csr.indptr), np.abs(np.asarray(csr.sum(axis=1)) - 1)
    if (
        count.any()
        and off[count > 0].max() > STANDARD
        and (off <= np.finfo(kind).eps * (1 + count))[count > 0].all()
    ):
        way_out = "row_standardize() makes them do so"
        what = (
            f"the rows sum to 1 in {np.dtype(kind)}, but in float64 only to"
            f" {off[count > 0].max():.0e}"
        )
        warnings.warn(
            f"W counts as not row-standardised: {what}: {way_out}.", SpilloverWarning, stacklevel=4
        )


def as_interval(bounds: Any) -> Bounds:
    """Check the bounds that a user gave: two numbers around 0, or None."""
    if bounds is None:
        return None
    given = as_numbers(bounds, "bounds")
    if given.shape != (2,) or not np.isfinite(given).all() or not given[0] < 0 < given[1]:
        raise WeightsError(
            f"bounds={spell(bounds)}: give two numbers around 0, e.g. (-1, 1); a prior can restrict"
            " rho further."
        )
    return float(given[0]), float(given[1])


def check_admissible(matrix: sparse.csr_array, given: tuple[float, float]) -> None:
    """Refuse bounds of rho that reach a singular I - rho W.

    No eigenvalues are needed where a row or column sum bounds the spectral radius well enough.
    Where the lowest real eigenvalue is uncertain, the sign of the determinant decides later, when
    the log-determinant is computed.
    """
    reach = max(-given[0], given[1])
    if (
        acyclic(matrix)
        or reach * min(matrix.sum(axis=0).max(), matrix.sum(axis=1).max()) <= 1 + SAME
    ):
        return
    limits = admissible.limits(matrix)
    lower, upper = limits.outer
    if given[0] < lower * (1 + STANDARD) or given[1] > upper * (1 + STANDARD):
        raise WeightsError(
            f"bounds={given} reach beyond the admissible ({limits.bounds[0]:.6g},"
            f" {limits.bounds[1]:.6g}): narrow them, or leave them out."
        )


def spectral_radius(matrix: sparse.csr_array) -> float:
    """Compute `max |omega|` over the eigenvalues of a non-negative W.

    It is the largest real eigenvalue (Perron-Frobenius).
    """
    sums = np.asarray(matrix.sum(axis=1))
    # the radius lies between the least and the greatest row sum
    if np.ptp(sums) <= SAME * sums.max():
        return float(sums.max())
    if matrix.shape[0] <= spectrum.DENSE_LIMIT:
        return float(np.abs(spectrum.eigenvalues(matrix)).max())
    if acyclic(matrix):
        return 0.0
    low, high = perron.root(matrix)
    return 0.5 * (low + high)


def acyclic(matrix: sparse.csr_array) -> bool:
    """Whether no unit can be reached from itself along the links, so that every eigenvalue is 0."""
    count: int = csgraph.connected_components(
        matrix, directed=True, connection="strong", return_labels=False
    )
    return bool(count == matrix.shape[0])
