"""What a scripted peer has agreed to in the open transaction, and what a strict one objects to in it.

The ledger of a test is only as good as this record: it holds what was answered with 2yz, and nothing else.
"""

from typing import NamedTuple

__all__ = ("Accepted", "Limits", "Transaction", "path")


class Accepted(NamedTuple):
    """A message that the peer took responsibility for, with dots and terminator removed.

    ``sender`` is None where no MAIL was accepted, and ``b""`` for the null reverse-path.
    """

    sender: bytes | None
    recipients: tuple[bytes, ...]
    content: bytes


class Limits(NamedTuple):
    """What the peer puts up with (RFC 9422), announced or not. None is no limit."""

    mailmax: int | None = None  # accepted MAIL commands in one connection
    rcptmax: int | None = None  # accepted RCPT commands in one transaction


class Transaction:
    """From an accepted MAIL, or whatever else was accepted, to the end of the message or RSET."""

    def __init__(self) -> None:
        self.sender: bytes | None = None
        self.recipients: list[bytes] = []
        self.chunks: list[bytes] | None = None  # those accepted; None before the first BDAT
        self.failed = False  # a chunk was refused: RFC 3030 section 2 leaves only RSET

    def objection(self, position: str, lmtp: bool) -> str | None:
        """The reply of a server that goes by the rules, where this command is out of order."""
        if position not in ("MAIL", "RCPT", "DATA", "BDAT", "BDAT LAST"):
            return None
        if self.failed:
            return "503 5.5.1 RSET first"
        if position == "MAIL":
            nested = self.sender is not None or self.recipients or self.chunks is not None
            return "503 5.5.1 nested MAIL" if nested else None
        if position in ("RCPT", "DATA") and self.chunks is not None:
            return "503 5.5.1 BDAT has begun"
        if position == "RCPT":
            return "503 5.5.1 MAIL first" if self.sender is None else None
        if self.recipients:
            return None
        # RFC 2033 section 4.2 asks for 503.
        return f"{503 if lmtp else 554} 5.5.1 no valid recipients"


def path(line: bytes) -> bytes:
    """The address in MAIL or RCPT, without its brackets."""
    return line[line.index(b"<") + 1 : line.rindex(b">")]
