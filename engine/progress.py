"""Progress of long work, by rich."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextmanager
def sampling(label: str, chains: int, *, show: bool) -> Iterator[Callable[[int, int, int], None]]:
    """A function report(done, total, divergences) that moves a bar on the standard error stream, or does nothing."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not show, transient=True) as progress:
        task = progress.add_task(f"{label}, {chains} chains", total=None, note="compiling")

        def report(done: int, total: int, divergences: int) -> None:
            progress.update(task, completed=done, total=total, note=f"{divergences} divergences" if divergences else "")

        yield report
