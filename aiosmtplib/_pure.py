"""The codec in plain Python: the twin that runs where the compiled one cannot.

It has the names, signatures, results and exceptions of ``aiosmtplib._speedups``. Only
``aiosmtplib._codec`` imports it. What is done once per message goes through the byte methods of
:class:`bytes`, which run in C, rather than through regular expressions.
"""

import re
from collections.abc import Iterable
from operator import index
from typing import final

from ._steps import NOT_COPIED, Data
from .response import SMTPResponse

__all__ = (
    "DataEncoder",
    "ReplyParser",
    "encode_command",
    "encode_data",
    "encode_message",
    "encode_recipients",
    "normalize_newlines",
    "pick_fields",
    "plain_address",
    "plain_addresses",
)

_Buffer = bytes | bytearray | memoryview

_CONTROLS = bytes(range(0x20)) + b"\x7f"
_ECHOED = 200

# RFC 5322 section 3.2.3 (dot-atom-text) and RFC 5321 section 4.1.2 (Domain). The display name takes only
# what every version of email.utils reads as a phrase.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_ADDRESS = rf"({_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*)"
_match_bare = re.compile(rf"{_ADDRESS}\Z").match
_match_named = re.compile(rf"[A-Za-z0-9 _.'-]*<{_ADDRESS}>\Z").match


def _as_bytes(data: object) -> bytes:
    if isinstance(data, bytes | bytearray | memoryview):
        return bytes(data)
    raise TypeError(f"expected bytes, got {type(data).__name__}")


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
        """Take what was received, return the replies that it completes.

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
                or (separator not in (b" ", b"-") and line[3:] not in (b"\r\n", b"\n"))
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
            reply = tuple.__new__(SMTPResponse, (int(code), text.decode("utf-8", "surrogateescape")))
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
    """What a log may show of a line that a server made up."""
    line = line[:-2] if line.endswith(b"\r\n") else line[:-1]
    return "".join(chr(c) if 0x20 <= c < 0x7F else f"\\x{c:02x}" for c in line[:_ECHOED])


def encode_command(*args: bytes) -> bytes:
    """Join a verb and its arguments by blanks and end the line (RFC 5321 section 4.1.1).

    :raises ValueError: for a control character, which could end the line early and start another
        command; the text does not repeat the argument, which may be a secret. Also without arguments.
    :raises TypeError: if an argument is not bytes
    """
    if not args:
        raise ValueError("an SMTP command needs a verb")
    for arg in args:
        if not isinstance(arg, bytes):
            raise TypeError(f"expected bytes, got {type(arg).__name__}")
    line = b" ".join(args)
    if len(line.translate(None, _CONTROLS)) != len(line):
        raise ValueError("an SMTP command must not contain control characters")
    return line + b"\r\n"


def normalize_newlines(message: _Buffer) -> bytes:
    """Make every line end CRLF: lone CR, lone LF and CRLF each become one (RFC 5321 section 2.3.8).

    This is the form that BDAT sends (RFC 3030 section 2). Bytes that are in it already are returned
    as the same object.

    :raises TypeError: if ``message`` is not bytes
    """
    if not isinstance(message, bytes):
        message = _as_bytes(message)
    if b"\r" in message:
        # Replacing a single byte is several times faster than looking for a pair.
        if message.replace(b"\r", b"").replace(b"\n", b"\r\n") == message:
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

    :return: what :func:`encode_data` returns, in two pieces where a large message need not be copied; and
        its length with CRLF line ends, the last line's included, without stuffed dots and the final dot
    :raises TypeError: if ``message`` is not bytes
    """
    if not isinstance(message, bytes):
        message = _as_bytes(message)
    normal = normalize_newlines(message)
    ended = normal.endswith(b"\r\n")
    wire = _stuff(normal, True)
    tail = b".\r\n" if ended else b"\r\n.\r\n"
    size = len(normal) if ended else len(normal) + 2
    if wire is message and len(wire) >= NOT_COPIED:
        return (wire, tail), size
    return wire + tail, size


@final
class DataEncoder:
    """:func:`encode_data` for a message that comes in pieces; without ``dots``, :func:`normalize_newlines`.

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


def plain_address(value: str) -> str | None:
    """The address of a plain ``local@domain`` or ``Name <local@domain>``.

    :return: what ``email.utils.parseaddr(value)[1]`` would be, or None where that has to be asked
    :raises TypeError: if ``value`` is not a string
    """
    if not isinstance(value, str):
        raise TypeError(f"expected str, got {type(value).__name__}")
    match = _match_bare(value) or _match_named(value)
    return match[1] if match else None


def plain_addresses(value: str) -> list[str] | None:
    """The addresses of a list of plain ones (RFC 5322 section 3.4), in their order.

    :return: None where one is not as :func:`plain_address` takes it, or the list is not as it should be
    :raises TypeError: if ``value`` is not a string
    """
    if not isinstance(value, str):
        raise TypeError(f"expected str, got {type(value).__name__}")
    found = []
    for part in str.split(value, ","):
        address = plain_address(part.strip(" \t\r\n"))
        if address is None:
            return None
        found.append(address)
    return found


def pick_fields(headers: Iterable[tuple[str, object]], names: tuple[str, ...]) -> list[list[object]]:
    """The values of header fields, a list for each name, in their order.

    :param names: in lower case, ASCII, each once; the case in ``headers`` does not matter (RFC 5322 section
        1.2.2)
    :raises TypeError: if ``names`` are not a tuple of ``str``, or ``headers`` not of pairs
    """
    found: dict[str, list[object]] = {name: [] for name in names}
    for name, value in headers:
        if name.isascii() and (lower := name.lower()) in found:
            found[lower].append(value)
    return [found[name] for name in names]


def encode_recipients(recipients: Iterable[str], tail: bytes) -> bytes | None:
    """The RCPT command lines for plain addresses (RFC 5321 section 4.1.1.3), one after the other.

    :param tail: the parameters of each, with a blank before them
    :return: None where one is not a plain ``local@domain`` and has to be looked at more closely
    :raises TypeError: if ``tail`` is not bytes
    """
    if not isinstance(tail, bytes):
        raise TypeError(f"expected bytes, got {type(tail).__name__}")
    addresses = list(recipients)
    for address in addresses:
        if type(address) is not str or _match_bare(address) is None:
            return None
    end = b">" + tail + b"\r\n"
    if not addresses:
        return b""
    return b"RCPT TO:<" + (end + b"RCPT TO:<").join([a.encode() for a in addresses]) + end
