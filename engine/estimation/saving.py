"""Fits on disk: NetCDF with a seal, written whole, and checked before anything uses them.

The seal stands behind the last byte of HDF5, which readers of NetCDF pass over: the SHA-256 of all
bytes before it. It finds accidents, a flipped bit or a cut, and is no signature: bytes that were
altered by accident never reach HDF5. The files hold numbers and text only: nothing in them is
unpickled or run, and nothing outside of them is read.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from spillover.engine.storage.hdf5_layout import check_layout
from spillover.engine.storage.reading import as_path, cite, open_file, spell
from spillover.engine.storage.whole import whole_file
from spillover.kernels.errors import DataError, StorageError
from spillover.models.spec import EFFECTS, FLAGS, RANDOM

FORMAT = 1  # of the files; those of 0.1.0 have none, and no seal
SEAL = b"\nspillover sha256 "
LENGTH = len(SEAL) + 64
GROUPS = ("posterior", "observed_data", "constant_data")
TEXTS = ("model", "effects", "formula", "response", "sampler")
SAMPLERS = ("nuts", "exact")
DIMENSIONS = {
    "x": ("period", "unit", "term"),
    "own_position": ("regressor",),
    "lagged_position": ("regressor",),
}


def write_tree(tree: xr.DataTree, path: str | Path) -> None:
    """Write a tree as NetCDF and seal it.

    StorageError where it cannot be written; an earlier file is then untouched.
    """
    place = as_path(path, "a fit to save", StorageError)
    stamped = tree.copy()
    stamped.attrs["spillover_format"] = FORMAT
    # in memory: HDF5 was seen to crash the process on a full disk
    image = bytes(stamped.to_netcdf(engine="h5netcdf"))
    with whole_file(place) as beside:
        beside.write_bytes(image + SEAL + hashlib.sha256(image).hexdigest().encode())


def read_tree(path: str | Path) -> xr.DataTree:
    """Read the tree that `write_tree` wrote, into memory.

    StorageError for a file that is no such tree, damaged, or of a later version.
    """
    place = as_path(path, "a saved fit", StorageError)
    sealed = _check_seal(place)
    try:
        check_layout(place)
        with xr.open_datatree(place, engine="h5netcdf") as opened:
            tree = opened.load()
    except StorageError:
        raise
    except Exception as error:
        # what HDF5, h5py and xarray make of broken bytes has no common class
        said = spell(error if str(error) else type(error).__name__)
        raise StorageError(
            f"{cite(place)} is not a NetCDF file that can be read: {said}"
        ) from error
    if "spillover_format" in tree.attrs:
        _check_format(tree.attrs["spillover_format"], place, sealed)
    return tree


def _check_format(number: Any, path: Path, sealed: bool) -> None:
    """StorageError for an unknown or later format, and for a file without the seal of its
    format.
    """
    if not _is_whole(number) or number < 1:
        raise StorageError(
            f"{cite(path)} is of a format that there is not, {_shown(number)}: take another copy,"
            " or fit again."
        )
    if number > FORMAT:
        raise StorageError(
            f"{cite(path)} is of format {number}, and this version of spillover reads up to"
            f" {FORMAT}: update spillover."
        )
    if not sealed:
        raise StorageError(
            f"{cite(path)} has lost its seal: it was cut short, or written anew by another"
            " program. Fit again, or read it by xarray."
        )


def _check_seal(path: Path) -> bool:
    """Whether the file has a seal. StorageError for a seal that does not fit the bytes, or no
    file.
    """
    with open_file(path, "a saved fit", StorageError) as file:
        size = os.fstat(file.fileno()).st_size - LENGTH
        if size <= 0:
            return False
        digest, left = hashlib.sha256(), size
        while left:
            part = file.read(min(left, 1 << 20))
            if not part:
                raise StorageError(f"{cite(path)} changed while it was read.")
            digest.update(part)
            left -= len(part)
        seal = file.read(LENGTH)
    if not seal.startswith(SEAL):
        return False
    if seal != SEAL + digest.hexdigest().encode():
        raise StorageError(
            f"{cite(path)} is damaged: its bytes are not those that were written. Take another"
            " copy, or fit again."
        )
    return True


def check_tree(tree: xr.DataTree, path: str | Path) -> None:
    """DataError for a tree that is no fit, or holds what no fit can: the first fault, by name."""
    missing = [name for name in GROUPS if name not in tree.children]
    if missing or "model" not in tree.attrs:
        groups = spell(", ".join(tree.children))[1:-1] or "none"
        raise DataError(
            f"{cite(path)} is not a fit saved by spillover: it has the groups {groups}."
        )
    for look in (_check_attributes, _check_constants, _check_links, _check_draws):
        fault = look(tree)
        if fault:
            raise DataError(f"{cite(path)} is no fit that can be used: {fault}.")


def _check_attributes(tree: xr.DataTree) -> str:
    """What is wrong with the description of a fit; "" where nothing is."""
    attrs = tree.attrs
    digests = [name for name in attrs if str(name).endswith(("_sha256", "_version"))]
    for name in (*TEXTS, *digests):
        if not isinstance(attrs.get(name), str):
            return f"its {name} is {_shown(attrs.get(name))}"
    for name, known in (("model", FLAGS), ("effects", EFFECTS + RANDOM), ("sampler", SAMPLERS)):
        if attrs[name] not in known:
            return f"there {'are' if name == 'effects' else 'is'} no {name} {spell(attrs[name])}"
    wanted = {
        "likelihood": lambda value: isinstance(value, str) and value == "quasi",
        "seed": _is_whole,
        "tune": _is_whole,
    }
    wanted |= {
        "log_marginal_likelihood": _is_number,
        "bounds": _is_interval,
        "error_bounds": _is_interval,
    }
    wrong = [name for name, right in wanted.items() if name in attrs and not right(attrs[name])]
    return (
        f"its {wrong[0]} is {_shown(attrs[wrong[0]])}".replace("bounds is", "bounds are")
        if wrong
        else ""
    )


def _check_constants(tree: xr.DataTree) -> str:
    """What is wrong with the data of a fit; "" where nothing is."""
    data, observed = tree["constant_data"].to_dataset(), tree["observed_data"].to_dataset()
    absent = [
        name for name in (*DIMENSIONS, "unit", "regressor", "term") if name not in data.variables
    ]
    absent += [] if "y" in observed else ["y"]
    if absent:
        return f"it has no {absent[0]}"
    wanted = {name: (data[name], dims) for name, dims in DIMENSIONS.items()} | {
        "y": (observed["y"], ("period", "unit"))
    }
    wanted |= {name: (data[name], (name,)) for name in ("unit", "regressor", "term")}
    for name, (values, dims) in wanted.items():
        if values.dims != dims:
            return f"{name} has the dimensions {values.dims}, and not {dims}"
    for name in ("unit", "period"):
        if data[name].to_numpy().tolist() != observed[name].to_numpy().tolist():
            return f"the labels of {name} are not the same in y and x"
    terms = data.sizes["term"]
    if not (
        _lies_within(data["own_position"], 0, terms)
        and _lies_within(data["lagged_position"], -1, terms)
    ):
        return f"own_position or lagged_position are no positions of its {terms} terms"
    if not (_is_finite(data["x"]) and _is_finite(observed["y"])):
        return "x or y have values that are not finite numbers"
    return ""


def _check_links(tree: xr.DataTree) -> str:
    """What is wrong with W and M of a fit; "" where nothing is.

    Whether they are matrices of weights is checked where they are made.
    """
    data = tree["constant_data"].to_dataset()
    units = data.sizes["unit"]
    for prefix, dim in (("weights", "link"), ("error_weights", "error_link")):
        names = [f"{prefix}_{part}" for part in ("row", "column", "value")]
        if prefix == "error_weights" and not any(name in data for name in names):
            continue
        for name in names:
            if name not in data or data[name].dims != (dim,):
                return (
                    f"{name} has the dimensions {data[name].dims}, and not {(dim,)}"
                    if name in data
                    else f"it has no {name}"
                )
        if not all(_lies_within(data[name], 0, units) for name in names[:2]):
            return f"{names[0]} or {names[1]} are no positions of its {units} units"
        if not _is_finite(data[names[2]]):
            return f"{names[2]} has values that are not finite numbers"
    return ""


def _check_draws(tree: xr.DataTree) -> str:
    """What is wrong with the draws of a fit; "" where nothing is."""
    lag, _, error = FLAGS[tree.attrs["model"]]
    posterior = tree["posterior"].to_dataset()
    wanted = {"beta": ("chain", "draw", "term"), "sigma": ("chain", "draw")}
    there = {"rho": lag, "lam": error, "sigma_alpha": tree.attrs["effects"] in RANDOM}
    wanted |= {name: ("chain", "draw") for name, has in there.items() if has}
    for name, dims in wanted.items():
        if name not in posterior:
            return (
                f"it is a {tree.attrs['model']} with effects {tree.attrs['effects']!r} and has no"
                f" {name}"
            )
        if posterior[name].dims != dims:
            return f"{name} has the dimensions {posterior[name].dims}, and not {dims}"
    if not posterior["sigma"].size:
        return "it has no draws"
    for drawn, values in posterior.data_vars.items():
        if not _is_finite(values):
            return f"{drawn} has draws that are not finite numbers"
    for name in ("sigma", "sigma_alpha"):
        if name in posterior and not (posterior[name] > 0).all():
            return f"{name} has the draw {float(posterior[name].min()):.6g}, and is above 0"
    if list(posterior["term"].to_numpy()) != list(tree["constant_data"]["term"].to_numpy()):
        return "the terms of beta are not those of x"
    return _check_prior(tree["prior"].to_dataset(), posterior) if "prior" in tree.children else ""


def _check_prior(prior: xr.Dataset, posterior: xr.Dataset) -> str:
    """What is wrong with the draws of the prior, which may lack parameters of the posterior."""
    for name, values in prior.data_vars.items():
        if name not in posterior or values.dims != posterior[name].dims:
            return f"{name} of its prior is not as that of its posterior"
        if values.dtype.kind not in "iuf" or bool(values.isnull().any()):
            return f"{name} of its prior has draws that are no numbers"
        if name in ("sigma", "sigma_alpha") and not (values >= 0).all():
            return f"{name} of its prior has the draw {float(values.min()):.6g}, and is above 0"
    return ""


def _is_finite(values: xr.DataArray) -> bool:
    """Whether all are finite numbers."""
    return values.dtype.kind in "iuf" and bool(np.isfinite(values).all())


def _lies_within(values: xr.DataArray, low: int, high: int) -> bool:
    """Whether all are whole numbers from `low` up to, but without, `high`."""
    return values.dtype.kind in "iu" and bool(((values >= low) & (values < high)).all())


def _shown(value: Any) -> str:
    """A value for an error, numbers as Python's own."""
    return spell(value.tolist() if isinstance(value, np.generic | np.ndarray) else value)


def _is_whole(value: Any) -> bool:
    """Whether it is a whole number."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, int | float | np.integer | np.floating) and bool(np.isfinite(value))


def _is_interval(value: Any) -> bool:
    """Whether these are two finite numbers. Whether W admits them is checked where W is made."""
    return (
        isinstance(value, np.ndarray | list | tuple)
        and len(value) == 2
        and all(map(_is_number, value))
    )
