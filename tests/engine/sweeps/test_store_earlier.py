"""Stores of version 0.1.0, made by it, with the numbers that it returned; stores to come."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from stored_blocks import ABOUT, PARTS, copy_store, finish, read_numbers

import spillover as so
from spillover.engine.storage.sealed import add_seal, encode
from spillover.engine.sweeps import store
from spillover.kernels.errors import SpilloverWarning, StorageError

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(params=[1, 2])
def earlier(request, tmp_path):
    with tarfile.open(DATA / f"sweep_format_{request.param}.tar.xz") as file:
        file.extractall(tmp_path, filter="data")
    return request.param, tmp_path / "sweep.zarr", np.load(tmp_path / "returned.npz")


def assert_returned(out: so.Sweep, returned) -> None:
    for name in returned.files:
        if name != "failures":
            kind, field = name.split(".")
            np.testing.assert_array_equal(getattr(out, kind)[field].to_numpy(), returned[name])
    np.testing.assert_array_equal(out.failures.to_numpy(dtype=str), returned["failures"])


def test_a_store_of_version_0_1_0_opens_to_its_numbers(earlier):
    known, path, returned = earlier
    with pytest.warns(
        SpilloverWarning, match=f"is of format {known}, of version 0.1.0, without checksums"
    ):
        out = so.open_sweep(path)
    assert_returned(out, returned)
    assert np.isnan(out.summary["quasi"]).all() == (known == 1)
    assert len(returned["failures"]) == 2


def test_a_store_of_version_0_1_0_is_moved_aside_when_its_sweep_goes_on(earlier):
    known, path, returned = earlier
    about = json.loads((path / "zarr.json").read_text())["attributes"]
    about.pop("format")
    with pytest.raises(so.DataError, match="another sweep"):
        finish(path, about | {"digest": "4" * 64})
    with (
        pytest.warns(SpilloverWarning, match=f"in format {known}.*all members are fitted again"),
        store.open_store(path, about, PARTS) as place,
    ):
        assert place.kept == []
    with pytest.warns(SpilloverWarning, match="without checksums"):
        assert_returned(so.open_sweep(path / f"format-{known}"), returned)


def test_damage_in_a_store_of_version_0_1_0_is_named_where_it_can_be_seen(earlier):
    """A file that is missing or cut. Bits that were altered cannot be seen there, which the warning
    says.
    """
    _, path, _ = earlier
    for place in sorted(place for place in path.glob("blocks/*/**/*") if place.is_file())[::7]:
        content = place.read_bytes()
        for damage in (
            place.unlink,
            lambda content=content, place=place: place.write_bytes(content[: len(content) // 2]),
        ):
            damage()
            with pytest.raises(
                StorageError, match=f"block {place.relative_to(path / 'blocks').parts[0]} "
            ):
                read_numbers(path)
        place.write_bytes(content)


def test_a_format_to_come_is_not_read(whole, tmp_path):
    path = copy_store(whole, tmp_path)
    attributes = add_seal(ABOUT | {"format": 4})
    (path / "zarr.json").write_bytes(encode({**store.GROUP, "attributes": attributes}))
    with pytest.raises(StorageError, match="format 4 of a later version"):
        read_numbers(path)
