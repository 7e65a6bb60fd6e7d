"""The progress of sending: messages, octets, rate and time left, on a terminal."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from .console import Console, painted

__all__ = ("Line", "Meter", "amount", "metered")

#: How often a line is drawn anew, in seconds.
INTERVAL = 0.1

#: The width of the bar, in characters; there is none where less is left.
MIN_BAR, MAX_BAR = 8, 40

#: Erase from the cursor to the end of the line (ECMA-48 section 8.3.41).
ERASE = "\x1b[K"


class Meter:
    """What was done so far, and when it began.

    :param messages: how many messages there are
    :param octets: how many octets they have
    """

    def __init__(self, messages: int, octets: int) -> None:
        self.total_messages = messages
        self.total_octets = octets
        self.messages = 0
        self.octets = 0
        self._began = time.monotonic()

    def advance(self, messages: int, octets: int) -> None:
        """Count what is done."""
        self.messages += messages
        self.octets += octets

    @property
    def seconds(self) -> float:
        """How long it takes so far."""
        return time.monotonic() - self._began

    @property
    def done(self) -> float:
        """The part that is done, from 0 to 1: by octets, or by messages where those have none."""
        if self.total_octets:
            return min(1.0, self.octets / self.total_octets)
        return self.messages / max(1, self.total_messages)

    def __str__(self) -> str:
        rate = self.octets / max(self.seconds, 0.001)
        left = f", {_clock(self.seconds / self.done * (1 - self.done))} left" if self.done else ""
        return (
            f"{self.messages}/{self.total_messages} messages, {amount(self.octets)} of "
            f"{amount(self.total_octets)}, {amount(rate)}/s{left}"
        )


def amount(octets: float) -> str:
    """A number of octets as people read it."""
    for unit in ("B", "kB", "MB"):
        if octets < 1000:
            return f"{octets:.0f} {unit}" if unit == "B" else f"{octets:.1f} {unit}"
        octets /= 1000
    return f"{octets:.1f} GB"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Line:
    """The last line of a terminal, which shows a meter, drawn anew as it advances.

    :param stream: the terminal
    """

    def __init__(self, meter: Meter, stream: IO[str]) -> None:
        self._meter = meter
        self._stream = stream
        self._drawn_at = 0.0

    def refresh(self) -> None:
        """Draw it, unless that was just done."""
        if time.monotonic() - self._drawn_at >= INTERVAL:
            self.draw()

    def draw(self) -> None:
        """Draw it."""
        self._drawn_at = time.monotonic()
        text = str(self._meter)
        width = shutil.get_terminal_size().columns - 1
        room = min(MAX_BAR, width - len(text) - 3)
        if room >= MIN_BAR:
            filled = int(room * self._meter.done)
            text = f"[{painted('#' * filled, 'green', self._stream)}{'.' * (room - filled)}] {text}"
        else:
            text = text[:width]
        print(f"\r{text}{ERASE}", end="", file=self._stream, flush=True)

    def erase(self) -> None:
        """Make room for a line above it."""
        print(f"\r{ERASE}", end="", file=self._stream, flush=True)


@contextmanager
def metered(meter: Meter, console: Console) -> Iterator[Callable[[], None]]:
    """Show a meter on standard error while the block runs, if that is a terminal.

    What the console prints meanwhile goes above it.

    :return: a context manager, with a function to be called when the meter has advanced
    """
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda: None
        return
    console.line = line = Line(meter, sys.stderr)
    line.draw()
    try:
        yield line.refresh
    finally:
        console.line = None
        line.draw()
        print(file=sys.stderr, flush=True)
