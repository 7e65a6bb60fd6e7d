"""The servers of the documentation, in a thread, because its examples bring their own event loop."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from aiosmtpd.smtp import SMTP, Envelope, Session

from . import certs
from .scripted_server import Peer
from .server_fixtures import Mailbox, RecordingSMTP

__all__ = ("Office",)


class Office(Mailbox):
    """Servers with one mailbox for all of them: 1025 plain, 587 STARTTLS and login, 465 TLS and login.

    :param directory: where the Unix socket ``smtp.sock`` is made
    :param ask_client: whether 465 insists on a client certificate
    :param peer: answers at 1025, where a well-behaved server will not do
    :ivar ports: the real ports, by those of the pages
    :ivar token_url: the beginning of the address of an OAuth 2.0 token endpoint
    :ivar token_requests: the names in the form of each request to it
    """

    def __init__(self, directory: Path, ask_client: bool, peer: Peer | None) -> None:
        super().__init__()
        self.ports: dict[str, int] = {}
        self.peer = peer
        self.token_url = ""
        self.token_requests: list[str] = []
        self._socket = directory / "smtp.sock"
        self._contexts = certs.server_context(), certs.server_context(ask_client=ask_client)
        self._protocols: list[RecordingSMTP] = []
        self._servers: list[asyncio.AbstractServer] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address == "nobody@example.com":
            return "550 5.1.1 No such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        await super().handle_DATA(server, session, envelope)
        return "250 2.0.0 Ok"

    def _factory(self, **options: Any) -> Callable[[], RecordingSMTP]:
        def factory() -> RecordingSMTP:
            protocol = RecordingSMTP(
                self, hostname="localhost", enable_SMTPUTF8=True, loop=asyncio.get_running_loop(), **options
            )
            self._protocols.append(protocol)
            return protocol

        return factory

    async def __aenter__(self) -> "Office":
        login: dict[str, Any] = {"authenticator": self.authenticate, "auth_required": True}
        for port, tls, options in (
            ("1025", None, {}),
            ("587", None, {**login, "tls_context": self._contexts[0]}),
            ("465", self._contexts[1], {**login, "auth_require_tls": False}),
        ):
            self.ports[port] = await self._listen(self._factory(**options), tls)
        if hasattr(socket, "AF_UNIX"):
            loop = asyncio.get_running_loop()
            self._servers.append(await loop.create_unix_server(self._factory(), str(self._socket)))
        endpoint = await asyncio.start_server(self._give_token, "127.0.0.1", 0)
        self._servers.append(endpoint)
        self.token_url = f"http://127.0.0.1:{endpoint.sockets[0].getsockname()[1]}"
        if self.peer is not None:
            await self.peer.__aenter__()
            self.ports["1025"] = self.peer.port
        return self

    async def _give_token(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """An OAuth 2.0 token endpoint (RFC 6749 section 5.1), by HTTP, for one request."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].split()[0])
        form = parse_qs((await reader.readexactly(length)).decode())
        self.token_requests.append(" ".join(sorted(form)))
        answer = b'{"access_token": "token", "expires_in": 3599, "token_type": "Bearer"}'
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(answer) + answer
        )
        writer.close()
        await writer.wait_closed()

    async def _listen(self, factory: Callable[[], RecordingSMTP], tls: ssl.SSLContext | None) -> int:
        server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0, ssl=tls)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def __aexit__(self, *exc_info: Any) -> None:
        if self.peer is not None:
            await self.peer.__aexit__(None, None, None)
        for server in self._servers:
            server.close()
        tasks = [each._handler_coroutine for each in self._protocols if each._handler_coroutine is not None]
        for protocol in self._protocols:
            if protocol.transport is not None:
                protocol.transport.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def mail(self) -> list[tuple[str, list[str]]]:
        """Sender and recipients of every message, in order of arrival."""
        taken = [(each.mail_from or "", list(each.rcpt_tos)) for each in self.envelopes]
        if self.peer is not None:
            taken += [
                (each.sender.decode(), [who.decode() for who in each.recipients])
                for each in self.peer.accepted
            ]
        return taken

    def message(self, index: int = 0) -> EmailMessage:
        return message_from_bytes(self.envelopes[index].original_content or b"", policy=policy.SMTP)
