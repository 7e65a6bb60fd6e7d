"""What a connection is trusted with: credentials go nowhere that the options forbid."""

import asyncio
import ssl
from typing import Literal

from .._sasl.channel_binding import channel_binding
from .._sasl.scram import ChannelBinding
from .._sasl.secret import conceal_arguments
from .._transport.tls import TLSInfo, is_loopback, is_unix, tls_info
from ..errors import SMTPConnectError, SMTPException, SMTPServerDisconnected
from ..protocol import SMTPProtocol
from ..response import SMTPResponse
from ..typing import Default, _default
from .connection import Connection
from .error_context import in_phase, told


class Trust(Connection):
    """A connection whose protection is checked before anything depends on it."""

    @property
    def tls(self) -> TLSInfo | None:
        """What protects the connection, or ``None`` while it is not encrypted, or not there."""
        tls = None if self.transport is None else self.transport.get_extra_info("ssl_object")
        try:
            return None if tls is None else tls_info(tls)
        except ValueError:  # an alert has ended TLS, and asyncio is about to say so
            return None

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
        :raises SMTPException: for AUTH where ``allow_plaintext_auth`` forbids it; nothing has been sent
        """
        verb = next((arg for arg in args if arg.strip()), b"")  # servers skip blanks
        if verb.lstrip()[:4].upper() == b"AUTH":
            self._check_may_authenticate()
            args = conceal_arguments(args)
        return await super().execute_command(*args, timeout=timeout)

    def _check_may_authenticate(self) -> None:
        """:raises SMTPException: if credentials must not go over this connection"""
        self._connected_protocol()
        allowed = self.allow_plaintext_auth
        transport = self.transport
        if allowed is True or transport is None or transport.get_extra_info("sslcontext") is not None:
            return
        if allowed in ("unix", "local") and is_unix(transport):
            return
        if allowed in ("loopback", "local") and is_loopback(transport):
            return
        with told(self), in_phase("auth"):
            raise SMTPException(
                f"The connection to {self._destination} is not encrypted, and allow_plaintext_auth forbids "
                "to log in over it. Try connecting via TLS (or STARTTLS)."
            )

    def _channel_binding(self) -> ChannelBinding | None:
        """What a login can be bound to, if the connection is encrypted."""
        tls = self.get_transport_info("ssl_object")
        return None if tls is None else channel_binding(tls, ssl.CHANNEL_BINDING_TYPES)

    # -- the version of TLS --------------------------------------------------------------------------

    async def _connect(
        self, loop: asyncio.AbstractEventLoop, tls_context: ssl.SSLContext | None, timeout: float | None
    ) -> SMTPProtocol:
        protocol = await super()._connect(loop, tls_context, timeout)
        if tls_context is not None:
            self._check_tls_version()
        return protocol

    async def _upgrade(
        self, server_hostname: str, context: ssl.SSLContext | None, timeout: float | None
    ) -> SMTPResponse:
        response = await super()._upgrade(server_hostname, context, timeout)
        with in_phase("starttls"):
            self._check_tls_version()
        return response

    def _check_tls_version(self) -> None:
        """A given ``tls_context`` is used as it is, so that it may have agreed to less than was asked for."""
        minimum = self.minimum_tls_version
        if minimum is None:
            return
        tls = self.tls
        if tls is None:
            self.close()
            raise SMTPServerDisconnected("Connection lost")
        if ssl.TLSVersion[tls.version.replace(".", "_")] >= minimum:
            return
        self.close()
        raise SMTPConnectError(
            f"{self._destination} speaks {tls.version}, and minimum_tls_version is {minimum.name}"
        )
