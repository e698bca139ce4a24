"""What every command shares: a console, and one line on the standard error stream, with its exit
status, for whatever goes wrong.
"""

import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperGroup

from spillover.kernels.errors import SpilloverError, SpilloverWarning, StorageError

# ClickException, of click or of the copy that later versions of typer have
USAGE: Any = typer.BadParameter.__mro__[2]
STOPPED = 130  # as shells say it of a process that ctrl-C ended
CLOSED = (
    "whoever read the output closed it before its end; files that were written are in their places."
)
MEMORY = (
    "there is not enough memory for this: take fewer draws, units or members at a time, or a larger"
    " machine."
)


class Commands(TyperGroup):
    """Commands whose wrong options are one line, as their wrong input is."""

    def main(
        self,
        args: Sequence[str] | None = None,
        *rest: Any,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command; with `standalone_mode`, as from the shell, end the process with its exit
        status.
        """
        try:
            status = super().main(args, *rest, **{**extra, "standalone_mode": False})
        except USAGE as error:
            if not standalone_mode:
                raise
            command = getattr(getattr(error, "ctx", None), "command_path", "spillover")
            message = error.format_message()
            end = "" if message.endswith((".", "?")) else "."
            say("error", f"{message}{end} `{command} --help` says what there is.", "red")
            status = 1
        if standalone_mode:
            sys.exit(status if isinstance(status, int) else 0)
        return status


class Screen(Console):
    """A console that lets `session` say that its reader went away, where rich ends the process
    without a word.
    """

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def say(name: str, text: str, style: str) -> None:
    """One line on the standard error stream, whatever characters the text has."""
    Console(stderr=True).print(
        Text.assemble((f"{name}: ", style), one_line(text)), soft_wrap=True, highlight=False
    )


def one_line(text: str) -> str:
    r"""A text on one line, with escapes for what would move the cursor or colour the screen.

    >>> one_line("a\nb \x1b[31mred")
    'a b \\x1b[31mred'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(text.split()))


@contextmanager
def session() -> Iterator[Console]:
    """A console; compiled programs and log-determinants kept on disk; what goes wrong as one line
    instead of a traceback.

    Errors of ours, of the disk and of memory end the process with status 1, ctrl-C with 130. Other
    exceptions are faults of ours, and keep their traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # a screen without Greek letters shows their numbers
            stream.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.showwarning = _show
        try:
            with _kept():
                yield Screen()
        except SpilloverError as error:
            raise _end(str(error)) from None
        except KeyboardInterrupt as error:
            say("stopped", str(error) or "nothing was written.", "yellow")
            raise typer.Exit(STOPPED) from None
        except MemoryError:
            raise _end(MEMORY) from None
        except BrokenPipeError:
            with suppress(OSError, ValueError):  # or Python says it again when it ends
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise _end(CLOSED) from None
        except OSError as error:
            raise _end(_of_disk(error)) from None


@contextmanager
def stopping(kept: str) -> Iterator[None]:
    """Have ctrl-C in the block say what is kept."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(kept) from None


@contextmanager
def _kept() -> Iterator[None]:
    """Compiled programs and log-determinants on disk where there is a folder of the user's own for
    them; a line where there is none.
    """
    from spillover.engine import cache, devices
    from spillover.engine.storage.own_folder import for_the_user_alone

    programs = _tried(devices.keep_compiled, "Compiled programs")
    if programs is None:
        devices.keep_nothing()
    _tried(cache.keep, "Log-determinants")
    try:
        yield
    finally:
        if programs is not None:
            for_the_user_alone(programs)


def _tried(keep: Callable[[], Path], what: str) -> Path | None:
    try:
        return keep()
    except StorageError as error:
        say("warning", f"{what} are not kept on disk. {error}", "yellow")
        return None


def _end(text: str) -> typer.Exit:
    say("error", text, "red")
    return typer.Exit(1)


def _of_disk(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    return (
        f"{error.filename}: {reason}."
        if error.filename is not None
        else f"the disk refused: {reason}."
    )


def _show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    say(
        "warning" if issubclass(category, SpilloverWarning) else category.__name__,
        str(message),
        "yellow",
    )
