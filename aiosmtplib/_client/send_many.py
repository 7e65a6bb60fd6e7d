"""The results of ``send_many``: what the caller of :meth:`SMTP.send_many` or the pool's iterates over."""

from __future__ import annotations

import asyncio
from asyncio import get_running_loop as running_loop
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Generic, TypeVar

from .._transport.wakeup import background
from ..errors import SMTPServerDisconnected
from .bulk import MessageWindow
from .error_context import gives_up
from .results import Envelope, SendResult

Item = TypeVar("Item")
Self = TypeVar("Self", bound="SendMany[Any]")


class SendMany(Generic[Item]):
    """The results of ``send_many``: an asynchronous iterator, for one task at a time.

    Messages are pulled and begun while the caller waits for a result. Once it has left the loop nothing more
    is, and what is in flight is finished; :meth:`aclose` waits for that. A caller that was cancelled waits
    for nothing.

    :param size: at most this many messages are pulled and not yet handed back
    :param open_window: makes what they are sent by, when the first result is asked for
    """

    def __init__(
        self,
        messages: Iterable[Item] | AsyncIterable[Item],
        size: int,
        open_window: Callable[[], Awaitable[MessageWindow]],
    ) -> None:
        #: Called with each result that is handed out.
        self.on_result: Callable[[SendResult[Item]], object] | None = None
        self._window: MessageWindow | None = None
        self._feeding: asyncio.Task[None] | None = None
        self._asked = False
        self._closed = False
        if not isinstance(size, int):
            raise TypeError(f"The window is a number of messages, not {type(size).__name__}")
        if size < 1:
            raise ValueError(f"The window must hold at least one message, not {size}")
        if isinstance(messages, str | bytes | Envelope) or hasattr(messages, "get_all"):
            raise TypeError("send_many takes an iterable of messages, not a single one")
        self._open_window = open_window
        self._waits = hasattr(messages, "__aiter__")
        source: Any = messages if self._waits else iter(messages)  # type: ignore[arg-type]
        self._source = source

    def __aiter__(self: Self) -> Self:
        return self

    async def __anext__(self) -> SendResult[Item]:
        if self._asked:
            raise RuntimeError("Another task waits for the next of these results already")
        if self._closed:
            raise StopAsyncIteration
        window = self._window
        if window is not None and window.loop is not running_loop() and window.loop.is_closed():
            self._closed = True
            raise SMTPServerDisconnected("The event loop of these messages has ended")
        self._asked = True
        try:
            if window is None:
                window = await self._opened()
            window.attend()
            while not window.withdrawn:
                if self._feeding is None and not window.exhausted:
                    window.fill(self._source)
                result = window.take()
                if result is not None:
                    if self.on_result is not None:
                        self.on_result(result)
                    return result
                if window.exhausted and window.drained:
                    self._closed = True
                    window.withdraw()
                    _raise_what_the_source_raised(window)
                else:
                    await window.changed()
            raise StopAsyncIteration
        finally:
            self._asked = False
            if window is not None:
                window.attended = False

    async def _opened(self) -> MessageWindow:
        window = await self._open_window()
        if self._closed:  # meanwhile
            window.withdraw()
        else:
            self._window = window
            if self._waits:
                self._feeding = background(window.feed(self._source))
        return window

    async def aclose(self) -> list[SendResult[Item]]:
        """Pull and begin no more messages, and wait until those in flight have a verdict.

        A task that waits for the next result learns that there is none. If the source of the messages raises
        while it is closed, that is raised, and the results are left for another call.

        :return: the results that were not handed out, once. Those that had not begun are ``NOT_SENT``.
        :raises RuntimeError: if called by the content of one of the messages, which would wait for itself
        """
        self._closed = True
        window = self._window
        if window is None:
            return []
        if window.loop.is_closed():  # what was in flight can have no verdict any more
            return window.take_all()
        window.withdraw()
        task = asyncio.current_task()
        if window.is_sent_by(task):
            raise RuntimeError("The content of a message cannot wait until it has been sent")
        try:
            if self._feeding is not None and self._feeding is not task:
                self._feeding.cancel()
                await asyncio.wait([self._feeding])
            while not window.settled:
                await window.changed()
        except asyncio.CancelledError:
            self._abandon()
            raise
        _raise_what_the_source_raised(window)
        return window.take_all()

    def _abandon(self) -> None:
        """End at once what takes anything from the caller. Whole messages that are in flight arrive."""
        self._closed = True
        window = self._window
        if window is not None and not window.loop.is_closed():
            window.withdraw()
            if self._feeding is not None:
                self._feeding.cancel()
            window.stop_streams()

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if gives_up(exc):
            self._abandon()
        else:
            await self.aclose()

    def __del__(self) -> None:
        if self._window is None or self._window.withdrawn or self._window.loop.is_closed():
            return
        self._window.withdraw()
        if self._feeding is not None:
            self._feeding.cancel()


def _raise_what_the_source_raised(window: MessageWindow) -> None:
    error, window.source_error = window.source_error, None
    if error is not None:
        raise error
