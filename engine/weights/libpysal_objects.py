"""Spatial weights made from libpysal's objects, and turned back into them."""

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sparse

from spillover.engine.labels import as_index, as_labels
from spillover.engine.weights.checks import Labelled, how_to_make
from spillover.engine.weights.tables import assemble_links
from spillover.kernels.errors import WeightsError


def read_libpysal(w_or_graph: Any) -> Labelled:
    """Read the matrix and labels of a libpysal W or Graph, for `Weights.from_libpysal`.

    The two are told apart by their attributes, so that libpysal need not be imported.
    """
    if isinstance(getattr(w_or_graph, "adjacency", None), pd.Series):
        links, units = w_or_graph.adjacency, as_index(w_or_graph.unique_ids)
        return (
            assemble_links(
                links.index.get_level_values(0),
                links.index.get_level_values(1),
                links.to_numpy(dtype=float),
                units,
            ),
            units,
        )
    if not all(hasattr(w_or_graph, name) for name in ("neighbors", "weights", "id_order")):
        raise WeightsError(
            f"a {type(w_or_graph).__name__} is neither a libpysal.weights.W nor a"
            f" libpysal.graph.Graph: {how_to_make(w_or_graph)}."
        )
    order = list(w_or_graph.id_order)
    units = as_index(order)
    origin = units.repeat([len(w_or_graph.neighbors[i]) for i in order])
    destination = as_labels([j for i in order for j in w_or_graph.neighbors[i]])
    values = np.array([value for i in order for value in w_or_graph.weights[i]], dtype=float)
    return assemble_links(origin, destination, values, units), units


def make_libpysal(matrix: sparse.csr_array, ids: pd.Index) -> Any:
    """Make a `libpysal.weights.W` of the matrix (N, N) and the labels (N,) of its units.

    It serves `Weights.to_libpysal`.
    """
    try:
        from libpysal.weights import W
    except ImportError as error:
        raise ImportError("to_libpysal() needs libpysal: pip install 'spillover[geo]'.") from error
    labels, cuts = ids.tolist(), matrix.indptr[1:-1]
    columns, values = np.split(matrix.indices, cuts), np.split(matrix.data, cuts)
    neighbours = {i: [labels[j] for j in row] for i, row in zip(labels, columns, strict=True)}
    return W(
        neighbours,
        {i: row.tolist() for i, row in zip(labels, values, strict=True)},
        id_order=labels,
        silence_warnings=True,
    )
