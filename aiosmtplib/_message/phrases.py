"""Address fields of old-style messages: the display names are encoded, and the addresses are not.

RFC 2047 section 5 has encoded words in a phrase and in a comment, and forbids them in an addr-spec. The
standard library encodes the whole value of a field of an old-style message, so that no reader finds an
address in it.
"""

from __future__ import annotations

import re
from email.charset import UNKNOWN8BIT
from email.header import Header, decode_header
from email.headerregistry import AddressHeader, HeaderRegistry
from email.message import Message
from typing import Any, Final

__all__ = ("has_bytes", "repeated", "with_addresses")

_FIELDS: Final = {
    name: kind.max_count
    for name, kind in HeaderRegistry().registry.items()
    if issubclass(kind, AddressHeader)
}
#: The address fields that a message has once at most (RFC 5322 section 3.6).
_ONCE: Final = tuple(name for name, count in _FIELDS.items() if count == 1)

# RFC 5322 section 3.2 to 3.4. What is never closed goes up to the end: each character is looked at once.
_find_tokens = re.compile(
    r"""(?xs)
      (?P<quoted>"[^"\\]*(?:\\.[^"\\]*)*"?)
    | (?P<comment>\([^()\\]*(?:\\.[^()\\]*)*\)?)
    | (?P<path><[^<>]*>?)
    | (?P<separator>[,;:])
    | (?P<blank>\s+)
    | (?P<word>[^\s"(<,;:]+)
    """
).finditer
_unescape = re.compile(r"(?s)\\(.)").sub
#: Finds the surrogates by which the parsers of the standard library represent 8-bit bytes.
has_bytes = re.compile(r"[\ud800-\udfff]").search

#: The charsets of a header object whose chunks stay as they are: not encoded, or of bytes that are no text.
_LEFT: Final = (None, "us-ascii", UNKNOWN8BIT)

#: The pieces of a value: texts, and whether each is to be encoded.
_Pieces = list[tuple[str, bool]]


def repeated(message: Message) -> frozenset[str]:
    """The names of the address fields that a message has several times, and may have once, in lower case."""
    names = [name.lower() for name in message]
    return frozenset(name for name in _ONCE if names.count(name) > 1)


def with_addresses(name: str, value: Any) -> Any:
    """The value of a field of an old-style message, as a header object that keeps the addresses readable.

    :param value: as the message stores it
    :return: the value itself, where no address would be encoded
    """
    if name.lower() not in _FIELDS:
        return value
    charset = "utf-8"
    if isinstance(value, Header):
        if not any(coded not in _LEFT and b"@" in chunk for chunk, coded in decode_header(value)):
            return value
        text = str(value)
    elif isinstance(value, str):
        text = str.__str__(value)
        if has_bytes(text):
            charset = UNKNOWN8BIT
    else:
        return value
    if text.isascii() or "@" not in text:
        return value
    header = Header(header_name=name)
    for piece, encoded in _joined(_pieces(text)):
        header.append(piece, charset if encoded else "us-ascii")
    return header


def _pieces(text: str) -> _Pieces:
    """The value of an address field in pieces."""
    pieces: _Pieces = []
    element: list[re.Match[str]] = []  # the tokens of a mailbox
    for token in _find_tokens(text):
        if token.lastgroup == "separator":
            pieces += _mailbox(element)
            pieces.append((token[0], False))
            element = []
        else:
            element.append(token)
    return pieces + _mailbox(element)


def _mailbox(tokens: list[re.Match[str]]) -> _Pieces:
    """One element of an address-list (RFC 5322 section 3.4) in pieces."""
    text = "".join(token[0] for token in tokens)
    if text.isascii():
        return [(text, False)]
    path = next((place for place, token in enumerate(tokens) if token.lastgroup == "path"), None)
    if path is None:
        return [piece for token in tokens for piece in _word(token)]
    if not tokens[path][0].isascii():
        return [(text, True)]  # there is no such address without SMTPUTF8, which old-style messages lack
    return [
        (_phrase(tokens[:path]), True),
        (tokens[path][0], False),
        (_phrase(tokens[path + 1 :]), True),
    ]


def _word(token: re.Match[str]) -> _Pieces:
    if token.lastgroup == "comment" and not token[0].isascii():
        return [("(", False), (_unescape(r"\1", token[0][1:].removesuffix(")")), True), (")", False)]
    if token.lastgroup == "quoted" and not token[0].isascii():
        return [(_phrase([token]), True)]
    return [(token[0], not token[0].isascii())]


def _phrase(tokens: list[re.Match[str]]) -> str:
    """The text that a display name stands for."""
    return "".join(
        _unescape(r"\1", token[0][1:].removesuffix('"')) if token.lastgroup == "quoted" else token[0]
        for token in tokens
    )


def _joined(pieces: _Pieces) -> _Pieces:
    """Pieces in as few as possible, without blanks at their ends: a header object puts one between them."""
    joined: _Pieces = []
    for text, encoded in pieces:
        encoded = encoded and not text.isascii()
        if joined and (joined[-1][1] == encoded or text.isspace()):
            joined[-1] = joined[-1][0] + text, joined[-1][1]
        else:
            joined.append((text, encoded))
    return [(text.strip(), encoded) for text, encoded in joined if text.strip()]
