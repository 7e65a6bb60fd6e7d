"""The client that people use: ``SMTP``."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from . import _dialogues
from ._address import ascii_address, envelope_path
from ._codec import content_size, encode_command, encode_data
from ._options import DEFAULT_TIMEOUT as DEFAULT_TIMEOUT
from ._options import SMTP_PORT, SMTP_STARTTLS_PORT, SMTP_TLS_PORT
from ._verbs import Timeout, Verbs, option_list
from .email import extract_recipients, extract_sender, flatten_message
from .errors import (
    SMTPException,
    SMTPNotSupported,
    SMTPRecipientsRefused,
    SMTPSenderRefused,
)
from .esmtp import parse_size_limit
from .response import SMTPResponse
from .status import SMTPStatus
from .typing import Default, SMTPTokenGenerator, SocketPathType, _default

if TYPE_CHECKING:
    import email.message

__all__ = ("SMTP", "SMTP_PORT", "SMTP_STARTTLS_PORT", "SMTP_TLS_PORT")

T = TypeVar("T")
Self = TypeVar("Self", bound="SMTP")


class _NoRecipientsError(SMTPRecipientsRefused, ValueError):
    """Nobody to send to. What stock programs catch, and a :class:`ValueError`."""

    def __str__(self) -> str:
        return "No recipients given: pass at least one address"


class SMTP(Verbs):
    """An SMTP client, and the connection that it has open.

    As an asynchronous context manager it connects and, at the end, says QUIT and closes:

    >>> async with aiosmtplib.SMTP("localhost", 1025) as client:
    ...     await client.send_message(message)

    A client has one connection, and a connection does one thing at a time: tasks that share a client take
    turns. The options are stored, and may be assigned between connects.
    """

    # -- connecting ----------------------------------------------------------------------------------

    async def connect(
        self,
        *,
        hostname: str | Literal[Default.token] | None = _default,
        port: int | Literal[Default.token] | None = _default,
        username: str | bytes | Literal[Default.token] | None = _default,
        password: str | bytes | Literal[Default.token] | None = _default,
        source_address: tuple[str, int] | Literal[Default.token] | None = _default,
        timeout: Timeout = _default,
        loop: asyncio.AbstractEventLoop | Literal[Default.token] | None = _default,
        use_tls: bool | None = None,
        start_tls: bool | Literal[Default.token] | None = _default,
        validate_certs: bool | None = None,
        client_cert: str | Literal[Default.token] | None = _default,
        client_key: str | Literal[Default.token] | None = _default,
        tls_context: ssl.SSLContext | Literal[Default.token] | None = _default,
        cert_bundle: str | Literal[Default.token] | None = _default,
        socket_path: SocketPathType | Literal[Default.token] | None = _default,
        sock: socket.socket | Literal[Default.token] | None = _default,
        oauth_token_generator: SMTPTokenGenerator | Literal[Default.token] | None = _default,
        local_hostname: str | Literal[Default.token] | None = _default,
    ) -> SMTPResponse:
        """Connect, upgrade to TLS and log in, as the options say.

        The options are those of the class. All but ``timeout`` are stored for later connects. If another task
        is just connecting this client, wait until that connection has been closed.

        :param timeout: seconds until the server has greeted, then for each reply; only for this call
        :return: the greeting
        :raises SMTPConnectError: if the connection cannot be made; with a bad TLS handshake also
            an :class:`ssl.SSLError`
        :raises SMTPConnectTimeoutError: if it is not made in time
        :raises SMTPConnectResponseError: if the server greets with anything but 220
        :raises SMTPHeloError: if the server refuses EHLO and HELO
        :raises SMTPAuthenticationError: if the server refuses the credentials
        :raises SMTPException: if already connected, or ``start_tls=True`` and the server does not offer it,
            or there are credentials and it offers no AUTH
        :raises ValueError: if options exclude each other
        """
        self._leave_closed_loop()
        if self.is_connected:
            raise SMTPException("SMTP instance is already connected")
        seconds = self._seconds(timeout)
        self._store(
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
            oauth_token_generator=oauth_token_generator,
            local_hostname=local_hostname,
        )
        async with self._opening_connection(seconds):
            greeting = await self._open()
            await self._login_as_chosen()
        return greeting

    async def _login_as_chosen(self) -> None:
        if self._username is None:
            return
        if self._oauth_token_generator is not None:
            await self._ehlo_or_helo_if_needed()
            if "xoauth2" not in self.server_auth_methods:
                raise SMTPException("oauth_token_generator provided but server does not support XOAUTH2")
            await self.auth_xoauth2(self._username, await self._oauth_token_generator())
        else:
            await self.login(self._username, "" if self._password is None else self._password)

    async def __aenter__(self: Self) -> Self:
        self._leave_closed_loop()
        if not self.is_connected:
            await self.connect()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Who was cancelled wants to be gone, and where the connection failed no one hears a QUIT.
        protocol = self.protocol  # another task may have opened the next connection by the end of this
        polite = exc is None or (
            isinstance(exc, Exception) and not isinstance(exc, ConnectionError | TimeoutError)
        )
        if polite and self.is_connected:
            try:
                await self.quit()
            except SMTPException:
                pass  # the block has done what it wanted to; the connection is closed in any case
        if protocol is not None:
            protocol.close()

    # -- sending -------------------------------------------------------------------------------------

    async def sendmail(
        self,
        sender: str,
        recipients: str | Sequence[str],
        message: str | bytes,
        mail_options: Iterable[str] | None = None,
        rcpt_options: Iterable[str] | None = None,
        timeout: Timeout = _default,
    ) -> tuple[dict[str, SMTPResponse], str]:
        """Send a message that is ready to go: one mail transaction (RFC 5321 section 3.3).

        After a refusal the envelope is reset, so that the connection can be used for the next message.

        :param sender: the reverse-path; ``""`` is the null one
        :param recipients: one forward-path or several
        :param message: header and body; line ends are normalised. A ``str`` must be ASCII.
        :param mail_options: parameters of MAIL, such as ``"RET=HDRS"``. With ``"SMTPUTF8"`` addresses may
            have any characters (RFC 6531); without, a domain that is not ASCII goes as A-labels (RFC 5891).
        :param rcpt_options: parameters of every RCPT, such as ``"NOTIFY=NEVER"`` (RFC 3461)
        :param timeout: seconds to wait for each reply, ``None`` for no limit; by default the client's
        :return: the recipients that were refused with the replies to them, and the text of the final reply
        :raises SMTPSenderRefused: if the server refuses the sender, or the message is larger than it takes
        :raises SMTPRecipientsRefused: if it refuses every recipient
        :raises SMTPDataError: if it refuses the message
        :raises SMTPNotSupported: if SMTPUTF8 is wanted and the server does not announce it
        :raises SMTPServerDisconnected: if the connection is not there, or gets lost
        :raises SMTPReadTimeoutError: after ``timeout``; the connection is closed
        :raises SMTPResponseException: with code -1, if what comes is no SMTP reply; the connection is closed
        :raises ValueError: if an address or option is none, or there is no recipient; nothing has been sent
        :raises TypeError: if an argument is of the wrong type; nothing has been sent
        """
        recipients = [recipients] if isinstance(recipients, str) else list(recipients)
        if not recipients:
            raise _NoRecipientsError([])
        if isinstance(message, str):
            message = message.encode("ascii")
        elif not isinstance(message, bytes | bytearray | memoryview):
            raise TypeError(
                f"sendmail takes a message as str or bytes, not {type(message).__name__}; "
                "send_message takes the objects of the email package"
            )
        seconds = self._seconds(timeout)
        mail_options = option_list(mail_options)
        utf8 = any(option.upper() == "SMTPUTF8" for option in mail_options)
        encoding = "utf-8" if utf8 else "ascii"
        mail = [b"MAIL", b"FROM:<%b>" % _path(sender, utf8), *(o.encode(encoding) for o in mail_options)]
        rcpt_args = [option.encode(encoding) for option in option_list(rcpt_options)]
        rcpts = [encode_command(b"RCPT", b"TO:<%b>" % _path(to, utf8), *rcpt_args) for to in recipients]
        self._connected_protocol()
        await self._ehlo_or_helo_if_needed()
        if utf8 and not self.supports_extension("smtputf8"):
            raise SMTPNotSupported("SMTPUTF8 is not supported by this server")
        if "size" in self.esmtp_extensions:
            mail.insert(2, b"size=%d" % self._check_size(content_size(message), sender))
        dialogue = _dialogues.transaction(
            sender, encode_command(*mail), recipients, rcpts, encode_data(message)
        )
        refused, response = await self._run(dialogue, seconds)
        return refused, response.message

    def _check_size(self, size: int, sender: str) -> int:
        """Refuse what the server would refuse anyway (RFC 1870 section 6.1), before it is sent."""
        limit = parse_size_limit(self.esmtp_extensions)
        if limit is not None and size > limit:
            raise SMTPSenderRefused(
                SMTPStatus.storage_exceeded.value,
                f"The message is {size} bytes long, and the server takes no more than {limit}",
                sender,
            )
        return size

    async def send_message(
        self,
        message: "email.message.EmailMessage | email.message.Message",
        sender: str | None = None,
        recipients: str | Sequence[str] | None = None,
        mail_options: Iterable[str] | None = None,
        rcpt_options: Iterable[str] | None = None,
        timeout: Timeout = _default,
    ) -> tuple[dict[str, SMTPResponse], str]:
        """Send a message object.

        Bcc and Resent-Bcc are used and not sent. Where the server announces 8BITMIME or SMTPUTF8, they are
        used as far as the message needs them. The message is not changed.

        :param sender: the reverse-path; by default that of the message (Sender, or else From; RFC 5322
            section 3.6.2, or their Resent- forms)
        :param recipients: one forward-path or several; by default those of the message (To, Cc and Bcc, or
            their Resent- forms)
        :param mail_options: parameters of MAIL, as in :meth:`sendmail`
        :param rcpt_options: parameters of every RCPT, as in :meth:`sendmail`
        :param timeout: seconds to wait for each reply, ``None`` for no limit; by default the client's
        :return: the recipients that were refused with the replies to them, and the text of the final reply
        :raises SMTPNotSupported: if an address needs SMTPUTF8 and the server does not announce it
        :raises ValueError: if the message has no sender or no recipient; nothing has been sent
        :raises SMTPException: and whatever else :meth:`sendmail` raises
        """
        sender, recipients = envelope_of(message, sender, recipients)
        options = option_list(mail_options)
        self._connected_protocol()
        await self._ehlo_or_helo_if_needed()
        utf8 = not (sender.isascii() and all(recipient.isascii() for recipient in recipients))
        if utf8 and not self.supports_extension("smtputf8"):
            _check_a_labels_suffice(sender, *recipients)
            utf8 = False
        given = {option.upper().partition("=")[0] for option in options}
        if utf8 and "SMTPUTF8" not in given:
            options.append("SMTPUTF8")
        eight_bit = self.supports_extension("8bitmime")
        if eight_bit and "BODY" not in given:
            options.append("BODY=8BITMIME")
        content = flatten_message(message, utf8=utf8, cte_type="8bit" if eight_bit else "7bit")
        return await self.sendmail(sender, recipients, content, options, rcpt_options, timeout)

    # -- for programs without an event loop ----------------------------------------------------------

    def sendmail_sync(self, *args: Any, **kwargs: Any) -> tuple[dict[str, SMTPResponse], str]:
        """:meth:`sendmail` for code that is not asynchronous: connects, sends and closes.

        :raises RuntimeError: if called where an event loop is running
        """
        return self._run_sync(self.sendmail, *args, **kwargs)

    def send_message_sync(self, *args: Any, **kwargs: Any) -> tuple[dict[str, SMTPResponse], str]:
        """:meth:`send_message` for code that is not asynchronous: connects, sends and closes.

        :raises RuntimeError: if called where an event loop is running
        """
        return self._run_sync(self.send_message, *args, **kwargs)

    def _run_sync(self, method: Callable[..., Awaitable[T]], *args: Any, **kwargs: Any) -> T:
        async def connect_and_send() -> T:
            async with self:
                return await method(*args, **kwargs)

        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run(connect_and_send())
        raise RuntimeError(
            f"An event loop is running here: await {method.__name__} instead of its _sync form"
        )


def envelope_of(
    message: "email.message.EmailMessage | email.message.Message",
    sender: str | None,
    recipients: str | Sequence[str] | None,
) -> tuple[str, list[str]]:
    """Sender and recipients as given, or else as the message has them.

    :raises ValueError: if there is no sender or no recipient
    :raises TypeError: if ``message`` is no message object
    """
    if sender is None:
        sender = extract_sender(message)
        if sender is None:
            raise ValueError("No From header provided in message")
    if recipients is None:
        recipients = extract_recipients(message)
        if not recipients:
            raise ValueError("No recipient headers provided in message")
    return sender, [recipients] if isinstance(recipients, str) else list(recipients)


def _path(address: str, utf8: bool) -> bytes:
    """What goes between the angle brackets. Without SMTPUTF8, a domain goes as A-labels if it must."""
    if utf8:
        return envelope_path(address, "utf-8")
    try:
        address = ascii_address(address)
    except ValueError:
        pass  # the next line says which character cannot be sent
    return envelope_path(address, "ascii")


def _check_a_labels_suffice(*addresses: str) -> None:
    try:
        for address in addresses:
            ascii_address(address)
    except ValueError as error:
        raise SMTPNotSupported(
            "An address containing non-ASCII characters was provided, "
            "but SMTPUTF8 is not supported by this server"
        ) from error
