"""Values of matrices, edges and files that never turn into others on their way into weights."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sparse
from number_rows import DENSE, IDS, expect_refusal

import spillover as so


def test_entries_stored_twice_are_summed_without_running_over():
    def stored(values, kind, make):
        return (
            so.Weights(make((np.array(values, kind), ([0, 0, 1], [1, 1, 0])), shape=(2, 2)))
            .to_scipy()
            .toarray()[0, 1]
        )

    for make in (sparse.coo_array, sparse.coo_matrix):
        assert stored([100, 100, 1], np.int8, make) == 200
        assert stored([200, 100, 1], np.uint8, make) == 300
        assert stored([1, 1, 1], bool, make) == 1
        assert stored([0.5, 0.25, 1], np.float32, make) == 0.75
        expect_refusal(
            lambda make=make: stored([3, -1, 1], float, make),
            "negative",
            "more than once: (0, 1)",
            error=so.WeightsError,
        )
    expect_refusal(
        lambda: so.Weights(np.ma.array([[0, 1.0], [1, 0]], mask=[[0, 1], [0, 0]])),
        "0 → 1 = nan",
        error=so.WeightsError,
    )


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_rows_that_sum_to_one_in_short_floats_only_are_warned_of(kind):
    """In float64 they do not, and period effects of such a W are another likelihood."""
    rows = (DENSE / DENSE.sum(axis=1, keepdims=True)).astype(kind)
    for given in (rows, sparse.csr_array(rows.astype(np.float32))):
        with pytest.warns(
            so.SpilloverWarning, match=r"sum to 1 in float\d+, but .* row_standardize\(\)"
        ) as caught:
            weights = so.Weights(given, IDS, islands="allow")
        assert caught[0].filename == __file__
        assert not weights.is_row_standardized
        assert weights.row_standardize().is_row_standardized
        if kind == np.float16:
            break
    so.Weights(DENSE.astype(kind), IDS)  # raw weights say nothing of their sums
    so.Weights((DENSE > 0).astype(kind) / kind(8), IDS)


EDGES = pd.DataFrame({"o": ["a", "b", "b"], "d": ["b", "a", "c"], "w": [1, 2, 3]})


BAD_EDGES = {
    "no frame": (EDGES.to_dict("list"), ["dict", "DataFrame"]),
    "two columns of one name": (
        pd.concat([EDGES, EDGES[["w"]]], axis=1),
        ["'w' is named more than once"],
    ),
    "blanks": (
        EDGES.replace({"d": {"a": "b "}}).assign(d=["b", "a", "a "]),
        ["'d'", "blanks", "'a', 'a '"],
    ),
    "an empty label": (EDGES.replace({"o": {"a": ""}}), ["'o'", "no label in the rows 0"]),
    "whole numbers beyond floats": (
        EDGES.assign(o=[2**53, 2**53 + 1, 1], d=[2.0**53, 1, 2]),
        ["'d'", "too large"],
    ),
    "1 and '1'": (
        EDGES.assign(o=np.array([1, "1", 2], dtype=object), d=[2, 2, 1]),
        ["'o'", "read alike"],
    ),
}


@pytest.mark.parametrize("case", BAD_EDGES)
def test_edges_that_say_more_than_one_thing(case):
    frame, words = BAD_EDGES[case]
    expect_refusal(
        lambda: so.Weights.from_edges(frame, "o", "d", "w", islands="allow"),
        *words,
        error=so.WeightsError,
    )


def test_a_file_of_weights_knows_no_marks_of_thousands(tmp_path):
    tmp_path.joinpath("w.csv").write_text("origin,destination,weight\n1,2,1_000\n2,1,1\n")
    expect_refusal(
        lambda: so.read_weights(tmp_path / "w.csv"), "line 2", "'1_000'", error=so.WeightsError
    )
    tmp_path.joinpath("w.gwt").write_text("0 2 f k\n1 2 0.5\n2 1 0.5\n")
    expect_refusal(
        lambda: so.read_weights(tmp_path / "w.gwt", ids=[1.0, 2.0]),
        "type floating",
        "type integer",
        error=so.WeightsError,
    )
