"""Opening and closing the connections of a pool, and waiting for them, as :class:`PoolState` decides.

Connections are opened and closed by tasks of their own, so that a caller who gives up takes no one else's
connection along. Everything else happens at once, in whichever task or callback brings the news.
"""

from __future__ import annotations

import asyncio
import copy
import functools
import math
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from .._client.connection import introduced_protocol
from .._client.lifetime import abort, call_when_lost
from .._transport.timers import in_time
from .._transport.wakeup import wake
from ..errors import SMTPException, SMTPServerDisconnected
from ..esmtp import parse_limits
from .connection import NO_ACTIONS, Actions, PooledConnection
from .rate import TokenBucket
from .state import PoolState
from .states import Condition, State

if TYPE_CHECKING:
    from ..smtp import SMTP

#: How long a goodbye may take, from QUIT to the end of TLS, in seconds, unless ``timeout`` is shorter: a
#: connection counts until it is closed.
QUIT_TIMEOUT = 5.0

#: How long a pool that was closed at once waits for its callers to notice, in seconds. One that waits for the
#: source of its message may never do.
ABORT_TIMEOUT = 1.0

T = TypeVar("T")

Pooled: TypeAlias = "PooledConnection[SMTP]"
Waiter: TypeAlias = "asyncio.Future[PooledConnection[SMTP]]"


class ConnectionManager:
    """The connections of a pool, opened on request.

    :param make: makes a client that is not connected
    :param rate: what spaces the messages, or ``None``
    """

    def __init__(
        self, state: PoolState[SMTP, Any], make: Callable[[], SMTP], rate: TokenBucket | None
    ) -> None:
        self.state = state
        self.rate = rate
        self._make = make
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._making: dict[SMTP, asyncio.Task[Any]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._drained: asyncio.Future[None] | None = None
        self._abort_timer: asyncio.TimerHandle | None = None
        self._forsaken = False
        # One caller at a time has a connection and waits for its permission.
        self._turnstile = asyncio.Lock()
        #: How many others there are, each with a message that was given to the pool.
        self._in_line = 0
        self._sleepers: set[asyncio.Future[None]] = set()

    def now(self) -> float:
        return self.loop.time()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop in which the pool is used.

        :raises SMTPServerDisconnected: if that was another one before, which has ended
        :raises RuntimeError: if it has not
        """
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self.bind(loop)
        return loop

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Note the loop in which the pool is used.

        :raises SMTPServerDisconnected: if that was another one before, which has ended
        :raises RuntimeError: if it has not
        """
        if self._loop is None:
            self._loop = loop
        elif self._loop.is_closed():
            raise SMTPServerDisconnected("The event loop of this pool has ended")
        elif self._loop is not loop:
            raise RuntimeError("A pool belongs to the event loop in which it was first used")

    # -- those who want a connection -----------------------------------------------------------------

    async def acquire(self, *, begun: bool = False, sends: bool = True) -> Pooled:
        """A connection, with the permission to send one message on it.

        :param sends: whether there is a message at all; without one, no permission is needed
        :param begun: a part of the message was sent: the rest is too, also while the pool is being closed
        :raises SMTPServerDisconnected: if the pool is closed
        :raises SMTPException: if no connection could be opened
        """
        self.bind(asyncio.get_running_loop())
        if self.state.closing and not begun:
            raise SMTPServerDisconnected("The pool is closed")
        if self.rate is None or not sends:
            return await self._connection()
        self._in_line += 1
        try:
            await self._turnstile.acquire()
        finally:
            self._in_line -= 1
            if self.state.drained:
                wake(self._drained)
        try:
            return await self._permitted(await self._connection(), self.rate)
        finally:
            self._turnstile.release()

    async def replace(self, pooled: Pooled, condition: Condition) -> Pooled:
        """Give a connection back and get another, ahead of all who wait: a message was not sent."""
        fresh = await self._other(pooled, condition)
        return fresh if self.rate is None else await self._permitted(fresh, self.rate)

    async def _other(self, pooled: Pooled, condition: Condition) -> Pooled:
        try:
            waiter = self.queue(again=True)
        finally:  # also if the pool is closed
            self.release(pooled, condition)
        return await self._granted(waiter)

    async def _connection(self) -> Pooled:
        # A pool that is being closed has nothing to take, and lets in those who were there before.
        closing = self.state.closing
        pooled = None if closing else self.state.take(self.now())
        return await self._granted(self.queue(again=closing)) if pooled is None else pooled

    async def _granted(self, waiter: Waiter) -> Pooled:
        try:
            await waiter
        except asyncio.CancelledError:
            self.cancel(waiter)
            raise
        return self.state.claim(waiter)

    def queue(self, *, again: bool = False) -> Waiter:
        """Wait for a connection without a task: its future has the connection, or why there is none.

        Who gets it says so with ``state.claim``, who does not want it any more with :meth:`cancel`.
        """
        waiter: Waiter = self.loop.create_future()
        self.do(self.state.wait(waiter, self.now(), again=again))
        return waiter

    def cancel(self, waiter: Waiter) -> None:
        """A caller gave up."""
        waiter.cancel()
        self.do(self.state.cancel(waiter, self.now()))

    def release(self, pooled: Pooled, condition: Condition) -> None:
        """A caller is done with a connection."""
        self.released(pooled, self.state.release(pooled, condition, self.now()))

    def released(self, pooled: Pooled, actions: Actions[SMTP, Any]) -> None:
        """Do what follows from the release of a connection."""
        if actions is not NO_ACTIONS or self.state.closing:  # it may have been the last one
            self.do(actions)
        elif pooled.stale_at < self._timer_at and pooled.state is State.IDLE:
            self._watch_until(pooled.stale_at)

    async def _permitted(self, pooled: Pooled, rate: TokenBucket) -> Pooled:
        """Wait until a message may go, with a connection in hand: this one, or another if it was lost."""
        now = self.now()
        delay = rate.reserve(now)
        if delay <= 0:
            return pooled
        sleeper: asyncio.Future[None] = self.loop.create_future()
        self._sleepers.add(sleeper)
        timer = self.loop.call_at(now + delay, wake, sleeper)
        try:
            await sleeper
        except asyncio.CancelledError:
            rate.cancel(now + delay)
            self.release(pooled, Condition.KEEP)
            raise
        finally:
            timer.cancel()
            self._sleepers.remove(sleeper)
        # Servers are less patient than a low rate asks for. That is no fault that a move is counted for, and
        # no reason to wait once more.
        lost = not (pooled.alive and pooled.client.is_connected)
        return await self._other(pooled, Condition.LOST) if lost else pooled

    # -- what follows from an event ------------------------------------------------------------------

    def do(self, actions: Actions[SMTP, Any]) -> None:
        """Do what the state decided. A waiter is a future, or a message that takes the place of one."""
        for waiter, pooled in actions.grant:
            if not waiter.done():  # else it was cancelled, and its task will say so
                waiter.set_result(pooled)
        for waiter, error in actions.fail:
            if not waiter.done():
                waiter.set_exception(_own(error))
        for pooled in actions.open:
            self._spawn(self._open(), functools.partial(self._opened, pooled))
        for pooled in actions.close:
            self._spawn(self._say_goodbye(pooled.client), functools.partial(self._left, pooled))
        self._watch_until(self.state.next_deadline())
        if self.state.closing and self._making and not (self._in_line or self.state.stats().waiting):
            for task in self._making.values():  # a server that does not greet keeps nobody waiting
                task.cancel()
        if self.state.drained:
            self._cancel_timer()
            if self._abort_timer is not None:
                self._abort_timer.cancel()
            wake(self._drained)

    def _spawn(self, work: Coroutine[Any, Any, T], done: Callable[[asyncio.Task[T]], None]) -> None:
        # Its end is reported by a callback: a task that is cancelled at once never runs.
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(done)

    async def _open(self) -> SMTP:
        client = self._make()
        self._making[client] = cast("asyncio.Task[Any]", asyncio.current_task())
        try:
            await client.connect()
            await introduced_protocol(client)
        except BaseException:
            client.close()
            raise
        finally:
            del self._making[client]
        return client

    def _opened(self, pooled: Pooled, task: asyncio.Task[SMTP]) -> None:
        error: BaseException | None = _closed() if task.cancelled() else task.exception()
        if error is None:
            client = task.result()
            if client.is_connected:
                call_when_lost(client, lambda: self.do(self.state.lost(pooled, self.now())))
                limits = parse_limits(client.esmtp_extensions)
                pooled.rcptmax = limits.rcptmax
                self.do(self.state.opened(pooled, client, self.now(), mailmax=limits.mailmax))
                return
            error = SMTPServerDisconnected("Connection lost")
        self.do(self.state.open_failed(pooled, cast(Exception, error), self.now()))

    @staticmethod
    async def _say_goodbye(client: SMTP) -> None:
        seconds = QUIT_TIMEOUT if client.timeout is None else min(QUIT_TIMEOUT, client.timeout)
        try:
            await in_time(client.quit(timeout=seconds), seconds)
        except (SMTPException, asyncio.TimeoutError):
            pass  # it is closed in any case

    def _left(self, pooled: Pooled, task: asyncio.Task[None]) -> None:
        pooled.client.close()
        self.do(self.state.closed(pooled, self.now()))

    # -- time ----------------------------------------------------------------------------------------

    def _watch_until(self, deadline: float | None) -> None:
        """Come back at ``deadline`` at the latest. A timer that fires too early finds nothing to do."""
        if deadline is None or deadline >= self._timer_at:
            return
        self._cancel_timer()
        self._timer_at = deadline
        self._timer = self.loop.call_at(deadline, self._expire)

    def _expire(self) -> None:
        self._cancel_timer()
        self.do(self.state.expire(self.now()))

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        self._timer_at = math.inf

    # -- the end -------------------------------------------------------------------------------------

    async def close(self, timeout: float | None) -> None:
        """Serve those who wait, then close every connection; after ``timeout`` seconds, close at once."""
        if self._loop is not None and self._loop.is_closed():  # nobody waits, and nothing can be closed
            self.state.closing = True
            return
        self.do(self.state.close(self.now()))
        # Not asyncio.wait_for: that of Python 3.10 and 3.11 may swallow a cancellation.
        timer = None if timeout is None else self.loop.call_later(max(0, timeout), self._abort)
        try:
            while (self._in_line or not self.state.drained) and not self._forsaken:
                if self._drained is None or self._drained.done():
                    self._drained = self.loop.create_future()
                await asyncio.shield(self._drained)
        except asyncio.CancelledError:
            self._abort()
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _forsake(self) -> None:  # pragma: no cover - for a connection that not even an abort ends
        self._forsaken = True
        wake(self._drained)

    def _abort(self) -> None:
        if self._abort_timer is None:
            self._abort_timer = self.loop.call_later(ABORT_TIMEOUT, self._forsake)
        self.do(self.state.abort(_closed(), self.now()))
        for task in self._tasks:
            task.cancel()
        for client in self._making:
            client.close()
        for pooled in self.state.connections(State.BUSY, State.CLOSING):
            abort(pooled.client)
        for sleeper in self._sleepers:
            wake(sleeper)


def _closed() -> SMTPServerDisconnected:
    return SMTPServerDisconnected("The pool was closed")


def _own(error: Exception) -> Exception:
    """The same error, to be raised in another task: a traceback belongs to one."""
    try:
        own = copy.copy(error)
    except Exception:  # its class is called with something else than what it hands on to Exception
        return error
    own.args = error.args
    own.__cause__ = error.__cause__ or error
    return own
