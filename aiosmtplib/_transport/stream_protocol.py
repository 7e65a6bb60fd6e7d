"""Streamed content: an exchange whose task pushes the content piece by piece, as the server wants it."""

from __future__ import annotations

import asyncio

from .._session import CHUNKS, Data, Exchange
from .base_protocol import BaseProtocol
from .exchange import AwaitedExchange


class StreamProtocol(BaseProtocol):
    """The exchanges on one connection, also those whose content is streamed."""

    async def wait_until_wanted(self, exchange: AwaitedExchange) -> bool:
        """Wait until the server wants content, or the next chunk. If it never does, the dialogue is over."""
        assert self._loop is not None
        while not (exchange.future.done() or exchange.wants_content):
            exchange.wanted = self._loop.create_future()
            if exchange.follows == CHUNKS:
                self._expect_reply(exchange.timeout)
            try:
                await exchange.wanted
            except asyncio.CancelledError:
                self.abandon(exchange)
                raise
        return not exchange.future.done()

    async def push(self, exchange: Exchange, data: Data, replies: int = 0, *, last: bool = False) -> None:
        """Write the next piece of streamed content, and wait until most of it has been written."""
        if exchange not in self._session:
            return
        self._session.push(exchange, data, replies, last=last)
        self._flush()
        self._deliver()
        if last:
            self._expect_reply(exchange.timeout)
        elif self._buffer.pending or self._paused:
            assert self._loop is not None
            self._expect_reply(exchange.timeout)
            self._drained = self._loop.create_future()
            try:
                await self._drained
            finally:
                self._drained = None
                self._deadline.at = None
