"""Messages made ready for one server: which extensions it has decides their form and their parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from .._codec import EncodedEnvelope, encode_message, normalize_newlines
from .._codec.types import Data
from .._envelope.arguments import ascii_address
from .._envelope.commands import EnvelopeCommands, envelope_commands, smtputf8_of
from .._envelope.parameter import option_list
from .._envelope.recipient import recipient_list
from .._message.addresses import parse_address
from .._message.fields import address_fields, recipients_in, sender_in
from .._session import PreparedMail
from ..email import flatten_for, flatten_message
from ..errors import SMTPNotSupported, SMTPSenderRefused
from ..esmtp import parse_size_limit
from ..status import SMTPStatus

if TYPE_CHECKING:
    import email.message


class Composer:
    """What a server takes, and so how messages are composed for it.

    :param extensions: what it announces, as :func:`aiosmtplib.esmtp.parse_esmtp_extensions` returns it
    :param verified: whether the connection uses TLS, with a certificate that was verified
    :param pipelining: the option of that name
    :param chunking: the option of that name
    :param per_recipient: whether each accepted recipient gets a final reply of its own (LMTP, RFC 2033
        section 4.2)
    """

    __slots__ = ("_announced", "_limit", "chunking", "extensions", "per_recipient", "pipelining", "verified")

    def __init__(
        self,
        extensions: Mapping[str, str],
        *,
        verified: bool = False,
        pipelining: bool | None = None,
        chunking: bool | None = None,
        per_recipient: bool = False,
    ) -> None:
        self.extensions = extensions
        self.verified = verified
        self.pipelining = pipelining
        self.chunking = chunking
        self.per_recipient = per_recipient
        # The parameter of SIZE, and the limit that it states: parsed once.
        self._announced: str | None = None
        self._limit: int | None = None

    def compose(self, envelope: EncodedEnvelope, content: bytes, *, many: bool = False) -> PreparedMail:
        """A message whose content is at hand, as this server takes it.

        :param many: whether other messages go before and after it
        :raises SMTPNotSupported: if it needs an extension that the server does not announce
        :raises SMTPSenderRefused: if it is larger than the server takes
        """
        if not self._by_bdat(envelope, many):
            wire, size = encode_message(content)
            return self._mail(envelope, wire, size, False)
        # What arrives must not depend on how it went, and by DATA the last line has an end.
        content = bytes(content) if envelope.binary else with_line_ends(content)
        return self._mail(envelope, content, len(content), True)

    def compose_stream(self, envelope: EncodedEnvelope, size: int | None) -> PreparedMail:
        """The same for content that comes in pieces.

        :param size: its octets, as far as that is known
        """
        return self._mail(envelope, None, size, self._by_bdat(envelope, size is None))

    def compose_object(
        self,
        message: email.message.EmailMessage | email.message.Message,
        sender: str,
        recipients: Sequence[str],
        mail_options: Iterable[str] | None,
        rcpt_options: Iterable[str] | None,
        *,
        many: bool = False,
        added: bytes = b"",
    ) -> tuple[PreparedMail, int]:
        """The same for a message object, which is written once, for the wire.

        :param added: header fields that go before those that it has, in lines that end with CRLF
        :return: the message, and the octets of its content
        """
        utf8, cte_type, options = self.form(sender, recipients, option_list(mail_options))
        envelope = envelope_commands(sender, recipients, options, rcpt_options)
        if envelope.binary:
            binary = added + flatten_message(message, utf8, cte_type)
            return self.compose(envelope, binary, many=many), len(binary)
        chunked = self._by_bdat(envelope, many)
        content, size = flatten_for(message, utf8, cte_type, chunked)
        if added:
            content = added + content if isinstance(content, bytes) else (added, *content)
            size += len(added)
        return self._mail(envelope, content, size, chunked), size

    def flatten(
        self,
        message: email.message.EmailMessage | email.message.Message,
        sender: str,
        recipients: Sequence[str],
        mail_options: Iterable[str] | None,
    ) -> tuple[bytes, Sequence[str]]:
        """The bytes of a message object for this server, and the parameters of MAIL that go with them."""
        utf8, cte_type, options = self.form(sender, recipients, option_list(mail_options))
        return flatten_message(message, utf8, cte_type), options

    def _mail(
        self, envelope: EncodedEnvelope, content: Data | None, size: int | None, chunked: bool
    ) -> PreparedMail:
        extensions = self.extensions
        if envelope.open:
            assert isinstance(envelope, EnvelopeCommands)
            envelope.adapt_to(extensions, self.verified)
        if envelope.utf8 and "smtputf8" not in extensions:
            raise SMTPNotSupported("SMTPUTF8 is not supported by this server")
        if size is None or (announced := extensions.get("size")) is None:
            size = -1
        else:
            if announced != self._announced:
                self._announced, self._limit = announced, parse_size_limit(extensions)
            if self._limit is not None and size > self._limit:
                raise self._too_large(size, envelope.sender)
        pipelined = self.pipelining is not False and "pipelining" in extensions
        return envelope.prepare(content, size, pipelined, chunked, self.per_recipient)

    def _too_large(self, size: int, sender: str) -> SMTPSenderRefused:
        """What the server would reply to the SIZE of this message (RFC 1870 section 6.1)."""
        return SMTPSenderRefused(
            SMTPStatus.storage_exceeded.value,
            f"The message is {size} bytes long, and the server takes no more than {self._limit}",
            sender,
        )

    def _by_bdat(self, envelope: EncodedEnvelope, many: bool) -> bool:
        possible = "chunking" in self.extensions and not self.per_recipient
        if envelope.binary:
            if not possible or self.chunking is False or "binarymime" not in self.extensions:
                raise SMTPNotSupported("BINARYMIME is not supported by this server, or not without chunking")
            return True
        return possible and bool(self.chunking or (many and self.chunking is None))

    def form(
        self, sender: str, recipients: Sequence[str], options: Sequence[str]
    ) -> tuple[bool, str, Sequence[str]]:
        """How this server takes a message object: with UTF-8 header fields or not, in 7 or 8 bits.

        :return: the arguments of :func:`flatten_message`, and the parameters of MAIL that go with them
        """
        options, may_use_utf8 = smtputf8_of(options)
        utf8 = may_use_utf8 and not (sender.isascii() and all(who.isascii() for who in recipients))
        if utf8 and "smtputf8" not in self.extensions:
            _check_a_labels_suffice(sender, *recipients)
            utf8 = False
        given = {option.upper().partition("=")[0] for option in options} if options else ()
        if utf8 and "SMTPUTF8" not in given:
            options = [*options, "SMTPUTF8"]
        seven_bit = "BODY" in given and any(option.upper() == "BODY=7BIT" for option in options)
        eight_bit = "8bitmime" in self.extensions and not seven_bit
        if eight_bit and "BODY" not in given:
            options = [*options, "BODY=8BITMIME"]
        return utf8, "8bit" if eight_bit else "7bit", options


def envelope_of(
    message: email.message.EmailMessage | email.message.Message,
    sender: str | None,
    recipients: str | Sequence[str] | None,
) -> tuple[str, list[str]]:
    """Sender and recipients as given, or else as the message has them.

    :raises ValueError: if there is no sender or no recipient, or one is no address
    :raises TypeError: if ``message`` is no message object, or an address no ``str``
    """
    everyone = None if recipients is None else recipient_list(recipients)
    if sender is not None:
        parse_address(sender)
    if sender is None or everyone is None:
        fields = address_fields(message)
        if sender is None:
            sender = sender_in(message, fields)
            if sender is None:
                raise ValueError("No From header provided in message")
        if everyone is None:
            everyone = recipients_in(message, fields)
            if not everyone:
                raise ValueError("No recipient headers provided in message")
    return sender, everyone


def with_line_ends(content: bytes) -> bytes:
    """Header and body with CRLF at the end of each line, also of the last one."""
    content = normalize_newlines(content)
    return content if content.endswith(b"\r\n") else content + b"\r\n"


def _check_a_labels_suffice(*addresses: str) -> None:
    try:
        for address in addresses:
            ascii_address(address)
    except ValueError as error:
        raise SMTPNotSupported(
            "An address containing non-ASCII characters was provided, "
            "but SMTPUTF8 is not supported by this server"
        ) from error
