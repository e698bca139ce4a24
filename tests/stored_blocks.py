"""A small store of a sweep: blocks with numbers of their own, written as a sweep does, read back
bit by bit.
"""

import shutil
import warnings
from pathlib import Path

import numpy as np

from spillover.engine.sweeps import store
from spillover.engine.sweeps.chunk import ARRAYS, EFFECTS, LEVELS, SCORES, STATISTICS, Block
from spillover.engine.sweeps.plan import DIMS
from spillover.kernels.errors import SpilloverWarning, StorageError

LABELS = (["north", "Zürich"], ["SAR", "SDM"], ["twoway"], ["default"], ["default"], ["all"])
ABOUT = {
    "digest": "5" * 64,
    "formula": "y ~ x",
    "coords": dict(zip(DIMS, LABELS, strict=True)),
    "parameters": ["Intercept", "x", "rho", "sigma"],
    "variables": ["x"],
    "settings": {"sampler": "exact", "draws": 4, "seed": 3},
    "data": ["6" * 64],
    "weights": {"north": "7" * 64, "Zürich": "8" * 64},
}
PARTS = [[0, 2], [1], [3]]
NUMBERS = len(STATISTICS) + len(LEVELS)


def make_block(members: list[int]) -> Block:
    """A block with numbers of its own, among them missing ones and zeros."""
    rng, m = np.random.default_rng(members), len(members)
    impacts = rng.normal(size=(m, len(EFFECTS), 1, NUMBERS))
    impacts[:, 1] = 0.0
    scores = rng.normal(size=(m, len(SCORES)))
    scores[:, 3:] = np.nan
    failure = tuple("Ω is singular" if position == 3 else "" for position in members)
    parameters, draws = rng.normal(size=(m, 4, NUMBERS)), rng.normal(size=(m, 4, 4))
    draws_of_impacts = np.zeros((m, 4, len(EFFECTS), 1))
    return Block(np.asarray(members), parameters, impacts, scores, draws, draws_of_impacts, failure)


def finish(path: Path, about=ABOUT, parts=PARTS) -> tuple[list, list[list[int]]]:
    """What a sweep does with its store, `make_block` standing for the fits: what the store then
    holds, and the parts that were fitted.
    """
    with store.open_store(path, about, parts) as place:
        blocks = [one.block for one in place.kept]
        done = {position for block in blocks for position in block.index.tolist()}
        todo = [part for part in parts if not done.issuperset(part)]
        for part in todo:
            store.write_block(place, make_block(part))
            blocks.append(make_block(part))
        return numbers(blocks, about), todo


def read_numbers(path: Path) -> list:
    kept, about = store.load(path)
    return numbers(
        [one.block for one in kept],
        {name: value for name, value in about.items() if name != "format"},
    )


def numbers(blocks: list[Block], about: dict) -> list:
    """Every bit of what a sweep is made of."""
    ordered = sorted(blocks, key=lambda block: int(block.index[0]))
    return [
        about,
        *(
            [getattr(block, name).tobytes() for name in ("index", *ARRAYS)] + [block.failure]
            for block in ordered
        ),
    ]


def files(path: Path) -> list[Path]:
    """Those that hold anything: not the lock, and not what describes the empty group of
    the blocks.
    """
    found = sorted(place for place in path.rglob("*") if place.is_file())
    return [place for place in found if not place.name.startswith(".lock")]


def copy_store(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole[0], tmp_path / "out.zarr"))


def survive(path: Path, wanted: list, damaged: Path, *, mend: bool = True) -> bool:
    """Reading gives the same numbers or an error that names the damage; sweeping again gives the
    same numbers, having fitted no more than the members of the damaged block; `mend`: do so.
    Whether the damage was named.
    """
    block = (
        damaged.relative_to(path / "blocks").parts[0] if "blocks" in damaged.parts else "zarr.json"
    )
    try:
        assert read_numbers(path) == wanted
        message = None
    except StorageError as error:
        message = str(error)
    named = message is not None
    if message is not None:
        assert block in message
        assert "run the sweep again with the same store" in message
        assert "\n" not in message
    if not mend:
        return named
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found, fitted = finish(path)
    assert found == wanted
    assert read_numbers(path) == wanted
    assert len(said) == named
    assert all(one.category is SpilloverWarning and block in str(one.message) for one in said)
    assert len(fitted) == (named if block != "zarr.json" else 0)
    assert all(block.startswith(f"{part[0]:08d}") for part in fitted)
    return named
