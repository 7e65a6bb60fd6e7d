"""Pooled connections, the I/O that the pool asks for (:class:`Actions`), and its statistics."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from .states import OPENING, State

__all__ = (
    "NO_ACTIONS",
    "Client",
    "PoolStats",
    "PooledConnection",
    "Actions",
    "Waiter",
)

Client = TypeVar("Client")
Waiter = TypeVar("Waiter", bound=Hashable)


class PooledConnection(Generic[Client]):
    """A connection of a pool. Times are in seconds of the clock of :class:`PoolState`.

    :ivar client: what drives the connection; set by :meth:`PoolState.opened`
    :ivar state: one of :class:`State`
    :ivar alive: False once the connection was lost while opening, busy or closing
    :ivar created_at: when it was opened
    :ivar expires_at: when it is too old to be used again
    :ivar last_used: when a holder that sent a message on it last released it, or when it was opened
    :ivar stale_at: while it is idle, when it is to be closed
    :ivar messages: the number of mail transactions begun on it
    :ivar limit_messages: the maximum of ``messages``, or infinity
    :ivar rcptmax: the server's limit of recipients in one transaction (RFC 9422), or ``None``
    :ivar attempt: the serial number of the last waiter that was there when opening began
    :ivar held_since: when its present holder got it
    :ivar held_from: ``messages`` at that time
    :ivar yielding: whether its present holder was asked to release it
    :ivar shared: what whole messages have of it, kept from one use to the next, or ``None``
    """

    __slots__ = (
        "alive",
        "attempt",
        "client",
        "created_at",
        "expires_at",
        "held_from",
        "held_since",
        "last_used",
        "limit_messages",
        "messages",
        "rcptmax",
        "shared",
        "stale_at",
        "state",
        "yielding",
    )

    client: Client

    def __init__(self, attempt: int) -> None:
        self.state: State = OPENING
        self.alive = True
        self.created_at = self.last_used = -math.inf
        self.expires_at = self.stale_at = math.inf
        self.messages = 0
        self.limit_messages: float = math.inf
        self.rcptmax: int | None = None
        self.attempt = attempt
        self.held_since = -math.inf
        self.held_from = 0
        self.yielding = False
        self.shared: Any = None

    def __repr__(self) -> str:
        return f"<PooledConnection {self.state.value}, {self.messages} messages>"

    def begin(self) -> None:
        """Count a mail transaction, before its MAIL is sent: a refused MAIL counts too (RFC 9422)."""
        self.messages += 1

    def is_used_up(self, now: float) -> bool:
        """Whether no further transaction may begin on it: it had enough of them, or is too old."""
        return now >= self.expires_at or self.messages >= self.limit_messages


class Actions(Generic[Client, Waiter]):
    """The I/O to do after an event; ``NO_ACTIONS`` if there is none.

    :ivar grant: waiters, each with its connection: wake it, and have it call :meth:`PoolState.claim`
    :ivar fail: waiters, each with the error to raise in it
    :ivar open: connections to open: report by :meth:`PoolState.opened` or :meth:`PoolState.open_failed`
    :ivar close: connections to close with QUIT: report by :meth:`PoolState.closed`
    """

    __slots__ = ("close", "fail", "grant", "open")

    def __init__(
        self,
        grant: Sequence[tuple[Waiter, PooledConnection[Client]]] = (),
        fail: Sequence[tuple[Waiter, Exception]] = (),
        open: Sequence[PooledConnection[Client]] = (),
        close: Sequence[PooledConnection[Client]] = (),
    ) -> None:
        self.grant = grant
        self.fail = fail
        self.open = open
        self.close = close


#: The result of most events: shared, so that they allocate none.
NO_ACTIONS: Actions[Any, Any] = Actions()


class PoolStats(NamedTuple):
    """The connections of a pool at one moment, and the results of the messages sent through it so far.

    :ivar idle: open connections that are not in use
    :ivar busy: connections in use
    :ivar opening: connections being opened
    :ivar closing: connections being closed, that wait for the reply to QUIT
    :ivar waiting: callers that wait for a connection
    :ivar limit: the number of connections allowed now: ``max_connections``, or what the server seems to allow
    :ivar sent: messages accepted for at least one recipient
    :ivar refused: messages that got a final negative reply
    :ivar unknown: messages whose end was written and that got no reply
    :ivar reconnects: connections opened in place of one that was lost, used up or too old
    :ivar bytes: the size of the content of the messages sent, refused and unknown
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
