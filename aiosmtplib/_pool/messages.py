"""Whole messages that are sent one by one over a pool: messages wait for connections, and not their tasks.

A message that finds a connection idle begins on it at once. Else it is a waiter of the pool among others, and
begins as soon as it gets a connection. The end of a message begins the next one that waits on the connection
that it leaves, without the connection being released, unless it is the turn of something else.

Where no more connections are allowed, two messages share one, as in a pipeline: the commands of the second go
out with the content of the first (RFC 2920 section 3.1). If the first is cancelled, which ends the
connection, the second is moved. If the second is cancelled, it ends when the first has its verdict, which is
not given up for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .._client.bulk import MAX_BYTES
from .._client.connection import effective_timeout
from .._client.error_context import explain
from .._client.results import delivery_of
from .._client.transactions import composer_of
from .._session import Exchange, PreparedMail
from .._session.transaction import Outcome, begin
from .._transport.exchange import abandoned, cancelled_before_sent
from .._transport.wakeup import wake
from ..errors import SMTPException, SMTPServerDisconnected
from ..protocol import SMTPProtocol
from ..response import SMTPResponse
from ..status import Delivery
from .connection import PooledConnection
from .retry import condition_of, counts_as_move, may_retry
from .state import MAX_MOVES
from .states import KEEP, LOST
from .whole import WholeMessage

if TYPE_CHECKING:
    from ..smtp import SMTP
    from .manager import ConnectionManager


class SharedConnection:
    """A pooled connection on which whole messages are sent, at most two at a time.

    :ivar held: whether it is assigned to them
    :ivar exchanges: the transactions on it, in the order in which they began
    :ivar condition: in which condition it is to be released
    :ivar forsaken: whether a message was cancelled that had begun on it
    :ivar abandoned: whether it was closed for that
    :ivar following: a message of which another transaction is to follow there at once, or ``None``
    :ivar moving: messages to be moved to another one, with the errors that they would have else
    """

    __slots__ = ("abandoned", "condition", "exchanges", "following", "forsaken", "held", "moving", "pooled")

    def __init__(self, pooled: PooledConnection[SMTP]) -> None:
        pooled.shared = self
        self.pooled = pooled
        self.held = False
        self.exchanges: list[WholeExchange] = []
        self.condition = KEEP
        self.forsaken = False
        self.abandoned = False
        self.following: WholeMessage | None = None
        self.moving: list[tuple[WholeMessage, PreparedMail | None, Exception]] = []


class WholeExchange(Exchange):
    """A transaction on its way.

    :ivar mail: the message as the server takes it
    :ivar message: the message
    :ivar messages: what sends it
    :ivar protocol: the protocol of its connection
    :ivar shared: its connection
    """

    __slots__ = ("mail", "message", "messages", "protocol", "shared")

    mail: PreparedMail
    message: WholeMessage
    messages: WholeMessages
    protocol: SMTPProtocol
    shared: SharedConnection

    def on_done(self) -> None:
        self.messages.over(self)


class WholeMessages:
    """The whole messages of a pool that wait or are on their way."""

    def __init__(self, manager: ConnectionManager) -> None:
        self._manager = manager
        self._state = manager.state
        #: Connections with one message, which may take a second one, the first of them first.
        self._roomy: dict[SharedConnection, None] = {}
        #: The loop in which the pool is used, once that is known, and its clock.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._time: Callable[[], float] = self._manager.now
        #: How many messages may share a connection.
        self._depth = 2

    async def send(self, message: WholeMessage) -> tuple[dict[str, SMTPResponse], str]:
        """Send a message.

        :return: the recipients that were refused with the replies to them, and the text of the final reply
        :raises SMTPServerDisconnected: if the pool is closed
        :raises SMTPException: if no connection could be opened, or it was not accepted
        """
        self.submit(message)
        try:
            await message.future
        except asyncio.CancelledError:
            self.cancel(message)
            raise
        return message.verdict()

    def submit(self, message: WholeMessage) -> None:
        """Begin a message, or let it wait. Its future says when it is over.

        :raises SMTPServerDisconnected: if the pool is closed
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._manager.bind(loop)
            self._loop = loop
            self._time = loop.time
        message.messages = self
        message.future = loop.create_future()
        state = self._state
        pooled = state.take(self._time()) if state.idle or state.closing else None
        if pooled is not None:
            self._go_on(pooled.shared or SharedConnection(pooled), message)
        else:
            self._wait(message)
            if self._roomy and state.is_crowded:
                shared = next(iter(self._roomy))
                del self._roomy[shared]
                self._go_on(shared)

    # -- waiting -------------------------------------------------------------------------------------

    def _wait(self, message: WholeMessage, *, again: bool = False) -> None:
        if again or not self._state.is_full:
            self._manager.do(self._state.wait(message, self._time(), again=again))
        else:
            self._state.queue(message)

    def granted(self, message: WholeMessage) -> None:
        """A message that waited has a connection."""
        pooled = self._state.claim(message)
        self._go_on(pooled.shared or SharedConnection(pooled), message)

    def failed(self, message: WholeMessage, error: Exception) -> None:
        """There is no connection for a message that waited."""
        self._settle(None, message, None, error)

    def cancel(self, message: WholeMessage) -> None:
        """Nobody waits for a message any more: its future was cancelled."""
        exchange = message.exchange
        if exchange is None:
            self._manager.do(self._state.cancel(message, self._time()))
        else:
            exchange.shared.forsaken = True
            self._abandon(exchange.shared)
            self._go_on(exchange.shared)

    # -- on connections ------------------------------------------------------------------------------

    def _go_on(self, shared: SharedConnection, message: WholeMessage | None = None) -> None:
        """Begin messages on a connection as long as it has room, and give it back if none is on its way.

        :param message: the first of them, for which the connection has just been taken
        """
        exchanges = shared.exchanges
        if message is not None:
            shared.held = True
        try:
            while shared.held and len(exchanges) < self._depth:
                if message is None and (shared.following is not None or self._state.waiters):
                    message = self._next(shared)
                if message is None:
                    break
                self._begin(shared, message)
                message = None
        finally:
            if len(exchanges) == 1 and shared.condition is KEEP:
                self._roomy[shared] = None
            else:
                self._roomy.pop(shared, None)
                if shared.held and not exchanges:
                    self._release(shared)

    def _release(self, shared: SharedConnection) -> None:
        shared.held = False
        protocol = shared.pooled.client.protocol
        lost = protocol is None or protocol.lost  # the state of the pool need not have heard of it
        condition = LOST if lost else shared.condition
        actions = self._state.release(shared.pooled, condition, self._time())
        self._manager.released(shared.pooled, actions)

    def _is_free(self, shared: SharedConnection) -> bool:
        """Whether a message may begin on a connection, with nothing else there."""
        pooled = shared.pooled
        if shared.exchanges or pooled.is_used_up(self._time()):
            return False
        return condition_of(pooled, None) is shared.condition is KEEP

    def _next(self, shared: SharedConnection) -> WholeMessage | None:
        """The message that may begin on a connection now, which waits no more."""
        following, shared.following = shared.following, None
        if following is not None:
            return following
        exchanges = shared.exchanges
        message: Any = next(iter(self._state.waiters), None)
        if not isinstance(message, WholeMessage) or shared.condition is not KEEP:
            return None
        if exchanges:
            # One that was moved could be again, for the same reason.
            if message.moved or not self._state.is_crowded:
                return None
            first = exchanges[0]
            if not first.mail.pipelined or first.message.size >= MAX_BYTES or first.message.done():
                return None
        protocol = shared.pooled.client.protocol
        if protocol is None or protocol.lost:
            return None
        return message if self._state.pass_on(shared.pooled, message, self._time()) else None

    def _begin(self, shared: SharedConnection, message: WholeMessage) -> None:
        """Begin a message; or note why not."""
        pooled = shared.pooled
        client = pooled.client
        protocol = client.protocol
        try:
            if protocol is None or not protocol.is_connected:  # the state has not been told yet
                raise SMTPServerDisconnected("Connection lost")
            mail = message.compose(composer_of(client), pooled.rcptmax)
            seconds = effective_timeout(client, message.timeout)
            exchange = WholeExchange(begin(mail, protocol.server), seconds, shared)
            if protocol.lost:  # as an object of the caller's was written
                raise SMTPServerDisconnected("Connection lost")
        except Exception as error:
            self._not_accepted(shared, message, None, error)
            return
        except BaseException:  # the program ends
            self._settle(None, message, None, cancelled_before_sent())
            raise
        exchange.mail = mail
        exchange.message = message
        exchange.messages = self
        exchange.protocol = protocol
        exchange.shared = shared
        message.exchange = exchange
        shared.exchanges.append(exchange)
        pooled.begin()
        protocol.submit(exchange)

    def over(self, exchange: WholeExchange) -> None:
        """A transaction is over."""
        shared, message = exchange.shared, exchange.message
        shared.exchanges.remove(exchange)
        message.exchange = None
        if exchange.error is not None:
            assert isinstance(exchange.error, Exception)
            self._not_accepted(shared, message, exchange.mail, exchange.error)
        elif message.groups is None and not exchange.mail.left_over:  # as nearly always
            message.outcome = exchange.result
            self._tell(message)
        else:
            self._settle(shared, message, exchange.mail, exchange.result)
        if shared.forsaken and shared.exchanges:
            self._abandon(shared)
        self._go_on(shared)

    def _not_accepted(
        self, shared: SharedConnection, message: WholeMessage, mail: PreparedMail | None, error: Exception
    ) -> None:
        pooled = shared.pooled
        condition = condition_of(pooled, error)
        blamed = shared.condition is not LOST and not shared.abandoned
        if condition is not KEEP:
            shared.condition = condition
        unknown = isinstance(error, SMTPServerDisconnected) and error.delivery is Delivery.UNKNOWN
        if unknown and shared.exchanges:
            # Some servers lose what comes behind content, and their reply with it: not again with this one.
            self._depth = 1
        if not message.done() and message.moves < MAX_MOVES and may_retry(pooled, error):
            before = pooled.messages - 1 - len(shared.exchanges)
            message.moves += blamed and counts_as_move(error, before > 0)
            message.moved = True
            shared.moving.append((message, mail, error))
        else:
            self._fail(shared, message, mail, error)
        if condition is LOST and shared.exchanges:
            return  # those end as well, now
        while shared.moving:  # each before those that began later
            message, mail, error = shared.moving.pop()
            try:
                # Before the connection is released, lest the pool count as drained in between.
                self._wait(message, again=True)
            except SMTPServerDisconnected:  # the pool was closed at once
                self._fail(shared, message, mail, error)

    def _fail(
        self, shared: SharedConnection, message: WholeMessage, mail: PreparedMail | None, error: Exception
    ) -> None:
        if isinstance(error, SMTPException):
            explain(shared.pooled.client, error)
        self._settle(shared, message, mail, error)

    def _settle(
        self,
        shared: SharedConnection | None,
        message: WholeMessage,
        mail: PreparedMail | None,
        result: Outcome | Exception,
    ) -> None:
        """Note what became of a transaction, and let the task know, or have the next one sent."""
        if not message.is_over(mail, result):
            if message.done():
                return
            if shared is not None and self._is_free(shared) and not self._state.stats().waiting:
                shared.following = message
                return
            try:
                self._wait(message, again=self._state.closing)
                return
            except SMTPServerDisconnected as closed:
                while not message.is_over(None, closed):
                    pass
        self._tell(message)

    def _tell(self, message: WholeMessage) -> None:
        """Count a message that is over, and let its task know."""
        error = message.error
        if error is None:
            self._state.delivered(message.size)
        else:
            self._state.finished(delivery_of(error), message.size)
        wake(message.future)

    def _abandon(self, shared: SharedConnection) -> None:
        """End the transactions of cancelled messages, as far as no other loses its verdict by that."""
        first, *others = shared.exchanges
        for exchange in others:
            if exchange.message.done() and not exchange.end:  # it waits there still
                shared.exchanges.remove(exchange)
                exchange.message.exchange = None
                shared.pooled.messages -= 1
                exchange.protocol.take_out(exchange)
        if first.message.done() and not any(
            other.end and other.mail.chunked for other in shared.exchanges[1:]
        ):
            shared.abandoned = True
            first.protocol.give_up(first, abandoned())
