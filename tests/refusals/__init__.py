"""The refusals of the public interface: how to provoke each, the error it is, and what it says.

A module a room holds its rows (what, how, error, text), `how` being a function of `Given`; all come
before anything is compiled. `ELSEWHERE`: pieces of the messages that need a fit, a file or a
library that is not there, and the file of tests that provokes them. `UNPROVOKED`: those that take
more than a wrong input to bring about, and what it would take.
"""

from refusals import calls, data, estimation, exploration, specification, sweeps, weights
from refusals.elsewhere import ELSEWHERE, UNPROVOKED
from refusals.given import Given

ROOMS = (calls, data, estimation, exploration, specification, sweeps, weights)
REFUSALS = [row for room in ROOMS for row in room.REFUSALS]

__all__ = ["ELSEWHERE", "REFUSALS", "UNPROVOKED", "Given"]
