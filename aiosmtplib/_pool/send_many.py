"""What :meth:`SMTPPool.send_many` returns."""

import asyncio
from collections.abc import AsyncIterable, Iterable, Iterator
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

from .._client.results import Envelope, SendResult
from .._transport.wakeup import background
from .dispatcher import Dispatcher
from .manager import ConnectionManager

Item = TypeVar("Item")
Self = TypeVar("Self", bound="PoolSendMany[Any]")


class PoolSendMany(Generic[Item]):
    """The results of :meth:`SMTPPool.send_many`: an asynchronous iterator, in the order in which they come.

    Messages are pulled while the caller iterates. Leaving the loop early leaves what is in flight to be
    finished, and sends nothing more; :meth:`aclose` waits for that.

    :param window: at most this many messages are pulled and not yet handed back
    :param timeout: seconds for each reply, or ``None`` for no limit
    """

    def __init__(
        self,
        manager: ConnectionManager,
        messages: "Iterable[Item] | AsyncIterable[Item]",
        window: int,
        timeout: float | None,
    ) -> None:
        self._dispatcher: Dispatcher | None = None
        self._feeding: asyncio.Task[None] | None = None
        self._closed = False
        if not isinstance(window, int):
            raise TypeError(f"The window is a number of messages, not {type(window).__name__}")
        if window < 1:
            raise ValueError(f"The window must hold at least one message, not {window}")
        if isinstance(messages, str | bytes | Envelope) or hasattr(messages, "get_all"):
            raise TypeError("send_many takes an iterable of messages, not a single one")
        self._manager = manager
        self._window = window
        self._timeout = timeout
        self._source = messages if isinstance(messages, AsyncIterable) else iter(messages)

    def __aiter__(self: Self) -> Self:
        return self

    async def __anext__(self) -> SendResult[Item]:
        if self._closed:
            raise StopAsyncIteration
        dispatcher = self._dispatcher or self._open()
        while True:
            if self._feeding is None:
                dispatcher.fill(cast("Iterator[Item]", self._source))
            result = dispatcher.take()
            if result is not None:
                return result
            if dispatcher.finished:
                self._closed = True
                dispatcher.give_up()
                if dispatcher.source_error is not None:
                    raise dispatcher.source_error
                raise StopAsyncIteration
            await dispatcher.changed()

    def _open(self) -> Dispatcher:
        dispatcher = self._dispatcher = Dispatcher(self._manager, self._window, self._timeout)
        if isinstance(self._source, AsyncIterable):
            self._feeding = background(dispatcher.feed(self._source))
        return dispatcher

    async def aclose(self) -> list[SendResult[Item]]:
        """Pull and begin no more messages, and wait until those in flight have a verdict.

        :return: the results that were not handed out. Those that had not begun are ``NOT_SENT``.
        """
        self._closed = True
        dispatcher = self._dispatcher
        if dispatcher is None:
            return []
        if self._feeding is not None:
            self._feeding.cancel()
            await asyncio.wait([self._feeding])
        dispatcher.give_up()
        while dispatcher.working:
            await dispatcher.changed()
        unseen = list(dispatcher.ready)
        dispatcher.ready.clear()
        return unseen

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if self._dispatcher is None or self._dispatcher.loop.is_closed():
            return
        if self._feeding is not None:
            self._feeding.cancel()
        self._dispatcher.give_up()
