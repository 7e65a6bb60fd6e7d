"""Logging in: one method for each SASL mechanism, and the choice between them (RFC 4954)."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Final

from .._sasl.base import AmbiguousPromptError, InvalidChallengeError, Mechanism, UntrustedServerError
from .._sasl.channel_binding import channel_binding
from .._sasl.mechanisms import (
    CramMD5,
    External,
    Login,
    OAuthBearer,
    Plain,
    XOAuth2,
    refused_credentials,
)
from .._sasl.scram import MAX_ITERATIONS, Scram, ScramSHA1, ScramSHA256, ScramSHA256Plus
from .._sasl.secret import SecretBytes, conceal, reply_without, reveal, withhold, withhold_from
from ..errors import SMTPAuthenticationError, SMTPException
from ..response import SMTPResponse
from ..status import SMTPStatus
from ..typing import Default
from .connection import Connection, Timeout
from .error_context import attach_transcript, in_phase

_METHODS: Final = ("cram-md5", "plain", "login")
#: Tried before those, unless a program has chosen its own: they do not give the password away.
_SCRAM: Final = ("scram-sha-256-plus", "scram-sha-256", "scram-sha-1")
#: The refusals of an AUTH line that may be meant for the initial response in it.
_UNREADABLE: Final = (SMTPStatus.unrecognized_parameters, SMTPStatus.parameter_not_implemented)


class Authentication(Connection):
    """AUTH (RFC 4954), by password, token or certificate.

    The methods raise, besides what :class:`Commands` has them raise,

    * :class:`SMTPAuthenticationError` if the server refuses,
    * that and :class:`ValueError` if its challenge is not what the mechanism prescribes; the exchange has
      been cancelled,
    * :class:`ValueError` if the mechanism cannot carry the credentials, or cannot be used here,
    * :class:`SMTPException` where ``allow_plaintext_auth`` forbids to log in; nothing has been sent.

    :cvar AUTH_METHODS: the mechanisms that :meth:`login` tries, in this order, lower case. Before these, it
        tries ``"scram-sha-256-plus"``, ``"scram-sha-256"`` and ``"scram-sha-1"``, unless a subclass or
        a program assigned an order of its own. ``"external"`` may be in it.
    :cvar MAX_SCRAM_ITERATIONS: a server that asks for more is not answered
    """

    AUTH_METHODS: tuple[str, ...] = _METHODS
    MAX_SCRAM_ITERATIONS: int = MAX_ITERATIONS

    @property
    def supported_auth_methods(self) -> list[str]:
        """The mechanisms that :meth:`login` would try: those that the server announced, in our order."""
        methods = self.AUTH_METHODS
        if methods is _METHODS:
            methods = (*_SCRAM, *methods)
        return [method for method in methods if method in self.server_auth_methods]

    async def login(
        self, username: str | bytes, password: str | bytes, timeout: Timeout = Default.token
    ) -> SMTPResponse:
        """Log in with the first mechanism of ``AUTH_METHODS`` that the server announced and that works.

        A mechanism that fails is followed by the next, whatever the reason. Three things end the search: a
        server that does not prove that it knows the password, where the mechanism has it do so (SCRAM); a
        connection that is lost; and, with ``stop_on_auth_failure``, a server that says that the credentials
        are wrong.

        :param username: who logs in; a ``str`` is encoded as UTF-8
        :param password: a ``str`` is encoded as UTF-8
        :param timeout: seconds to wait for each reply, ``None`` for no limit; by default the client's
        :raises SMTPAuthenticationError: if none works: the server's last refusal of the credentials (535), or
            where it did not refuse these, its last refusal
        :raises ValueError: if none works, and the server refused none: the last reason
        :raises SMTPException: if the server announces no AUTH, or none of the mechanisms, or if
            ``allow_plaintext_auth`` forbids to log in
        :raises RuntimeError: if there is no method for a mechanism of ``AUTH_METHODS``
        """
        password = conceal(password)
        with attach_transcript(self), in_phase("auth"):
            self._check_may_authenticate()
            await self._ehlo_or_helo_if_needed()
            if not self.supports_extension("auth"):
                plain = self.is_connected and self.get_transport_info("sslcontext") is None
                hint = " Try connecting via TLS (or STARTTLS)." if plain else ""
                raise SMTPException(f"The SMTP AUTH extension is not supported by this server.{hint}")
            was_connected = self.is_connected
            refused: SMTPAuthenticationError | None = None
            unusable: ValueError | None = None
            for method in self.supported_auth_methods:
                authenticate = getattr(self, f"auth_{method.replace('-', '')}", None)
                if authenticate is None:
                    raise RuntimeError(f"AUTH_METHODS has {method!r}, and the client has no method for it")
                try:
                    response: SMTPResponse = await authenticate(username, reveal(password), timeout=timeout)
                    return response
                except UntrustedServerError:
                    raise
                except InvalidChallengeError as error:
                    unusable = error
                except SMTPAuthenticationError as error:
                    refused = error if outweighs(error, refused) else refused
                    if self.stop_on_auth_failure and refused_credentials(error):
                        break
                except ValueError as error:
                    unusable = error
                except SMTPException as error:
                    if outweighs(error, refused):
                        raise
                    break
                if was_connected and not self.is_connected:  # nothing is there to try the next one on
                    break
            raise refused or unusable or SMTPException("No suitable authentication method found.")

    # -- by password ---------------------------------------------------------------------------------

    async def auth_scramsha256plus(
        self, username: str | bytes, password: str | bytes, timeout: Timeout = Default.token
    ) -> SMTPResponse:
        """Log in with SCRAM-SHA-256-PLUS (RFC 7677), bound to the TLS connection.

        The binding is ``tls-exporter`` (RFC 9266) where this Python's ``ssl`` has it, and
        ``tls-server-end-point`` (RFC 5929) elsewhere.

        :param username: who logs in; a ``str`` is encoded as UTF-8
        :param password: a ``str`` is encoded as UTF-8, after SASLprep where the mechanism has it (RFC 4013)
        :param timeout: seconds to wait for each reply, ``None`` for no limit; by default the client's
        :raises SMTPAuthenticationError: if the server refuses, its challenge is none, or it does not know the
            password; in the last case the connection is closed
        :raises ValueError: if there is nothing to bind to, as without TLS
        """
        password = conceal(password)
        return await self._scram(ScramSHA256Plus, username, password, timeout)

    async def auth_scramsha256(
        self, username: str | bytes, password: str | bytes, timeout: Timeout = Default.token
    ) -> SMTPResponse:
        """Log in with SCRAM-SHA-256 (RFC 7677).

        :param username: who logs in; a ``str`` is encoded as UTF-8
        :param password: a ``str`` is encoded as UTF-8, after SASLprep where the mechanism has it (RFC 4013)
        :param timeout: seconds to wait for each reply, ``None`` for no limit; by default the client's
        :raises SMTPAuthenticationError: if the server refuses, its challenge is none, or it does not know the
            password; in the last case the connection is closed
        """
        password = conceal(password)
        return await self._scram(ScramSHA256, username, password, timeout)

    async def auth_scramsha1(
        self, username: str | bytes, password: str | bytes, timeout: Timeout = Default.token
    ) -> SMTPResponse:
        """Log in with SCRAM-SHA-1 (RFC 5802).

        :param username: who logs in; a ``str`` is encoded as UTF-8
        :param password: a ``str`` is encoded as UTF-8, after SASLprep where the mechanism has it (RFC 4013)
        :param timeout: seconds to wait for each reply, ``None`` for no limit; by default the client's
        :raises SMTPAuthenticationError: if the server refuses, its challenge is none, or it does not know the
            password; in the last case the connection is closed
        """
        password = conceal(password)
        return await self._scram(ScramSHA1, username, password, timeout)

    async def auth_crammd5(
        self, username: str | bytes, password: str | bytes, timeout: Timeout = Default.token
    ) -> SMTPResponse:
        """Log in with CRAM-MD5 (RFC 2195).

        :param username: who logs in; a ``str`` is encoded as UTF-8
        :param password: a ``str`` is encoded as UTF-8
        :param timeout: seconds to wait for each reply, ``None`` for no limit; by default the client's
        :raises SMTPAuthenticationError: if the server refuses, or its challenge is none
        """
        password = conceal(password)
        return await self._authenticate(CramMD5(username, password), timeout)

    async def auth_plain(
        self, username: str | bytes, password: str | bytes, timeout: Timeout = Default.token
    ) -> SMTPResponse:
        """Log in with PLAIN (RFC 4616). The password is as safe as the connection is.

        :param username: who logs in; a ``str`` is encoded as UTF-8
        :param password: a ``str`` is encoded as UTF-8
        :param timeout: seconds to wait for each reply, ``None`` for no limit; by default the client's
        :raises SMTPAuthenticationError: if the server refuses
        """
        password = conceal(password)
        return await self._authenticate(Plain(username, password), timeout)

    async def auth_login(
        self, username: str | bytes, password: str | bytes, timeout: Timeout = Default.token
    ) -> SMTPResponse:
        """Log in with LOGIN, which is older than PLAIN and no better.

        :param username: who logs in; a ``str`` is encoded as UTF-8
        :param password: a ``str`` is encoded as UTF-8
        :param timeout: seconds to wait for each reply, ``None`` for no limit; by default the client's
        :raises SMTPAuthenticationError: if the server refuses
        """
        password = conceal(password)
        # Without a connection, a subclass sends to what it knows, and the exchange is that of 5.1.
        heed_prompts = self.transport is not None
        return await self._authenticate(Login(username, password, heed_prompts=heed_prompts), timeout)

    # -- by other means ------------------------------------------------------------------------------

    async def auth_xoauth2(
        self, username: str | bytes, access_token: str | bytes, timeout: Timeout = Default.token
    ) -> SMTPResponse:
        """Log in with an OAuth 2.0 access token, as Google and Microsoft want it.

        :param username: who logs in; a ``str`` is encoded as UTF-8
        :param access_token: the access token, a bearer token (RFC 6750 section 2.1)
        :param timeout: seconds to wait for each reply, ``None`` for no limit; by default the client's
        :raises SMTPAuthenticationError: if the server refuses; ``reason`` has what it says about the token
        """
        access_token = conceal(access_token)
        return await self._authenticate(XOAuth2(username, access_token), timeout)

    async def auth_oauthbearer(
        self, username: str | bytes, access_token: str | bytes, timeout: Timeout = Default.token
    ) -> SMTPResponse:
        """Log in with an OAuth 2.0 access token by OAUTHBEARER (RFC 7628).

        :param username: who logs in; a ``str`` is encoded as UTF-8
        :param access_token: the access token, a bearer token (RFC 6750 section 2.1)
        :param timeout: seconds to wait for each reply, ``None`` for no limit; by default the client's
        :raises SMTPAuthenticationError: if the server refuses; ``reason`` has what it says about the token
        """
        access_token = conceal(access_token)
        ready = self.socket_path, self.sock, self.socket_factory
        local = any(way is not None for way in ready)
        port = None if local else self._effective_port
        return await self._authenticate(
            OAuthBearer(username, access_token, None if local else self._server_name, port), timeout
        )

    async def auth_external(
        self, username: str | bytes = "", password: object = None, timeout: Timeout = Default.token
    ) -> SMTPResponse:
        """Log in with EXTERNAL (RFC 4422 appendix A): by the TLS client certificate, as a rule.

        :param username: whom to act as; ``""`` lets the server derive it
        :param password: not used; it is here so that ``"external"`` may be in ``AUTH_METHODS``
        :param timeout: seconds to wait for each reply, ``None`` for no limit; by default the client's
        :raises SMTPAuthenticationError: if the server refuses
        """
        password = conceal(password)
        return await self._authenticate(External(username), timeout)

    # -- the exchange of challenges and responses ----------------------------------------------------

    async def _scram(
        self, kind: type[Scram], username: str | bytes, password: str | bytes, timeout: Timeout
    ) -> SMTPResponse:
        await self._ehlo_or_helo_if_needed()
        announced = any(m.startswith("scram-") and m.endswith("-plus") for m in self.server_auth_methods)
        tls = None if self.transport is None else self.transport.get_extra_info("ssl_object")
        mechanism = kind(
            username,
            password,
            binding=None if tls is None else channel_binding(tls, ssl.CHANNEL_BINDING_TYPES),
            announced=announced,
            max_iterations=self.MAX_SCRAM_ITERATIONS,
        )
        return await self._authenticate(mechanism, timeout)

    async def _authenticate(self, mechanism: Mechanism, timeout: Timeout) -> SMTPResponse:
        """Let a mechanism have its exchange with the server."""
        with attach_transcript(self):
            self._check_may_authenticate()
            await self._ehlo_or_helo_if_needed()
            sent = [mechanism.secret]
            try:
                try:
                    return await self._negotiate(mechanism, sent, timeout)
                except AmbiguousPromptError:
                    if not self.is_connected:
                        raise
                return await self._negotiate(mechanism, sent, timeout, alone=True)
            except SMTPException as error:
                withhold_from(error, sent)
                if isinstance(error, SMTPAuthenticationError) and error.reason is not None:
                    error.reason = withhold(error.reason, *sent)
                raise

    async def _negotiate(
        self, mechanism: Mechanism, sent: list[Any], timeout: Timeout, alone: bool = False
    ) -> SMTPResponse:
        """One exchange.

        :param sent: takes the responses of the mechanism, concealed
        :param alone: whether AUTH goes without the initial response
        """
        response = await self._begin(mechanism, sent, timeout, alone)
        while response.code == SMTPStatus.auth_continue:
            answer = await self._answer(mechanism, response.message, timeout)
            sent.append(answer)
            response = reply_without(await self._respond(timeout, answer), sent)
        if response.code != SMTPStatus.auth_successful:
            error = SMTPAuthenticationError(*response)
            error.reason = mechanism.reason
            raise error
        try:
            mechanism.check_success()
        except UntrustedServerError:
            self.close()
            raise
        return response

    async def _begin(
        self, mechanism: Mechanism, sent: list[Any], timeout: Timeout, alone: bool
    ) -> SMTPResponse:
        """Send AUTH, and once more without the initial response where the server refuses the line with it."""
        start = mechanism.start(alone)
        sent.append(SecretBytes(start.partition(b" ")[2]))
        response = reply_without(await self._respond(timeout, b"AUTH", start), sent)
        if response.code not in _UNREADABLE or not sent[-1]:
            return response
        try:
            return await self._begin(mechanism, sent, timeout, alone=True)
        except SMTPException:  # the connection is lost, and what the server said before says more
            return response

    async def _respond(self, timeout: Timeout, *args: bytes) -> SMTPResponse:
        with in_phase("auth"):
            return await self.execute_command(*args, timeout=timeout)

    async def _answer(self, mechanism: Mechanism, challenge: str, timeout: Timeout) -> SecretBytes:
        """The line that answers a challenge. If there is none, the exchange is cancelled."""
        try:
            if not mechanism.slow:
                return mechanism.respond(challenge)
            return await asyncio.get_running_loop().run_in_executor(None, mechanism.respond, challenge)
        except asyncio.CancelledError:
            self.close()  # in the middle of an exchange
            raise
        except ValueError as error:
            await self._cancel_auth(timeout)
            if isinstance(error, UntrustedServerError):
                self.close()
            elif isinstance(error, InvalidChallengeError):
                error.reason = mechanism.reason
            raise

    async def _cancel_auth(self, timeout: Timeout) -> None:
        """Leave an exchange that has gone wrong (RFC 4954 section 4), so that the next command is one."""
        if not self.is_connected:
            return
        try:
            response = await self.execute_command(b"*", timeout=timeout)
        except SMTPException:
            return  # what went wrong before says more
        if response.code == SMTPStatus.auth_continue:
            self.close()


def outweighs(error: SMTPException, refused: SMTPAuthenticationError | None) -> bool:
    """Whether an error is what the caller has to know, in place of an earlier refusal.

    Only another refusal of the credentials replaces one: what a server says or does after it, such as hanging
    up, follows from it.
    """
    if refused is None or not refused_credentials(refused):
        return True
    return isinstance(error, SMTPAuthenticationError) and refused_credentials(error)
