"""Fits on disk: NetCDF with a seal, written whole, and checked before anything uses them.

The seal stands behind the last byte of HDF5, which readers of NetCDF pass over: the SHA-256 of all bytes before it. It
finds accidents, a flipped bit or a cut, and is no signature. The files hold numbers and text only: nothing in them is
unpickled or run.
"""

import hashlib
from pathlib import Path

import numpy as np
import xarray as xr

from spillover.engine.storage import whole_file
from spillover.kernels.arguments import shown
from spillover.kernels.errors import DataError, StorageError
from spillover.models.spec import EFFECTS, FLAGS, RANDOM

FORMAT = 1  # of the files; those of 0.1.0 have none, and no seal
SEAL = b"\nspillover sha256 "
LENGTH = len(SEAL) + 64
GROUPS = ("posterior", "observed_data", "constant_data")
TEXTS = ("model", "effects", "formula", "response", "sampler")
CONSTANTS = ("x", "own_position", "lagged_position", "weights_row", "weights_column", "weights_value")


def write_tree(tree: xr.DataTree, path: str | Path) -> None:
    """Write a tree as NetCDF and seal it. StorageError where it cannot be; an earlier file is then untouched."""
    if not isinstance(path, str | Path):
        raise StorageError(f"path={shown(path)}: give the name of a file, such as 'fit.nc'.")
    stamped = tree.copy()
    stamped.attrs["spillover_format"] = FORMAT
    with whole_file(path) as beside:
        stamped.to_netcdf(beside, engine="h5netcdf")
        with beside.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        with beside.open("ab") as file:
            file.write(SEAL + digest.encode())


def read_tree(path: str | Path) -> xr.DataTree:
    """The tree that `write_tree` wrote, in memory. StorageError for what is no such file, or damaged, or of a later version."""
    if not isinstance(path, str | Path):
        raise StorageError(f"path={shown(path)}: give the name of a file, such as 'fit.nc'.")
    place = Path(path)
    if not place.is_file():
        raise StorageError(f"{place} is no file." if place.exists() else f"There is no file {place}.")
    sealed = _check_seal(place)
    try:
        with xr.open_datatree(place, engine="h5netcdf") as opened:
            tree = opened.load()
    except Exception as error:  # what HDF5, h5py and xarray make of broken bytes has no common class
        raise StorageError(
            f"{place} is not a NetCDF file that can be read: {str(error).splitlines()[0] if str(error) else error!r}"
        ) from error
    version = tree.attrs.get("spillover_format", 0)
    if version and not sealed:
        raise StorageError(
            f"{place} has lost its seal: it was cut short, or written anew by another program. Fit again, or read it by xarray."
        )
    if version > FORMAT:
        raise StorageError(f"{place} is of format {version}, and this version of spillover reads up to {FORMAT}: update spillover.")
    return tree


def _check_seal(path: Path) -> bool:
    """Whether the file has a seal. StorageError for a seal that does not fit its bytes."""
    size = path.stat().st_size - LENGTH
    if size <= 0:
        return False
    digest = hashlib.sha256()
    with path.open("rb") as file:
        left = size
        while left:
            part = file.read(min(left, 1 << 20))
            if not part:
                raise StorageError(f"{path} changed while it was read.")
            digest.update(part)
            left -= len(part)
        seal = file.read()
    if not seal.startswith(SEAL):
        return False
    if seal != SEAL + digest.hexdigest().encode():
        raise StorageError(f"{path} is damaged: its bytes are not those that were written. Take another copy, or fit again.")
    return True


def check_tree(tree: xr.DataTree, path: str | Path) -> None:
    """DataError for a tree that is no fit, or holds what no fit can: the first fault by name."""
    missing = [name for name in GROUPS if name not in tree.children]
    if missing or "model" not in tree.attrs:
        found = ", ".join(tree.children) or "none"
        raise DataError(f"{path} is not a fit saved by spillover: it has the groups {found}.")
    for look in (_attributes, _constants, _draws):
        fault = look(tree)
        if fault:
            raise DataError(f"{path} is no fit that can be used: {fault}.")


def _attributes(tree: xr.DataTree) -> str:
    """What is wrong with the description of a fit, "" where nothing is."""
    attrs = tree.attrs
    for name in TEXTS:
        if not isinstance(attrs.get(name), str):
            return f"its {name} is {attrs.get(name)!r}"
    if attrs["model"] not in FLAGS:
        return f"there is no model {attrs['model']!r}"
    if attrs["effects"] not in EFFECTS + RANDOM:
        return f"there are no effects {attrs['effects']!r}"
    return ""


def _constants(tree: xr.DataTree) -> str:
    """What is wrong with the data and W of a fit."""
    data, observed = tree["constant_data"].to_dataset(), tree["observed_data"].to_dataset()
    absent = [name for name in (*CONSTANTS, "unit", "regressor", "term") if name not in data.variables]
    absent += [name for name in ("y",) if name not in observed]
    if absent:
        return f"it has no {absent[0]}"
    units, terms = data.sizes["unit"], data.sizes["term"]
    for name, dims in (("x", ("period", "unit", "term")), ("weights_value", ("link",)), ("own_position", ("regressor",))):
        if data[name].dims != dims:
            return f"{name} has the dimensions {data[name].dims}, and not {dims}"
    for prefix in ("weights", "error_weights"):
        ends = [f"{prefix}_row", f"{prefix}_column"]
        if prefix == "error_weights" and ends[0] not in data:
            continue
        if any(name not in data or not _within(data[name], 0, units) for name in ends):
            return f"{ends[0]} or {ends[1]} are no positions of its {units} units"
        if not _finite(data.get(f"{prefix}_value")):
            return f"{prefix}_value has values that are not finite numbers"
    if not (_within(data["own_position"], 0, terms) and _within(data["lagged_position"], -1, terms)):
        return f"own_position or lagged_position are no positions of its {terms} terms"
    if not (_finite(data["x"]) and _finite(observed["y"])):
        return "x or y have values that are not finite numbers"
    return ""


def _draws(tree: xr.DataTree) -> str:
    """What is wrong with the draws of a fit."""
    lag, _, error = FLAGS[tree.attrs["model"]]
    posterior = tree["posterior"].to_dataset()
    wanted = {"beta": ("chain", "draw", "term"), "sigma": ("chain", "draw")}
    wanted |= {name: ("chain", "draw") for name, there in (("rho", lag), ("lam", error)) if there}
    for name, dims in wanted.items():
        if name not in posterior:
            return f"it is a {tree.attrs['model']} and has no {name}"
        if posterior[name].dims != dims:
            return f"{name} has the dimensions {posterior[name].dims}, and not {dims}"
    for drawn, values in posterior.data_vars.items():
        if not _finite(values):
            return f"{drawn} has draws that are not finite numbers"
    for name in ("sigma", "sigma_alpha"):
        if name in posterior and not (posterior[name] > 0).all():
            return f"{name} has the draw {float(posterior[name].min()):.6g}, and is above 0"
    if list(posterior["term"].to_numpy()) != list(tree["constant_data"]["term"].to_numpy()):
        return "the terms of beta are not those of x"
    return ""


def _finite(values: xr.DataArray | None) -> bool:
    return values is not None and values.dtype.kind in "iuf" and bool(np.isfinite(values).all())


def _within(values: xr.DataArray, low: int, high: int) -> bool:
    """Whether all are whole numbers from `low` up to, but without, `high`."""
    return values.dtype.kind in "iu" and bool(((values >= low) & (values < high)).all())
