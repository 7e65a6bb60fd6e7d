"""The connection of a client: opened, secured and closed, and what is known about the server at its end."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, cast

from .._sasl.secret import conceal_arguments, reply_without, secrets_of, withhold_from
from .._session import Dialogue, dialogues
from .._trace.transcript import EMPTY_TRANSCRIPT
from .._transport.limit import Limit, running_limit
from .._transport.tls import TLSInfo
from ..errors import SMTPException, SMTPHeloError, SMTPServerDisconnected
from ..protocol import SMTPProtocol
from ..response import SMTPResponse
from ..status import SMTPStatus
from ..typing import Default
from .capabilities import Capabilities
from .connector import create_connection, read_greeting, upgrade
from .error_context import attach_transcript, attaches_transcript, in_phase
from .hostnames import begin_lookup, given_name, own_name
from .options import Options, check_timeout, destination_of, store_options
from .security import check_may_authenticate, check_tls_version, tls_of

if TYPE_CHECKING:
    from .._transport.exchange import AwaitedExchange
    from .compose import Composer

T = TypeVar("T")

Timeout: TypeAlias = float | Literal[Default.token] | None


class Connection(Capabilities):
    """A client's connection: at most one at a time, opened and closed any number of times.

    :ivar protocol: the protocol of the open connection, else ``None``
    :ivar transport: the transport of the open connection, else ``None``
    """

    def _set_up(self) -> None:
        self.protocol: SMTPProtocol | None = None
        self.transport: asyncio.Transport | None = None
        # Held from the start of connecting until the connection is gone.
        self._connect_lock = asyncio.Lock()
        #: Why the last connection ended, if the server ended it while no call was running.
        self._lost_because: SMTPException | None = None
        self._last_transcript = EMPTY_TRANSCRIPT
        #: Called when the connection is of no more use, as soon as that is known.
        self._lost_callback: Callable[[], None] | None = None
        self._opening = False
        self._opening_timeout: float | None = None
        #: Makes messages what the server takes; made when the first one is sent.
        self._composer: Composer | None = None
        #: Whether nothing follows the next message, and the QUIT that was queued behind it.
        self._sends_last = False
        self._goodbye: AwaitedExchange | None = None
        self._forget_server()

    def _forget_server(self) -> None:
        super()._forget_server()
        #: The 220 to a STARTTLS that nobody asked for by name, for the recipe of the 1.1 series.
        self._auto_starttls_response: SMTPResponse | None = None
        #: Whether the next command is a response to a challenge of AUTH.
        self._challenged = False

    def __repr__(self) -> str:
        state = "connected" if self.is_connected else "not connected"
        return f"<{type(self).__name__} to {destination_of(self)}, {state}>"

    # -- what is known -------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether commands can be sent."""
        return self.protocol is not None and self.protocol.is_connected

    @property
    def tls(self) -> TLSInfo | None:
        """What protects the connection, or ``None`` while it is not encrypted, or not there."""
        return tls_of(self.transport) if self.is_connected else None

    def get_transport_info(self, key: str) -> Any:
        """Ask the transport, as :meth:`asyncio.BaseTransport.get_extra_info` does.

        :param key: such as ``"peername"``, ``"socket"`` or ``"ssl_object"``
        :raises SMTPServerDisconnected: if not connected
        """
        connected_protocol(self)
        assert self.transport is not None
        return self.transport.get_extra_info(key)

    def _attach_transcript(self, error: SMTPException) -> None:
        """Let an error carry what was said on the connection, or on the last one, unless it does already."""
        if error.transcript is EMPTY_TRANSCRIPT:
            error.transcript = self.protocol.transcript if self.protocol else self._last_transcript

    # -- commands ------------------------------------------------------------------------------------

    async def _run(self, dialogue: Dialogue[T], timeout: Timeout) -> T:
        return await connected_protocol(self).run(dialogue, effective_timeout(self, timeout))

    async def execute_command(self, *args: bytes, timeout: Timeout = Default.token) -> SMTPResponse:
        """Send one command, its parts joined by blanks, and wait for the reply.

        With AUTH, and in a response to its challenge, the arguments are secret: the reply, or the error, is
        cut off where the server repeats one.

        :param args: the verb and its arguments, as they go out
        :param timeout: seconds, ``None`` for no limit; by default the client's
        :return: the reply, whatever its code; after a 421 the connection is closed
        :raises ValueError: if an argument holds a control character; nothing has been sent
        :raises SMTPServerDisconnected: if the connection is not there, or gets lost
        :raises SMTPReadTimeoutError: after ``timeout``; the connection is closed
        :raises SMTPResponseException: with code -1, if what comes is no SMTP reply; the connection is closed
        :raises SMTPException: for AUTH where ``allow_plaintext_auth`` forbids it; nothing has been sent
        """
        # What is no bytes is refused when it is encoded. A variable would show the arguments in a traceback.
        words = (arg for arg in cast("tuple[Any, ...]", args) if isinstance(arg, bytes) and arg.strip())
        is_auth = next(words, b"").lstrip()[:4].upper() == b"AUTH"
        if is_auth:  # servers skip the blanks before it
            self._check_may_authenticate()
        secret = is_auth or self._challenged
        if secret:
            args = conceal_arguments(args)
        protocol = connected_protocol(self)
        try:
            response = await protocol.execute_command(*args, timeout=effective_timeout(self, timeout))
        except SMTPException as error:
            if secret:
                withhold_from(error, secrets_of(args))
            raise
        if secret:
            response = reply_without(response, secrets_of(args))
            self._challenged = response.code == SMTPStatus.auth_continue
        return response

    def _check_may_authenticate(self) -> None:
        """
        :raises SMTPException: if credentials must not go over this connection
        :raises SMTPServerDisconnected: if there is none, unless ``allow_plaintext_auth`` allows any: a
            subclass that overrides :meth:`execute_command` may send to something else
        """
        if self.transport is None and self.allow_plaintext_auth is True:
            return
        connected_protocol(self)
        with attach_transcript(self), in_phase("auth"):
            # Of a proxy on this host, nobody knows where it leads.
            allowed = self.allow_plaintext_auth if self._proxy is None else self.allow_plaintext_auth is True
            check_may_authenticate(self.transport, allowed, destination_of(self))

    @attaches_transcript
    async def _ehlo_or_helo_if_needed(self) -> None:
        """Introduce this host, unless that has been done on this connection.

        :raises SMTPHeloError: if the server refuses EHLO and HELO
        """
        if not self.is_ehlo_or_helo_needed:
            return
        connected_protocol(self)
        name = await self._hello_name(None)
        with in_phase("ehlo"):
            ehlo, helo = await self._run(dialogues.hello(name, self._variant.hello), Default.token)
            last = helo or ehlo
            if last.code != SMTPStatus.completed:
                raise SMTPHeloError(*last)
        self._learn(ehlo, helo)

    def _learn(self, ehlo: SMTPResponse | None, helo: SMTPResponse | None) -> None:
        """Keep what the server accepted, unless the connection ended with it; a refusal leaves ``None``."""
        if self.is_connected:
            if ehlo is not None:
                self.last_ehlo_response = ehlo if ehlo.code == SMTPStatus.completed else None
            if helo is not None:
                self.last_helo_response = helo if helo.code == SMTPStatus.completed else None

    async def _hello_name(self, hostname: str | None) -> bytes:
        """What to call this host in EHLO (RFC 5321 section 4.1.4).

        :param hostname: what the caller wants; else ``local_hostname``, else what the system says, untimed
        :raises ValueError: if what the caller or ``local_hostname`` says cannot be sent
        """
        if hostname is not None:
            name = given_name(hostname, "hostname")
        elif self.local_hostname is not None:
            name = given_name(self.local_hostname, "local_hostname")
        else:
            name = await self._get_default_local_hostname()
        return name.encode("ascii")

    async def _get_default_local_hostname(self) -> str:
        return await own_name(self.transport)

    # -- opening -------------------------------------------------------------------------------------

    async def _open(self) -> SMTPResponse:
        """Connect, read the greeting, and upgrade to TLS where that was chosen."""
        self._check_port()
        if self.local_hostname is None:
            begin_lookup()  # it may take as long as connecting
        self._check_token_user()
        may_upgrade = not self.use_tls and self._start_tls is not False
        context = None
        if self.use_tls or self._must_upgrade or (may_upgrade and self._tls_files_named):
            context = await self._get_tls_context()
        loop = self.loop = asyncio.get_running_loop()
        timeout = self._opening_timeout
        deadline = None if timeout is None else loop.time() + timeout
        with in_phase("connect"):
            protocol = await self._connect(context if self.use_tls else None, timeout)
        with in_phase("greeting"):
            # Not 0, which would be the caller's wish to time out.
            rest = None if deadline is None else max(deadline - loop.time(), 0.001)
            greeting = await read_greeting(protocol, rest, destination_of(self))
        if may_upgrade:
            await self._ehlo_or_helo_if_needed()
            if self._must_upgrade or self.supports_extension("starttls"):
                response = await self._upgrade(self._certificate_name, context, self._opening_timeout)
                self._auto_starttls_response = response
        return greeting

    async def _connect(self, tls_context: ssl.SSLContext | None, timeout: float | None) -> SMTPProtocol:
        self._lost_because = None
        self._last_transcript = EMPTY_TRANSCRIPT
        protocol = self.protocol = SMTPProtocol(self.loop, self._on_connection_lost)
        protocol.on_command = self.on_command
        protocol.final_timeout = self.final_timeout
        await create_connection(self, protocol, tls_context, timeout)
        if protocol is self.protocol:  # else it is lost again
            self.transport = protocol.transport
        if tls_context is not None:
            self._check_tls_version()
        return protocol

    async def _upgrade(
        self, server_hostname: str, context: ssl.SSLContext | None, timeout: float | None
    ) -> SMTPResponse:
        """STARTTLS and the handshake. What was known about the server is forgotten (RFC 3207 section 4.2)."""
        with in_phase("starttls"):
            if not self.supports_extension("starttls"):
                raise SMTPException("SMTP STARTTLS extension not supported by server.")
            if context is None:
                context = await self._get_tls_context()
            protocol = connected_protocol(self)
            response = await upgrade(protocol, context, server_hostname, timeout, destination_of(self))
            self.transport = protocol.transport
            self._forget_server()
            self._check_tls_version()
        return response

    def _check_tls_version(self) -> None:
        try:
            check_tls_version(self.transport, self.minimum_tls_version, destination_of(self))
        except SMTPException:
            self.close()
            raise

    @attaches_transcript
    async def starttls(
        self,
        server_hostname: str | None = None,
        validate_certs: bool | None = None,
        client_cert: str | Literal[Default.token] | None = Default.token,
        client_key: str | Literal[Default.token] | None = Default.token,
        cert_bundle: str | Literal[Default.token] | None = Default.token,
        tls_context: ssl.SSLContext | Literal[Default.token] | None = Default.token,
        timeout: Timeout = Default.token,
    ) -> SMTPResponse:
        """Upgrade the connection to TLS (RFC 3207). The next command sends EHLO again.

        The TLS options are those of the client, and are stored as those of ``connect`` are.

        :param server_hostname: name to verify the certificate against; by default that of the client
        :param validate_certs: verify the certificate of the server and its name
        :param client_cert: path of a PEM file with the certificate to present
        :param client_key: path of a PEM file with its key, if ``client_cert`` does not hold it
        :param cert_bundle: path of a PEM file with certificates to trust besides those of the system
        :param tls_context: a context to use as it is, instead of the four TLS options around it
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
        if self.get_transport_info("sslcontext") is not None:
            if self._no_tls_asked and self._start_tls is None and self._auto_starttls_response is not None:
                return self._auto_starttls_response
            raise SMTPException("Connection already using TLS")
        store_options(
            self,
            validate_certs=validate_certs,
            client_cert=client_cert,
            client_key=client_key,
            cert_bundle=cert_bundle,
            tls_context=tls_context,
        )
        context = await self._get_tls_context() if self._tls_files_named else None
        await self._ehlo_or_helo_if_needed()
        name = server_hostname or self._certificate_name
        return await self._upgrade(name, context, effective_timeout(self, timeout))

    # -- closing -------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the connection at once, without QUIT. Does nothing if there is none."""
        forget_closed_loop(self)
        if self.protocol is not None:
            self.protocol.close()
        self._lost_because = None

    def _on_connection_lost(self, protocol: SMTPProtocol) -> None:
        if protocol is self.protocol:
            self.protocol = self.transport = self._goodbye = None
            self._last_transcript = protocol.transcript
            self._forget_server()
            if not self._opening:
                self._lost_because = protocol.take_unseen_loss()
                self._connect_lock.release()
            if self._lost_callback is not None:
                self._lost_callback()


def forget_closed_loop(client: Connection) -> None:
    """Forget a connection, and a lock, that belong to an event loop that is no more."""
    if client.loop is not None and client.loop.is_closed():
        client.loop = client.protocol = client.transport = None
        client._connect_lock = asyncio.Lock()
        client._forget_server()


def effective_timeout(client: Connection, timeout: Timeout) -> float | None:
    """The timeout to use where one may be given: that one, or the client's.

    :return: seconds, or ``None`` for no limit
    :raises TypeError: if it is neither
    """
    if timeout is Default.token:
        return client._opening_timeout if client._opening else client.timeout
    check_timeout(timeout)
    return timeout


def running_limit_of(options: Options, deadline: float | None) -> Limit | None:
    """The limit of a call that begins now.

    :raises TypeError: if ``deadline`` is neither a number of seconds nor ``None``
    :raises ValueError: if it is not positive
    """
    return None if deadline is None else running_limit(deadline, destination_of(options))


def connected_protocol(client: Connection) -> SMTPProtocol:
    """The protocol of the open connection.

    :raises SMTPServerDisconnected: if there is none; it says why the last one was lost
    """
    protocol = client.protocol
    if protocol is None or not protocol.is_connected:
        reason = "" if client._lost_because is None else f": {client._lost_because}"
        if client.loop is not None and client.loop.is_closed():
            reason = ": the event loop of the connection has ended"
        error = SMTPServerDisconnected(f"Server not connected{reason}")
        client._attach_transcript(error)
        raise error
    return protocol


async def introduced_protocol(client: Connection) -> SMTPProtocol:
    """The protocol of the open connection, after EHLO.

    :raises SMTPHeloError: if the server refuses EHLO and HELO
    :raises SMTPServerDisconnected: if the connection is not there, or gets lost
    """
    protocol = connected_protocol(client)
    if client.is_ehlo_or_helo_needed:
        await client._ehlo_or_helo_if_needed()
        protocol = connected_protocol(client)
    return protocol
