"""Progress of long work, by rich."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


def _bar(columns: Sequence[ProgressColumn], show: bool) -> Progress:
    """A bar that is gone when it ends. Where nobody sees it move, in a file or a pipe, it would
    leave an empty line: there is none.
    """
    console = Console(stderr=True)
    seen = console.is_terminal or console.is_jupyter
    return Progress(*columns, console=console, disable=not (show and seen), transient=True)


@contextmanager
def counting(label: str, total: int, done: int, *, show: bool) -> Iterator[Callable[[int], None]]:
    """A function report(more) that moves a bar with its rate and the time left on the standard
    error stream, or does nothing.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with _bar(columns, show) as progress:
        task = progress.add_task(label, total=total, completed=done, rate="")

        def report(more: int) -> None:
            speed = progress.tasks[0].speed
            progress.update(task, advance=more, rate="" if speed is None else f"{speed:.3g}/s")

        yield report


@contextmanager
def sampling(label: str, chains: int, *, show: bool) -> Iterator[Callable[[int, int, int], None]]:
    """A function report(done, total, divergences) that moves a bar on the standard error stream, or
    does nothing.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with _bar(columns, show) as progress:
        task = progress.add_task(f"{label}, {chains} chains", total=None, note="compiling")

        def report(done: int, total: int, divergences: int) -> None:
            progress.update(
                task,
                completed=done,
                total=total,
                note=f"{divergences} divergences" if divergences else "",
            )

        yield report


@contextmanager
def stages(names: Sequence[str], *, show: bool) -> Iterator[Callable[[str], None]]:
    """A function start(name) that says on the standard error stream which of the stages has begun,
    or does nothing.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with _bar(columns, show) as progress:
        task = progress.add_task(names[0], total=len(names))

        def start(name: str) -> None:
            progress.update(task, description=name, completed=list(names).index(name))

        yield start
