"""Who waits for the server, for how long, and when writing has to wait."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")


async def in_time(work: "Awaitable[T]", seconds: float | None) -> T:
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


def _forget(task: "asyncio.Future[Any]") -> None:
    """Nobody wants to know what came of this."""
    if not task.cancelled():
        task.exception()


class Deadline:
    """Calls back when the server has been silent for too long.

    Every reply moves the deadline. The timer stays where it is: when it fires too early it sleeps on.

    :param expired: called when the deadline has passed
    """

    __slots__ = ("_at", "_expired", "_loop", "_seconds", "_timer", "_timer_at")

    def __init__(self, expired: Callable[[], None]) -> None:
        self._expired = expired
        self._loop: asyncio.AbstractEventLoop | None = None
        self._seconds: float | None = None
        self._at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0

    def start(self, loop: asyncio.AbstractEventLoop, seconds: float | None) -> None:
        """From now on, each :meth:`restart` gives ``seconds``; ``None`` for no limit."""
        self._loop = loop
        self._seconds = seconds
        self.restart()

    def restart(self) -> None:
        """Give the server its time again, from now on."""
        if self._seconds is None or self._loop is None:
            self._at = None
            return
        self._at = at = self._loop.time() + self._seconds
        if self._timer is None or self._timer_at > at:
            if self._timer is not None:
                self._timer.cancel()
            self._wake_at(self._loop, at)

    def pause(self) -> None:
        """Expect nothing for now. The timer may still fire, and finds nothing to do."""
        self._at = None

    def stop(self) -> None:
        """Expect nothing any more, and hold on to nothing."""
        self._at = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake_at(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        self._timer_at = at
        self._timer = loop.call_at(at, self._wake, loop)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._at is None:
            return
        if loop.time() < self._at:
            self._wake_at(loop, self._at)
        else:
            self._expired()
