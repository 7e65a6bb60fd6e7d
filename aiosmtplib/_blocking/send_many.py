"""Many messages from a thread: pulled there, sent by the event loop, and their results handed back."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from typing import Any, Final, Generic, TypeVar

from .._client.results import SendResult
from .._client.send_many import SendMany
from .thread import Call, Flag, LoopThread

Item = TypeVar("Item")

#: So many messages are handed to the event loop at a time.
_BATCH: Final = 32


class _Source(Generic[Item]):
    """The messages that were handed over: an asynchronous iterator, which waits for more."""

    def __init__(self) -> None:
        self._messages: deque[Item] = deque()
        self._ended = False
        self._more = asyncio.Event()

    def put(self, messages: list[Item], ended: bool) -> None:
        self._messages += messages
        self._ended = ended
        self._more.set()

    def __aiter__(self) -> _Source[Item]:
        return self

    async def __anext__(self) -> Item:
        while not self._messages:
            if self._ended:
                raise StopAsyncIteration
            self._more.clear()
            await self._more.wait()
        return self._messages.popleft()


def iterate(
    thread: Callable[[], LoopThread],
    send_many: Callable[[Any], SendMany[Item]],
    messages: Iterable[Item],
    window: int,
) -> Generator[SendResult[Item], None, None]:
    """Yield the results of messages.

    :param thread: returns the thread of the process
    :param send_many: begins to send what an asynchronous iterator yields
    :param window: at most this many are pulled and not yet handed back
    """
    loop_thread = thread()
    loop_thread.check_caller()
    source: _Source[Item] = _Source()
    results = send_many(source)
    ready: deque[SendResult[Item]] = deque()
    news = Flag()

    telling = False

    def tell() -> None:
        nonlocal telling
        telling = False
        news.set()

    async def collect() -> None:
        nonlocal telling
        async with results:
            async for result in results:
                ready.append(result)
                if not telling:
                    telling = True
                    loop_thread.loop.call_soon(tell)  # after those that come with it

    call = Call(collect(), news)
    held = 0
    error: Exception | None = None
    iterator = iter(messages)
    ended = False
    try:
        loop_thread.begin(call)
        while ready or not call.is_done():
            if ready:
                held -= 1
                yield ready.popleft()
                continue
            if ended or held >= window:
                news.wait()
                continue
            batch: list[Item] = []
            try:
                while held < window and len(batch) < _BATCH:
                    batch.append(next(iterator))
                    held += 1
                    # Else the loop waits for the interpreter's lock while the source works, 5 ms at a time.
                    time.sleep(0)
            except StopIteration:
                ended = True
            except Exception as raised:
                error, ended = raised, True
            loop_thread.loop.call_soon_threadsafe(source.put, batch, ended)
        call.result()
    except GeneratorExit:
        try:
            loop_thread.run(results.aclose())
        except RuntimeError:  # this thread cannot wait: it is that of the loop, or the interpreter exits
            loop_thread.cancel(call)
        raise
    except BaseException:
        loop_thread.cancel(call)
        raise
    if error is not None:
        raise error
