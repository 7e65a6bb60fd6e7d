"""What a failure on one connection of a pool means: for the message, and for the connection."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import SMTPException, SMTPSenderRefused
from ..status import Delivery, SMTPStatus
from .connection import PooledConnection
from .states import Condition

if TYPE_CHECKING:
    from ..smtp import SMTP

_SERVICE_CLOSING = SMTPStatus.domain_unavailable

#: What servers say to a MAIL that is one too many on a connection. There is no code for it alone.
_TOO_MANY = r"(?i)\btoo many (messages|e?-?mails?|transactions|deliveries)\b"


def condition_of(pooled: PooledConnection[SMTP], error: BaseException | None) -> Condition:
    """In which condition a connection is, after a message on it."""
    if not pooled.alive or not pooled.client.is_connected:
        return Condition.LOST
    return Condition.REPLACE if _is_full(pooled, error) else Condition.KEEP


def may_retry(pooled: PooledConnection[SMTP], error: BaseException, *, once: bool = False) -> bool:
    """Whether a message may be sent once more, over another connection.

    Only what the server surely has not taken is, where the connection was at fault and not the message.

    :param once: whether its source can be read only once
    """
    if not isinstance(error, SMTPException) or error.delivery in (Delivery.UNKNOWN, Delivery.DELIVERED):
        return False
    if _is_full(pooled, error):
        return True
    if pooled.alive and pooled.client.is_connected:
        return False
    if error.delivery is Delivery.REJECTED and not said_goodbye(error):
        return False
    return not (once and error.phase in ("body", "final"))


def counts_as_move(error: BaseException, after_others: bool) -> bool:
    """Whether a message that is sent once more has one of its ``MAX_MOVES`` less.

    What ends a connection that took others is not about the message that meets it: the server closes it
    after so many messages (421, RFC 5321 section 3.8), or it was lost. Several may end so, in turn.

    :param after_others: whether the connection took other messages before
    """
    replies = isinstance(error, SMTPException) and bool(error.replies)
    return not after_others or (replies and not said_goodbye(error))


def said_goodbye(error: BaseException) -> bool:
    """Whether the server said that it closes the connection (RFC 5321 section 3.8)."""
    return isinstance(error, SMTPException) and any(reply.code == _SERVICE_CLOSING for reply in error.replies)


def _is_full(pooled: PooledConnection[SMTP], error: BaseException | None) -> bool:
    # Said to the first message of a connection, it is not about the connection.
    if not (isinstance(error, SMTPSenderRefused) and pooled.messages > 1 and error.code >= _SERVICE_CLOSING):
        return False
    # X.5.3 is "too many recipients" (RFC 3463 section 3.6), which nobody has yet at MAIL.
    enhanced = error.enhanced_code
    return (enhanced is not None and enhanced[1:] == (5, 3)) or re.search(
        _TOO_MANY, error.message
    ) is not None
