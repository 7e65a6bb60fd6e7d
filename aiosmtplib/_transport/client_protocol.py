"""A client's connection by asyncio: its callbacks, single commands, STARTTLS, and the end."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final, cast

from .._codec import encode_command, encode_data
from .._session import dialogues
from .._session.transaction import data
from .._trace.observer import log_connected, log_tls
from ..errors import SMTPException, SMTPResponseException, SMTPServerDisconnected, SMTPTimeoutError
from ..response import SMTPResponse
from ..status import SMTPStatus
from .exchange import injected_before_tls
from .stream_protocol import StreamProtocol
from .task_protocol import TaskProtocol
from .timers import in_time_here
from .wakeup import wake

#: How long the server may take to close its side after a goodbye, in seconds.
_CLOSE_TIMEOUT: Final = 1.0


class ClientProtocol(StreamProtocol, TaskProtocol):
    """What :class:`aiosmtplib.protocol.SMTPProtocol` does but for receiving."""

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        super().__init__(loop)
        self._closed: asyncio.Future[None] | None = None

    # -- callbacks of asyncio ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self.lost:  # closed while it was being opened
            self.transport.abort()
            return
        log_connected(self.number, transport.get_extra_info)
        self._observe()

    def eof_received(self) -> bool:
        self._lose(SMTPServerDisconnected("Unexpected EOF received"))
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        error = SMTPServerDisconnected("Connection lost")
        error.__cause__ = exc
        self._lose(error)
        # That of TLS refers back to this, and has a buffer of 256 KiB, which only the collector would free.
        self.transport = None
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    # -- single commands -----------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Write ``data`` as it is, without waiting.

        :param data: the octets
        :raises SMTPServerDisconnected: if not connected
        :raises RuntimeError: if the transport is for reading alone
        """
        if not self.is_connected:
            self._refuse()
        if not hasattr(self.transport, "write"):
            raise RuntimeError(f"{self.transport!r} does not support writing")
        self._attribute(None)
        self._session.write(data)
        self.flush()
        self._deliver()

    async def read_response(self, timeout: float | None = None) -> SMTPResponse:
        """Wait for the next reply.

        :param timeout: seconds, or ``None`` for no limit
        :raises SMTPServerDisconnected: if the connection is, or gets, lost
        :raises SMTPReadTimeoutError: after ``timeout``; the connection is closed
        :raises SMTPResponseException: with code -1, if what comes is no SMTP reply; the connection is closed
        """
        session = self._session
        greeting, session.greeting = session.greeting, None
        if greeting is not None:  # it came before anyone asked, perhaps with the end of the connection
            return greeting
        return await self.run(dialogues.greeting(), timeout)

    async def execute_command(self, *args: bytes, timeout: float | None = None) -> SMTPResponse:
        """Send one command, its parts joined by blanks, and wait for the reply.

        :param args: the verb and its arguments, as they go out
        :param timeout: seconds, or ``None`` for no limit
        :raises ValueError: if an argument holds a control character; nothing has been sent
        :raises SMTPServerDisconnected: if the connection is, or gets, lost
        :raises SMTPReadTimeoutError: after ``timeout``; the connection is closed
        :raises SMTPResponseException: with code -1, if what comes is no SMTP reply; the connection is closed
        """
        # In one expression: a variable would show the command, and with AUTH a secret, in a traceback.
        return await self.run(dialogues.command(encode_command(*args)), timeout, reserve=True)

    async def execute_data_command(self, message: bytes, timeout: float | None = None) -> SMTPResponse:
        """Send DATA and, after a 354, ``message``: line ends normalised, dots stuffed, terminated.

        :param message: header and body
        :param timeout: seconds for each reply, or ``None`` for no limit
        :raises SMTPDataError: if the server refuses DATA or the message
        :raises SMTPServerDisconnected: if the connection is, or gets, lost
        :raises SMTPReadTimeoutError: after ``timeout``; the connection is closed
        """
        return await self.run(data(encode_data(message)), timeout)

    async def start_tls(
        self,
        tls_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> SMTPResponse:
        """Send STARTTLS and do the TLS handshake (RFC 3207).

        :param tls_context: what the handshake is done with
        :param server_hostname: name to verify the certificate against
        :param timeout: seconds for the reply, and again for the handshake; ``None`` for no limit
        :raises SMTPResponseException: if the server refuses, or sends anything before the handshake
        :raises SMTPServerDisconnected: if the connection is, or gets, lost
        :raises SMTPTimeoutError: if the handshake takes longer; the connection is closed
        :raises ssl.SSLError: if the handshake fails; the connection is closed
        """
        reply = await self.run(dialogues.command(b"STARTTLS\r\n"), timeout, upgrade=True)
        if reply.code != SMTPStatus.ready:
            refused = SMTPResponseException(*reply)
            self.attach_transcript(refused)
            raise refused
        try:
            await self._handshake(tls_context, server_hostname, timeout)
        except BaseException as error:
            lost = SMTPServerDisconnected("Connection lost")
            lost.__cause__ = error
            if isinstance(error, SMTPException):
                self.attach_transcript(error)
            self._lose(lost)
            if self.transport is not None:
                self.transport.abort()  # if it was lost before, this is another one
            raise
        self._reserved_for = None
        # Whoever queued up meanwhile did so by what the server had said before (RFC 3207 section 4.2).
        self._withdraw(list(self._waiting))
        return reply

    def close(self) -> None:
        """Close the connection. Whoever waits for a reply gets ``SMTPServerDisconnected``.

        Once the event loop has ended nobody waits, and a transport cannot be closed any more.
        """
        if self._loop is None or not self._loop.is_closed():
            self._lose(SMTPServerDisconnected("Connection lost"), abort=False)

    async def wait_closed(self) -> None:
        """After :meth:`close`: wait until the transport is gone.

        TLS ends with an exchange of its own. A program whose event loop ended before it would leave a socket
        behind. A server that takes no part in it is not waited for.
        """
        if self.transport is None:
            return
        loop = asyncio.get_running_loop()
        self._closed = loop.create_future()
        timer = loop.call_later(_CLOSE_TIMEOUT, wake, self._closed)
        try:
            await self._closed
        finally:
            timer.cancel()
            if self.transport is not None:
                self.transport.abort()

    # -- TLS -----------------------------------------------------------------------------------------

    async def _handshake(
        self, tls_context: ssl.SSLContext, server_hostname: str | None, timeout: float | None
    ) -> None:
        assert self._loop is not None
        loop, plain = self._loop, self.transport
        if plain is None:
            raise self._interruption()

        async def upgrade() -> None:
            # On a connection that has ended, asyncio would begin all the same, and keep a timer for a minute.
            if not self.lost:
                secured = await loop.start_tls(plain, self, tls_context, server_hostname=server_hostname)
                self.transport = secured or plain  # also if nobody waits any more: it has to be closed

        try:
            await in_time_here(upgrade(), timeout)
        except (TimeoutError, asyncio.TimeoutError, ConnectionAbortedError) as error:  # two on Python 3.10
            # With the latter asyncio ends a handshake for which it has waited long enough, whatever we do.
            raise SMTPTimeoutError("Timed out while upgrading transport") from error
        except ConnectionResetError as error:
            raise SMTPServerDisconnected(f"Connection lost during the TLS handshake: {error}") from error
        if self.lost or self.transport is None or self.transport is plain:
            raise self._interruption()
        # All that was known about the server is forgotten (RFC 3207 section 4.2); no second greeting comes.
        self._session = self._session.renewed()
        self._written = 0
        log_tls(self.number, self.transport.get_extra_info)

    def _interruption(self) -> SMTPException:
        """Why there was no handshake."""
        error = injected_before_tls()
        return error if self._session.lost == error.message else SMTPServerDisconnected("Connection lost")
