"""A path is read only where it leads to a file that memory holds."""

import os

import pandas as pd
import pytest
from unreadable import read_error

from spillover.engine.weights.reading import read_weights
from spillover.kernels.errors import WeightsError


def test_bounds_and_islands_pass_through(write):
    path = write("w.csv", "i,j,w\n1,2,5\n2,2,0\n")
    assert "no neighbours: 2" in read_error(path)
    assert read_weights(path, islands="allow", bounds=(-3, 3)).bounds == (-3.0, 3.0)
    assert "keep" in read_error(path, islands="keep")


@pytest.mark.parametrize("kind", [".gal", ".gwt", ".csv", ".mtx", ".npz"])
def test_a_pipe_or_a_hole_of_terabytes_is_not_read(tmp_path, kind):
    os.mkfifo(tmp_path / f"pipe{kind}")
    assert "is a pipe" in read_error(tmp_path / f"pipe{kind}")
    with (tmp_path / f"hole{kind}").open("wb") as file:
        file.truncate(10**13)
    assert "TB of memory" in read_error(tmp_path / f"hole{kind}")
    (tmp_path / f"folder{kind}").mkdir()
    assert "is a folder" in read_error(tmp_path / f"folder{kind}")


@pytest.mark.parametrize("path", [None, 3, b"w.gal", "", ["w.gal"], pd.DataFrame({"a": [1, 2]})])
def test_what_is_no_path_is_named(path):
    with pytest.raises(WeightsError, match=r"no path of weights|path in bytes"):
        read_weights(path)


def test_a_file_that_is_not_there(tmp_path):
    assert "no such file" in read_error(tmp_path / "w.gal")
