"""The rim between asyncio and the session: transports, timers, flow control and waiting tasks.

Everything that SMTP says is decided in :mod:`aiosmtplib._session` and :mod:`aiosmtplib._dialogues`. This
module carries bytes in and out, keeps one deadline and one timer per connection, and wakes a task once,
when its dialogue is over. Tasks that want to talk at the same time queue up here; none holds a lock.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import TypeVar, cast

from . import _dialogues
from ._codec import encode_command, encode_data, normalize_newlines
from ._session import Dialogue, Session
from ._waiting import Deadline, FlowControlMixin, Ticket
from .errors import (
    SMTPException,
    SMTPReadTimeoutError,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)
from .response import SMTPResponse
from .status import SMTPStatus

__all__ = ("SMTPProtocol",)

T = TypeVar("T")

#: Bounds on what a server may send, in bytes. Read whenever a reply is parsed.
MAX_LINE_LENGTH = 8192
MAX_RESPONSE_LENGTH = MAX_LINE_LENGTH * 4

#: Larger content goes to the transport in pieces of this size (bytes), so that a slow server is noticed
#: between two pieces and memory is not taken twice.
_PIECE = 1 << 18

#: How long the server may take to close its side after a goodbye, in seconds.
_GOODBYE = 1.0

#: What one read takes at most, in bytes. Replies are short.
_RECEIVED = 1 << 13


def normalize_message_line_endings(message: bytes) -> bytes:
    """Make every line of ``message`` end with CRLF (RFC 5321 section 2.3.8)."""
    return normalize_newlines(message)


class SMTPProtocol(FlowControlMixin, asyncio.BufferedProtocol):
    """An SMTP client connection as an :class:`asyncio.Protocol`.

    Usually :class:`aiosmtplib.SMTP` drives it. By hand: pass the class to ``loop.create_connection``, then
    await :meth:`read_response` for the greeting and :meth:`execute_command` for the rest.

    :param loop: the event loop; by default the one running when it is first needed
    :param connection_lost_callback: called once, with this object, when the connection is of no more use
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop | None = None,
        connection_lost_callback: Callable[["SMTPProtocol"], None] | None = None,
    ) -> None:
        super().__init__(loop)
        self.transport: asyncio.Transport | None = None
        #: Called with ``("C", bytes)`` and ``("S", bytes)`` for all that is written and received.
        self.trace: Callable[[str, bytes], None] | None = None
        self._connection_lost_callback = connection_lost_callback
        self._buffer = memoryview(bytearray(_RECEIVED))
        self._session = Session()
        self._running: Ticket | None = None
        self._waiting: deque[Ticket] = deque()
        #: Who alone may go on: the task that got a 3yz reply, or this object while TLS is being set up.
        self._reserved_for: object = None
        self._lost = False
        self._gone = False
        self._closed: asyncio.Future[None] | None = None
        self._unwritten: memoryview | None = None
        self._deadline = Deadline(self._on_timeout)

    # -- asyncio's side ------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self._lost:  # closed while it was being opened
            self.transport.abort()

    # Without a buffer of ours, asyncio allocates 256 KiB for every read, which costs more than all of SMTP.
    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self._buffer[:nbytes]))

    def data_received(self, data: bytes) -> None:
        if self.trace is not None:
            self.trace("S", data)
        if self._reserved_for is self:  # between the 220 to STARTTLS and the handshake (RFC 3207 section 6)
            self._lose(_injected())
            return
        session = self._session
        answer = session.receive(data, MAX_LINE_LENGTH, MAX_RESPONSE_LENGTH, self._unwritten is not None)
        if session.lost is not None:
            self._lose(SMTPServerDisconnected(session.lost))
        elif answer is not None:
            if answer:
                self._send(answer)
            if session.active:
                self._deadline.restart()
            elif self._running is not None:
                self._settle(self._running)

    def eof_received(self) -> bool:
        self._lose(SMTPServerDisconnected("Unexpected EOF received"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        error = SMTPServerDisconnected("Connection lost")
        error.__cause__ = exc
        self._lose(error)
        self._gone = True
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unwritten is not None:
            self._deadline.restart()  # the server took something: it is slow, not dead
            self._write_pieces()

    # -- the caller's side ---------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether commands can be sent."""
        return self.transport is not None and self._session.lost is None and not self.transport.is_closing()

    def write(self, data: bytes) -> None:
        """Write ``data`` as it is, without waiting.

        :raises SMTPServerDisconnected: if not connected
        """
        self._check_connected()
        self._send(data)

    async def read_response(self, timeout: float | None = None) -> SMTPResponse:
        """Wait for the next reply.

        :param timeout: seconds, or ``None`` for no limit
        :raises SMTPServerDisconnected: if the connection is, or gets, lost
        :raises SMTPReadTimeoutError: after ``timeout``; the connection is closed
        :raises SMTPResponseException: with code -1, if what comes is no SMTP reply; the connection is closed
        """
        greeting = self._session.take_greeting()
        if greeting is not None:  # it came before anyone asked, perhaps with the end of the connection
            return greeting
        return await self.run(_dialogues.greeting(), timeout)

    async def execute_command(self, *args: bytes, timeout: float | None = None) -> SMTPResponse:
        """Send one command, its parts joined by blanks, and wait for the reply.

        :param timeout: seconds, or ``None`` for no limit
        :raises ValueError: if an argument holds a control character; nothing has been sent
        :raises SMTPServerDisconnected: if the connection is, or gets, lost
        :raises SMTPReadTimeoutError: after ``timeout``; the connection is closed
        :raises SMTPResponseException: with code -1, if what comes is no SMTP reply; the connection is closed
        """
        line = encode_command(*args)
        return await self.run(_dialogues.command(line), timeout, exchange=True)

    async def execute_data_command(self, message: bytes, timeout: float | None = None) -> SMTPResponse:
        """Send DATA and, after a 354, ``message``: line ends normalised, dots stuffed, terminated.

        :param timeout: seconds for each reply, or ``None`` for no limit
        :raises SMTPDataError: if the server refuses DATA or the message
        :raises SMTPServerDisconnected: if the connection is, or gets, lost
        :raises SMTPReadTimeoutError: after ``timeout``; the connection is closed
        """
        return await self.run(_dialogues.data(encode_data(message)), timeout)

    async def start_tls(
        self,
        tls_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> SMTPResponse:
        """Send STARTTLS and do the TLS handshake (RFC 3207).

        :param server_hostname: name to verify the certificate against
        :param timeout: seconds for the reply, and again for the handshake; ``None`` for no limit
        :raises SMTPResponseException: if the server refuses, or sends anything before the handshake
        :raises SMTPServerDisconnected: if the connection is, or gets, lost
        :raises SMTPTimeoutError: if the handshake takes longer; the connection is closed
        :raises ssl.SSLError: if the handshake fails; the connection is closed
        """
        reply = await self.run(_dialogues.command(b"STARTTLS\r\n"), timeout, upgrade=True)
        if reply.code != SMTPStatus.ready:
            raise SMTPResponseException(*reply)
        try:
            await self._handshake(tls_context, server_hostname, timeout)
        except BaseException as error:
            lost = SMTPServerDisconnected("Connection lost")
            lost.__cause__ = error
            self._lose(lost)
            raise
        self._reserved_for = None
        self._begin_next()
        return reply

    def close(self) -> None:
        """Close the connection. Whoever waits for a reply gets ``SMTPServerDisconnected``."""
        self._lose(SMTPServerDisconnected("Connection lost"), abort=False)

    async def wait_closed(self) -> None:
        """After :meth:`close`: wait until the transport is gone.

        TLS ends with an exchange of its own. A program whose event loop ended before it would leave a socket
        behind. A server that takes no part in it is not waited for.
        """
        if self.transport is None or self._gone:
            return
        self._closed = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait_for(self._closed, _GOODBYE)
        except asyncio.TimeoutError:
            pass
        finally:
            if not self._gone:
                self.transport.abort()

    def take_unseen_loss(self) -> SMTPException | None:
        """Why the connection was lost, if that happened while nobody waited for anything."""
        return self._session.take_unseen()

    # -- dialogues -----------------------------------------------------------------------------------

    async def run(
        self,
        dialogue: Dialogue[T],
        timeout: float | None,
        *,
        exchange: bool = False,
        upgrade: bool = False,
    ) -> T:
        """Run a dialogue to its end, after those that were there before it.

        :param timeout: seconds for each reply, or ``None`` for no limit
        :param exchange: whether a 3yz reply asks for more, and so reserves the connection for this task
        :param upgrade: whether a 220 is to be followed by a TLS handshake
        """
        self._check_connected()
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        owner = asyncio.current_task() if exchange else None
        ticket = Ticket(dialogue, timeout, self._loop.create_future(), owner, upgrade)
        if self._running is None and (
            self._reserved_for is None or self._reserved_for is asyncio.current_task()
        ):
            self._begin(ticket)
        else:
            self._waiting.append(ticket)
        try:
            await ticket.future
        except asyncio.CancelledError:
            self._abandon(ticket)
            raise
        if ticket.error is not None:
            raise ticket.error
        return cast(T, ticket.result)

    def _begin(self, ticket: Ticket) -> None:
        self._running = ticket
        self._reserved_for = None
        data = self._session.start(ticket.dialogue)
        if self._session.active and ticket.timeout is not None and ticket.timeout <= 0:
            self._on_timeout()
            return
        if data:
            self._send(data)
        if self._session.active:
            self._deadline.start(ticket.future.get_loop(), ticket.timeout)
        else:
            self._settle(ticket)

    def _begin_next(self) -> None:
        while self._waiting and self._running is None and self._reserved_for is None:
            self._begin(self._waiting.popleft())

    def _settle(self, ticket: Ticket) -> None:
        """The running dialogue is over: wake its task, and go on with the next one."""
        session = self._session
        self._running = None
        self._deadline.pause()
        result, error = session.result, session.error
        session.result = session.error = None
        if ticket.upgrade and error is None and result.code == SMTPStatus.ready:
            self._reserved_for = self
            if session.interrupted:
                error = _injected()
                self._lose(_injected())
        elif ticket.owner is not None and error is None and 300 <= result.code < 400:
            self._reserved_for = ticket.owner
            self._deadline.restart()
        ticket.settle(result, error)
        if self._waiting:
            self._begin_next()

    def _abandon(self, ticket: Ticket) -> None:
        """A task was cancelled while it waited. A connection out of step is never used again."""
        if ticket in self._waiting:
            self._waiting.remove(ticket)
            ticket.dialogue.close()
        elif ticket is self._running or self._reserved_for is (
            self if ticket.upgrade else asyncio.current_task()
        ):
            ticket.dialogue.close()
            self._lose(SMTPServerDisconnected("Connection closed: a command was cancelled"))

    def _lose(self, error: SMTPException, *, abort: bool = True) -> None:
        """The connection is of no more use: tell everyone who waits for it, once."""
        if self._lost:
            return
        self._lost = True
        session = self._session
        session.fail(error, self._unwritten is not None)
        self._unwritten = None
        self._deadline.stop()
        if self.transport is not None:
            if abort:
                self.transport.abort()
            else:
                self.transport.close()
                session.take_unseen()  # no news to those who closed it
        waiting, self._waiting = self._waiting, deque()
        if self._running is not None:
            self._settle(self._running)
        for ticket in waiting:
            ticket.dialogue.close()
            ticket.settle(None, SMTPServerDisconnected(error.message))
        if self._connection_lost_callback is not None:
            self._connection_lost_callback(self)

    def _on_timeout(self) -> None:
        self._lose(_timed_out())

    def _check_connected(self) -> None:
        if not self.is_connected:
            raise self.take_unseen_loss() or SMTPServerDisconnected("Connection lost")

    # -- writing -------------------------------------------------------------------------------------

    def _send(self, data: bytes) -> None:
        assert self.transport is not None
        if self.trace is not None:
            self.trace("C", data)
        if len(data) <= _PIECE:
            self.transport.write(data)
        else:
            self._unwritten = memoryview(data)
            self._write_pieces()

    def _write_pieces(self) -> None:
        assert self.transport is not None
        while self._unwritten is not None and not self._paused:
            piece, rest = self._unwritten[:_PIECE], self._unwritten[_PIECE:]
            self._unwritten = rest if rest else None
            self.transport.write(piece)

    # -- TLS -----------------------------------------------------------------------------------------

    async def _handshake(
        self, tls_context: ssl.SSLContext, server_hostname: str | None, timeout: float | None
    ) -> None:
        assert self._loop is not None and self.transport is not None
        upgrade = self._loop.start_tls(self.transport, self, tls_context, server_hostname=server_hostname)
        try:
            transport = await asyncio.wait_for(upgrade, timeout)
        except asyncio.TimeoutError as error:
            raise SMTPTimeoutError("Timed out while upgrading transport") from error
        if transport is None or self._lost:
            raise SMTPServerDisconnected("Connection lost")
        self.transport = transport
        # All that was known about the server is forgotten (RFC 3207 section 4.2); no second greeting comes.
        self._session = Session(greeted=True)


def _timed_out() -> SMTPReadTimeoutError:
    return SMTPReadTimeoutError("Timed out waiting for server response")


def _injected() -> SMTPResponseException:
    return SMTPResponseException(
        SMTPStatus.invalid_response.value,
        "Server sent data between its reply to STARTTLS and the TLS handshake",
    )
