"""Connections through a proxy, by SOCKS5 (RFC 1928), SOCKS4A or HTTP. It resolves the name of the server.

python-socks speaks SOCKS. Its CONNECT of HTTP takes what follows the response for a part of that, which would
be the greeting: an SMTP server speaks first.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import re
import socket
from typing import Any, Final, Literal

from .._message.domains import a_labels
from .._sasl.secret import SecretBytes, conceal, reveal, withhold
from .happy_eyeballs import connect_socket
from .hostnames import is_ipv6
from .proxy_url import ProxyServer, socks_library

#: How far a connection has got: not to the proxy; to something that is no proxy of that kind; to its check of
#: user name and password; or to where it should go on to the server.
Hop = Literal["proxy", "protocol", "login", "server"]

#: More seconds than any timeout: the caller has one.
_FOREVER: Final = 1e9
_MAX_HEAD: Final = 8192
_MAX_SHOWN: Final = 200
_MAX_NAME: Final = 255  # octets, in SOCKS5
#: What python-socks says where SOCKS5 wants another login (RFC 1928 section 3, RFC 1929 section 2).
_LOGIN_REFUSED: Final = ("No acceptable authentication methods", "Username and password authentication")
#: What SOCKS4 replies where identd knows nothing of the user, or another one.
_OTHER_USER: Final = (0x5C, 0x5D)


class HopError(OSError):
    """A proxy cannot be reached, or connects to nothing.

    :ivar hop: where that was
    """

    hop: Hop = "proxy"


class Tunnel:
    """Makes a connection to a server through a proxy: the ``socket_factory`` of the option ``proxy``.

    :param host: name or address of the server
    """

    def __init__(self, proxy: ProxyServer, host: str, port: int) -> None:
        self._proxy = proxy
        self._host = host
        self._port = port
        self._unfinished: HopError | None = _failure(proxy, "proxy", "was not reached")

    def unfinished(self) -> HopError | None:
        """What it was doing, as the error of a timeout; ``None`` if nothing any more."""
        return self._unfinished

    async def __call__(self) -> socket.socket:
        """
        :raises HopError: if there is no connection, with the reason
        :raises ValueError: if the name of the server is none
        """
        proxy = self._proxy
        name = a_labels(self._host)
        name.encode("idna")  # which checks the labels
        if len(name) > _MAX_NAME:
            raise ValueError(f"the name has more than {_MAX_NAME} characters")
        try:
            sock = await connect_socket(proxy.host, proxy.port, None)
        except OSError as error:
            raise _failure(proxy, "proxy", f"cannot be reached: {error}") from error
        self._unfinished = _failure(proxy, "server", "was reached, and has not connected")
        try:
            await (_by_http if proxy.scheme == "http" else _by_socks)(sock, proxy, name, self._port)
        except BaseException:
            sock.close()
            raise
        self._unfinished = None
        return sock


def _failure(proxy: ProxyServer, hop: Hop, text: str) -> HopError:
    error = HopError(f"the proxy {proxy.host} on port {proxy.port} {text}")
    error.hop = hop
    return error


async def _by_http(sock: socket.socket, proxy: ProxyServer, host: str, port: int) -> None:
    """Ask for a connection by CONNECT (RFC 9110 section 9.3.6)."""
    code, reason = await _response(sock, proxy, _request(proxy, host, port))
    answer = f"{code} {reason}".rstrip()
    if not code:
        raise _failure(proxy, "protocol", f"gave no answer in HTTP: {reason}")
    if code in ("407", "401"):  # the latter from tinyproxy
        raise _failure(proxy, "login", f"refused the login: {answer}")
    if not code.startswith("2"):
        raise _failure(proxy, "server", f"could not connect to it: {answer}")


async def _response(sock: socket.socket, proxy: ProxyServer, request: bytes) -> tuple[str, str]:
    """The status code of the response, ``""`` if there is none, and the reason.

    What comes may repeat the request, so that no error leaves this.
    """
    loop = asyncio.get_running_loop()
    head = bytearray()
    try:
        await loop.sock_sendall(sock, request)
        while not head.endswith((b"\n\r\n", b"\n\n")) and len(head) < _MAX_HEAD:
            octet = await loop.sock_recv(sock, 1)  # no more: what follows is of the server
            if not octet:
                return "", "Connection closed"
            head += octet
    except OSError as error:
        return "", str(error)
    status = re.match(rb"HTTP/1\.[0-9] ([0-9]{3})(?: ([^\r\n]*))?\r?\n", head)
    if status is None:
        return "", "Unexpected status line"
    reason = withhold((status[2] or b"").decode("utf-8", "backslashreplace"), *_secrets(proxy))
    return status[1].decode(), "".join(filter(str.isprintable, reason))[:_MAX_SHOWN]


def _request(proxy: ProxyServer, host: str, port: int) -> SecretBytes:
    authority = (f"[{host}]:{port}" if is_ipv6(host) else f"{host}:{port}").encode()
    lines = [b"CONNECT %b HTTP/1.1" % authority, b"Host: %b" % authority]
    if proxy.username is not None:
        lines.append(SecretBytes(b"Proxy-Authorization: Basic " + reveal(_secrets(proxy)[1])))
    return SecretBytes(b"\r\n".join([*lines, b"", b""]))


def _secrets(proxy: ProxyServer) -> tuple[Any, Any]:
    """The password, and how HTTP has it and the user name (RFC 7617 section 2), each concealed."""
    password = conceal((reveal(proxy.password) or "").encode())
    return password, conceal(base64.b64encode(f"{proxy.username}:".encode() + reveal(password)))


class _Reached:
    """What python-socks takes for a proxy before the proxy: it has the connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    async def connect(self, **_: Any) -> socket.socket:
        return self._sock


async def _by_socks(sock: socket.socket, proxy: ProxyServer, host: str, port: int) -> None:
    """Ask for a connection by SOCKS5 or SOCKS4A."""
    from python_socks import ProxyType

    kind, forward = ProxyType[proxy.scheme.upper()], _Reached(sock)
    connect = functools.partial(
        socks_library().Proxy, kind, proxy.host, proxy.port, rdns=True, forward=forward
    )
    try:
        await connect(username=proxy.username, password=reveal(proxy.password)).connect(
            host, port, timeout=_FOREVER
        )
    except Exception as error:
        # No cause of what is raised: variables of the frames that it comes from have the password.
        failure = _socks_failure(proxy, error)
    except BaseException as error:
        error.__context__ = None
        raise error.with_traceback(None) from None
    else:
        return
    raise failure


def _socks_failure(proxy: ProxyServer, error: Exception) -> HopError:
    code = getattr(error, "error_code", None)
    text = str(error) or type(error).__name__
    if text.startswith(_LOGIN_REFUSED) or (proxy.scheme == "socks4" and code in _OTHER_USER):
        return _failure(proxy, "login", f"refused the login: {text}")
    if code is not None:
        return _failure(proxy, "server", f"could not connect to it: {text}")
    return _failure(proxy, "protocol", f"gave no answer in {proxy.scheme.upper()}: {text}")
