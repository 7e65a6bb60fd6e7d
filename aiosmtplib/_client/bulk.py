"""Sending many messages: pulled when there is room, bounded on their way, each with a result of its own.

What :meth:`SMTP.send_many` and :meth:`SMTPPool.send_many` have in common. A :class:`MessageWindow` holds the
messages that were pulled and not yet handed back, and puts each into a :class:`MessageExchange` on a
connection. What the caller iterates over is in :mod:`~aiosmtplib._client.send_many`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from .._session import Exchange, PreparedMail
from .._session.transaction import begin
from .._transport.exchange import cancelled_before_sent
from .._transport.limit import LOSSES, Limit
from .._transport.wakeup import CoalescingEvent, wake
from ..errors import SMTPException
from ..protocol import SMTPProtocol
from ..status import Delivery
from .content import MessageKind, kind_of
from .division import Part
from .error_context import explain
from .results import Envelope, SendResult, failed

if TYPE_CHECKING:
    from .hooked import HookedMessage

#: What may be in flight on a connection, in bytes of content, unless one message alone is larger.
MAX_BYTES: Final = 1 << 20

_DELIVERED: Final = Delivery.DELIVERED


class QueuedMessage:
    """A message that was pulled.

    :ivar index: its place among the messages, from 0
    :ivar item: the message or envelope, as it came
    :ivar limit: its deadline, or ``None``
    :ivar added: the header fields that go before those that it has; ``None`` until that is known
    :ivar hooked: the same message where it goes through ``before_send``, else ``None``
    :ivar result: what became of it, or ``None`` until that is known
    :ivar parts: what became of its transactions, where it takes several
    """

    __slots__ = ("added", "hooked", "index", "item", "limit", "parts", "result")

    def __init__(self, index: int, item: Any) -> None:
        self.index = index
        self.item = item
        self.limit: Limit | None = None
        self.added: bytes | None = None
        self.hooked: HookedMessage | None = None
        self.result: SendResult[Any] | None = None
        self.parts: Sequence[Part] = ()


class MessageExchange(Exchange):
    """One of many messages on a connection.

    :ivar window: its :meth:`MessageWindow.message_done` is called when it is over
    :ivar message: the message
    :ivar mail: the same, as the server takes it
    :ivar size: octets of its content
    """

    __slots__ = ("mail", "message", "size", "window")

    def __init__(
        self,
        window: MessageWindow,
        message: Any,
        mail: PreparedMail,
        protocol: SMTPProtocol,
        timeout: float | None,
        pipeline: object,
    ) -> None:
        Exchange.__init__(self, begin(mail, protocol.server), timeout, pipeline)
        self.limit = message.limit
        content = mail.content
        self.window = window
        self.message = message
        self.mail = mail
        self.size = len(content) if isinstance(content, bytes) else sum(map(len, content or ()))

    def on_done(self) -> None:
        limit = self.limit
        if limit is not None and isinstance(self.error, LOSSES) and limit.is_over():
            self.error = limit.exceeded(self.error)
        self.window.message_done(self)

    @property
    def tag(self) -> Any:
        """What tells the program which message it is."""
        item = self.message.item
        return item.tag if isinstance(item, Envelope) else None

    @property
    def is_overdue(self) -> bool:
        """Whether its limit has ended it."""
        return self.limit is not None and self.limit.passed

    @property
    def left_over(self) -> Sequence[int]:
        """The places of the recipients who are to get the message in another transaction."""
        return () if self.error is not None else self.mail.left_over

    def to_result(self) -> SendResult[Any]:
        """What became of the message, once the exchange is over."""
        message = self.message
        if isinstance(self.error, Exception):
            if isinstance(self.error, SMTPException):  # pragma: no branch - the rules of SMTP raise no other
                pipeline: Any = self.pipeline
                explain(pipeline.client, self.error)
            return failed(message.index, message.item, self.error)
        refused, response = self.result
        return SendResult(message.index, message.item, _DELIVERED, response, refused, None)


class MessageWindow(ABC):
    """The messages of one ``send_many`` that were pulled and not yet handed back.

    :param size: at most so many
    :param timeout: seconds for each reply, or ``None`` for no limit
    :param limit: one as each message has it, or ``None``
    :ivar exhausted: whether no more will be pulled
    :ivar source_error: what the source of the messages raised, or ``None``
    :ivar attended: whether the caller waits for a result: only then is anything pulled or begun
    :ivar withdrawn: whether those that have not begun are not to be sent
    """

    #: What a message that was pulled is kept in.
    message_class = QueuedMessage
    #: Whether its deadline counts from then on, and not from the begin of its transaction.
    counts_from_pull = False

    def __init__(self, size: int, timeout: float | None, limit: Limit | None) -> None:
        self.loop = asyncio.get_running_loop()
        self.exhausted = False
        self.attended = False
        self._postponed = False
        self.withdrawn = False
        self.source_error: BaseException | None = None
        self.size = size
        self.timeout = timeout
        self._limit_of_each = limit
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
    def _refuse(self, message: Any, error: Exception) -> None:
        """The same for one that is not sent, because of this error."""

    @abstractmethod
    def _go_on(self) -> None:
        """Begin what could not begin because the caller was away."""

    @abstractmethod
    def _withdraw(self) -> None:
        """End what has not begun."""

    @abstractmethod
    def stop_streams(self) -> None:
        """Read no content any further that comes in pieces: its message is not sent."""

    @abstractmethod
    def is_sent_by(self, task: asyncio.Task[Any] | None) -> bool:
        """Whether this task sends one of the messages, whose content comes in pieces."""

    # -- pulling -------------------------------------------------------------------------------------

    def attend(self) -> None:
        """The caller waits for a result, until ``attended`` is unset."""
        self.attended = True
        if self._postponed:
            self._postponed = False
            self._go_on()

    def is_paused(self) -> bool:
        """Whether nothing is to begin now. What asks is begun when the caller is back."""
        self._postponed = not self.attended
        return self._postponed

    def withdraw(self) -> None:
        """Pull nothing any more, and do not send what has not begun."""
        self.exhausted = self.withdrawn = True
        self._withdraw()
        self.consumer.set()

    def fill(self, source: Iterator[Any]) -> None:
        """Pull what there is room for."""
        while not self.exhausted and self._has_room():
            try:
                item = next(source)
            except StopIteration:
                self.exhausted = True
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:
                self.source_error = error
                self.exhausted = True
            else:
                self._pulled(item)

    async def feed(self, source: AsyncIterable[Any]) -> None:
        """Pull whenever there is room and the caller waits for a result, to the end."""
        iterator: Any = None
        try:
            iterator = aiter(source)
            while not self.withdrawn:
                if self.attended and self._has_room():
                    self._pulled(await anext(iterator))
                else:
                    await self._wait_for_room()
        except StopAsyncIteration:
            pass
        except BaseException as error:
            self._source_failed(error)
        try:
            if isinstance(iterator, AsyncGenerator):
                await iterator.aclose()
        except BaseException as error:
            self._source_failed(error)
        self.exhausted = True
        self.consumer.set()

    def _source_failed(self, error: BaseException) -> None:
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise error  # pragma: no cover - in a task of its own, it ends the event loop of a test
        # A cancellation that comes after the end has been called for is our own.
        if self.source_error is None and not (self.withdrawn and isinstance(error, asyncio.CancelledError)):
            self.source_error = error

    def _pulled(self, item: Any) -> None:
        message = self.message_class(self._count, item)
        if self._limit_of_each is not None:
            message.limit = self._limit_of_each.again()
            if self.counts_from_pull:
                message.limit.begin()
        self._count += 1
        self.held += 1
        if self.withdrawn:  # while the source was asked for it
            self._refuse(message, cancelled_before_sent())
            return
        try:
            whole = type(item) is Envelope and type(item.message) is bytes  # the usual case
            streamed = not whole and _is_streamed(item)
        except Exception as error:  # a message of a class of the caller's
            self._refuse(message, error)
            return
        if streamed:
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
        if self.attended and self._has_room():
            wake(self.feeder)

    # -- handing back --------------------------------------------------------------------------------

    @property
    def drained(self) -> bool:
        """Whether all that was pulled has been handed back."""
        return not self.held

    @property
    def settled(self) -> bool:
        """Whether it is known of all that was pulled what became of it."""
        return self.held == len(self.ready)

    def take(self) -> SendResult[Any] | None:
        """The next result, if it is there."""
        if not self.ready:
            return None
        self.held -= 1
        return self.ready.popleft()

    def take_all(self) -> list[SendResult[Any]]:
        """All results that are there."""
        results = list(self.ready)
        self.held -= len(results)
        self.ready.clear()
        return results

    async def changed(self) -> None:
        """Wait until there may be something to take, or nothing more to come."""
        if self.feeder is not None:
            self.feed_if_room()
        # More is pulled before the server has nothing to do.
        await self.consumer.wait(self.held // 2)


def _is_streamed(item: Any) -> TypeGuard[Envelope]:
    """Whether this is a message whose content comes in pieces."""
    return isinstance(item, Envelope) and kind_of(item.message) is MessageKind.STREAM
