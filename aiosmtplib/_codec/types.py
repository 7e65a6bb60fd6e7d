"""The steps of a dialogue: what it has the session write, and how many replies follow."""

from collections.abc import Generator
from typing import Final, Protocol, TypeAlias, TypeVar

from ..response import SMTPResponse

T = TypeVar("T")

#: Several pieces are written one after the other, and not copied together first where they are large.
Data: TypeAlias = bytes | tuple[bytes, ...]
Step: TypeAlias = tuple[Data, int, int]
Dialogue: TypeAlias = Generator[Step, list[SMTPResponse], T]

#: Content that is ready to go as it is, and has so many bytes, is not copied for the sake of its last line.
NOT_COPIED: Final = 1 << 18

#: A group holds at most this many recipients, which bounds the commands that the server has not answered.
MAX_GROUP: Final = 1000

#: What may follow a step: other steps; nothing, whatever the replies are; or content that comes in pieces
#: (:meth:`Session.push`), answered once at its end (DATA) or each by a reply of its own (BDAT).
MORE: Final = 0
LAST: Final = 1
STREAM: Final = 2
CHUNKS: Final = 3

#: To yield where the connection must be closed. The loss is thrown in at that place.
HANG_UP: Final[Step] = (b"", -1, MORE)


class SessionObserver(Protocol):
    """Is told by the session what is said, while it is said: it must not raise, nor use the session."""

    def said(self, said: bytes | int | list[bytes] | None, size: int, expected: int, secret: bool) -> None:
        """Something is about to be written, or replies are waited for.

        :param said: command lines, without what must not be seen; or that it is so many octets
        :param size: how many octets it has, with those that must not be seen
        :param expected: how many replies there will be
        """

    def pushed(self, header: bytes, size: int, replies: int, last: bool) -> None:
        """A piece of streamed content is about to be written.

        :param header: its command line, where it is a chunk with a reply of its own, else nothing
        """

    def heard(self, replies: list[SMTPResponse]) -> None:
        """These came, in the order of what they reply to."""

    def unasked(self, reply: SMTPResponse, secret: bool) -> None:
        """This came, and nothing is known that it could reply to."""

    def broken(self, unwritten: int) -> None:
        """Nothing more will come, and so many octets of what was to be written have not been."""
