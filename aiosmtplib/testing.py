"""An SMTP server for the tests of programs that send mail.

It is aiosmtpd with the options that such tests need. ``aiosmtplib demo`` and the examples of the README send
to it, too. The extra ``testing`` installs aiosmtpd and trustme; they are imported when a server is created::

    async with aiosmtplib.testing.Server() as server:
        await aiosmtplib.send(message, **server.connect_options)
    assert server.messages[0].recipients == ("somebody@example.com",)
"""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

__all__ = ("ReceivedMessage", "Server")

REFUSAL = "550 5.1.1 No such mailbox here"


@dataclass(frozen=True)
class ReceivedMessage:
    """A message that the server accepted.

    :ivar sender: the reverse-path of MAIL, ``""`` for the null sender
    :ivar recipients: the forward-paths that were accepted, in order
    :ivar content: the message as received, without dot-stuffing, lines ended by CRLF
    :ivar mail_options: the parameters of MAIL, such as ``"BODY=8BITMIME"``
    :ivar username: the user name of the login, or ``None``
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    mail_options: tuple[str, ...] = ()
    username: str | None = None

    @property
    def message(self) -> EmailMessage:
        """The content, parsed."""
        return email.message_from_bytes(self.content, policy=email.policy.SMTP)


class Server:
    """An SMTP server on a port of this machine, as an async context manager. It runs in the caller's loop.

    :param host: the address to listen on
    :param port: the port, or 0 for a free one
    :param use_tls: use TLS from the first byte, with a certificate issued for this server
    :param start_tls: announce STARTTLS, with such a certificate
    :param users: user names and passwords; if given, AUTH (PLAIN or LOGIN) is required to send. With
        ``start_tls``, AUTH is announced on the encrypted connection only
    :param pipelining: announce PIPELINING (RFC 2920)
    :param smtputf8: announce SMTPUTF8 (RFC 6531)
    :param size_limit: the maximum size of a message in bytes, announced by SIZE (RFC 1870)
    :param refuse: addresses that are refused as sender and as recipient: a collection, or a mapping from
        the address to the reply it gets
    :param reply: the reply to every complete message; if not a 2xx one, the message is not kept
    :raises ImportError: if the extra ``testing`` is not installed
    :raises ValueError: if both ``use_tls`` and ``start_tls`` are set

    :ivar messages: the messages accepted so far (list of :class:`ReceivedMessage`); may be cleared
    :ivar host: the address on which the server listens
    :ivar port: the port on which the server listens; the actual one once the server runs
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        use_tls: bool = False,
        start_tls: bool = False,
        users: Mapping[str, str] | None = None,
        pipelining: bool = True,
        smtputf8: bool = True,
        size_limit: int = 32 * 1024 * 1024,
        refuse: Collection[str] | Mapping[str, str] = (),
        reply: str = "250 2.0.0 Ok",
    ) -> None:
        if use_tls and start_tls:
            raise ValueError("A server speaks TLS from the first byte or offers STARTTLS, not both.")
        _import_aiosmtpd()
        self.host = host
        self.port = port
        self.messages: list[ReceivedMessage] = []
        self._use_tls = use_tls
        self._start_tls = start_tls
        self._users = users
        self._pipelining = pipelining
        self._smtputf8 = smtputf8
        self._size_limit = size_limit
        self._refuse = refuse if isinstance(refuse, Mapping) else dict.fromkeys(refuse, REFUSAL)
        self._reply = reply
        self._ca_pem: bytes | None = None
        self._server_context: ssl.SSLContext | None = None
        if use_tls or start_tls:
            self._make_certificate()
        self._connections: dict[SMTP, set[asyncio.Task[Any]]] = {}

    @property
    def ca_pem(self) -> bytes:
        """The certificate of the authority that signed that of the server, in PEM, for ``cert_bundle`` files.

        :raises ValueError: if the server does not use TLS
        """
        if self._ca_pem is None:
            raise ValueError("This server does no TLS: it was made without use_tls and start_tls.")
        return self._ca_pem

    @property
    def connect_options(self) -> dict[str, Any]:
        """Keyword arguments for ``aiosmtplib.send`` and ``aiosmtplib.SMTP`` to connect to this server.

        They include the first of ``users``, and a TLS context that trusts the server's certificate.
        """
        options: dict[str, Any] = {
            "hostname": self.host,
            "port": self.port,
            "use_tls": self._use_tls,
            "start_tls": self._start_tls,
        }
        if self._ca_pem is not None:
            options["tls_context"] = ssl.create_default_context(cadata=self._ca_pem.decode("ascii"))
        for username, password in (self._users or {}).items():
            return {**options, "username": username, "password": password}
        return options

    async def __aenter__(self) -> Server:
        loop = asyncio.get_running_loop()
        context = self._server_context if self._use_tls else None
        self._listener = await loop.create_server(
            self._make_protocol, self.host, self.port, ssl=context, start_serving=False
        )
        try:  # asyncio leaves the socket open if start_serving is cancelled
            await self._listener.start_serving()
        except BaseException:
            self._listener.close()
            raise
        self.port = self._listener.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.close()
        tasks = [task for tasks in self._connections.values() for task in tasks]
        for protocol in list(self._connections):
            if protocol.transport is not None:
                protocol.transport.abort()  # type: ignore[attr-defined]
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._listener.wait_closed()

    def _make_certificate(self) -> None:
        try:
            import trustme
        except ImportError as exc:
            raise ImportError(_missing("trustme")) from exc
        authority = trustme.CA()
        self._ca_pem = authority.cert_pem.bytes()
        self._server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", self.host).configure_cert(self._server_context)

    def _make_protocol(self) -> SMTP:
        from aiosmtpd.smtp import SMTP

        connections = self._connections

        class Protocol(SMTP):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                # Called again after STARTTLS. __aexit__ waits for the tasks that aiosmtpd starts here.
                before = asyncio.all_tasks()
                super().connection_made(transport)
                connections.setdefault(self, set()).update(asyncio.all_tasks() - before)

            def connection_lost(self, error: Exception | None) -> None:
                super().connection_lost(error)
                if all(task.done() for task in connections.get(self, ())):
                    connections.pop(self, None)

        with warnings.catch_warnings():
            # It warns of passwords on connections that it did not encrypt itself; these do not leave a test.
            warnings.simplefilter("ignore", UserWarning)
            return Protocol(
                _Handler(self),
                hostname="localhost",
                ident="aiosmtplib.testing",
                loop=asyncio.get_running_loop(),
                data_size_limit=self._size_limit,
                enable_SMTPUTF8=self._smtputf8,
                tls_context=self._server_context if self._start_tls else None,
                auth_required=self._users is not None,
                auth_require_tls=self._start_tls,
                authenticator=self._authenticate,
            )

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, login: LoginPassword
    ) -> AuthResult:
        from aiosmtpd.smtp import AuthResult

        name = login.login.decode(errors="replace")
        known = (self._users or {}).get(name)
        success = known is not None and known.encode() == login.password
        # "Not handled" makes aiosmtpd write the 535.
        return AuthResult(success=success, handled=False, auth_data=name)


class _Handler:
    """The handler of aiosmtpd, which calls a method for each command."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        if self._server._pipelining:
            # The announcement suffices: aiosmtpd reads line by line, and keeps commands that arrive early.
            responses.insert(1, "250-PIPELINING")
        if self._server._users is None:
            responses = [line for line in responses if not line.startswith("250-AUTH")]
        return responses

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if (refusal := self._server._refuse.get(address)) is not None:
            return refusal
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if (refusal := self._server._refuse.get(address)) is not None:
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self._server._reply.startswith("2"):
            self._server.messages.append(
                ReceivedMessage(
                    sender=(envelope.mail_from or "").removeprefix("<>"),
                    recipients=tuple(envelope.rcpt_tos),
                    content=bytes(envelope.original_content or b""),
                    mail_options=tuple(envelope.mail_options),
                    username=session.auth_data if session.authenticated else None,
                )
            )
        return self._server._reply


def _import_aiosmtpd() -> None:
    with warnings.catch_warnings():
        # It imports names that newer Pythons deprecate, which its users cannot change.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            import aiosmtpd.smtp  # noqa: F401
        except ImportError as exc:
            raise ImportError(_missing("aiosmtpd")) from exc


def _missing(package: str) -> str:
    return f"aiosmtplib.testing needs {package}: pip install 'aiosmtplib[testing]'"
