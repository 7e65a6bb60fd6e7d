"""Message content for DATA and BDAT in pure Python: line ends and dots (RFC 5321 section 4.5.2)."""

from __future__ import annotations

from typing import final

from ..types import NOT_COPIED, Data

_Buffer = bytes | bytearray | memoryview


def _as_bytes(data: object) -> bytes:
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    raise TypeError(f"expected bytes, got {type(data).__name__}")


def _is_normal(message: bytes) -> bool:
    """Whether every line end is CRLF."""
    if len(message) >= NOT_COPIED:
        return message.count(b"\r\n") == message.count(b"\r") == message.count(b"\n")
    # Of little there may be copies: replacing a single byte is several times faster than looking for a pair.
    return message.replace(b"\r", b"").replace(b"\n", b"\r\n") == message


def normalize_newlines(message: _Buffer) -> bytes:
    """Make every line end CRLF: lone CR, lone LF and CRLF each become one (RFC 5321 section 2.3.8).

    This is the form that BDAT sends (RFC 3030 section 2). Bytes that are in it already are returned
    as the same object.

    :raises TypeError: if ``message`` is not bytes
    """
    if not isinstance(message, bytes):
        message = _as_bytes(message)
    if b"\r" in message:
        if _is_normal(message):
            return message
        message = message.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    elif b"\n" not in message:
        return message
    return message.replace(b"\n", b"\r\n")


def _stuff(message: bytes, at_line_start: bool) -> bytes:
    # The last dot of a message is often in its header, before much base64.
    if message.find(b"\r\n.", 0, message.rfind(b".") + 1) >= 0:
        message = message.replace(b"\r\n.", b"\r\n..")
    if at_line_start and message.startswith(b"."):
        message = b"." + message
    return message


def encode_data(message: _Buffer) -> bytes:
    """Encode a message for DATA (RFC 5321 section 4.5.2).

    Every line end becomes CRLF, a dot is put before each line that starts with one, and the message
    ends with CRLF, dot, CRLF. That sequence occurs nowhere else in the result.

    :raises TypeError: if ``message`` is not bytes
    """
    message = _stuff(normalize_newlines(message), True)
    return message + (b".\r\n" if message.endswith(b"\r\n") else b"\r\n.\r\n")


def encode_message(message: _Buffer) -> tuple[Data, int]:
    """Encode a message for DATA, and count its octets as SIZE does (RFC 1870 section 3).

    :return: what :func:`encode_data` returns, in two pieces where a large message need not be copied again;
        and its length with CRLF line ends, the last line's included, without stuffed dots and the final dot
    :raises TypeError: if ``message`` is not bytes
    """
    if not isinstance(message, bytes):
        message = _as_bytes(message)
    wire = normalize_newlines(message)
    ended = wire.endswith(b"\r\n")
    tail = b".\r\n" if ended else b"\r\n.\r\n"
    size = len(wire) if ended else len(wire) + 2
    wire = _stuff(wire, True)
    if len(wire) >= NOT_COPIED:
        return (wire, tail), size
    return wire + tail, size


@final
class DataEncoder:
    """Incremental encoder of content: :func:`encode_data`; without ``dots``, :func:`normalize_newlines`.

    Wherever the message is cut, the pieces of the result add up to the same. No byte is held back.
    """

    __slots__ = ("_dots", "_finished", "_last")

    def __init__(self, dots: bool = True) -> None:
        self._dots = bool(dots)
        self._last = (
            b""  # the last byte taken: it says whether a line starts, and whether an LF is half a CRLF
        )
        self._finished = False

    def encode(self, chunk: _Buffer) -> bytes:
        """Encode the next piece.

        :raises ValueError: after :meth:`finish`
        :raises TypeError: if ``chunk`` is not bytes
        """
        if self._finished:
            raise ValueError("the message is finished")
        if not isinstance(chunk, bytes):
            chunk = _as_bytes(chunk)
        last = self._last
        if last == b"\r" and chunk.startswith(b"\n"):
            self._last = last = b"\n"
            chunk = chunk[1:]
        if not chunk:
            return b""
        self._last = chunk[-1:]
        chunk = normalize_newlines(chunk)
        return _stuff(chunk, last in b"\r\n") if self._dots else chunk

    def finish(self) -> bytes:
        """End the message: the last CRLF where it is missing, and the final dot; without ``dots``, nothing.

        :raises ValueError: if called again
        """
        if self._finished:
            raise ValueError("the message is finished")
        self._finished = True
        if not self._dots:
            return b""
        return b".\r\n" if self._last and self._last in b"\r\n" else b"\r\n.\r\n"
