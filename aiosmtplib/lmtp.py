"""An LMTP client, for local delivery: SMTP with a final reply for each recipient (RFC 2033)."""

from __future__ import annotations

from ._client.connection import Timeout
from ._client.url import CLIENT_CLASSES
from ._client.variant import LMTP_VARIANT
from .errors import SMTPNotSupported
from .response import SMTPResponse
from .smtp import SMTP
from .typing import Default

__all__ = ("LMTP",)


class LMTP(SMTP):
    """An LMTP client (RFC 2033). It has the options and methods of :class:`SMTP`.

    >>> async with aiosmtplib.LMTP(socket_path="/run/dovecot/lmtp") as client:
    ...     refused, text = await client.send_message(message)

    The differences are these:

    * It sends LHLO, never EHLO or HELO (section 4.1).
    * After the content, the server sends one reply for each recipient that it accepted (section 4.2). A
      recipient with a negative one is among the refused, as after a refused RCPT. The text is that of the
      first positive reply. If all are negative, :class:`SMTPDataError` has the first of them, and
      ``replies`` has all.
    * Content is sent by DATA only, so a message with ``BODY=BINARYMIME`` cannot be sent.
    * There is no default port, and 25 is forbidden (section 5): connecting raises :class:`ValueError` unless
      ``socket_path``, ``sock`` or another ``port`` was given.

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

    _variant = LMTP_VARIANT

    async def helo(self, hostname: str | None = None, timeout: Timeout = Default.token) -> SMTPResponse:
        """Refused: LMTP has no HELO (RFC 2033 section 4.1). :meth:`ehlo` sends LHLO.

        :param hostname: not used
        :param timeout: not used
        :raises SMTPNotSupported: always; nothing has been sent
        """
        raise SMTPNotSupported("LMTP has no HELO (RFC 2033 section 4.1): use ehlo(), which sends LHLO")

    async def data(self, message: str | bytes, timeout: Timeout = Default.token) -> SMTPResponse:
        """Refused: it returns one reply, and LMTP has one for each recipient (RFC 2033 section 4.2).

        :param message: not used
        :param timeout: not used
        :raises SMTPNotSupported: always; nothing has been sent
        """
        raise SMTPNotSupported("LMTP answers the content once for each recipient: use sendmail()")


CLIENT_CLASSES[LMTP_VARIANT.name] = LMTP
