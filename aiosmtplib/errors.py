"""The exceptions of this package.

Errors of connections and timeouts also derive from the built-in ``ConnectionError`` and ``TimeoutError``. All
take their arguments by position or by name, and can be pickled. Errors raised while a message was being sent
have the delivery verdict (``delivery``), the phase of the dialogue (``phase``) and the replies received by
then (``replies``). Errors of a connection have the last commands and replies on it (``transcript``).
"""

from __future__ import annotations

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
    """Base class of the errors that a server or a connection causes.

    :ivar message: the error text
    :ivar delivery: what became of the message that was being sent (:class:`Delivery`)
    :ivar phase: where it happened: ``"connect"``, ``"greeting"``, ``"ehlo"``, ``"starttls"``, ``"auth"``,
        ``"mail"``, ``"rcpt"``, ``"data"``, ``"body"``, ``"final"``, or ``None`` outside of those
    :ivar replies: the replies to the commands of this mail transaction, in command order
    :ivar transcript: the last commands and replies on the connection, without secrets and content
        (:class:`Transcript`); empty if there was no connection
    :ivar hint: what to do about it, where this package knows, else ``None``. It is at the end of ``str()``,
        and not in ``message``
    """

    delivery: Delivery = Delivery.NOT_SENT
    phase: str | None = None
    replies: tuple[SMTPResponse, ...] = ()
    transcript: Transcript = EMPTY_TRANSCRIPT
    hint: str | None = None

    def __init__(self, message: str) -> None:
        self.message = message
        self.args = (message,)

    def __str__(self) -> str:
        # OSError.__str__ formats two arguments as an errno and its text.
        text = str(self.args[0]) if len(self.args) == 1 else str(self.args)
        return text if self.hint is None else f"{text.removesuffix('.')}. {self.hint}."


class SMTPServerDisconnected(SMTPException, ConnectionError):
    """There is no connection: it was never opened, was closed, or is lost."""


class SMTPConnectError(SMTPException, ConnectionError):
    """The connection could not be opened."""


class SMTPTimeoutError(SMTPException, _TimeoutKin):
    """An operation took longer than ``timeout`` seconds."""


class SMTPConnectTimeoutError(SMTPTimeoutError, SMTPConnectError):
    """Connecting, the TLS handshake included, took longer than ``timeout`` seconds."""


class SMTPReadTimeoutError(SMTPTimeoutError):
    """A reply took longer than ``timeout`` seconds. The connection has been closed."""


class SMTPNotSupported(SMTPException):
    """The server does not announce an extension that the operation needs."""


class SMTPResponseException(SMTPException):
    """The server sent a reply that is an error for the command (RFC 5321 section 4.2).

    :ivar code: the reply code, or -1 if the server sent something other than an SMTP reply
    :ivar message: the text of the reply
    """

    def __init__(self, code: int, message: str) -> None:
        self.code = code
        self.message = message
        self.args = (code, message)

    @property
    def enhanced_code(self) -> EnhancedCode | None:
        """The enhanced status code of the reply, or ``None``: see :attr:`SMTPResponse.enhanced_code`."""
        return enhanced_code(self.code, self.message)


class SMTPConnectResponseError(SMTPResponseException, SMTPConnectError):
    """The server greeted with something other than 220 (RFC 5321 section 3.1)."""


class SMTPHeloError(SMTPResponseException):
    """The server refused both EHLO and HELO."""

    phase = "ehlo"


class SMTPDataError(SMTPResponseException):
    """The server refused DATA, or the content of the message."""

    delivery = Delivery.REJECTED


class SMTPAuthenticationError(SMTPResponseException):
    """The server refused the credentials (RFC 4954 section 6).

    :ivar reason: the server's explanation besides its reply, or ``None``: with OAuth a JSON object (RFC 7628
        section 3.2.2), with SCRAM a server-error-value such as ``invalid-proof`` (RFC 5802 section 7)
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
    """The server refused every recipient; the message was not sent.

    :ivar recipients: one :class:`SMTPRecipientRefused` for each, in the order given
    """

    delivery = Delivery.REJECTED
    phase = "rcpt"

    def __init__(self, recipients: list[SMTPRecipientRefused]) -> None:
        self.message = "Every recipient was refused"
        self.recipients = recipients
        self.args = (recipients,)
