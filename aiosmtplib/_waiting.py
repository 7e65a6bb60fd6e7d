"""Who waits for the server, for how long, and when writing has to wait."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from ._session import Dialogue, Exchange

T = TypeVar("T")


def wake(future: "asyncio.Future[None] | None") -> None:
    """Let whoever waits for this go on."""
    if future is not None and not future.done():
        future.set_result(None)


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


#: How long a result may lie there until others come that can be taken with it, in seconds.
_GATHER = 0.005

#: So many are taken together. With more, messages are composed long before they are written, and are not in
#: the cache of the processor any more.
_GATHERED = 32


class Bell:
    """Wakes whoever waits for results: once for many of them, and soon for a few.

    Each time that a task wakes is one more turn of the event loop, which costs more than a message.
    """

    __slots__ = ("_loop", "_many", "_timer", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._many = 0
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def wait(self, many: int = 0) -> None:
        """Wait until it rings.

        :param many: so many results are reason enough to ring at once; a few always are
        """
        self._many = min(many, _GATHERED)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def ring(self) -> None:
        """Wake the waiting task."""
        wake(self._waiter)

    def ring_soon(self) -> None:
        """Wake it because of one result, when there are enough of them or when it has lain there for long."""
        if self._waiter is None:
            return
        self._many -= 1
        if self._many <= 0:
            wake(self._waiter)
        elif self._timer is None:
            self._timer = self._loop.call_later(_GATHER, wake, self._waiter)


#: The event loop refers to its tasks weakly: one that only a cycle of objects holds could be collected.
_tasks: set["asyncio.Task[None]"] = set()


def background(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """Run ``work`` in a task that lives until it is done."""
    task = asyncio.get_running_loop().create_task(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


class Turn(Exchange):
    """A dialogue that waits for its turn, or has it."""

    __slots__ = ()

    def settle(self) -> None:
        """Called once, when ``result`` and ``error`` are there."""


class Ticket(Turn):
    """One dialogue, and the task that waits for its end.

    :param owner: the task to reserve the connection for, if the reply is 3yz and asks for more
    :param upgrade: whether a 220 reply is to be followed by a TLS handshake
    """

    __slots__ = ("future", "owner", "upgrade", "wanted")

    def __init__(
        self,
        dialogue: Dialogue[Any],
        timeout: float | None,
        future: "asyncio.Future[None]",
        owner: "asyncio.Task[Any] | None",
        upgrade: bool,
        lane: object = None,
    ) -> None:
        super().__init__(dialogue, timeout, lane)
        self.future = future
        #: The task that has content to push waits here until the server wants it.
        self.wanted: asyncio.Future[None] | None = None
        self.owner = owner
        self.upgrade = upgrade

    def settle(self) -> None:
        """Wake the task, unless it has gone away."""
        wake(self.future)


class FlowControlMixin(asyncio.Protocol):
    """Remembers whether the transport asked to pause writing."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop
        self._paused = False

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False

    def connection_lost(self, exc: Exception | None) -> None:
        self._paused = False


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
