"""Many messages over all the connections of a pool: each goes to the next connection that has room for it.

A :class:`Dispatcher` has a pipeline on each connection that it holds at the moment. It asks for one
connection more for messages that find all of them busy, and gives a connection back as soon as nothing is in
flight on it, or when others have waited long enough.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from .._client.bulk import MessageExchange
from .._client.hooked import HookCalls
from .._client.items import complete, compose_item, hooked_of
from .._client.results import SendResult, failed
from .._transport.exchange import cancelled_before_sent
from .._transport.limit import Limit
from ..errors import SMTPException, SMTPSenderRefused, SMTPServerDisconnected
from ..status import Delivery
from .holding import HoldingWindow
from .jobs import HeldConnection, PoolMessage, divide, rest_of
from .retry import condition_of, counts_as_move, may_retry, said_goodbye
from .state import MAX_MOVES
from .states import Condition
from .turns import Turns

if TYPE_CHECKING:
    from .._client.before_send import ContentHook
    from .manager import ConnectionManager
    from .streams import Streams

#: How long connections with messages that have not begun are kept for a caller that is away, in seconds.
_PATIENCE: Final = 0.1


class Dispatcher(HoldingWindow):
    """The messages of one :meth:`SMTPPool.send_many` that were pulled and not yet handed back.

    :param make_streams: makes what sends messages whose content comes in pieces
    """

    def __init__(
        self,
        manager: ConnectionManager,
        make_streams: Callable[[Callable[[], bool]], Streams],
        size: int,
        timeout: float | None,
        limit: Limit | None = None,
    ) -> None:
        super().__init__(manager, size, timeout, limit)
        self._turns = Turns(self.loop, manager.rate, self._on_turn)
        self._make_streams = make_streams
        self._streams: Streams | None = None
        self._hooks = HookCalls()
        self._dispatching_soon = False
        self._away: asyncio.TimerHandle | None = None

    # -- in ------------------------------------------------------------------------------------------

    def _has_room(self) -> bool:
        if self.held >= self.size:
            return False
        if not self._queue:
            return bool(self._roomy) or self._missing > 0
        # At first, each message that waits is the reason for one connection more.
        return self._manager.rate is None and not self._held_connections and len(self._queue) < self._missing

    def _put(self, message: PoolMessage) -> None:
        if self._state.closing:  # what was pulled before is sent still
            self._fail(message, SMTPServerDisconnected("The pool is closed"))
            return
        self._queue.append(message)
        self._dispatch()
        self._queue.watch(message)

    def _put_stream(self, message: PoolMessage) -> None:
        if self._streams is None:
            self._streams = self._make_streams(self.is_paused)
        try:
            if self._state.closing:
                raise SMTPServerDisconnected("The pool is closed")
            self._streams.begin(message.index, message.item, message.limit, self._hand_back)
        except Exception as error:
            self._fail(message, error)

    # -- over connections ----------------------------------------------------------------------------

    def _dispatch(self) -> None:
        """Give to connections what waits for one."""
        queue = self._queue
        evenly = self._manager.rate is not None
        while queue and not self.is_paused():
            if evenly and not self._turns.is_due():
                return
            now = self.loop.time()
            held = self._free_connection(now)
            if held is None:
                if not self._held_connections or self._state.can_open:
                    self._ask(1 if evenly else len(queue))
                return
            self._begin(held, queue.popleft(), now)
            if held.in_flight > 1 and not evenly and self._state.can_open:
                self._ask(len(self._waiters) + 1)

    def _dispatch_soon(self) -> None:
        """The same, after what is going on: not amidst the replies of a connection."""
        if self._queue and not self._dispatching_soon:
            self._dispatching_soon = True
            self.loop.call_soon(self._dispatch_now)

    def _dispatch_now(self) -> None:
        self._dispatching_soon = False
        self._dispatch()

    def _on_turn(self) -> None:
        self._dispatch()
        self.consumer.set()
        self.feed_if_room()

    def _begin(self, held: HeldConnection, message: PoolMessage, now: float) -> None:
        pooled = held.pooled
        if not held.protocol.is_connected:  # the state of the pool has not been told yet
            held.condition = Condition.LOST
            self._roomy.pop(held)
            self._queue.appendleft(message)
            self._leave_if_idle(held)
            return
        try:
            if held.client.before_send is not None:
                if self._calls_hook(held, held.client.before_send, message):
                    return
            elif held.client.complete_headers:
                complete(message)
            self._turns.due = None
            parts = () if pooled.rcptmax is None else divide(message, pooled.rcptmax)
            if parts:
                self._queue.extendleft(reversed(parts))
                self._leave_if_idle(held)
                return
            mail = compose_item(held.composer, message.item, message.added, message.hooked)
            if not held.protocol.is_connected:  # lost, as an object of the caller's was written
                raise SMTPServerDisconnected("Connection lost")  # pragma: no cover - if it was the last
            exchange = MessageExchange(self, message, mail, held.protocol, self.timeout, held)
        except Exception as error:
            self._fail(message, error)
            self._leave_if_idle(held)
            return
        pooled.begin()
        held.in_flight += 1
        held.bytes += exchange.size
        self._roomy.pop(held)
        if self._waiters and not self._state.opening:  # no connection is on its way to us
            self._withdraw_waiters()
        if self._state.should_yield(pooled, now):
            held.leaving = True
        if held.allowed is not None and pooled.messages >= held.allowed:
            held.leaving = True
            held.condition = Condition.REPLACE
        self._make_room(held)
        held.protocol.submit(exchange)

    def _calls_hook(self, held: HeldConnection, hook: ContentHook, message: PoolMessage) -> bool:
        """Call ``before_send`` for a message, which is taken for in flight until that has returned.

        :return: whether that had to be done
        """
        hooked = hooked_of(hook, message, complete=held.client.complete_headers)
        if hooked.fits(held.composer):
            return False
        size = hooked.write(held.composer)
        held.in_flight += 1
        held.bytes += size
        self._roomy.pop(held)
        self._make_room(held)
        self._hooks.begin(hooked, message.limit, functools.partial(self._hook_returned, held, message, size))
        return True

    def _hook_returned(
        self, held: HeldConnection, message: PoolMessage, size: int, error: BaseException | None
    ) -> None:
        held.in_flight -= 1
        held.bytes -= size
        self._make_room(held)
        if error is not None:
            self._fail(message, error)
        else:
            self._queue.put_first(message)
            self._dispatch()
        self._leave_if_idle(held)
        self._dispatch_soon()

    # -- out -----------------------------------------------------------------------------------------

    def message_done(self, exchange: MessageExchange) -> None:
        """An exchange is over."""
        held: HeldConnection = exchange.pipeline  # type: ignore[assignment]  # as _begin made it
        message, error = exchange.message, exchange.error
        held.in_flight -= 1
        held.bytes -= exchange.size
        if error is None:
            closing = self._state.closing
            if exchange.left_over and not self.withdrawn and (not closing or self._stay_in_line()):
                self._queue.put_first(rest_of(message, exchange.mail))
            self._finish(message, exchange.to_result(), exchange.size)
            held.served += 1
            self._make_room(held)
        else:
            self._not_accepted(exchange, held, message, error)
        self._leave_if_idle(held)
        self._dispatch_soon()
        if held.in_flight > self._depth // 2:
            self.consumer.set_soon()
        else:  # more should come before the server has nothing to do
            self.consumer.set()
        if self.feeder is not None:
            self.feed_if_room()
        if self._away is None and not (self.attended or self.withdrawn):
            self._away = self.loop.call_later(_PATIENCE, self._take_back)

    def _not_accepted(
        self, exchange: MessageExchange, held: HeldConnection, message: PoolMessage, error: BaseException
    ) -> None:
        may_move = not (self.withdrawn or message.moves >= MAX_MOVES or exchange.is_overdue)
        move = may_move and may_retry(held.pooled, error)
        if condition_of(held.pooled, error) is Condition.KEEP:
            self._make_room(held)
        else:
            held.leaving = True
            held.condition = Condition.REPLACE
            self._roomy.pop(held, None)
            if said_goodbye(error) or (move and isinstance(error, SMTPSenderRefused)):
                self._quota.ended(held, self._held_connections)  # the server said so, and was not merely lost
            elif isinstance(error, SMTPException) and error.delivery is Delivery.UNKNOWN and not held.cut_off:
                # What is in flight when a connection is lost may be sent or not: less is, from now on.
                held.cut_off = True
                self._depth = max(1, self._depth // 2)
                self._quota.ended(held, self._held_connections)
        if move:
            message.moves += counts_as_move(error, held.served > 0)
        if move and self._stay_in_line():
            self._queue.put_again(message)
        else:
            self._finish(message, exchange.to_result(), exchange.size)

    def _fail(self, message: PoolMessage, error: BaseException) -> None:
        assert isinstance(error, Exception)
        self._finish(message, failed(message.index, message.item, error), 0)
        self.consumer.set()

    _refuse = _fail

    def _finish(self, message: PoolMessage, result: SendResult[Any], size: int) -> None:
        division = message.division
        if division is not None:
            complete = division.collect(message, result)
            if complete is None:
                return
            result = complete
        self._state.finished(result.delivery, size)
        self.ready.append(result)

    def _hand_back(self, result: SendResult[Any]) -> None:
        self.ready.append(result)
        self.consumer.set()

    # -- the end -------------------------------------------------------------------------------------

    def _go_on(self) -> None:
        if self._streams is not None:
            self._streams.go_on()
        self._dispatch()
        for held in list(self._held_connections):
            held.protocol.go_on()

    def _take_back(self) -> None:
        """Give back connections on which nothing goes on while the caller is away: others may need them."""
        self._away = None
        if self.attended:
            return  # pragma: no cover - the caller came back in the turn of the timer
        for held in list(self._held_connections):
            if held.protocol.is_running(held):
                continue  # pragma: no cover - only where the server takes longer than the timer
            taken: Any = held.protocol.take_back(held)
            held.pooled.messages -= len(taken)
            held.in_flight -= len(taken)
            for exchange in reversed(taken):
                self._queue.put_first(exchange.message)
            self._leave_if_idle(held)

    def _withdraw(self) -> None:
        if self._away is not None:
            self._away.cancel()
            self._away = None
        self._turns.give_back()
        self._hooks.stop()
        self._withdraw_waiters()
        if self._streams is not None:
            self._streams.withdraw()
        for message in self._queue.take_all():
            self._fail(message, cancelled_before_sent())
        for held in list(self._held_connections):
            held.protocol.withdraw(held)

    def stop_streams(self) -> None:
        if self._streams is not None:
            self._streams.stop()

    def is_sent_by(self, task: asyncio.Task[Any] | None) -> bool:
        return task in self._hooks or (self._streams is not None and self._streams.is_sent_by(task))
