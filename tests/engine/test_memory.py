"""What cannot be held is refused before it is begun; the predictions are of the size of what is
measured.
"""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import spillover as so
from spillover.engine import memory
from spillover.engine.estimation import exact

RNG = np.random.default_rng(5)
N = 40
PLACES = RNG.uniform(size=(N, 2))
W = so.Weights.knn(PLACES, 4).row_standardize()
FRAME = pd.DataFrame({"y": RNG.normal(size=N), "x": RNG.normal(size=N)})


@pytest.fixture(scope="module")
def fit():
    return so.SDM("y ~ x", FRAME, W).fit("exact", draws=50, chains=1, progress=False)


@pytest.mark.parametrize("sampler", ["exact", "nuts"])
def test_more_draws_than_memory_are_refused_before_the_first(sampler, monkeypatch):
    monkeypatch.setattr(exact, "draw", lambda *_, **__: pytest.fail("it began"))
    model = so.SDM("y ~ x", FRAME, W)
    with pytest.raises(
        so.SpecificationError,
        match=r"2e\+09 draws of 4 chains with 3 coefficients: some 1\.79 TB of memory are needed",
    ):
        model.fit(sampler, draws=2 * 10**9, tune=0)
    with pytest.raises(
        so.SpecificationError, match=r"1,000 draws .* and 100 kB are allowed: take fewer draws"
    ):
        model.fit(sampler, draws=1000, tune=0, max_memory=1e5)


@pytest.mark.parametrize("value", ["8e9", 0, -1, True, np.nan, [1]])
def test_max_memory_is_a_number_of_bytes(value):
    with pytest.raises(so.SpecificationError, match="give a number of bytes"):
        so.SDM("y ~ x", FRAME, W).fit("exact", max_memory=value)


def test_impacts_that_memory_does_not_hold(fit, monkeypatch):
    monkeypatch.setattr(memory, "available_memory", lambda: 1000)
    with pytest.raises(
        so.SpecificationError, match=r"Impacts of 10,000 orders at 50 draws: .* give fewer orders="
    ):
        fit.impacts(by="order", orders=10_000)
    with pytest.raises(
        so.SpecificationError,
        match=r"Impacts of 40 units at 50 draws: .* and 1 kB are free: give fewer draws=",
    ):
        fit.impacts(by="unit")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda m: so.Weights.knn(PLACES, 4, max_memory=m),
            "k=4 neighbours of 40 units, 160 links",
        ),
        (
            lambda m: so.Weights.inverse_distance(PLACES, max_memory=m),
            "all pairs of 40 units, 1,560 links",
        ),
        (
            lambda m: so.Weights.economic(FRAME["x"], max_memory=m),
            "all pairs of 40 units, 1,560 links",
        ),
    ],
)
def test_weights_that_memory_does_not_hold(make, words):
    with pytest.raises(so.WeightsError, match=f"{words}: some .* and 1 kB are allowed"):
        make(1000)
    assert make(1e9).n == N


@pytest.mark.parametrize("builder", [so.Weights.distance_band, so.Weights.inverse_distance])
def test_the_pairs_of_a_band_are_counted_before_they_are_made(builder, monkeypatch):
    many = np.random.default_rng(1).uniform(size=(20_000, 2))
    monkeypatch.setattr(memory, "available_memory", lambda: 1_000_000_000)
    with pytest.raises(
        so.WeightsError,
        match=r"=0\.5 for 20000 units, 1\d\d,\d{3},\d{3} links: some .* choose a smaller",
    ):
        builder(many, **{"threshold" if builder == so.Weights.distance_band else "cutoff": 0.5})


def test_a_sweep_that_memory_does_not_hold(monkeypatch):
    given = {"models": ["SAR"], "progress": False}
    with pytest.raises(
        so.SpecificationError,
        match=r"A sweep of 1 members: some .* GB .* or draws, or keep_draws=False",
    ):
        so.sweep("y ~ x", FRAME, {"w": W}, draws=2 * 10**9, keep_draws=True, **given)
    with pytest.raises(
        so.SpecificationError, match=r"1 members at a time: some .* GB .* take fewer draws"
    ):
        so.sweep("y ~ x", FRAME, {"w": W}, draws=2 * 10**9, **given)
    with pytest.raises(
        so.SpecificationError,
        match=r"A sweep of 2 members: .* and 1 kB are allowed: take fewer members",
    ):
        so.sweep("y ~ x", FRAME, {"w": W, "v": W}, draws=10, max_memory=1000, **given)


PEAK = """
import json, sys
import numpy as np, pandas as pd, spillover as so
def peak():  # of this process: ru_maxrss is inherited from a larger parent
    lines = open("/proc/self/status")
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
rng, n, k = np.random.default_rng(0), 50, int(sys.argv[1])
W = so.Weights.knn(rng.uniform(size=(n, 2)), 5).row_standardize()
frame = pd.DataFrame(rng.normal(size=(n, k + 1)), columns=[*(f"x{i}" for i in range(k)), "y"])
model = so.SDM("y ~ " + " + ".join(frame.columns[:k]), frame, W)
model.fit("exact", draws=1000, chains=1)
before = peak()
model.fit("exact", draws=int(sys.argv[2]), chains=1)
print(json.dumps([peak() - before, len(model.design.terms) + 2]))
"""


@pytest.mark.verify
@pytest.mark.parametrize("k", [3, 10])
def test_the_memory_of_draws_is_predicted(k):
    draws = 500_000
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PEAK, str(k), str(draws)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    measured, parameters = json.loads(done.stdout.splitlines()[-1])
    assert 0.5 < memory.estimate_draws(draws, parameters) / measured < 2


LINKS = """
import numpy as np, spillover as so
def peak():  # of this process: ru_maxrss is inherited from a larger parent
    lines = open("/proc/self/status")
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
places = np.random.default_rng(0).uniform(size=(6000, 2))
so.Weights.distance_band(places[:500], 0.2)
before = peak()
W = so.Weights.distance_band(places, 0.4)
print(peak() - before, W.matrix.nnz)
"""


@pytest.mark.verify
def test_the_memory_of_links_is_predicted():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LINKS], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    measured, links = map(int, done.stdout.split())
    assert 0.5 < memory.estimate_links(links) / measured < 2
