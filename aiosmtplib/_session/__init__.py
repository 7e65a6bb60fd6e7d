"""The SMTP session without I/O: it turns commands into bytes, and pairs each reply with its command.

A **dialogue** is a generator. It yields ``(bytes to write, replies expected, what may follow)`` and is sent
the list of those replies once all of them have arrived. Its return value is the result of the exchange, its
exception the error. A lost connection is raised at its ``yield``, with the replies that arrived as
``error.replies``, so that the dialogue can tell what became of the message.

    dialogue             session                            server
    yield MAIL…DATA, 3 ─▶ three replies expected ──────────▶ MAIL FROM:<…> RCPT TO:<…> DATA
    replies = […]      ◀─ receive() paired them ◀─────────── 250 Ok 250 Ok 354 Go on

With its last step, a dialogue yields ``LAST`` or ``GROUP``. The next one may then start before the replies
have arrived: this is pipelining (RFC 2920). Replies go to the dialogues in the order of their start.

A reply to no command, or to one that has not been written yet, is never matched to a later command: it ends
the session. (The greeting, which no command asks for, is kept.) A positive reply to content that has been
written in part only ends the session too, as it cannot be true. So does a 421.

This package uses no loop, socket or clock; :mod:`aiosmtplib._transport` does.
"""

from .._codec import Exchange, PreparedMail, ServerState, Session
from .._codec.types import (
    CHUNKS,
    ENDED,
    FINAL,
    GROUP,
    HANG_UP,
    LAST,
    MORE,
    OVERLAPPING,
    STREAM,
    Data,
    Dialogue,
    Step,
)

__all__ = (
    "CHUNKS",
    "ENDED",
    "FINAL",
    "GROUP",
    "HANG_UP",
    "LAST",
    "MORE",
    "OVERLAPPING",
    "STREAM",
    "Data",
    "Dialogue",
    "Exchange",
    "PreparedMail",
    "ServerState",
    "Session",
    "Step",
)
