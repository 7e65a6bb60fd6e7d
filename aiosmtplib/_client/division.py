"""One message in several transactions, because the server takes no more recipients in one.

It says so by LIMITS RCPTMAX (RFC 9422 section 4.2), or by 452 to each RCPT that is one too many (RFC 5321
section 4.5.3.1.10). There is one result, in which nobody is reported as served who was not, and nobody who
was served gets the message again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from .._envelope.recipient import plain
from .._session import PreparedMail
from .._session.transaction import Outcome
from ..errors import SMTPException, SMTPRecipientsRefused
from ..response import SMTPResponse
from ..status import Delivery, SMTPStatus
from .results import SendResult, failed

__all__ = ("Part", "check_division", "divided", "merged")

#: The recipients of one transaction, and what became of it.
Part = tuple[Sequence[str], SendResult[Any]]


def check_division(divide_recipients: object) -> None:
    """:raises TypeError: if the option of that name is no ``bool``: a text such as "no" counts as true"""
    if not isinstance(divide_recipients, bool):
        raise TypeError(f"divide_recipients must be a bool, not {type(divide_recipients).__name__}")


async def divided(
    send: Callable[[PreparedMail], Awaitable[Outcome]],
    mail: PreparedMail,
    rewind: Callable[[], object] | None = None,
) -> Outcome:
    """Send a message, and what is left over of its recipients in further transactions.

    Each of them serves at least one recipient, or it is the last.

    :param send: runs one transaction
    :param rewind: called before each but the first, to read the content again
    :raises SMTPException: if nobody was served, or of one transaction it is not known
    """
    parts: list[Part] = []
    while True:
        try:
            if parts and rewind is not None:
                rewind()
            refused, response = await send(mail)
        except Exception as error:
            if not parts:
                raise
            parts.append((mail.recipients, failed(0, None, error)))
            break
        parts.append((mail.recipients, SendResult(0, None, Delivery.DELIVERED, response, refused, None)))
        if not mail.left_over:
            break
        mail = mail.rest()
    whole = merged(0, None, parts)
    whole.raise_for_status()
    assert whole.response is not None
    return dict(whole.refused), whole.response


def merged(index: int, item: Any, parts: Sequence[Part]) -> SendResult[Any]:
    """The one result of several transactions with the same message.

    * One that is ``UNKNOWN`` makes all so.
    * If at least one was accepted, the recipients of the others are refused: with the reply to them, or with
      code -1 and the reason where there was none.
    * Else the error is the first one, or all refusals of recipients together.

    What a later transaction says of a recipient counts, and not that it was too many for an earlier one.

    :param parts: the recipients of each, and what became of it
    """
    refused: dict[str, SMTPResponse] = {}
    for recipients, part in parts:
        for recipient in recipients:
            refused.pop(plain(recipient), None)
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
