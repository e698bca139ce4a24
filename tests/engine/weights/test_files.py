"""Weights from files: what libpysal and scipy write is what we read, and every fault is named with
its file and line.
"""

import re
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sparse
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
POSTAL = pytest.mark.filterwarnings("ignore:DBF relating to GWT:RuntimeWarning")


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("writer", ["W", "graph"])
@pytest.mark.parametrize("island", [False, True])
@pytest.mark.parametrize("kind", [".gal", ".gwt"])
def test_what_libpysal_writes_is_what_we_read(tmp_path, kind, island, writer, labels):
    libpysal = pytest.importorskip("libpysal")
    graph = pytest.importorskip("libpysal.graph")
    dense = DENSE if kind == ".gwt" else 1.0 * (DENSE > 0)
    if island:
        dense = dense * (np.arange(6) != 4)[:, None] * (np.arange(6) != 4)
    W = Weights(dense, LABELS[labels], islands="allow")
    path = tmp_path / f"w{kind}"
    if writer == "W":
        with closing(libpysal.io.open(str(path), "w")) as file:
            file.write(W.to_libpysal())
    else:
        getattr(graph.Graph.from_W(W.to_libpysal()), f"to_{kind[1:]}")(str(path))
    # their GWT drops islands; only the header counts them
    lost = island and kind == ".gwt" and writer == "W"
    if lost:
        assert "1 units that have no links" in read_error(path, islands="allow")
    else:
        assert read_weights(path, islands="allow") == W
    assert read_weights(path, ids=W.ids, islands="allow") == W
    assert read_weights(path, ids=W.ids[::-1], islands="allow") == W[W.ids[::-1]]
    if island:
        assert f"no neighbours: {LABELS[labels][4]!r}" in read_error(path, ids=W.ids)


@POSTAL
@pytest.mark.filterwarnings("ignore:The weights matrix is not fully connected:UserWarning")
@pytest.mark.parametrize("kind", [".gal", ".gwt"])
def test_reads_a_file_as_libpysal_does(write, kind):
    libpysal = pytest.importorskip("libpysal")
    text = {
        ".gal": "0 4 counties FIPS\n7 1\n9\n9 2\n7 3\n3 1\n9\n5 1\n3\n",
        ".gwt": "0 4 counties FIPS\n7 9 0.25\n9 3 1e-3\n9 7 4\n3 9 2.5\n5 3 12\n",
    }[kind]
    path = write(f"w{kind}", text)
    with closing(libpysal.io.open(str(path), "r")) as file:
        theirs = Weights.from_libpysal(file.read())
    ours = read_weights(path)
    assert ours.digest == theirs.digest
    assert ours.ids.astype(str).tolist() == theirs.ids.tolist()
    assert ours.ids.tolist() == [7, 9, 3, 5]


@pytest.mark.parametrize(
    "text",
    [
        "3\na 2\nb c\nb 1\na\nc 0\n",
        "3\na 2\nb c\nb 1\na\nc 0\n\n",
        "\ufeff0 3 map key\r\na 2\r\nb\r\nc\r\n\r\nc 0\r\n\r\nb 1\r\na",
    ],
)
def test_gal_islands_blank_lines_and_wrapped_lines(write, text):
    W = read_weights(write("w.GAL", text), islands="allow")
    assert W.islands == ["c"]
    np.testing.assert_array_equal(
        W[["a", "b", "c"]].to_scipy().toarray(), [[0, 1, 1], [1, 0, 0], [0, 0, 0]]
    )


@pytest.mark.parametrize(
    ("found", "want"),
    [
        (["2", "1", "10"], [1, 2, 10]),
        (["-2", "0", "7"], [-2, 0, 7]),
        (["01", "2", "3"], ["01", "2", "3"]),
        (["1", "2", "x"], ["1", "2", "x"]),
        (["1.0", "2", "3"], ["1.0", "2", "3"]),
        (["1_0", "2", "3"], ["1_0", "2", "3"]),
        (["²", "2", "3"], ["2", "3", "²"]),
        (["-0", "2", "3"], ["-0", "2", "3"]),
    ],
)
def test_labels_are_integers_only_if_all_of_them_read_so(write, found, want):
    a, b, c = found
    W = read_weights(write("w.csv", f"i,j\n{a},{b}\n{b},{c}\n{c},{a}\n"))
    assert W.ids.tolist() == want
    assert [type(x) for x in W.ids.tolist()] == [type(x) for x in want]


def test_ids_match_the_text_of_labels(write):
    path = write("w.gwt", "0 2 x y\nNew_York 12 1\n12 New_York 2\n")
    assert read_weights(path, ids=["12", "New York"]).ids.tolist() == ["12", "New York"]
    assert read_weights(path, ids=[12, "New York"]).ids.tolist() == [12, "New York"]
    assert "'New York', 'New_York'" in read_error(path, ids=["New York", "New_York", 12])
    assert "not in ids: 'New_York'" in read_error(path, ids=["New Haven", 12])
    assert "no neighbours: 'Rome'" in read_error(path, ids=["Rome", "New York", 12])


@pytest.mark.parametrize("ids", [None, LABELS["text"]])
@pytest.mark.parametrize("kind", [".mtx", ".npz", "dense .mtx", "symmetric .mtx"])
def test_bare_matrices(tmp_path, kind, ids):
    dense = DENSE + DENSE.T if kind.startswith("symmetric") else DENSE
    path = tmp_path / f"w{kind.split()[-1]}"
    if kind == ".npz":
        sparse.save_npz(path, sparse.csc_array(dense))
    else:
        scipy.io.mmwrite(
            path, dense if kind.startswith("dense") else sparse.coo_array(dense), precision=17
        )
    assert read_weights(str(path), ids=ids) == Weights(dense, ids)


FAULTS = {
    "gal: no number in the header": ("w.gal", "a b c\n", ["line 1", "'b'"]),
    "gal: half a unit line": ("w.gal", "2\na 1\nb\nb\n", ["line 4", "'b'"]),
    "gal: count is no number": ("w.gal", "2\na one\nb\n", ["line 2", "'one'"]),
    "gal: too many neighbours": (
        "w.gal",
        "2\na 1\na b\nb 1\na\n",
        ["line 2", "'a'", "1 neighbours", "line 3 has 2"],
    ),
    "gal: too few neighbours": ("w.gal", "2\na 1\nb\nb 2\na\n", ["line 4", "'b'", "ends"]),
    "gal: fewer units than the header says": (
        "w.gal",
        "3\na 1\nb\nb 1\na\n",
        ["line 1", "3 units", "has 2"],
    ),
    "gal: more units than the header says": (
        "w.gal",
        "0 1 x y\na 1\nb\nb 1\na\n",
        ["line 1", "1 units", "has 2"],
    ),
    "gal: a unit twice": ("w.gal", "2\na 1\nb\na 1\nb\n", ["line 4", "'a'", "line 2"]),
    "gal: an unknown neighbour": ("w.gal", "2\na 1\nz\nb 1\na\n", ["line 3", "'z'"]),
    "gal: a neighbour twice": ("w.gal", "2\na 2\nb b\nb 1\na\n", ["line 3", "'a' → 'b'"]),
    "gal: its own neighbour": ("w.gal", "2\na 1\na\nb 1\na\n", ["line 3", "'a'.*itself"]),
    "gal: an island": ("w.gal", "2\na 1\nb\nb 0\n\n", ["'b'", "islands="]),
    "gwt: four words": ("w.gwt", "0 2 x y\n1 2 1\n2 1 1 1\n", ["line 3", "'2', '1', '1', '1'"]),
    "gwt: weight is no number": ("w.gwt", "0 2 x y\n1 2 near\n", ["line 2", "'near'"]),
    "gwt: nan": ("w.gwt", "0 2 x y\n\n1 2 nan\n", ["line 3", "'nan'"]),
    "gwt: infinite": ("w.gwt", "2\n1 2 inf\n", ["line 2", "'inf'"]),
    "gwt: negative": ("w.gwt", "2\n1 2 -1\n", ["line 2", "'-1'"]),
    "gwt: a link twice": ("w.gwt", "2\n1 2 1\n2 1 1\n1 2 3\n", ["line 4", "'1' → '2'", "line 2"]),
    "gwt: more units than the header says": (
        "w.gwt",
        "0 1 x y\n1 2 1\n2 1 1\n",
        ["line 1", "1 units", "has 2"],
    ),
    "gwt: fewer units than the header says": (
        "w.gwt",
        "0 3 x y\n1 2 1\n2 1 1\n",
        ["line 1", "1 units", "ids="],
    ),
    "gwt: kernel weights": ("w.gwt", "0 2 x y\n1 1 1\n1 2 1\n2 1 1\n", ["line 2", "'1'.*itself"]),
    "csv: no header": ("w.csv", "1,2,0.5\n2,1,3\n", ["line 1", "looks like data"]),
    "csv: one column": ("w.csv", "edge\na-b\n", ["line 1", "'edge'"]),
    "csv: four columns without names": (
        "w.csv",
        "a,b,c,d\n1,2,3,4\n",
        ["line 1", "'a', 'b', 'c', 'd'", "origin"],
    ),
    "csv: which weight": (
        "w.csv",
        "origin,destination,km,flow\n1,2,3,4\n",
        ["line 1", "'km'", "weight"],
    ),
    "csv: short row": ("w.csv", "i,j,w\n1,2,3\n2,1\n", ["line 3", "2 fields", "of 3"]),
    "csv: missing label": ("w.csv", "i,j,w\n1,2,3\n,1,3\n", ["line 3", "label"]),
    "csv: missing weight": ("w.csv", "i,j,w\n1,2,\n", ["line 2", "''"]),
    "csv: decimal comma": ("w.csv", "i;j;w\n1;2;0,5\n", ["line 2", "'0,5'"]),
    "csv: a link twice": ("w.csv", "i,j\n1,2\n\n2,1\n1,2\n", ["line 5", "'1' → '2'", "line 2"]),
    "csv: a quotation mark without an end": (
        "w.csv",
        'i,j,w\n1,2,"3\n2,1,4\n',
        ["line 3", "quotation"],
    ),
    "csv: text after a quoted one": ("w.csv", 'i,j,w\n"1"x,2,3\n', ["line 2", "quotation"]),
    "csv: a field without end": (
        "w.csv",
        "i,j,w\n" + "1" * 200_000 + ",2,3\n",
        ["line 2", "field"],
    ),
    "gal: a count of 5000 digits": ("w.gal", "9" * 5000 + "\na 1\nb\n", ["line 1"]),
    "gal: neighbours of 5000 digits": ("w.gal", "2\na " + "9" * 5000 + "\nb\n", ["line 2"]),
    "csv: a header only": ("w.csv", "i,j,w\n", ["empty"]),
    "mtx: not square": (
        "w.mtx",
        "%%MatrixMarket matrix coordinate real general\n2 3 1\n1 3 1.0\n",
        ["square", r"\(2, 3\)"],
    ),
    "mtx: negative": (
        "w.mtx",
        "%%MatrixMarket matrix coordinate real general\n2 2 2\n1 2 1.0\n2 1 -3.0\n",
        ["1 → 0 = -3"],
    ),
    "mtx: cut short": (
        "w.mtx",
        "%%MatrixMarket matrix coordinate real general\n2 2 2\n1 2 1.0\n",
        ["line 2", "2 entries"],
    ),
    "mtx: something else": ("w.mtx", "hello", ["line 1", "%%MatrixMarket"]),
    "npz: something else": ("w.npz", "hello", ["npz matrix"]),
    "npz: nothing": ("w.npz", "", ["npz matrix"]),
    "no text": ("w.gal", b"2\na 1\n\xff\n", ["UTF-8", "byte 6", "0xff"]),
    "unknown extension": ("w.shp", "", ["'?.shp", ".gal .gwt .csv .mtx .npz"]),
    "no extension": ("w", "", ["without extension", ".gal"]),
    **{f"{kind}: empty": (f"w.{kind}", " \n", ["empty"]) for kind in ("gal", "gwt", "csv")},
}


@pytest.mark.parametrize("case", FAULTS)
def test_faults_are_named_with_file_and_line(write, case):
    name, text, wanted = FAULTS[case]
    message = read_error(write(name, text))
    for part in wanted:
        assert re.search(part, message), f"{part!r} not in {message}"


def test_an_npz_of_objects_is_not_unpickled(tmp_path):
    np.savez(tmp_path / "w.npz", format=np.array([Path()], dtype=object), data=np.ones(1))
    assert "npz matrix" in read_error(tmp_path / "w.npz")
