"""One method for each SMTP command but AUTH and STARTTLS."""

from __future__ import annotations

from collections.abc import Iterable

from .._codec import encode_command, encode_data
from .._envelope.arguments import envelope_path
from .._envelope.parameter import available, checked, option_list, sent
from .._envelope.recipient import plain, with_own
from .._message.addresses import parse_address
from .._session import dialogues, transaction
from ..errors import (
    SMTPHeloError,
    SMTPNotSupported,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
)
from ..response import SMTPResponse
from ..status import SMTPStatus
from ..typing import Default
from .connection import Connection, Timeout, connected_protocol
from .content import ascii_octets
from .error_context import attaches_transcript, in_phase
from .security import is_verified


class Commands(Connection):
    """The commands of RFC 5321 section 4.1.1.

    Every method takes ``timeout``: seconds to wait for each reply, ``None`` for no limit; by default the
    client's. Besides what they document, all raise

    * :class:`SMTPServerDisconnected` if the connection is not there, or gets lost,
    * :class:`SMTPReadTimeoutError` after ``timeout``; the connection is closed,
    * :class:`SMTPResponseException` with code -1 if what comes is no SMTP reply; the connection is closed,
    * :class:`ValueError` if an argument holds what could inject a command; nothing has been sent.
    """

    # -- session (RFC 5321 sections 4.1.1.1 and 4.1.1.5 to 4.1.1.10) ---------------------------------

    @attaches_transcript
    async def helo(self, hostname: str | None = None, timeout: Timeout = Default.token) -> SMTPResponse:
        """Introduce this host with HELO.

        :param hostname: what to call this host; by default ``local_hostname``
        :param timeout: seconds to wait for the reply, ``None`` for no limit; by default the client's
        :raises SMTPHeloError: for any reply but 250
        """
        connected_protocol(self)
        name = await self._hello_name(hostname)
        with in_phase("ehlo"):
            response = await self._run(dialogues.command(encode_command(b"HELO", name)), timeout)
        self._learn(None, response)
        if response.code != SMTPStatus.completed:
            raise SMTPHeloError(*response)
        return response

    @attaches_transcript
    async def ehlo(self, hostname: str | None = None, timeout: Timeout = Default.token) -> SMTPResponse:
        """Introduce this host with EHLO, and learn what the server can do.

        :param hostname: what to call this host; by default ``local_hostname``
        :param timeout: seconds to wait for the reply, ``None`` for no limit; by default the client's
        :raises SMTPHeloError: for any reply but 250
        """
        connected_protocol(self)
        name = await self._hello_name(hostname)
        with in_phase("ehlo"):
            response = await self._run(dialogues.command(encode_command(self._variant.hello, name)), timeout)
        self._learn(response, None)
        if response.code != SMTPStatus.completed:
            raise SMTPHeloError(*response)
        return response

    @attaches_transcript
    async def help(self, timeout: Timeout = Default.token) -> str:
        """Ask for help.

        :param timeout: seconds to wait for the reply, ``None`` for no limit; by default the client's
        :return: the text of the reply
        :raises SMTPResponseException: for any reply but 211, 214 or 250
        """
        return (await self._command((b"HELP",), timeout, 211, 214, 250)).message

    @attaches_transcript
    async def rset(self, timeout: Timeout = Default.token) -> SMTPResponse:
        """Abandon the mail transaction.

        :param timeout: seconds to wait for the reply, ``None`` for no limit; by default the client's
        :raises SMTPResponseException: for any reply but 250
        """
        response = await self._command((b"RSET",), timeout, 250)
        if self.protocol is not None:
            self.protocol.server.mail = None
        return response

    @attaches_transcript
    async def noop(self, timeout: Timeout = Default.token) -> SMTPResponse:
        """Do nothing, and see that the server is there.

        :param timeout: seconds to wait for the reply, ``None`` for no limit; by default the client's
        :raises SMTPResponseException: for any reply but 250
        """
        return await self._command((b"NOOP",), timeout, 250)

    @attaches_transcript
    async def vrfy(
        self, address: str, options: Iterable[str] | None = None, timeout: Timeout = Default.token
    ) -> SMTPResponse:
        """Ask whether there is such a mailbox.

        :param address: the mailbox or user name to verify
        :param options: ``["SMTPUTF8"]`` for an address that is not ASCII (RFC 6531 section 3.7.4.2)
        :param timeout: seconds to wait for the reply, ``None`` for no limit; by default the client's
        :raises SMTPResponseException: for any reply but 250, 251 or 252
        :raises SMTPNotSupported: if the server does not announce SMTPUTF8, and it is among ``options``
        """
        return await self._command(await self._query("VRFY", address, options), timeout, 250, 251, 252)

    @attaches_transcript
    async def expn(
        self, address: str, options: Iterable[str] | None = None, timeout: Timeout = Default.token
    ) -> SMTPResponse:
        """Ask for the members of a mailing list.

        :param address: the mailing list to expand
        :param options: ``["SMTPUTF8"]`` for a list that is not ASCII (RFC 6531 section 3.7.4.2)
        :param timeout: seconds to wait for the reply, ``None`` for no limit; by default the client's
        :raises SMTPResponseException: for any reply but 250
        :raises SMTPNotSupported: if the server does not announce SMTPUTF8, and it is among ``options``
        """
        return await self._command(await self._query("EXPN", address, options), timeout, 250)

    @attaches_transcript
    async def quit(self, timeout: Timeout = Default.token) -> SMTPResponse:
        """Say goodbye and close the connection.

        :param timeout: seconds to wait for the reply, ``None`` for no limit; by default the client's
        :return: the reply; a 221 without text if the server resets the connection instead, or breaks off TLS
        :raises SMTPResponseException: for any reply but 221 or 250
        """
        protocol = connected_protocol(self)
        try:
            response = await self.execute_command(b"QUIT", timeout=timeout)
        except SMTPServerDisconnected as error:
            if not isinstance(error.__cause__, OSError):
                raise
            response = SMTPResponse(SMTPStatus.closing.value, "")  # it has gone, which is what was asked for
        if response.code not in (SMTPStatus.closing, SMTPStatus.completed):
            raise SMTPResponseException(*response)
        protocol.close()
        await protocol.wait_closed()
        return response

    # -- mail transaction (RFC 5321 sections 4.1.1.2 to 4.1.1.4) -------------------------------------

    @attaches_transcript
    async def mail(
        self,
        sender: str,
        options: Iterable[str] | None = None,
        encoding: str = "ascii",
        timeout: Timeout = Default.token,
    ) -> SMTPResponse:
        """Begin a mail transaction.

        :param sender: the reverse-path; ``""`` is the null one
        :param options: parameters such as ``"BODY=8BITMIME"``, or values of :mod:`aiosmtplib.parameters`
        :param encoding: ``"utf-8"`` where the SMTPUTF8 parameter is given (RFC 6531)
        :param timeout: seconds to wait for the reply, ``None`` for no limit; by default the client's
        :raises SMTPSenderRefused: for any reply but 250
        :raises SMTPNotSupported: if the server does not take a parameter that is required
        """
        path = envelope_path(sender, encoding)
        args = (b"MAIL", b"FROM:<%b>" % path, *await self._arguments("MAIL", options, encoding))
        if connected_protocol(self).server.mail is not None:  # of a message that was refused
            await self.rset(timeout)
        with in_phase("mail"):
            response = await self.execute_command(*args, timeout=timeout)
        if response.code != SMTPStatus.completed:
            raise SMTPSenderRefused(*response, sender)
        return response

    @attaches_transcript
    async def rcpt(
        self,
        recipient: str,
        options: Iterable[str] | None = None,
        encoding: str = "ascii",
        timeout: Timeout = Default.token,
    ) -> SMTPResponse:
        """Add a recipient to the mail transaction.

        :param recipient: the forward-path
        :param options: parameters such as ``"NOTIFY=NEVER"``, or values of :mod:`aiosmtplib.parameters`; they
            are added to those of a :class:`~aiosmtplib.parameters.Recipient`
        :param encoding: ``"utf-8"`` where MAIL had the SMTPUTF8 parameter (RFC 6531)
        :param timeout: seconds to wait for the reply, ``None`` for no limit; by default the client's
        :raises SMTPRecipientRefused: for any reply but 250 or 251
        :raises SMTPNotSupported: if the server does not take a parameter that is required
        """
        path = envelope_path(recipient, encoding)
        options = with_own(option_list(options, "RCPT"), recipient)
        args = (b"RCPT", b"TO:<%b>" % path, *await self._arguments("RCPT", options, encoding))
        with in_phase("rcpt"):
            response = await self.execute_command(*args, timeout=timeout)
        if response.code not in (SMTPStatus.completed, SMTPStatus.will_forward):
            raise SMTPRecipientRefused(*response, plain(recipient))
        return response

    @attaches_transcript
    async def data(self, message: str | bytes, timeout: Timeout = Default.token) -> SMTPResponse:
        """Send the content of the mail transaction: line ends normalised, dots stuffed, terminated.

        :param message: a ``str`` must be ASCII
        :param timeout: seconds to wait for the reply, ``None`` for no limit; by default the client's
        :raises SMTPDataError: if the server refuses DATA or the content
        """
        content = encode_data(ascii_octets(message) if isinstance(message, str) else message)
        await self._ehlo_or_helo_if_needed()
        return await self._run(transaction.data(content), timeout)

    async def _query(self, verb: str, address: str, options: Iterable[str] | None) -> tuple[bytes, ...]:
        """The VRFY or EXPN command of an address."""
        options = option_list(options, verb)
        utf8 = any(option.upper() == "SMTPUTF8" for option in options)
        encoding = "utf-8" if utf8 else "ascii"
        path = parse_address(address).encode(encoding)
        arguments = await self._arguments(verb, options, encoding)
        if utf8 and not self.supports_extension("smtputf8"):
            raise SMTPNotSupported("SMTPUTF8 is not supported by this server")
        return (verb.encode("ascii"), path, *arguments)

    async def _arguments(self, verb: str, options: Iterable[str] | None, encoding: str) -> list[bytes]:
        """The parameters of a command for this server."""
        options, typed = checked(options, verb)
        utf8 = encoding.lower() in ("utf-8", "utf8")
        encoded = [option.encode(encoding) for option in sent(options, utf8)]
        await self._ehlo_or_helo_if_needed()
        if not typed:
            return encoded
        taken = available(options, self.esmtp_extensions, is_verified(self.transport))
        return [option.encode(encoding) for option in sent(taken, utf8)]

    async def _command(self, args: tuple[bytes, ...], timeout: Timeout, *accepted: int) -> SMTPResponse:
        await self._ehlo_or_helo_if_needed()
        response = await self.execute_command(*args, timeout=timeout)
        if response.code not in accepted:
            raise SMTPResponseException(*response)
        return response
