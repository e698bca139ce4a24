"""Weights read from a file."""

from pathlib import Path
from typing import Any

from spillover.engine.storage.failures import prefix_errors
from spillover.engine.storage.reading import as_path, cite
from spillover.engine.weights.checks import Bounds
from spillover.engine.weights.files import read_matrix
from spillover.engine.weights.weights import Weights
from spillover.kernels.arguments import front_door
from spillover.kernels.errors import WeightsError


@front_door
def read_weights(
    path: str | Path, *, ids: Any = None, islands: str = "error", bounds: Bounds = None
) -> Weights:
    """The weights in a file, of the format that its extension says.

    Nothing in a file is run or unpickled.

    Parameters
    ----------
    path : str or Path
        A .gal, .gwt, .csv, .mtx or .npz file; see the notes.
    ids : sequence of labels, optional
        For a matrix without labels, those of its rows. For the other files, the units in the order
        wanted, matched to the labels of the file as text (1 to "1", "New York" to "New_York"): all
        labels of the file must be among them, and units that the file lacks are islands.
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
        For what is not weights, naming the file and, where it can, the line; for folders, pipes and
        devices; and for files, or matrices that they promise, larger than memory holds. A link
        given twice is refused, but entries that a .npz stores more than once are summed, as
        `Weights` does.

    Notes
    -----
    .gal
        Binary contiguity; units in the order of the file.
    .gwt
        Lines "origin destination weight"; units in the order in which they first stand as an
        origin, then the rest.
    .csv, links
        One link a line under a header, with commas, semicolons or tabs: the columns origin,
        destination, weight, or focal, neighbor, weight, or i, j, w by name, beside any others; else
        the two or three columns that there are, in that order. Without a weight column every weight
        is 1. Units are sorted.
    .csv, a square matrix
        Under other columns: with the units in its first line and first column, in any order, units
        in the order of the lines; or four and more lines of numbers alone, units 0 … N - 1.
    .mtx
        Matrix Market, coordinate or array; real, integer or pattern; general, symmetric or
        skew-symmetric. Units 0 … N - 1.
    .npz
        As `scipy.sparse.save_npz` writes it. Units 0 … N - 1.

    In lists of links, row i of W holds the links with origin i, and a link of a unit to itself with
    weight 0 declares the unit. Labels are integers if all of them look like integers without
    leading zeros, else text.

    References
    ----------
    Anselin, L. (2003). GeoDa 0.9 User's Guide. Spatial Analysis Laboratory, University of Illinois.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "trade.csv")
    ...     _ = file.write_text("origin,destination,weight\\n1,2,0.5\\n2,1,3\\n")
    ...     read_weights(file).to_scipy().toarray()
    array([[0. , 0.5],
           [3. , 0. ]])
    """
    path = as_path(path, "weights", WeightsError)
    matrix, labels = read_matrix(path, ids)
    with prefix_errors(WeightsError, cite(path)):
        return Weights(matrix, labels, islands=islands, bounds=bounds)
