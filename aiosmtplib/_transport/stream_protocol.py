"""Streamed content: an exchange whose task pushes the content piece by piece, as the server wants it."""

from __future__ import annotations

from .._session import MORE, STREAM, Data, Exchange
from .._session.transaction import RSET
from .base_protocol import BaseProtocol
from .wakeup import wake


class StreamProtocol(BaseProtocol):
    """The exchanges on one connection, also those whose content is streamed."""

    async def push(self, exchange: Exchange, data: Data, replies: int = 0, *, last: bool = False) -> None:
        """Write the next piece of streamed content, and wait until most of it has been written."""
        if exchange not in self._session:
            return
        self._attribute(exchange)
        self._session.push(exchange, data, replies, last=last)
        self.flush()
        self._deliver()
        if last:
            self.expect_reply(exchange)
        elif self.pending or self._paused:
            assert self._loop is not None
            self.expect_reply(exchange)
            self._drained = self._loop.create_future()
            try:
                await self._drained
            finally:
                self._drained = None
                self._deadline.at = None

    def push_reset(self, exchange: Exchange) -> None:
        """Write RSET in place of the last chunk of content that is given up."""
        if exchange not in self._session:
            return
        self._attribute(exchange)
        self._session.push(exchange, RSET, 1, last=True)
        exchange.follows = MORE  # the reply is not one to content
        self.flush()
        self._deliver()
        self.expect_reply(exchange)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.pending:
            self._write_pending()
        head = self._session.head
        if head is not None and (head.follows < STREAM or self._drained is not None):
            self.expect_reply(head)  # the server is slow, not dead
        if not self.pending:
            wake(self._drained)
