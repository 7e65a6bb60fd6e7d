"""Messages made ready for a queue: checked, written, and with a Message-ID that stays."""

from __future__ import annotations

import dataclasses
import functools
import re
import time
from collections.abc import AsyncIterable, Iterable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from ..._client.completion import HEADER_LIMIT, added_to_object, completed
from ..._client.compose import Composer, envelope_of
from ..._client.content import MessageKind, kind_of, octets, octets_of
from ..._client.results import Envelope
from ..._envelope.commands import envelope_commands
from ..._envelope.recipient import recipient_list
from ...errors import SMTPNotSupported
from .entry import Entry, new_id
from .wire import check_tag, dump_option, dump_recipient

if TYPE_CHECKING:
    import email.message

    from .bodies import BodyStore

__all__ = ("INLINE_LIMIT", "prepare")

#: Contents of more octets than this go to a :class:`BodyStore`, and not through the queue.
INLINE_LIMIT = 256 * 1024
PIECE = 1 << 16

_message_id = re.compile(rb"(?i)(?:\A|[\r\n])message-id[ \t]*:[ \t\r\n]*(<[^<>\r\n]*>)").search
_end_of_header = re.compile(rb"\A[\r\n]|\n\r?\n|\r\r").search


def prepare(
    envelope: Envelope | email.message.EmailMessage | email.message.Message,
    *,
    bodies: BodyStore | None = None,
    max_size: int | None = None,
    now: float | None = None,
) -> Entry:
    """Make an entry of a message: check whether it can be sent, and write it as it will be sent each time.

    Date and Message-ID are added where it has none. A message object is written in 7 bits, and in UTF-8 only
    where an address cannot do without.

    :param envelope: the envelope, or a message object, which has sender and recipients in its header
    :param bodies: where contents of more than :data:`INLINE_LIMIT` octets are kept
    :param max_size: how many octets the server takes; ``None`` if that is not known
    :param now: the time, in seconds since 1970
    :raises ValueError: if an address or a parameter is malformed, there is no sender or no recipient, the
        message is too large, or there is no store for it
    :raises TypeError: if something is of the wrong type, such as an asynchronous stream, or a tag that is
        neither text nor a number
    :raises OSError: if the store cannot be written to
    """
    given = envelope if isinstance(envelope, Envelope) else Envelope(None, None, envelope)
    identifier = new_id()
    content: Any
    given, content = _checked(given)
    check_tag(given.tag)
    with ExitStack() as stack:
        file: Any = None
        start = bytearray()
        size = 0
        for piece in _pieces(content):
            size += len(piece)
            if max_size is not None and size > max_size:
                raise ValueError(
                    f"The message has more than {max_size} octets, which the server does not take"
                )
            if file is None and size > INLINE_LIMIT:
                if bodies is None:
                    raise ValueError(
                        f"The message has more than {INLINE_LIMIT} octets, and there is no store for it"
                    )
                file = stack.enter_context(bodies.create(identifier))
                file.write(start)
            if file is None:
                start += piece
            else:
                file.write(piece)
    found = _message_id(_header(start))
    return Entry(
        identifier,
        dataclasses.replace(given, message=b"" if file is not None else bytes(start)),
        "" if found is None else found[1].decode("latin-1"),
        time.time() if now is None else now,
        size,
        body=None if file is None else identifier,
    )


def _checked(envelope: Envelope) -> tuple[Envelope, Any]:
    """The envelope with its recipients as a tuple, and the content, with the fields that it lacked.

    :raises ValueError: if it cannot be sent
    :raises TypeError: if something is of the wrong type
    """
    message: Any = envelope.message
    content: Any
    options = tuple(envelope.mail_options)
    sender, everyone = envelope.sender, envelope.recipients
    if kind_of(message) is MessageKind.OBJECT:
        sender, everyone = envelope_of(message, sender, everyone)
        content, options = _written(message, sender, everyone, options)
    else:
        if sender is None or everyone is None:
            raise ValueError("An envelope with a message that is no object needs sender and recipients")
        if isinstance(message, AsyncIterable):
            raise TypeError("A stream that is asynchronous has to be read first")
        whole = octets_of(message)
        source: Any = message if whole is None else whole
        content = completed(source, sender)
    rcpt_options = tuple(envelope.rcpt_options)
    everyone = tuple(recipient_list(everyone))
    envelope_commands(sender, everyone, options, rcpt_options)
    for option in (*options, *rcpt_options):
        dump_option(option)
    for recipient in everyone:
        dump_recipient(recipient)
    changes: dict[str, Any] = {"recipients": everyone, "mail_options": options, "rcpt_options": rcpt_options}
    return dataclasses.replace(envelope, sender=sender, **changes), content


def _written(
    message: Any, sender: str, recipients: list[str], options: tuple[str, ...]
) -> tuple[bytes, tuple[str, ...]]:
    """A message object as octets, and the parameters of MAIL that go with them."""
    added = added_to_object(message, sender)
    try:
        content, needed = Composer({}).flatten(message, sender, recipients, options)
    except SMTPNotSupported:  # an address with a local part that is not ASCII
        extensions = {"smtputf8": "", "8bitmime": ""}
        content, needed = Composer(extensions).flatten(message, sender, recipients, options)
    return added + content, tuple(needed)


def _pieces(content: Any) -> Iterator[bytes]:
    """Content in pieces that are not large, whatever they were."""
    source: Iterable[Any]
    if isinstance(content, bytes):
        source = (content,)
    else:
        source = iter(functools.partial(content.read, PIECE), b"") if hasattr(content, "read") else content
    for piece in map(octets, source):
        for place in range(0, len(piece), PIECE):
            yield piece[place : place + PIECE]


def _header(start: bytearray) -> bytes:
    found = _end_of_header(start, 0, HEADER_LIMIT)
    return bytes(start[: HEADER_LIMIT if found is None else found.start() + 1])
