"""Date and Message-ID for messages that have none, added to what goes out (RFC 5322 section 3.6).

They go before everything else, where they are no part of anything that is signed, and nothing has to be
written anew. The object, or the file, that the caller gave stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from typing import Any, Final

from .._message.addresses import parse_address
from .._message.domains import a_labels
from .._message.fields import address_fields, sender_in
from .content import Content, octets

#: In so much of a stream its header has to end, in octets; what comes later is not looked at.
HEADER_LIMIT: Final = 1 << 16

# A header ends at an empty line, whatever kind of line ends it has.
_end_of_header = re.compile(rb"\A[\r\n]|\n(?=[\r\n])|\r(?=\r)").search
_names = re.compile(rb"(?i)(?:\A|[\r\n])(date|message-id)[ \t]*:").findall
# A field, the envelope line of an mbox, an empty line, or nothing at all.
_begins_with_header = re.compile(rb"[!-9;-~]+[ \t]*:|>?From |[\r\n]|\Z").match
_is_domain = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*|\[[A-Za-z0-9.:]+\]").fullmatch


def added_to_object(message: Any, sender: str | None) -> bytes:
    """The fields that a message object lacks.

    :param sender: the reverse-path, whose domain the Message-ID gets; ``None`` for that of the object, which
        also serves where it is the null one
    """
    has_date, has_id = "Date" in message, "Message-ID" in message
    if not sender and not has_id:
        sender = sender_in(message, address_fields(message))
    return _fields(has_date, has_id, sender or "")


def added_to_octets(content: bytes, sender: str) -> bytes:
    """The fields that header and body lack, with an empty line where there is no header."""
    end = _end_of_header(content)
    found = {name.lower() for name in _names(content, 0, len(content) if end is None else end.end())}
    added = _fields(b"date" in found, b"message-id" in found, sender)
    return added if not added or _begins_with_header(content) else added + b"\r\n"


def completed(message: Content, sender: str) -> Content:
    """Content with the fields that it lacks: octets as octets, a stream as a stream of the same kind.

    Of a stream the header is looked at when it is first read, up to :data:`HEADER_LIMIT`.
    """
    source: Any = message
    if isinstance(source, _Completed):
        return message
    if isinstance(source, bytes):
        return added_to_octets(source, sender) + source
    kind: Any = _Pieces
    if isinstance(source, AsyncIterable):
        kind = _AsyncPieces
    elif hasattr(source, "read"):
        seekable = getattr(source, "seekable", None)
        kind = _SeekableFile if seekable is not None and seekable() else _File
    stream: Content = kind(source, sender)
    return stream


def _fields(has_date: bool, has_id: bool, sender: str) -> bytes:
    if has_date and has_id:
        return b""
    from email.utils import formatdate, make_msgid  # slow to import

    date = "" if has_date else f"Date: {formatdate(localtime=True)}\r\n"
    identifier = "" if has_id else f"Message-ID: {make_msgid(domain=_domain_of(sender))}\r\n"
    return (date + identifier).encode("ascii")


def _domain_of(sender: str) -> str:
    """The domain of an address, as a Message-ID can have it (RFC 5322 section 3.6.4)."""
    try:
        _, at, domain = parse_address(sender).rpartition("@")
        domain = a_labels(domain) if at else ""
    except ValueError:
        domain = ""
    return domain if _is_domain(domain) else "localhost"


class _Completed:
    """A stream with the fields that it lacks before it.

    :param source: the stream
    :param sender: the reverse-path
    """

    def __init__(self, source: Any, sender: str) -> None:
        self._source = source
        self._sender = sender
        self._beginning = bytearray()

    def _has_header(self, piece: bytes) -> bool:
        """Take one more piece of the beginning, and say whether the header is there."""
        beginning = self._beginning
        searched = max(0, len(beginning) - 1)
        beginning += piece
        return _end_of_header(beginning, searched) is not None or len(beginning) >= HEADER_LIMIT

    def _look(self, size: int) -> None:
        """Read a file up to the end of its header, so many octets at a time."""
        while piece := self._source.read(size):
            if self._has_header(octets(piece)):
                break

    def _begin(self) -> bytes:
        """The fields, and what was read to find out which."""
        beginning = bytes(self._beginning)
        self._beginning.clear()
        return added_to_octets(beginning, self._sender) + beginning


class _AsyncPieces(_Completed):
    """Of an asynchronous iterable."""

    _begun = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._iterator = aiter(self._source)
        return self

    async def __anext__(self) -> bytes:
        if self._begun:
            piece: bytes = await anext(self._iterator)
            return piece
        async for piece in self._iterator:
            if self._has_header(octets(piece)):
                break
        self._begun = True
        return self._begin()


class _Pieces(_Completed):
    """Of an iterable."""

    def __iter__(self) -> Iterator[bytes]:
        iterator = iter(self._source)
        for piece in iterator:
            if self._has_header(octets(piece)):
                break
        yield self._begin()
        yield from iterator


class _File(_Completed):
    """Of a file that can be read once."""

    _begun = False

    def read(self, size: int) -> bytes:
        if self._begun:
            piece: bytes = self._source.read(size)
            return piece
        self._look(size)
        self._begun = True
        return self._begin()


class _SeekableFile(_Completed):
    """Of a file that can go back. Positions are counted from where it was, with the fields before it."""

    def __init__(self, source: Any, sender: str) -> None:
        super().__init__(source, sender)
        self._start: int = source.tell()
        self._position = 0
        self._added: bytes | None = None

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        self._position = position
        self._source.seek(self._start + max(0, position - len(self._added or b"")))

    def read(self, size: int) -> bytes:
        if self._added is None:
            self._look(HEADER_LIMIT)
            self._added = added_to_octets(bytes(self._beginning), self._sender)
            self._beginning.clear()
            self.seek(self._position)
        if self._position < len(self._added):
            piece = self._added[self._position : self._position + size]
        else:
            piece = octets(self._source.read(size))
        self._position += len(piece)
        return piece
