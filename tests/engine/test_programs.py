"""Old programs are let go, with the same numbers after; a forked process is told, and does not
hang.
"""

import subprocess
import sys
import threading
from types import SimpleNamespace

import jax
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import spillover as so
from spillover.engine import programs

RNG = np.random.default_rng(3)
W = so.Weights.knn(RNG.uniform(size=(30, 2)), 3).row_standardize()
FRAME = pd.DataFrame({"y": RNG.normal(size=30), "x": RNG.normal(size=30)})


def test_many_maps_let_old_programs_go(monkeypatch):
    cleared = []
    own = SimpleNamespace(clear_cache=lambda: cleared.append("ours"))
    monkeypatch.setattr(programs, "find_compiled", lambda: [own])
    monkeypatch.setattr(jax, "clear_caches", lambda: cleared.append("all"))
    monkeypatch.setattr(programs, "count_allowed", lambda: 65_530)
    for maps, wanted in [
        ([26_000], []),
        ([27_000, 20_000], ["ours"]),
        ([27_000, 27_000], ["ours", "all"]),
    ]:
        monkeypatch.setattr(programs, "count_maps", iter(maps).__next__)
        programs.enter_and_clear()
        assert cleared == wanted
        cleared.clear()


def test_our_programs_are_found_and_no_others():
    from spillover.models import posterior

    names = {getattr(one, "__module__", "") for one in programs.find_compiled()}
    assert names
    assert all(name.startswith("spillover") for name in names)
    assert posterior


def test_the_limits_of_the_system_are_read():
    if not programs.MAPS.exists():
        assert programs.count_maps() == 0
        assert programs.count_allowed() == programs.USUAL
    else:
        assert programs.count_maps() == len(programs.MAPS.read_text().splitlines())
        assert programs.count_allowed() == int(programs.MOST.read_text())


FORK = """
import os, sys, numpy as np, pandas as pd, spillover as so
from spillover.engine import programs
W = so.Weights(np.roll(np.eye(8), 1, axis=1))
frame = pd.DataFrame({"y": np.arange(8.0) ** 2, "x": np.cos(np.arange(8))})
model = so.OLS("y ~ x", frame, W)
programs.enter()  # as every fit does
child = os.fork()
if child == 0:
    for action in (
        model.fit_ml,
        lambda: model.fit("exact"),
        lambda: so.LogDet.build(W.row_standardize(), "eigenvalues"),
    ):
        try:
            action()
        except so.SpilloverError as error:
            print(error, flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="this system does not fork")
def test_a_forked_process_is_told():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.splitlines() == [programs.FORKED] * 3, done.stderr


@pytest.mark.verify
def test_numbers_are_the_same_when_programs_go_under_way(monkeypatch):
    given = {"models": ["SAR", "SEM", "SDM"], "draws": 50, "progress": False}
    frames = {
        name: so.Weights.knn(RNG.uniform(size=(30, 2)), k).row_standardize()
        for name, k in (("a", 3), ("b", 4), ("c", 5))
    }
    before = so.sweep("y ~ x", FRAME, frames, **given)
    monkeypatch.setattr(programs, "count_allowed", lambda: 0)  # every chunk of every thread clears
    stop = threading.Event()

    def clear() -> None:
        while not stop.wait(0.02):
            jax.clear_caches()

    thread = threading.Thread(target=clear)
    thread.start()
    try:
        after = so.sweep("y ~ x", FRAME, frames, **given)
    finally:
        stop.set()
        thread.join()
    xr.testing.assert_identical(after.summary, before.summary)
    xr.testing.assert_identical(after.impacts, before.impacts)
