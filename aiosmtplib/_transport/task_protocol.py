"""Exchanges as tasks see them: handed over, waited for, and ended before their time."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from .._session import CHUNKS, Dialogue, Exchange
from ..errors import SMTPException
from .base_protocol import BaseProtocol
from .exchange import AwaitedExchange, abandoned, cancelled_before_sent

T = TypeVar("T")


class TaskProtocol(BaseProtocol):
    """The exchanges on one connection, for the tasks and pipelines that they belong to."""

    async def run(
        self,
        dialogue: Dialogue[T],
        timeout: float | None,
        *,
        reserve: bool = False,
        upgrade: bool = False,
    ) -> T:
        """Run a dialogue to its end, after those that were there before it.

        :param timeout: seconds for each reply, or ``None`` for no limit
        :param reserve: whether a 3yz reply asks for more, and so reserves the connection for this task
        :param upgrade: whether a 220 is to be followed by a TLS handshake
        :raises SMTPServerDisconnected: if the connection is, or gets, lost
        :raises SMTPReadTimeoutError: after ``timeout``; the connection is closed
        """
        exchange = self.exchange(dialogue, timeout, reserve=reserve, upgrade=upgrade)
        self.submit(exchange)
        result: T = await self.wait_for(exchange)
        return result

    def exchange(
        self,
        dialogue: Dialogue[Any],
        timeout: float | None,
        *,
        reserve: bool = False,
        upgrade: bool = False,
        pipeline: object = None,
    ) -> AwaitedExchange:
        """A dialogue for :meth:`submit` and :meth:`wait_for`. The options are those of :meth:`run`."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        exchange = AwaitedExchange(dialogue, timeout, pipeline)
        exchange.future = self._loop.create_future()
        exchange.owner = asyncio.current_task() if reserve else None
        exchange.upgrade = upgrade
        exchange.reserves = reserve or upgrade
        exchange.wanted = None
        return exchange

    async def wait_for(self, exchange: AwaitedExchange) -> Any:
        """Wait for the end of a dialogue. If the task is cancelled here, the dialogue is abandoned."""
        try:
            await exchange.future
        except asyncio.CancelledError:
            self.abandon(exchange)
            raise
        if exchange.error is not None:
            raise exchange.error
        return exchange.result

    async def wait_until_wanted(self, exchange: AwaitedExchange) -> bool:
        """Wait until the server wants content, or the next chunk. If it never does, the dialogue is over."""
        assert self._loop is not None
        while not (exchange.future.done() or exchange.wants_content):
            exchange.wanted = self._loop.create_future()
            if exchange.follows == CHUNKS:
                self.expect_reply(exchange)
            try:
                await exchange.wanted
            except asyncio.CancelledError:
                self.abandon(exchange)
                raise
        return not exchange.future.done()

    def abandon(self, exchange: AwaitedExchange) -> None:
        """End an exchange whose task was cancelled. A connection out of step is never used again."""
        error = abandoned()
        holder = self if exchange.upgrade else asyncio.current_task()
        if not self.give_up(exchange, error) and self._reserved_for is holder:
            self._lose(error)

    def give_up(self, exchange: Exchange, error: SMTPException) -> bool:
        """End an exchange with this error, and with it the connection, unless it has not begun.

        :return: whether it was not over
        """
        if exchange in self._waiting:
            self._withdraw([exchange], error)
        elif exchange in self._session:
            self._lose(error)
        else:
            return False
        return True

    def take_out(self, exchange: Exchange) -> None:
        """Let an exchange that has not begun wait here no more. Nobody is told."""
        self._waiting.remove(exchange)
        exchange.dialogue.close()

    # -- pipelines -----------------------------------------------------------------------------------

    def withdraw(self, pipeline: object) -> None:
        """End the exchanges of a pipeline that have not begun."""
        self._withdraw(self._waiting.of(pipeline))

    def is_running(self, pipeline: object) -> bool:
        """Whether an exchange of this pipeline has begun and is not over."""
        return any(exchange.pipeline is pipeline for exchange in self._session.running)

    def take_back(self, pipeline: object) -> list[Exchange]:
        """The exchanges of a pipeline that have not begun. They do not wait here any more."""
        exchanges = self._waiting.of(pipeline)
        for exchange in exchanges:
            self.take_out(exchange)
        return exchanges

    def _withdraw(self, exchanges: list[Exchange], error: SMTPException | None = None) -> None:
        for exchange in exchanges:
            self._waiting.remove(exchange)
        for exchange in exchanges:
            exchange.dialogue.close()
            exchange.error = reason = error or cancelled_before_sent()
            self.attach_transcript(reason)
            exchange.on_done()
