"""Many messages over all the connections of a pool: each goes to the connection whose turn it is.

A :class:`Crew` has a lane on each connection that it holds at the moment. It asks for one connection
more for messages that find all lanes busy, and gives a connection back as soon as nothing is in flight on it,
or when others have waited long enough. :class:`PoolSendMany` in :mod:`aiosmtplib.pool` is what callers see.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from typing import Any

from ._envelope import SendResult
from ._many import MAX_BYTES, _mail_for, failed, is_streamed
from ._pool_driver import Connection, Driver, Waiter
from ._pool_message import Allowance, Attempt, Lane, Message, divide
from ._pool_slot import Outcome
from ._pool_state import MAX_MOVES
from ._pool_stream import Streams
from ._pool_verdict import may_move, outcome_of
from ._turns import given_up
from ._waiting import Bell, wake
from .errors import SMTPSenderRefused, SMTPServerDisconnected
from .status import Delivery


class Crew:
    """The messages of one :meth:`SMTPPool.send_many` that were pulled and not yet handed back.

    :ivar ready: results to hand back
    :ivar exhausted: whether no more will be pulled
    :ivar source_error: what the source of the messages raised, or ``None``
    """

    def __init__(self, driver: Driver, window: int, timeout: float | None) -> None:
        self._driver = driver
        self._state = driver.state
        self._window = window
        self._timeout = timeout
        #: How many messages one connection may have at a time.
        self._depth = max(2, window // self._state.max_connections)
        self._allowance = Allowance()
        self._count = 0
        #: Pulled and not yet handed back.
        self._held = 0
        self._queue: deque[Message] = deque()
        self._lanes: set[Lane] = set()
        #: Those that can take another message, in turn.
        self._roomy: dict[Lane, None] = {}
        self._waiters: set[Waiter] = set()
        #: When the next message may go, where that is limited.
        self._due: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._feeder: asyncio.Future[None] | None = None
        self._streams = Streams(driver, timeout, self._hand_back)
        self._coming = False
        self._given_up = False
        self.loop = driver.loop
        self._consumer = Bell(self.loop)
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
            self._consumer.ring()
            if isinstance(iterator, AsyncGenerator):
                await iterator.aclose()

    def _has_room(self) -> bool:
        if self._held >= self._window:
            return False
        if not self._queue:
            return bool(self._roomy) or self._missing > 0
        # At first, each message that waits is the reason for one connection more.
        return self._driver.rate is None and not self._lanes and len(self._queue) < self._missing

    @property
    def _missing(self) -> int:
        return self._state.max_connections - len(self._lanes)

    def _put(self, item: Any) -> None:
        message = Message(self._count, item)
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
        evenly = self._driver.rate is not None
        while queue:
            if evenly and not self._is_due():
                return
            lane = self._free_lane()
            if lane is None:
                if not self._lanes or self._state.can_open:
                    self._ask(1 if evenly else len(queue))
                return
            self._due = None
            self._begin(lane, queue.popleft())
            if lane.in_flight > 1 and not evenly and self._state.can_open:
                self._ask(len(self._waiters) + 1)

    def _dispatch_soon(self) -> None:
        """The same, after what is going on: not amidst the replies of a connection."""
        if self._queue and not self._coming:
            self._coming = True
            self.loop.call_soon(self._come)

    def _come(self) -> None:
        self._coming = False
        self._dispatch()

    def _free_lane(self) -> Lane | None:
        """The lane whose turn it is; a new one, if they all have something to do and a connection is idle."""
        lane = next(iter(self._roomy), None)
        if lane is not None and (not lane.in_flight or self._driver.rate is not None):
            return lane
        while self._missing > 0 and not self._state.closing:
            slot = self._state.take(self._driver.now())
            if slot is None:
                break
            if outcome_of(slot, None) is not Outcome.LOST:
                return self._enlist(slot)
            self._driver.release(slot, Outcome.LOST)
        return lane

    def _enlist(self, slot: Connection) -> Lane:
        lane = Lane(slot, slot.client._connected_protocol(), self._allowance.now)
        self._lanes.add(lane)
        self._roomy[lane] = None
        return lane

    def _ask(self, wanted: int) -> None:
        """Wait for more connections."""
        try:
            while len(self._waiters) < min(wanted, self._missing):
                self._wait_for_connection()
        except SMTPServerDisconnected as error:  # the pool is closed
            while self._queue and not self._waiters and not self._lanes:
                self._fail(self._queue.popleft(), error)

    def _wait_for_connection(self, *, again: bool = False) -> None:
        waiter = self._driver.queue(again=again)
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
            if self._queue and not self._lanes:
                self._fail(self._queue.popleft(), error)
        else:
            slot = self._state.claim(waiter)
            if outcome_of(slot, None) is Outcome.LOST:
                self._driver.release(slot, Outcome.LOST)
            else:
                lane = self._enlist(slot)
                self._dispatch()
                self._leave_if_idle(lane)
        self._dispatch()
        self._consumer.ring()
        wake(self._feeder)

    def _begin(self, lane: Lane, message: Message) -> None:
        slot = lane.slot
        if not lane.protocol.is_connected:  # its loss will be told in a moment
            self._roomy.pop(lane)
            self._queue.appendleft(message)
            self._leave_if_idle(lane)
            return
        try:
            parts = () if slot.rcptmax is None else divide(message, slot.rcptmax)
            if parts:
                self._queue.extendleft(reversed(parts))
                self._leave_if_idle(lane)
                return
            mail = _mail_for(slot.client, message.item)
            attempt = Attempt(self.settled, lane, message, mail, self._timeout)
        except Exception as error:
            self._fail(message, error)
            self._leave_if_idle(lane)
            return
        slot.begin()
        lane.in_flight += 1
        lane.bytes += attempt.size
        del self._roomy[lane]
        if self._waiters and not self._state.opening:  # no connection is on its way to us
            self._withdraw_waiters()
        if self._state.should_yield(slot, self._driver.now()):
            lane.leaving = True
        if lane.allowed is not None and slot.messages >= lane.allowed:
            lane.leaving = True
            lane.outcome = Outcome.REPLACE
        self._make_room(lane)
        lane.protocol.submit(attempt)

    def _make_room(self, lane: Lane) -> None:
        if not lane.leaving and lane.in_flight < self._depth and lane.bytes < MAX_BYTES:
            self._roomy[lane] = None

    # -- out -----------------------------------------------------------------------------------------

    def settled(self, attempt: Attempt) -> None:
        """An attempt is over."""
        lane, message, error = attempt.lane, attempt.message, attempt.error
        lane.in_flight -= 1
        lane.bytes -= attempt.size
        if error is None:
            refused, response = attempt.result
            result = SendResult(message.index, message.item, Delivery.DELIVERED, response, refused, None)
            self._finish(message, result, attempt.size)
            lane.served += 1
            self._make_room(lane)
        else:
            self._not_accepted(attempt, lane, message, error)
        self._leave_if_idle(lane)
        self._dispatch_soon()
        if lane.in_flight > self._depth // 2:
            self._consumer.ring_soon()
        else:  # more should come before the server has nothing to do
            self._consumer.ring()
        if self._feeder is not None and self._has_room():
            wake(self._feeder)

    def _not_accepted(self, attempt: Attempt, lane: Lane, message: Message, error: BaseException) -> None:
        move = not self._given_up and message.moves < MAX_MOVES and may_move(lane.slot, error)
        if outcome_of(lane.slot, error) is Outcome.KEEP:
            self._make_room(lane)
        else:
            lane.leaving = True
            lane.outcome = Outcome.REPLACE
            self._roomy.pop(lane, None)
        if move:
            message.moves += 1
            if isinstance(error, SMTPSenderRefused):  # it said so, and was not merely lost
                self._allowance.ended(lane)
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

    def _leave_if_idle(self, lane: Lane) -> None:
        """Give a connection back as soon as nothing is in flight on it: others may need it."""
        if lane.in_flight or lane not in self._lanes:
            return
        self._lanes.remove(lane)
        self._roomy.pop(lane, None)
        if lane.served == lane.allowed:
            self._allowance.used_up(lane)
        lost = outcome_of(lane.slot, None) is Outcome.LOST
        self._driver.release(lane.slot, Outcome.LOST if lost else lane.outcome)

    def _fail(self, message: Message, error: BaseException, size: int = 0) -> None:
        assert isinstance(error, Exception)
        self._finish(message, failed(message.index, message.item, error), size)
        self._consumer.ring()

    def _finish(self, message: Message, result: SendResult[Any], size: int) -> None:
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
        self._consumer.ring()

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
        rate = self._driver.rate
        assert rate is not None
        now = self._driver.now()
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
        self._consumer.ring()
        wake(self._feeder)

    # -- the end -------------------------------------------------------------------------------------

    def give_up(self) -> None:
        """Do not send what has not begun."""
        self._given_up = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._due is not None and self._driver.rate is not None:
            self._driver.rate.cancel(self._due)
            self._due = None
        self._withdraw_waiters()
        self._streams.give_up()
        while self._queue:
            self._fail(self._queue.popleft(), given_up())
        for lane in list(self._lanes):
            lane.protocol.withdraw(lane)

    def _withdraw_waiters(self) -> None:
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            self._driver.cancel(waiter)

    @property
    def working(self) -> bool:
        """Whether something is in flight."""
        return bool(self._lanes or self._streams)
