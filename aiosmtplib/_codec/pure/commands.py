"""Command lines and the addresses in them in pure Python (RFC 5321 section 4.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

_CONTROLS = bytes(range(0x20)) + b"\x7f"

# RFC 5322 section 3.2.3 (dot-atom-text) and RFC 5321 section 4.1.2 (Domain). The display name takes only
# what every version of email.utils reads as a phrase.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_ADDRESS = rf"({_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*)"
_match_bare = re.compile(rf"{_ADDRESS}\Z").match
_NAME = r"[A-Za-z0-9 _.'-]*"
_QUOTED = r' *"[ !#-[\]-~]*" *'
_match_named = re.compile(rf"(?:{_NAME}|{_QUOTED})<{_ADDRESS}>\Z").match
# The old form of a display name: a comment behind the address.
_match_commented = re.compile(rf"{_ADDRESS} *\({_NAME}\)\Z").match
# The commas between addresses are not in the quoted string that one may begin with.
_match_element = re.compile(rf"[ \t\r\n]*((?:{_QUOTED})?[^,]*)").match


def encode_command(*args: bytes) -> bytes:
    """Join a verb and its arguments by blanks and end the line (RFC 5321 section 4.1.1).

    :raises ValueError: for a control character, which could end the line early and start another
        command; the text does not repeat the argument, which may be a secret. Also without arguments.
    :raises TypeError: if an argument is not bytes
    """
    if not args:
        raise ValueError("an SMTP command needs a verb")
    for arg in args:
        if not isinstance(arg, bytes):
            raise TypeError(f"expected bytes, got {type(arg).__name__}")
    line = b" ".join(args)
    if len(line.translate(None, _CONTROLS)) != len(line):
        raise ValueError("control characters are prohibited in an SMTP command")
    return line + b"\r\n"


def plain_address(value: str) -> str | None:
    """The address of a plain ``local@domain`` or ``Name <local@domain>``.

    :return: what ``email.utils.parseaddr(value)[1]`` would be, or None where that has to be asked
    :raises TypeError: if ``value`` is not a string
    """
    if not isinstance(value, str):
        raise TypeError(f"expected str, got {type(value).__name__}")
    match = _match_bare(value) or _match_named(value) or _match_commented(value)
    return match[1] if match else None


def plain_addresses(value: str) -> list[str] | None:
    """The addresses of a list of plain ones (RFC 5322 section 3.4), in their order.

    :return: None where one is not as :func:`plain_address` takes it, or the list is not as it should be
    :raises TypeError: if ``value`` is not a string
    """
    if not isinstance(value, str):
        raise TypeError(f"expected str, got {type(value).__name__}")
    found = []
    end = -1
    while end < len(value):
        element = _match_element(value, end + 1)
        assert element is not None, "it matches the empty string"
        address = plain_address(element[1].rstrip(" \t\r\n"))
        if address is None:
            return None
        found.append(address)
        end = element.end()
    return found


def pick_fields(headers: Iterable[tuple[str, object]], names: tuple[str, ...]) -> list[Sequence[object]]:
    """The values of header fields, for each name in their order.

    :param names: in lower case, ASCII, each once; the case in ``headers`` does not matter (RFC 5322 section
        1.2.2)
    :raises TypeError: if ``names`` are not a tuple of ``str``, or ``headers`` not of pairs
    """
    "".join(names)  # a TypeError where one is no str
    found: dict[str, Any] = dict.fromkeys(names, ())
    for name, value in headers:
        if name.isascii() and (lower := name.lower()) in found:
            if not found[lower]:
                found[lower] = [value]
            else:
                found[lower].append(value)
    return list(found.values())


def encode_recipients(recipients: Iterable[str], tail: bytes) -> bytes | None:
    """The RCPT command lines for plain addresses (RFC 5321 section 4.1.1.3), one after the other.

    :param tail: the parameters of each, with a blank before them
    :return: None where one is not a plain ``local@domain`` and has to be looked at more closely
    :raises TypeError: if ``tail`` is not bytes
    """
    if not isinstance(tail, bytes):
        raise TypeError(f"expected bytes, got {type(tail).__name__}")
    addresses = list(recipients)
    for address in addresses:
        if type(address) is not str or _match_bare(address) is None:
            return None
    end = b">" + tail + b"\r\n"
    if not addresses:
        return b""
    return b"RCPT TO:<" + (end + b"RCPT TO:<").join([a.encode() for a in addresses]) + end
