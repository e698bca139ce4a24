"""A block as files: it comes back as it was, and what is no block is refused."""

import json
from dataclasses import fields, replace

import numpy as np
import pytest
from stored_blocks import make_block

from spillover.engine.storage.sealed import Broken
from spillover.engine.sweeps import store_earlier
from spillover.engine.sweeps.block_files import pack, unpack
from spillover.engine.sweeps.chunk import ARRAYS, Block


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("impacts/zarr.json", {"shape": [1 << 40, 3, 1, 26]}, "larger than any block"),
        ("impacts/zarr.json", {"shape": [1e400]}, "no array"),
        ("impacts/zarr.json", {"data_type": "object"}, "not an array of a sweep"),
        ("impacts/zarr.json", {"codecs": [{"name": "pickle"}]}, "not an array of a sweep"),
        (
            "impacts/zarr.json",
            {"chunk_grid": {"configuration": {"chunk_shape": [0, 3, 1, 26]}}},
            "no shape",
        ),
        ("impacts/zarr.json", {"zarr_format": 2}, "cannot be decoded"),
        ("impacts/zarr.json", {"fill_value": {}}, "cannot be decoded"),
        ("zarr.json", {"attributes": None}, "no reasons of failures"),
        ("zarr.json", {"attributes": {"failure": "[1]"}}, "no reasons of failures"),
        ("zarr.json", {"attributes": {"failure": "[]"}}, "not of one length"),
    ],
)
def test_what_zarr_would_stumble_over(name, change, says):
    content = pack(make_block([1]))
    content[name] = json.dumps(json.loads(content[name]) | change).encode()
    with pytest.raises(Broken, match=says):
        unpack(content)


def test_a_block_comes_back_as_it_was(tmp_path):
    block = make_block([3])
    found = unpack(pack(block))
    for entry in fields(Block):
        if entry.name in ARRAYS:
            assert getattr(found, entry.name).tobytes() == getattr(block, entry.name).tobytes()
    assert found.failure == block.failure == ("Ω is singular",)
    # empty to Zarr, and written
    failed = replace(block, **{name: np.full_like(getattr(block, name), np.nan) for name in ARRAYS})
    assert all(np.isnan(getattr(unpack(pack(failed)), name)).all() for name in ARRAYS)
    assert store_earlier.FORMATS == (1, 2)
