"""A look at the wire: what went from the client to a real server, and when it had to wait for an answer.

That a message arrives says nothing of how it was sent. These are plain connections, relayed in order.
"""

import asyncio
from types import TracebackType

__all__ = ("Tap",)


class Tap:
    """Relays connections to a port of 127.0.0.1. Use it as an async context manager.

    :ivar port: the port to connect to instead
    :ivar turns: what the client sent, in pieces: a new one begins where the server had answered
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._tasks: list[asyncio.Task[None]] = []
        self._answered = True
        self.turns: list[bytes] = []
        self.port = 0

    async def __aenter__(self) -> "Tap":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def turn(self, start: bytes) -> bytes:
        """The one piece that begins with this command, in whatever case."""
        (found,) = (turn for turn in self.turns if turn.upper().startswith(start))
        return found

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A task of our own: that of asyncio's complains when it is cancelled.
        self._tasks.append(asyncio.create_task(self._relay(reader, writer)))

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            ends.append(far_writer)
            await asyncio.gather(self._copy(reader, far_writer, True), self._copy(far_reader, writer, False))
        finally:
            for end in ends:
                end.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bool) -> None:
        while data := await reader.read(65536):
            if not sent:
                self._answered = True
            elif self._answered:
                self._answered = False
                self.turns.append(data)
            else:
                self.turns[-1] += data
            writer.write(data)
            await writer.drain()
        writer.write_eof()
