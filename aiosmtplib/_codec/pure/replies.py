"""Parser of replies in pure Python (RFC 5321 section 4.2)."""

from __future__ import annotations

from operator import index
from typing import final

from ..._trace.redaction import without_auth
from ...response import SMTPResponse
from .content import _as_bytes, _Buffer

_ECHOED = 200
#: What no third digit of a code is followed by: a digit or a control character. RFC 5321 section 4.2 has a
#: blank there, "-" or the line end; some servers have nothing, a colon or a tab.
_NO_SEPARATOR = frozenset(b"0123456789\x7f" + bytes(range(0x20))) - {0x09}


@final
class ReplyParser:
    """Incremental reader of SMTP replies (RFC 5321 section 4.2).

    Bad input never raises. It ends the list of replies with one of code -1; after that the parser
    drops all it is given, since nothing behind a broken line can be matched to a command.
    """

    __slots__ = ("_code", "_partial", "_poisoned", "_size", "_texts")

    def __init__(self) -> None:
        self._partial = bytearray()  # the line whose end has not arrived
        self._texts: list[bytes] = []  # the texts of the finished lines of an unfinished reply
        self._code = b""
        self._size = 0  # octets in those finished lines
        self._poisoned = False

    @property
    def pending(self) -> bool:
        """True while any byte of an incomplete line or reply is held."""
        return bool(self._partial or self._size)

    def feed(self, data: _Buffer, max_line: int, max_reply: int) -> list[SMTPResponse]:
        """Parse received octets, and return the replies that they complete.

        :param max_line: longest line, in octets with its line end
        :param max_reply: longest reply, in octets with all its line ends
        :raises TypeError: if ``data`` is not bytes, or a limit is no integer
        """
        max_line = index(max_line)
        max_reply = index(max_reply)
        if not isinstance(data, bytes):
            data = _as_bytes(data)
        replies: list[SMTPResponse] = []
        if self._poisoned:
            return replies
        partial = self._partial
        texts = self._texts
        start = 0
        while end := data.find(b"\n", start) + 1:
            size = len(partial) + end - start
            self._size += size
            if size > max_line or self._size > max_reply:
                self._poison(replies, "Response too long")
                return replies
            line = data[start:end]
            start = end
            if partial:
                line = bytes(partial) + line
                partial.clear()
            code = line[:3]
            separator = line[3:4]
            if (
                not code.isdigit()
                or (line[3] in _NO_SEPARATOR and line[3:] not in (b"\r\n", b"\n"))
                or (texts and code != self._code)
            ):
                self._poison(replies, f"Malformed SMTP response line: {_echo(line)}")
                return replies
            text = line[4:].strip()  # of the line end, too
            if separator == b"-":
                self._code = code
                texts.append(text)
                continue
            if texts:
                texts.append(text)
                text = b"\n".join(texts)
                texts.clear()
            self._size = 0
            # The constructor of a named tuple is Python code; this is not.
            reply = tuple.__new__(SMTPResponse, (int(code), text.decode("utf-8", "backslashreplace")))
            replies.append(reply)
        rest = len(data) - start
        if rest:
            size = len(partial) + rest
            if size > max_line or self._size + size > max_reply:
                self._poison(replies, "Response too long")
            else:
                partial += data[start:]
        return replies

    def _poison(self, replies: list[SMTPResponse], message: str) -> None:
        replies.append(SMTPResponse(-1, message))
        self._partial.clear()
        self._texts.clear()
        self._size = 0
        self._poisoned = True


def _echo(line: bytes) -> str:
    """A malformed line of a server, for an error text: without credentials, and in printable ASCII."""
    line = without_auth(line[:-2] if line.endswith(b"\r\n") else line[:-1])
    return "".join(chr(c) if 0x20 <= c < 0x7F else f"\\x{c:02x}" for c in line[:_ECHOED])
