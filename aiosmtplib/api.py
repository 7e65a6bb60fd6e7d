"""``send``: a connection, one message, and goodbye. ``send_many``: a pool, many messages, and goodbye."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from ._client.before_send import ContentHook, is_streamed
from ._client.compose import envelope_of
from ._client.content import Content, MessageKind, ascii_octets, kind_of
from ._client.defaults import NOT_GIVEN
from ._client.division import check_division
from ._client.lifetime import expect_no_more
from ._client.options import DEFAULT_TIMEOUT, FINAL_TIMEOUT
from ._client.results import SendResult
from ._client.ways import SocketFactory
from ._envelope.recipient import recipient_list
from ._sasl.secret import conceal
from ._trace.observer import CommandHook
from .response import SMTPResponse
from .smtp import SMTP
from .typing import PlaintextAuth, SMTPTokenGenerator, SocketPathType

if TYPE_CHECKING:
    import email.message

    from typing_extensions import Unpack

    from ._pool.options import PoolOptions

__all__ = ("send", "send_many")

Item = TypeVar("Item")


async def send(
    message: email.message.EmailMessage | email.message.Message | Content,
    sender: str | None = None,
    recipients: str | Sequence[str] | None = None,
    *,
    mail_options: Sequence[str] | None = None,
    rcpt_options: Sequence[str] | None = None,
    deadline: float | None = None,
    hostname: str | None = "localhost",
    port: int | None = None,
    username: str | bytes | None = None,
    password: str | bytes | None = None,
    source_address: tuple[str, int] | None = None,
    timeout: float | None = DEFAULT_TIMEOUT,
    final_timeout: float | None = FINAL_TIMEOUT,
    loop: asyncio.AbstractEventLoop | None = None,
    use_tls: bool = NOT_GIVEN,
    start_tls: bool | None = None,
    validate_certs: bool = True,
    client_cert: str | None = None,
    client_key: str | None = None,
    tls_context: ssl.SSLContext | None = None,
    cert_bundle: str | None = None,
    socket_path: SocketPathType | None = None,
    sock: socket.socket | None = None,
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
    divide_recipients: bool = False,
) -> tuple[dict[str, SMTPResponse], str]:
    """Connect, log in if there are credentials, send one message, and close the connection.

    >>> await aiosmtplib.send(message, hostname="127.0.0.1", port=1025)

    :param message: a message object, or one that is ready to go (header and body) as ``str`` or ``bytes``, or
        as a binary file or an iterable of ``bytes``, which is streamed
    :param sender: the reverse-path; by default that of the message object
    :param recipients: one forward-path or several, each a ``str`` or a
        :class:`~aiosmtplib.parameters.Recipient`; by default those of the message object
    :param mail_options: parameters of MAIL, such as ``"RET=HDRS"``, or values of :mod:`aiosmtplib.parameters`
    :param rcpt_options: parameters of every RCPT, such as ``"NOTIFY=NEVER"`` (RFC 3461), or such values
    :param deadline: seconds for the whole call, connecting included; ``None`` for no limit
    :param hostname: name or address of the server; ``None`` means ``"localhost"``
    :param port: port of the server; by default 465 with ``use_tls``, 587 with ``start_tls=True``, else 25
    :param username: log in as this user after connecting
    :param password: the password for ``username``
    :param source_address: ``(host, port)`` to connect from
    :param timeout: seconds to wait for a connection, and for each reply; ``None`` for no limit
    :param final_timeout: seconds to wait for the reply to a message, once the server has taken its content;
        ``None`` for no limit. By default ten minutes (RFC 5321 section 4.5.3.2.6), or ``timeout`` where that
        was given, to the client or to the call
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
    :param divide_recipients: whether those that are too many for one transaction get another one, as in
        :meth:`SMTP.sendmail`
    :return: the recipients that were refused with the replies to them, and the text of the final reply
    :raises ValueError: if options exclude each other, an address is none, or ``sender`` or ``recipients`` is
        missing where the message is no object; nothing has been sent
    :raises TypeError: if an argument is of the wrong type; nothing has been sent
    :raises SMTPTimeoutError: after ``deadline``, with the verdict in ``delivery``; the connection is closed
    :raises SMTPException: whatever :meth:`SMTP.connect`, :meth:`SMTP.send_message` and :meth:`SMTP.sendmail`
        raise. Its ``delivery`` says what became of the message.
    """
    password, proxy = conceal(password), conceal(proxy)
    check_division(divide_recipients)
    content: Any = message
    is_object = kind_of(message) is MessageKind.OBJECT
    if is_object:
        sender, recipients = envelope_of(content, sender, recipients)
    else:
        if not recipients:
            raise ValueError("Recipients must be provided with raw messages.")
        if not sender:
            raise ValueError("Sender must be provided with raw messages.")
        recipients = recipient_list(recipients)
        if isinstance(message, str):
            content = ascii_octets(message)
        if before_send is not None and kind_of(message) is MessageKind.STREAM:
            raise is_streamed()
    client = SMTP(
        hostname=hostname,
        port=port,
        username=username,
        password=password,
        source_address=source_address,
        timeout=timeout,
        final_timeout=final_timeout,
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
    expect_no_more(client)
    options: dict[str, Any] = {"deadline": deadline, "divide_recipients": divide_recipients}
    if is_object:
        return await client._connect_and_send(
            client.send_message, content, sender, recipients, mail_options, rcpt_options, **options
        )
    return await client._connect_and_send(
        client.sendmail, sender, recipients, content, mail_options, rcpt_options, **options
    )


def send_many(
    messages: Iterable[Item] | AsyncIterable[Item],
    *,
    window: int = 256,
    deadline: float | None = None,
    **options: Unpack[PoolOptions],
) -> AsyncGenerator[SendResult[Item], None]:
    """Send many messages over a pool of connections, and close them.

    >>> async for result in aiosmtplib.send_many(messages, hostname="127.0.0.1", port=1025):
    ...     print(result.index, result.delivery.value)

    :param messages: as in :meth:`SMTPPool.send_many`
    :param window: at most this many messages are pulled and not yet handed back
    :param deadline: seconds for each message, as in :meth:`SMTPPool.send_many`
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
    :return: an asynchronous generator of :class:`SendResult`, in the order in which they come. To leave it
        early and wait for what is in flight, call its ``aclose``.
    :raises TypeError: if an option is unknown or of the wrong type, or ``messages`` is a single one
    :raises ValueError: if options exclude each other, or a number is not positive
    """
    from .pool import SMTPPool  # a quarter of the package, which most programs do not need

    options["password"], options["proxy"] = conceal(options.get("password")), conceal(options.get("proxy"))
    pool = SMTPPool(**options)
    results = pool.send_many(messages, window=window, deadline=deadline)

    async def run() -> AsyncGenerator[SendResult[Item], None]:
        async with pool, results:
            async for result in results:
                caller = asyncio.current_task()
                try:
                    yield result
                except GeneratorExit:
                    if _is_cancelled(caller):  # amidst its loop, perhaps with the program
                        await pool.aclose(0)
                    raise

    return run()


def _is_cancelled(task: asyncio.Task[Any] | None) -> bool:
    """Whether a task was cancelled, or is just being so (which Python 3.10 does not tell)."""
    return task is not None and (task.cancelled() or bool(getattr(task, "cancelling", int)()))
