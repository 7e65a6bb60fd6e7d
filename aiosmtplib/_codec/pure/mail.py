"""Data of a mail transaction in pure Python: the message as prepared for a server, and what that has open."""

from __future__ import annotations

from collections.abc import Sequence

from ..types import Data

__all__ = ("PreparedMail", "ServerState")


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
