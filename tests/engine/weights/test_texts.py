"""CSV files: an edge list or a square matrix, told apart by names and labels, or refused."""

import re

import numpy as np
import pandas as pd
import pytest
from unreadable import read_error

from spillover.engine.weights.reading import read_weights
from spillover.engine.weights.weights import Weights

RNG = np.random.default_rng(5)

DENSE = np.round(RNG.uniform(0.1, 9, (6, 6)) * (RNG.uniform(size=(6, 6)) < 0.4), 3)
DENSE[np.arange(6), (np.arange(6) + 1) % 6] = 1.5  # asymmetric, every unit with a neighbour
np.fill_diagonal(DENSE, 0.0)

LABELS = {
    "text": ["f", "b", "zz", "d", "a", "c"],
    "integers": [3, 1, 10, 2, 6, 5],
    "codes": ["01", "02", "10", "03", "00", "11"],
}


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("labels", LABELS)
def test_a_square_matrix_with_labels(tmp_path, labels, mark):
    frame = pd.DataFrame(DENSE, LABELS[labels], LABELS[labels])
    # columns in another order than the rows
    frame.iloc[:, ::-1].to_csv(tmp_path / "w.csv", sep=mark)
    assert read_weights(tmp_path / "w.csv") == Weights(DENSE, LABELS[labels])
    wanted = sorted(LABELS[labels])
    assert read_weights(tmp_path / "w.csv", ids=wanted) == Weights(DENSE, LABELS[labels])[wanted]
    more = read_weights(tmp_path / "w.csv", ids=[*wanted, "new"], islands="allow")
    assert more.islands == ["new"]
    assert "not in ids" in read_error(tmp_path / "w.csv", ids=wanted[1:])


@pytest.mark.parametrize("ids", [None, LABELS["text"]])
def test_a_square_matrix_without_labels(tmp_path, ids):
    np.savetxt(tmp_path / "w.csv", DENSE, delimiter=",")
    assert read_weights(tmp_path / "w.csv", ids=ids) == Weights(DENSE, ids)


def test_two_units_of_one_label_on_both_sides_are_a_matrix(write):
    path = write("w.csv", ",a,b\nb,3,0\na,0,2\n")
    assert read_weights(path) == Weights([[0, 3], [2, 0]], ["b", "a"])


def test_names_of_links_make_an_edge_list_of_whatever_looks_like_a_matrix(write):
    path = write("w.csv", "i,j,w,x\nj,w,1,0\nw,x,1,0\nx,j,1,0\n")
    assert read_weights(path).ids.tolist() == ["j", "w", "x"]


SQUARE_FAULTS = {
    "labels of one side": (
        ",a,b,c\na,0,1,1\nb,1,0,1\nd,1,1,0\n",
        ["only in the first column: 'd'", "only in it: 'c'"],
    ),
    "names of R": (",V1,V2,V3\n1,0,1,1\n2,1,0,1\n3,1,1,0\n", ["'1', '2', '3'", "'V1', 'V2', 'V3'"]),
    "a row twice": (",a,b,c\na,0,1,1\na,0,1,1\nb,1,0,1\nc,1,1,0\n", ["line 1", "more than once"]),
    "labels twice on both sides": (",a,a,c\na,0,1,1\na,1,0,1\nc,1,1,0\n", ["line 1", "'a'"]),
    "labels that are blank": (",a,,c\na,0,1,1\n,1,0,1\nc,1,1,0\n", ["line 1", "missing"]),
    "a short line": (",a,b,c\na,0,1,1\nb,1,0\nc,1,1,0\n", ["line 3", "3 fields"]),
    "text in a cell": (",a,b,c\na,0,1,1\nb,1,0,near\nc,1,1,0\n", ["line 3", "'near'"]),
    "an empty cell": (",a,b,c\na,0,1,1\nb,1,0,\nc,1,1,0\n", ["line 3", "''"]),
    "nan": (",a,b,c\na,0,1,nan\nb,1,0,1\nc,1,1,0\n", ["line 2", "'nan'"]),
    "a mark of thousands": (",a,b,c\na,0,1_0,1\nb,1,0,1\nc,1,1,0\n", ["line 2", "'1_0'"]),
    "negative": (",a,b,c\na,0,1,1\nb,1,0,1\nc,1,-1,0\n", ["line 4", "'-1'"]),
    "a diagonal": (",a,b,c\na,5,1,1\nb,1,0,1\nc,1,1,0\n", ["diagonal", "'a' → 'a'"]),
    "bare: a line too few": (
        "0,1,1,1\n1,0,1,1\n1,1,0,1\n",
        ["line 1: 4 fields", "3 lines", "square"],
    ),
    "bare: of three units": ("0,1,1\n1,0,1\n1,1,0\n", ["links or a matrix", "header", "labels"]),
    "bare: of two units": ("0,1\n1,0\n", ["links or a matrix"]),
    "bare: labels or weights": (
        "0,1,2,3\n1,0,1,1\n2,1,0,1\n3,1,1,0\n",
        ["labels or weights", "blank"],
    ),
}


@pytest.mark.parametrize("case", SQUARE_FAULTS)
def test_what_is_no_square_matrix_says_why(write, case):
    text, wanted = SQUARE_FAULTS[case]
    message = read_error(write("w.csv", text))
    for part in wanted:
        assert re.search(part, message), f"{part!r} not in {message}"


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize(
    "names",
    [
        "origin,destination,weight",
        "Focal,Neighbor,Weight",
        "i,j,w",
        "from,to,trade",
        "origin;destination;flow",
        "i\tj\tw",
    ],
)
def test_csv_edge_lists(write, labels, names):
    W = Weights(DENSE, LABELS[labels])
    mark = next(m for m in ",;\t" if m in names)
    rows = [
        mark.join(map(str, (W.ids[i], W.ids[j], DENSE[i, j])))
        for i, j in zip(*np.nonzero(DENSE), strict=True)
    ]
    path = write("w.csv", "\n".join([names, *rows[::-1]]) + "\n\n")
    assert read_weights(path) == W[sorted(W.ids)]
    assert read_weights(path, ids=LABELS[labels]) == W
    two = write(
        "binary.csv",
        "\n".join([mark.join(names.split(mark)[:2]), *(row.rpartition(mark)[0] for row in rows)]),
    )
    assert read_weights(two, ids=W.ids) == Weights(DENSE > 0, W.ids)


def test_csv_columns_by_name_among_others(write):
    path = write(
        "w.csv",
        '"",weight,year,destination,origin\n0,2.5,1999,"New York, NY",Boston\n1,3,1999,Boston,"New'
        ' York, NY"\n',
    )
    W = read_weights(path)
    assert W.ids.tolist() == ["Boston", "New York, NY"]
    np.testing.assert_array_equal(W.to_scipy().toarray(), [[0, 2.5], [3, 0]])


def test_a_byte_order_mark_is_no_part_of_the_first_name(write):
    W = read_weights(
        write("w.csv", "\ufefforigin,destination,year,weight\n1,2,1999,3\n2,1,1999,4\n")
    )
    np.testing.assert_array_equal(W.to_scipy().toarray(), [[0, 3], [4, 0]])


@pytest.mark.parametrize("index", [False, True])
def test_csv_as_pandas_writes_it(tmp_path, index):
    frame = pd.DataFrame(
        {"origin": [2, 1, 10], "destination": [1, 10, 2], "weight": [0.1, 1 / 3, 1e-17]}
    )
    frame.to_csv(tmp_path / "w.csv", index=index)
    W = read_weights(tmp_path / "w.csv")
    assert Weights.from_edges(frame, "origin", "destination", "weight") == W
    assert W.ids.tolist() == [1, 2, 10]
