"""Wake-ups of waiting tasks: one, or one for many results."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


def wake(future: asyncio.Future[None] | None) -> None:
    """Let whoever waits for this go on."""
    if future is not None and not future.done():
        future.set_result(None)


#: How long a result may lie there until others come that can be taken with it, in seconds.
_GATHER = 0.005

#: So many are taken together. With more, messages are composed long before they are written, and are not in
#: the cache of the processor any more.
_GATHERED = 32


class CoalescingEvent:
    """Wakes the tasks that wait for results: once for many of them, and soon for a few.

    Each time that a task wakes is one more turn of the event loop, which costs more than a message.
    """

    __slots__ = ("_loop", "_many", "_timer", "_waiters")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._many = 0
        self._timer: asyncio.TimerHandle | None = None
        self._waiters: list[asyncio.Future[None]] = []

    async def wait(self, many: int = 0) -> None:
        """Wait until it rings.

        :param many: so many results are reason enough to ring at once; a few always are
        """
        self._many = min(many, _GATHERED)
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            self._waiters.remove(waiter)
            if self._timer is not None and not self._waiters:
                self._timer.cancel()
                self._timer = None

    def set(self) -> None:
        """Wake those that wait."""
        for waiter in self._waiters:
            wake(waiter)

    def set_soon(self) -> None:
        """Wake them because of one result, when there are enough or when it has lain there for long."""
        if not self._waiters:
            return
        self._many -= 1
        if self._many <= 0:
            self.set()
        elif self._timer is None:
            self._timer = self._loop.call_later(_GATHER, self._on_time)

    def _on_time(self) -> None:
        self._timer = None  # one that waits again before all have gone needs another
        self.set()


#: The event loop refers to its tasks weakly: one that only a cycle of objects holds could be collected.
_tasks: set[asyncio.Task[None]] = set()


def background(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Run ``work`` in a task that lives until it is done."""
    task = asyncio.get_running_loop().create_task(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task
