"""The outcomes of an attempt to send a message: what comes next for some of its recipients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

__all__ = ("Again", "Done", "Failed", "Held", "Outcome")


@dataclass(frozen=True, slots=True)
class Done:
    """The message was accepted for these recipients.

    :ivar recipients: as the entry has them
    """

    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Again:
    """The message is to be sent to these recipients once more.

    :ivar recipients: as the entry has them
    :ivar reason: why, in words
    :ivar after: in how many seconds
    :ivar counts: whether the server answered, or may have; if not, it never had the message
    """

    recipients: tuple[str, ...]
    reason: str
    after: float
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Failed:
    """The message cannot be delivered to these recipients.

    :ivar recipients: as the entry has them
    :ivar reason: why, in words
    """

    recipients: tuple[str, ...]
    reason: str
    counts: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Held:
    """Whether the message was accepted for these recipients is unknown; a person is to decide.

    :ivar recipients: as the entry has them
    :ivar reason: why, in words
    """

    recipients: tuple[str, ...]
    reason: str
    counts: ClassVar[bool] = True


Outcome: TypeAlias = Done | Again | Failed | Held
