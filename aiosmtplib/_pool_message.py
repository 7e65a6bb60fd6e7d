"""The nouns of many messages over a pool: a message, the parts of one with many recipients, and a lane."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from ._envelope import Envelope, SendResult
from ._pool_driver import Connection
from ._pool_slot import Outcome
from ._pool_verdict import merged
from ._sending import envelope_of
from .esmtp import split_recipients
from .protocol import SMTPProtocol


class Lane:
    """A connection, while a crew has it."""

    __slots__ = ("bytes", "in_flight", "leaving", "outcome", "protocol", "slot")

    def __init__(self, slot: Connection, protocol: SMTPProtocol) -> None:
        self.slot = slot
        self.protocol = protocol
        self.in_flight = 0
        self.bytes = 0
        self.leaving = False
        self.outcome = Outcome.KEEP


class Message:
    """A message, or the part of it for some of its recipients.

    :ivar moves: how often it was moved to another connection
    :ivar whole: what it is a part of, or ``None``
    """

    __slots__ = ("index", "item", "moves", "recipients", "whole")

    def __init__(
        self, index: int, item: Any, whole: "Whole | None" = None, recipients: Sequence[str] = ()
    ) -> None:
        self.index = index
        self.item = item
        self.moves = 0
        self.whole = whole
        self.recipients = recipients


class Whole:
    """What takes several transactions."""

    __slots__ = ("_left", "_parts", "item")

    def __init__(self, item: Any, count: int) -> None:
        self.item = item
        self._left = count
        self._parts: list[tuple[Sequence[str], SendResult[Any]]] = []

    def collect(self, part: Message, result: SendResult[Any]) -> SendResult[Any] | None:
        """Note what became of a part.

        :return: what became of the whole, if this was the last one
        """
        self._parts.append((part.recipients, result))
        self._left -= 1
        return None if self._left else merged(part.index, self.item, self._parts)


def divide(message: Message, rcptmax: int) -> Sequence[Message]:
    """The parts of a message, if the server does not take all its recipients at once; else none."""
    if message.whole is not None:
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
    whole = Whole(item, len(groups))
    return [
        Message(message.index, dataclasses.replace(envelope, recipients=group), whole, group)
        for group in groups
    ]
