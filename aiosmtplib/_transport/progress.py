"""Progress of writing: whether a server that reads slowly takes any of the content."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any, Final

from .timers import Deadline

#: So often within the time that a server has.
_LOOKS: Final = 10

#: Where ``struct tcp_info`` of Linux has ``tcpi_bytes_acked`` (octets), from Linux 4.1 on.
_BYTES_ACKED: Final = 120

#: How much has gone: octets that the other side has acknowledged, and those that a transport still holds.
Gone = tuple[int, int]


def gone(transport: asyncio.WriteTransport) -> Gone:
    """How much of what was written has gone: it changes when any of it does.

    The buffer of a transport for TLS is not all that lies between it and the socket, and the socket has one
    of its own, which may take megabytes at once. On Linux the kernel tells what has arrived.
    """
    acknowledged = 0
    if sys.platform == "linux":  # pragma: no branch - elsewhere the transport alone tells
        sock: Any = transport.get_extra_info("socket")
        try:
            info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _BYTES_ACKED + 8)
            (acknowledged,) = struct.unpack_from("=Q", info, _BYTES_ACKED)
        except (AttributeError, OSError, struct.error):
            pass  # no TCP, or an older kernel
    return acknowledged, transport.get_write_buffer_size()


class WriteProgress:
    """Looks from time to time how much of large content has gone.

    :param looked: called at each look, with whether any has gone since the one before; returns whether to go
        on looking
    """

    __slots__ = ("_gone", "_interval", "_looked", "_loop", "_timer", "_transport")

    _loop: asyncio.AbstractEventLoop

    def __init__(self, looked: Callable[[bool], bool]) -> None:
        self._looked = looked
        self._timer = Deadline(self._look)
        self._transport: Any = None
        self._gone: Gone = (0, 0)
        self._interval = 0.0

    def watch(
        self, loop: asyncio.AbstractEventLoop, transport: asyncio.WriteTransport, seconds: float
    ) -> None:
        """Begin to look, unless that has been done.

        :param seconds: how long the server may take none
        """
        if self._timer.at is None:
            self._loop, self._transport = loop, transport
            self._interval = seconds / _LOOKS
            self._look_soon()

    def has_any(self) -> bool:
        """Whether any has gone since the last look."""
        return self._timer.at is not None and gone(self._transport) != self._gone

    def end(self) -> None:
        """Look no more, and forget who wants to know."""
        self._timer.end()
        self._looked = bool
        self._transport = None

    def _look_soon(self) -> None:
        self._gone = gone(self._transport)
        self._timer.move(self._loop, self._loop.time() + self._interval)

    def _look(self) -> None:
        if self._looked(self.has_any()):
            self._look_soon()
        else:
            self._timer.at = None
