"""Checks and encoding of the arguments of MAIL and RCPT (RFC 5321 section 4.1.2).

An argument that holds ``>`` or a line end could add parameters or commands. It is refused here, before
anything is written.
"""

from __future__ import annotations

import re

from .._message.addresses import parse_address
from .._message.domains import a_labels

__all__ = ("ascii_address", "check_argument", "envelope_path")

# Angle brackets are allowed in a quoted local part, and in the parameter AUTH=<> (RFC 4954 section 5).
_MAY_HOLD_BRACKETS = r'(?s)"(?:[^"\\]|\\.)*"(?:@[^<>]*)?|[A-Za-z0-9-]+=<>'
# Those of ASCII and Latin-1, and U+2028 and U+2029, which end a line for a reader that decodes it first.
_CONTROL = r"[\x00-\x1f\x7f-\x9f\u2028\u2029]"


def check_argument(value: str, what: str) -> None:
    """Check that a text stays one argument of one command.

    :param value: the argument
    :param what: its name, for the error text
    :raises ValueError: for a control character, or ``<`` or ``>`` outside of a quoted local part
    :raises TypeError: if ``value`` is not a ``str``
    """
    if not isinstance(value, str):
        raise TypeError(f"The {what} must be a str, not {type(value).__name__}")
    # Printable text, which almost all is, needs no search.
    control = None if value.isprintable() else re.search(_CONTROL, value)
    if control:
        raise ValueError(f"The {what} must not hold the control character {control[0]!a}")
    if ("<" in value or ">" in value) and not re.fullmatch(_MAY_HOLD_BRACKETS, value):
        raise ValueError(f'The {what} must not hold "<" or ">"')


def envelope_path(address: str, encoding: str) -> bytes:
    """The path of an address without its angle brackets, as in MAIL and RCPT (RFC 5321 section 4.1.2).

    :param address: with or without a display name; ``""`` is the null reverse-path
    :param encoding: ``"ascii"``, or ``"utf-8"`` with SMTPUTF8 (RFC 6531 section 3.3)
    :raises ValueError: if it is not an address, or could inject a parameter or a command
    :raises UnicodeEncodeError: if it has characters that ``encoding`` does not have
    :raises TypeError: if ``address`` is not a ``str``
    """
    return parse_address(address).encode(encoding)


def ascii_address(address: str) -> str:
    """The address with an internationalized domain as A-labels (RFC 5891 section 4.4).

    The ``idna`` package is used where installed (IDNA 2008), else the standard library (IDNA 2003, RFC 3490).

    :return: ``address`` itself where it is ASCII already
    :raises ValueError: if the local part is not ASCII, or the domain has no A-label form
    :raises TypeError: if ``address`` is not a ``str``
    """
    if not isinstance(address, str):
        raise TypeError(f"An address must be a str, not {type(address).__name__}")
    path = address if address.isascii() else parse_address(address)
    if path.isascii():
        return path
    local, at, domain = path.rpartition("@")
    if not at or not local.isascii():
        raise ValueError(f"The local part of {path!a} is not ASCII: only a server with SMTPUTF8 can take it")
    try:
        return f"{local}@{a_labels(domain)}"
    except UnicodeError as error:
        raise ValueError(f"The domain of {path!a} has no ASCII form: {error}") from error
