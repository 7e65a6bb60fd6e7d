"""The nouns of a mail transaction: a message that is ready for the wire, and what the server has of it."""

from collections.abc import Sequence

from .._codec.types import Data


class ServerState:
    """The transaction that the server may have open.

    :ivar mail: its message, or ``None`` where it surely has none open
    """

    __slots__ = ("mail",)

    def __init__(self) -> None:
        self.mail: PreparedMail | None = None


class PreparedMail:
    """One message with its envelope, ready for the wire.

    :param sender: the reverse-path, as the caller gave it
    :param recipients: the forward-paths, as the caller gave them
    :param commands: the MAIL and RCPT command lines, in this order
    :param content: for DATA stuffed and terminated, for BDAT one piece with CRLF line ends; ``None`` if it is
        streamed
    :param chunked: whether the content goes by BDAT
    :param pipelined: whether commands may be grouped
    :param per_recipient: whether each accepted recipient gets a final reply of its own (LMTP; never by BDAT)
    """

    __slots__ = (
        "aborted",
        "chunked",
        "commands",
        "content",
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
        #: Set where a stream by BDAT ended with RSET, because its source failed.
        self.aborted = False

    @property
    def octets(self) -> int:
        """How much content there is."""
        content = self.content
        return len(content) if isinstance(content, bytes) else sum(map(len, content or ()))
