"""The session: bytes in, bytes out, and every reply paired with the command it answers.

A **dialogue** is a generator. It yields ``(bytes to write, replies expected, what may follow)`` and is sent
the list of those replies when all of them are there. What it returns is its result, what it raises its
error. A lost connection is thrown into it where it waits, with the replies that came as ``error.replies``,
so that it can say how far the mail had come.

    dialogue             session                            server
    yield MAIL…DATA, 3 ─▶ three replies expected ──────────▶ MAIL FROM:<…> RCPT TO:<…> DATA
    replies = […]      ◀─ receive() paired them ◀─────────── 250 Ok 250 Ok 354 Go on

A dialogue that has written all it ever will says so (``LAST``). The next one may then start before the
replies are there: that is pipelining (RFC 2920). Replies go to the dialogues in the order of their start.

Rules keep replies and commands in step. A reply to what has not been written, or that nobody asked for, is
never matched to a later command: it ends the session (the greeting, which nobody has to ask for, is kept).
A positive reply to content of which only a part has been written is a lie and ends it too. So does a 421.

There is no loop, socket or clock in here; :mod:`aiosmtplib.protocol` supplies them.
"""

from .._codec import Exchange, Session
from .._codec.types import CHUNKS, HANG_UP, LAST, MORE, STREAM, Data, Dialogue, Step

__all__ = (
    "CHUNKS",
    "HANG_UP",
    "LAST",
    "MORE",
    "STREAM",
    "Data",
    "Dialogue",
    "Exchange",
    "Session",
    "Step",
)
