"""Many messages over one connection: pulled when there is room, pipelined, each with a result of its own.

The messages of one call share a *pipeline*: the exchange of one begins as soon as the one before it has
written all it will, so that the content of a message and the commands of the next go out together (RFC 2920
section 3.1), or with BDAT whole transactions back to back (RFC 3030). What is in flight is bounded by the
window.

:class:`SendMany` is what the caller holds. When it goes away, messages that have not begun are not sent.
"""

import asyncio
from collections.abc import AsyncIterable, Iterable, Iterator
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

from .._transport.wakeup import background
from .pipeline import Pipeline
from .results import Envelope, SendResult
from .sending import Sending

Item = TypeVar("Item")
Self = TypeVar("Self", bound="SendMany[Any]")


class SendMany(Generic[Item]):
    """The results of :meth:`SMTP.send_many`: an asynchronous iterator, in the order of the messages.

    Messages are pulled while the caller iterates. Leaving the loop early leaves what is in flight to be
    finished, and sends nothing more; :meth:`aclose` waits for that.

    :param window: at most this many messages are pulled and not yet handed back
    :param timeout: seconds for each reply, or ``None`` for no limit
    """

    def __init__(
        self,
        client: Sending,
        messages: "Iterable[Item] | AsyncIterable[Item]",
        window: int,
        timeout: float | None,
    ) -> None:
        self._pipeline: Pipeline | None = None
        self._feeding: asyncio.Task[None] | None = None
        self._closed = False
        if not isinstance(window, int):
            raise TypeError(f"The window is a number of messages, not {type(window).__name__}")
        if window < 1:
            raise ValueError(f"The window must hold at least one message, not {window}")
        if isinstance(messages, str | bytes | Envelope) or hasattr(messages, "get_all"):
            raise TypeError("send_many takes an iterable of messages, not a single one")
        self._client = client
        self._window = window
        self._timeout = timeout
        self._source = messages if isinstance(messages, AsyncIterable) else iter(messages)

    def __aiter__(self: Self) -> Self:
        return self

    async def __anext__(self) -> SendResult[Item]:
        if self._closed:
            raise StopAsyncIteration
        pipeline = self._pipeline or await self._open()
        while True:
            if self._feeding is None:
                pipeline.fill(cast("Iterator[Item]", self._source))
            result = pipeline.take()
            if result is not None:
                return result
            if pipeline.exhausted and pipeline.empty:
                self._closed = True
                if pipeline.source_error is not None:
                    raise pipeline.source_error
                raise StopAsyncIteration
            await pipeline.changed()

    async def aclose(self) -> list[SendResult[Item]]:
        """Pull and begin no more messages, and wait until those in flight have a verdict.

        :return: the results that were not handed out, in the order of the messages. Those that had not begun
            are ``NOT_SENT``.
        """
        self._closed = True
        pipeline = self._pipeline
        if pipeline is None:
            return []
        if self._feeding is not None:
            self._feeding.cancel()
            await asyncio.wait([self._feeding])
        pipeline.withdraw()
        unseen = []
        while not pipeline.empty:
            result = pipeline.take()
            if result is None:
                await pipeline.changed()
            else:
                unseen.append(result)
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
        if self._pipeline is None or self._pipeline.loop.is_closed():
            return
        if self._feeding is not None:
            self._feeding.cancel()
        self._pipeline.withdraw()

    async def _open(self) -> Pipeline:
        protocol = await self._client._introduced()
        pipeline = self._pipeline = Pipeline(self._client, protocol, self._window, self._timeout)
        if isinstance(self._source, AsyncIterable):
            self._feeding = background(pipeline.feed(self._source))
        return pipeline
