"""Content that is not at hand as a whole: a binary file, or an iterable of pieces, sent in constant memory.

The task that sends pushes the pieces itself, once the server waits for them. A source that fails after the
server said 354 leaves only one way not to send half a mail, which is to drop the connection. With BDAT the
transaction is reset instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable
from contextvars import ContextVar
from typing import Any, Final, TypeAlias

from .._codec import DataEncoder
from .._session import PreparedMail
from .._session.transaction import Outcome, begin
from .._transport.exchange import AwaitedExchange, cancelled_before_sent
from .._transport.limit import Limit
from ..errors import SMTPException, SMTPReadTimeoutError
from ..protocol import SMTPProtocol
from .content import octets

#: Called with the number of bytes of the source that were written so far, and with their total or ``None``.
Progress: TypeAlias = Callable[[int, int | None], object]

#: In a task that sends one of many messages, the tag of that.
current_tag: Final[ContextVar[Any]] = ContextVar("current_tag", default=None)

#: How much of a file is read at a time, in bytes.
_CHUNK = 1 << 18


async def measure(message: Any, binary: bool) -> tuple[int | None, int | None]:
    """How long a source is: its own bytes, and those it has with CRLF line ends (RFC 1870 section 3).

    Only a file that can go back to where it was is measured: it is read once more for that, in a thread.
    """
    if isinstance(message, bytes | bytearray | memoryview):
        return _count([octets(message)], binary)
    seekable = getattr(message, "seekable", None)
    if not hasattr(message, "read") or seekable is None or not seekable():
        return None, None
    try:
        return await asyncio.get_running_loop().run_in_executor(None, _measure_file, message, binary)
    except asyncio.CancelledError as error:
        if _is_cancelled(True):
            raise
        raise unreadable(error) from error


def _measure_file(file: Any, binary: bool) -> tuple[int, int]:
    start = file.tell()
    try:
        return _count(iter(lambda: file.read(_CHUNK), b""), binary)
    finally:
        file.seek(start)


def _count(chunks: Iterable[bytes], binary: bool) -> tuple[int, int]:
    encoder = DataEncoder(dots=False)
    length = size = 0
    last = b""
    for whole in chunks:
        chunk = octets(whole)
        length += len(chunk)
        size += len(encoder.encode(chunk))
        last = chunk[-1:] or last
    if binary:
        return length, length
    return length, size + (0 if last in (b"\r", b"\n") else 2)


async def _pieces(message: Any) -> AsyncGenerator[bytes, None]:
    """The pieces of a source. A generator is closed at the end, also where it was not read to its own."""
    if isinstance(message, bytes | bytearray | memoryview):
        content = octets(message)
        for start in range(0, len(content), _CHUNK):
            yield content[start : start + _CHUNK]
    elif isinstance(message, AsyncIterable):
        iterator = aiter(message)
        try:
            async for chunk in iterator:
                yield chunk
        finally:
            if isinstance(iterator, AsyncGenerator):
                await iterator.aclose()
    elif hasattr(message, "read"):
        loop = asyncio.get_running_loop()
        while chunk := await loop.run_in_executor(None, message.read, _CHUNK):
            yield chunk
    else:
        try:
            for chunk in message:
                yield chunk
        finally:
            if isinstance(message, Generator):
                message.close()


class _WaitForPieces:
    """The pieces of a source. The wait for one ends when the server has gone away, or refuses the rest.

    :param over: done when the exchange is over
    :param interruptible: whether the source waits by itself, and not for a thread that reads a file on
    :ivar interrupted: whether the wait was ended
    """

    def __init__(
        self, pieces: AsyncGenerator[bytes, None], over: asyncio.Future[None], interruptible: bool
    ) -> None:
        self.interrupted = False
        self._pieces = pieces
        self._over = over
        self._waits = False
        self._task: Any = asyncio.current_task()
        if interruptible:
            over.add_done_callback(self.interrupt)

    def __aiter__(self) -> _WaitForPieces:
        return self

    async def __anext__(self) -> bytes:
        self._waits = True
        try:
            return await anext(self._pieces)
        finally:
            self._waits = False
            if self.interrupted and hasattr(self._task, "uncancel"):
                self._task.uncancel()

    def interrupt(self, _: object = None) -> None:
        """End the wait, if there is one."""
        if self._waits and not self.interrupted:
            self.interrupted = True
            self._task.cancel()


def unreadable(error: BaseException) -> SMTPException:
    """The error for a message whose source raised. The cause is to be what it raised."""
    failure = SMTPException(f"The message could not be read: {str(error) or type(error).__name__}")
    failure.phase = "body"
    return failure


async def push_content(
    protocol: SMTPProtocol,
    mail: PreparedMail,
    message: Any,
    total: int | None,
    progress: Progress | None,
    timeout: float | None,
    binary: bool,
    limit: Limit | None = None,
    pipeline: object = None,
) -> Outcome:
    """Run the transaction of ``mail``, whose content comes from ``message``.

    :param pipeline: what it shares the connection with, if anything
    :raises SMTPException: if the source or ``progress`` raises; the cause is what it raised
    """
    exchange = protocol.exchange(begin(mail, protocol.server), timeout, pipeline=pipeline)
    exchange.tag = current_tag.get()
    if limit is not None:
        exchange.limit = limit
        end_with(limit, protocol, exchange)
    protocol.submit(exchange)
    if await protocol.wait_until_wanted(exchange):
        encoder = DataEncoder(dots=not mail.chunked)
        sent = 0
        end = b""
        pieces = _pieces(message)
        waiting = _WaitForPieces(pieces, exchange.future, isinstance(message, AsyncIterable))
        if limit is not None:
            end_with(limit, protocol, exchange, waiting.interrupt)
        try:
            async for whole in waiting:
                piece = octets(whole)
                data = piece if binary else encoder.encode(piece)
                end = data[-1:] or end
                if mail.chunked and data:
                    await protocol.push(exchange, (b"BDAT %d\r\n" % len(data), data), 1)
                    if not mail.pipelined:
                        await protocol.wait_until_wanted(exchange)
                else:
                    await protocol.push(exchange, data)
                if exchange.future.done() or _refused(mail, exchange.replies):
                    break
                sent += len(piece)
                if progress is not None:
                    progress(sent, total)
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled(not waiting.interrupted):
                protocol.abandon(exchange)
                raise
            if not waiting.interrupted:
                await _end_early(protocol, exchange, mail)
                failure = unreadable(error)
                protocol.attach_transcript(failure)
                raise failure from error
        except BaseException:
            protocol.abandon(exchange)
            raise
        finally:
            await pieces.aclose()
        if not mail.chunked:
            await protocol.push(exchange, encoder.finish(), last=True)
        elif _refused(mail, exchange.replies):
            mail.aborted = True
            protocol.push_reset(exchange)
        elif binary or end == b"\n":
            await protocol.push(exchange, b"BDAT 0 LAST\r\n", 1, last=True)
        else:  # as by DATA, the last line has an end
            await protocol.push(exchange, b"BDAT 2 LAST\r\n\r\n", 1, last=True)
    outcome: Outcome = await protocol.wait_for(exchange)
    return outcome


def end_with(
    limit: Limit,
    protocol: SMTPProtocol,
    exchange: AwaitedExchange,
    then: Callable[[], object] | None = None,
) -> None:
    """Let a limit end a transaction when it has passed: so that the verdict is known.

    :param then: called after that
    :raises SMTPServerDisconnected: if it has passed, as it may between two transactions of one message
    """
    if limit.passed:
        raise cancelled_before_sent()

    def end() -> None:
        protocol.give_up(exchange, SMTPReadTimeoutError("The deadline of a message passed"))
        if then is not None:
            then()

    limit.end = end


def _is_cancelled(otherwise: bool) -> bool:
    """Whether this task was cancelled, and not what a source waits for.

    :param otherwise: the answer on Python 3.10, which cannot tell
    """
    cancelling = getattr(asyncio.current_task(), "cancelling", None)
    return otherwise if cancelling is None else cancelling() > 0


def _refused(mail: PreparedMail, replies: list[Any]) -> bool:
    # RFC 3030 section 2: after a refused chunk no other may be sent.
    return mail.chunked and any(reply[0] >= 300 for reply in replies)


async def _end_early(protocol: SMTPProtocol, exchange: Any, mail: PreparedMail) -> None:
    if not mail.chunked:
        # The server has half a message and takes whatever comes next for more of it.
        protocol.abandon(exchange)
        return
    mail.aborted = True
    protocol.push_reset(exchange)
    try:
        await protocol.wait_for(exchange)
    except SMTPException:
        pass  # why the message was given up says more
