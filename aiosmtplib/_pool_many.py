"""What :meth:`SMTPPool.send_many` returns."""

import asyncio
from collections.abc import AsyncIterable, Iterable, Iterator
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

from ._envelope import Envelope, SendResult
from ._pool_crew import Crew
from ._pool_driver import Driver
from ._waiting import background

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
        driver: Driver,
        messages: "Iterable[Item] | AsyncIterable[Item]",
        window: int,
        timeout: float | None,
    ) -> None:
        self._crew: Crew | None = None
        self._feeding: asyncio.Task[None] | None = None
        self._closed = False
        if not isinstance(window, int):
            raise TypeError(f"The window is a number of messages, not {type(window).__name__}")
        if window < 1:
            raise ValueError(f"The window must hold at least one message, not {window}")
        if isinstance(messages, str | bytes | Envelope) or hasattr(messages, "get_all"):
            raise TypeError("send_many takes an iterable of messages, not a single one")
        self._driver = driver
        self._window = window
        self._timeout = timeout
        self._source = messages if isinstance(messages, AsyncIterable) else iter(messages)

    def __aiter__(self: Self) -> Self:
        return self

    async def __anext__(self) -> SendResult[Item]:
        if self._closed:
            raise StopAsyncIteration
        crew = self._crew or self._open()
        while True:
            if self._feeding is None:
                crew.fill(cast("Iterator[Item]", self._source))
            result = crew.take()
            if result is not None:
                return result
            if crew.finished:
                self._closed = True
                crew.give_up()
                if crew.source_error is not None:
                    raise crew.source_error
                raise StopAsyncIteration
            await crew.changed()

    def _open(self) -> Crew:
        crew = self._crew = Crew(self._driver, self._window, self._timeout)
        if isinstance(self._source, AsyncIterable):
            self._feeding = background(crew.feed(self._source))
        return crew

    async def aclose(self) -> list[SendResult[Item]]:
        """Pull and begin no more messages, and wait until those in flight have a verdict.

        :return: the results that were not handed out. Those that had not begun are ``NOT_SENT``.
        """
        self._closed = True
        crew = self._crew
        if crew is None:
            return []
        if self._feeding is not None:
            self._feeding.cancel()
            await asyncio.wait([self._feeding])
        crew.give_up()
        while crew.working:
            await crew.changed()
        unseen = list(crew.ready)
        crew.ready.clear()
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
        if self._crew is None or self._crew.loop.is_closed():
            return
        if self._feeding is not None:
            self._feeding.cancel()
        self._crew.give_up()
