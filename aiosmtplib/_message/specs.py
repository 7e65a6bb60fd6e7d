"""Addresses and message identifiers in header fields, in ASCII (RFC 5322 sections 3.4.1 and 3.6.4).

A server without SMTPUTF8 takes no others (RFC 6532). What the standard library does with them depends on the
release: it makes encoded words of parts of them, raises ``HeaderWriteError`` (from Python 3.13.6 on) or
``UnicodeEncodeError``, or writes the raw bytes of a received message.
"""

from __future__ import annotations

from copy import copy
from email import _header_value_parser as parser
from email import base64mime, quoprimime
from email.charset import UNKNOWN8BIT
from email.headerregistry import HeaderRegistry
from typing import Any, Final

from .domains import a_labels
from .phrases import has_bytes

__all__ = ("AsciiRegistry", "ascii_specs")

#: The kinds of tokens in which the standard library writes no encoded words.
_SPECS: Final = frozenset({"addr-spec", "angle-addr", "invalid-message-id", "message-id", "msg-id"})


class AsciiRegistry(HeaderRegistry):
    """A registry that makes header objects in ASCII; see :func:`ascii_specs`."""

    def __call__(self, name: str, value: Any) -> Any:
        header = super().__call__(name, value)
        if isinstance(value, str) and value.isascii() and "=?" not in value:
            return header  # as nearly always; to look at its tree takes as long as a tenth of parsing it
        return ascii_specs(header)


def ascii_specs(header: Any) -> Any:
    """A header object with its domains in A-labels (RFC 5891), the rest of its addresses as encoded words.

    A local part that is an encoded word is no address (RFC 2047 section 5), and none exists without SMTPUTF8.
    People can read it, and the message can be sent to whom its envelope names.

    :param header: the value of a field, of any type
    :return: the header itself, where nothing has to be changed
    """
    tree: Any = getattr(header, "_parse_tree", None)
    if tree is None or str(tree).isascii():
        return header
    changed: Any = copy(header)
    changed._parse_tree = _changed(tree, False)
    return changed


def _changed(token: Any, in_spec: bool) -> Any:
    """A copy of a parse tree, with what is not ASCII in its addresses replaced."""
    if str(token).isascii():
        return token
    if isinstance(token, str):
        kind: str = token.token_type  # type: ignore[attr-defined]
        return parser.ValueTerminal(_encoded(token), kind) if in_spec else token
    if isinstance(token, parser.Domain):
        try:
            labels = a_labels(token.domain)
        except UnicodeError:
            pass
        else:
            if labels != token.domain:
                return parser.Domain([parser.ValueTerminal(labels, "atext")])
    in_spec = in_spec or token.token_type in _SPECS
    changed = copy(token)
    changed[:] = [_changed(part, in_spec) for part in token]
    return changed


def _encoded(text: str) -> str:
    """An encoded word (RFC 2047), of any length: in a local part there is no place to divide it."""
    charset = UNKNOWN8BIT if has_bytes(text) else "utf-8"
    content = text.encode("utf-8", "surrogateescape")
    readable = quoprimime.header_encode(content, charset)
    short = base64mime.header_encode(content, charset)
    return readable if len(readable) - len(short) < 5 else short  # as the standard library chooses
