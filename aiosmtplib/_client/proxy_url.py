"""The proxy that a client connects through, as the URL in its options names it.

See :mod:`aiosmtplib._client.url` for how the password in it is kept out of errors.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from .._sasl.secret import reveal
from .url_parts import ENCODE, WrongURL, login_in, place_in


class ProxyServer(NamedTuple):
    """A proxy, as its URL says.

    :ivar scheme: ``"socks5"``, ``"socks4"`` or ``"http"``
    :ivar password: concealed
    """

    scheme: str
    host: str
    port: int
    username: str | None
    password: Any


def proxy_of(url: Any) -> ProxyServer:
    """The proxy that a URL names.

    :param url: the URL, concealed
    :raises ValueError: if it is not valid; the text shows nothing of it
    :raises ImportError: for SOCKS, if python-socks is not installed
    """
    try:
        proxy = _parsed(reveal(url))
    except WrongURL as wrong:
        text = str(wrong)
    else:
        if proxy.scheme != "http":
            socks_library()
        return proxy
    raise ValueError(f"The proxy option is not valid: {text}")  # here, where no other error is its context


def _parsed(url: str) -> ProxyServer:
    scheme, found, rest = url.partition("://")
    scheme = scheme.lower()
    authority, _, path = rest.partition("/")
    user, at, place = authority.rpartition("@")
    if not found or scheme not in ("socks5", "socks4", "http"):
        raise WrongURL("The URL of a proxy begins with socks5://, socks4:// or http://")
    if not all(char.isprintable() and char != " " for char in url):
        raise WrongURL("The URL holds a blank or a control character: write %20 for a blank")
    if re.search("[?#]", rest) or "@" in user + path:
        raise WrongURL(f"The URL has an @, ? or # where it can have none: {ENCODE}")
    if path:
        raise WrongURL("The URL has a path, which means nothing here")
    parts = dict([*login_in(user if at else None), *place_in(place)])
    if "port" not in parts:
        raise WrongURL("The URL names no port")
    username, password = reveal(parts.get("username")), parts.get("password")
    _check_login(scheme, username, reveal(password))
    return ProxyServer(scheme, reveal(parts["hostname"]), reveal(parts["port"]), username, password)


def _check_login(scheme: str, username: str | None, password: str | None) -> None:
    """Check that the protocol has a place for it."""
    if username is None:
        return
    if scheme == "http":
        if ":" in username:
            raise WrongURL("The user name holds a colon, which HTTP does not allow (RFC 7617 section 2)")
    elif not (username + (password or "")).isascii():
        raise WrongURL("User name and password of SOCKS are ASCII here")
    elif scheme == "socks4" and password is not None:
        raise WrongURL("SOCKS4 has a user name, and no password")
    elif scheme == "socks5" and not (password and len(username) < 256 and len(password) < 256):
        raise WrongURL("SOCKS5 takes user name and password together, of 255 octets at most (RFC 1929)")


def socks_library() -> Any:
    """What speaks SOCKS: a module of python-socks.

    :raises ImportError: if that is not installed
    """
    try:
        from python_socks.async_ import asyncio as library
    except ImportError as error:
        raise ImportError("A SOCKS proxy needs python-socks: pip install 'aiosmtplib[proxy]'") from error
    return library
