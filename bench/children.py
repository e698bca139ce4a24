"""A process that answers questions, one a line, and may die of one."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

MARK = "\0"  # begins an answer: what else the process prints is none


class Child:
    """A started process; `ask` writes a line to it and waits for the answer. None: it died;
    TIMEOUT: it did not answer, and was ended.
    """

    TIMEOUT = "timeout"

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        start: float,
        environment: dict[str, str] | None = None,
    ) -> None:
        pipe, none = subprocess.PIPE, subprocess.DEVNULL
        self.process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=none, text=True, cwd=folder, env=environment
        )
        self.answers: Queue[str | None] = Queue()
        Thread(target=self._read, daemon=True).start()
        if self._answer(start) != "ready":
            raise SystemExit(f"{' '.join(command)} did not start within {start} seconds")

    def _read(self) -> None:
        for line in self.process.stdout:
            if line.startswith(MARK):
                self.answers.put(line[1:].strip())
        self.answers.put(None)

    def _answer(self, seconds: float) -> str | None:
        try:
            return self.answers.get(timeout=seconds)
        except Empty:
            return self.TIMEOUT

    def ask(self, text: str, seconds: float) -> str | None:
        """The answer to a line."""
        try:
            self.process.stdin.write(f"{text}\n")
            self.process.stdin.flush()
            answer = self._answer(seconds)
        except BrokenPipeError:
            answer = None
        if answer in (None, self.TIMEOUT):
            self.end()
        return answer

    def end(self) -> int:
        """End it, and its exit status."""
        self.process.kill()
        return self.process.wait()
