"""What callers hand in, on its way into a command line: checked, parsed once, encoded.

An argument of MAIL or RCPT that holds ``>`` or a line end could add parameters or commands (RFC 5321
section 4.1.2). It is refused here, before anything is written.
"""

import re

from .._message.addresses import parse_address

__all__ = ("ascii_address", "check_argument", "envelope_path")

# A quoted local part may hold angle brackets; the empty mailbox of the AUTH parameter is made of them (RFC
# 4954 section 5).
_MAY_HOLD_BRACKETS = r'(?s)"(?:[^"\\]|\\.)*"(?:@[^<>]*)?|[A-Za-z0-9-]+=<>'
# Those of ASCII, and what ends a line to a reader who decodes it first.
_CONTROL = r"[\x00-\x1f\x7f-\x9f\u2028\u2029]"
_ASCII_DOMAIN = r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?"


def check_argument(value: str, what: str) -> None:
    """Let pass only what stays one argument of one command.

    :param what: the name of the argument, for the error text
    :raises ValueError: for a control character, or ``<`` or ``>`` outside of a quoted local part
    :raises TypeError: if ``value`` is not a ``str``
    """
    if not isinstance(value, str):
        raise TypeError(f"The {what} must be a str, not {type(value).__name__}")
    # What is printable holds no control character, and almost everything is.
    control = None if value.isprintable() else re.search(_CONTROL, value)
    if control:
        raise ValueError(f"The {what} must not hold the control character {control[0]!a}")
    if ("<" in value or ">" in value) and not re.fullmatch(_MAY_HOLD_BRACKETS, value):
        raise ValueError(f'The {what} must not hold "<" or ">"')


def envelope_path(address: str, encoding: str) -> bytes:
    """What goes between ``<`` and ``>`` in MAIL and RCPT (RFC 5321 section 4.1.2).

    :param address: with or without a display name; ``""`` is the null reverse-path
    :param encoding: ``"ascii"``, or ``"utf-8"`` with SMTPUTF8 (RFC 6531 section 3.3)
    :raises ValueError: if it is no address, or could inject something
    :raises UnicodeEncodeError: if it has characters that are not in ``encoding``
    :raises TypeError: if ``address`` is not a ``str``
    """
    return parse_address(address).encode(encoding)


def ascii_address(address: str) -> str:
    """The address with an internationalized domain as A-labels (RFC 5891 section 4.4).

    The ``idna`` package is used where installed, else the older rules of the standard library.

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
        labels = _a_labels(domain)
    except UnicodeError as error:
        raise ValueError(f"The domain of {path!a} has no ASCII form: {error}") from error
    # The standard codec maps full-width forms of any character, brackets included, to ASCII.
    if not re.fullmatch(_ASCII_DOMAIN, labels):
        raise ValueError(f"The domain of {path!a} has no ASCII form")
    return f"{local}@{labels}"


def _a_labels(domain: str) -> str:
    try:
        import idna
    except ImportError:
        return domain.encode("idna").decode("ascii")
    return idna.encode(domain, uts46=True).decode("ascii")
