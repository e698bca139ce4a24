"""What all commands share: a console, and one line of text for any error."""

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

# ClickException, from click or from the copy of click that later versions of typer bundle
USAGE: Any = typer.BadParameter.__mro__[2]
STOPPED = 130  # the exit status that shells give a process which ctrl-C ended
CLOSED = (
    "whoever read the output closed it before its end; files that were written are in their places."
)
MEMORY = (
    "there is not enough memory for this: take fewer draws, units or members at a time, or a larger"
    " machine."
)


class Commands(TyperGroup):
    """A group of commands that reports wrong options on one line."""

    def main(
        self,
        args: Sequence[str] | None = None,
        *rest: Any,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command.

        Parameters
        ----------
        args, *rest, **extra
            As click has them; by default the arguments of the process.
        standalone_mode : bool, default True
            End the process with the exit status of the command, as from the shell.
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
    """A console that raises when its reader goes away, where rich would exit silently."""

    def on_broken_pipe(self) -> None:
        """Leave the error to `open_session`."""
        raise BrokenPipeError


def say(name: str, text: str, style: str) -> None:
    """Print one line on the standard error stream, whatever characters the text has."""
    Console(stderr=True).print(
        Text.assemble((f"{name}: ", style), to_one_line(text)), soft_wrap=True, highlight=False
    )


def to_one_line(text: str) -> str:
    r"""A text on one line, with escapes for what would move the cursor or colour the screen.

    >>> to_one_line("a\nb \x1b[31mred")
    'a b \\x1b[31mred'
    """
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(text.split()))


@contextmanager
def open_session() -> Iterator[Console]:
    """Give a command its console, and turn what goes wrong into one line instead of a traceback.

    Compiled programs and log-determinants are kept on disk meanwhile. Errors of spillover, of the
    disk and of memory end the process with status 1, ctrl-C with 130. Any other exception is a bug
    of spillover and keeps its traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # where the encoding lacks Greek letters, their code points are shown
            stream.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            with _keep_on_disk():
                yield Screen()
        except SpilloverError as error:
            raise _fail(str(error)) from None
        except KeyboardInterrupt as error:
            say("stopped", str(error) or "nothing was written.", "yellow")
            raise typer.Exit(STOPPED) from None
        except MemoryError:
            raise _fail(MEMORY) from None
        except BrokenPipeError:
            with suppress(OSError, ValueError):  # else Python complains of the pipe at exit
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise _fail(CLOSED) from None
        except OSError as error:
            raise _fail(_describe_fault(error)) from None


@contextmanager
def say_if_stopped(kept: str) -> Iterator[None]:
    """Make ctrl-C within the block say what is kept."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(kept) from None


@contextmanager
def _keep_on_disk() -> Iterator[None]:
    """Keep compiled programs and log-determinants in a folder of the user's own.

    Where there is no such folder, a warning says so, and nothing is kept.
    """
    from spillover.engine import cache, devices
    from spillover.engine.storage.own_folder import restrict_to_user

    programs = _try_to_keep(devices.keep_compiled, "Compiled programs")
    if programs is None:
        devices.keep_nothing()
    _try_to_keep(cache.keep, "Log-determinants")
    try:
        yield
    finally:
        if programs is not None:
            restrict_to_user(programs)


def _try_to_keep(keep: Callable[[], Path], what: str) -> Path | None:
    try:
        return keep()
    except StorageError as error:
        say("warning", f"{what} are not kept on disk. {error}", "yellow")
        return None


def _fail(text: str) -> typer.Exit:
    """Print an error; return the exception that ends the process."""
    say("error", text, "red")
    return typer.Exit(1)


def _describe_fault(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    if error.filename is None:
        return f"the disk refused: {reason}."
    return f"{error.filename}: {reason}."


def _show_warning(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
    """Print a warning as one line, in place of `warnings.showwarning`."""
    name = "warning" if issubclass(category, SpilloverWarning) else category.__name__
    say(name, str(message), "yellow")
