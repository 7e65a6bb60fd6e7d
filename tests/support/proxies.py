"""Scripted proxies on loopback: SOCKS5 (RFC 1928, 1929), SOCKS4A and HTTP CONNECT (RFC 9110 section 9.3.6).

Whatever a client asks for, they lead to one peer, so that no name need be resolved. An override replaces
what a proxy says at one *stage*: ``"method"`` and ``"login"`` of SOCKS5, or ``"connect"``, when it has the
address.
"""

import asyncio
import base64
import socket
import struct
from collections.abc import Mapping
from typing import Any, Final

from .clients import HOST
from .scripted_conversation import Action, Conversation
from .scripted_server import PATIENCE, Peer
from .scripted_stream import Hangup, Wire

__all__ = ("CONNECTED", "KINDS", "LOGIN", "ENCODED_LOGIN", "Proxy", "options_by")

KINDS: Final = ("socks5", "socks4", "http")
LOGIN: Final = ("user", "p@ss:w/rd%")
#: That, as a URL has it.
ENCODED_LOGIN: Final = "user:p%40ss%3Aw%2Frd%25@"

CONNECTED: Final = {
    "socks5": b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\xd2",
    "socks4": b"\x00\x5a\x00\x00\x00\x00\x00\x00",
    "http": b"HTTP/1.1 200 Connection established\r\nProxy-agent: scripted\r\n\r\n",
}


class Proxy(Peer):
    """A proxy that leads to ``peer``. Use it as an async context manager.

    :param kind: one of :data:`KINDS`
    :param peer: the server that it leads to, with ``host`` and ``port``; None if it does not get that far
    :param login: user name and password that it wants
    :param together: send what the peer says first along with the reply, in one segment
    :ivar asked: the hosts and ports that clients have asked for, as they put it
    :ivar logins: the user names and passwords that they gave
    """

    def __init__(
        self,
        kind: str,
        peer: Any = None,
        actions: Mapping[str, Action] | None = None,
        *,
        login: tuple[str, str] | None = None,
        together: bool = False,
    ) -> None:
        super().__init__(script=self._converse)
        self.kind = kind
        self.asked: list[tuple[str, int]] = []
        self.logins: list[tuple[str, str]] = []
        self._peer = peer
        self._stages = dict(actions or {})
        self._login = login
        self._together = together

    def url(self, login: str = "") -> str:
        """What leads to it. A login is percent-encoded already, and ends in an ``@``."""
        return f"{self.kind}://{login}{self.host}:{self.port}"

    async def _converse(self, wire: Conversation) -> None:
        await {"socks5": self._socks5, "socks4": self._socks4, "http": self._http}[self.kind](wire)
        if self._peer is None:
            await self._say(wire, "connect", CONNECTED[self.kind])
            await wire.drain()
            return
        sock = socket.socket()
        sock.setblocking(False)
        server = Wire(sock)
        try:
            await asyncio.get_running_loop().sock_connect(sock, (self._peer.host, self._peer.port))
            first = await server.read_any() if self._together else b""
            await self._say(wire, "connect", CONNECTED[self.kind] + first)
            await _relay(wire, server)
        finally:
            server.close()

    async def _say(self, wire: Conversation, stage: str, usual: bytes) -> None:
        self.note(stage)
        await wire.perform(self._stages.get(stage, usual))

    async def _socks5(self, wire: Conversation) -> None:
        version, number = await wire.read_octets(2)
        methods = await wire.read_octets(number)
        assert (version, len(methods)) == (5, number)
        wanted = 0 if self._login is None else 2
        await self._say(wire, "method", bytes([5, wanted if wanted in methods else 255]))
        if wanted not in methods:
            await wire.cut()
        if self._login is not None:
            assert await wire.read_octets(1) == b"\x01"
            login = [(await wire.read_octets((await wire.read_octets(1))[0])).decode() for _ in range(2)]
            self.logins.append((login[0], login[1]))
            right = self.logins[-1] == self._login
            await self._say(wire, "login", bytes([1, not right]))
            if not right:
                await wire.cut()
        assert await wire.read_octets(3) == b"\x05\x01\x00"
        (kind,) = await wire.read_octets(1)
        if kind == 3:
            host = (await wire.read_octets((await wire.read_octets(1))[0])).decode("ascii")
        else:
            family, size = {1: (socket.AF_INET, 4), 4: (socket.AF_INET6, 16)}[kind]
            host = socket.inet_ntop(family, await wire.read_octets(size))
        self.asked.append((host, *struct.unpack("!H", await wire.read_octets(2))))

    async def _socks4(self, wire: Conversation) -> None:
        version, command, port = struct.unpack("!BBH", await wire.read_octets(4))
        assert (version, command) == (4, 1)
        address = await wire.read_octets(4)
        self.logins.append(((await _until_nul(wire)).decode(), ""))
        by_name = address[:3] == b"\0\0\0" and address[3] != 0
        host = (await _until_nul(wire)).decode("ascii") if by_name else socket.inet_ntoa(address)
        self.asked.append((host, port))

    async def _http(self, wire: Conversation) -> None:
        method, authority, version = (await wire.read_line()).decode("ascii").split(" ")
        assert (method, version) == ("CONNECT", "HTTP/1.1")
        fields = {}
        while line := await wire.read_line():
            name, _, value = line.decode("ascii").partition(": ")
            fields[name.lower()] = value
        assert fields["host"] == authority
        host, _, port = authority.rpartition(":")
        self.asked.append((host, int(port)))
        if "proxy-authorization" in fields:
            scheme, _, encoded = fields["proxy-authorization"].partition(" ")
            assert scheme == "Basic"
            name, _, password = base64.b64decode(encoded).decode().partition(":")
            self.logins.append((name, password))
        if self._login is not None and self.logins != [self._login] * len(self.asked):
            await wire.send(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 3\r\n\r\nno\n")
            await wire.cut()


async def _until_nul(wire: Wire) -> bytes:
    text = b""
    while (octet := await wire.read_octets(1)) != b"\0":
        text += octet
    return text


async def _relay(one: Wire, other: Wire) -> None:
    """Until either side has closed."""

    async def pump(source: Wire, target: Wire) -> None:
        while True:
            await Wire.send(target, await source.read_any())  # which knows no dialogue

    pumps: list[asyncio.Task[Any]] = [
        asyncio.ensure_future(pump(*ends)) for ends in ((one, other), (other, one))
    ]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in pumps:
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
    raise Hangup


def options_by(proxy: Proxy, login: str = "", **options: Any) -> dict[str, Any]:
    """Options that lead through a proxy to a name that does not resolve."""
    return {
        "hostname": "mail.example.com",
        "port": 2525,
        "local_hostname": HOST,
        "timeout": PATIENCE,
        "proxy": proxy.url(login),
        **options,
    }
