"""An entry of the outbox: one message, and what has become of it so far."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..._client.results import Envelope

if TYPE_CHECKING:
    from .bodies import BodyStore
    from .outcomes import Again, Failed, Held

__all__ = ("Entry", "PayloadError", "new_id")


class PayloadError(ValueError):
    """A payload is none of this version, or it is damaged. The text says what is wrong with it."""


def new_id() -> str:
    """An identifier that no other entry has."""
    return uuid.uuid4().hex


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of an outbox, for some or all of its recipients. :func:`prepare` makes it.

    :ivar id: its identifier, the same in every attempt
    :ivar envelope: sender, recipients, parameters and tag; its message is ``b""`` where ``body`` has it
    :ivar message_id: the Message-ID of the message, by which a receiver can tell a duplicate
    :ivar created: when it was enqueued, in seconds since 1970
    :ivar size: the octets of the message
    :ivar attempts: how many attempts came to a reply of the server, or may have
    :ivar unsent: how many attempts in a row the server never had
    :ivar body: the name of the content in the :class:`BodyStore`, or ``None``
    :ivar reason: why the last attempt was not the last one, in words
    """

    id: str
    envelope: Envelope
    message_id: str
    created: float
    size: int
    attempts: int = 0
    unsent: int = 0
    body: str | None = None
    reason: str = ""

    @property
    def recipients(self) -> Sequence[str]:
        """The recipients that it is for still."""
        everyone = self.envelope.recipients
        assert everyone is not None
        return [everyone] if isinstance(everyone, str) else everyone

    def to_send(self, bodies: BodyStore | None = None, tag: Any = None) -> Envelope:
        """The envelope as ``send_many`` takes it. Its message is an open file if the store has the content.

        :param bodies: the store
        :param tag: the tag of the envelope, by default the entry itself
        :raises OSError: if the content cannot be read
        :raises ValueError: if it is in a store, and there is none
        """
        envelope = self.envelope
        message: Any = envelope.message
        if self.body is not None:
            if bodies is None:
                raise ValueError("The content of this message is in a store, and none was given")
            message = bodies.open(self.body)
        return Envelope(
            envelope.sender,
            envelope.recipients,
            message,
            envelope.mail_options,
            envelope.rcpt_options,
            self if tag is None else tag,
        )

    def for_next(self, outcome: Again | Failed | Held, *, apart: bool = False) -> Entry:
        """The entry for the recipients of an outcome.

        :param outcome: what comes next for them
        :param apart: give it an identifier of its own, and a name of its own for its content, because another
            outcome goes on with these; the content has to be copied
        """
        envelope = dataclasses.replace(self.envelope, recipients=tuple(outcome.recipients))
        changes: dict[str, Any] = {"envelope": envelope, "reason": outcome.reason}
        if outcome.counts:
            changes |= {"attempts": self.attempts + 1, "unsent": 0}
        else:
            changes["unsent"] = self.unsent + 1
        if apart:
            changes["id"] = new_id()
            changes["body"] = None if self.body is None else changes["id"]
        return dataclasses.replace(self, **changes)
