"""The states of a pooled connection, and the conditions in which one is released."""

from __future__ import annotations

import enum

__all__ = ("BUSY", "CLOSING", "GONE", "IDLE", "KEEP", "LOST", "OPENING", "REPLACE", "Condition", "State")


class State(str, enum.Enum):
    """The state of a pooled connection; see :mod:`aiosmtplib._pool.state` for the transitions."""

    # A str, for its hash: that of a plain Enum is computed in Python, several times for each message.

    OPENING = "opening"
    IDLE = "idle"
    BUSY = "busy"
    CLOSING = "closing"
    GONE = "gone"


class Condition(enum.Enum):
    """The condition in which a connection is released.

    ``KEEP``
        Usable, also after a refused transaction: the RSET needed then goes out with the next one.
    ``LOST``
        Closed by either side, or replies no longer match commands.
    ``REPLACE``
        Usable, but the server takes no more messages on it ("too many messages"): to be closed with QUIT.
    """

    KEEP = "keep"
    LOST = "lost"
    REPLACE = "replace"


# The members by themselves: to look one up in its class takes ten times as long on Python 3.11.
OPENING, IDLE, BUSY, CLOSING, GONE = State
KEEP, LOST, REPLACE = Condition
