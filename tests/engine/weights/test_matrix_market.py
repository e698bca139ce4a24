"""Matrix Market files: what SciPy writes is what we read, entry for entry, and nothing that is no
number is one.
"""

import io
import re

import numpy as np
import pytest
import scipy.io
import scipy.sparse as sparse

from spillover.engine.weights.matrix_market import read_matrix_market
from spillover.engine.weights.reading import read_weights
from spillover.kernels.errors import WeightsError

RNG = np.random.default_rng(8)
DENSE = (
    RNG.uniform(-9, 9, (7, 7))
    * 10.0 ** RNG.integers(-300, 300, (7, 7))
    * (RNG.uniform(size=(7, 7)) < 0.5)
)
WHOLE = RNG.integers(-3, 9, (7, 7))
MATRICES = {
    "general": DENSE,
    "wide": DENSE[:3],
    "tall": DENSE[:, :2],
    "symmetric": DENSE + DENSE.T,
    "skew-symmetric": DENSE - DENSE.T,
    "whole": WHOLE,
    "whole symmetric": WHOLE + WHOLE.T,
    "whole skew-symmetric": WHOLE - WHOLE.T,
    "unsigned": WHOLE.clip(0).astype(np.uint64),
    "single": DENSE.clip(-1e30, 1e30).astype(np.float32),
    "empty": np.zeros((4, 4)),
}


@pytest.mark.parametrize(("dense", "field"), [(False, None), (False, "pattern"), (True, None)])
@pytest.mark.parametrize("name", MATRICES)
def test_what_scipy_writes_is_what_we_read(tmp_path, name, dense, field):
    path = tmp_path / "w.mtx"
    scipy.io.mmwrite(
        path,
        MATRICES[name] if dense else sparse.coo_array(MATRICES[name]),
        comment="one\ntwo",
        field=field,
    )
    expected = scipy.io.mmread(path, spmatrix=False)
    expected = expected.toarray() if sparse.issparse(expected) else expected
    if field is None and name != "single":  # which SciPy writes to seven digits
        np.testing.assert_array_equal(expected, MATRICES[name])
    np.testing.assert_array_equal(read_matrix_market(path).toarray(), expected)
    # and so as Windows writes it, cut at the end
    path.write_bytes(path.read_bytes().rstrip().replace(b"\n", b"\r\n"))
    np.testing.assert_array_equal(read_matrix_market(path).toarray(), expected)


def test_blank_lines_tabs_and_capitals(tmp_path):
    path = tmp_path / "w.mtx"
    path.write_text(
        "%%MatrixMarket Matrix Coordinate Real General\n% made by hand\n\n 2\t2 2 \n\n1 2\t1.5e0"
        " \n\n2  1 .5\n\n"
    )
    np.testing.assert_array_equal(read_matrix_market(path).toarray(), [[0, 1.5], [0.5, 0]])
    np.testing.assert_array_equal(
        read_matrix_market(path).toarray(),
        scipy.io.mmread(io.BytesIO(path.read_bytes()), spmatrix=False).toarray(),
    )


GENERAL = "%%MatrixMarket matrix coordinate real general\n"
SYMMETRIC = GENERAL.replace("general", "symmetric")
ARRAY = "%%MatrixMarket matrix array real general\n"
FAULTS = {
    "junk after the last number": (GENERAL + "2 2 2\n1 2 1\n2 1 1x", ["line 4", "'2 1 1x'"]),
    "junk in a number": (GENERAL + "2 2 2\n1 2 1_0\n2 1 1\n", ["line 3", "'1 2 1_0'"]),
    "a word too few": (GENERAL + "2 2 2\n1 2 1\n% or not\n2 1\n", ["line 4", "'% or not'"]),
    "a weight missing": (GENERAL + "2 2 2\n1 2 1\n2 1   \n", ["line 4", "'2 1'"]),
    "a word too many": (GENERAL + "2 2 2\n1 2 1 1\n2 1 1 1\n", ["line 3", "'1 2 1 1'"]),
    "an index with a point": (GENERAL + "2 2 2\n1.0 2 1\n2 1 1\n", ["line 3"]),
    "half an exponent": (GENERAL + "2 2 2\n1 2 1e\n2 1 1\n", ["line 3"]),
    "nan": (GENERAL + "2 2 2\n1 2 nan\n2 1 1\n", ["line 3", "nan"]),
    "infinite": (GENERAL + "2 2 2\n1 2 inf\n2 1 1\n", ["line 3", "inf"]),
    "beyond a float": (GENERAL + "2 2 2\n1 2 1e999\n2 1 1\n", ["infinite", "0 → 1"]),
    "hexadecimal": (GENERAL + "2 2 2\n1 2 0x1\n2 1 1\n", ["line 3"]),
    "index 0": (GENERAL + "2 2 2\n0 2 1\n2 1 1\n", ["line 3", "outside"]),
    "index beyond": (GENERAL + "2 2 2\n1 2 1\n\n3 1 1\n", ["line 5", "outside", "2 × 2"]),
    "index beyond 2^63": (GENERAL + "2 2 2\n1 99999999999999999999 1\n2 1 1\n", ["line 3"]),
    "an entry twice": (GENERAL + "2 2 3\n1 2 1\n2 1 1\n1 2 1\n", ["line 5", "1, 2", "already"]),
    "an entry on both sides": (SYMMETRIC + "2 2 2\n1 2 1\n2 1 1\n", ["line 4", "2, 1", "already"]),
    "more entries than promised": (
        GENERAL + "2 2 1\n1 2 1\n2 1 1\n",
        ["line 2", "1 entries", "has 2"],
    ),
    "fewer": (GENERAL + "2 2 2\n1    2   1.000\n", ["line 2", "2 entries", "has 1"]),
    "a trillion entries": (
        GENERAL + "2 2 1000000000000\n1 2 1\n2 1 1\n",
        ["line 2", "1000000000000", "room for 2"],
    ),
    "a trillion rows": (
        GENERAL + "1000000000000 1000000000000 2\n1 2 1\n2 1 1\n",
        ["200 TB of memory"],
    ),
    "a trillion values": (ARRAY + "1000000 1000000\n1\n", ["line 2", "1000000000000", "room"]),
    "more digits than Python turns into a number": (
        GENERAL + "2 2 " + "9" * 5000 + "\n1 2 1\n",
        ["line 2"],
    ),
    "a negative size": (GENERAL + "-2 2 2\n1 2 1\n2 1 1\n", ["line 2"]),
    "two sizes": (GENERAL + "2 2\n1 2 1\n2 1 1\n", ["line 2", "rows, columns and entries"]),
    "no sizes": (GENERAL + "%\n", ["line 3", "ends"]),
    "complex": (GENERAL.replace("real", "complex") + "2 2 1\n1 2 1 1\n", ["line 1", "complex"]),
    "hermitian": (
        GENERAL.replace("general", "hermitian") + "2 2 1\n1 2 1\n",
        ["line 1", "hermitian"],
    ),
    "array of a pattern": (ARRAY.replace("real", "pattern") + "2 2\n", ["line 1", "array pattern"]),
    "real numbers called whole": (
        GENERAL.replace("real", "integer") + "2 2 2\n1 2 1\n2 1 1.5\n",
        ["line 4", "1.5"],
    ),
    "symmetric but not square": (SYMMETRIC + "2 3 1\n1 2 1\n", ["line 2", "square"]),
    "skew-symmetric with a diagonal": (
        SYMMETRIC.replace("sym", "skew-sym") + "2 2 1\n1 1 1\n",
        ["line 3", "diagonal"],
    ),
    "two values on a line": (ARRAY + "2 2\n0 1\n1\n0\n", ["line 3", "'0 1'"]),
    "a value too few": (ARRAY + "2 2\n0.000\n1\n1\n", ["line 2", "4 values", "has 3"]),
    "another object": ("%%MatrixMarket vector coordinate real general\n2 1\n1 1\n", ["line 1"]),
    "nothing": ("", ["line 1"]),
    "bytes": ("%%MatrixMarket matrix coordinate real général\n2 2 0\n", ["line 1"]),
}


@pytest.mark.parametrize("case", FAULTS)
def test_faults_are_named_with_file_and_line(tmp_path, case):
    text, wanted = FAULTS[case]
    path = tmp_path / "w.mtx"
    path.write_bytes(text.encode())
    with pytest.raises(WeightsError) as caught:
        read_weights(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    for part in wanted:
        assert re.search(re.escape(part), message), f"{part!r} not in {message}"


@pytest.mark.parametrize("kind", MATRICES)
def test_a_file_cut_anywhere_or_with_junk_anywhere_is_refused_or_right(tmp_path, kind):
    """Against a reader of one line at a time, in which Python takes each number."""
    path = tmp_path / "w.mtx"
    scipy.io.mmwrite(path, sparse.coo_array(MATRICES[kind]))
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(40):
        at = int(rng.integers(1, len(whole)))
        junk = [b"x", b" 1", b"\n", b"-", b"7", b"."][rng.integers(6)]
        path.write_bytes(whole[:at] if rng.uniform() < 0.3 else whole[:at] + junk + whole[at:])
        try:
            found = read_matrix_market(path).toarray()
        except WeightsError:
            refused += 1
            continue
        np.testing.assert_array_equal(found, naive(path.read_text()))
    assert refused > 5


def naive(text: str) -> np.ndarray:
    first, *rest = text.split("\n")
    rows = [line.split() for line in rest if line.strip() and not line.startswith("%")]
    found = np.zeros([int(one) for one in rows[0][:2]])
    for i, j, value in rows[1:]:
        found[int(i) - 1, int(j) - 1] = float(value)
        if "symmetric" in first and i != j:
            found[int(j) - 1, int(i) - 1] = -float(value) if "skew" in first else float(value)
    return found
