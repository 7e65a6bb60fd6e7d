"""The pipeline of one ``send_many``: messages on one connection, not waiting for each other (RFC 2920)."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, Iterator
from typing import Any, TypeGuard

from .._envelope.commands import EnvelopeCommands
from .._envelope.parameter import option_list
from .._session import Exchange
from .._session.mail import PreparedMail
from .._session.transaction import begin
from .._transport.wakeup import CoalescingEvent, background, wake
from ..errors import SMTPException, SMTPRecipientsRefused, SMTPResponseException, SMTPServerDisconnected
from ..protocol import SMTPProtocol
from ..response import SMTPResponse
from ..status import Delivery
from .compose import content_of, envelope_of
from .results import Envelope, SendResult, delivery_of
from .sending import Sending
from .streaming import is_stream

#: What may be in flight, in bytes of content, unless one message alone is larger.
MAX_BYTES = 1 << 20


class PipelinedMessage(Exchange):
    """One message on its way."""

    __slots__ = ("done", "index", "item", "owner", "size")

    def __init__(
        self,
        pipeline: "Pipeline",
        index: int,
        item: Any,
        mail: PreparedMail,
        protocol: SMTPProtocol,
        timeout: float | None,
    ) -> None:
        super().__init__(begin(mail, protocol.server), timeout, pipeline)
        self.owner = pipeline
        self.index = index
        self.item = item
        self.size = mail.octets
        self.done = False

    def on_done(self) -> None:
        self.done = True
        self.owner.message_done(self)

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


class StreamedMessage:
    """One whose content comes in pieces. A task of its own pushes them.

    :ivar result: what became of it, or ``None`` until that is known
    """

    __slots__ = ("result",)

    def __init__(self) -> None:
        self.result: SendResult[Any] | None = None


class Pipeline:
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
        self._jobs: deque[PipelinedMessage | StreamedMessage | SendResult[Any]] = deque()
        self._count = 0
        self._bytes = 0
        #: Those of the jobs that have no result yet.
        self._in_flight = 0
        self._feeder: asyncio.Future[None] | None = None
        self.loop = asyncio.get_running_loop()
        self._consumer = CoalescingEvent(self.loop)
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
            self._consumer.set()
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
            streamed = StreamedMessage()
            self._jobs.append(streamed)
            self._in_flight += 1
            background(self._stream(streamed, index, item))
            return
        try:
            if not self._protocol.is_connected:
                raise SMTPServerDisconnected("Server not connected")
            job = PipelinedMessage(
                self, index, item, prepare(self._client, item), self._protocol, self._timeout
            )
        except Exception as error:
            if isinstance(error, SMTPException):
                self._protocol.attach_transcript(error)
            self._jobs.append(failed(index, item, error))
            self._consumer.set()
            return
        self._jobs.append(job)
        self._in_flight += 1
        self._bytes += job.size
        self._protocol.submit(job)

    async def _stream(self, job: StreamedMessage, index: int, item: Envelope) -> None:
        try:
            sender, recipients = addresses_of(item)
            envelope = EnvelopeCommands(sender, recipients, item.mail_options, item.rcpt_options)
            outcome = await self._client._stream(envelope, item.message, None, self._timeout, self)
            job.result = SendResult(index, item, Delivery.DELIVERED, outcome[1], outcome[0], None)
        except Exception as error:
            job.result = failed(index, item, error)
        self._in_flight -= 1
        self._consumer.set()

    # -- out -----------------------------------------------------------------------------------------

    def message_done(self, job: PipelinedMessage) -> None:
        self._in_flight -= 1
        self._bytes -= job.size
        self._consumer.set_soon()
        if self._feeder is not None and self._has_room():
            wake(self._feeder)

    def take(self) -> SendResult[Any] | None:
        """The result of the first message, if it is there."""
        if not self._jobs:
            return None
        first = self._jobs[0]
        if isinstance(first, PipelinedMessage):
            if not first.done:
                return None
            first = first.to_result()
        elif isinstance(first, StreamedMessage):
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


def prepare(client: Sending, item: Any) -> PreparedMail:
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
        return client._compose(
            EnvelopeCommands(sender, recipients, options, rcpt_options), content, many=True
        )
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
