"""Spatial weights from tables: a square frame, or a frame with one link per row."""

from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sparse

from spillover.engine.labels import (
    as_index,
    as_labels,
    as_numbers,
    check_hashable,
    check_told_apart,
    few,
    link_name,
    type_hint,
)
from spillover.engine.weights.checks import Labelled
from spillover.kernels.arguments import kind_of, label
from spillover.kernels.errors import WeightsError


def read_square(frame: pd.DataFrame, ids: Any) -> tuple[np.ndarray, pd.Index]:
    """Read a frame with the same labels on both sides: its values (N, N) and the labels (N,).

    The columns are put in the order of the index.
    """
    if ids is not None:
        raise WeightsError(
            "a DataFrame carries its ids, its index: leave ids out, or give frame.to_numpy() with"
            " ids."
        )
    rows, columns = as_index(frame.index), as_index(frame.columns)
    one_sided = rows.symmetric_difference(columns, sort=False)
    if len(one_sided):
        sides = (
            "only in the index or only in the columns of the frame:"
            f" {few(one_sided)}.{type_hint(rows, columns)}"
        )
        raise WeightsError(f"{sides} Give both the same labels, or give frame.to_numpy() with ids.")
    return as_numbers(frame, "the matrix")[:, columns.get_indexer(rows)], rows


def read_edges(
    frame: pd.DataFrame, origin: str, destination: str, weight: str | None, ids: Any
) -> Labelled:
    """Read the matrix and labels of a table with one link per row, for `Weights.from_edges`."""
    if not isinstance(frame, pd.DataFrame):
        raise WeightsError(
            f"the edges are {kind_of(frame)}: give a pandas DataFrame, one link per row."
        )
    given = {"origin": origin, "destination": destination} | (
        {} if weight is None else {"weight": weight}
    )
    wanted = [label(role, name, error=WeightsError) for role, name in given.items()]
    absent = [name for name in wanted if name not in frame.columns]
    if absent:
        raise WeightsError(
            f"the edges have no column {few(absent)}; their columns are {few(frame.columns)}."
        )
    again = [name for name in wanted if wanted.count(name) > 1 or (frame.columns == name).sum() > 1]
    if again:
        raise WeightsError(
            f"origin, destination and weight must be columns of their own, and {few(again[:1])} is"
            " named more than once."
        )
    for column in (origin, destination):
        lacking = frame[column].isna() | (frame[column].astype(object) == "")
        if lacking.any():
            raise WeightsError(
                f"column {column!r} has no label in the rows {few(frame.index[lacking])}: drop or"
                " fill them."
            )
        check_hashable(frame[column], f"the labels in column {column!r}")
        check_told_apart(pd.Index(frame[column].unique()), f"labels in column {column!r}")
    values = (
        np.ones(len(frame))
        if weight is None
        else as_numbers(frame[weight], f"the weights in column {weight!r}")
    )
    units = _all_labels(frame[origin], frame[destination]) if ids is None else as_index(ids)
    return assemble_links(frame[origin], frame[destination], values, units), units


def assemble_links(
    origin: Any, destination: Any, values: np.ndarray, ids: pd.Index
) -> sparse.csr_array:
    """Assemble the matrix (N, N) of links between the units `ids`.

    Link e has the weight values[e], in the row of origin[e] and the column of destination[e].
    WeightsError for ends that are not among the ids, and for links given twice.
    """
    sources, targets = as_labels(origin), as_labels(destination)
    rows, columns = ids.get_indexer(sources), ids.get_indexer(targets)
    unknown = sources[rows < 0].append(targets[columns < 0]).unique()
    if len(unknown):
        hint = type_hint(ids, unknown)
        raise WeightsError(
            f"in the edges but not in ids: {few(unknown)}. Add them to ids or leave those edges"
            f" out.{hint}"
        )
    again = np.flatnonzero(
        pd.Index(rows.astype(np.int64) * len(ids) + columns).duplicated()
    ).tolist()
    if again:
        pairs = few(again, lambda e: link_name(ids, rows[e], columns[e]))
        raise WeightsError(
            f"{len(again)} links are given once more: {pairs}. Keep one row each, or sum them"
            " first."
        )
    return sparse.csr_array((values, (rows, columns)), shape=(len(ids), len(ids)))


def _all_labels(origin: pd.Series, destination: pd.Series) -> pd.Index:
    """The labels of both columns, sorted."""
    labels = pd.concat([origin, destination], ignore_index=True).unique()
    try:
        return as_index(sorted(labels))
    except TypeError as error:
        kinds = sorted({type(label).__name__ for label in labels})
        raise WeightsError(
            f"labels of the types {few(kinds)} do not sort: convert them, or give ids."
        ) from error
