"""Progress of long work, by rich."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


@contextmanager
def counting(label: str, total: int, done: int, *, show: bool) -> Iterator[Callable[[int], None]]:
    """A function report(more) that moves a bar with its rate and the time left on the standard error stream, or does nothing."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not show, transient=True) as progress:
        task = progress.add_task(label, total=total, completed=done, rate="")

        def report(more: int) -> None:
            speed = progress.tasks[0].speed
            progress.update(task, advance=more, rate="" if speed is None else f"{speed:.3g}/s")

        yield report


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


@contextmanager
def stages(names: Sequence[str], *, show: bool) -> Iterator[Callable[[str], None]]:
    """A function start(name) that says on the standard error stream which of the stages has begun, or does nothing."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not show, transient=True) as progress:
        task = progress.add_task(names[0], total=len(names))

        def start(name: str) -> None:
            progress.update(task, description=name, completed=list(names).index(name))

        yield start
