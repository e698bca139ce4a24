"""How long each phase of a computation takes."""

import time


class Laps:
    """Processor time by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.process_time()

    def __call__(self, phase: str) -> None:
        """The time since the last call goes to `phase`."""
        now = time.process_time()
        self.seconds[phase], self._last = now - self._last, now
