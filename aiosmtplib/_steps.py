"""What a dialogue says to the session that runs it, a step at a time. The theory is in ``_session.py``."""

from collections.abc import Generator
from typing import Final, TypeAlias, TypeVar

from .response import SMTPResponse

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
