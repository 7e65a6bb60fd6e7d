"""An SMTP server for the tests of programs that send mail.

It is aiosmtpd with what such tests need; the examples of the documentation send to it, too. The extra
``testing`` installs aiosmtpd and trustme; they are imported when a server is created::

    async with aiosmtplib.testing.Server() as server:
        await aiosmtplib.send(message, **server.connect_options)
    assert server.messages[0].recipients == ("somebody@example.com",)

For pytest, the package has the fixtures ``smtp_server`` and ``smtp_server_tls``.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Any

from ._testing.failures import Failure
from ._testing.protocol import Behaviour, import_aiosmtpd, missing, protocol_factory
from ._testing.received import ReceivedMessage

__all__ = ("ReceivedMessage", "Server")

ReceivedMessage.__module__ = __name__  # where users import it from is what a pickle names

REFUSAL = "550 5.1.1 No such mailbox here"

#: How long to wait for messages, in seconds, if nothing else is said.
PATIENCE = 10.0


class Server:
    """An SMTP server on a port of this machine, as a context manager of either kind.

    By ``async with`` it runs in the event loop of the caller; by ``with``, in a thread of its own, for
    programs that block their event loop, or have none.

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
        import_aiosmtpd()
        self.host = host
        self.port = port
        self._use_tls = use_tls
        self._start_tls = start_tls
        self._ca_pem: bytes | None = None
        self._server_context: ssl.SSLContext | None = None
        if use_tls or start_tls:
            self._make_certificate()
        self._behaviour = Behaviour(
            users=users,
            pipelining=pipelining,
            smtputf8=smtputf8,
            size_limit=size_limit,
            refuse=refuse if isinstance(refuse, Mapping) else dict.fromkeys(refuse, REFUSAL),
            reply=reply,
            start_tls=self._server_context if start_tls else None,
        )
        self.messages: list[ReceivedMessage] = self._behaviour.inbox.messages
        self._loop: asyncio.AbstractEventLoop | None = None

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
        for username, password in (self._behaviour.users or {}).items():
            return {**options, "username": username, "password": password}
        return options

    # -- what tests ask for --------------------------------------------------------------------------

    def fail(
        self,
        phase: str,
        reply: str | None = None,
        *,
        delay: float = 0,
        drop: bool = False,
        times: int | None = 1,
    ) -> None:
        """Have the server fail, the next time or times that it comes to a phase.

        Failures in one phase follow each other in the order of the calls.

        >>> server.fail("RCPT", "450 4.2.1 Try later")
        >>> server.fail("MAIL", "421 4.3.2 Shutting down")
        >>> server.fail("DATA", drop=True)
        >>> server.fail("message", delay=5, times=None)

        :param phase: ``"connect"`` (in place of the greeting), the name of a command such as ``"MAIL"``, or
            ``"message"`` (after the end of a message)
        :param reply: what it says in place of the usual reply. The connection ends with a 421, and with a
            reply in place of the greeting
        :param delay: seconds for which it is silent before its reply
        :param drop: close the connection, and say nothing
        :param times: how often; ``None`` for always
        :raises ValueError: if there is no such phase, or ``reply`` is none
        """
        self._behaviour.script.add(Failure(phase, reply, delay, drop, times))

    def heal(self) -> None:
        """Forget the failures to come."""
        self._behaviour.script.clear()

    async def wait_for(self, count: int = 1, timeout: float = PATIENCE) -> list[ReceivedMessage]:
        """Wait until there are so many messages.

        :param count: how many
        :param timeout: how long, in seconds
        :return: all messages
        :raises TimeoutError: if there are fewer by then
        """
        return await self._behaviour.inbox.wait(count, timeout)

    def wait_for_sync(self, count: int = 1, timeout: float = PATIENCE) -> list[ReceivedMessage]:
        """:meth:`wait_for` for code that is not asynchronous, with a server in a thread of its own.

        :param count: how many
        :param timeout: how long, in seconds
        :raises RuntimeError: if called in the event loop in which the server runs, which would stand still
        """
        try:
            blocked = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            blocked = False
        if blocked:
            raise RuntimeError("The server runs in this event loop: await wait_for instead of its _sync form")
        return self._behaviour.inbox.wait_blocking(count, timeout)

    # -- in the event loop of the caller -------------------------------------------------------------

    async def __aenter__(self) -> Server:
        loop = self._loop = asyncio.get_running_loop()
        context = self._server_context if self._use_tls else None
        self._listener = await loop.create_server(
            protocol_factory(self._behaviour), self.host, self.port, ssl=context, start_serving=False
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
        connections = self._behaviour.connections
        tasks = [task for tasks in connections.values() for task in tasks]
        transports: list[Any] = [protocol.transport for protocol in connections]
        for transport in transports:
            if transport is not None:
                transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._listener.wait_closed()

    # -- in a thread of its own ----------------------------------------------------------------------

    def __enter__(self) -> Server:
        loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=loop.run_forever, name="aiosmtplib.testing", daemon=True)
        self._thread.start()
        try:
            return asyncio.run_coroutine_threadsafe(self.__aenter__(), loop).result()
        except BaseException:
            self._end_thread(loop)
            raise

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        loop = self._loop
        assert loop is not None
        try:
            asyncio.run_coroutine_threadsafe(self.__aexit__(None, None, None), loop).result()
        finally:
            self._end_thread(loop)

    def _end_thread(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()
        loop.close()

    def _make_certificate(self) -> None:
        try:
            import trustme
        except ImportError as exc:
            raise ImportError(missing("trustme")) from exc
        authority = trustme.CA()
        self._ca_pem = authority.cert_pem.bytes()
        self._server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", self.host).configure_cert(self._server_context)
