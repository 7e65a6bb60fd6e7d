"""Where messages come from: files, directories, maildirs, mboxes and standard input, read in pieces."""

from __future__ import annotations

import base64
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, NamedTuple

from .._codec import DataEncoder
from .console import Console, UsageError

__all__ = ("Base64", "Joined", "Part", "Source", "find_sources")

#: How much is read at a time, in octets.
CHUNK = 1 << 18

#: The line before a message in an mbox (RFC 4155).
MBOX = b"From "


class Part:
    """A part of a file, read from its beginning. The file is opened for each read: none is left open.

    :param path: the path of the file, or the file itself
    :param start: where the part begins, in octets
    :param end: where it ends, or ``None`` for the end of the file
    """

    def __init__(self, path: str | IO[bytes], start: int = 0, end: int | None = None) -> None:
        self.path = path
        self.start = start
        self.end = end
        self._at = start

    def __len__(self) -> int:
        """The number of octets."""
        if self.end is not None:
            return self.end - self.start
        return max(
            0, os.stat(self.path if isinstance(self.path, str) else self.path.fileno()).st_size - self.start
        )

    def after(self, offset: int) -> Part:
        """The part from this offset on."""
        return Part(self.path, self.start + offset, self.end)

    def read(self, size: int) -> bytes:
        if self.end is not None:
            size = min(size, self.end - self._at)
        if isinstance(self.path, str):
            with open(self.path, "rb") as file:
                return self._read(file, size)
        return self._read(self.path, size)

    def _read(self, file: IO[bytes], size: int) -> bytes:
        file.seek(self._at)
        data = file.read(size)
        self._at += len(data)
        return data

    def rewind(self) -> None:
        self._at = self.start

    def close(self) -> None:
        """Close the file, if it was handed over: nothing is read any more."""
        if not isinstance(self.path, str):
            self.path.close()

    def __iter__(self) -> Iterator[bytes]:
        """The octets in pieces, from the beginning."""
        self.rewind()
        try:
            while data := self.read(CHUNK):
                yield data
        finally:
            self.rewind()


class Octets:
    """Octets at hand, read like a :class:`Part`."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def __len__(self) -> int:
        return len(self._octets)

    def read(self, size: int) -> bytes:
        data = self._octets[self._at : self._at + size]
        self._at += len(data)
        return data

    def rewind(self) -> None:
        self._at = 0


class Base64:
    """A part in base64 (RFC 2045 section 6.8).

    :param text: whether it is text, whose lines end in CRLF there (section 6.8)
    """

    def __init__(self, part: Part, *, text: bool = False, skip: int = 0) -> None:
        self._part = part.after(skip)
        self._text = text
        self.rewind()

    def rewind(self) -> None:
        self._part.rewind()
        self._encoder = DataEncoder(dots=False) if self._text else None
        self._rest = b""
        self._ready = b""
        self._ended = False

    def __len__(self) -> int:
        """The number of characters, but for what line ends of text become."""
        return -(-len(self._part) // 57) * 78

    def read(self, size: int) -> bytes:
        while not self._ready and not self._ended:
            data = self._part.read(CHUNK)
            self._ended = not data
            plain = self._rest + (self._encoder.encode(data) if self._encoder else data)
            whole = len(plain) if self._ended else len(plain) - len(plain) % 57  # 76 characters a line
            self._rest = plain[whole:]
            self._ready = base64.encodebytes(plain[:whole])
        data, self._ready = self._ready[:size], self._ready[size:]
        return data


class Joined:
    """Content in several parts, as a binary file that can be read, and read again."""

    def __init__(self, parts: Sequence[Part | Octets | Base64 | bytes]) -> None:
        self._parts = [Octets(part) if isinstance(part, bytes) else part for part in parts]
        self._index = 0
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        found = []
        wanted = sys.maxsize if size < 0 else size
        while wanted and self._index < len(self._parts):
            if data := self._parts[self._index].read(min(wanted, CHUNK)):
                found.append(data)
                wanted -= len(data)
            else:
                self._index += 1
        octets = b"".join(found)
        self._at += len(octets)
        return octets

    def __len__(self) -> int:
        """The number of octets, about."""
        return sum(map(len, self._parts))

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, position: int) -> int:
        for part in self._parts:
            part.rewind()
        self._index = self._at = 0
        self.read(position)
        return self._at


class Source(NamedTuple):
    """One message that is to be sent.

    :ivar label: what the user calls it
    :ivar part: its octets
    :ivar complete: whether it is a complete message; ``None`` where that is to be seen
    """

    label: str
    part: Part
    complete: bool | None


def find_sources(paths: Sequence[str], complete: bool | None, console: Console) -> list[Source]:
    """The messages in files, directories of ``.eml`` files, maildirs, mboxes, and standard input (``-``).

    :param complete: whether files are complete messages; ``None``: by their names or contents
    :raises UsageError: if one cannot be read or is empty, or there is none
    """
    found: list[Source] = []
    with reading():
        for path in paths:
            found += _of_path(path, complete, console)
    return found


@contextmanager
def reading() -> Iterator[None]:
    """While files are read, an error is one that the user can correct."""
    try:
        yield
    except OSError as exc:
        raise UsageError(f"Cannot read {exc.filename}: {exc.strerror}") from exc


def _of_path(path: str, complete: bool | None, console: Console) -> list[Source]:
    if path == "-":
        return [_standard_input(complete, console)]
    if os.path.isdir(path):
        return [Source(each, _readable(each), True) for each in _in_directory(path)]
    kind = complete
    if kind is None and path.lower().endswith((".eml", ".txt")):
        kind = path.lower().endswith(".eml")
    part = _readable(path)
    if kind is None and part.read(len(MBOX)) == MBOX:
        return [Source(f"{path}#{number}", each, True) for number, each in enumerate(_in_mbox(path), 1)]
    part.rewind()
    return [Source(path, part, kind)]


def _readable(path: str) -> Part:
    with open(path, "rb") as file:
        if not file.read(CHUNK).strip():
            raise UsageError(f"{path}: the message is empty.")
    return Part(path)


def _standard_input(complete: bool | None, console: Console) -> Source:
    if sys.stdin.isatty():
        console.note("Type the message, end with ^D:")
    kept = tempfile.SpooledTemporaryFile(max_size=4 * CHUNK)  # noqa: SIM115 - until the process ends
    while True:
        kept.write(data := sys.stdin.buffer.read(CHUNK))
        if len(data) < CHUNK:  # on a terminal, one more would wait for one more ^D
            break
    size = kept.tell()
    kept.seek(0)
    if not kept.read(CHUNK).strip():
        kept.close()
        raise UsageError("The message is empty.")
    return Source("-", Part(kept, 0, size), complete)


def _in_directory(path: str) -> list[str]:
    maildir = [os.path.join(path, name) for name in ("new", "cur")]
    if all(map(os.path.isdir, maildir)):
        names = [os.path.join(each, name) for each in maildir for name in sorted(os.listdir(each))]
    else:
        names = [
            os.path.join(path, name) for name in sorted(os.listdir(path)) if name.lower().endswith(".eml")
        ]
    files = [name for name in names if os.path.isfile(name) and not os.path.basename(name).startswith(".")]
    if not files:
        raise UsageError(f"{path} has no messages: it is neither a maildir nor has it .eml files.")
    return files


def _in_mbox(path: str) -> Iterator[Part]:
    """The messages of an mbox: each begins after a line ``From …``, the first one or after an empty one."""
    start = at = 0
    after_empty = True
    with open(path, "rb") as file:
        for line in iter(lambda: file.readline(CHUNK), b""):
            if after_empty and line.startswith(MBOX):
                if start:
                    yield Part(path, start, at)
                start = at + len(line)
            at += len(line)
            after_empty = not line.strip(b"\r\n")
    yield Part(path, start, at)


def first_octets(part: Part, size: int) -> bytes:
    """The beginning of a part."""
    part.rewind()
    found = io.BytesIO()
    while found.tell() < size and (data := part.read(size - found.tell())):
        found.write(data)
    part.rewind()
    return found.getvalue()


#: The end of a header: a line end, and an empty line.
HEADER_END = re.compile(rb"(\r\n|\r(?!\n)|\n)(?:\r\n|\r(?!\n)|\n)")
