"""The input of a target, read as decisions first and as content after that.

Decisions come from single bytes, so that a mutation of one byte changes one decision. An input that is used
up goes on as zeros: every input means something.
"""

from collections.abc import Callable, Sequence
from ctypes import string_at
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")

#: Lengths of chunks, for the random cuts: drawn once, because making a generator costs more than using it.
_LENGTHS = [Random(seed).choices((0, 1, 2, 3, 7, 15, 16, 17, 33, 70), k=64) for seed in range(256)]


class Difference(AssertionError):
    """Two that must agree do not."""


class Source:
    """Bytes, as decisions."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def more(self) -> bool:
        return self._at < len(self._data)

    def byte(self) -> int:
        at = self._at
        self._at = at + 1
        return self._data[at] if at < len(self._data) else 0

    def below(self, limit: int) -> int:
        return self.byte() % limit

    def flag(self) -> bool:
        return self.byte() & 1 == 1

    def pick(self, choices: Sequence[T]) -> T:
        return choices[self.byte() % len(choices)]

    def take(self, size: int) -> bytes:
        data = self._data[self._at : self._at + size]
        self._at += size
        return data

    def rest(self) -> bytes:
        data = self._data[self._at :]
        self._at = len(self._data)
        return data

    def cutter(self) -> Callable[[bytes], list[bytes]]:
        """How a stream arrives: whole, byte by byte, in two, or in odd lengths; empty chunks among them."""
        how, where = self.below(4), self.byte()
        if how == 0:
            return lambda data: [data]
        if how == 1:
            return lambda data: [data[i : i + 1] for i in range(len(data))]
        if how == 2:
            return lambda data: [data[:where], data[where:]]
        return lambda data: _cut(data, _LENGTHS[where])


def _cut(data: bytes, lengths: list[int]) -> list[bytes]:
    chunks = []
    at = i = 0
    while at < len(data):
        size = lengths[i % 64] + (i >= 64)  # a row of zeros would never end
        chunks.append(data[at : at + size])
        at += size
        i += 1
    return chunks


def outcome(call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What a call returns, or the type and text of what it raises."""
    try:
        return call(*args, **options)
    except Exception as error:
        return type(error), str(error)


def sealed(data: object) -> None:
    """Whether the NUL that ends each bytes object of CPython is there: nobody else sees one written over."""
    if isinstance(data, bytes) and string_at(id(data) + bytes.__basicsize__ - 1 + len(data), 1) != b"\0":
        raise Difference(f"written beyond the end: {data!r}")


def same(what: str, first: Any, second: Any) -> None:
    if first != second or type(first) is not type(second):
        raise Difference(f"{what}:\n  {first!r}\n  {second!r}")
