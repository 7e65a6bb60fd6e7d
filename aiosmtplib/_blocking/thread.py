"""An event loop in a thread of its own, and how other threads have it run coroutines."""

from __future__ import annotations

import asyncio
import contextvars
import os
import sys
import threading
from collections import deque
from collections.abc import Coroutine
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

#: How long a wait lasts at a time, in seconds: on Windows nothing interrupts one, not even Ctrl-C.
_WAIT: Final = 0.5 if os.name == "nt" else -1


class Flag:
    """What a thread waits for: set by the thread of the event loop, and unset by who has waited."""

    __slots__ = ("_lock", "_set")

    def __init__(self) -> None:
        # Half the cost of a threading.Event, and of the one in a concurrent Future.
        self._lock = threading.Lock()
        self._lock.acquire()
        # The lock knows too late for this that it was acquired.
        self._set = False

    def set(self) -> None:
        if not self._set:
            self._set = True
            self._lock.release()

    def wait(self) -> None:
        while not self._lock.acquire(timeout=_WAIT):
            pass  # pragma: no cover - on Windows
        self._set = False


class Call(Generic[T]):
    """A coroutine that a thread has the loop run, in the context of the thread (PEP 567).

    :param news: set when it has ended
    """

    __slots__ = ("_context", "_news", "_task", "_work")

    def __init__(self, work: Coroutine[Any, Any, T], news: Flag) -> None:
        self._work = work
        self._news = news
        self._context = contextvars.copy_context()
        self._task: asyncio.Task[T] | None = None

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._task = self._context.run(loop.create_task, self._work)
        self._task.add_done_callback(self._over)

    def cancel(self) -> None:
        if self._task is None:  # the caller was interrupted before it had it begun
            self._work.close()
        else:
            self._task.cancel()

    def _over(self, task: asyncio.Task[T]) -> None:
        if not task.cancelled():
            task.exception()  # nobody asks for it where the caller was interrupted
        self._news.set()

    def is_done(self) -> bool:
        return self._task is not None and self._task.done()

    def result(self) -> T:
        """What the coroutine returned, once it has ended.

        :raises BaseException: what it raised
        """
        assert self._task is not None
        return self._task.result()


class LoopThread:
    """An event loop in a thread of its own, which ends with the process."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._calls: deque[Call[Any]] = deque()
        self._scheduled = False
        # The interpreter waits for other threads before it exits, and this one may wait for a server.
        self._thread = threading.Thread(target=self._serve, name="aiosmtplib", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                self.loop.run_forever()
            except (KeyboardInterrupt, SystemExit):
                pass  # from a hook of the caller's; the call raises it, too

    def check_caller(self) -> None:
        """:raises RuntimeError: if the calling thread would wait for itself, or the interpreter exits"""
        if threading.current_thread() is self._thread:
            raise RuntimeError("Called in the event loop of aiosmtplib.blocking, which would wait for itself")
        if sys.is_finalizing():
            raise RuntimeError("The interpreter is shutting down")  # pragma: no cover - nothing is measured

    def begin(self, call: Call[Any]) -> None:
        self._calls.append(call)
        if not self._scheduled:  # waking the loop is most of what a call costs
            self._scheduled = True
            self.loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        self._scheduled = False
        while self._calls:
            self._calls.popleft().begin(self.loop)

    def cancel(self, call: Call[Any]) -> None:
        self.loop.call_soon_threadsafe(self._cancel, call)

    def _cancel(self, call: Call[Any]) -> None:
        self._begin()  # the caller may have been interrupted amidst begin()
        call.cancel()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for a coroutine. If the waiting is interrupted, the coroutine is cancelled."""
        try:
            self.check_caller()
        except RuntimeError:
            work.close()
            raise
        news = Flag()
        call = Call(work, news)
        try:
            self.begin(call)
            news.wait()
        except BaseException:
            self.cancel(call)
            raise
        return call.result()


_lock = threading.Lock()
_thread: LoopThread | None = None


def running() -> LoopThread | None:
    """The thread of this process, or ``None`` if there is none yet."""
    return _thread


def loop_thread() -> LoopThread:
    """The thread of this process, started for the first who asks for it."""
    global _thread
    if _thread is None:
        with _lock:
            if _thread is None:  # pragma: no branch - unless another thread was here at the same time
                _thread = LoopThread()
    return _thread


def forget() -> None:
    """Begin anew in a process that was forked, where the thread does not run."""
    global _lock, _thread
    _lock = threading.Lock()
    _thread = None
