"""One method for each SMTP command, and the SASL mechanisms that log in."""

from collections.abc import Iterable
from typing import Literal, TypeAlias

from . import _dialogues, _transaction
from ._address import check_argument, envelope_path
from ._codec import encode_command, encode_data
from ._connection import Connection, in_phase
from .auth import auth_crammd5_verify, auth_login_encode, auth_plain_encode, auth_xoauth2_encode
from .email import parse_address
from .errors import (
    SMTPAuthenticationError,
    SMTPException,
    SMTPHeloError,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)
from .response import SMTPResponse
from .status import SMTPStatus
from .typing import Default, _default

Timeout: TypeAlias = float | Literal[Default.token] | None


class Verbs(Connection):
    """The commands of RFC 5321 section 4.1.1, with AUTH of RFC 4954.

    Every method takes ``timeout``: seconds to wait for each reply, ``None`` for no limit; by default the
    client's. Besides what they document, all raise

    * :class:`SMTPServerDisconnected` if the connection is not there, or gets lost,
    * :class:`SMTPReadTimeoutError` after ``timeout``; the connection is closed,
    * :class:`SMTPResponseException` with code -1 if what comes is no SMTP reply; the connection is closed,
    * :class:`ValueError` if an argument holds what could inject a command; nothing has been sent.

    :cvar AUTH_METHODS: the mechanisms that :meth:`login` tries, in this order, lower case
    """

    AUTH_METHODS: tuple[str, ...] = ("cram-md5", "plain", "login")

    # -- session (RFC 5321 sections 4.1.1.1 and 4.1.1.5 to 4.1.1.10) ---------------------------------

    async def helo(self, hostname: str | None = None, timeout: Timeout = _default) -> SMTPResponse:
        """Introduce this host with HELO.

        :param hostname: what to call this host; by default ``local_hostname``
        :raises SMTPHeloError: for any reply but 250
        """
        self._connected_protocol()
        name = await self._hello_name(hostname)
        with in_phase("ehlo"):
            response = await self._run(_dialogues.command(encode_command(b"HELO", name)), timeout)
        self._learn(None, response)
        if response.code != SMTPStatus.completed:
            raise SMTPHeloError(*response)
        return response

    async def ehlo(self, hostname: str | None = None, timeout: Timeout = _default) -> SMTPResponse:
        """Introduce this host with EHLO, and learn what the server can do.

        :param hostname: what to call this host; by default ``local_hostname``
        :raises SMTPHeloError: for any reply but 250
        """
        self._connected_protocol()
        name = await self._hello_name(hostname)
        with in_phase("ehlo"):
            response = await self._run(_dialogues.command(encode_command(self._HELLO, name)), timeout)
        self._learn(response, None)
        if response.code != SMTPStatus.completed:
            raise SMTPHeloError(*response)
        return response

    async def help(self, timeout: Timeout = _default) -> str:
        """Ask for help.

        :return: the text of the reply
        :raises SMTPResponseException: for any reply but 211, 214 or 250
        """
        return (await self._command((b"HELP",), timeout, 211, 214, 250)).message

    async def rset(self, timeout: Timeout = _default) -> SMTPResponse:
        """Abandon the mail transaction.

        :raises SMTPResponseException: for any reply but 250
        """
        response = await self._command((b"RSET",), timeout, 250)
        if self.protocol is not None:
            self.protocol.server.mail = None
        return response

    async def noop(self, timeout: Timeout = _default) -> SMTPResponse:
        """Do nothing, and see that the server is there.

        :raises SMTPResponseException: for any reply but 250
        """
        return await self._command((b"NOOP",), timeout, 250)

    async def vrfy(
        self, address: str, options: Iterable[str] | None = None, timeout: Timeout = _default
    ) -> SMTPResponse:
        """Ask whether there is such a mailbox.

        :raises SMTPResponseException: for any reply but 250, 251 or 252
        """
        path = parse_address(address).encode("ascii")
        return await self._command(
            (b"VRFY", path, *(o.encode("ascii") for o in option_list(options))), timeout, 250, 251, 252
        )

    async def expn(
        self, address: str, options: Iterable[str] | None = None, timeout: Timeout = _default
    ) -> SMTPResponse:
        """Ask for the members of a mailing list.

        :raises SMTPResponseException: for any reply but 250
        """
        path = parse_address(address).encode("ascii")
        return await self._command(
            (b"EXPN", path, *(o.encode("ascii") for o in option_list(options))), timeout, 250
        )

    async def quit(self, timeout: Timeout = _default) -> SMTPResponse:
        """Say goodbye and close the connection.

        :raises SMTPResponseException: for any reply but 221 or 250
        """
        protocol = self._connected_protocol()
        response = await self.execute_command(b"QUIT", timeout=timeout)
        if response.code not in (SMTPStatus.closing, SMTPStatus.completed):
            raise SMTPResponseException(*response)
        protocol.close()
        await protocol.wait_closed()
        return response

    # -- mail transaction (RFC 5321 sections 4.1.1.2 to 4.1.1.4) -------------------------------------

    async def mail(
        self,
        sender: str,
        options: Iterable[str] | None = None,
        encoding: str = "ascii",
        timeout: Timeout = _default,
    ) -> SMTPResponse:
        """Begin a mail transaction.

        :param sender: the reverse-path; ``""`` is the null one
        :param options: parameters such as ``"BODY=8BITMIME"``
        :param encoding: ``"utf-8"`` where the SMTPUTF8 parameter is given (RFC 6531)
        :raises SMTPSenderRefused: for any reply but 250
        """
        path = envelope_path(sender, encoding)
        args = (b"MAIL", b"FROM:<%b>" % path, *(o.encode(encoding) for o in option_list(options)))
        await self._ehlo_or_helo_if_needed()
        if self._connected_protocol().server.mail is not None:  # of a message that was refused
            await self.rset(timeout)
        with in_phase("mail"):
            response = await self.execute_command(*args, timeout=timeout)
        if response.code != SMTPStatus.completed:
            raise SMTPSenderRefused(*response, sender)
        return response

    async def rcpt(
        self,
        recipient: str,
        options: Iterable[str] | None = None,
        encoding: str = "ascii",
        timeout: Timeout = _default,
    ) -> SMTPResponse:
        """Add a recipient to the mail transaction.

        :param recipient: the forward-path
        :param options: parameters such as ``"NOTIFY=NEVER"``
        :param encoding: ``"utf-8"`` where MAIL had the SMTPUTF8 parameter (RFC 6531)
        :raises SMTPRecipientRefused: for any reply but 250 or 251
        """
        path = envelope_path(recipient, encoding)
        args = (b"RCPT", b"TO:<%b>" % path, *(o.encode(encoding) for o in option_list(options)))
        await self._ehlo_or_helo_if_needed()
        with in_phase("rcpt"):
            response = await self.execute_command(*args, timeout=timeout)
        if response.code not in (SMTPStatus.completed, SMTPStatus.will_forward):
            raise SMTPRecipientRefused(*response, recipient)
        return response

    async def data(self, message: str | bytes, timeout: Timeout = _default) -> SMTPResponse:
        """Send the content of the mail transaction: line ends normalised, dots stuffed, terminated.

        :param message: a ``str`` must be ASCII
        :raises SMTPDataError: if the server refuses DATA or the content
        """
        content = encode_data(message.encode("ascii") if isinstance(message, str) else message)
        await self._ehlo_or_helo_if_needed()
        return await self._run(_transaction.data(content), timeout)

    async def _command(self, args: tuple[bytes, ...], timeout: Timeout, *accepted: int) -> SMTPResponse:
        await self._ehlo_or_helo_if_needed()
        response = await self.execute_command(*args, timeout=timeout)
        if response.code not in accepted:
            raise SMTPResponseException(*response)
        return response

    # -- AUTH (RFC 4954) -----------------------------------------------------------------------------

    @property
    def supported_auth_methods(self) -> list[str]:
        """The mechanisms of ``AUTH_METHODS`` that the server announced, in the order of ``AUTH_METHODS``."""
        return [method for method in self.AUTH_METHODS if method in self.server_auth_methods]

    async def login(
        self, username: str | bytes, password: str | bytes, timeout: Timeout = _default
    ) -> SMTPResponse:
        """Log in with the first mechanism of ``AUTH_METHODS`` that the server announced and that works.

        :raises SMTPAuthenticationError: if the last of them fails
        :raises SMTPException: if the server announces no AUTH, or none of the mechanisms
        """
        await self._ehlo_or_helo_if_needed()
        if not self.supports_extension("auth"):
            raise SMTPException(
                "The SMTP AUTH extension is not supported by this server. "
                "Try connecting via TLS (or STARTTLS)."
            )
        refused: SMTPAuthenticationError | None = None
        for method in self.supported_auth_methods:
            try:
                authenticate = getattr(self, f"auth_{method.replace('-', '')}")
                response: SMTPResponse = await authenticate(username, password, timeout=timeout)
                return response
            except SMTPAuthenticationError as error:
                refused = error
                if not self.is_connected:  # a 421: nothing is there to try the next one on
                    break
        raise refused or SMTPException("No suitable authentication method found.")

    async def auth_crammd5(
        self, username: str | bytes, password: str | bytes, timeout: Timeout = _default
    ) -> SMTPResponse:
        """Log in with CRAM-MD5 (RFC 2195).

        :raises SMTPAuthenticationError: if the server refuses, or its challenge is none
        """
        response = await self._authenticate(b"CRAM-MD5", timeout)
        if response.code == SMTPStatus.auth_continue:
            try:
                answer = auth_crammd5_verify(username, password, response.message)
            except (TypeError, ValueError):
                await self._cancel_auth(timeout)
                raise
            response = await self._respond(timeout, answer)
        return await self._authenticated(response, timeout)

    async def auth_plain(
        self, username: str | bytes, password: str | bytes, timeout: Timeout = _default
    ) -> SMTPResponse:
        """Log in with PLAIN (RFC 4616). The password is as safe as the connection is.

        :raises SMTPAuthenticationError: if the server refuses
        """
        initial = auth_plain_encode(username, password)
        return await self._authenticated(await self._authenticate(b"PLAIN " + initial, timeout), timeout)

    async def auth_login(
        self, username: str | bytes, password: str | bytes, timeout: Timeout = _default
    ) -> SMTPResponse:
        """Log in with LOGIN, which is older than PLAIN and no better.

        :raises SMTPAuthenticationError: if the server refuses
        """
        name, secret = auth_login_encode(username, password)
        response = await self._authenticate(b"LOGIN " + name, timeout)
        if response.code == SMTPStatus.auth_continue:
            response = await self._respond(timeout, secret)
        return await self._authenticated(response, timeout)

    async def auth_xoauth2(
        self, username: str | bytes, access_token: str | bytes, timeout: Timeout = _default
    ) -> SMTPResponse:
        """Log in with an OAuth 2.0 access token, as Google and Microsoft want it.

        :raises SMTPAuthenticationError: if the server refuses
        """
        initial = auth_xoauth2_encode(username, access_token)
        response = await self._authenticate(b"XOAUTH2 " + initial, timeout)
        if response.code == SMTPStatus.auth_continue:  # why it is refused; the refusal follows an empty line
            response = await self._respond(timeout, b"")
        return await self._authenticated(response, timeout)

    async def _authenticate(self, mechanism: bytes, timeout: Timeout) -> SMTPResponse:
        await self._ehlo_or_helo_if_needed()
        return await self._respond(timeout, b"AUTH", mechanism)

    async def _respond(self, timeout: Timeout, *args: bytes) -> SMTPResponse:
        with in_phase("auth"):
            return await self.execute_command(*args, timeout=timeout)

    async def _authenticated(self, response: SMTPResponse, timeout: Timeout) -> SMTPResponse:
        if response.code == SMTPStatus.auth_continue:
            await self._cancel_auth(timeout)
        if response.code != SMTPStatus.auth_successful:
            raise SMTPAuthenticationError(*response)
        return response

    async def _cancel_auth(self, timeout: Timeout) -> None:
        """Leave an exchange that has gone wrong (RFC 4954 section 4), so that the next command is one."""
        try:
            response = await self.execute_command(b"*", timeout=timeout)
        except SMTPException:
            return  # what went wrong before says more
        if response.code == SMTPStatus.auth_continue:
            self.close()


def option_list(options: Iterable[str] | None) -> list[str]:
    """The parameters of a command, checked.

    :raises TypeError: if they are one ``str``, or one of them is none
    :raises ValueError: if one could inject something
    """
    if options is None:
        return []
    if isinstance(options, str):
        raise TypeError('Options are a list of str, such as ["BODY=8BITMIME"], not one str')
    options = list(options)
    for option in options:
        check_argument(option, "option")
    return options
