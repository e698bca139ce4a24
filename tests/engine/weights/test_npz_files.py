"""Files of scipy.sparse.save_npz: every format comes back as SciPy has it, and nothing in a file is
believed before it is checked.
"""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sparse

from spillover.engine.weights.npz_files import read_npz
from spillover.engine.weights.reading import read_weights
from spillover.kernels.errors import WeightsError

RNG = np.random.default_rng(4)
DENSE = RNG.uniform(0.1, 9, (6, 6)) * (RNG.uniform(size=(6, 6)) < 0.4)
FORMATS = ["csr", "csc", "coo", "bsr", "dia"]


@pytest.mark.parametrize("kind", [float, np.float32, int, np.uint8, bool, np.longdouble])
@pytest.mark.parametrize("flavour", ["array", "matrix"])
@pytest.mark.parametrize("name", FORMATS)
def test_what_scipy_saves_is_what_we_read(tmp_path, name, flavour, kind):
    matrix = getattr(sparse, f"{name}_{flavour}")(DENSE.astype(kind))
    sparse.save_npz(tmp_path / "w.npz", matrix, compressed=flavour == "array")
    expected = sparse.load_npz(tmp_path / "w.npz").toarray()
    found = read_npz(tmp_path / "w.npz")
    assert found.dtype == kind
    np.testing.assert_array_equal(found.toarray(), expected)


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (1, 1)])
def test_blocks_and_diagonals_of_any_shape(tmp_path, shape):
    dense = np.kron(RNG.uniform(size=(3, 2)) < 0.7, np.ones(shape)) * RNG.uniform(
        1, 2, (3 * shape[0], 2 * shape[1])
    )
    for matrix in (sparse.bsr_array(dense, blocksize=shape), sparse.dia_array(dense)):
        sparse.save_npz(tmp_path / "w.npz", matrix)
        np.testing.assert_array_equal(read_npz(tmp_path / "w.npz").toarray(), dense)


def test_numbers_of_another_byte_order(tmp_path):
    np.savez(
        tmp_path / "w.npz",
        **parts(data=np.array([1.5, 2.5], ">f8"), indices=np.array([1, 0], ">i4")),
    )
    np.testing.assert_array_equal(
        read_weights(tmp_path / "w.npz").to_scipy().toarray(), [[0, 1.5], [2.5, 0]]
    )


def test_entries_stored_more_than_once_are_summed(tmp_path):
    matrix = sparse.coo_array(
        (np.array([1.0, 2.0, 4.0]), (np.array([0, 0, 1]), np.array([1, 1, 0]))), shape=(2, 2)
    )
    sparse.save_npz(tmp_path / "w.npz", matrix)
    np.testing.assert_array_equal(
        read_weights(tmp_path / "w.npz").to_scipy().toarray(), [[0, 3], [4, 0]]
    )


def parts(**changed):
    """The members of a good file of two units, some of them changed; None leaves one out."""
    good = {
        "format": np.array(b"csr"),
        "shape": np.array([2, 2]),
        "data": np.array([1.0, 2.0]),
        "indices": np.array([1, 0], np.int32),
        "indptr": np.array([0, 1, 2], np.int32),
    }
    return {name: value for name, value in (good | changed).items() if value is not None}


def coo(**changed):
    return parts(
        format=np.array("coo"),
        indices=None,
        indptr=None,
        **({"row": np.array([0, 1]), "col": np.array([1, 0])} | changed),
    )


def dia(**changed):
    return parts(
        format=np.array("dia"),
        indices=None,
        indptr=None,
        **({"data": np.ones((2, 2)), "offsets": np.array([1, -1])} | changed),
    )


BIG = 10**12
FAULTS = {
    "no format": (parts(format=None), "no format.npy"),
    "a format of objects": (parts(format=np.array([Path()], dtype=object)), "never unpickled"),
    "data of objects": (parts(data=np.array([1.0, Path()], dtype=object)), "never unpickled"),
    "records": (parts(data=np.zeros(2, [("a", float)])), "not numbers"),
    "dates": (parts(data=np.zeros(2, "datetime64[s]")), "not numbers"),
    "text": (parts(data=np.array(["a", "b"])), "<U1 values"),
    "complex": (parts(data=np.array([1j, 2.0])), "complex128 values"),
    "lil": (parts(format=np.array("lil")), "'lil'"),
    "a format that is none": (parts(format=np.array("csr_array.__class__")), "csr_array.__class__"),
    "a number as format": (parts(format=np.array(3)), "short text"),
    "many formats": (parts(format=np.array(["csr", "csc"])), "short text"),
    "no data": (parts(data=None), "no data.npy"),
    "indptr that falls": (parts(indptr=np.array([0, 5, 2])), "indptr"),
    "indptr that starts late": (parts(indptr=np.array([1, 1, 2])), "indptr"),
    "indptr beyond the data": (parts(indptr=np.array([0, 1, 10**9])), "indptr"),
    "indptr too short": (parts(indptr=np.array([0, 2])), "indptr"),
    "indptr of floats": (parts(indptr=np.array([0.0, 1.0, 2.0])), "not integers"),
    "an empty indptr": (parts(indptr=np.array([], int)), "indptr"),
    "an index beyond": (parts(indices=np.array([1, 2])), "indices holds positions outside"),
    "a negative index": (parts(indices=np.array([1, -1])), "indices holds positions outside"),
    "an index beyond 2^63": (parts(indices=np.array([1, 2**64 - 1], np.uint64)), "beyond 2^63"),
    "fewer indices than data": (parts(indices=np.array([1])), "indices has the shape"),
    "indices in two dimensions": (parts(indices=np.array([[1, 0]])), "indices has the shape"),
    "data in two dimensions": (parts(data=np.ones((2, 1))), "data has the shape"),
    "data without any": (parts(data=np.array(1.0)), "data has the shape"),
    "a shape of three": (parts(shape=np.array([2, 2, 2])), "rows and columns"),
    "a negative shape": (parts(shape=np.array([-2, 2])), "rows and columns"),
    "a shape of floats": (parts(shape=np.array([2.0, 2.0])), "not integers"),
    "a trillion rows": (parts(shape=np.array([BIG, BIG])), "TB of memory"),
    "not square": (parts(shape=np.array([2, 3])), "square"),
    "coo: a row beyond": (coo(row=np.array([0, 2])), "row holds positions outside"),
    "coo: a negative column": (coo(col=np.array([0, -1])), "col holds positions outside"),
    "coo: rows of another number": (coo(row=np.array([0])), "row has the shape"),
    "coo: coordinates in three dimensions": (
        coo(coords=np.zeros((3, 2), int)),
        "coords has the shape",
    ),
    "dia: an offset twice": (dia(offsets=np.array([1, 1])), "no diagonals"),
    "dia: offsets beyond": (dia(offsets=np.array([1, -(2**62)])), "offsets from"),
    "dia: more offsets than data": (dia(offsets=np.array([1, 0, -1])), "no diagonals"),
    "bsr: blocks of no size": (
        parts(format=np.array("bsr"), data=np.ones((2, 0, 1))),
        "blocks of the shape",
    ),
    "bsr: blocks that do not fit": (
        parts(format=np.array("bsr"), data=np.ones((2, 3, 3))),
        "blocks of the shape",
    ),
    "not a number": (parts(data=np.array([1.0, np.nan])), "NaN"),
}


def message_of(path) -> str:
    with pytest.raises(WeightsError) as caught:
        read_weights(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("case", FAULTS)
def test_what_does_not_make_a_matrix_is_named(tmp_path, case):
    members, wanted = FAULTS[case]
    np.savez(tmp_path / "w.npz", **members)
    assert wanted in message_of(tmp_path / "w.npz")


def npy(descr: str, shape: str, content: bytes = b"", version: int = 1) -> bytes:
    head = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return (
        b"\x93NUMPY"
        + bytes([version, 0])
        + len(head).to_bytes(2 if version == 1 else 4, "little")
        + head
        + content
    )


HEADERS = {
    "promises more than there is": (
        npy("'<f8'", f"({BIG},)", b"\0" * 16),
        "promises 8000000000000 bytes",
    ),
    "has more than it promises": (npy("'<f8'", "(1,)", b"\0" * 16), "promises 8 bytes"),
    "a shape below 0": (npy("'<f8'", "(-2,)", b"\0" * 16), "shape"),
    "a shape beyond all": (npy("'<f8'", f"({2**80},)", b"\0" * 16), "shape"),
    "a shape that is a call": (npy("'<f8'", "(open('made','w'),)", b"\0" * 16), "none of NumPy's"),
    "nested a thousand times": (
        npy("'<f8'", "(" * 3000 + ")" * 3000, b"\0" * 16),
        "none of NumPy's",
    ),
    "objects": (
        npy("'|O'", "(2,)", b"\x80\x04cos\nsystem\n(S'touch made'\ntR."),
        "never unpickled",
    ),
    "a type that is none": (npy("'<f3'", "(2,)", b"\0" * 6), "no type"),
    "another version": (npy("'<f8'", "(2,)", b"\0" * 16, version=9), "no NumPy array"),
    "no array at all": (b"hello, hello, hello", "no NumPy array"),
    "cut": (b"\x93NUMPY\x01\x00\xff\x00{", "cut short"),
    "a header too long": (b"\x93NUMPY\x02\x00\xff\xff\xff\x7f{", "2147483647 bytes"),
}


@pytest.mark.parametrize("case", HEADERS)
def test_headers_are_not_believed(tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    content, wanted = HEADERS[case]
    np.savez("w.npz", **parts(data=None))
    with zipfile.ZipFile("w.npz", "a") as archive:
        archive.writestr("data.npy", content)
    assert wanted in message_of(tmp_path / "w.npz")
    assert os.listdir() == ["w.npz"]


def test_a_bomb_is_refused_by_what_it_promises(tmp_path):
    """A thousand times its size; the archive says so truly, and a larger one is refused before a
    byte is unpacked.
    """
    size = 10**13
    with zipfile.ZipFile(tmp_path / "w.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, value in parts(data=None).items():
            stream = io.BytesIO()
            np.save(stream, value)
            archive.writestr(f"{name}.npy", stream.getvalue())
        archive.writestr("data.npy", npy("'<f8'", f"({size // 8},)", b"\0" * 10**6))
        found = archive.getinfo("data.npy")
        # what the directory then says
        found.file_size = size + len(npy("'<f8'", f"({size // 8},)"))
    assert "TB of memory" in message_of(tmp_path / "w.npz")


def test_a_member_that_unpacks_to_more_than_it_says_is_cut_and_refused(tmp_path):
    np.savez_compressed(tmp_path / "w.npz", **parts(data=None))
    with zipfile.ZipFile(tmp_path / "w.npz", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.npy", npy("'<f8'", "(2,)", b"\0" * 10**6))
        archive.getinfo("data.npy").file_size = len(npy("'<f8'", "(2,)")) + 16
    assert "npz matrix" in message_of(tmp_path / "w.npz")


def test_broken_archives(tmp_path):
    path = tmp_path / "w.npz"
    np.savez(path, **parts())
    whole = path.read_bytes()
    for at in range(1, len(whole), 97):
        path.write_bytes(whole[:at])
        assert "npz matrix" in message_of(path)
    flipped = bytearray(whole)
    flipped[whole.index(np.array([1.0, 2.0]).tobytes())] ^= 1
    path.write_bytes(flipped)
    assert "CRC" in message_of(path)
