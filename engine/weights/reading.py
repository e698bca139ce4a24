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
    """Read weights from a file, in the format of its extension.

    Nothing in a file is run or unpickled.

    Parameters
    ----------
    path : str or Path
        A .gal, .gwt, .csv, .mtx or .npz file; see Notes.
    ids : sequence of labels, optional
        For a file without labels, the labels of the rows. For the other files, the units in the
        order wanted. They are matched to the labels of the file as text (1 to "1", "New York" to
        "New_York") and must include all of these; units that the file lacks are islands.
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
        For a file that does not hold weights, naming it and, where possible, the line; for folders,
        pipes and devices; and for files or matrices larger than memory. A link given twice is
        refused, but entries that a .npz stores more than once are summed, as in `Weights`.

    Notes
    -----
    .gal
        Binary contiguity; units in the order of the file.
    .gwt
        Lines "origin destination weight"; units in the order in which they first appear as an
        origin, then the rest.
    .csv, links
        One link per line under a header, separated by commas, semicolons or tabs. The columns are
        found by name, whatever others there are: origin, destination, weight; focal, neighbor,
        weight; or i, j, w. Without these names the file has two or three columns, in that order.
        Without a weight column every weight is 1. Units are sorted.
    .csv, a square matrix
        With other names in the header. Either the units label the first line and the first column,
        in any order, and W has them in the order of the lines; or the file has four or more lines
        of numbers only, with units 0 … N - 1.
    .mtx
        Matrix Market, coordinate or array; real, integer or pattern; general, symmetric or
        skew-symmetric. Units 0 … N - 1.
    .npz
        As `scipy.sparse.save_npz` writes it. Units 0 … N - 1.

    In lists of links, row i of W holds the links with origin i, and a link from a unit to itself
    with weight 0 only declares the unit. Labels are integers if all of them look like integers
    without leading zeros, else text.

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
