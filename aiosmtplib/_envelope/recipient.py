"""The recipients of a message, also with RCPT parameters of their own (RFC 5321 section 4.1.1.3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .._message.addresses import parse_address
from ..errors import SMTPRecipientsRefused
from .parameter import Text, as_text, check_once, option_list

__all__ = ("Recipient", "plain", "recipient_list", "with_own")


class _NoRecipientsError(SMTPRecipientsRefused, ValueError):
    """No recipient was given.

    An :class:`SMTPRecipientsRefused`, which callers of ``sendmail`` handle, and a :class:`ValueError`.
    """

    def __str__(self) -> str:
        return "No recipients given: pass at least one address"


class Recipient(Text):
    """A recipient with parameters of its own. It can be passed wherever an address can, and equals it.

    :param address: the forward-path, with or without a display name
    :param options: parameters of its RCPT: values of :mod:`aiosmtplib.parameters`, or ``str``
    :raises ValueError: if ``address`` is not an address, or a parameter is malformed, given twice or not one
        of RCPT
    :raises TypeError: if ``address`` or a parameter is not a ``str``
    :ivar options: the parameters, as a tuple
    """

    __slots__ = ("options",)
    options: tuple[str, ...]

    def __new__(cls, address: str, *options: str) -> Recipient:
        parse_address(address)
        checked = option_list((*_own(address), *options), "RCPT")
        check_once(checked)
        return cls.build(as_text(address, "address"), options=tuple(checked))

    def __repr__(self) -> str:
        return f"Recipient({', '.join(map(repr, (str(self), *self.options)))})"


def recipient_list(recipients: str | Iterable[str]) -> list[str]:
    """The recipients that a caller gave, as a list, each checked.

    :param recipients: one forward-path or several, with or without display names
    :raises SMTPRecipientsRefused: if there is none; also a :class:`ValueError`
    :raises ValueError: if one is empty or not an address; only the sender can be ``""``
    :raises TypeError: if one is not a ``str``
    """
    everyone = [recipients] if isinstance(recipients, str) else list(recipients)
    if not everyone:
        raise _NoRecipientsError([])
    for recipient in everyone:
        if not parse_address(recipient):
            raise ValueError("A recipient must not be empty")
    return everyone


def plain(recipient: str) -> str:
    """The address of a recipient, without its parameters."""
    return str(recipient) if isinstance(recipient, Recipient) else recipient


def with_own(shared: Sequence[str], recipient: str) -> Sequence[str]:
    """The parameters of a recipient: those of every RCPT, and its own.

    :raises ValueError: if one is in both
    """
    own = _own(recipient)
    if not own or not shared:
        return own or shared
    together = [*shared, *own]
    check_once(together)
    return together


def _own(recipient: str) -> tuple[str, ...]:
    return recipient.options if isinstance(recipient, Recipient) else ()
