"""What a failure on one connection of a pool means: for the message, and for the connection.

Also what becomes of a message that took several transactions, because the server takes no more recipients
in one (RFC 9422 section 4.2): one verdict, in which nobody is reported as served who was not, and nobody who
was served gets it again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._client.results import SendResult, failed
from .._envelope.recipient import plain
from ..errors import SMTPException, SMTPRecipientsRefused, SMTPSenderRefused
from ..response import SMTPResponse
from ..status import Delivery, SMTPStatus
from .connection import Condition, PooledConnection

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


def merged(index: int, item: Any, parts: Sequence[tuple[Sequence[str], SendResult[Any]]]) -> SendResult[Any]:
    """The one result of several transactions with the same message.

    * One that is ``UNKNOWN`` makes all so.
    * If at least one was accepted, the recipients of the others are refused: with the reply to them, or with
      code -1 and the reason where there was none.
    * Else the error is the first one, or all refusals of recipients together.

    :param parts: the recipients of each, and what became of it
    """
    refused: dict[str, SMTPResponse] = {}
    for recipients, part in parts:
        refused.update(part.refused)
        if part.error is not None and not part.refused:
            reason = part.response or SMTPResponse(SMTPStatus.invalid_response.value, str(part.error))
            refused.update(dict.fromkeys(map(plain, recipients), reason))
    results = [part for _, part in parts]
    for part in results:
        if part.delivery is Delivery.UNKNOWN:
            return SendResult(index, item, Delivery.UNKNOWN, None, refused, part.error)
    accepted = [part for part in results if part.error is None]
    if accepted:
        return SendResult(index, item, Delivery.DELIVERED, accepted[-1].response, refused, None)
    errors = [part.error for part in results if part.error is not None]
    together = []
    replies: tuple[SMTPResponse, ...] = ()
    for error in errors:
        if not isinstance(error, SMTPRecipientsRefused):
            return failed(index, item, errors[0])
        together += error.recipients
        replies += error.replies
    everyone = SMTPRecipientsRefused(together)
    everyone.phase = "rcpt"
    everyone.replies = replies
    everyone.transcript = (
        errors[-1].transcript if isinstance(errors[-1], SMTPException) else everyone.transcript
    )
    return failed(index, item, everyone)
