"""Many messages over all the connections of a pool: each goes to the connection whose turn it is.

A :class:`Dispatcher` has a pipeline on each connection that it holds at the moment. It asks for one
connection more for messages that find all of them busy, and gives a connection back as soon as nothing is in
flight on it, or when others have waited long enough. :class:`PoolSendMany` in :mod:`aiosmtplib.pool` is what
callers see.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from typing import Any

from .._client.pipeline import MAX_BYTES, failed, is_streamed, prepare
from .._client.results import SendResult
from .._transport.base_protocol import cancelled_before_sent
from .._transport.wakeup import CoalescingEvent, wake
from ..errors import SMTPSenderRefused, SMTPServerDisconnected
from ..status import Delivery
from .connection import Condition
from .jobs import Attempt, HeldConnection, MessageQuota, QueuedMessage, divide
from .manager import Connection, ConnectionManager, Waiter
from .retry import condition_of, may_retry
from .state import MAX_MOVES
from .streams import Streams


class Dispatcher:
    """The messages of one :meth:`SMTPPool.send_many` that were pulled and not yet handed back.

    :ivar ready: results to hand back
    :ivar exhausted: whether no more will be pulled
    :ivar source_error: what the source of the messages raised, or ``None``
    """

    def __init__(self, manager: ConnectionManager, window: int, timeout: float | None) -> None:
        self._manager = manager
        self._state = manager.state
        self._window = window
        self._timeout = timeout
        #: How many messages one connection may have at a time.
        self._depth = max(2, window // self._state.max_connections)
        self._quota = MessageQuota()
        self._count = 0
        #: Pulled and not yet handed back.
        self._held = 0
        self._queue: deque[QueuedMessage] = deque()
        self._held_connections: set[HeldConnection] = set()
        #: Those that can take another message, in turn.
        self._roomy: dict[HeldConnection, None] = {}
        self._waiters: set[Waiter] = set()
        #: When the next message may go, where that is limited.
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._feeder: asyncio.Future[None] | None = None
        self._streams = Streams(manager, timeout, self._hand_back)
        self._coming = False
        self._given_up = False
        self.loop = manager.loop
        self._consumer = CoalescingEvent(self.loop)
        self.ready: deque[SendResult[Any]] = deque()
        self.exhausted = False
        self.source_error: Exception | None = None

    @property
    def finished(self) -> bool:
        """Whether all messages were handed back, and there will be no other."""
        return self.exhausted and not self._held

    # -- in ------------------------------------------------------------------------------------------

    def fill(self, source: Iterator[Any]) -> None:
        """Pull what there is room for."""
        while not self.exhausted and self._has_room():
            try:
                item = next(source)
            except StopIteration:
                self.exhausted = True
            except Exception as error:
                self.source_error = error
                self.exhausted = True
            else:
                self._put(item)

    async def feed(self, source: AsyncIterable[Any]) -> None:
        """Pull whenever there is room, to the end."""
        iterator = aiter(source)
        try:
            while True:
                while not self._has_room():
                    self._feeder = self.loop.create_future()
                    await self._feeder
                self._put(await anext(iterator))
        except StopAsyncIteration:
            pass
        except Exception as error:
            self.source_error = error
        finally:
            self.exhausted = True
            self._consumer.set()
            if isinstance(iterator, AsyncGenerator):
                await iterator.aclose()

    def _has_room(self) -> bool:
        if self._held >= self._window:
            return False
        if not self._queue:
            return bool(self._roomy) or self._missing > 0
        # At first, each message that waits is the reason for one connection more.
        return self._manager.rate is None and not self._held_connections and len(self._queue) < self._missing

    @property
    def _missing(self) -> int:
        return self._state.max_connections - len(self._held_connections)

    def _put(self, item: Any) -> None:
        message = QueuedMessage(self._count, item)
        self._count += 1
        self._held += 1
        if self._state.closing:  # what was pulled before is sent still
            self._fail(message, SMTPServerDisconnected("The pool is closed"))
        elif is_streamed(item):
            try:
                self._streams.begin(message.index, item)
            except Exception as error:
                self._fail(message, error)
        else:
            self._queue.append(message)
            self._dispatch()

    # -- through -------------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        """Give to connections what waits for one."""
        queue = self._queue
        evenly = self._manager.rate is not None
        while queue:
            if evenly and not self._is_due():
                return
            held = self._free_connection()
            if held is None:
                if not self._held_connections or self._state.can_open:
                    self._ask(1 if evenly else len(queue))
                return
            self._due = None
            self._begin(held, queue.popleft())
            if held.in_flight > 1 and not evenly and self._state.can_open:
                self._ask(len(self._waiters) + 1)

    def _dispatch_soon(self) -> None:
        """The same, after what is going on: not amidst the replies of a connection."""
        if self._queue and not self._coming:
            self._coming = True
            self.loop.call_soon(self._come)

    def _come(self) -> None:
        self._coming = False
        self._dispatch()

    def _free_connection(self) -> HeldConnection | None:
        """The connection whose turn it is; one more, if all are busy and another is idle."""
        held = next(iter(self._roomy), None)
        if held is not None and (not held.in_flight or self._manager.rate is not None):
            return held
        while self._missing > 0 and not self._state.closing:
            slot = self._state.take(self._manager.now())
            if slot is None:
                break
            if condition_of(slot, None) is not Condition.LOST:
                return self._enlist(slot)
            self._manager.release(slot, Condition.LOST)
        return held

    def _enlist(self, slot: Connection) -> HeldConnection:
        held = HeldConnection(slot, slot.client._connected_protocol(), self._quota.now)
        self._held_connections.add(held)
        self._roomy[held] = None
        return held

    def _ask(self, wanted: int) -> None:
        """Wait for more connections."""
        try:
            while len(self._waiters) < min(wanted, self._missing):
                self._wait_for_connection()
        except SMTPServerDisconnected as error:  # the pool is closed
            while self._queue and not self._waiters and not self._held_connections:
                self._fail(self._queue.popleft(), error)

    def _wait_for_connection(self, *, again: bool = False) -> None:
        waiter = self._manager.queue(again=again)
        self._waiters.add(waiter)
        waiter.add_done_callback(self._granted)

    def _granted(self, waiter: Waiter) -> None:
        if waiter not in self._waiters:  # given up
            if not waiter.cancelled():
                waiter.exception()
            return
        self._waiters.remove(waiter)
        error = waiter.exception()
        if error is not None:
            if self._queue and not self._held_connections:
                self._fail(self._queue.popleft(), error)
        else:
            slot = self._state.claim(waiter)
            if condition_of(slot, None) is Condition.LOST:
                self._manager.release(slot, Condition.LOST)
            else:
                held = self._enlist(slot)
                self._dispatch()
                self._leave_if_idle(held)
        self._dispatch()
        self._consumer.set()
        wake(self._feeder)

    def _begin(self, held: HeldConnection, message: QueuedMessage) -> None:
        slot = held.slot
        if not held.protocol.is_connected:  # its loss will be told in a moment
            self._roomy.pop(held)
            self._queue.appendleft(message)
            self._leave_if_idle(held)
            return
        try:
            parts = () if slot.rcptmax is None else divide(message, slot.rcptmax)
            if parts:
                self._queue.extendleft(reversed(parts))
                self._leave_if_idle(held)
                return
            mail = prepare(slot.client, message.item)
            attempt = Attempt(self.message_done, held, message, mail, self._timeout)
        except Exception as error:
            self._fail(message, error)
            self._leave_if_idle(held)
            return
        slot.begin()
        held.in_flight += 1
        held.bytes += attempt.size
        del self._roomy[held]
        if self._waiters and not self._state.opening:  # no connection is on its way to us
            self._withdraw_waiters()
        if self._state.should_yield(slot, self._manager.now()):
            held.leaving = True
        if held.allowed is not None and slot.messages >= held.allowed:
            held.leaving = True
            held.condition = Condition.REPLACE
        self._make_room(held)
        held.protocol.submit(attempt)

    def _make_room(self, held: HeldConnection) -> None:
        if not held.leaving and held.in_flight < self._depth and held.bytes < MAX_BYTES:
            self._roomy[held] = None

    # -- out -----------------------------------------------------------------------------------------

    def message_done(self, attempt: Attempt) -> None:
        """An attempt is over."""
        held, message, error = attempt.pipeline, attempt.message, attempt.error
        held.in_flight -= 1
        held.bytes -= attempt.size
        if error is None:
            refused, response = attempt.result
            result = SendResult(message.index, message.item, Delivery.DELIVERED, response, refused, None)
            self._finish(message, result, attempt.size)
            held.served += 1
            self._make_room(held)
        else:
            self._not_accepted(attempt, held, message, error)
        self._leave_if_idle(held)
        self._dispatch_soon()
        if held.in_flight > self._depth // 2:
            self._consumer.set_soon()
        else:  # more should come before the server has nothing to do
            self._consumer.set()
        if self._feeder is not None and self._has_room():
            wake(self._feeder)

    def _not_accepted(
        self, attempt: Attempt, held: HeldConnection, message: QueuedMessage, error: BaseException
    ) -> None:
        move = not self._given_up and message.moves < MAX_MOVES and may_retry(held.slot, error)
        if condition_of(held.slot, error) is Condition.KEEP:
            self._make_room(held)
        else:
            held.leaving = True
            held.condition = Condition.REPLACE
            self._roomy.pop(held, None)
        if move:
            message.moves += 1
            if isinstance(error, SMTPSenderRefused):  # it said so, and was not merely lost
                self._quota.ended(held)
            try:
                if not self._waiters:
                    # Before the connection is released, lest the pool count as drained in between.
                    self._wait_for_connection(again=True)
            except SMTPServerDisconnected:  # closed at once
                move = False
        if move:  # before those that were moved less often
            place = (at for at, other in enumerate(self._queue) if other.moves < message.moves)
            self._queue.insert(next(place, len(self._queue)), message)
        else:
            self._fail(message, error, attempt.size)

    def _leave_if_idle(self, held: HeldConnection) -> None:
        """Give a connection back as soon as nothing is in flight on it: others may need it."""
        if held.in_flight or held not in self._held_connections:
            return
        self._held_connections.remove(held)
        self._roomy.pop(held, None)
        if held.served == held.allowed:
            self._quota.used_up(held)
        lost = condition_of(held.slot, None) is Condition.LOST
        self._manager.release(held.slot, Condition.LOST if lost else held.condition)

    def _fail(self, message: QueuedMessage, error: BaseException, size: int = 0) -> None:
        assert isinstance(error, Exception)
        self._finish(message, failed(message.index, message.item, error), size)
        self._consumer.set()

    def _finish(self, message: QueuedMessage, result: SendResult[Any], size: int) -> None:
        whole = message.whole
        if whole is not None:
            complete = whole.collect(message, result)
            if complete is None:
                return
            result = complete
        self._state.finished(result.delivery, size)
        self.ready.append(result)

    def _hand_back(self, result: SendResult[Any]) -> None:
        self.ready.append(result)
        self._consumer.set()

    def take(self) -> SendResult[Any] | None:
        """A result, if one is there."""
        if not self.ready:
            return None
        self._held -= 1
        wake(self._feeder)
        return self.ready.popleft()

    async def changed(self) -> None:
        """Wait until there may be something to take, or nothing more to come."""
        await self._consumer.wait(self._held // 2)

    # -- evenly --------------------------------------------------------------------------------------

    def _is_due(self) -> bool:
        """Whether the pool's rate lets the next message go now. Else, come back when it does."""
        rate = self._manager.rate
        assert rate is not None
        now = self._manager.now()
        if self._due is None or now - self._due > rate.interval:  # what was not used is not made up for
            self._due = now + rate.reserve(now)
        if self._due <= now:
            return True
        if self._timer is None:
            self._timer = self.loop.call_at(self._due, self._on_due)
        return False

    def _on_due(self) -> None:
        self._timer = None
        self._dispatch()
        self._consumer.set()
        wake(self._feeder)

    # -- the end -------------------------------------------------------------------------------------

    def give_up(self) -> None:
        """Do not send what has not begun."""
        self._given_up = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._due is not None and self._manager.rate is not None:
            self._manager.rate.cancel(self._due)
            self._due = None
        self._withdraw_waiters()
        self._streams.give_up()
        while self._queue:
            self._fail(self._queue.popleft(), cancelled_before_sent())
        for held in list(self._held_connections):
            held.protocol.withdraw(held)

    def _withdraw_waiters(self) -> None:
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            self._manager.cancel(waiter)

    @property
    def working(self) -> bool:
        """Whether something is in flight."""
        return bool(self._held_connections or self._streams)
