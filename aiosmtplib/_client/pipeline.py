"""Many messages over one connection, not waiting for each other.

The messages of one ``send_many`` share a *pipeline*: the exchange of one begins as soon as the one before it
has written all it will, so that the content of a message and the commands of the next go out together (RFC
2920 section 3.1), or with BDAT whole transactions back to back (RFC 3030). What is in flight is bounded by
the window.
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from typing import TYPE_CHECKING, Any

from .._envelope.commands import envelope_commands
from .._session import PreparedMail
from .._transport.exchange import cancelled_before_sent
from .._transport.limit import Limit, within
from .._transport.wakeup import background
from ..errors import SMTPException, SMTPServerDisconnected
from ..protocol import SMTPProtocol
from ..status import Delivery
from .before_send import ContentHook
from .bulk import (
    MAX_BYTES,
    MessageExchange,
    MessageWindow,
    QueuedMessage,
)
from .division import merged
from .hooked import HookCalls
from .items import addresses_of, complete, compose_item, hooked_of
from .results import Envelope, SendResult, failed
from .streaming import current_tag
from .transactions import composer_of, send_stream

if TYPE_CHECKING:
    from .sending import Sending


class Pipeline(MessageWindow):
    """The messages of one :meth:`SMTP.send_many` that were pulled and not yet handed back, in their order."""

    def __init__(
        self,
        client: Sending,
        protocol: SMTPProtocol,
        size: int,
        timeout: float | None,
        limit: Limit | None = None,
    ) -> None:
        super().__init__(size, timeout, limit)
        self.client = client
        self._protocol = protocol
        #: Those whose result is not ready, or cannot be handed back before that of another.
        self._messages: deque[QueuedMessage] = deque()
        self._bytes = 0
        self._streams: set[asyncio.Task[None]] = set()
        self._hooks = HookCalls()

    def _has_room(self) -> bool:
        return self.held < self.size and self._bytes < MAX_BYTES

    def _refuse(self, message: QueuedMessage, error: Exception) -> None:
        self._messages.append(message)
        self._fail(message, error)

    def _put_stream(self, message: QueuedMessage) -> None:
        self._messages.append(message)
        task = background(self._stream(message, message.item))
        self._streams.add(task)
        task.add_done_callback(functools.partial(self._streamed, message))

    def _put(self, message: QueuedMessage) -> None:
        self._messages.append(message)
        self._begin(message)

    def _begin(self, message: QueuedMessage) -> None:
        protocol = self._protocol
        try:
            if protocol.lost:  # nothing need be composed
                raise SMTPServerDisconnected("Server not connected")
            if self.client.before_send is not None:
                if self._calls_hook(self.client.before_send, message):
                    return
            elif self.client.complete_headers:
                complete(message)
            mail = compose_item(composer_of(self.client), message.item, message.added, message.hooked)
            exchange = MessageExchange(self, message, mail, protocol, self.timeout, self)
        except Exception as error:
            if isinstance(error, SMTPException):
                protocol.attach_transcript(error)
            self._fail(message, error)
            return
        self._bytes += exchange.size
        try:
            protocol.submit(exchange)
        except (
            SMTPServerDisconnected
        ) as error:  # an object of the caller's that is written can close the client
            self._bytes -= exchange.size
            self._fail(message, error)

    def _calls_hook(self, hook: ContentHook, message: QueuedMessage) -> bool:
        """Call ``before_send`` for a message, which begins when that has returned.

        :return: whether that had to be done
        """
        composer = composer_of(self.client)
        hooked = hooked_of(hook, message, complete=self.client.complete_headers)
        if hooked.fits(composer):
            return False
        size = hooked.write(composer)
        self._bytes += size
        limit = None if message.limit is None else message.limit.again()
        self._hooks.begin(hooked, limit, functools.partial(self._hook_returned, message, size))
        return True

    def _hook_returned(self, message: QueuedMessage, size: int, error: BaseException | None) -> None:
        self._bytes -= size
        if error is None:
            self._begin(message)
        else:
            assert isinstance(error, Exception)
            self._fail(message, error)

    async def _stream(self, message: QueuedMessage, item: Envelope) -> None:
        """Send a message whose content comes in pieces, from a task of its own."""
        current_tag.set(item.tag)
        try:
            sender, recipients = addresses_of(item)
            envelope = envelope_commands(sender, recipients, item.mail_options, item.rcpt_options)
            limit = message.limit
            call = send_stream(
                self.client, envelope, item.message, None, self.timeout, limit, self, divide=True
            )
            refused, response = await within(limit, call)
        except Exception as error:
            self._fail(message, error)
        else:
            self._done(message, SendResult(message.index, item, Delivery.DELIVERED, response, refused, None))

    def _streamed(self, message: QueuedMessage, task: asyncio.Task[None]) -> None:
        self._streams.discard(task)
        if task.cancelled():  # perhaps before it ran
            error = cancelled_before_sent()
            error.delivery = Delivery.UNKNOWN
            self._fail(message, error)

    def message_done(self, exchange: MessageExchange) -> None:
        self._bytes -= exchange.size
        message: QueuedMessage = exchange.message
        result = exchange.to_result()
        if message.parts or (exchange.mail.left_over and exchange.error is None):
            message.parts = (*message.parts, (exchange.mail.recipients, result))
            if exchange.left_over:  # later, not amidst the replies of the connection
                self.loop.call_soon(self._send_rest, message, exchange.mail.rest())
                return
            result = merged(message.index, message.item, message.parts)
        self._over(message, result)

    def _send_rest(self, message: QueuedMessage, mail: PreparedMail) -> None:
        """Send a message to those who were too many for its last transaction."""
        protocol = self._protocol
        if self.withdrawn or not protocol.is_connected:  # they stay refused
            self._over(message, merged(message.index, message.item, message.parts))
            return
        exchange = MessageExchange(self, message, mail, protocol, self.timeout, self)
        self._bytes += exchange.size
        protocol.submit(exchange)

    def _over(self, message: QueuedMessage, result: SendResult[Any]) -> None:
        message.result = result
        messages = self._messages
        while messages and messages[0].result is not None:  # those that no other has to come before
            self.ready.append(messages.popleft().result)  # type: ignore[arg-type]  # it is there
        self.consumer.set_soon()
        if self.feeder is not None:
            self.feed_if_room()

    def _done(self, message: QueuedMessage, result: SendResult[Any]) -> None:
        self._over(message, result)
        self.consumer.set()

    def _fail(self, message: QueuedMessage, error: Exception) -> None:
        self._done(message, failed(message.index, message.item, error))

    def _go_on(self) -> None:
        self._protocol.go_on()

    def _withdraw(self) -> None:
        self._hooks.stop()
        self._protocol.withdraw(self)

    def stop_streams(self) -> None:
        for task in self._streams:
            task.cancel()

    def is_sent_by(self, task: asyncio.Task[Any] | None) -> bool:
        return task in self._streams or task in self._hooks
