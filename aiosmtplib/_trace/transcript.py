"""The transcript of a connection: the last commands and replies as text, for errors and for the log.

The session keeps each step of a dialogue as an :data:`Entry`: the commands that it wrote, and the replies to
them. :mod:`aiosmtplib._trace.redaction` has removed credentials and message content before an entry is kept.
Entries become text when a transcript is read, so that a dialogue without errors does not pay for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias, overload

from ..response import SMTPResponse

#: One step of a dialogue: the command lines, or the number of octets of content, that it wrote; and the
#: replies to them. Command lines in a tuple may be more than the replies, which are those to the last lines.
Entry: TypeAlias = tuple[bytes | int | tuple[bytes], tuple[SMTPResponse, ...]]

#: The number of commands in a transcript, and of entries that a session keeps for it: the last ones.
KEPT: Final = 32

#: The longest line of a transcript or of the log, in characters. Few lines of SMTP are longer, although a
#: reply line may have 512 octets (RFC 5321 section 4.5.3.1.5).
MAX_LINE: Final = 200

#: Ends a line that was cut.
ELLIPSIS: Final = "\N{HORIZONTAL ELLIPSIS}"

#: The number of lines of one reply that are shown.
_MAX_LINES: Final = 32


# -- text --------------------------------------------------------------------------------------------


def shown(text: str) -> str:
    """Text from a peer as one printable line of at most :data:`MAX_LINE` characters.

    Control characters and other characters that cannot be printed are written as escape sequences.
    """
    if len(text) > MAX_LINE:
        text = text[: MAX_LINE - 1] + ELLIPSIS
    if text.isprintable():
        return text
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return text if len(text) <= MAX_LINE else text[: MAX_LINE - 1] + ELLIPSIS


def command_line(line: bytes | int) -> str:
    """A line of the client: a command, or the number of octets of message content."""
    if isinstance(line, int):
        return f"C: <{line} octets>"
    return shown(f"C: {line[: MAX_LINE * 4].decode('utf-8', 'backslashreplace').rstrip()}")


def reply_lines(reply: SMTPResponse) -> Iterator[str]:
    """The lines of one reply of the server, at most 32 of them and a line with the number of the others."""
    code, message = reply
    if code < 0:
        yield shown(f"S: <no reply> {message}")
        return
    # Not splitlines(): other characters that it takes for a line end are to be seen.
    *first, last = message.split("\n")
    yield from _limited([f"{code}-{line}" for line in first[:_MAX_LINES]], len(first))
    yield shown(f"S: {code} {last}")


def incomplete_reply_lines(reply: bytes) -> Iterator[str]:
    """The lines of a reply of which the end has not come.

    :param reply: the octets that came, at least one
    """
    lines = reply.decode("utf-8", "backslashreplace").split("\n")
    if not lines[-1]:
        del lines[-1]
    yield from _limited([f"<incomplete reply> {line.rstrip()}" for line in lines], len(lines))


def _limited(lines: Sequence[str], count: int) -> Iterator[str]:
    for line in lines[: _MAX_LINES - 1]:
        yield shown(f"S: {line}")
    if count >= _MAX_LINES:
        yield f"S: <{count - _MAX_LINES + 1} more lines>"


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
    """The commands and replies on a connection before an error: an immutable sequence of lines.

    A line starts with ``"C: "`` (client) or ``"S: "`` (server). Each command is followed by the reply to it,
    also where several commands were sent together (RFC 2920). ``str()`` joins the lines with ``"\\n"``.

    It contains addresses. It does not contain message content, but its number of octets; of AUTH (RFC 4954)
    it contains the name of the mechanism and the codes of the replies, and nothing of initial responses,
    challenges and responses.

    It has the last 32 commands, and at most 200 characters of each line.

    :param entries: the commands with their replies, of which the lines are made when they are read
    :param lines: the lines, where they are made already
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


#: The transcript of an error that belongs to no connection, or to one without any command or reply.
EMPTY_TRANSCRIPT: Final = Transcript()
