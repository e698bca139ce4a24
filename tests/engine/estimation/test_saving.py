"""A saved fit comes back as it was, or not at all; what could be no fit is refused before anything
uses it.
"""

import errno
import hashlib
import os
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import spillover as so
from spillover.engine.data import provenance
from spillover.engine.estimation import saving
from spillover.engine.estimation.results import check_fit

# written by version 0.1.0: an SDM of eight units, five exact draws
OLD = Path(__file__).parents[1] / "data" / "fit-0.1.0.nc"
RNG = np.random.default_rng(0)
IDS = list("abcdefgh")
W = so.Weights(np.roll(np.eye(8), 1, axis=1) + np.roll(np.eye(8), 3, axis=1), IDS).row_standardize()
# the data of OLD
FRAME = pd.DataFrame({"y": RNG.normal(size=8), "x": RNG.normal(size=8)}, index=IDS)


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
    # those of the seal too
    bits = np.concatenate([bits, 8 * (len(stored) - 1 - np.arange(0, saving.LENGTH, 8))])
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
        [
            0.039516809343666415,
            0.7588656736547347,
            -0.5317484621135954,
            0.7541159124275344,
            -0.2534570977596734,
        ],
    )
    assert old.weights == W
    assert old.impacts()["total"].shape == (1, 5, 1)


def test_a_later_format_is_refused(fit, tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "FORMAT", 9)
    fit.save(tmp_path / "fit.nc")
    monkeypatch.undo()
    with pytest.raises(
        so.StorageError, match=r"is of format 9, .* reads up to 1: update spillover"
    ):
        so.load(tmp_path / "fit.nc")


def test_a_fit_says_where_it_comes_from(fit):
    about = fit.tree.attrs
    assert about["jax_version"] == provenance.versions()["jax"]
    assert about["spillover_version"] == provenance.versions()["spillover"]
    assert about["weights_sha256"] == provenance.hash_weights(W)
    assert about["data_sha256"] == provenance.hash_panel(so.SDM("y ~ x", FRAME.iloc[::-1], W).panel)


def test_a_full_disk_leaves_the_earlier_fit(fit, stored, tmp_path, monkeypatch):
    path = tmp_path / "fit.nc"
    path.write_bytes(stored)
    write = Path.write_bytes

    def full(place, data):
        write(place, data[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(so.StorageError, match="No space left on device"):
        fit.save(path)
    monkeypatch.undo()
    assert path.read_bytes() == stored
    assert os.listdir(tmp_path) == ["fit.nc"]


def test_what_is_loaded_is_checked(fit, tmp_path):
    """The trees below are handed to the same function without a file each."""
    tree = fit.tree.copy(deep=True)
    tree["posterior"]["rho"].to_numpy()[0, 0] = 5.0
    so.Fit(tree).save(tmp_path / "fit.nc")
    with pytest.raises(so.DataError, match="rho has the draw 5"):
        so.load(tmp_path / "fit.nc")


CHANGES = {
    "rho": (
        ("posterior", "rho"),
        5.0,
        "rho has the draw 5, outside the admissible interval of its W, .* to 1",
    ),
    "sigma": (("posterior", "sigma"), -1.0, "sigma has the draw -1, and is above 0"),
    "beta": (("posterior", "beta"), np.nan, "beta has draws that are not finite"),
    "row": (
        ("constant_data", "weights_row"),
        8,
        "weights_row or weights_column are no positions of its 8 units",
    ),
    "column": (("constant_data", "weights_column"), -1, "no positions of its 8 units"),
    "link": (
        ("constant_data", "weights_value"),
        np.inf,
        "weights_value has values that are not finite",
    ),
    "loop": (("constant_data", "weights_column"), 0, "its W is none"),
    "own": (("constant_data", "own_position"), 3, "no positions of its 3 terms"),
    "lagged": (("constant_data", "lagged_position"), -2, "no positions of its 3 terms"),
    "x": (("constant_data", "x"), np.nan, "x or y have values that are not finite"),
    "y": (("observed_data", "y"), np.inf, "x or y have values that are not finite"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_numbers_that_no_fit_has_are_refused(what, fit):
    (group, name), value, words = CHANGES[what]
    tree = fit.tree.copy(deep=True)
    values = tree[group][name].to_numpy()
    values[(0,) * values.ndim] = value
    if what == "loop":
        values[:] = tree[group]["weights_row"].to_numpy()
    with pytest.raises(so.DataError, match=rf"fit\.nc is no fit that can be used: .*{words}"):
        check_fit(tree, "fit.nc")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("model", "XYZ", "no model 'XYZ'"),
        ("effects", "some", "no effects 'some'"),
        ("formula", 3, "its formula is"),
        ("model", "SAC", "no lam"),
        ("effects", "random", "no sigma_alpha"),
        ("sampler", "metropolis", "no sampler 'metropolis'"),
        ("likelihood", 3, "its likelihood is 3"),
        ("bounds", 3.0, "its bounds are 3.0"),
        ("bounds", "ab", "its bounds are 'ab'"),
        ("bounds", [-9.0, 9.0], "its W is none, bounds=.* reach beyond"),
        ("error_bounds", [-1.0, np.nan], "its error_bounds are"),
        ("log_marginal_likelihood", "abc", "its log_marginal_likelihood is 'abc'"),
        ("log_marginal_likelihood", np.nan, "its log_marginal_likelihood is nan"),
        ("seed", "s", "its seed is 's'"),
        ("data_sha256", 3, "its data_sha256 is 3"),
    ],
)
def test_a_description_that_no_fit_has_is_refused(name, value, words, fit):
    tree = fit.tree.copy()
    tree.attrs[name] = value
    with pytest.raises(so.DataError, match=words):
        check_fit(tree, "fit.nc")


def rewritten(fit: so.Fit, **changes) -> so.Fit:
    """The fit with other groups."""
    groups = {group: node.to_dataset() for group, node in fit.tree.children.items()} | changes
    tree = xr.DataTree.from_dict(groups)
    tree.attrs.update(fit.tree.attrs)
    return so.Fit(tree)


def rearranged(fit: so.Fit, group: str, name: str, dims: tuple, values=None) -> so.Fit:
    """The fit with one variable along other dimensions."""
    data = fit.tree[group].to_dataset()
    values = data[name].to_numpy() if values is None else values
    return rewritten(fit, **{group: data.drop_vars(name).assign({name: (dims, values)})})


SHAPES = {
    "weights_row": ("constant_data", ("other",), np.array([0, 1])),
    "weights_column": ("constant_data", ("other",), None),
    "lagged_position": ("constant_data", ("other",), np.array([0, 1])),
    "y": ("observed_data", ("other",), np.zeros(3)),
    "rho": ("posterior", ("draw", "chain"), np.zeros((20, 1))),
}


@pytest.mark.parametrize("name", SHAPES)
def test_other_dimensions_are_named(name, fit):
    group, dims, values = SHAPES[name]
    tree = rearranged(fit, group, name, dims, values).tree
    with pytest.raises(so.DataError, match=f"{name} has the dimensions"):
        check_fit(tree, "fit.nc")


def test_other_labels_of_y_are_named(fit):
    data = fit.tree["observed_data"].to_dataset()
    tree = rewritten(fit, observed_data=data.assign_coords(unit=IDS[::-1])).tree
    with pytest.raises(so.DataError, match="the labels of unit are not the same in y and x"):
        check_fit(tree, "fit.nc")


def test_no_draws_are_no_fit(fit):
    tree = rewritten(fit, posterior=fit.posterior.isel(draw=slice(0))).tree
    with pytest.raises(so.DataError, match="it has no draws"):
        check_fit(tree, "fit.nc")


def test_a_prior_that_is_none_is_named(fit):
    prior = fit.tree["prior"].to_dataset().copy(deep=True)
    prior["sigma"][:] = -1.0
    tree = rewritten(fit, prior=prior).tree
    with pytest.raises(so.DataError, match="sigma of its prior has the draw -1"):
        check_fit(tree, "fit.nc")


@pytest.mark.parametrize("number", ["x", [1, 2], 0, -1, 1.5])
def test_a_format_that_is_no_number_of_one(number, fit, tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "FORMAT", number)
    fit.save(tmp_path / "fit.nc")
    monkeypatch.undo()
    with pytest.raises(so.StorageError, match="is of a format that there is not"):
        so.load(tmp_path / "fit.nc")


# --- what HDF5 can do beside holding numbers
# -----------------------------------------------------------------------------


def _promise(file, folder):
    """80 TB, of which there may be two copies while they are read."""
    file["constant_data"].create_dataset(
        "big", shape=(10**6, 10**7), chunks=(1000, 1000), dtype="f8", compression="gzip"
    )


def _elsewhere(file, folder):
    (folder / "secret").write_bytes(bytes(64))
    file["constant_data"].create_dataset(
        "stolen", shape=(8,), dtype="f8", external=[(str(folder / "secret"), 0, 64)]
    )


def _pipe(file, folder):
    os.mkfifo(folder / "pipe")
    file["constant_data"].create_dataset(
        "endless", shape=(8,), dtype="f8", external=[(str(folder / "pipe"), 0, 64)]
    )


def _link(file, folder):
    with h5py.File(folder / "other.nc", "w") as other:
        other["v"] = np.arange(3.0)
    file["constant_data"]["linked"] = h5py.ExternalLink(str(folder / "other.nc"), "/v")


def _virtual(file, folder):
    layout = h5py.VirtualLayout(shape=(3,), dtype="f8")
    layout[:] = h5py.VirtualSource(str(folder / "other.nc"), "v", shape=(3,))
    file["constant_data"].create_virtual_dataset("virtual", layout)


def _ring(file, folder):
    file["constant_data"]["again"] = file["/"]


def _nowhere(file, folder):
    file["constant_data"]["lost"] = h5py.SoftLink("/nowhere")


def _reference(file, folder):
    file["constant_data"].create_dataset(
        "pointer", data=np.array([file["posterior"].ref], dtype=h5py.ref_dtype)
    )


ATTACKS = {
    _promise: "some 160 TB of memory",
    _elsewhere: "stolen is kept in another file",
    _pipe: "endless is kept in another file",
    _link: "linked is a link",
    _virtual: "virtual is kept in another file",
    _ring: "again is a group within a group",
    _nowhere: "lost is a link",
    _reference: "pointer holds neither numbers nor text",
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_file_leads_nowhere_and_takes_no_more_than_there_is(attack, stored, tmp_path):
    """With a seal of its own: one that anybody can make."""
    path = tmp_path / "fit.nc"
    path.write_bytes(stored[: -saving.LENGTH])
    with h5py.File(path, "r+") as file:
        attack(file, tmp_path)
    content = path.read_bytes()
    path.write_bytes(content + saving.SEAL + hashlib.sha256(content).hexdigest().encode())
    with pytest.raises(so.StorageError, match=ATTACKS[attack]):
        so.load(path)


@pytest.mark.parametrize("name", ["x", "own_position", "weights_row", "y", "sigma", "regressor"])
def test_what_is_missing_is_named(name, fit):
    groups = {
        group: node.to_dataset().drop_vars(name, errors="ignore")
        for group, node in fit.tree.children.items()
    }
    tree = xr.DataTree.from_dict(groups)
    tree.attrs.update(fit.tree.attrs)
    with pytest.raises(so.DataError, match=rf"has no .*{name}"):
        check_fit(tree, "fit.nc")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (3, "give the name of a file"),
        (None, "give the name"),
        ("", "give the name"),
        ("none/fit.nc", "There is no folder|there is no such file"),
    ],
)
def test_no_place_for_a_fit(given, words, fit, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for action in (so.load, fit.save):
        with pytest.raises(so.StorageError, match=words):
            action(given)


def test_pipes_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(so.StorageError, match=r"is a pipe|is a device"):
            so.load(path)


@pytest.mark.parametrize(
    "content", [b"", b"a,b\n1,2\n", b"CDF\x01" + bytes(60), b"\x89HDF\r\n\x1a\n" + bytes(60)]
)
def test_a_file_of_another_kind(content, tmp_path):
    (tmp_path / "fit.nc").write_bytes(content)
    with pytest.raises(
        so.StorageError, match=r"fit\.nc is not a NetCDF file that can be read"
    ) as caught:
        so.load(tmp_path / "fit.nc")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["a\0b", "x" * 300, "\ud800"])
def test_names_that_no_file_has(name, fit, tmp_path):
    for action in (so.load, fit.save):
        with pytest.raises(so.StorageError) as caught:
            action(tmp_path / name)
        assert str(caught.value).isprintable()


def test_a_file_that_may_not_be_read(stored, tmp_path, monkeypatch):
    path = tmp_path / "fit.nc"
    path.write_bytes(stored)

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(so.StorageError, match="Permission denied"):
        so.load(path)
