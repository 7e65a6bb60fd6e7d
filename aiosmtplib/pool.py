"""``SMTPPool``: several connections to one server, opened as needed, kept while they are good, and shared."""

from __future__ import annotations

import ssl
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from ._client.before_send import ContentHook
from ._client.connector import host_and_port
from ._client.defaults import NOT_GIVEN
from ._client.error_context import gives_up
from ._client.options import DEFAULT_TIMEOUT, FINAL_TIMEOUT, destination_of
from ._client.sending import Sending
from ._client.url import concealed, from_url, revealed
from ._client.ways import SocketFactory
from ._pool.connection import PoolStats
from ._pool.manager import ConnectionManager
from ._pool.messages import WholeMessages
from ._pool.options import POOL_OPTION_TYPES, PoolOptions
from ._pool.rate import TokenBucket
from ._pool.sending import PoolSending
from ._pool.state import PoolState
from ._pool.verification import PoolVerification, verify
from ._sasl.secret import conceal, reveal
from ._trace.observer import CommandHook
from .smtp import SMTP
from .typing import PlaintextAuth, SMTPTokenGenerator, SocketPathType

if TYPE_CHECKING:
    pass

__all__ = ("PoolOptions", "PoolStats", "PoolVerification", "SMTPPool")

# Where users import these from is what a pickle names.
PoolOptions.__module__ = PoolStats.__module__ = PoolVerification.__module__ = __name__

Self = TypeVar("Self", bound="SMTPPool")


class SMTPPool(PoolSending):
    """Connections to one server, shared by any number of tasks.

    >>> async with aiosmtplib.SMTPPool("localhost", 1025, max_connections=4) as pool:
    ...     await pool.send_message(message)

    A connection is opened when a message finds none idle, and there are fewer than ``max_connections``. The
    one used last is used first. Who has to wait is served in the order of arrival. Nothing is sent to find
    out whether a connection is alive: the pool notices when the server closes it, or says that it will.

    A message that the server surely never had whole (``Delivery.NOT_SENT``) is sent over another connection
    if its own is lost, or the server says that it had too many messages on it, up to three times. Nothing
    else is ever sent twice. If the server lets no more connections in, the pool makes do with those it has,
    and tries one more from time to time.

    What the server announces with LIMITS (RFC 9422) is kept to: MAILMAX messages on a connection, and RCPTMAX
    recipients in a transaction. A message to more of them takes several transactions and has one result. So
    does one of which the server takes some recipients, and refuses others as too many (452 or 455).

    :param hostname: name or address of the server; ``None`` means ``"localhost"``
    :param port: port of the server; by default 465 with ``use_tls``, 587 with ``start_tls=True``, else 25
    :param username: log in as this user after connecting
    :param password: the password for ``username``
    :param source_address: ``(host, port)`` to connect from
    :param timeout: seconds to wait for a connection, and for each reply; ``None`` for no limit
    :param final_timeout: seconds to wait for the reply to a message, once the server has taken its content;
        ``None`` for no limit. By default ten minutes (RFC 5321 section 4.5.3.2.6), or ``timeout`` where that
        was given, to the client or to the call
    :param use_tls: speak TLS from the first byte (RFC 8314 section 3.3)
    :param start_tls: upgrade with STARTTLS (RFC 3207): ``None`` if the server offers it, ``True`` in any case
        (connecting fails where it cannot be done), ``False`` never
    :param validate_certs: verify the certificate of the server and its name
    :param client_cert: path of a PEM file with the certificate to present
    :param client_key: path of a PEM file with its key, if ``client_cert`` does not hold it
    :param tls_context: a context to use as it is, instead of the four TLS options around it
    :param cert_bundle: path of a PEM file with certificates to trust besides those of the system
    :param socket_path: path of a Unix domain socket to connect to
    :param server_hostname: the name that the certificate of the server has to show, and that the server is
        asked for by SNI; ``None`` means ``hostname``
    :param socket_factory: an async function without parameters that returns a connected socket, in place of
        connecting; called for each connection, whose end closes the socket. ``hostname`` and ``port`` then
        say to whom it leads
    :param proxy: URL of a proxy to connect through, such as ``socks5://user:password@host:1080``, which also
        resolves ``hostname``: ``socks5`` or ``socks4`` (with python-socks), or ``http``
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
    :param max_connections: how many connections there may be at most
    :param max_messages: how many messages to send over one connection; ``None`` for no limit
    :param max_age: seconds after which a connection is not used again, give or take a tenth; ``None`` for no
        limit
    :param idle_timeout: seconds after which an unused connection is closed; ``None`` for no limit
    :param rate: messages per second, evenly spaced; ``None`` for no limit
    :param client_class: what drives each connection: :class:`SMTP`, or a class derived from it
    :raises ValueError: if options exclude each other, or a number is not positive
    :raises TypeError: if an option is of the wrong type
    """

    def __init__(
        self,
        hostname: str | None = None,
        port: int | None = None,
        *,
        username: str | bytes | None = None,
        password: str | bytes | None = None,
        source_address: tuple[str, int] | None = None,
        timeout: float | None = DEFAULT_TIMEOUT,
        final_timeout: float | None = FINAL_TIMEOUT,
        use_tls: bool = NOT_GIVEN,
        start_tls: bool | None = None,
        validate_certs: bool = True,
        client_cert: str | None = None,
        client_key: str | None = None,
        tls_context: ssl.SSLContext | None = None,
        cert_bundle: str | None = None,
        socket_path: SocketPathType | None = None,
        server_hostname: str | None = None,
        socket_factory: SocketFactory | None = None,
        proxy: str | None = None,
        oauth_token_generator: SMTPTokenGenerator | None = None,
        local_hostname: str | None = None,
        pipelining: bool | None = None,
        chunking: bool | None = None,
        minimum_tls_version: ssl.TLSVersion | None = None,
        allow_plaintext_auth: PlaintextAuth = True,
        stop_on_auth_failure: bool = False,
        complete_headers: bool = False,
        before_send: ContentHook | None = None,
        on_command: CommandHook | None = None,
        max_connections: int = 10,
        max_messages: int | None = None,
        max_age: float | None = None,
        idle_timeout: float | None = 60,
        rate: float | None = None,
        client_class: type[SMTP] = SMTP,
    ) -> None:
        password, proxy = conceal(password), conceal(proxy)

        def make() -> SMTP:
            # A class derived from SMTP may look at its arguments.
            return client_class(
                hostname=hostname,
                port=port,
                username=username,
                password=reveal(password),
                source_address=source_address,
                timeout=timeout,
                final_timeout=final_timeout,
                use_tls=use_tls,
                start_tls=start_tls,
                validate_certs=validate_certs,
                client_cert=client_cert,
                client_key=client_key,
                tls_context=tls_context,
                cert_bundle=cert_bundle,
                socket_path=socket_path,
                server_hostname=server_hostname,
                socket_factory=socket_factory,
                proxy=reveal(proxy),
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

        #: Never connected: it checks the options now, and knows their meaning.
        self._model = make()
        if not isinstance(max_connections, int):
            raise TypeError(f"max_connections is a number, not {type(max_connections).__name__}")
        state: PoolState[Any, Any] = PoolState(
            max_connections, max_messages=max_messages, max_age=max_age, idle_timeout=idle_timeout
        )
        self._manager = ConnectionManager(state, make, None if rate is None else TokenBucket(rate))
        self._messages = WholeMessages(self._manager)
        # Else each message waits for its time or for a hook, or goes through a program's own method.
        own = client_class.sendmail is not Sending.sendmail
        self._sends_whole = rate is None and before_send is None and not own

    @classmethod
    def from_url(cls: type[Self], url: str, **options: Any) -> Self:
        """A pool with the options of a URL, as :meth:`SMTP.from_url` takes it.

        >>> SMTPPool.from_url("smtps://me:p%40ssword@smtp.example.com?max_connections=4&rate=2.5")

        :param url: the URL, whose query may have the options of a pool as well
        :param options: options of a pool besides those in the URL
        :raises ValueError: if the URL is not valid, an option is unknown, not of its type or given twice,
            ``client_class`` does not speak the protocol, or options exclude each other
        :raises TypeError: if an option is of the wrong type, or unknown
        """
        url, options = conceal(url), concealed(options)
        client_class = reveal(options.pop("client_class", SMTP))
        found = from_url(url, options, client_class, POOL_OPTION_TYPES)
        return cls(client_class=found.client_class, **revealed(found.options))

    def __repr__(self) -> str:
        if "_manager" not in vars(self):  # asked by who reports that the constructor failed
            return f"<{type(self).__name__}, not set up>"
        return f"<{type(self).__name__} to {destination_of(self._model)}: {self.stats()}>"

    def stats(self) -> PoolStats:
        """The numbers of this moment: connections, callers that wait, and what became of the messages."""
        return self._manager.state.stats()

    async def verify(self) -> PoolVerification:
        """Connect, log in and say NOOP, to know at the start of a program whether mail can be sent.

        A connection that is idle is asked first; a new one stays in the pool for the first message.

        :return: where the connection goes, and what was negotiated
        :raises SMTPServerDisconnected: if the pool is closed, or the connection was lost
        :raises SMTPResponseException: if the server refuses NOOP
        :raises SMTPException: and whatever else :meth:`SMTP.connect` raises
        """
        return await verify(self._manager)

    # -- the end -------------------------------------------------------------------------------------

    async def aclose(self, timeout: float | None = None) -> None:
        """Take no more messages, finish those that were given to the pool, and close all connections.

        :param timeout: seconds after which connections are closed at once. What was not finished by then
            raises where it was sent, with its verdict. ``None`` for no limit but those of each reply.
        """
        await self._manager.close(timeout)

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A caller that was cancelled waits for nothing.
        await self.aclose(0 if gives_up(exc) else None)


def server_of(pool: SMTPPool) -> tuple[str | None, int | None]:
    """Host and port of the server, as a :class:`CommandEvent` has them."""
    return host_and_port(pool._model)
