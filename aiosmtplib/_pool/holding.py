"""The connections of a pool that one ``send_many`` has: asked for, held, and given back."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from .._client.bulk import MAX_BYTES, MessageWindow
from .._transport.limit import Limit
from ..errors import SMTPServerDisconnected
from .connection import PooledConnection
from .jobs import HeldConnection, MessageQueue, MessageQuota, PoolMessage
from .states import Condition

if TYPE_CHECKING:
    from ..smtp import SMTP
    from .manager import ConnectionManager, Waiter


class HoldingWindow(MessageWindow):
    """The messages of a ``send_many`` over a pool, and the connections that they go over.

    :param manager: opens and closes the connections
    """

    message_class = PoolMessage
    counts_from_pull = True

    def __init__(
        self, manager: ConnectionManager, size: int, timeout: float | None, limit: Limit | None
    ) -> None:
        super().__init__(size, timeout, limit)
        manager.bind(self.loop)
        self._manager = manager
        self._state = manager.state
        #: How many messages one connection may have at a time.
        self._depth = max(2, size // self._state.max_connections)
        self._quota = MessageQuota()
        self._queue = MessageQueue(self._fail)
        self._held_connections: set[HeldConnection] = set()
        #: Those that can take another message, in turn.
        self._roomy: dict[HeldConnection, None] = {}
        self._waiters: set[Waiter] = set()

    @abstractmethod
    def _dispatch(self) -> None:
        """Give to connections what waits for one."""

    @abstractmethod
    def _on_turn(self) -> None:
        """The same, as something has changed."""

    @abstractmethod
    def _fail(self, message: PoolMessage, error: BaseException) -> None:
        """A message is not sent, because of this error."""

    @property
    def _missing(self) -> int:
        return self._state.max_connections - len(self._held_connections)

    def _free_connection(self, now: float) -> HeldConnection | None:
        """The connection whose turn it is; one more, if all are busy and another is idle."""
        held = next(iter(self._roomy), None)
        if held is not None and (not held.in_flight or self._manager.rate is not None):
            return held
        may_take = self._missing > 0 and not self._state.closing
        pooled = self._state.take(now) if may_take else None
        return held if pooled is None else self._hold(pooled)

    def _hold(self, pooled: PooledConnection[SMTP]) -> HeldConnection:
        """Have messages sent on this connection."""
        protocol = pooled.client.protocol
        assert protocol is not None  # the state of the pool hears of a loss at once
        held = HeldConnection(pooled, protocol, self._quota.now, self.is_paused)
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
        if waiter not in self._waiters:  # withdrawn
            if not waiter.cancelled():
                waiter.exception()
            return
        self._waiters.remove(waiter)
        error = waiter.exception()
        if error is not None:
            if self._queue and not self._held_connections:
                self._fail(self._queue.popleft(), error)
        else:
            pooled = self._state.claim(waiter)
            if pooled.alive:
                held = self._hold(pooled)
                self._dispatch()
                self._leave_if_idle(held)
            else:  # lost since it was granted
                self._manager.release(pooled, Condition.LOST)
        self._on_turn()

    def _make_room(self, held: HeldConnection) -> None:
        if not held.leaving and held.in_flight < self._depth and held.bytes < MAX_BYTES:
            self._roomy[held] = None

    def _stay_in_line(self) -> bool:
        """Wait for a connection before one is released, lest the pool count as drained in between.

        :return: whether something may go on; not if the pool was closed at once
        """
        try:
            if not self._waiters:
                self._wait_for_connection(again=True)
        except SMTPServerDisconnected:
            return False
        return True

    def _leave_if_idle(self, held: HeldConnection) -> None:
        """Give a connection back as soon as nothing is in flight on it: others may need it."""
        if held.in_flight or held not in self._held_connections:
            return
        self._held_connections.remove(held)
        self._roomy.pop(held, None)
        if held.served == held.allowed:
            self._quota.used_up(held)
        # During a loss, its exchanges end before the state of the pool hears of it.
        self._manager.release(held.pooled, Condition.LOST if held.protocol.lost else held.condition)

    def _withdraw_waiters(self) -> None:
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            self._manager.cancel(waiter)
