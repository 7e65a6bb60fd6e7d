"""Messages of a pool's ``send_many`` on their way: queued, divided, and attempted on a held connection."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .._client.bulk import QueuedMessage
from .._client.compose import Composer, envelope_of
from .._client.results import Envelope, SendResult
from .._client.sending import composer_of
from .._transport.exchange import cancelled_before_sent
from .._transport.timers import Deadline
from ..esmtp import split_recipients
from ..protocol import SMTPProtocol
from .connection import Condition, PooledConnection
from .retry import merged

if TYPE_CHECKING:
    from ..smtp import SMTP


class HeldConnection:
    """A pooled connection, while a dispatcher has it.

    :ivar is_paused: whether no message is to begin on it now
    :ivar cut_off: whether it was lost with messages of which nobody knows whether they were taken
    """

    __slots__ = (
        "allowed",
        "bytes",
        "composer",
        "condition",
        "cut_off",
        "in_flight",
        "is_paused",
        "leaving",
        "pooled",
        "protocol",
        "served",
    )

    def __init__(
        self,
        pooled: PooledConnection[SMTP],
        protocol: SMTPProtocol,
        allowed: int | None,
        is_paused: Callable[[], bool],
    ) -> None:
        self.pooled = pooled
        self.composer: Composer = composer_of(pooled.client)
        self.protocol = protocol
        self.is_paused = is_paused
        self.in_flight = 0
        #: How many messages the connection is given in all, where that is limited.
        self.allowed = allowed
        #: How many messages it has had that were over well.
        self.served = pooled.messages
        self.bytes = 0
        self.leaving = False
        self.cut_off = False
        self.condition = Condition.KEEP


class MessageQuota:
    """How many messages a connection is given, where the server has turned out to take only so many.

    It need not say so beforehand, though RFC 9422 lets it. A message that is behind those that it takes, on
    one connection after the other, would be moved until it is given up.

    :ivar now: how many, or ``None`` as long as the server said goodbye to none
    """

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now: int | None = None

    def ended(self, held: HeldConnection, others: Iterable[HeldConnection]) -> None:
        """The server said goodbye, that it takes no more, or nothing, amidst messages.

        :param others: the connections that get only so many as this one has served
        """
        self.now = max(1, held.served)
        for other in others:
            if other.allowed is None:
                other.allowed = self.now

    def used_up(self, held: HeldConnection) -> None:
        """A connection served all that it was given: perhaps something else had ended the last one."""
        self.now = max(self.now or 0, held.served + held.served // 4 + 1)


class PoolMessage(QueuedMessage):
    """A message, or the part of it for some of its recipients.

    :ivar moves: how often it was moved to another connection
    :ivar division: what it is a part of, or ``None``
    :ivar recipients: those of the part
    """

    moves = 0
    division: Division | None = None
    recipients: Sequence[str] = ()


class MessageQueue(deque[PoolMessage]):
    """The messages that wait for a connection. Those whose deadline passes there leave it.

    :param expired: called with each of those, and its error
    """

    def __init__(self, expired: Callable[[PoolMessage, Exception], None]) -> None:
        super().__init__()
        self._loop = asyncio.get_running_loop()
        self._expired = expired
        self._deadline = Deadline(self._expire)

    def watch(self, message: PoolMessage) -> None:
        """Mind the deadline of a message that was put into the queue."""
        limit, deadline = message.limit, self._deadline
        if limit is not None and (deadline.at is None or limit.at < deadline.at):
            deadline.move(self._loop, limit.at)

    def take_all(self) -> list[PoolMessage]:
        """Empty the queue."""
        messages = list(self)
        self.clear()
        self._deadline.stop()
        return messages

    def _expire(self) -> None:
        self._deadline.at = None
        for message in list(self):
            if message.limit is not None and message.limit.is_over():
                self.remove(message)
                self._expired(message, message.limit.exceeded(cancelled_before_sent(), "connect"))
            else:
                self.watch(message)


class Division:
    """A message that takes several transactions, and what became of each of them."""

    __slots__ = ("_left", "_parts", "item")

    def __init__(self, item: Any, count: int) -> None:
        self.item = item
        self._left = count
        self._parts: list[tuple[Sequence[str], SendResult[Any]]] = []

    def collect(self, part: PoolMessage, result: SendResult[Any]) -> SendResult[Any] | None:
        """Note what became of a part.

        :return: what became of the whole, if this was the last one
        """
        self._parts.append((part.recipients, result))
        self._left -= 1
        return None if self._left else merged(part.index, self.item, self._parts)


def divide(message: PoolMessage, rcptmax: int) -> Sequence[PoolMessage]:
    """The parts of a message, if the server does not take all its recipients at once; else none."""
    if message.division is not None:
        return ()
    item = message.item
    envelope = item if isinstance(item, Envelope) else Envelope(None, None, item)
    recipients: Any = envelope.recipients
    if recipients is None:
        built: Any = envelope.message
        _, recipients = envelope_of(built, envelope.sender, None)
    if isinstance(recipients, str) or len(recipients) <= rcptmax:
        return ()
    groups = split_recipients(list(recipients), rcptmax)
    division = Division(item, len(groups))
    parts = []
    for group in groups:
        part = PoolMessage(message.index, dataclasses.replace(envelope, recipients=group))
        part.division = division
        part.recipients = group
        part.limit = message.limit
        parts.append(part)
    return parts
