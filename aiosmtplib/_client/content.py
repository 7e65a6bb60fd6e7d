"""The kinds of messages that a caller may give, distinguished in one place."""

from __future__ import annotations

import enum
import functools
from collections.abc import AsyncIterable, Callable, Iterable
from typing import IO, Any, TypeAlias

from .hints import NOT_ASCII

#: Header and body, at hand as a whole or in pieces.
Content: TypeAlias = str | bytes | bytearray | memoryview | IO[bytes] | Iterable[bytes] | AsyncIterable[bytes]


class MessageKind(enum.Enum):
    """The kind of a message.

    ``WHOLE``
        Header and body as ``str`` or octets.
    ``STREAM``
        Header and body in pieces: a binary file, an iterable or an asynchronous iterable.
    ``OBJECT``
        An object of the email package; or anything else, which is refused as none.
    """

    WHOLE = 1
    STREAM = 2
    OBJECT = 3


def kind_of(message: object) -> MessageKind:
    """The kind of what a caller gave as a message."""
    if isinstance(message, str | bytes | bytearray | memoryview):
        return MessageKind.WHOLE
    if hasattr(message, "get_all"):  # an object can be iterated over as well
        return MessageKind.OBJECT
    if hasattr(message, "read") or isinstance(message, AsyncIterable | Iterable):
        return MessageKind.STREAM
    return MessageKind.OBJECT


def octets(content: Any) -> bytes:
    """A buffer as the octets that it really has, which do not change any more.

    The length of a view counts its items, which may be larger than octets, and that of a subclass is whatever
    its method says. A message is announced with its size, and waits to be written.

    :raises TypeError: if it is no buffer
    """
    return content if type(content) is bytes else memoryview(content).tobytes()


def ascii_octets(message: str) -> bytes:
    """
    :raises UnicodeEncodeError: if it is not ASCII
    """
    try:
        return message.encode("ascii")
    except UnicodeEncodeError as error:
        error.reason = NOT_ASCII
        raise


def octets_of(message: Any) -> bytes | None:
    """Content as octets, or ``None`` if it is a stream.

    :raises UnicodeEncodeError: if it is a ``str`` that is not ASCII
    :raises TypeError: if it is no content
    """
    if isinstance(message, bytes | bytearray | memoryview):
        return octets(message)
    if isinstance(message, str):
        return ascii_octets(message)
    if kind_of(message) is MessageKind.STREAM:
        return None
    raise TypeError(
        f"sendmail takes a message as str or bytes, not {type(message).__name__}; "
        "send_message takes the objects of the email package"
    )


def rewinder_of(content: Any) -> Callable[[], object] | None:
    """What takes content back to where it is now, to be read again; ``None`` if it can be read only once."""
    if isinstance(content, bytes):
        return bytes
    seekable = getattr(content, "seekable", None)
    if seekable is None or not seekable():
        return None
    return functools.partial(content.seek, content.tell())
