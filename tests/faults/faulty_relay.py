"""A relay that does one thing wrong, at one byte, between a client and the server that keeps a ledger.

=========  ==========================================================================================
``cut``    from this byte on nothing passes: the client gets what was on its way to it, then FIN
``reset``  the same with RST, and without what was on its way
``stall``  from this byte on nothing passes in this direction, and nobody is told
``flip``   the lowest bit of this byte is the other one: a 2 becomes a 3, a dot a slash, CRLF no line end
``swap``   two other bits are: a 2 becomes a 4 and a 4 a 2, a 3 becomes a 5 and a 5 a 3
=========  ==========================================================================================

The server behind it is called directly: a second socket would double the cost, and what the server has seen
when the client learns of the fault would be a matter of chance. With TLS the fault is in the bytes on the
wire or, ``inside``, in those that TLS carries.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple

from ..support.model_server import Desk, Manners, Taken
from ..support.scripted_server import PATIENCE

__all__ = ("FAULTS", "NONE", "WAYS", "Fault", "FaultRelay", "Line")

FAULTS = ("cut", "reset", "stall", "flip", "swap")
#: From the client to the server, and back.
WAYS = ("up", "down")
BITS = {"flip": 1, "swap": 6}
ENDS = ("cut", "reset")


class Fault(NamedTuple):
    """What goes wrong, in which direction, and before or at which byte of it, from 0."""

    kind: str
    way: str
    at: int


NONE = Fault("none", "up", 0)


class Line(asyncio.Protocol):
    """One connection through the relay.

    :ivar passed: bytes that came along, in each direction, damaged or not
    :ivar sent: what the client wrote, where that can be seen: before it was damaged, and without TLS
    :ivar got: what it was sent, after it was damaged
    :ivar struck: whether the fault happened
    """

    transport: Any

    def __init__(self, relay: "FaultRelay", fault: Fault) -> None:
        self.passed = {"up": 0, "down": 0}
        self.sent = bytearray()
        self.got = bytearray()
        self.struck = False
        self.lost = asyncio.get_running_loop().create_future()
        self._fault = fault
        self._inside = relay.inside
        self._context = relay.tls
        self._desk = Desk(relay.manners, relay.ledger.append)
        self._tls: ssl.SSLObject | None = None
        self._secure = False
        self._implicit = relay.implicit
        self._tls_in = ssl.MemoryBIO()
        self._tls_out = ssl.MemoryBIO()
        self._ended = False

    # -- asyncio's side ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        if not self._fault.at and self._fault.kind in ENDS:
            self._end()
        elif self._implicit:
            self._begin_tls()
        else:
            self._say(self._desk.greeting())

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        if not self._inside:
            if self._tls is None:
                self.sent += data
            data = self._pass("up", data)
        if self._tls is None:
            self._hear(data)
        else:
            self._tls_in.write(data)
            self._decrypt()
        self._end_if_struck()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self.lost.set_result(None)

    # -- from one layer to the next ------------------------------------------------------------------

    def _hear(self, data: bytes) -> None:
        """What the client says reaches the server."""
        if self._inside or self._secure:
            self.sent += data
        if self._inside:
            data = self._pass("up", data)
        out = self._desk.feed(data)
        if out:
            self._say(out)
        if self._desk.upgrade and self._tls is None:
            self._begin_tls()
            self._tls_in.write(self._desk.unread())
            self._decrypt()
        if self._desk.over and not self._ended:
            self._hang_up()

    def _say(self, data: bytes) -> None:
        if self._inside:
            data = self._pass("down", data)
            self.got += data
        if self._secure:
            assert self._tls is not None
            self._tls.write(data)
            data = self._tls_out.read()
        self._write(data)

    def _write(self, data: bytes) -> None:
        if not self._inside:
            data = self._pass("down", data)
            if self._tls is None:
                self.got += data
        if data and not self._ended and not (self.struck and self._fault.kind == "reset"):
            self.transport.write(data)
        self._end_if_struck()

    def _begin_tls(self) -> None:
        assert self._context is not None
        self._tls = self._context.wrap_bio(self._tls_in, self._tls_out, server_side=True)

    def _decrypt(self) -> None:
        tls = self._tls
        assert tls is not None
        try:
            if not self._secure:
                tls.do_handshake()
                self._secure = True
                if self._implicit:
                    self._say(self._desk.greeting())
                else:
                    self._desk.secured()
            while data := tls.read(1 << 16):
                self._hear(data)
                if self._ended:
                    return
            self._hang_up()  # close_notify
        except ssl.SSLWantReadError:
            if rest := self._tls_out.read():
                self._write(rest)
        except ssl.SSLError:  # damaged: an alert, and no more
            if rest := self._tls_out.read():
                self._write(rest)
            self._hang_up()

    def _hang_up(self) -> None:
        """The server is done with this connection."""
        if not self._ended:
            self._notify()
            self._ended = True
            self.transport.close()

    def _notify(self) -> None:
        """TLS has an end of its own."""
        if self._secure:
            assert self._tls is not None
            try:
                self._tls.unwrap()
            except ssl.SSLError:
                pass  # the client has not said so yet
            if rest := self._tls_out.read():
                self._write(rest)

    # -- what goes wrong -----------------------------------------------------------------------------

    def _pass(self, way: str, data: bytes) -> bytes:
        """What is left of these bytes."""
        before = self.passed[way]
        self.passed[way] += len(data)
        kind, hurt, at = self._fault
        if hurt != way or kind == "none":
            return data
        place = at - before
        if kind in BITS:
            if not 0 <= place < len(data):
                return data
            self.struck = True
            return data[:place] + bytes([data[place] ^ BITS[kind]]) + data[place + 1 :]
        if place > len(data) or (place == len(data) and kind == "stall"):
            return data
        self.struck = True
        return data[: max(place, 0)]

    def _end_if_struck(self) -> None:
        if self.struck and self._fault.kind in ENDS and not self._ended:
            self._end()

    def _end(self) -> None:
        self.struck = True
        if self._fault.kind == "cut":
            if self._inside:
                self._notify()
            self._ended = True
            self.transport.write_eof()  # the client has to close its own direction
        else:
            self.reset()

    def reset(self) -> None:
        """Close with RST."""
        self._ended = True
        linger = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.transport.abort()


class FaultRelay:
    """Listens on 127.0.0.1, in front of a server with these manners. Use it as an async context manager.

    :param tls: a server context; with ``implicit`` for TLS from the first byte, else for STARTTLS
    :param inside: whether faults are in what TLS carries
    :ivar ledger: what the server took, since :meth:`arm`
    :ivar lines: the connections since :meth:`arm`
    """

    def __init__(
        self,
        manners: Manners,
        *,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        inside: bool = False,
    ) -> None:
        self.manners = manners
        self.tls = tls
        self.implicit = implicit
        self.inside = inside
        self.host = "127.0.0.1"
        self.port = 0
        self.ledger: list[Taken] = []
        self.lines: list[Line] = []
        self._fault = NONE
        self._hurt = 0

    def arm(self, fault: Fault = NONE, hurt: int = 1) -> None:
        """Begin anew: this is to happen to the next so many connections."""
        self.ledger.clear()
        self.lines.clear()
        self._fault = fault
        self._hurt = hurt

    def disarm(self) -> None:
        """Nothing is to happen to connections that are made from now on."""
        self._hurt = 0

    async def quiet(self) -> None:
        """Wait until the client has closed every connection that it made."""
        lost = [line.lost for line in self.lines if not line.lost.done()]
        if lost:
            _, pending = await asyncio.wait(lost, timeout=PATIENCE)
            assert not pending, f"the client left {len(pending)} connection(s) open"

    def _accept(self) -> Line:
        hurt, self._hurt = self._hurt > 0, max(self._hurt - 1, 0)
        line = Line(self, self._fault if hurt else NONE)
        self.lines.append(line)
        return line

    async def __aenter__(self) -> "FaultRelay":
        make: Callable[[], Line] = self._accept
        self._server = await asyncio.get_running_loop().create_server(make, self.host, 0, backlog=64)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        left = [line for line in self.lines if not line.lost.done()]
        for line in left:
            line.reset()
        await asyncio.gather(*(line.lost for line in left))
