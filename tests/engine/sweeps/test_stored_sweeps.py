"""Sweeps that are stored: stopped, killed, resumed, on several devices and workers, they give the
numbers of one that was not.
"""

import os
import signal
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import numpyro.distributions as dist
import pytest
from small_sweeps import assert_same, run_sweep, weights_of

import spillover as so
from spillover.engine.data import provenance
from spillover.engine.sweeps import chunk, store
from spillover.engine.sweeps import sweep as sweeps


def store_sweep(case, weights, path, **options) -> so.Sweep:
    options = {
        "models": ["OLS", "SAR"],
        "effects": ["unit"],
        "draws": 100,
        "keep_draws": True,
        "lagged": None,
        "store": path,
    } | options
    return run_sweep(case, weights, **options)


@pytest.fixture
def one_by_one(monkeypatch):
    """Chunks of a single member."""
    monkeypatch.setattr(sweeps, "STACK", 1)


def test_a_stored_sweep_is_the_one_returned(small, tmp_path, one_by_one):
    case, weights = small("SAR", "unit", "knn"), weights_of(small, "knn", "contiguity")
    weights["elsewhere"] = so.Weights(small("OLS").W, [f"v{i}" for i in range(13)])
    out = store_sweep(case, weights, tmp_path / "new" / "out.zarr")
    assert len(out.failures) == 2
    assert_same(so.open_sweep(tmp_path / "new" / "out.zarr"), out)
    assert so.open_sweep(tmp_path / "new" / "out.zarr").about == out.about


@pytest.mark.cover(after=[1])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_an_interrupted_sweep_goes_on_where_it_was(after, small, tmp_path, one_by_one, monkeypatch):
    """Only what is missing is fitted, and the numbers are those of a sweep never stopped."""
    case, weights = small("SAR", "unit", "knn"), weights_of(small, "knn", "contiguity")
    whole = store_sweep(case, weights, None)
    path, written, fitted = tmp_path / "out.zarr", [], []
    with monkeypatch.context() as patch:

        def write(place: Path, block: chunk.Block, write=store.write_block) -> None:
            if len(written) == after:
                raise KeyboardInterrupt
            written.append(block)
            write(place, block)

        patch.setattr(sweeps, "write_block", write)
        with pytest.raises(
            KeyboardInterrupt,
            match=f"{after} of 4 members are kept in .*out.zarr: the same call goes on",
        ):
            store_sweep(case, weights, path)
    if after:
        with pytest.warns(
            so.SpilloverWarning, match=f"{4 - after} of the 4 members in .* are not finished"
        ):
            part = so.open_sweep(path)
        assert int(np.isfinite(part.summary["mean"].sel(parameter="x1")).sum()) == after
    else:
        with pytest.raises(so.DataError, match="finished"):
            so.open_sweep(path)
    monkeypatch.setattr(
        sweeps,
        "run",
        lambda source, part, settings, device: (
            fitted.extend(part) or chunk.run(source, part, settings)
        ),
    )
    assert_same(store_sweep(case, weights, path), whole)
    assert len(fitted) == 4 - after
    assert_same(store_sweep(case, weights, path), whole)
    assert len(fitted) == 4 - after
    # read as zeros, if one let Zarr
    path.joinpath("blocks", "00000002-1", "impacts", "c", "0", "0", "0", "0").unlink()
    with pytest.raises(
        so.StorageError,
        match=r"block 00000002-1 \(contiguity / OLS / .*impacts/c/0/0/0/0 is missing",
    ):
        so.open_sweep(path)
    with pytest.warns(
        so.SpilloverWarning, match="00000002-1 .*fitted again; the other 3 members are kept"
    ):
        assert_same(store_sweep(case, weights, path), whole)
    assert fitted[4 - after :] == [2]
    (path / "blocks" / "00000002-1").rename(tmp_path / "gone")

    def full(*_: object) -> None:
        raise so.StorageError("The disk is full.")

    monkeypatch.setattr(store, "write_files", full)
    with pytest.raises(
        so.StorageError,
        match=r"The disk is full\. 3 of 4 members are kept in .*: the same call goes on",
    ):
        store_sweep(case, weights, path)


def test_what_was_swept_is_told_by_digests(small, tmp_path, one_by_one):
    """The SHA-256 of the data and of each W, and the versions, with a store and without."""
    case, weights = small("SAR", "unit", "knn"), weights_of(small, "knn")
    fit = build_single(case, weights["knn"])
    for path in (None, tmp_path / "out.zarr"):
        about = store_sweep(case, weights, path, models=["OLS"]).about
        assert about["data"] == [provenance.hash_panel(fit.panel)]
        assert about["weights"] == {"knn": provenance.hash_weights(weights["knn"])}
        assert about["versions"] == [provenance.versions()]


def build_single(case, weights: so.Weights) -> so.Model:
    return so.OLS(case.formula, case.frame, weights, effects="unit", unit="unit", period="year")


@pytest.mark.parametrize("change", ["data", "weights", "draws", "prior", "models"])
def test_a_store_of_another_sweep_is_refused(change, small, tmp_path):
    """Any change: also one of the 12th digit of the data or of a prior."""
    case, weights = small("SAR", "unit", "knn"), weights_of(small, "knn")
    options = {"models": ["OLS"], "priors": so.Priors(rho=dist.TruncatedNormal(0.5, 0.1, low=0.0))}
    store_sweep(case, weights, tmp_path / "out.zarr", **options)
    if change == "data":
        case = replace(case, frame=case.frame.assign(y=case.frame["y"] * (1 + 1e-12)))
    elif change == "weights":
        weights = {"knn": weights_of(small, "contiguity")["contiguity"]}
    elif change == "prior":
        options["priors"] = so.Priors(rho=dist.TruncatedNormal(0.5 + 1e-6, 0.1, low=0.0))
    else:
        options |= {"draws": {"draws": 101}, "models": {"models": ["SLX"]}}[change]
    with pytest.raises(so.DataError, match="another sweep"):
        store_sweep(case, weights, tmp_path / "out.zarr", **options)


def test_a_place_that_is_no_store_is_refused(small, tmp_path):
    case, weights = small("SAR", "unit", "knn"), weights_of(small, "knn")
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").touch()
    for name in ("file", "folder"):
        with pytest.raises(so.DataError, match="not a sweep"):
            store_sweep(case, weights, tmp_path / name, models=["OLS"])
        with pytest.raises(so.DataError, match="not a stored sweep"):
            so.open_sweep(tmp_path / name)
    assert (tmp_path / "file").read_text() == "mine"


SCRIPT = """
import os, signal, sys
from pathlib import Path
import numpy as np, pandas as pd
import spillover as so
from spillover.engine.sweeps import store, sweep

folder, die_after = Path(sys.argv[1]), int(sys.argv[2])
sweep.STACK = int(sys.argv[3])
frame = pd.read_pickle(folder / "frame.pkl")
W = dict(np.load(folder / "W.npz"))
write, count = store.write_block, []

def dying(path, block):
    count.append(1)
    if len(count) == die_after:
        Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    write(path, block)

sweep.write_block = dying
weights = {name: so.Weights(matrix, [f"u{i:02d}" for i in range(13)]) for name, matrix in W.items()}
so.sweep(sys.argv[4], frame, weights, models=["SAR"], effects=["unit"], unit="unit", period="year",
         draws=100, seed=3, keep_draws=True, store=folder / "out.zarr", progress=False)
"""


def launched(folder: Path, case, weights, die_after: int, stack: int, **environment) -> int:
    """A sweep in another process, by default one that never dies; its exit status."""
    case.frame.to_pickle(folder / "frame.pkl")
    np.savez(folder / "W.npz", **{name: W.matrix.toarray() for name, W in weights.items()})
    command = [sys.executable, "-c", SCRIPT, str(folder), str(die_after), str(stack), case.formula]
    return subprocess.run(command, env={**os.environ, **environment}, check=False).returncode


@pytest.mark.verify
def test_a_killed_process_leaves_a_store_that_goes_on(small, tmp_path, one_by_one):
    """SIGKILL while the third chunk is written: its leftovers are cleared away, two chunks are
    kept, the numbers are the same.
    """
    case, weights = small("SAR", "unit", "knn"), weights_of(small, "knn", "contiguity", "knn5")
    status = launched(tmp_path, case, weights, die_after=3, stack=1)
    path = tmp_path / "out.zarr"
    assert status == -signal.SIGKILL
    assert len(list(path.glob("blocks/.writing-*"))) == 1
    with pytest.warns(so.SpilloverWarning, match="1 of the 3 members"):
        part = so.open_sweep(path)
    assert int(np.isfinite(part.summary["mean"].sel(parameter="rho")).sum()) == 2
    resumed = store_sweep(case, weights, path, models=["SAR"])
    assert_same(resumed, store_sweep(case, weights, None, models=["SAR"]))
    assert not list(path.glob("**/.writing-*"))


@pytest.mark.verify
def test_four_devices_give_the_numbers_of_one(small, tmp_path, one_by_one):
    """Bit for bit, a chunk each on four devices and on one."""
    case, weights = small("SAR", "unit", "knn"), weights_of(small, "knn", "contiguity", "knn5")
    # programs compiled as they are here
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=4"
    assert launched(tmp_path, case, weights, 0, 1, XLA_FLAGS=flags) == 0
    assert jax.local_device_count() == 1
    found, wanted = (
        so.open_sweep(tmp_path / "out.zarr"),
        store_sweep(case, weights, None, models=["SAR"]),
    )
    assert_same(found, wanted)
    np.testing.assert_array_equal(found.draws["total"], wanted.draws["total"])


# Dask


@pytest.fixture
def client():
    """Two worker processes that are started again when they die."""
    import dask
    import distributed

    quiet = {"distributed.admin.tick.limit": "1h", "distributed.comm.timeouts.connect": "60s"}
    with (
        warnings.catch_warnings(),
        dask.config.set(quiet),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=60
        ) as cluster,
        distributed.Client(cluster) as found,
    ):
        warnings.simplefilter("ignore")
        yield found


@pytest.mark.verify
@pytest.mark.parametrize("killed", [1, 2])
def test_a_worker_killed_in_the_middle_costs_only_its_chunk(
    killed, small, tmp_path, client, one_by_one, monkeypatch
):
    """After the first chunk one worker dies, or both and the data with them: the sweep finishes,
    each chunk is written once, and the numbers are those of this process.
    """
    case, weights = small("SAR", "unit", "knn"), weights_of(small, "knn", "contiguity", "knn5")
    pids, written = list(client.run(os.getpid).values()), []

    def write(place: Path, block: chunk.Block, write=store.write_block) -> None:
        if not written:
            for pid in pids[:killed]:
                os.kill(pid, signal.SIGKILL)
        written.append(int(block.index[0]))
        write(place, block)

    monkeypatch.setattr(sweeps, "write_block", write)
    found = store_sweep(case, weights, tmp_path / "out.zarr", client=client)
    assert sorted(written) == list(range(6))
    assert os.getpid() not in pids
    assert_same(found, store_sweep(case, weights, None))
