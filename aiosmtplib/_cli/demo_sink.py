"""The server of ``aiosmtplib demo``: takes every message, keeps none, and does as little as it can for it.

A program of its own: it imports nothing of the package, so that it starts at once.
"""

from __future__ import annotations

import asyncio
import sys
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

EXTENSIONS = b"250-localhost\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-8BITMIME\r\n250 SIZE\r\n"
REPLIES = {
    b"EHLO": EXTENSIONS,
    b"HELO": b"250 localhost\r\n",
    b"MAIL": b"250 2.1.0 Ok\r\n",
    b"RCPT": b"250 2.1.5 Ok\r\n",
    b"DATA": b"354 Go on\r\n",
    b"RSET": b"250 2.0.0 Ok\r\n",
    b"NOOP": b"250 2.0.0 Ok\r\n",
    b"QUIT": b"221 2.0.0 Bye\r\n",
}
UNKNOWN = b"500 5.5.2 What?\r\n"
TAKEN = b"250 2.0.0 Ok\r\n"
END = b"\r\n.\r\n"


class Sink(asyncio.Protocol):
    """A connection of the server.

    :cvar messages: how many messages came by all connections
    """

    messages = 0
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        #: What was received and is no whole command yet, or may be a part of the end of the content.
        self._rest = b""
        self._in_content = False
        #: Octets to come of a chunk (RFC 3030), and whether it is the last one of its message.
        self._chunk = 0
        self._is_last = False
        transport.write(b"220 localhost\r\n")

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        replies: list[bytes] = []
        position = 0
        while (after := self._take(data, position, replies)) > position:
            position = after
        self._rest = data[position:]
        if replies:
            self.transport.write(b"".join(replies))
            if replies[-1] is REPLIES[b"QUIT"]:
                self.transport.close()

    def _take(self, data: bytes, position: int, replies: list[bytes]) -> int:
        """Take a command, a chunk or some content.

        :return: where it ends; ``position`` if it is not there yet
        """
        if self._chunk:
            taken = min(self._chunk, len(data) - position)
            self._chunk -= taken
            if not self._chunk:
                self._finish(replies, self._is_last)
            return position + taken
        end = data.find(END if self._in_content else b"\r\n", position)
        if self._in_content:
            if end < 0:
                return max(position, len(data) - len(END) + 1)
            self._in_content = False
            self._finish(replies, True)
            return end + len(END)
        if end < 0:
            return position
        verb = data[position : position + 4].upper()
        if verb == b"BDAT":
            words = data[position:end].upper().split()
            self._chunk, self._is_last = int(words[1]), words[-1] == b"LAST"
            if not self._chunk:
                self._finish(replies, self._is_last)
        else:
            replies.append(REPLIES.get(verb, UNKNOWN))
            self._in_content = verb == b"DATA"
        # The content may be but a dot: the end of this line is the first half of its end.
        return end if self._in_content else end + 2

    def _finish(self, replies: list[bytes], last: bool) -> None:
        Sink.messages += last
        replies.append(TAKEN)


async def serve(stdin: IO[str], stdout: IO[str], tls: ssl.SSLContext | None = None) -> None:
    """Serve until the end of ``stdin``. Write the port, and at the end how many messages came.

    :param tls: for TLS from the first byte
    """
    before = Sink.messages
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0, ssl=tls)
    async with server:
        print(server.sockets[0].getsockname()[1], file=stdout, flush=True)
        await asyncio.to_thread(stdin.read)
    print(Sink.messages - before, file=stdout, flush=True)


if __name__ == "__main__":
    asyncio.run(serve(sys.stdin, sys.stdout))
