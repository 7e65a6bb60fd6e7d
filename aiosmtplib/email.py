"""Functions on messages and addresses: sender, recipients and bytes of a message (RFC 5322, RFC 5321)."""

from __future__ import annotations

import functools
from types import ModuleType
from typing import TYPE_CHECKING

from ._codec.types import Data
from ._message.addresses import parse_address, quote_address
from ._message.fields import extract_addresses as extract_addresses
from ._message.fields import extract_recipients, extract_sender

if TYPE_CHECKING:
    from email.message import EmailMessage, Message

__all__ = (
    "extract_recipients",
    "extract_sender",
    "flatten_message",
    "parse_address",
    "quote_address",
)


def flatten_message(message: EmailMessage | Message, utf8: bool = False, cte_type: str = "8bit") -> bytes:
    """The bytes of a message, without ``Bcc`` and ``Resent-Bcc``. The message is not changed.

    An ``EmailMessage``, or a message made with an ``EmailPolicy``, is written with CRLF, another with LF.
    Line breaks in a header value become folding white space.

    :param message: the message object
    :param utf8: write the header fields of an ``EmailMessage`` as UTF-8 (RFC 6532), not encoded (RFC 2047)
    :param cte_type: ``"8bit"``, or ``"7bit"`` to encode 8-bit parts
    :raises ValueError: for another ``cte_type``; or for a content type whose parameters have names of more
        than 40 characters, which cannot be folded
    :raises TypeError: if ``message`` is not a message object
    :raises email.errors.HeaderParseError: if a value in an old-style message holds a whole header field
    """
    content: bytes = _flattening().flatten(message, utf8, cte_type)
    return content


def flatten_for(message: EmailMessage | Message, utf8: bool, cte_type: str, chunk: bool) -> tuple[Data, int]:
    """The bytes of a message as written to the connection, and their number by SIZE (RFC 1870 section 3).

    The other parameters and the errors are those of :func:`flatten_message`.

    :param chunk: whether for BDAT: without dot-stuffing and final dot, which are there for DATA
    """
    ready: tuple[Data, int] = _flattening().flatten_for(message, utf8, cte_type, chunk)
    return ready


@functools.cache
def _flattening() -> ModuleType:
    from ._message import flatten  # slow to import

    return flatten
