"""Data of a mail transaction in pure Python: the message as prepared for a server, and what that has open."""

from __future__ import annotations

from collections.abc import Sequence

from ..types import Data
from .commands import encode_recipients

__all__ = ("EncodedEnvelope", "PreparedMail", "ServerState", "plain_envelope")


class ServerState:
    """The transaction that the server may have open (RFC 5321 section 4.1.4). One for each connection.

    :ivar mail: its message, or ``None`` if the server has none open for certain
    :ivar failed: whether a transaction failed since the server last accepted RSET
    """

    __slots__ = ("failed", "mail")

    def __init__(self) -> None:
        self.failed = False
        self.mail: PreparedMail | None = None


class PreparedMail:
    """A message and its envelope, encoded for one server.

    :param sender: the reverse-path, as the caller gave it
    :param recipients: the forward-paths, as the caller gave them
    :param commands: the MAIL and RCPT command lines, in this order
    :param content: for DATA with dot-stuffing and the final dot, for BDAT with CRLF line ends; ``None`` if it
        is streamed
    :param pipelined: whether commands may be sent in groups (RFC 2920)
    :param chunked: whether the content is sent by BDAT (RFC 3030)
    :param per_recipient: whether the server sends a final reply for each accepted recipient (LMTP, RFC 2033
        section 4.2; not with BDAT)
    :ivar aborted: whether streaming by BDAT was ended with RSET, because the source of the content failed or
        the server refused a chunk
    :ivar left_over: the places of the recipients of which the server said that they are too many for this
        transaction, where it accepted others (RFC 5321 section 4.5.3.1.10)
    """

    __slots__ = (
        "aborted",
        "chunked",
        "commands",
        "content",
        "left_over",
        "per_recipient",
        "pipelined",
        "recipients",
        "sender",
    )

    def __init__(
        self,
        sender: str,
        recipients: Sequence[str],
        commands: bytes,
        content: Data | None,
        pipelined: bool = False,
        chunked: bool = False,
        per_recipient: bool = False,
    ) -> None:
        self.sender = sender
        self.recipients = recipients
        self.commands = commands
        self.content = content
        self.pipelined = pipelined
        self.chunked = chunked
        self.per_recipient = per_recipient
        self.aborted = False
        self.left_over: Sequence[int] = ()

    def rest(self) -> PreparedMail:
        """The same message for the recipients that are left over, for the same server."""
        lines = self.commands.splitlines(keepends=True)
        return PreparedMail(
            self.sender,
            [self.recipients[place] for place in self.left_over],
            lines[0] + b"".join([lines[place + 1] for place in self.left_over]),
            self.content,
            self.pipelined,
            self.chunked,
            self.per_recipient,
        )


class EncodedEnvelope:
    """The sender and the recipients of a message, and their command lines (RFC 5321 section 4.1.1).

    :ivar sender: the reverse-path, as given
    :ivar recipients: the forward-paths, as given, without their parameters
    :ivar mail: the MAIL command up to the reverse-path
    :ivar parameters: its parameters, each with a blank before it
    :ivar rcpts: all RCPT command lines
    :ivar utf8: whether the SMTPUTF8 parameter is among those of MAIL
    :ivar binary: whether BODY=BINARYMIME is among those of MAIL
    :ivar open: whether a parameter depends on the server
    """

    __slots__ = ("binary", "mail", "open", "parameters", "rcpts", "recipients", "sender", "utf8")

    def __init__(self) -> None:
        self.sender = ""
        self.recipients: Sequence[str] = ()
        self.mail = self.parameters = self.rcpts = b""
        self.utf8 = self.binary = self.open = False

    def prepare(
        self, content: Data | None, size: int, pipelined: bool, chunked: bool, per_recipient: bool
    ) -> PreparedMail:
        """A message with this envelope. The other parameters are as :class:`PreparedMail` has them.

        :param size: its octets, for the parameter SIZE (RFC 1870); negative, and there is none
        """
        parameters = self.parameters if size < 0 else b" size=%d%b" % (size, self.parameters)
        commands = b"%b%b\r\n%b" % (self.mail, parameters, self.rcpts)
        return PreparedMail(
            self.sender, self.recipients, commands, content, pipelined, chunked, per_recipient
        )


def plain_envelope(sender: object, recipients: object) -> EncodedEnvelope | None:
    """An envelope without parameters, of plain addresses.

    :param recipients: one, or a list or tuple of them
    :return: None where one is not a plain ``local@domain``, or there is none: that has to be looked at more
        closely
    """
    if type(recipients) is str:
        everyone = [recipients]
    elif type(recipients) in (list, tuple):
        everyone = list(recipients)  # type: ignore[call-overload]
    else:
        return None
    if not everyone or type(sender) is not str:
        return None
    own, rcpts = encode_recipients((sender,), b""), encode_recipients(everyone, b"")
    if own is None or rcpts is None:
        return None
    envelope = EncodedEnvelope()
    envelope.sender = sender
    envelope.recipients = everyone
    envelope.mail = b"MAIL FROM:<%b>" % sender.encode()
    envelope.rcpts = rcpts
    return envelope
