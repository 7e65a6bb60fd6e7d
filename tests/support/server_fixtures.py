"""Real servers for the tests: aiosmtpd in the test's own event loop, so that nothing runs in threads.

aiosmtpd knows nothing of us, which makes it the second opinion beside the scripted peer.
"""

import asyncio
import hmac
import logging
import ssl
import threading
import warnings
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from . import certs
from .certs import Files
from .scripted_server import PATIENCE

with warnings.catch_warnings():
    # aiosmtpd 1.4.6 imports names that newer Pythons deprecate; there is no later release to move to.
    warnings.simplefilter("ignore", DeprecationWarning)
    from aiosmtpd.smtp import MISSING, SMTP, AuthResult, Envelope, LoginPassword, Session

__all__ = ("certificates", "smtpd", "threaded_smtpd", "trusting", "uvloop_may_complain")

USER, PASSWORD = "user", "pass word"


@dataclass
class Mailbox:
    """A running aiosmtpd: where it is, and what it received."""

    port: int = 0
    path: str | None = None
    envelopes: list[Envelope] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    tls_clients: list[bytes | None] = field(default_factory=list)
    host: str = "localhost"

    # aiosmtpd calls its handler

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.envelopes.append(envelope)
        return "250 2.0.0 Kept"

    async def auth_CRAM__MD5(self, server: SMTP, args: list[str]) -> AuthResult:
        challenge = "<1896.697170952@localhost>"
        answer = await server.challenge_auth(challenge)
        if answer is MISSING:
            return AuthResult(success=False)
        name, _, digest = answer.decode().partition(" ")
        expected = hmac.new(PASSWORD.encode(), challenge.encode(), "md5").hexdigest()
        if name != USER or not hmac.compare_digest(digest, expected):
            return AuthResult(success=False, handled=False)
        self.logins.append("CRAM-MD5")
        return AuthResult(success=True)

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:
        if args[1:] == [b64encode(b"user=%b\x01auth=Bearer token\x01\x01" % USER.encode()).decode()]:
            self.logins.append("XOAUTH2")
            return AuthResult(success=True)
        # RFC 7628 section 3.2.3: the error comes as a challenge, and the client answers it with nothing.
        await server.challenge_auth('{"status":"401"}')
        return AuthResult(success=False, handled=False)

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        if (data.login, data.password) != (USER.encode(), PASSWORD.encode()):
            return AuthResult(success=False, handled=False)
        self.logins.append(mechanism)
        return AuthResult(success=True)


class RecordingSMTP(SMTP):
    """aiosmtpd with a record of the bytes it was sent."""

    def data_received(self, data: bytes) -> None:
        self.event_handler.commands.extend(data.decode("utf-8", "replace").split("\r\n")[:-1])
        super().data_received(data)


Start = Callable[..., Awaitable[Mailbox]]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """Certificates and keys as files."""
    return certs.write(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def trusting() -> ssl.SSLContext:
    """A client context that trusts our CA."""
    return certs.client_context()


@pytest.fixture
def uvloop_may_complain(loop_complaints: list[logging.LogRecord]) -> Iterator[None]:
    """For connections that end while a handshake begins.

    uvloop then starts the handshake on the closed transport in a callback of its own, where no client can
    catch what it raises, and reports that to the loop's exception handler. The client sees the loss anyway.
    """
    yield
    loop_complaints[:] = [
        record
        for record in loop_complaints
        if "SSLProtocol.connection_made of <uvloop.loop" not in record.getMessage()
    ]


@pytest.fixture
async def smtpd() -> AsyncIterator[Start]:
    """Start an aiosmtpd: ``await smtpd(starttls=True, auth=True)``; it ends with the test.

    :param starttls: offer STARTTLS
    :param use_tls: TLS from the first byte
    :param auth: offer (and insist on) AUTH PLAIN, LOGIN, CRAM-MD5 and XOAUTH2
    :param path: listen on a Unix socket
    :param options: for aiosmtpd's SMTP, such as ``enable_SMTPUTF8`` or ``data_size_limit``
    """
    servers: list[asyncio.Server] = []
    protocols: list[RecordingSMTP] = []

    async def start(
        *,
        starttls: bool = False,
        use_tls: bool = False,
        auth: bool = False,
        path: Path | None = None,
        **options: Any,
    ) -> Mailbox:
        mailbox = Mailbox(path=str(path) if path else None)
        context = certs.server_context() if starttls or use_tls else None
        if auth:
            options |= {
                "authenticator": mailbox.authenticate,
                "auth_required": True,
                "auth_require_tls": False,
            }

        def factory() -> RecordingSMTP:
            with warnings.catch_warnings():
                # AUTH without TLS is what these tests want, and aiosmtpd warns of it each time.
                warnings.filterwarnings("ignore", "Requiring AUTH while not requiring TLS", UserWarning)
                protocol = RecordingSMTP(
                    mailbox, hostname="aiosmtpd.example", tls_context=context if starttls else None, **options
                )
            protocols.append(protocol)
            return protocol

        loop = asyncio.get_running_loop()
        implicit: ssl.SSLContext | None = context if use_tls else None
        if path is not None:
            server = await loop.create_unix_server(factory, str(path), ssl=implicit)
        else:
            server = await loop.create_server(factory, "127.0.0.1", 0, ssl=implicit)
            mailbox.port = server.sockets[0].getsockname()[1]
        servers.append(server)
        return mailbox

    yield start
    for server in servers:
        server.close()
    await _end(protocols)


@pytest.fixture
def threaded_smtpd() -> Iterator[Mailbox]:
    """An aiosmtpd in a thread of its own, for the blocking forms, which bring their own event loop."""
    mailbox = Mailbox()
    protocols: list[RecordingSMTP] = []
    started, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    def factory() -> RecordingSMTP:
        protocols.append(RecordingSMTP(mailbox, hostname="aiosmtpd.example"))
        return protocols[-1]

    async def serve() -> None:
        server = await loop.create_server(factory, "127.0.0.1", 0)
        mailbox.port = server.sockets[0].getsockname()[1]
        started.set()
        await stop.wait()
        server.close()
        await _end(protocols)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(PATIENCE)
    yield mailbox
    loop.call_soon_threadsafe(stop.set)
    thread.join(PATIENCE)
    loop.close()


async def _end(protocols: list[RecordingSMTP]) -> None:
    for protocol in protocols:
        if protocol.transport is not None:
            protocol.transport.close()
    tasks = [protocol._handler_coroutine for protocol in protocols if protocol._handler_coroutine is not None]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
