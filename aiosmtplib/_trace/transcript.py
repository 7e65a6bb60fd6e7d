"""What was said on a connection: the end of it, kept for errors and shown in logs. No secrets, no content.

The session keeps each step as an *entry*: what was written, and the replies to it. It is made so that there
is nothing to hide in it. Of AUTH there is the name of the mechanism, of what answers a challenge nothing, of
the replies to either the code, and of message content the number of octets. Text is made of entries when
somebody asks for it.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Final, overload

from ..response import SMTPResponse
from .redaction import KEPT, Entry

#: The longest line that is shown, in characters. None of SMTP's is much longer (RFC 5321 section 4.5.3.1.5).
MAX_LINE: Final = 200

#: So many lines of one reply are shown.
_MAX_LINES: Final = 32


# -- text --------------------------------------------------------------------------------------------


def shown(text: str) -> str:
    """Text from elsewhere, fit for one line of a log: control characters spelled out, and not too long."""
    if len(text) > MAX_LINE:
        text = text[: MAX_LINE - 1] + "\N{HORIZONTAL ELLIPSIS}"
    if text.isprintable():
        return text
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return text if len(text) <= MAX_LINE else text[: MAX_LINE - 1] + "\N{HORIZONTAL ELLIPSIS}"


def command_line(line: bytes | int) -> str:
    """A line of a transcript: what the client said."""
    if isinstance(line, int):
        return f"C: <{line} octets>"
    return shown(f"C: {line[: MAX_LINE * 4].decode('utf-8', 'backslashreplace').rstrip()}")


def reply_lines(reply: SMTPResponse) -> Iterator[str]:
    """Lines of a transcript: what the server said."""
    code, message = reply
    if code < 0:
        yield shown(f"S: <no reply> {message}")
        return
    # Not splitlines(): what else it takes for a line end is to be seen.
    *first, last = message.split("\n")
    for line in islice(first, _MAX_LINES - 1):
        yield shown(f"S: {code}-{line}")
    if len(first) >= _MAX_LINES:
        yield f"S: <{len(first) - _MAX_LINES + 1} more lines>"
    yield shown(f"S: {code} {last}")


def _commands_with_replies(entry: Entry) -> Iterator[list[str]]:
    said, replies = entry
    lines: list[bytes | int]
    if isinstance(said, tuple):
        lines = [*said[0].splitlines()[-len(replies) :]]
    else:
        lines = [said] if isinstance(said, int) else [*said.splitlines()]
    count = max(len(lines) - 1, 0)
    for line, reply in zip(lines[:count], [*replies[:count], *[None] * count], strict=False):
        yield [command_line(line), *(reply_lines(reply) if reply is not None else ())]
    texts = [command_line(line) for line in lines[count:]]
    for reply in replies[count:]:  # with LMTP several to one message
        texts += reply_lines(reply)
    yield texts


class Transcript(Sequence[str]):
    """What was said on a connection before something failed: a sequence of lines that cannot be changed.

    A line starts with ``"C: "`` or ``"S: "``, for client and server. Each command is followed by the reply to
    it, also where several were sent together. ``str()`` of the whole has a line for each.

    Addresses are in it. Message content is there as its number of octets. Of AUTH there is the name of the
    mechanism, of what answers a challenge nothing, and of the replies to both the code alone.

    The last 32 commands are there, with at most 200 characters of each line.
    """

    __slots__ = ("_entries", "_lines")

    def __init__(self, entries: Iterable[Entry] = (), lines: Iterable[str] | None = None) -> None:
        self._entries = tuple(entries)
        self._lines = None if lines is None else tuple(lines)

    def _text(self) -> tuple[str, ...]:
        if self._lines is None:
            exchanges = [each for entry in self._entries for each in _commands_with_replies(entry)]
            self._lines = tuple(line for each in exchanges[-KEPT:] for line in each)
            self._entries = ()
        return self._lines

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...

    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        return self._text()[index]

    def __len__(self) -> int:
        return len(self._text())

    def __eq__(self, other: object) -> bool:
        return self._text() == other._text() if isinstance(other, Transcript) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text())

    def __str__(self) -> str:
        return "\n".join(self._text())

    def __repr__(self) -> str:
        return f"<Transcript of {len(self)} lines>"

    def __reduce__(self) -> tuple[Any, ...]:
        return Transcript, ((), self._text())


#: That of an error that has nothing to do with a connection, or with one on which nothing was said.
EMPTY_TRANSCRIPT: Final = Transcript()
