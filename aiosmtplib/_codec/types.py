"""Types of the session: steps of a dialogue (octets to write, replies expected, what may follow)."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final, Protocol, TypeAlias, TypeVar

from ..response import SMTPResponse

T = TypeVar("T")

#: Octets to write. The pieces of a tuple are written one after the other, large ones without a copy.
Data: TypeAlias = bytes | tuple[bytes, ...]
Step: TypeAlias = tuple[Data, int, int]
Dialogue: TypeAlias = Generator[Step, list[SMTPResponse], T]

#: Size in octets from which content that needs no change is not copied to add its last line.
NOT_COPIED: Final = 1 << 18

#: Content of fewer octets is joined with the commands before it, for one write; a copy of more costs more.
MAX_JOINED_CONTENT: Final = 1 << 16

#: Larger content goes to the transport in pieces of this size (octets), so that a slow server is noticed
#: between two pieces and memory is not taken twice.
WRITE_SIZE: Final = 1 << 18
#: Pieces of output that are smaller than this (octets, in all) are copied into one write.
MAX_JOINED: Final = 1 << 14

#: Of content that is larger than this (octets), the progress is looked for.
WATCHED_SIZE: Final = 1 << 14

#: What one read takes at most, in octets. Replies are short.
READ_SIZE: Final = 1 << 13

#: Most recipients in a group, which bounds the commands without a reply (RFC 2920 section 3.1).
MAX_GROUP: Final = 1000

#: What may follow a step: other steps; nothing, whatever the replies are; or content that comes in pieces
#: (:meth:`Session.push`), answered once at its end (DATA) or each by a reply of its own (BDAT).
MORE: Final = 0
LAST: Final = 1
STREAM: Final = 2
CHUNKS: Final = 3
#: The end of the content, as LAST, but behind the commands of the message, so that only the last reply is the
#: final one; or where other steps may follow.
GROUP: Final = -1
ENDED: Final = -2

#: Steps with the end of the content, where the server may take its time for the final reply.
FINAL: Final = (LAST, GROUP, ENDED)
#: Steps behind which another message may begin (RFC 2920 section 3.1).
OVERLAPPING: Final = (LAST, GROUP)

#: Step that closes the connection. The error is thrown into the dialogue at that place.
HANG_UP: Final[Step] = (b"", -1, MORE)


class SessionObserver(Protocol):
    """Observer of what a session sends and receives. It must not raise, nor use the session."""

    def said(self, said: bytes | int | list[bytes] | None, size: int, expected: int, secret: bool) -> None:
        """A step starts: octets are about to be written, or replies are waited for.

        :param said: command lines, without what must not be seen; or that it is so many octets
        :param size: how many octets it has, with those that must not be seen
        :param expected: how many replies there will be
        """

    def pushed(self, header: bytes, size: int, replies: int, last: bool) -> None:
        """A piece of streamed content is about to be written.

        :param header: its command line, where it is a chunk with a reply of its own, else nothing
        """

    def heard(self, replies: list[SMTPResponse]) -> None:
        """Replies to the steps before, in their order."""

    def unasked(self, reply: SMTPResponse, secret: bool) -> None:
        """A reply that matches no command."""

    def broken(self, unwritten: int) -> None:
        """The session is over, with so many octets not written."""
