"""The messages of ``send_many``, message objects and envelopes: their addresses, and their composition."""

from __future__ import annotations

from typing import Any

from .._envelope.commands import envelope_commands
from .._session import PreparedMail
from .before_send import ContentHook
from .bulk import QueuedMessage
from .completion import added_to_object, added_to_octets
from .compose import Composer, envelope_of
from .content import MessageKind, kind_of, octets_of
from .hooked import HookedMessage
from .results import Envelope

__all__ = ("addresses_of", "complete", "compose_item", "hooked_of")


def addresses_of(envelope: Envelope) -> tuple[str, list[str]]:
    """Sender and recipients of a message that has none in itself.

    :raises ValueError: if they are missing
    """
    if envelope.sender is None or envelope.recipients is None:
        raise _unaddressed()
    message: Any = envelope.message
    return envelope_of(message, envelope.sender, envelope.recipients)


def complete(message: QueuedMessage) -> None:
    """Note which header fields to add to a message, once: one that is sent again is the same.

    :raises ValueError: if an address is none
    :raises TypeError: if it is no message
    """
    if message.added is not None:
        return
    item = message.item
    sender, content = (item.sender, item.message) if isinstance(item, Envelope) else (None, item)
    if kind_of(content) is MessageKind.OBJECT:
        message.added = added_to_object(content, sender)
    else:
        message.added = added_to_octets(octets_of(content) or b"", sender or "")


def hooked_of(hook: ContentHook, message: QueuedMessage, *, complete: bool) -> HookedMessage:
    """One of many messages, to go through ``before_send``.

    :param complete: whether to add the header fields that it lacks
    :raises ValueError: if an address or option is none, or sender or recipients are missing
    :raises TypeError: if it is no message
    """
    if message.hooked is None:
        item = message.item
        if not isinstance(item, Envelope):
            item = Envelope(None, None, item)
        content: Any = item.message
        if kind_of(content) is MessageKind.WHOLE:
            addresses = addresses_of(item)
        else:
            addresses = envelope_of(content, item.sender, item.recipients)
        options = item.mail_options, item.rcpt_options
        message.hooked = HookedMessage(hook, content, *addresses, *options, complete=complete)
    return message.hooked


def compose_item(
    composer: Composer, item: Any, added: bytes | None = None, hooked: HookedMessage | None = None
) -> PreparedMail:
    """One of many messages, a message object or an envelope, as the server takes it.

    :param added: header fields that go before those that it has
    :param hooked: the same message, if it has gone through ``before_send``
    :raises ValueError: if an address or option is none, or sender or recipients are missing
    :raises TypeError: if it is no message
    :raises SMTPException: if this server does not take it
    """
    if hooked is not None:
        assert hooked.content is not None
        given = item.recipients if isinstance(item, Envelope) else None
        return composer.compose(hooked.envelope(given), hooked.content, many=True)
    message: Any
    if isinstance(item, Envelope):
        sender, recipients, message = item.sender, item.recipients, item.message
        options, rcpt_options = item.mail_options, item.rcpt_options
    else:
        sender = recipients = None
        message, options, rcpt_options = item, (), ()
    if isinstance(message, bytes) or kind_of(message) is MessageKind.WHOLE:
        if sender is None or recipients is None:
            raise _unaddressed()
        content = message if type(message) is bytes else octets_of(message)
        assert content is not None
        if added:
            content = added + content
        return composer.compose(
            envelope_commands(sender, recipients, options, rcpt_options), content, many=True
        )
    sender, recipients = envelope_of(message, sender, recipients)
    mail, _ = composer.compose_object(
        message, sender, recipients, options, rcpt_options, many=True, added=added or b""
    )
    return mail


def _unaddressed() -> ValueError:
    return ValueError("A message that is no object needs an Envelope with sender and recipients")
