"""The byte stream under a scripted peer: a raw socket, and TLS by hand over ``ssl.MemoryBIO``.

No transport of asyncio's is in the way, so every byte and every close is the test's own decision, on each
event loop alike.
"""

import asyncio
import socket
import ssl
import struct

__all__ = ("Hangup", "Wire")


class Hangup(Exception):
    """The client closed the connection (or lost it)."""


class Wire:
    """One connection, as bytes that were received and bytes to send."""

    def __init__(self, sock: socket.socket) -> None:
        self.received = bytearray()  # decrypted, complete, in order
        self.encrypted = False
        self.client_certificate: bytes | None = None
        self._sock = sock
        self._buffer = bytearray()
        self._tls: ssl.SSLObject | None = None
        self._tls_in = ssl.MemoryBIO()
        self._tls_out = ssl.MemoryBIO()

    async def send(self, data: bytes) -> None:
        """Write bytes exactly as given."""
        loop = asyncio.get_running_loop()
        try:
            if self._tls is not None:
                self._tls.write(data)
                data = self._tls_out.read()
            await loop.sock_sendall(self._sock, data)
        except OSError as exc:
            raise Hangup from exc

    @property
    def unread(self) -> bytes:
        """What was received and not yet read."""
        return bytes(self._buffer)

    async def ahead(self, data: bytes) -> None:
        """Wait until this is among what was received and not yet read; leave it there."""
        while data not in self._buffer:
            await self._fill()

    async def read_line(self) -> bytes:
        """The next line without its CRLF."""
        while (end := self._buffer.find(b"\r\n")) < 0:
            await self._fill()
        return self._read(end + 2)[:-2]

    async def read_text(self) -> bytes:
        """Message text as it is on the wire, up to and including the lone dot."""
        scanned = 0
        while not self._buffer.startswith(b".\r\n"):
            end = self._buffer.find(b"\r\n.\r\n", max(0, scanned - 5))
            if end >= 0:
                return self._read(end + 5)
            scanned = len(self._buffer)
            await self._fill()
        return self._read(3)

    async def read_octets(self, size: int) -> bytes:
        """Exactly this much."""
        while len(self._buffer) < size:
            await self._fill()
        return self._read(size)

    async def read_any(self) -> bytes:
        """What there is, at least an octet."""
        if not self._buffer:
            await self._fill()
        return self._read(len(self._buffer))

    def _read(self, size: int) -> bytes:
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    async def read_some(self, size: int) -> None:
        """Read at least this much more, whatever it is."""
        end = len(self.received) + size
        while len(self.received) < end:
            await self._fill()

    async def drain(self) -> None:
        """Read, and keep, until the client closes."""
        while True:
            await self._fill()

    def finish(self) -> None:
        """Close our direction (FIN)."""
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as exc:
            raise Hangup from exc

    async def cut(self) -> None:
        """FIN, then wait for the client to close its own direction."""
        self.finish()
        await self.drain()

    def reset(self) -> None:
        """Close with RST."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()
        raise Hangup

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """A real handshake, on what the client sends next."""
        tls = context.wrap_bio(self._tls_in, self._tls_out, server_side=True)
        self._tls_in.write(bytes(self._buffer))
        self._buffer.clear()
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                await self._flush()
                self._tls_in.write(await self._recv())
            except ssl.SSLError as exc:
                await self._flush()
                raise Hangup from exc
            else:
                break
        await self._flush()
        self._tls = tls
        self.encrypted = True
        self.client_certificate = tls.getpeercert(binary_form=True)

    async def _recv(self) -> bytes:
        try:
            data = await asyncio.get_running_loop().sock_recv(self._sock, 65536)
        except OSError as exc:
            raise Hangup from exc
        if not data:
            raise Hangup
        return data

    async def _flush(self) -> None:
        if data := self._tls_out.read():
            try:
                await asyncio.get_running_loop().sock_sendall(self._sock, data)
            except OSError as exc:
                raise Hangup from exc

    async def _fill(self) -> None:
        """Wait for more, at least a byte; Hangup where there is no more."""
        if self._tls is None:
            self._take(await self._recv())
            return
        while True:
            try:
                data = self._tls.read(65536)
                if not data:  # the client's close_notify: answer it, or an orderly client waits for ours
                    self._tls.unwrap()
                    await self._flush()
                    raise Hangup
            except ssl.SSLWantReadError:
                await self._flush()
                self._tls_in.write(await self._recv())
            except ssl.SSLError as exc:
                raise Hangup from exc
            else:
                self._take(data)
                return

    def _take(self, data: bytes) -> None:
        self.received += data
        self._buffer += data

    def close(self) -> None:
        self._sock.close()
