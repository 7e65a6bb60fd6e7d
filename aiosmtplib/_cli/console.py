"""What the commands print, and what a script that runs them sees: lines, tables, progress, exit codes.

Pretty output needs a terminal and ``rich``. Without either it is plain text of the same content, so that
pipes and logs get no control characters.
"""

import asyncio
import enum
import io
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from .masking import Secrets, one_line

T = TypeVar("T")

__all__ = ("Console", "Exit", "UsageError", "run_async")

BAR_WIDTH = 40

if sys.version_info >= (3, 11):
    run_async = asyncio.run
else:  # Python 3.10 raises KeyboardInterrupt in the middle of a task, which asyncio then complains about

    def run_async(main: Coroutine[Any, Any, T]) -> T:
        async def cancel_when_interrupted() -> T:
            task = asyncio.current_task()
            assert task is not None
            with suppress(NotImplementedError):  # on Windows
                asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)
            return await main

        try:
            return asyncio.run(cancel_when_interrupted())
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None


class Exit(enum.IntEnum):
    """Exit codes of every command."""

    #: Everything was accepted.
    OK = 0
    #: The server refused the sender, the message, or at least one recipient.
    REFUSED = 1
    #: The command line, the message or the environment makes no sense. Nothing was sent.
    USAGE = 2
    #: No connection: not reachable, timed out, lost, or TLS failed. The message was not sent.
    CONNECTION = 3
    #: The server refuses the login, or cannot do what was asked for.
    UNABLE = 4
    #: The message was written and no reply came. Sending it again may duplicate it.
    UNKNOWN = 5
    #: Interrupted by Ctrl-C.
    INTERRUPTED = 130
    #: Who read our output has gone.
    BROKEN_PIPE = 141


class UsageError(Exception):
    """Something the person at the keyboard can put right. The text says how."""


class Console:
    """Standard output and error, with secrets masked in whatever goes there.

    :ivar secrets: what is masked
    """

    def __init__(self) -> None:
        self.secrets = Secrets()
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A terminal that lacks a character must not turn a result into an error.
            sys.stdout.reconfigure(errors="backslashreplace")

    def say(self, text: str = "") -> None:
        """One line of result."""
        print(one_line(self.secrets.mask(text)), flush=True)

    def note(self, text: str) -> None:
        """One line that is no result, to standard error."""
        print(one_line(self.secrets.mask(text)), file=sys.stderr, flush=True)

    def complain(self, text: str) -> None:
        """One line that says what is wrong."""
        self.note(f"aiosmtplib: error: {text}")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Rows under their column names, the first column left, the others as they are."""
        cells = [[one_line(self.secrets.mask(cell)) for cell in row] for row in rows]
        if _pretty():
            from rich.console import Console as RichConsole
            from rich.table import Table
            from rich.text import Text

            table = Table(*columns)
            for row in cells:
                # As Text, because "[x]" in what a server says is no markup.
                table.add_row(*(Text(cell) for cell in row))
            RichConsole(file=sys.stdout).print(table)
            return
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        for row in (list(columns), ["-" * width for width in widths], *cells):
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            print(line.rstrip(), flush=True)

    @contextmanager
    def progress(self, label: str, total: int) -> Iterator[Callable[[int], None]]:
        """A bar on a terminal, one line elsewhere. Yields what is to be told the number done so far."""
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


def _pretty() -> bool:
    if not sys.stdout.isatty():
        return False
    try:
        import rich  # noqa: F401
    except ImportError:
        return False
    return True
