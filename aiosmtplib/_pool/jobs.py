"""Messages of a pool's ``send_many`` on their way: queued, divided, and attempted on a held connection."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .._client.bulk import QueuedMessage
from .._client.compose import Composer, envelope_of
from .._client.division import Part, merged
from .._client.results import Envelope, SendResult
from .._client.transactions import composer_of
from .._envelope.recipient import plain
from .._session import PreparedMail
from .._transport.exchange import cancelled_before_sent
from .._transport.timers import Deadline
from ..esmtp import split_recipients
from ..protocol import SMTPProtocol
from .connection import PooledConnection
from .states import Condition

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

    @property
    def client(self) -> SMTP:
        """The client at this end of it."""
        return self.pooled.client


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

    def put_first(self, message: PoolMessage) -> None:
        """Put a message before all others."""
        self.appendleft(message)
        self.watch(message)

    def put_again(self, message: PoolMessage) -> None:
        """Put a message that was moved before those that were moved less often."""
        place = (at for at, other in enumerate(self) if other.moves < message.moves)
        self.insert(next(place, len(self)), message)
        self.watch(message)

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

    __slots__ = ("_added", "_envelope", "_hooked", "_index", "_item", "_left", "_limit", "_parts")

    def __init__(self, message: PoolMessage) -> None:
        self._index = message.index
        self._item = message.item
        self._envelope = _envelope_of(message.item)
        self._added = message.added
        self._hooked = message.hooked
        self._limit = message.limit
        self._left = 0
        self._parts: list[Part] = []

    def part(self, recipients: Sequence[str]) -> PoolMessage:
        """One transaction more, for these recipients."""
        part = PoolMessage(self._index, dataclasses.replace(self._envelope, recipients=recipients))
        part.added = self._added
        part.hooked = self._hooked
        part.limit = self._limit
        self.include(part, recipients)
        return part

    def include(self, part: PoolMessage, recipients: Sequence[str]) -> None:
        """Expect that :meth:`collect` is called for this part."""
        part.division = self
        part.recipients = recipients
        self._left += 1

    def collect(self, part: PoolMessage, result: SendResult[Any]) -> SendResult[Any] | None:
        """Note what became of a part.

        :return: what became of the whole, if this was the last one
        """
        self._parts.append((part.recipients, result))
        self._left -= 1
        return None if self._left else merged(self._index, self._item, self._parts)


def _envelope_of(item: Any) -> Envelope:
    return item if isinstance(item, Envelope) else Envelope(None, None, item)


def divide(message: PoolMessage, rcptmax: int) -> Sequence[PoolMessage]:
    """The parts of a message, if the server does not take all its recipients at once; else none."""
    if message.division is not None:
        return ()
    envelope = _envelope_of(message.item)
    recipients: Any = envelope.recipients
    if recipients is None:
        built: Any = envelope.message
        _, recipients = envelope_of(built, envelope.sender, None)
    if isinstance(recipients, str) or len(recipients) <= rcptmax:
        return ()
    division = Division(message)
    return [division.part(group) for group in split_recipients(list(recipients), rcptmax)]


def rest_of(message: PoolMessage, mail: PreparedMail) -> PoolMessage:
    """The part of a message for those who were too many for a transaction, which served others.

    :param mail: the message as it was sent in that transaction
    """
    division = message.division
    if division is None:
        division = Division(message)
        division.include(message, mail.recipients)
    # They keep the parameters of their own.
    given = _envelope_of(message.item).recipients
    own = {} if given is None or isinstance(given, str) else {plain(who): who for who in given}
    left_over = [mail.recipients[place] for place in mail.left_over]
    return division.part([own.get(who, who) for who in left_over])
