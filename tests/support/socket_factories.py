"""Factories of sockets for the option ``socket_factory``."""

import asyncio
import socket
from typing import Any

from .clients import HOST
from .scripted_server import PATIENCE, Peer

__all__ = ("Factory", "options_by")


class Factory:
    """Connects to a peer, whatever the options say, and keeps the sockets."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.made: list[socket.socket] = []

    async def __call__(self) -> socket.socket:
        sock = socket.socket()
        sock.setblocking(False)
        self.made.append(sock)
        try:
            await asyncio.get_running_loop().sock_connect(sock, (self.peer.host, self.peer.port))
        except BaseException:
            sock.close()
            raise
        return sock

    def assert_closed(self) -> None:
        assert [sock.fileno() for sock in self.made] == [-1] * len(self.made)


def options_by(make: Any, **options: Any) -> dict[str, Any]:
    """Options that lead to whatever ``make`` connects to, under a name that does not resolve."""
    return {
        "hostname": "mail.example.com",
        "port": 2525,
        "local_hostname": HOST,
        "timeout": PATIENCE,
        "socket_factory": make,
        **options,
    }
