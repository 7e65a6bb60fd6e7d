"""Opening, securing and closing the connection of a client, and what is known about the server at its end."""

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal, TypeVar

from .._envelope.arguments import check_argument
from .._session import Dialogue, dialogues
from .._trace.transcript import EMPTY_TRANSCRIPT
from .._transport.timers import in_time
from .._transport.tls import tls_error
from ..errors import (
    SMTPConnectError,
    SMTPConnectResponseError,
    SMTPConnectTimeoutError,
    SMTPException,
    SMTPHeloError,
    SMTPReadTimeoutError,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)
from ..esmtp import parse_esmtp_extensions
from ..protocol import SMTPProtocol
from ..response import SMTPResponse
from ..status import SMTPStatus
from ..typing import Default, _default
from .error_context import in_phase, told, with_transcript
from .options import Options, check_timeout

T = TypeVar("T")


class Connection(Options):
    """A client's connection: at most one at a time, opened and closed any number of times.

    :ivar protocol: the protocol of the open connection, else ``None``
    :ivar transport: the transport of the open connection, else ``None``
    :ivar last_helo_response: the last reply to HELO on this connection, else ``None``
    :ivar last_ehlo_response: the last reply to EHLO on this connection, else ``None``
    :ivar esmtp_extensions: announced extensions, lower case, with their parameters (RFC 5321 section 4.1.1.1)
    :ivar server_auth_methods: announced SASL mechanisms, lower case
    :ivar supports_esmtp: whether the server accepted EHLO
    """

    #: The command that introduces this host and asks what the server can do.
    _HELLO = b"EHLO"

    def _set_up(self) -> None:
        self.protocol: SMTPProtocol | None = None
        self.transport: asyncio.Transport | None = None
        self._fqdn: str | None = None
        self._trace: Callable[[str, bytes], None] | None = None
        # Held from the start of connecting until the connection is gone.
        self._connect_lock = asyncio.Lock()
        #: Why the last connection ended, if that was the server's doing and no call has told it yet.
        self._lost_because: SMTPException | None = None
        self._last_transcript = EMPTY_TRANSCRIPT
        #: Told that the connection is of no more use, as soon as that is known.
        self._lost_callback: Callable[[], None] | None = None
        self._opening = False
        self._opening_timeout: float | None = None
        self._forget_server()

    def _forget_server(self) -> None:
        self.last_helo_response: SMTPResponse | None = None
        self._last_ehlo_response: SMTPResponse | None = None
        self.esmtp_extensions: dict[str, str] = {}
        self.server_auth_methods: list[str] = []
        self.supports_esmtp = False
        #: The 220 to a STARTTLS that nobody asked for by name, for the recipe of the 1.1 series.
        self._auto_starttls_response: SMTPResponse | None = None

    def __repr__(self) -> str:
        state = "connected" if self.is_connected else "not connected"
        return f"<{type(self).__name__} to {self._destination}, {state}>"

    @property
    def is_connected(self) -> bool:
        """Whether commands can be sent."""
        return self.protocol is not None and self.protocol.is_connected

    @property
    def is_ehlo_or_helo_needed(self) -> bool:
        """Whether neither EHLO nor HELO has been accepted on this connection."""
        return self.last_ehlo_response is None and self.last_helo_response is None

    @property
    def last_ehlo_response(self) -> SMTPResponse | None:
        """The last reply to EHLO. Setting it updates what is known about the server."""
        return self._last_ehlo_response

    @last_ehlo_response.setter
    def last_ehlo_response(self, response: SMTPResponse | None) -> None:
        self._last_ehlo_response = response
        self.supports_esmtp = response is not None and response.code == SMTPStatus.completed
        self.esmtp_extensions, self.server_auth_methods = {}, []
        if response is not None and self.supports_esmtp:
            self.esmtp_extensions, self.server_auth_methods = parse_esmtp_extensions(response.message)

    def supports_extension(self, extension: str) -> bool:
        """Whether the server announced an extension, in any case (``"starttls"``, ``"SMTPUTF8"``)."""
        return extension.lower() in self.esmtp_extensions

    def get_transport_info(self, key: str) -> Any:
        """Ask the transport, as :meth:`asyncio.BaseTransport.get_extra_info` does.

        :raises SMTPServerDisconnected: if not connected
        """
        self._connected_protocol()
        assert self.transport is not None
        return self.transport.get_extra_info(key)

    def _connected_protocol(self) -> SMTPProtocol:
        protocol = self.protocol
        if protocol is None or not protocol.is_connected:
            reason = "" if self._lost_because is None else f": {self._lost_because}"
            with told(self):
                raise SMTPServerDisconnected(f"Server not connected{reason}")
        return protocol

    def _attach_transcript(self, error: SMTPException) -> None:
        """Let an error carry what was said on the connection, or on the last one, unless it does already."""
        if error.transcript is EMPTY_TRANSCRIPT:
            error.transcript = self.protocol.transcript if self.protocol else self._last_transcript

    def _seconds(self, timeout: float | Literal[Default.token] | None) -> float | None:
        """The timeout to use where one may be given."""
        if timeout is _default:
            return self._opening_timeout if self._opening else self.timeout
        check_timeout(timeout)
        return timeout

    async def _run(self, dialogue: Dialogue[T], timeout: float | Literal[Default.token] | None) -> T:
        return await self._connected_protocol().run(dialogue, self._seconds(timeout))

    async def execute_command(
        self, *args: bytes, timeout: float | Literal[Default.token] | None = _default
    ) -> SMTPResponse:
        """Send one command, its parts joined by blanks, and wait for the reply.

        :param timeout: seconds, ``None`` for no limit; by default the client's
        :return: the reply, whatever its code; after a 421 the connection is closed
        :raises ValueError: if an argument holds a control character; nothing has been sent
        :raises SMTPServerDisconnected: if the connection is not there, or gets lost
        :raises SMTPReadTimeoutError: after ``timeout``; the connection is closed
        :raises SMTPResponseException: with code -1, if what comes is no SMTP reply; the connection is closed
        """
        return await self._connected_protocol().execute_command(*args, timeout=self._seconds(timeout))

    @with_transcript
    async def _ehlo_or_helo_if_needed(self) -> None:
        """Introduce ourselves, unless that has been done on this connection.

        :raises SMTPHeloError: if the server refuses EHLO and HELO
        """
        if not self.is_ehlo_or_helo_needed:
            return
        self._connected_protocol()
        name = await self._hello_name(None)
        with in_phase("ehlo"):
            ehlo, helo = await self._run(dialogues.hello(name, self._HELLO), _default)
            last = helo or ehlo
            if last.code != SMTPStatus.completed:
                raise SMTPHeloError(*last)
        self._learn(ehlo, helo)

    def _learn(self, ehlo: SMTPResponse | None, helo: SMTPResponse | None) -> None:
        """Keep what the server said, unless the connection ended with it."""
        if self.is_connected:
            if ehlo is not None:
                self.last_ehlo_response = ehlo
            if helo is not None:
                self.last_helo_response = helo

    async def _hello_name(self, hostname: str | None) -> bytes:
        """What to call this host in EHLO (RFC 5321 section 4.1.4)."""
        name = hostname or self.local_hostname or self._fqdn
        if name is None:
            lookup = asyncio.get_running_loop().run_in_executor(None, socket.getfqdn)
            try:
                name = await in_time(lookup, self._seconds(_default))
            except asyncio.TimeoutError as error:
                raise SMTPTimeoutError(
                    "Timed out looking up the name of this host: pass it as local_hostname"
                ) from error
            self._fqdn = name
        check_argument(name, "hostname")
        if " " in name:  # what is behind it would be another argument
            raise ValueError("The hostname must not hold a blank")
        return name.encode("ascii")

    @contextlib.asynccontextmanager
    async def _opening_connection(self, timeout: float | None) -> AsyncIterator[None]:
        """While the connection is being opened, ``timeout`` is the default, and a failure closes it."""
        await self._connect_lock.acquire()
        self._opening = True
        self._opening_timeout = timeout
        try:
            with told(self):
                yield
        except BaseException:
            self._abort()
            raise
        finally:
            self._opening = False
            if self.protocol is None:
                self._connect_lock.release()

    def _leave_closed_loop(self) -> None:
        """Forget a connection, and a lock, that belong to an event loop that is no more."""
        if self.loop is not None and self.loop.is_closed():
            self.loop = self.protocol = self.transport = None
            self._connect_lock = asyncio.Lock()
            self._forget_server()

    async def _open(self) -> SMTPResponse:
        """Connect, read the greeting, and upgrade to TLS where that was chosen."""
        may_upgrade = not self.use_tls and self._start_tls is not False
        context = None
        if self.use_tls or self._must_upgrade or (may_upgrade and self._tls_files_named):
            context = await self._get_tls_context()
        loop = self.loop = asyncio.get_running_loop()
        timeout = self._opening_timeout
        deadline = None if timeout is None else loop.time() + timeout
        with in_phase("connect"):
            protocol = await self._connect(loop, context if self.use_tls else None, timeout)
        with in_phase("greeting"):
            # Not 0, which would be the caller's wish to time out.
            rest = None if deadline is None else max(deadline - loop.time(), 0.001)
            greeting = await self._read_greeting(protocol, rest)
        if may_upgrade:
            await self._ehlo_or_helo_if_needed()
            if self._must_upgrade or self.supports_extension("starttls"):
                response = await self._upgrade(self._server_name, context, self._opening_timeout)
                self._auto_starttls_response = response
        return greeting

    async def _connect(
        self, loop: asyncio.AbstractEventLoop, tls_context: ssl.SSLContext | None, timeout: float | None
    ) -> SMTPProtocol:
        """Resolve the name, connect, and do the TLS handshake where a context is given."""
        self._lost_because = None
        self._last_transcript = EMPTY_TRANSCRIPT
        protocol = self.protocol = SMTPProtocol(loop, self._on_connection_lost)
        protocol.trace = self._trace
        protocol.on_command = self.on_command
        try:
            await in_time(self._create_connection(loop, protocol, tls_context, timeout), timeout)
        except asyncio.TimeoutError as error:
            raise SMTPConnectTimeoutError(f"Timed out connecting to {self._destination}") from error
        except ssl.SSLError as error:
            raise tls_error(f"Error connecting to {self._destination}", error) from error
        except OSError as error:
            raise SMTPConnectError(f"Error connecting to {self._destination}: {error}") from error
        if protocol is self.protocol:  # else it is lost again
            self.transport = protocol.transport
        return protocol

    async def _read_greeting(self, protocol: SMTPProtocol, timeout: float | None) -> SMTPResponse:
        try:
            greeting = await protocol.read_response(timeout)
        except SMTPReadTimeoutError as error:
            raise SMTPConnectTimeoutError("Timed out waiting for server ready message") from error
        except SMTPServerDisconnected as error:
            raise SMTPConnectError(f"Error connecting to {self._destination}: {error}") from error
        except SMTPResponseException as error:
            raise SMTPConnectResponseError(error.code, error.message) from error
        if greeting.code != SMTPStatus.ready:
            raise SMTPConnectResponseError(*greeting)
        return greeting

    async def _create_connection(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: SMTPProtocol,
        tls_context: ssl.SSLContext | None,
        timeout: float | None,
    ) -> None:
        tls: dict[str, Any] = {}
        if tls_context is not None:
            tls = {
                "ssl": tls_context,
                "server_hostname": self._server_name,
                "ssl_handshake_timeout": timeout if timeout is not None and timeout > 0 else None,
            }
        if self.sock is not None:
            await loop.create_connection(lambda: protocol, sock=self.sock, **tls)
        elif self.socket_path is not None:
            path = os.fspath(self.socket_path)
            await loop.create_unix_connection(lambda: protocol, path, **tls)  # type: ignore[arg-type]
        else:
            await loop.create_connection(
                lambda: protocol,
                host=self._server_name,
                port=self._effective_port,
                local_addr=self.source_address,
                **tls,
            )

    async def _upgrade(
        self, server_hostname: str, context: ssl.SSLContext | None, timeout: float | None
    ) -> SMTPResponse:
        """STARTTLS and the handshake. What was known about the server is forgotten (RFC 3207 section 4.2)."""
        with in_phase("starttls"):
            if not self.supports_extension("starttls"):
                raise SMTPException("SMTP STARTTLS extension not supported by server.")
            if context is None:
                context = await self._get_tls_context()
            protocol = self._connected_protocol()
            try:
                response = await protocol.start_tls(context, server_hostname, timeout)
            except SMTPException:
                raise
            except ssl.SSLError as error:
                raise tls_error(f"TLS handshake with {self._destination} failed", error) from error
            except OSError as error:
                raise SMTPServerDisconnected(f"Connection lost during the TLS handshake: {error}") from error
        self.transport = protocol.transport
        self._forget_server()
        return response

    @with_transcript
    async def starttls(
        self,
        server_hostname: str | None = None,
        validate_certs: bool | None = None,
        client_cert: str | Literal[Default.token] | None = _default,
        client_key: str | Literal[Default.token] | None = _default,
        cert_bundle: str | Literal[Default.token] | None = _default,
        tls_context: ssl.SSLContext | Literal[Default.token] | None = _default,
        timeout: float | Literal[Default.token] | None = _default,
    ) -> SMTPResponse:
        """Upgrade the connection to TLS (RFC 3207). The next command sends EHLO again.

        The TLS options are those of the client, and are stored as those of ``connect`` are.

        :param server_hostname: name to verify the certificate against; by default the one connected to
        :param timeout: seconds for each reply and for the handshake, ``None`` for no limit; by default the
            client's
        :return: the 220 to STARTTLS
        :raises SMTPException: if the server does not announce STARTTLS, or the connection uses TLS already
        :raises SMTPResponseException: if the server refuses, or sends anything between its 220 and the
            handshake
        :raises SMTPConnectError: if the handshake fails (also an :class:`ssl.SSLError`); the connection is
            closed
        :raises SMTPTimeoutError: if it takes too long; the connection is closed
        :raises SMTPServerDisconnected: if the connection is not there, or gets lost
        """
        self._connected_protocol()
        if self.get_transport_info("sslcontext") is not None:
            if self._no_tls_asked and self._start_tls is None and self._auto_starttls_response is not None:
                return self._auto_starttls_response
            raise SMTPException("Connection already using TLS")
        self._store(
            validate_certs=validate_certs,
            client_cert=client_cert,
            client_key=client_key,
            cert_bundle=cert_bundle,
            tls_context=tls_context,
        )
        context = await self._get_tls_context() if self._tls_files_named else None
        await self._ehlo_or_helo_if_needed()
        return await self._upgrade(server_hostname or self._server_name, context, self._seconds(timeout))

    # -- closing -------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the connection at once, without QUIT. Does nothing if there is none."""
        if self.protocol is not None:
            self.protocol.close()
        self._lost_because = None

    def _abort(self) -> None:
        """Close it and wait for nothing, neither for what is buffered to be read nor for the end of TLS.

        A server that does neither, as Exim while it waits for a command, would hold on to the socket.
        """
        transport = None if self.protocol is None else self.protocol.transport
        self.close()
        if transport is not None:
            transport.abort()

    def _on_connection_lost(self, protocol: SMTPProtocol) -> None:
        if protocol is self.protocol:
            self.protocol = self.transport = None
            self._last_transcript = protocol.transcript
            self._forget_server()
            if not self._opening:
                self._lost_because = protocol.take_unseen_loss()
                self._connect_lock.release()
            if self._lost_callback is not None:
                self._lost_callback()
