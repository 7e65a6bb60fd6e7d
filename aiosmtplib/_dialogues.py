"""What client and server say to each other, as generators: no loop, no socket, no clock.

Each function here is a dialogue in the sense of :mod:`aiosmtplib._session` and can be driven by hand:

>>> dialogue = command(b"NOOP\\r\\n")
>>> next(dialogue)
(b'NOOP\\r\\n', 1)
>>> dialogue.send(SMTPResponse(250, "OK"))
Traceback (most recent call last):
    ...
StopIteration: SMTPResponse(code=250, message='OK')
"""

from collections.abc import Sequence

from ._codec import encode_command
from ._session import HANG_UP, Dialogue
from .errors import (
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
)
from .response import SMTPResponse
from .status import Delivery, SMTPStatus

_DATA = b"DATA\r\n"
_RSET = b"RSET\r\n"

#: The errors that a transaction raises itself. All others mean that the connection is lost.
_REFUSALS = (SMTPSenderRefused, SMTPRecipientsRefused, SMTPDataError)


class _Progress:
    """How far a mail transaction has come: what an error has to say about it."""

    __slots__ = ("phase", "replies")

    def __init__(self, phase: str) -> None:
        self.phase = phase
        self.replies: list[SMTPResponse] = []

    def annotate(self, error: SMTPException) -> None:
        """Put verdict, phase and replies on ``error`` (design: what became of the message)."""
        error.phase = self.phase
        error.replies = tuple(self.replies)
        if self.phase == "final" and not isinstance(error, _REFUSALS):
            error.delivery = Delivery.UNKNOWN


def greeting() -> Dialogue[SMTPResponse]:
    """Wait for the reply that a server sends unasked when a connection opens (RFC 5321 section 3.1)."""
    return (yield b"", 1)


def command(line: bytes) -> Dialogue[SMTPResponse]:
    """Write one command line and return its reply."""
    return (yield line, 1)


def hello(name: bytes) -> Dialogue[tuple[SMTPResponse, SMTPResponse | None]]:
    """EHLO, and HELO where the server does not know EHLO (RFC 5321 section 3.2).

    :return: the reply to EHLO, and the one to HELO if it was needed
    """
    ehlo = yield encode_command(b"EHLO", name), 1
    if ehlo.code in (SMTPStatus.completed, SMTPStatus.domain_unavailable):
        return ehlo, None
    return ehlo, (yield encode_command(b"HELO", name), 1)


def data(content: bytes) -> Dialogue[SMTPResponse]:
    """DATA and, after a 354, the content (RFC 5321 section 4.1.1.4).

    :param content: stuffed and terminated, as ``encode_data`` returns it
    :raises SMTPDataError: if either is refused
    """
    progress = _Progress("data")
    try:
        return (yield from _data(progress, content))
    except SMTPException as error:
        progress.annotate(error)
        raise


def transaction(
    sender: str, mail: bytes, recipients: Sequence[str], rcpts: Sequence[bytes], content: bytes
) -> Dialogue[tuple[dict[str, SMTPResponse], SMTPResponse]]:
    """One mail transaction, one command at a time (RFC 5321 section 3.3), and RSET if it is refused.

    :param mail: the MAIL command line
    :param rcpts: the RCPT command lines, in the order of ``recipients``
    :param content: stuffed and terminated, as ``encode_data`` returns it
    :return: the refused recipients with the replies to them, and the final reply
    :raises SMTPSenderRefused: if MAIL is refused
    :raises SMTPRecipientsRefused: if every RCPT is refused
    :raises SMTPDataError: if DATA or the content is refused
    """
    progress = _Progress("mail")
    try:
        reply = yield mail, 1
        progress.replies.append(reply)
        if reply[0] != SMTPStatus.completed:
            raise SMTPSenderRefused(*reply, sender)
        progress.phase = "rcpt"
        refused = []
        for recipient, rcpt in zip(recipients, rcpts, strict=True):
            reply = yield rcpt, 1
            progress.replies.append(reply)
            if reply[0] not in (SMTPStatus.completed, SMTPStatus.will_forward):
                refused.append((recipient, reply))
        if len(refused) == len(rcpts):
            raise SMTPRecipientsRefused(
                [SMTPRecipientRefused(code, text, who) for who, (code, text) in refused]
            )
        return dict(refused), (yield from _data(progress, content))
    except SMTPException as error:
        progress.annotate(error)
        if isinstance(error, _REFUSALS):
            try:
                reply = yield _RSET, 1
                if reply[0] != SMTPStatus.completed:  # the recipients could get the next message
                    yield HANG_UP
            except SMTPException:
                pass  # the first error is the one that says what happened
        raise


def _data(progress: _Progress, content: bytes) -> Dialogue[SMTPResponse]:
    progress.phase = "data"
    reply = yield _DATA, 1
    progress.replies.append(reply)
    if reply[0] == SMTPStatus.start_input:
        progress.phase = "final"
        reply = yield content, 1
        progress.replies.append(reply)
        # The first digit decides (RFC 5321 section 4.2.1): what was accepted must not look refused,
        # or the caller sends it twice.
        if 200 <= reply[0] < 300:
            return reply
    raise SMTPDataError(*reply)
