"""What can go wrong, as types.

Every error also derives from its built-in kin (``ConnectionError``, ``TimeoutError``), takes its
arguments by position or by name, and survives pickling. Errors raised while a mail was being sent
say what became of it (``delivery``), where in the dialogue it happened (``phase``) and what the
server had replied by then (``replies``). Errors of a connection carry what was said on it before
(``transcript``).
"""

import sys

from ._trace.transcript import EMPTY_TRANSCRIPT, Transcript
from .response import EnhancedCode, SMTPResponse, enhanced_code
from .status import Delivery

if sys.version_info >= (3, 11):
    _TimeoutKin = TimeoutError
else:  # Python 3.10 has two classes of that name, and callers catch either
    from asyncio import TimeoutError as _AsyncioTimeoutError

    class _TimeoutKin(_AsyncioTimeoutError, TimeoutError):
        pass


__all__ = (
    "SMTPAuthenticationError",
    "SMTPConnectError",
    "SMTPConnectResponseError",
    "SMTPConnectTimeoutError",
    "SMTPDataError",
    "SMTPException",
    "SMTPHeloError",
    "SMTPNotSupported",
    "SMTPReadTimeoutError",
    "SMTPRecipientRefused",
    "SMTPRecipientsRefused",
    "SMTPResponseException",
    "SMTPSenderRefused",
    "SMTPServerDisconnected",
    "SMTPTimeoutError",
)


class SMTPException(Exception):
    """Base of every error that this package raises for what a server or a connection did.

    :ivar message: what happened, in words
    :ivar delivery: what became of the message that was being sent (:class:`Delivery`)
    :ivar phase: where it happened: ``"connect"``, ``"greeting"``, ``"ehlo"``, ``"starttls"``, ``"auth"``,
        ``"mail"``, ``"rcpt"``, ``"data"``, ``"body"``, ``"final"``, or ``None`` outside of those
    :ivar replies: the replies to the commands of this mail transaction, in command order
    :ivar transcript: the last things that were said on the connection, without secrets and content
        (:class:`Transcript`); empty if there was no connection
    """

    delivery: Delivery = Delivery.NOT_SENT
    phase: str | None = None
    replies: tuple[SMTPResponse, ...] = ()
    transcript: Transcript = EMPTY_TRANSCRIPT

    def __init__(self, message: str) -> None:
        self.message = message
        self.args = (message,)

    def __str__(self) -> str:
        # OSError would print two arguments as an errno and its text.
        return str(self.args[0]) if len(self.args) == 1 else str(self.args)


class SMTPServerDisconnected(SMTPException, ConnectionError):
    """The connection is not there (any more): never connected, closed, or lost."""


class SMTPConnectError(SMTPException, ConnectionError):
    """The connection could not be made."""


class SMTPTimeoutError(SMTPException, _TimeoutKin):
    """Something took longer than ``timeout`` seconds."""


class SMTPConnectTimeoutError(SMTPTimeoutError, SMTPConnectError):
    """Connecting (with the TLS handshake, where there is one) took longer than ``timeout`` seconds."""


class SMTPReadTimeoutError(SMTPTimeoutError):
    """A reply took longer than ``timeout`` seconds. The connection has been closed."""


class SMTPNotSupported(SMTPException):
    """The server does not announce the extension that this needs."""


class SMTPResponseException(SMTPException):
    """The server replied, and the reply is an error for the command at hand.

    :ivar code: the reply code, or -1 where what the server sent is no SMTP reply
    :ivar message: the text of the reply
    """

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = message
        self.args = (code, message)

    @property
    def enhanced_code(self) -> EnhancedCode | None:
        """The enhanced status code of the reply, as :attr:`SMTPResponse.enhanced_code` has it."""
        return enhanced_code(self.code, self.message)


class SMTPConnectResponseError(SMTPResponseException, SMTPConnectError):
    """The server greeted with something other than 220 (RFC 5321 section 3.1)."""


class SMTPHeloError(SMTPResponseException):
    """The server refused both EHLO and HELO."""

    phase = "ehlo"


class SMTPDataError(SMTPResponseException):
    """The server refused DATA, or the message after it."""

    delivery = Delivery.REJECTED


class SMTPAuthenticationError(SMTPResponseException):
    """The server refused the credentials (RFC 4954 section 6).

    :ivar reason: what it said besides its reply, or ``None``: with OAuth a JSON object (RFC 7628 section
        3.2.2), with SCRAM a word (RFC 5802 section 7)
    """

    phase = "auth"
    reason: str | None = None


class SMTPSenderRefused(SMTPResponseException):
    """The server refused MAIL.

    :ivar sender: the reverse-path that was refused
    """

    delivery = Delivery.REJECTED
    phase = "mail"

    def __init__(self, code: int, message: str, sender: str) -> None:
        super().__init__(code, message)
        self.sender = sender
        self.args = (code, message, sender)


class SMTPRecipientRefused(SMTPResponseException):
    """The server refused one RCPT.

    :ivar recipient: the forward-path that was refused
    """

    delivery = Delivery.REJECTED
    phase = "rcpt"

    def __init__(self, code: int, message: str, recipient: str) -> None:
        super().__init__(code, message)
        self.recipient = recipient
        self.args = (code, message, recipient)


class SMTPRecipientsRefused(SMTPException):
    """The server refused every recipient; nothing was sent.

    :ivar recipients: one :class:`SMTPRecipientRefused` for each, in the order given
    """

    delivery = Delivery.REJECTED
    phase = "rcpt"

    def __init__(self, recipients: list[SMTPRecipientRefused]) -> None:
        self.message = "Every recipient was refused"
        self.recipients = recipients
        self.args = (recipients,)
