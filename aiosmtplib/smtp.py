"""The client that people use: ``SMTP``."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Any, Literal, TypeVar

from ._client.authentication import Authentication
from ._client.before_send import ContentHook
from ._client.commands import Commands
from ._client.connection import (
    Timeout,
    effective_timeout,
    forget_closed_loop,
    introduced_protocol,
    running_limit_of,
)
from ._client.defaults import SMTP_PORT, SMTP_STARTTLS_PORT, SMTP_TLS_PORT
from ._client.error_context import attach_transcript
from ._client.lifetime import connect, part
from ._client.options import DEFAULT_TIMEOUT as DEFAULT_TIMEOUT
from ._client.options import destination_of
from ._client.pipeline import Pipeline
from ._client.send_many import SendMany
from ._client.sending import Sending
from ._client.url import CLIENT_CLASSES, concealed, from_url, revealed
from ._client.variant import SMTP_VARIANT
from ._client.ways import SocketFactory
from ._sasl.secret import conceal
from ._trace.observer import CommandHook
from ._transport.limit import Limit, limit_of, within
from .errors import SMTPException
from .response import SMTPResponse
from .typing import Default, PlaintextAuth, SMTPTokenGenerator, SocketPathType

__all__ = ("SMTP", "SMTP_PORT", "SMTP_STARTTLS_PORT", "SMTP_TLS_PORT")

T = TypeVar("T")
Item = TypeVar("Item")
Self = TypeVar("Self", bound="SMTP")


class SMTP(Sending, Commands, Authentication):
    """An SMTP client, and the connection that it has open.

    As an asynchronous context manager it connects and, at the end, says QUIT and closes:

    >>> async with aiosmtplib.SMTP("localhost", 1025) as client:
    ...     await client.send_message(message)

    A client has one connection, and a connection does one thing at a time: tasks that share a client wait
    for each other. The options are stored, and may be assigned between connects.

    :param hostname: name or address of the server; ``None`` means ``"localhost"``
    :param port: port of the server; by default 465 with ``use_tls``, 587 with ``start_tls=True``, else 25
    :param username: log in as this user after connecting
    :param password: the password for ``username``
    :param source_address: ``(host, port)`` to connect from
    :param timeout: seconds to wait for a connection, and for each reply; ``None`` for no limit
    :param loop: does nothing; accepted, with a ``DeprecationWarning``, for programs of the 1.1 series
    :param use_tls: speak TLS from the first byte (RFC 8314 section 3.3)
    :param start_tls: upgrade with STARTTLS (RFC 3207): ``None`` if the server offers it, ``True`` in any case
        (connecting fails where it cannot be done), ``False`` never
    :param validate_certs: verify the certificate of the server and its name
    :param client_cert: path of a PEM file with the certificate to present
    :param client_key: path of a PEM file with its key, if ``client_cert`` does not hold it
    :param tls_context: a context to use as it is, instead of the four TLS options around it
    :param cert_bundle: path of a PEM file with certificates to trust besides those of the system
    :param socket_path: path of a Unix domain socket to connect to
    :param sock: a connected socket to use
    :param server_hostname: the name that the certificate of the server has to show, and that the server is
        asked for by SNI; ``None`` means ``hostname``
    :param socket_factory: an async function without parameters that returns a connected socket, in place of
        connecting; called for each connection, whose end closes the socket. ``hostname`` and ``port`` then
        say to whom it leads
    :param proxy: URL of a proxy to connect through, such as ``socks5://user:password@host:1080``, which also
        resolves ``hostname``: ``socks5`` or ``socks4`` (with python-socks), or ``http``
    :param final_timeout: seconds to wait for the reply to a message, once the server has taken its content;
        ``None`` for no limit. By default ten minutes (RFC 5321 section 4.5.3.2.6), or ``timeout`` where that
        was given, to the client or to the call
    :param oauth_token_generator: instead of ``password``: awaited for an access token, for XOAUTH2 or
        OAUTHBEARER, and once more if the server says that the token has expired
    :param local_hostname: what to call this host in EHLO; by default its fully qualified domain name, which
        may take a DNS query, once in a process, or the address of its end of the connection if it has none
    :param pipelining: send the commands of a message together (RFC 2920): ``None`` or ``True`` if the server
        announces it, ``False`` never
    :param chunking: send content by BDAT (RFC 3030), if the server announces it: ``True`` always, ``None``
        where many messages are sent, where their size is not known, and for BINARYMIME, ``False`` never
    :param minimum_tls_version: give up unless the connection is encrypted, by this version of TLS or a later
        one; without ``use_tls``, STARTTLS is insisted upon. ``None`` if it does not matter
    :param allow_plaintext_auth: whether to log in over a connection that is not encrypted: ``True`` always,
        ``False`` never, ``"unix"`` over Unix domain sockets, ``"loopback"`` to loopback addresses,
        ``"local"`` over both
    :param stop_on_auth_failure: after a server said that the credentials are wrong, do not try them with
        another mechanism: some lock an account after a few failures
    :param complete_headers: add Date and Message-ID to what goes out where a message has none, and not to the
        message object: mail without them is refused by some servers, and filed as spam by others
    :param before_send: called with each message as it is about to go to this server, as ``bytes`` with CRLF;
        returns the bytes to send, such as those with a signature. It may be asynchronous, and runs in a
        thread if it is marked by :func:`blocking_hook`. What it raises comes out, and nothing is sent
    :param on_command: called with a :class:`CommandEvent` for each command and its reply. What it raises is
        logged, and changes nothing
    """

    #: That of the one call for which the client is connected, or ``None``.
    _limit: Limit | None = None

    # -- connecting ----------------------------------------------------------------------------------

    @classmethod
    def from_url(cls: type[Self], url: str, **options: Any) -> Self:
        """A client with the options of a URL, as programs have it in one line of their configuration.

        >>> SMTP.from_url("smtp+starttls://me:p%40ssword@smtp.example.com:587?timeout=10")

        The schemes are ``smtp`` (STARTTLS if the server offers it), ``smtp+starttls`` (STARTTLS in any case),
        ``smtps`` (TLS from the first byte), ``lmtp`` (:class:`LMTP`), and for a Unix domain socket
        ``unix:///path``. In user name and password ``@ : / ? # %`` are percent-encoded. The query has options
        by their names: numbers, ``true`` and ``false``, ``none``, text, and ``TLSv1.2`` and the like.

        :param url: the URL; no error and no ``repr`` shows what is in it
        :param options: options of the class besides those in the URL, also such as no URL can have
        :return: a client of this class; for ``lmtp`` an :class:`LMTP` client
        :raises ValueError: if the URL is not valid, an option is unknown, not of its type or given twice, or
            options exclude each other
        :raises TypeError: if an option is of the wrong type, or unknown
        """
        url, options = conceal(url), concealed(options)
        found = from_url(url, options, cls)
        client: Self = found.client_class(**revealed(found.options))
        return client

    async def connect(
        self,
        *,
        hostname: str | Literal[Default.token] | None = Default.token,
        port: int | Literal[Default.token] | None = Default.token,
        username: str | bytes | Literal[Default.token] | None = Default.token,
        password: str | bytes | Literal[Default.token] | None = Default.token,
        source_address: tuple[str, int] | Literal[Default.token] | None = Default.token,
        timeout: Timeout = Default.token,
        loop: asyncio.AbstractEventLoop | Literal[Default.token] | None = Default.token,
        use_tls: bool | None = None,
        start_tls: bool | Literal[Default.token] | None = Default.token,
        validate_certs: bool | None = None,
        client_cert: str | Literal[Default.token] | None = Default.token,
        client_key: str | Literal[Default.token] | None = Default.token,
        tls_context: ssl.SSLContext | Literal[Default.token] | None = Default.token,
        cert_bundle: str | Literal[Default.token] | None = Default.token,
        socket_path: SocketPathType | Literal[Default.token] | None = Default.token,
        sock: socket.socket | Literal[Default.token] | None = Default.token,
        server_hostname: str | Literal[Default.token] | None = Default.token,
        socket_factory: SocketFactory | Literal[Default.token] | None = Default.token,
        proxy: str | Literal[Default.token] | None = Default.token,
        final_timeout: float | Literal[Default.token] | None = Default.token,
        oauth_token_generator: SMTPTokenGenerator | Literal[Default.token] | None = Default.token,
        local_hostname: str | Literal[Default.token] | None = Default.token,
        pipelining: bool | Literal[Default.token] | None = Default.token,
        chunking: bool | Literal[Default.token] | None = Default.token,
        minimum_tls_version: ssl.TLSVersion | Literal[Default.token] | None = Default.token,
        allow_plaintext_auth: PlaintextAuth | Literal[Default.token] = Default.token,
        stop_on_auth_failure: bool | Literal[Default.token] = Default.token,
        complete_headers: bool | Literal[Default.token] = Default.token,
        before_send: ContentHook | Literal[Default.token] | None = Default.token,
        on_command: CommandHook | Literal[Default.token] | None = Default.token,
    ) -> SMTPResponse:
        """Connect, upgrade to TLS and log in, as the options say.

        Options that are not given are as they were. All but ``timeout`` are stored for later connects. If
        another task is just connecting this client, wait until that connection has been closed.

        :param hostname: name or address of the server; ``None`` means ``"localhost"``
        :param port: port of the server; by default 465 with ``use_tls``, 587 with ``start_tls=True``, else 25
        :param username: log in as this user after connecting
        :param password: the password for ``username``
        :param source_address: ``(host, port)`` to connect from
        :param timeout: seconds until the server has greeted, then for each reply; only for this call
        :param loop: does nothing; accepted, with a ``DeprecationWarning``, for programs of the 1.1 series
        :param use_tls: speak TLS from the first byte (RFC 8314 section 3.3)
        :param start_tls: upgrade with STARTTLS (RFC 3207): ``None`` if the server offers it, ``True`` in any
            case (connecting fails where it cannot be done), ``False`` never
        :param validate_certs: verify the certificate of the server and its name
        :param client_cert: path of a PEM file with the certificate to present
        :param client_key: path of a PEM file with its key, if ``client_cert`` does not hold it
        :param tls_context: a context to use as it is, instead of the four TLS options around it
        :param cert_bundle: path of a PEM file with certificates to trust besides those of the system
        :param socket_path: path of a Unix domain socket to connect to
        :param sock: a connected socket to use
        :param server_hostname: the name that the certificate of the server has to show, and that the server
            is asked for by SNI; ``None`` means ``hostname``
        :param socket_factory: an async function without parameters that returns a connected socket, in place
            of connecting; called for each connection, whose end closes the socket. ``hostname`` and ``port``
            then say to whom it leads
        :param proxy: URL of a proxy to connect through, such as ``socks5://user:password@host:1080``, which
            also resolves ``hostname``: ``socks5`` or ``socks4`` (with python-socks), or ``http``
        :param final_timeout: seconds to wait for the reply to a message, once the server has taken its
            content; ``None`` for no limit. By default ten minutes (RFC 5321 section 4.5.3.2.6), or
            ``timeout`` where that was given, to the client or to the call
        :param oauth_token_generator: instead of ``password``: awaited for an access token, for XOAUTH2 or
            OAUTHBEARER, and once more if the server says that the token has expired
        :param local_hostname: what to call this host in EHLO; by default its fully qualified domain name,
            which may take a DNS query, once in a process, or the address of its end of the connection if it
            has none
        :param pipelining: send the commands of a message together (RFC 2920): ``None`` or ``True`` if the
            server announces it, ``False`` never
        :param chunking: send content by BDAT (RFC 3030), if the server announces it: ``True`` always,
            ``None`` where many messages are sent, where their size is not known, and for BINARYMIME,
            ``False`` never
        :param minimum_tls_version: give up unless the connection is encrypted, by this version of TLS or a
            later one; without ``use_tls``, STARTTLS is insisted upon. ``None`` if it does not matter
        :param allow_plaintext_auth: whether to log in over a connection that is not encrypted: ``True``
            always, ``False`` never, ``"unix"`` over Unix domain sockets, ``"loopback"`` to loopback
            addresses, ``"local"`` over both
        :param stop_on_auth_failure: after a server said that the credentials are wrong, do not try them with
            another mechanism: some lock an account after a few failures
        :param complete_headers: add Date and Message-ID to what goes out where a message has none, and not to
            the message object: mail without them is refused by some servers, and filed as spam by others
        :param before_send: called with each message as it is about to go to this server, as ``bytes`` with
            CRLF; returns the bytes to send, such as those with a signature. It may be asynchronous, and runs
            in a thread if it is marked by :func:`blocking_hook`. What it raises comes out, and nothing is
            sent
        :param on_command: called with a :class:`CommandEvent` for each command and its reply. What it raises
            is logged, and changes nothing
        :return: the greeting
        :raises SMTPConnectError: if the connection cannot be made; with a bad TLS handshake also an
            :class:`ssl.SSLError`
        :raises SMTPConnectTimeoutError: if it is not made in time
        :raises SMTPConnectResponseError: if the server greets with anything but 220
        :raises SMTPHeloError: if the server refuses EHLO and HELO
        :raises SMTPAuthenticationError: if the server refuses the credentials
        :raises SMTPException: if already connected, or STARTTLS is insisted upon and the server does not
            offer it, or there are credentials and it offers no AUTH, or ``allow_plaintext_auth`` forbids to
            log in
        :raises ValueError: if options exclude each other
        :raises ImportError: for a SOCKS proxy, if python-socks is not installed
        """
        password, proxy = conceal(password), conceal(proxy)
        return await connect(
            self,
            timeout,
            hostname=hostname,
            port=port,
            username=username,
            password=password,
            source_address=source_address,
            loop=loop,
            use_tls=use_tls,
            start_tls=start_tls,
            validate_certs=validate_certs,
            client_cert=client_cert,
            client_key=client_key,
            tls_context=tls_context,
            cert_bundle=cert_bundle,
            socket_path=socket_path,
            sock=sock,
            server_hostname=server_hostname,
            socket_factory=socket_factory,
            proxy=proxy,
            final_timeout=final_timeout,
            oauth_token_generator=oauth_token_generator,
            local_hostname=local_hostname,
            pipelining=pipelining,
            chunking=chunking,
            minimum_tls_version=minimum_tls_version,
            allow_plaintext_auth=allow_plaintext_auth,
            stop_on_auth_failure=stop_on_auth_failure,
            complete_headers=complete_headers,
            before_send=before_send,
            on_command=on_command,
        )

    async def __aenter__(self: Self) -> Self:
        forget_closed_loop(self)
        if not self.is_connected:
            await self.connect()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A caller that was cancelled waits for nothing, and where the connection failed QUIT cannot be sent.
        protocol = self.protocol  # another task may have opened the next connection by the end of this
        polite = exc is None or (
            isinstance(exc, Exception) and not isinstance(exc, ConnectionError | TimeoutError)
        )
        try:
            if polite and self.is_connected:
                await within(self._limit, part(self))
        except SMTPException:
            pass  # the block has done what it wanted to; the connection is closed in any case
        finally:  # also where QUIT was cancelled before it was sent
            if protocol is not None:
                protocol.close()

    # -- sending -------------------------------------------------------------------------------------

    def send_many(
        self,
        messages: Iterable[Item] | AsyncIterable[Item],
        *,
        window: int = 64,
        timeout: Timeout = Default.token,
        deadline: float | None = None,
    ) -> SendMany[Item]:
        """Send many messages over this connection, without waiting for one before the next.

        >>> async for result in client.send_many(messages):
        ...     print(result.index, result.delivery.value)

        Where the server announces PIPELINING (RFC 2920) a message takes one round trip, with CHUNKING (RFC
        3030) a fraction of one. A message that is refused, or cannot be sent, fails alone: its result says
        so. If the connection is lost, all that follow are ``NOT_SENT``.

        If the source of the messages raises, the results of those before come first, then its error.

        :param messages: message objects or :class:`Envelope`, from an iterable or asynchronous iterable. They
            are pulled as they are needed.
        :param window: at most this many are pulled and not yet handed back
        :param timeout: seconds to wait for each reply, ``None`` for no limit; by default the client's
        :param deadline: seconds for each message, from the begin of its transaction; ``None`` for no limit.
            After them the connection is closed, and its result has :class:`SMTPTimeoutError`. A call of
            ``before_send``, which comes before, has as many; after them the message is not sent.
        :return: an asynchronous iterator of :class:`SendResult`, in the order of the messages
        :raises SMTPServerDisconnected: when iterating, if not connected at its start
        :raises SMTPHeloError: when iterating, if the server refuses EHLO and HELO
        :raises TypeError: if ``messages`` is a single one, or ``window`` is no number
        :raises ValueError: if ``window`` is less than 1, or ``deadline`` not positive
        """
        seconds = effective_timeout(self, timeout)
        limit = limit_of(deadline, destination_of(self))

        async def open_pipeline() -> Pipeline:
            return Pipeline(self, await introduced_protocol(self), window, seconds, limit)

        return SendMany(messages, window, open_pipeline)

    async def _connect_and_send(
        self, method: Callable[..., Awaitable[T]], *args: Any, deadline: float | None = None, **kwargs: Any
    ) -> T:
        """Connect, call a method that sends, and say goodbye, all of it within ``deadline`` seconds."""
        limit = self._limit = running_limit_of(self, deadline)
        if limit is not None:
            kwargs["deadline"] = limit
        async with contextlib.AsyncExitStack() as stack:
            with attach_transcript(self):
                await within(limit, self.__aenter__())
            stack.push_async_exit(self)
            return await method(*args, **kwargs)

    # -- for programs without an event loop ----------------------------------------------------------

    def sendmail_sync(self, *args: Any, **kwargs: Any) -> tuple[dict[str, SMTPResponse], str]:
        """:meth:`sendmail` for code that is not asynchronous: connects, sends and closes.

        :param args: those of :meth:`sendmail`
        :param kwargs: those of :meth:`sendmail`
        :raises RuntimeError: if called where an event loop is running
        """
        return self._run_sync(self.sendmail, *args, **kwargs)

    def send_message_sync(self, *args: Any, **kwargs: Any) -> tuple[dict[str, SMTPResponse], str]:
        """:meth:`send_message` for code that is not asynchronous: connects, sends and closes.

        :param args: those of :meth:`send_message`
        :param kwargs: those of :meth:`send_message`
        :raises RuntimeError: if called where an event loop is running
        """
        return self._run_sync(self.send_message, *args, **kwargs)

    def _run_sync(self, method: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(self._connect_and_send(method, *args, **kwargs))
        raise RuntimeError(
            f"An event loop is running here: await {method.__name__} instead of its _sync form"
        )


CLIENT_CLASSES[SMTP_VARIANT.name] = SMTP
