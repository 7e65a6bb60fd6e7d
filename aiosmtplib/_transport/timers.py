"""Deadlines: of one piece of work, and of each reply of a server."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

T = TypeVar("T")


class _Default(int):
    """The default of an option: the number, and yet not the same as one that the caller wrote."""


#: Seconds for each reply, and for the final one (RFC 5321 section 4.5.3.2.6).
DEFAULT_TIMEOUT: Final[float] = _Default(60)
FINAL_TIMEOUT: Final[float] = _Default(600)


async def in_time(work: Awaitable[T], seconds: float | None) -> T:
    """Wait for ``work``, and cancel it after so many seconds; ``None`` for no limit.

    As :func:`asyncio.wait_for`, of which that of Python 3.10 and 3.11 does not hear a cancellation that comes
    just when the work is done.

    :raises asyncio.TimeoutError: if it took longer
    """
    task = asyncio.ensure_future(work)
    try:
        if seconds is None or seconds > 0:
            await asyncio.wait([task], timeout=seconds)
        if task.done():
            return task.result()
    except asyncio.CancelledError:
        task.add_done_callback(_forget)
        task.cancel()
        await asyncio.wait([task])
        raise
    task.cancel()
    await asyncio.wait([task])
    if task.cancelled():
        raise asyncio.TimeoutError
    return task.result()


if sys.version_info >= (3, 11):

    async def in_time_here(work: Awaitable[T], seconds: float | None) -> T:
        """The same without a task, for ``work`` of our own, which ends where it is cancelled.

        :raises asyncio.TimeoutError: if it took longer
        """
        if seconds is not None and seconds <= 0:  # else it would be begun
            return await in_time(work, seconds)
        async with asyncio.timeout(seconds):
            return await work

else:  # Python 3.10
    in_time_here = in_time


def _forget(task: asyncio.Future[Any]) -> None:
    """Nobody wants to know what came of this."""
    if not task.cancelled():
        task.exception()


def _nobody() -> None:
    """Nobody is to be called any more."""


class Deadline:
    """The time by which the server has to reply, or to take what is written.

    Each reply moves the deadline. The timer stays where it is: when it fires too early it sleeps on. So a
    deadline that moves to a later time, as it does with almost every reply, may simply be assigned.

    :param expired: called when the deadline has passed
    :ivar at: the deadline in the time of the event loop, or ``None`` while nothing is expected
    :ivar timer_at: when the timer fires; infinity while there is none
    """

    __slots__ = ("_expired", "_timer", "at", "timer_at")

    def __init__(self, expired: Callable[[], None]) -> None:
        self._expired = expired
        self._timer: asyncio.TimerHandle | None = None
        self.at: float | None = None
        self.timer_at = math.inf

    def move(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        """Expire at ``at``, be it earlier or later than before."""
        self.at = at
        if at < self.timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self.timer_at = at
            self._timer = loop.call_at(at, self._wake, loop)

    def stop(self) -> None:
        """Expect nothing any more, and hold on to nothing."""
        self.at = None
        self.timer_at = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def end(self) -> None:
        """Stop for good: what would be called may hold on to this, and need not be collected as a cycle."""
        self.stop()
        self._expired = _nobody

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        self.timer_at = math.inf
        if self.at is None:
            return
        if loop.time() < self.at:
            self.move(loop, self.at)
        else:
            self._expired()
