"""Messages become mail transactions: what sends one, and the steps shared with what sends many."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from .._codec import encode_message, normalize_newlines
from .._codec.types import Data
from .._envelope.commands import EnvelopeCommands, smtputf8_of
from .._envelope.parameter import option_list
from .._session.mail import PreparedMail
from .._session.transaction import Outcome, begin
from .._transport.base_protocol import cancelled_before_sent
from ..email import flatten_for, flatten_message
from ..errors import SMTPNotSupported, SMTPSenderRefused
from ..esmtp import parse_size_limit
from ..protocol import SMTPProtocol
from ..response import SMTPResponse
from ..status import SMTPStatus
from ..typing import _default
from .commands import Timeout, Verbs
from .compose import _check_a_labels_suffice, content_of, envelope_of
from .error_context import with_transcript
from .results import Content
from .streaming import Progress, is_stream, measure, send_stream

if TYPE_CHECKING:
    import email.message


class Withdrawable(Protocol):
    """Messages of which those that have not begun may be withdrawn."""

    withdrawn: bool


class Sending(Verbs):
    """The part of the client that sends messages."""

    #: Whether each accepted recipient gets a final reply of its own (LMTP, RFC 2033 section 4.2).
    _per_recipient = False

    @with_transcript
    async def sendmail(
        self,
        sender: str,
        recipients: str | Sequence[str],
        message: Content,
        mail_options: Iterable[str] | None = None,
        rcpt_options: Iterable[str] | None = None,
        timeout: Timeout = _default,
        *,
        progress: Progress | None = None,
    ) -> tuple[dict[str, SMTPResponse], str]:
        """Send a message that is ready to go: one mail transaction (RFC 5321 section 3.3).

        Where the server announces PIPELINING (RFC 2920), its commands go out in one piece. After a refusal
        the envelope is reset, so that the connection can be used for the next message.

        :param sender: the reverse-path; ``""`` is the null one
        :param recipients: one forward-path or several, each a ``str`` or a
            :class:`~aiosmtplib.parameters.Recipient`
        :param message: header and body; line ends are normalised. A ``str`` must be ASCII. A binary file, an
            iterable or an asynchronous iterable of ``bytes`` is streamed: it is never in memory as a whole.
        :param mail_options: parameters of MAIL, such as ``"RET=HDRS"``, or values of
            :mod:`aiosmtplib.parameters`. With ``"SMTPUTF8"`` addresses may have any characters (RFC 6531);
            without, a domain that is not ASCII goes as A-labels (RFC 5891).
            With ``"BODY=BINARYMIME"`` the content goes out as it is (RFC 3030 section 3).
        :param rcpt_options: parameters of every RCPT, such as ``"NOTIFY=NEVER"`` (RFC 3461), or such values
        :param timeout: seconds to wait for each reply, ``None`` for no limit; by default the client's
        :param progress: called while content is written, with the number of bytes of ``message`` so far, and
            with their total, or ``None`` where that is not known
        :return: the recipients that were refused with the replies to them, and the text of the final reply
        :raises SMTPSenderRefused: if the server refuses the sender, or the message is larger than it takes
        :raises SMTPRecipientsRefused: if it refuses every recipient
        :raises SMTPDataError: if it refuses the message
        :raises SMTPNotSupported: if SMTPUTF8, BINARYMIME or another parameter that is required is wanted, and
            the server does not announce it
        :raises SMTPException: if a streamed message, or ``progress``, raises: the cause is what it raised.
            Without BDAT the connection is closed.
        :raises SMTPServerDisconnected: if the connection is not there, or gets lost
        :raises SMTPReadTimeoutError: after ``timeout``; the connection is closed
        :raises SMTPResponseException: with code -1, if what comes is no SMTP reply; the connection is closed
        :raises ValueError: if an address or option is none, or there is no recipient; nothing has been sent
        :raises TypeError: if an argument is of the wrong type; nothing has been sent
        """
        envelope = EnvelopeCommands(sender, recipients, mail_options, rcpt_options)
        streamed = is_stream(message)
        content = b"" if streamed else content_of(message)
        seconds = self._seconds(timeout)
        if streamed or progress is not None:
            source = message if streamed else content
            refused, response = await self._stream(envelope, source, progress, seconds)
            return refused, response.message
        protocol = await self._introduced()
        mail = self._compose(envelope, content)
        refused, response = await protocol.run(begin(mail, protocol.server), seconds)
        return refused, response.message

    async def _stream(
        self,
        envelope: EnvelopeCommands,
        source: Any,
        progress: Progress | None,
        timeout: float | None,
        pipeline: "Withdrawable | None" = None,
    ) -> Outcome:
        """Send a message whose content comes in pieces.

        :param pipeline: what it shares the connection with; once that is withdrawn, nothing is sent any more
        """
        length, size = await measure(source, envelope.binary)
        protocol = await self._introduced()
        if pipeline is not None and pipeline.withdrawn:
            raise cancelled_before_sent()
        mail = self._compose_stream(envelope, size)
        binary = envelope.binary
        return await send_stream(protocol, mail, source, length, progress, timeout, binary, pipeline)

    async def _introduced(self) -> SMTPProtocol:
        """The protocol of the connection, after EHLO."""
        protocol = self._connected_protocol()
        if self.is_ehlo_or_helo_needed:
            await self._ehlo_or_helo_if_needed()
            protocol = self._connected_protocol()
        return protocol

    def _compose(self, envelope: EnvelopeCommands, content: bytes, *, many: bool = False) -> PreparedMail:
        """The message as this server takes it.

        :param many: whether other messages go before and after it
        :raises SMTPNotSupported: if it needs an extension that the server does not announce
        :raises SMTPSenderRefused: if it is larger than the server takes
        """
        chunked = self._by_bdat(envelope, many)
        if chunked:
            if envelope.binary:
                content = bytes(content)
            else:  # what arrives must not depend on how it went, and by DATA the last line has an end
                content = normalize_newlines(content)
                if not content.endswith(b"\r\n"):
                    content += b"\r\n"
            return self._mail(envelope, content, len(content), chunked)
        wire, size = encode_message(content)
        return self._mail(envelope, wire, size, chunked)

    def _compose_stream(self, envelope: EnvelopeCommands, size: int | None) -> PreparedMail:
        """The same for content that comes in pieces."""
        return self._mail(envelope, None, size, self._by_bdat(envelope, size is None))

    def _mail(
        self, envelope: EnvelopeCommands, content: Data | None, size: int | None, chunked: bool
    ) -> PreparedMail:
        extensions = self.esmtp_extensions
        if envelope.open:
            envelope.adapt_to(extensions, self._is_verified())
        if envelope.utf8 and "smtputf8" not in extensions:
            raise SMTPNotSupported("SMTPUTF8 is not supported by this server")
        parameters = envelope.parameters
        if size is not None and "size" in extensions:
            parameters = b" size=%d%b" % (self._check_size(size, envelope.sender), parameters)
        return PreparedMail(
            envelope.sender,
            envelope.recipients,
            b"%b%b\r\n%b" % (envelope.mail, parameters, envelope.rcpts),
            content,
            self.pipelining is not False and "pipelining" in extensions,
            chunked,
            self._per_recipient,
        )

    def _by_bdat(self, envelope: EnvelopeCommands, many: bool) -> bool:
        possible = "chunking" in self.esmtp_extensions and not self._per_recipient
        if envelope.binary:
            if not possible or self.chunking is False or "binarymime" not in self.esmtp_extensions:
                raise SMTPNotSupported("BINARYMIME is not supported by this server, or not without chunking")
            return True
        return possible and (self.chunking or (many and self.chunking is None))

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

    @with_transcript
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
        :raises SMTPNotSupported: if an address needs SMTPUTF8, or a parameter is required, that the server
            does not announce
        :raises ValueError: if the message has no sender or no recipient; nothing has been sent
        :raises SMTPException: and whatever else :meth:`sendmail` raises
        """
        sender, recipients = envelope_of(message, sender, recipients)
        options: Sequence[str] = option_list(mail_options)
        rcpt_options = option_list(rcpt_options, "RCPT")
        self._connected_protocol()
        await self._ehlo_or_helo_if_needed()
        result, _ = await self._send_object(message, sender, recipients, options, rcpt_options, timeout)
        return result

    async def _send_object(
        self,
        message: "email.message.EmailMessage | email.message.Message",
        sender: str,
        recipients: Sequence[str],
        options: Sequence[str],
        rcpt_options: Iterable[str] | None,
        timeout: Timeout,
    ) -> tuple[tuple[dict[str, SMTPResponse], str], int]:
        """Send a message object whose envelope is known.

        :return: what :meth:`send_message` returns, and the octets of the content
        """
        if type(self).sendmail is not Sending.sendmail:  # a program's own, which gets what it expects
            content, options = self._flatten(message, sender, recipients, options)
            result = await self.sendmail(sender, recipients, content, options, rcpt_options, timeout)
            return result, len(content)
        protocol = self._connected_protocol()
        mail, size = self._compose_message(message, sender, recipients, options, rcpt_options)
        refused, response = await protocol.run(begin(mail, protocol.server), self._seconds(timeout))
        return (refused, response.message), size

    def _compose_message(
        self,
        message: "email.message.EmailMessage | email.message.Message",
        sender: str,
        recipients: Sequence[str],
        options: Sequence[str],
        rcpt_options: Iterable[str] | None,
        *,
        many: bool = False,
    ) -> tuple[PreparedMail, int]:
        """A message object as this server takes it, written once for the wire, and its size."""
        utf8, cte_type, options = self._form_of(sender, recipients, options)
        envelope = EnvelopeCommands(sender, recipients, options, rcpt_options)
        if envelope.binary:
            binary = flatten_message(message, utf8, cte_type)
            return self._compose(envelope, binary, many=many), len(binary)
        chunked = self._by_bdat(envelope, many)
        content, size = flatten_for(message, utf8, cte_type, chunked)
        return self._mail(envelope, content, size, chunked), size

    def _flatten(
        self,
        message: "email.message.EmailMessage | email.message.Message",
        sender: str,
        recipients: Sequence[str],
        options: Sequence[str],
    ) -> tuple[bytes, Sequence[str]]:
        """The bytes of a message object for this server, and the parameters of MAIL that go with them."""
        utf8, cte_type, options = self._form_of(sender, recipients, options)
        return flatten_message(message, utf8, cte_type), options

    def _form_of(
        self, sender: str, recipients: Sequence[str], options: Sequence[str]
    ) -> tuple[bool, str, Sequence[str]]:
        """How this server takes a message object: with UTF-8 header fields or not, in 7 or 8 bits.

        :return: the arguments of :func:`flatten_message`, and the parameters of MAIL that go with them
        """
        options, may_use_utf8 = smtputf8_of(options)
        utf8 = may_use_utf8 and not (sender.isascii() and all(who.isascii() for who in recipients))
        if utf8 and not self.supports_extension("smtputf8"):
            _check_a_labels_suffice(sender, *recipients)
            utf8 = False
        given = {option.upper().partition("=")[0] for option in options} if options else ()
        if utf8 and "SMTPUTF8" not in given:
            options = [*options, "SMTPUTF8"]
        seven_bit = "BODY" in given and any(option.upper() == "BODY=7BIT" for option in options)
        eight_bit = self.supports_extension("8bitmime") and not seven_bit
        if eight_bit and "BODY" not in given:
            options = [*options, "BODY=8BITMIME"]
        return utf8, "8bit" if eight_bit else "7bit", options
