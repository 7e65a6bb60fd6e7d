"""The nouns of the pool: a connection, what is to be done about some, and the numbers that people see."""

import enum
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

__all__ = ("NO_ACTIONS", "Client", "Condition", "PoolStats", "PooledConnection", "State", "Actions", "Waiter")

Client = TypeVar("Client")
Waiter = TypeVar("Waiter", bound=Hashable)


class State(str, enum.Enum):
    """Where a connection is in its life."""

    # Text, for its hash: that of an enumeration alone is computed in Python, several times for each message.

    OPENING = "opening"
    IDLE = "idle"
    BUSY = "busy"
    CLOSING = "closing"
    GONE = "gone"


class Condition(enum.Enum):
    """In which condition a connection is given back.

    ``KEEP``
        In step, also after a refused transaction: the RSET that asks for goes out with the next one.
    ``LOST``
        Closed by either side, or out of step.
    ``REPLACE``
        In step, but the server wants no more on it ("too many messages"): to be closed with QUIT.
    """

    KEEP = "keep"
    LOST = "lost"
    REPLACE = "replace"


class PooledConnection(Generic[Client]):
    """A connection, as the pool sees it.

    :ivar client: what drives the connection; there from :meth:`PoolState.opened` on
    :ivar state: where it is in its life
    :ivar alive: False once the connection was lost while somebody had it
    :ivar created_at: when it was opened
    :ivar expires_at: when it is too old to be used again
    :ivar last_used: when a message was last sent on it
    :ivar messages: mail transactions begun on it
    :ivar limit_messages: how many there may be, or ``None``
    :ivar rcptmax: how many recipients the server takes in one transaction (RFC 9422), or ``None``
    :ivar attempt: the number of the last waiter that was there when it began to open
    :ivar turn_at: when its present holder got it
    :ivar turn_from: ``messages`` at that time
    :ivar yielding: whether its present holder was asked to release it
    """

    __slots__ = (
        "alive",
        "attempt",
        "client",
        "created_at",
        "expires_at",
        "last_used",
        "limit_messages",
        "messages",
        "rcptmax",
        "state",
        "turn_at",
        "turn_from",
        "yielding",
    )

    client: Client

    def __init__(self, attempt: int) -> None:
        self.state = State.OPENING
        self.alive = True
        self.created_at = self.last_used = -math.inf
        self.expires_at = math.inf
        self.messages = 0
        self.limit_messages: int | None = None
        self.rcptmax: int | None = None
        self.attempt = attempt
        self.turn_at = -math.inf
        self.turn_from = 0
        self.yielding = False

    def __repr__(self) -> str:
        return f"<Slot {self.state.value}, {self.messages} messages>"

    def begin(self) -> None:
        """Count a mail transaction, before its MAIL is sent: servers count refused ones too (RFC 9422)."""
        self.messages += 1

    def used_up(self, now: float) -> bool:
        """Whether no transaction may begin on it any more: too many messages, or too old."""
        return now >= self.expires_at or (
            self.limit_messages is not None and self.messages >= self.limit_messages
        )


@dataclass(frozen=True, slots=True)
class Actions(Generic[Client, Waiter]):
    """What follows from an event. False if that is nothing.

    :ivar grant: waiters, each with the connection it gets: wake it, and let it :meth:`PoolState.claim`
    :ivar fail: waiters, each with the error to raise in it
    :ivar open: connections to open: report with :meth:`PoolState.opened` or :meth:`PoolState.open_failed`
    :ivar close: connections to close politely: report with :meth:`PoolState.closed`
    """

    grant: Sequence[tuple[Waiter, PooledConnection[Client]]] = ()
    fail: Sequence[tuple[Waiter, Exception]] = ()
    open: Sequence[PooledConnection[Client]] = ()
    close: Sequence[PooledConnection[Client]] = ()

    def __bool__(self) -> bool:
        return bool(self.grant or self.fail or self.open or self.close)


#: What most events come to.
NO_ACTIONS: Actions[Any, Any] = Actions()


@dataclass(frozen=True, slots=True)
class PoolStats:
    """A pool at one moment, and what became of the messages given to it so far.

    :ivar idle: open connections that nobody uses
    :ivar busy: connections in use
    :ivar opening: connections being made
    :ivar closing: connections saying goodbye
    :ivar waiting: callers that wait for a connection
    :ivar limit: how many connections there may be now: ``max_connections``, or what the server seems to allow
    :ivar sent: messages accepted for at least one recipient
    :ivar refused: messages that got a final negative reply
    :ivar unknown: messages whose end was written and that got no reply
    :ivar reconnects: connections opened in the place of one that was lost, used up or too old
    :ivar bytes: content of the messages sent, refused and unknown
    """

    idle: int
    busy: int
    opening: int
    closing: int
    waiting: int
    limit: int
    sent: int
    refused: int
    unknown: int
    reconnects: int
    bytes: int

    def __str__(self) -> str:
        names = ("idle", "busy", "sent", "refused", "unknown", "reconnects", "bytes")
        return ", ".join(f"{getattr(self, name)} {name}" for name in names)
