"""A saved fit comes back as it was, or not at all; what could be no fit is refused before anything uses it."""

import errno
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import spillover as so
from spillover.engine import provenance, saving

OLD = Path(__file__).parent / "data" / "fit-0.1.0.nc"  # written by version 0.1.0: an SDM of eight units, five exact draws
RNG = np.random.default_rng(0)
IDS = list("abcdefgh")
W = so.Weights(np.roll(np.eye(8), 1, axis=1) + np.roll(np.eye(8), 3, axis=1), IDS).row_standardize()
FRAME = pd.DataFrame({"y": RNG.normal(size=8), "x": RNG.normal(size=8)}, index=IDS)  # the data of OLD


@pytest.fixture(scope="module")
def fit():
    return so.SDM("y ~ x", FRAME, W).fit("exact", draws=20, chains=1, seed=1, progress=False)


@pytest.fixture(scope="module")
def stored(fit, tmp_path_factory):
    path = tmp_path_factory.mktemp("fit") / "fit.nc"
    fit.save(path)
    return path.read_bytes()


def assert_same(one: so.Fit, other: so.Fit) -> None:
    for group in one.tree.children:
        xr.testing.assert_equal(one.tree[group].to_dataset(), other.tree[group].to_dataset())


def flipped(stored: bytes, bits: np.ndarray, path: Path, fit: so.Fit) -> list[int]:
    """The bits whose flip gives a fit with other numbers."""
    wrong = []
    for bit in bits:
        data = bytearray(stored)
        data[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(data)
        try:
            assert_same(so.load(path), fit)
        except so.SpilloverError as error:
            assert str(path) in str(error)  # noqa: PT017
        except AssertionError:
            wrong.append(int(bit))
    return wrong


def test_a_flipped_bit_is_found(fit, stored, tmp_path):
    bits = np.random.default_rng(1).integers(8 * len(stored), size=40)
    bits = np.concatenate([bits, 8 * (len(stored) - 1 - np.arange(0, saving.LENGTH, 8))])  # those of the seal too
    assert flipped(stored, bits, tmp_path / "fit.nc", fit) == []


@pytest.mark.verify
def test_no_flipped_bit_gives_another_fit(fit, stored, tmp_path):
    bits = np.random.default_rng(2).integers(8 * len(stored), size=3000)
    assert flipped(stored, bits, tmp_path / "fit.nc", fit) == []


@pytest.mark.parametrize("length", [0, 1, 100, 5_000, -1, -saving.LENGTH, -saving.LENGTH - 1])
def test_a_file_cut_short_is_found(length, stored, tmp_path):
    (tmp_path / "fit.nc").write_bytes(stored[:length])
    with pytest.raises(so.StorageError, match=r"fit\.nc"):
        so.load(tmp_path / "fit.nc")


def test_the_seal_is_no_hindrance_to_others(fit, stored, tmp_path):
    (tmp_path / "fit.nc").write_bytes(stored)
    with xr.open_datatree(tmp_path / "fit.nc", engine="h5netcdf") as tree:
        xr.testing.assert_equal(tree["posterior"].to_dataset(), fit.posterior)
        tree.load().to_netcdf(tmp_path / "again.nc", engine="h5netcdf")
    with pytest.raises(so.StorageError, match="lost its seal"):
        so.load(tmp_path / "again.nc")


def test_a_file_of_the_first_version_opens():
    old = so.load(OLD)
    np.testing.assert_array_equal(  # as version 0.1.0 printed them
        old.posterior["rho"].to_numpy().ravel(),
        [0.039516809343666415, 0.7588656736547347, -0.5317484621135954, 0.7541159124275344, -0.2534570977596734],
    )
    assert old.weights == W
    assert old.impacts()["total"].shape == (1, 5, 1)


def test_a_later_format_is_refused(fit, tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "FORMAT", 9)
    fit.save(tmp_path / "fit.nc")
    monkeypatch.undo()
    with pytest.raises(so.StorageError, match=r"is of format 9, .* reads up to 1: update spillover"):
        so.load(tmp_path / "fit.nc")


def test_a_fit_says_where_it_comes_from(fit):
    about = fit.tree.attrs
    assert about["jax_version"] == provenance.versions()["jax"]
    assert about["spillover_version"] == provenance.versions()["spillover"]
    assert about["weights_sha256"] == provenance.of_weights(W)
    assert about["data_sha256"] == provenance.of_panel(so.SDM("y ~ x", FRAME.iloc[::-1], W).panel)


def test_a_full_disk_leaves_the_earlier_fit(fit, stored, tmp_path, monkeypatch):
    path = tmp_path / "fit.nc"
    path.write_bytes(stored)
    write = xr.DataTree.to_netcdf

    def full(tree, place, **options):
        write(tree, place, **options)
        os.truncate(place, 100)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(xr.DataTree, "to_netcdf", full)
    with pytest.raises(so.StorageError, match="No space left on device"):
        fit.save(path)
    assert path.read_bytes() == stored
    assert os.listdir(tmp_path) == ["fit.nc"]


CHANGES = {
    "rho": (("posterior", "rho"), 5.0, "rho has the draw 5, outside the admissible interval of its W, .* to 1"),
    "sigma": (("posterior", "sigma"), -1.0, "sigma has the draw -1, and is above 0"),
    "beta": (("posterior", "beta"), np.nan, "beta has draws that are not finite"),
    "row": (("constant_data", "weights_row"), 8, "weights_row or weights_column are no positions of its 8 units"),
    "column": (("constant_data", "weights_column"), -1, "no positions of its 8 units"),
    "link": (("constant_data", "weights_value"), np.inf, "weights_value has values that are not finite"),
    "loop": (("constant_data", "weights_column"), 0, "its W is none"),
    "own": (("constant_data", "own_position"), 3, "no positions of its 3 terms"),
    "lagged": (("constant_data", "lagged_position"), -2, "no positions of its 3 terms"),
    "x": (("constant_data", "x"), np.nan, "x or y have values that are not finite"),
    "y": (("observed_data", "y"), np.inf, "x or y have values that are not finite"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_numbers_that_no_fit_has_are_refused(what, fit, tmp_path):
    (group, name), value, words = CHANGES[what]
    tree = fit.tree.copy(deep=True)
    values = tree[group][name].to_numpy()
    values[(0,) * values.ndim] = value
    if what == "loop":
        values[:] = tree[group]["weights_row"].to_numpy()
    so.Fit(tree).save(tmp_path / "fit.nc")
    with pytest.raises(so.DataError, match=rf"fit\.nc is no fit that can be used: .*{words}"):
        so.load(tmp_path / "fit.nc")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("model", "XYZ", "no model 'XYZ'"),
        ("effects", "some", "no effects 'some'"),
        ("formula", 3, "its formula is"),
        ("model", "SAC", "no lam"),
    ],
)
def test_a_description_that_no_fit_has_is_refused(name, value, words, fit, tmp_path):
    tree = fit.tree.copy()
    tree.attrs[name] = value
    so.Fit(tree).save(tmp_path / "fit.nc")
    with pytest.raises(so.DataError, match=words):
        so.load(tmp_path / "fit.nc")


@pytest.mark.parametrize("name", ["x", "own_position", "weights_row", "y", "sigma", "regressor"])
def test_what_is_missing_is_named(name, fit, tmp_path):
    groups = {group: node.to_dataset().drop_vars(name, errors="ignore") for group, node in fit.tree.children.items()}
    tree = xr.DataTree.from_dict(groups)
    tree.attrs.update(fit.tree.attrs)
    so.Fit(tree).save(tmp_path / "fit.nc")
    with pytest.raises(so.DataError, match=rf"has no .*{name}"):
        so.load(tmp_path / "fit.nc")


@pytest.mark.parametrize(
    ("given", "words"), [(3, "give the name of a file"), (None, "give the name"), ("", "is no file"), ("none/fit.nc", "There is no")]
)
def test_no_place_for_a_fit(given, words, fit, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for action in (so.load, fit.save):
        with pytest.raises(so.StorageError, match=words if given != "" else "is no file|is a folder"):
            action(given)


def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(so.StorageError, match="is no file"):
            so.load(path)
