"""The MAIL and RCPT commands of a mail transaction, from sender, recipients and parameters (RFC 5321)."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence

from .._codec import EncodedEnvelope, encode_command, encode_recipients, plain_envelope
from ..errors import SMTPNotSupported
from ..parameters import SMTPUTF8
from .arguments import ascii_address, envelope_path
from .parameter import Parameter, available, checked, sent
from .recipient import Recipient, plain, recipient_list, with_own

__all__ = ("EnvelopeCommands", "envelope_commands", "smtputf8_of")

#: No parameters, as :func:`checked` returns them.
_NONE: tuple[Sequence[str], bool] = (), False


def envelope_commands(
    sender: str,
    recipients: str | Sequence[str],
    mail_options: Iterable[str] | None,
    rcpt_options: Iterable[str] | None,
) -> EncodedEnvelope:
    """The MAIL and RCPT commands, as :class:`EnvelopeCommands`, which says what is raised."""
    if not mail_options and not rcpt_options:
        plain = plain_envelope(sender, recipients)
        if plain is not None:
            return plain
    return EnvelopeCommands(sender, recipients, mail_options, rcpt_options)


class EnvelopeCommands(EncodedEnvelope):
    """The MAIL and RCPT commands, checked and encoded.

    They are encoded first for a server that supports every extension, so that errors are found before
    anything is written. Where a parameter depends on the server, :meth:`adapt_to` encodes them again.

    :param sender: the reverse-path, with or without a display name
    :param recipients: one forward-path or several, with or without display names
    :param mail_options: parameters of MAIL
    :param rcpt_options: parameters of every RCPT
    :raises SMTPRecipientsRefused: if there is no recipient; also a :class:`ValueError`
    :raises ValueError: if an address or a parameter is malformed
    :raises TypeError: if an address or a parameter is not a ``str``
    :raises UnicodeEncodeError: if one has no ASCII form, and SMTPUTF8 is not among ``mail_options``
    """

    __slots__ = ("_options",)

    def __init__(
        self,
        sender: str,
        recipients: str | Sequence[str],
        mail_options: Iterable[str] | None,
        rcpt_options: Iterable[str] | None,
    ) -> None:
        self.sender = sender
        self.recipients = [recipients] if isinstance(recipients, str) else list(recipients)
        if not isinstance(sender, str):
            raise TypeError(f"An address must be a str, not {type(sender).__name__}")
        options, typed = checked(mail_options, "MAIL") if mail_options else _NONE
        shared, also = checked(rcpt_options, "RCPT") if rcpt_options else _NONE
        self.open = typed or also
        if not self.open:
            self.mail, self.parameters, self.utf8, self.binary = _mail_command(sender, *options)
            tail = _tail(shared, self.utf8) if shared else b""
            rcpts = encode_recipients(self.recipients, tail)
            if rcpts:
                self.rcpts = rcpts
                return
        self.recipients = recipient_list(self.recipients)
        each = None
        if any(isinstance(recipient, Recipient) for recipient in self.recipients):
            each = [with_own(shared, recipient) for recipient in self.recipients]
            self.recipients = list(map(plain, self.recipients))
            self.open = self.open or any(isinstance(option, Parameter) for own in each for option in own)
        self._options = options, shared, each
        others, may_use_utf8 = smtputf8_of(options)
        self._put(options if may_use_utf8 else others, shared, each)

    def adapt_to(self, extensions: Mapping[str, str], verified: bool) -> None:
        """Leave out the parameters that the server does not support.

        :param extensions: the extensions that it announces, as :attr:`SMTP.esmtp_extensions`
        :param verified: whether the connection uses TLS, with a certificate that was verified
        :raises SMTPNotSupported: if a required parameter is not supported, or if without SMTPUTF8 an address
            or a parameter has no ASCII form
        """
        options, shared, each = self._options
        taken = functools.partial(available, extensions=extensions, verified=verified)
        try:
            self._put(taken(options), taken(shared), None if each is None else map(taken, each))
        except UnicodeEncodeError as error:
            raise SMTPNotSupported(
                f"{error.object!a} is not ASCII, and SMTPUTF8 is not supported by this server"
            ) from error

    def _put(
        self, options: Sequence[str], shared: Sequence[str], each: Iterable[Sequence[str]] | None
    ) -> None:
        utf8 = any(option.upper() == "SMTPUTF8" for option in options)
        texts = sent(options, utf8)
        self.mail, self.parameters, self.utf8, self.binary = _mail_command(self.sender, *texts)
        if each is None:
            self.rcpts = _rcpts(self.recipients, _tail(sent(shared, utf8), utf8), utf8)
        else:
            pairs = zip(self.recipients, each, strict=True)
            self.rcpts = b"".join([_rcpts((who,), _tail(sent(own, utf8), utf8), utf8) for who, own in pairs])


@functools.lru_cache(maxsize=128)
def _mail_command(sender: str, *options: str) -> tuple[bytes, bytes, bool, bool]:
    # Cached: consecutive messages mostly have the same sender.
    upper = [option.upper() for option in options]
    utf8 = "SMTPUTF8" in upper
    mail = encode_command(b"MAIL", b"FROM:<%b>" % _path(sender, utf8))[:-2]
    return mail, _tail(options, utf8), utf8, "BODY=BINARYMIME" in upper


def _tail(texts: Sequence[str], utf8: bool) -> bytes:
    """Parameters, each with a blank before it."""
    encoding = "utf-8" if utf8 else "ascii"
    return encode_command(b"", *[text.encode(encoding) for text in texts])[:-2]


def _rcpts(recipients: Sequence[str], tail: bytes, utf8: bool) -> bytes:
    """The RCPT command lines."""
    rcpts = encode_recipients(recipients, tail)
    if rcpts is None:
        paths = [_path(recipient, utf8) for recipient in recipients]
        rcpts = b"".join([encode_command(b"RCPT", b"TO:<%b>%b" % (path, tail)) for path in paths])
    return rcpts


def _path(address: str, utf8: bool) -> bytes:
    """The path without its angle brackets. Without SMTPUTF8, a domain that is not ASCII is in A-labels."""
    if utf8:
        return envelope_path(address, "utf-8")
    try:
        address = ascii_address(address)
    except ValueError:
        pass  # the error of the next line names the character
    return envelope_path(address, "ascii")


def smtputf8_of(options: Sequence[str]) -> tuple[Sequence[str], bool]:
    """Separate an SMTPUTF8 parameter that is not required: only a message that needs it is to have it.

    :param options: parameters of MAIL
    :return: the other parameters, and whether SMTPUTF8 may be used
    """
    for option in options:
        if isinstance(option, SMTPUTF8) and not option.required:
            return tuple(other for other in options if other is not option), option.use != "never"
    return options, True
