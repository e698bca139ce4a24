"""Progress bars for long work, drawn by rich."""

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
    """A bar that vanishes when it ends.

    It is disabled in a file or a pipe, where it would leave an empty line.
    """
    console = Console(stderr=True)
    seen = console.is_terminal or console.is_jupyter
    return Progress(*columns, console=console, disable=not (show and seen), transient=True)


@contextmanager
def show_count(label: str, total: int, done: int, *, show: bool) -> Iterator[Callable[[int], None]]:
    """Show how much is done, with its rate and the time left, on the standard error stream.

    Yields a function report(more), which advances the bar. It does nothing unless `show` is set.
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
def show_sampling(
    label: str, chains: int, *, show: bool
) -> Iterator[Callable[[int, int, int], None]]:
    """Show the progress of sampling on the standard error stream.

    Yields a function report(done, total, divergences), which moves the bar. It does nothing unless
    `show` is set.
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
def show_stages(names: Sequence[str], *, show: bool) -> Iterator[Callable[[str], None]]:
    """Show on the standard error stream which of several stages is under way.

    Yields a function start(name), to be called as a stage begins. It does nothing unless `show` is
    set.
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
