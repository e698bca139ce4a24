"""The check of an HDF5 file before it is read as a fit: groups of plain arrays, all in the file.

HDF5 can do more than hold numbers. Links and arrays may lead into other files, to endless pipes, or
round in a circle, and a small file may declare arrays larger than memory.
"""

from pathlib import Path

import h5py

from spillover.engine.storage.reading import check_memory
from spillover.kernels.errors import StorageError

TEXT = 64  # bytes of a label, roughly
COPIES = 2  # copies of the arrays while they are read


def check_layout(path: Path) -> None:
    """Refuse a file that holds anything a saved fit does not, naming it.

    Where the bytes are not HDF5, the errors of h5py pass through.
    """
    with h5py.File(path, "r") as file:
        total = _bytes_of(file, path)
        for name in file:
            if isinstance(file[name], h5py.Group):
                total += _bytes_of(file[name], path)
    check_memory(path, COPIES * total, "a saved fit", StorageError)


def _bytes_of(group: h5py.Group, path: Path) -> int:
    """Check what is in a group, and add up the bytes of its arrays."""
    total = 0
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise StorageError(
                f"{path} is no file of a fit: {name} is a link, which may lead anywhere."
            )
        item = group[name]
        if isinstance(item, h5py.Group):
            if group.name != "/":
                raise StorageError(f"{path} is no file of a fit: {name} is a group within a group.")
        elif isinstance(item, h5py.Dataset):
            total += _bytes_of_array(item, name, path)
        else:
            raise StorageError(
                f"{path} is no file of a fit: {name} is neither a group nor an array."
            )
    return total


def _bytes_of_array(array: h5py.Dataset, name: str, path: Path) -> int:
    if array.external or array.is_virtual:
        raise StorageError(f"{path} is no file of a fit: {name} is kept in another file.")
    text = h5py.check_string_dtype(array.dtype) is not None
    if not text and array.dtype.kind not in "biuf":
        raise StorageError(f"{path} is no file of a fit: {name} holds neither numbers nor text.")
    each = max(int(array.dtype.itemsize), TEXT if text else 1)
    return int(array.size or 0) * each
