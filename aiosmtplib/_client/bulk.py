"""Sending many messages: pulled when there is room, bounded on their way, each with a result of its own.

What :meth:`SMTP.send_many` and :meth:`SMTPPool.send_many` have in common. :class:`SendMany` is what the
caller iterates over; a :class:`MessageWindow` holds the messages that were pulled and not yet handed back,
and puts each into a :class:`MessageExchange` on a connection.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Final, Generic, TypeGuard, TypeVar

from .._envelope.commands import EnvelopeCommands
from .._session import Exchange
from .._session.mail import PreparedMail
from .._session.transaction import begin
from .._transport.wakeup import CoalescingEvent, background, wake
from ..errors import SMTPServerDisconnected
from ..protocol import SMTPProtocol
from ..status import Delivery
from .compose import Composer, envelope_of
from .content import MessageKind, kind_of, octets_of
from .error_context import gives_up
from .results import Envelope, SendResult, failed

Item = TypeVar("Item")
Self = TypeVar("Self", bound="SendMany[Any]")

#: What may be in flight on a connection, in bytes of content, unless one message alone is larger.
MAX_BYTES: Final = 1 << 20


class QueuedMessage:
    """A message that was pulled.

    :ivar index: its place among the messages, from 0
    :ivar item: the message or envelope, as it came
    :ivar result: what became of it, or ``None`` until that is known
    """

    __slots__ = ("index", "item", "result")

    def __init__(self, index: int, item: Any) -> None:
        self.index = index
        self.item = item
        self.result: SendResult[Any] | None = None


class MessageExchange(Exchange):
    """One of many messages on a connection.

    :ivar window: its :meth:`MessageWindow.message_done` is called when it is over
    :ivar message: the message
    :ivar size: octets of its content
    """

    __slots__ = ("message", "size", "window")

    def __init__(
        self,
        window: MessageWindow,
        message: Any,
        mail: PreparedMail,
        protocol: SMTPProtocol,
        timeout: float | None,
        pipeline: object,
    ) -> None:
        super().__init__(begin(mail, protocol.server), timeout, pipeline)
        content = mail.content
        self.window = window
        self.message = message
        self.size = len(content) if isinstance(content, bytes) else sum(map(len, content or ()))

    def on_done(self) -> None:
        self.window.message_done(self)

    def to_result(self) -> SendResult[Any]:
        """What became of the message, once the exchange is over."""
        message = self.message
        if isinstance(self.error, Exception):
            return failed(message.index, message.item, self.error)
        refused, response = self.result
        return SendResult(message.index, message.item, Delivery.DELIVERED, response, refused, None)


class MessageWindow(ABC):
    """The messages of one ``send_many`` that were pulled and not yet handed back.

    :param size: at most so many
    :param timeout: seconds for each reply, or ``None`` for no limit
    :ivar exhausted: whether no more will be pulled
    :ivar source_error: what the source of the messages raised, or ``None``
    :ivar withdrawn: whether those that have not begun are not to be sent
    """

    #: What a message that was pulled is kept in.
    message_class = QueuedMessage

    def __init__(self, size: int, timeout: float | None) -> None:
        self.loop = asyncio.get_running_loop()
        self.exhausted = False
        self.withdrawn = False
        self.source_error: Exception | None = None
        self.size = size
        self.timeout = timeout
        self._count = 0
        #: Those that were pulled and not yet handed back.
        self.held = 0
        #: Their results, as far as they can be handed back.
        self.ready: deque[SendResult[Any]] = deque()
        self.feeder: asyncio.Future[None] | None = None
        self.consumer = CoalescingEvent(self.loop)

    # -- what a kind of window decides ---------------------------------------------------------------

    @abstractmethod
    def _has_room(self) -> bool:
        """Whether one more message may be pulled."""

    @abstractmethod
    def _put(self, message: Any) -> None:
        """Take a message that was pulled, and see to it that its result gets among those that are ready."""

    @abstractmethod
    def _put_stream(self, message: Any) -> None:
        """The same for one whose content comes in pieces."""

    @abstractmethod
    def message_done(self, exchange: MessageExchange) -> None:
        """Called when a message is over."""

    @abstractmethod
    def withdraw(self) -> None:
        """Do not send what has not begun."""

    @abstractmethod
    def stop_streams(self) -> None:
        """Read no content any further that comes in pieces: its message is not sent."""

    # -- pulling -------------------------------------------------------------------------------------

    def fill(self, source: Iterator[Any]) -> None:
        """Pull what there is room for."""
        while not self.exhausted and self._has_room():
            try:
                item = next(source)
            except StopIteration:
                self.exhausted = True
            except Exception as error:
                self.source_error = error
                self.exhausted = True
            else:
                self._pulled(item)

    async def feed(self, source: AsyncIterable[Any]) -> None:
        """Pull whenever there is room, to the end."""
        iterator = aiter(source)
        try:
            while True:
                while not self._has_room():
                    await self._wait_for_room()
                self._pulled(await anext(iterator))
        except StopAsyncIteration:
            pass
        except Exception as error:
            self.source_error = error
        finally:
            self.exhausted = True
            self.consumer.set()
            if isinstance(iterator, AsyncGenerator):
                await iterator.aclose()

    def _pulled(self, item: Any) -> None:
        message = self.message_class(self._count, item)
        self._count += 1
        self.held += 1
        if _is_streamed(item):
            self._put_stream(message)
        else:
            self._put(message)

    async def _wait_for_room(self) -> None:
        self.feeder = self.loop.create_future()
        try:
            await self.feeder
        finally:
            self.feeder = None

    def feed_if_room(self) -> None:
        if self._has_room():
            wake(self.feeder)

    # -- handing back --------------------------------------------------------------------------------

    @property
    def drained(self) -> bool:
        """Whether all that was pulled has been handed back."""
        return not self.held

    def take(self) -> SendResult[Any] | None:
        """The next result, if it is there."""
        if not self.ready:
            return None
        self.held -= 1
        if self.feeder is not None:
            wake(self.feeder)
        return self.ready.popleft()

    async def changed(self) -> None:
        """Wait until there may be something to take, or nothing more to come."""
        # More is pulled before the server has nothing to do.
        await self.consumer.wait(self.held // 2)


class SendMany(Generic[Item]):
    """The results of ``send_many``: an asynchronous iterator.

    Messages are pulled while the caller iterates. Leaving the loop early leaves what is in flight to be
    finished, and sends nothing more; :meth:`aclose` waits for that. A caller that was cancelled waits for
    nothing.

    :param size: at most this many messages are pulled and not yet handed back
    :param open_window: makes what they are sent by, when the first result is asked for
    """

    def __init__(
        self,
        messages: Iterable[Item] | AsyncIterable[Item],
        size: int,
        open_window: Callable[[], Awaitable[MessageWindow]],
    ) -> None:
        self._window: MessageWindow | None = None
        self._feeding: asyncio.Task[None] | None = None
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
        if self._closed:
            raise StopAsyncIteration
        window = self._window
        if window is not None and window.loop.is_closed():
            self._closed = True
            raise SMTPServerDisconnected("The event loop of these messages has ended")
        if window is None:
            window = self._window = await self._open_window()
            if self._waits:
                self._feeding = background(window.feed(self._source))
        while True:
            if self._feeding is None and not window.exhausted:
                window.fill(self._source)
            result = window.take()
            if result is not None:
                return result
            if window.exhausted and window.drained:
                self._closed = True
                window.withdraw()
                if window.source_error is not None:
                    raise window.source_error
                raise StopAsyncIteration
            await window.changed()

    async def aclose(self) -> list[SendResult[Item]]:
        """Pull and begin no more messages, and wait until those in flight have a verdict.

        :return: the results that were not handed out. Those that had not begun are ``NOT_SENT``.
        """
        self._closed = True
        window = self._window
        if window is None:
            return []
        if window.loop.is_closed():  # what was in flight can have no verdict any more
            return list(window.ready)
        try:
            if self._feeding is not None:
                self._feeding.cancel()
                await asyncio.wait([self._feeding])
            window.withdraw()
            unseen = []
            while not window.drained:
                result = window.take()
                if result is None:
                    await window.changed()
                else:
                    unseen.append(result)
        except asyncio.CancelledError:
            self._abandon()
            raise
        return unseen

    def _abandon(self) -> None:
        """End at once what takes anything from the caller. Whole messages that are in flight arrive."""
        self._closed = True
        window = self._window
        if window is not None and not window.loop.is_closed():
            if self._feeding is not None:
                self._feeding.cancel()
            window.withdraw()
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
        if self._feeding is not None:
            self._feeding.cancel()
        self._window.withdraw()


def _is_streamed(item: Any) -> TypeGuard[Envelope]:
    """Whether this is a message whose content comes in pieces."""
    if not isinstance(item, Envelope) or isinstance(item.message, bytes):
        return False
    return kind_of(item.message) is MessageKind.STREAM


def addresses_of(envelope: Envelope) -> tuple[str, list[str]]:
    """Sender and recipients of a message that has none in itself.

    :raises ValueError: if they are missing
    """
    if envelope.sender is None or envelope.recipients is None:
        raise _unaddressed()
    message: Any = envelope.message
    return envelope_of(message, envelope.sender, envelope.recipients)


def compose_item(composer: Composer, item: Any) -> PreparedMail:
    """One of many messages, a message object or an envelope, as the server takes it.

    :raises ValueError: if an address or option is none, or sender or recipients are missing
    :raises TypeError: if it is no message
    :raises SMTPException: if this server does not take it
    """
    message: Any
    if isinstance(item, Envelope):
        sender, recipients, message = item.sender, item.recipients, item.message
        options, rcpt_options = item.mail_options, item.rcpt_options
    else:
        sender = recipients = None
        message, options, rcpt_options = item, (), ()
    if isinstance(message, bytes) or kind_of(message) is MessageKind.WHOLE:
        if sender is None or recipients is None:
            raise _unaddressed()
        content = message if isinstance(message, bytes) else octets_of(message)
        assert content is not None
        return composer.compose(
            EnvelopeCommands(sender, recipients, options, rcpt_options), content, many=True
        )
    sender, recipients = envelope_of(message, sender, recipients)
    return composer.compose_object(message, sender, recipients, options, rcpt_options, many=True)[0]


def _unaddressed() -> ValueError:
    return ValueError("A message that is no object needs an Envelope with sender and recipients")
