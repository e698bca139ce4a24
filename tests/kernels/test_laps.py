"""Processor time by phase."""

import time

from spillover.kernels.laps import Laps


def test_each_phase_has_the_time_since_the_one_before(monkeypatch):
    clock = iter([1.0, 3.0, 3.5])
    monkeypatch.setattr(time, "process_time", lambda: next(clock))
    lap = Laps()
    lap("first")
    lap("second")
    assert lap.seconds == {"first": 2.0, "second": 0.5}
