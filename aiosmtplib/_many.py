"""Many messages over one connection: pulled when there is room, pipelined, each with a result of its own.

The messages of one call share a *lane*: the turn of one begins as soon as the one before it has written all
it will, so that the content of a message and the commands of the next go out together (RFC 2920 section 3.1),
or with BDAT whole transactions back to back (RFC 3030). What is in flight is bounded by the window.

:class:`SendMany` is what the caller holds. When it goes away, messages that have not begun are not sent.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator
from types import TracebackType
from typing import Any, Generic, TypeGuard, TypeVar, cast

from ._addressed import Addressed
from ._envelope import Envelope, SendResult, delivery_of
from ._mail import Mail
from ._parameter import option_list
from ._sending import Sending, content_of, envelope_of
from ._stream import is_stream
from ._transaction import begin
from ._waiting import Bell, Turn, background, wake
from .errors import SMTPException, SMTPRecipientsRefused, SMTPResponseException, SMTPServerDisconnected
from .protocol import SMTPProtocol
from .response import SMTPResponse
from .status import Delivery

Item = TypeVar("Item")
Self = TypeVar("Self", bound="SendMany[Any]")

#: What may be in flight, in bytes of content, unless one message alone is larger.
MAX_BYTES = 1 << 20


class _Job(Turn):
    """One message on its way."""

    __slots__ = ("done", "index", "item", "owner", "size")

    def __init__(
        self, lane: "Lane", index: int, item: Any, mail: Mail, protocol: SMTPProtocol, timeout: float | None
    ) -> None:
        super().__init__(begin(mail, protocol.server), timeout, lane)
        self.owner = lane
        self.index = index
        self.item = item
        self.size = mail.octets
        self.done = False

    def settle(self) -> None:
        self.done = True
        self.owner.settled(self)

    def to_result(self) -> SendResult[Any]:
        if isinstance(self.error, Exception):
            return failed(self.index, self.item, self.error)
        refused, response = self.result
        return SendResult(self.index, self.item, Delivery.DELIVERED, response, refused, None)


def failed(index: int, item: Any, error: Exception) -> SendResult[Any]:
    """The result for a message that was not accepted."""
    response = None
    refused = {}
    if isinstance(error, SMTPResponseException) and error.code > 0:
        response = SMTPResponse(error.code, error.message)
    elif isinstance(error, SMTPRecipientsRefused):
        refused = {each.recipient: SMTPResponse(each.code, each.message) for each in error.recipients}
    return SendResult(index, item, delivery_of(error), response, refused, error)


class _Streamed:
    """One whose content comes in pieces. A task of its own pushes them.

    :ivar result: what became of it, or ``None`` until that is known
    """

    __slots__ = ("result",)

    def __init__(self) -> None:
        self.result: SendResult[Any] | None = None


class Lane:
    """The messages of one :meth:`SMTP.send_many` that were pulled and not yet handed back, in their order.

    :ivar exhausted: whether no more will be pulled
    :ivar withdrawn: whether those that have not begun are not to be sent
    :ivar source_error: what the source of the messages raised, or ``None``
    """

    def __init__(self, client: Sending, protocol: SMTPProtocol, window: int, timeout: float | None) -> None:
        self._client = client
        self._protocol = protocol
        self._window = window
        self._timeout = timeout
        self._jobs: deque[_Job | _Streamed | SendResult[Any]] = deque()
        self._count = 0
        self._bytes = 0
        #: Those of the jobs that have no result yet.
        self._in_flight = 0
        self._feeder: asyncio.Future[None] | None = None
        self.loop = asyncio.get_running_loop()
        self._consumer = Bell(self.loop)
        self.exhausted = False
        self.withdrawn = False
        self.source_error: Exception | None = None

    @property
    def empty(self) -> bool:
        """Whether all that was pulled has been handed back."""
        return not self._jobs

    # -- in ------------------------------------------------------------------------------------------

    def fill(self, source: Iterator[Any]) -> None:
        """Pull what there is room for."""
        try:
            while not self.exhausted and self._has_room():
                self._put(next(source))
        except StopIteration:
            self.exhausted = True
        except Exception as error:
            self.source_error = error
            self.exhausted = True

    async def feed(self, source: AsyncIterable[Any]) -> None:
        """Pull whenever there is room, to the end."""
        iterator = aiter(source)
        try:
            while True:
                while not self._has_room():
                    await self._wait_for_room()
                self._put(await anext(iterator))
        except StopAsyncIteration:
            pass
        except Exception as error:
            self.source_error = error
        finally:
            self.exhausted = True
            self._consumer.ring()
            if isinstance(iterator, AsyncGenerator):
                await iterator.aclose()

    def _has_room(self) -> bool:
        return len(self._jobs) < self._window and self._bytes < MAX_BYTES

    async def _wait_for_room(self) -> None:
        self._feeder = self.loop.create_future()
        try:
            await self._feeder
        finally:
            self._feeder = None

    def _put(self, item: Any) -> None:
        """Prepare a message and put it in line. One that cannot be sent has its result at once."""
        index = self._count
        self._count += 1
        if is_streamed(item):
            streamed = _Streamed()
            self._jobs.append(streamed)
            self._in_flight += 1
            background(self._stream(streamed, index, item))
            return
        try:
            if not self._protocol.is_connected:
                raise SMTPServerDisconnected("Server not connected")
            job = _Job(self, index, item, _mail_for(self._client, item), self._protocol, self._timeout)
        except Exception as error:
            if isinstance(error, SMTPException):
                self._protocol.tell(error)
            self._jobs.append(failed(index, item, error))
            self._consumer.ring()
            return
        self._jobs.append(job)
        self._in_flight += 1
        self._bytes += job.size
        self._protocol.submit(job)

    async def _stream(self, job: _Streamed, index: int, item: Envelope) -> None:
        try:
            sender, recipients = addresses_of(item)
            addressed = Addressed(sender, recipients, item.mail_options, item.rcpt_options)
            outcome = await self._client._stream(addressed, item.message, None, self._timeout, self)
            job.result = SendResult(index, item, Delivery.DELIVERED, outcome[1], outcome[0], None)
        except Exception as error:
            job.result = failed(index, item, error)
        self._in_flight -= 1
        self._consumer.ring()

    # -- out -----------------------------------------------------------------------------------------

    def settled(self, job: _Job) -> None:
        self._in_flight -= 1
        self._bytes -= job.size
        self._consumer.ring_soon()
        if self._feeder is not None and self._has_room():
            wake(self._feeder)

    def take(self) -> SendResult[Any] | None:
        """The result of the first message, if it is there."""
        if not self._jobs:
            return None
        first = self._jobs[0]
        if isinstance(first, _Job):
            if not first.done:
                return None
            first = first.to_result()
        elif isinstance(first, _Streamed):
            if first.result is None:
                return None
            first = first.result
        self._jobs.popleft()
        wake(self._feeder)
        return first

    async def changed(self) -> None:
        """Wait until there may be something to take, or nothing more to come."""
        # More is pulled before the server has nothing to do.
        await self._consumer.wait(self._in_flight // 2)

    def withdraw(self) -> None:
        """Do not send what has not begun."""
        self.withdrawn = True
        self._protocol.withdraw(self)


def _mail_for(client: Sending, item: Any) -> Mail:
    """A message or an envelope, as the server of this client takes it."""
    message: Any
    if isinstance(item, Envelope):
        sender, recipients, message = item.sender, item.recipients, item.message
        options = item.mail_options
        rcpt_options = item.rcpt_options
    else:
        sender = recipients = None
        message, options, rcpt_options = item, (), ()
    if isinstance(message, str | bytes | bytearray | memoryview):
        if sender is None or recipients is None:
            raise _unaddressed()
        content = content_of(message)
        return client._compose(Addressed(sender, recipients, options, rcpt_options), content, many=True)
    sender, recipients = envelope_of(message, sender, recipients)
    options = option_list(options)
    return client._compose_message(message, sender, recipients, options, rcpt_options, many=True)[0]


def is_streamed(item: Any) -> TypeGuard[Envelope]:
    """Whether this is a message whose content comes in pieces."""
    return isinstance(item, Envelope) and not isinstance(item.message, bytes) and is_stream(item.message)


def addresses_of(envelope: Envelope) -> tuple[str, list[str]]:
    """Sender and recipients of a message that has none in itself.

    :raises ValueError: if they are missing
    """
    if envelope.sender is None or envelope.recipients is None:
        raise _unaddressed()
    message: Any = envelope.message
    return envelope_of(message, envelope.sender, envelope.recipients)


def _unaddressed() -> ValueError:
    return ValueError("A message that is no object needs an Envelope with sender and recipients")


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
        self._lane: Lane | None = None
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
        lane = self._lane or await self._open()
        while True:
            if self._feeding is None:
                lane.fill(cast("Iterator[Item]", self._source))
            result = lane.take()
            if result is not None:
                return result
            if lane.exhausted and lane.empty:
                self._closed = True
                if lane.source_error is not None:
                    raise lane.source_error
                raise StopAsyncIteration
            await lane.changed()

    async def aclose(self) -> list[SendResult[Item]]:
        """Pull and begin no more messages, and wait until those in flight have a verdict.

        :return: the results that were not handed out, in the order of the messages. Those that had not begun
            are ``NOT_SENT``.
        """
        self._closed = True
        lane = self._lane
        if lane is None:
            return []
        if self._feeding is not None:
            self._feeding.cancel()
            await asyncio.wait([self._feeding])
        lane.withdraw()
        unseen = []
        while not lane.empty:
            result = lane.take()
            if result is None:
                await lane.changed()
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
        if self._lane is None or self._lane.loop.is_closed():
            return
        if self._feeding is not None:
            self._feeding.cancel()
        self._lane.withdraw()

    async def _open(self) -> Lane:
        protocol = await self._client._introduced()
        lane = self._lane = Lane(self._client, protocol, self._window, self._timeout)
        if isinstance(self._source, AsyncIterable):
            self._feeding = background(lane.feed(self._source))
        return lane
