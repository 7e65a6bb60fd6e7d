"""A TCP relay that makes loopback far away: a fixed delay each way, and all the throughput there is.

Each piece is stamped when it arrives and leaves in order when it is due, so that any amount of data can be on
its way at a time, up to :data:`BOUND`. For a benchmark it runs in a process of its own::

    python -m tests.support.delay_relay --listen 0 --to 127.0.0.1:2525 --delay 0.02
"""

import argparse
import asyncio
import contextlib
import enum
import socket
import struct
from collections import deque
from typing import Any, cast

__all__ = ("BOUND", "Relay")

#: Octets on their way in one direction of one connection, above which the relay stops reading.
BOUND = 8 * 2**20


class _End(enum.Enum):
    FIN = enum.auto()
    RST = enum.auto()


class _Side(asyncio.Protocol):
    """One end of a relayed connection: what it receives leaves by the other end, later."""

    other: "_Side"

    def __init__(self, relay: "Relay") -> None:
        self.lost = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self._relay = relay
        self._loop = asyncio.get_running_loop()
        self._on_the_way: deque[tuple[float, bytes | _End]] = deque()
        self._octets = 0
        self._timer: asyncio.TimerHandle | None = None
        self._reading = True
        self._writable = True
        self._finished = False  # our FIN is out
        self._closed = False  # by us

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # by its methods alone: uvloop's is no subclass
        self._relay._sides.add(self)
        self.other._arm()

    def data_received(self, data: bytes) -> None:
        self._octets += len(data)
        self._relay.most = max(self._relay.most, self._octets)
        if self._octets > BOUND and self._reading and self.transport is not None:
            self._reading = False
            self.transport.pause_reading()
            self._relay.full.set()
        self._send_off(data)

    def eof_received(self) -> bool:
        self._send_off(_End.FIN)
        return True  # the other direction stays open

    def connection_lost(self, exc: Exception | None) -> None:
        self._relay._sides.discard(self)
        self.transport = None
        self.lost.set_result(None)
        if not self._closed:
            self._send_off(_End.RST)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self.other._arm()

    def _send_off(self, item: bytes | _End) -> None:
        self._on_the_way.append((self._loop.time() + self._relay.delay, item))
        self._arm()

    def _arm(self) -> None:
        if (
            self._timer is None
            and self._on_the_way
            and self.other.transport is not None
            and self.other._writable
        ):
            self._timer = self._loop.call_at(self._on_the_way[0][0], self._deliver)

    def _deliver(self) -> None:
        self._timer = None
        if self.other.transport is None:  # lost in the meantime
            self._on_the_way.clear()
            return
        now = self._loop.time()
        due: list[bytes] = []
        end: _End | None = None
        while end is None and self._on_the_way and self._on_the_way[0][0] <= now:
            _, item = self._on_the_way.popleft()
            if isinstance(item, _End):
                end = item
            else:
                due.append(item)
        if due:
            data = b"".join(due)
            self._octets -= len(data)
            self.other.transport.write(data)
        if not self._reading and self._octets <= BOUND // 2 and self.transport is not None:
            self._reading = True
            self.transport.resume_reading()
        if end is _End.FIN:
            self.other._finish()
        elif end is _End.RST:
            self.other.reset()
        self._arm()

    def _finish(self) -> None:
        assert self.transport is not None
        self._finished = True
        self.transport.write_eof()
        if self.other._finished:
            self._close()
            self.other._close()

    def _close(self) -> None:
        self._closed = True
        if self.transport is not None:
            self.transport.close()

    def reset(self) -> None:
        """Close with RST."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self.transport is not None:
            linger = struct.pack("ii", 1, 0)
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.transport.abort()


class Relay:
    """Listens on 127.0.0.1 and relays each connection. Use it as an async context manager.

    Opening a connection takes the delay once; a half-close and a reset are relayed like data.

    :param host: where to, a name or an address
    :param port: where to
    :param delay: seconds, in each direction
    :param listen: the port to listen on; 0 lets the system choose
    :ivar port: the port that the relay listens on
    :ivar most: the most octets that were on their way at a time in one direction of a connection
    :ivar full: set once a sender had to be held back
    """

    def __init__(self, host: str, port: int, delay: float, *, listen: int = 0) -> None:
        self.delay = delay
        self.host = "127.0.0.1"
        self.port = listen
        self.most = 0
        self.full = asyncio.Event()
        self._target = host, port
        self._sides: set[_Side] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "Relay":
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, self.host, self.port, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        left = list(self._sides)
        for side in left:
            side.reset()
        await asyncio.gather(*(side.lost for side in left))
        await self._server.wait_closed()

    def _accept(self) -> _Side:
        near, far = _Side(self), _Side(self)
        near.other, far.other = far, near
        task = asyncio.get_running_loop().create_task(self._connect(near, far))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return near

    async def _connect(self, near: _Side, far: _Side) -> None:
        await asyncio.sleep(self.delay)
        try:
            await asyncio.get_running_loop().create_connection(lambda: far, *self._target)
        except OSError:
            near.reset()


async def _main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.support.delay_relay", description="Prints its port, and relays."
    )
    parser.add_argument("--listen", type=int, default=0, metavar="PORT", help="0: any (default)")
    parser.add_argument("--to", required=True, metavar="HOST:PORT")
    parser.add_argument("--delay", type=float, required=True, metavar="SECONDS", help="in each direction")
    args = parser.parse_args()
    host, _, port = args.to.rpartition(":")
    async with Relay(host, int(port), args.delay, listen=args.listen) as relay:
        print(relay.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main())
