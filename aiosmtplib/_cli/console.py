"""Output of the commands (lines, tables, progress bars), their exit codes, and how they run coroutines.

Output has colours and lines if it goes to a terminal and ``rich`` is installed. Else it is plain text with
the same content and without control characters.
"""

from __future__ import annotations

import asyncio
import enum
import io
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any, Protocol, TypeVar

from .masking import Secrets, one_line

T = TypeVar("T")

__all__ = ("Console", "Exit", "UsageError", "has_colours", "run_async")

BAR_WIDTH = 40

#: The parameters of SGR (ECMA-48 section 8.3.117) for the colours that are used.
COLOURS = {"red": 31, "green": 32, "yellow": 33}


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine. The first two interrupts (SIGINT, Ctrl-C) cancel it, one more ends it wherever it is.

    asyncio cancels it once, and then raises KeyboardInterrupt in whatever is running, which may be the
    event loop: a wake-up that it was about to deliver is lost then, and the coroutine never ends.

    :raises KeyboardInterrupt: if it was cancelled
    """

    async def cancel_when_interrupted() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        count = 0

        def interrupt() -> None:
            nonlocal count
            count += 1
            if count == 2:
                loop.remove_signal_handler(signal.SIGINT)
            task.cancel()

        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:  # as shells have it in the background
            with suppress(NotImplementedError, RuntimeError):  # on Windows, and in other threads
                loop.add_signal_handler(signal.SIGINT, interrupt)
        return await main

    try:
        return asyncio.run(cancel_when_interrupted())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


class Exit(enum.IntEnum):
    """The exit codes, which are the same for all commands."""

    #: Everything was accepted.
    OK = 0
    #: The server refused the sender, the message, or at least one recipient.
    REFUSED = 1
    #: The command line, the message or an environment variable is not valid. Nothing was sent.
    USAGE = 2
    #: There was no connection: unreachable, timed out, lost, or TLS failed. The message was not sent.
    CONNECTION = 3
    #: The server refused the login, or does not support what was asked for.
    UNABLE = 4
    #: The message was written and no reply to it came. Sending it again may duplicate it.
    UNKNOWN = 5
    #: Interrupted by SIGINT (Ctrl-C).
    INTERRUPTED = 130
    #: Standard output was closed by the process that read it (EPIPE).
    BROKEN_PIPE = 141


class UsageError(Exception):
    """An error that the user can correct. The text says how."""


class LastLine(Protocol):
    """A line that stays below all that is printed."""

    def draw(self) -> None: ...

    def erase(self) -> None: ...


class Console:
    """Standard output and standard error, with secrets masked and control characters escaped.

    :ivar secrets: the strings that are masked
    :ivar line: what stays below all that is printed, or ``None``
    """

    def __init__(self) -> None:
        self.secrets = Secrets()
        self.line: LastLine | None = None
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A terminal that lacks a character must not turn a result into an error.
            sys.stdout.reconfigure(errors="backslashreplace")

    def say(self, text: str = "") -> None:
        """Print one line of a result to standard output."""
        self._print(one_line(self.secrets.mask(text)), sys.stdout)

    def note(self, text: str) -> None:
        """Print one line that is not a result to standard error."""
        self._print(one_line(self.secrets.mask(text)), sys.stderr)

    def _print(self, text: str, stream: IO[str]) -> None:
        if self.line is not None:
            self.line.erase()
        print(text, file=stream, flush=True)
        if self.line is not None:
            self.line.draw()

    def verdict(self, word: str, text: str) -> None:
        """Print one line of a result that begins with a verdict, which has a colour."""
        colour = {"accepted": "green", "refused": "red", "unknown": "yellow"}.get(word, "yellow")
        head = painted(word.ljust(10), colour, sys.stdout)
        self._print(head + one_line(self.secrets.mask(text)), sys.stdout)

    def complain(self, text: str) -> None:
        """Print one error message to standard error."""
        head = painted("aiosmtplib: error:", "red", sys.stderr)
        self._print(f"{head} {one_line(self.secrets.mask(text))}", sys.stderr)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print rows of cells under the names of their columns to standard output."""
        cells = [[one_line(self.secrets.mask(cell)) for cell in row] for row in rows]
        if _pretty():
            from rich.console import Console as RichConsole
            from rich.table import Table
            from rich.text import Text

            table = Table(*columns)
            for row in cells:
                # As Text, because "[x]" in a reply is no markup.
                table.add_row(*(Text(cell) for cell in row))
            RichConsole(file=sys.stdout).print(table)
            return
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        for row in (list(columns), ["-" * width for width in widths], *cells):
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            print(line.rstrip(), flush=True)

    @contextmanager
    def progress(self, label: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show a progress bar on a terminal, one line elsewhere.

        :param total: the number of steps
        :return: a context manager, with a function that takes the number of steps done so far
        """
        if _pretty():
            from rich.console import Console as RichConsole
            from rich.progress import Progress

            with Progress(console=RichConsole(file=sys.stdout)) as progress:
                task = progress.add_task(label, total=total)
                yield lambda done: progress.update(task, completed=done)
        elif sys.stdout.isatty():

            def draw(done: int) -> None:
                bar = ("#" * (BAR_WIDTH * done // total)).ljust(BAR_WIDTH)
                print(f"\r{label} [{bar}] {done}/{total}", end="", flush=True)

            draw(0)
            try:
                yield draw
            finally:
                print(flush=True)
        else:
            self.say(f"{label} ...")
            yield lambda done: None


def has_colours(stream: IO[str]) -> bool:
    """Whether what goes to this stream may have colours: to a terminal, unless NO_COLOR says not to."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def painted(text: str, colour: str, stream: IO[str]) -> str:
    """The text in a colour, where the stream has colours."""
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m" if has_colours(stream) else text


def _pretty() -> bool:
    """Whether ``rich`` can be used for output."""
    if not sys.stdout.isatty():
        return False
    try:
        import rich  # noqa: F401
    except ImportError:
        return False
    return True
