"""How long each phase of a computation takes."""

import time


class Laps:
    """A stopwatch of processor time, read at the end of each phase.

    Attributes
    ----------
    seconds : dict of str to float
        Processor time by phase.

    Examples
    --------
    >>> lap = Laps()
    >>> lap("reading")
    >>> list(lap.seconds)
    ['reading']
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.process_time()

    def __call__(self, phase: str) -> None:
        """Record the time since the last call, or since the start, as that of `phase`."""
        now = time.process_time()
        self.seconds[phase], self._last = now - self._last, now
