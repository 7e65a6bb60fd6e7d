"""What the tests send: messages that no server has to repair, each with a key of its own to be found by."""

from itertools import count

from .maildir import KEY
from .server import KEPT, SENDER

__all__ = ("BODIES", "DOTS", "LONG_LINES", "letter")

#: Header fields that servers would add if they were missing.
_FIELDS = (
    f"From: {SENDER}\r\nTo: {KEPT}\r\nSubject: interop\r\nMessage-ID: <%d@interop.example>\r\n"
    "Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\n"
).encode()
DOTS = (
    b".\r\n..\r\n...\r\n.leading\r\n.\r\n\r\ntrailing.\r\n.\r\n",
    b".",
    b"one\n.two\n\n..three\n",
    b".\n" * 5000,
    b"",
    b"text\r\n\r\n\r\n",
)
LONG_LINES = b".".join([b"x" * 997, b"y" * 5000, b"." * 3000]) + b"\r\n" + b"." * 2500 + b"\r\nend\r\n"
EIGHT_BIT = "Grüße\r\n.größer\r\n".encode() + bytes(range(160, 256)) + b"\r\n"
BODIES = (*DOTS[:3], b"another\r\n" * 20)

_numbers = count(1)


def letter(body: bytes) -> tuple[bytes, bytes]:
    """A message, and its key."""
    number = next(_numbers)
    key = b"%d" % number
    return key, KEY + b": " + key + b"\r\n" + _FIELDS % number + body
