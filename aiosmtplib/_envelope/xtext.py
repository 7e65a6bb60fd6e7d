"""Encoding of text in a parameter: xtext (RFC 3461 section 4), and unitext for Unicode (RFC 6533 section 3).

The result holds no blank, ``=`` or control character: it can end neither the parameter nor the line.
"""

from __future__ import annotations

import re

__all__ = ("unitext", "xtext")

# Not compiled: most programs never encode such a parameter.
_NOT_PRINTABLE = r"[^ -~]"
# xtext allows "<" and ">". They are encoded too, for servers that parse commands leniently.
_NOT_XCHAR = r"[ +=<>]"

# Besides control characters, U+2028 and U+2029, which end a line for some readers, and surrogates.
_NOT_UNICODE = r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff<>]"
_NOT_QCHAR = r"[^!-*,-<>-\[\]-~]"
_NOT_QUCHAR = r"[ +=\\]"


def xtext(value: str, what: str) -> str:
    """Encode a text as xtext.

    :param value: printable ASCII, blanks included
    :param what: the name of the value, for the error text
    :raises ValueError: if it is empty, or holds anything but printable ASCII and blanks
    :raises TypeError: if it is not a ``str``
    """
    _check(value, what, _NOT_PRINTABLE)
    return re.sub(_NOT_XCHAR, lambda match: f"+{ord(match[0]):02X}", value)


def unitext(value: str, what: str, *, ascii_only: bool) -> str:
    """Encode an address of type ``utf-8``.

    :param value: the address, of any characters
    :param what: the name of the value, for the error text
    :param ascii_only: ``True`` for the 7-bit form, ``False`` for the one used with SMTPUTF8
    :raises ValueError: if it is empty, or holds a control character, a surrogate, ``<`` or ``>``
    :raises TypeError: if it is not a ``str``
    """
    _check(value, what, _NOT_UNICODE)
    wanting = _NOT_QCHAR if ascii_only else _NOT_QUCHAR
    return re.sub(wanting, lambda match: f"\\x{{{ord(match[0]):02X}}}", value)


def _check(value: str, what: str, forbidden: str) -> None:
    if not isinstance(value, str):
        raise TypeError(f"The {what} must be a str, not {type(value).__name__}")
    if not value:
        raise ValueError(f"The {what} must not be empty")
    found = re.search(forbidden, value)
    if found:
        raise ValueError(f"The {what} must not hold {found[0]!a}")
