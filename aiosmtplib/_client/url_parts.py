"""Parts of a URL that is an option: who logs in where (RFC 3986 sections 2 and 3.2).

Such a URL holds a password. See :mod:`aiosmtplib._client.url` for how it is kept out of errors.
"""

from __future__ import annotations

import re
from typing import Any, Final

from .._sasl.secret import conceal
from .hostnames import is_ipv6

ENCODE: Final = "in a user name, password or value, @ : / ? # % are written %40 %3A %2F %3F %23 %25"


class WrongURL(Exception):
    """The text of an error, on its way out of the frames that have seen the URL."""


def login_in(user: str | None) -> list[tuple[str, Any]]:
    if user is None:
        return []
    name, colon, password = user.partition(":")
    if not name or (colon and not password):
        raise WrongURL(f"The {'password' if name else 'user name'} in the URL is empty")
    pairs = [("username", conceal(decoded(name)))]
    return [*pairs, ("password", conceal(decoded(password)))] if colon else pairs


def place_in(text: str) -> list[tuple[str, Any]]:
    """Host and port (RFC 3986 section 3.2.2)."""
    literal = re.fullmatch(r"\[([^\[\]]*)\](?::(.*))?", text)
    if literal:
        host, port = decoded(literal[1]), literal[2] or ""
        valid = is_ipv6(host)
    else:
        host, _, port = text.partition(":")
        if ":" in port:
            raise WrongURL("An IPv6 address in a URL is in brackets: [::1]")
        host = decoded(host)
        valid = _is_host(host)
    if not host:
        raise WrongURL("The URL names no host")
    if not valid:
        raise WrongURL("The URL names a host that is neither a name nor an address")
    pairs = [("hostname", conceal(host))]
    if port:
        if not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) < 65536:
            raise WrongURL("The port in the URL is no number from 1 to 65535")
        pairs.append(("port", conceal(int(port))))
    return pairs


def _is_host(host: str) -> bool:
    if re.search(r"[\s\0-\x20/?#\[\]@:%\\<>\"]", host):
        return False
    try:
        host.removesuffix(".").encode("idna")  # as the resolver does, and ssl for the certificate
    except UnicodeError:
        return False
    return True


def decoded(text: str) -> str:
    """The text without percent-encoding (RFC 3986 section 2.1), in UTF-8."""
    if re.search(r"%(?![0-9A-Fa-f]{2})", text):
        raise WrongURL(f"The URL has a % that two hexadecimal digits do not follow: {ENCODE}")
    from urllib.parse import unquote_to_bytes  # slow to import

    try:
        decoded = unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        decoded = "\0"
    if "\0" in decoded:
        raise WrongURL("What is percent-encoded in the URL is no text in UTF-8")
    return decoded
