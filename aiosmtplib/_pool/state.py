"""The state of a connection pool, without I/O: which caller gets which connection, and how many there are.

Each event is one synchronous call. It changes the state and returns the I/O to do (:class:`Actions`), so that
no await lies between a decision and its record, and it can be tested without loop, server or clock. The time
is a parameter: seconds of any monotonic clock.

A connection is a :class:`PooledConnection`, and it is in one of these states::

    OPENING ──opened──▶ IDLE ──take, or granted to a waiter──▶ BUSY
       │                 │ ▲                                    │ │
       │                 │ └──────────release KEEP──────────────┘ │
       │             expire, close                         release REPLACE
       │                 └───────────────▶ CLOSING ◀──────────────┘
    open_failed         lost               closed        release LOST
       └─────────────────┴─────▶ GONE ◀──────┴────────────────────┘

All but those in state GONE count towards the limit, also those that wait for the reply to QUIT: the server
counts them too. A connection is opened only if a caller waits for one.

**When opening fails.** While there are other connections, no caller gets the error: the others serve the
waiters, and their number is taken for the server's limit (:class:`ConnectionLimit`). Without another, each
caller that was waiting when the attempt began gets its error; for those that came later a new one begins.
"""

from __future__ import annotations

import math
import random
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Generic

from ..errors import SMTPServerDisconnected
from .connection import NO_ACTIONS, Actions, Client, PooledConnection, PoolStats, Waiter
from .counts import MessageCounts
from .limit import ConnectionLimit, check_limits
from .states import BUSY, CLOSING, GONE, IDLE, KEEP, LOST, OPENING, REPLACE, Condition, State

__all__ = ("MAX_MOVES", "PoolState")

#: How many times a message that was not sent is retried on another connection.
MAX_MOVES = 3

#: The fraction by which ``max_age`` varies either way from connection to connection, so that those opened
#: together are not all closed together.
JITTER = 0.1

#: After so many messages or seconds, the holder of a connection is asked to release it to callers that wait.
#: Not after each message: to fill the pipeline again costs a round trip.
FAIR_MESSAGES = 16
FAIR_SECONDS = 1.0


class PoolState(MessageCounts, Generic[Client, Waiter]):
    """The connections of a pool, and the callers that wait for one.

    A waiter is any hashable object that stands for one caller. Waiters are served first come, first served,
    with the connection that was used last: it is the likeliest to be alive, and those not needed reach
    ``idle_timeout``.

    :param max_connections: the maximum number of connections
    :param max_messages: the maximum number of transactions on a connection, or ``None``; a lower MAILMAX of
        the server (RFC 9422) holds instead
    :param max_age: seconds after which a connection is not used again, plus or minus 10 %, or ``None``
    :param idle_timeout: seconds after which an unused connection is closed, or ``None``
    :param rand: returns random numbers from 0 to 1, for the variation of ``max_age``
    :raises ValueError: if a number is not positive
    """

    def __init__(
        self,
        max_connections: int,
        *,
        max_messages: int | None = None,
        max_age: float | None = None,
        idle_timeout: float | None = None,
        rand: Callable[[], float] = random.random,
    ) -> None:
        super().__init__()
        check_limits(max_connections, max_messages, max_age, idle_timeout)
        self._max_messages = max_messages
        self._max_age = math.inf if max_age is None else max_age
        self._idle_timeout = math.inf if idle_timeout is None else idle_timeout
        self._rand = rand
        self._opening: dict[PooledConnection[Client], None] = {}
        #: In the order of their last use, the latest at the end.
        self.idle: dict[PooledConnection[Client], None] = {}
        self._busy: dict[PooledConnection[Client], None] = {}
        self._being_closed: dict[PooledConnection[Client], None] = {}
        self._by_state = {
            OPENING: self._opening,
            IDLE: self.idle,
            BUSY: self._busy,
            CLOSING: self._being_closed,
        }
        #: Each waiter with its serial number. Those up to ``attempt`` of a connection waited when it began.
        self.waiters: OrderedDict[Waiter, int] = OrderedDict()
        self._granted: dict[Waiter, PooledConnection[Client]] = {}
        self._last_waiter = 0
        #: How many holders were asked to release their connection and have not done so.
        self._yielding = 0
        self.max_connections = max_connections
        self._limit = ConnectionLimit(max_connections)
        #: The serial number of the last waiter that was there when an attempt that failed began.
        self._last_failed = 0
        self.closing = self._aborted = False
        #: How many connections were lost, used up or too old, and have not been replaced yet.
        self._unreplaced = 0
        self._reconnects = 0

    # -- callers

    def take(self, now: float) -> PooledConnection[Client] | None:
        """Assign an idle connection to a caller; ``None`` where there is none: then call :meth:`wait`.

        :raises SMTPServerDisconnected: if the pool is closed
        """
        if self.closing:
            raise SMTPServerDisconnected("The pool is closed")
        # No waiter is overtaken: while there is one, no connection is idle.
        for pooled in reversed(self.idle):
            if now < pooled.stale_at:
                self._assign(pooled, now)
                return pooled
        return None

    def wait(self, waiter: Waiter, now: float, *, again: bool = False) -> Actions[Client, Waiter]:
        """Add a caller to the queue of waiters.

        :param again: whether its connection was lost before the message was sent. It goes to the head of the
            queue then, also while the pool is being closed. Call this before :meth:`release` of the lost
            connection, or the pool counts as drained in between.
        :raises SMTPServerDisconnected: if the pool is closed, or with ``again`` if it is aborted
        """
        if self._aborted or (self.closing and not again):
            raise SMTPServerDisconnected("The pool is closed")
        self.queue(waiter)
        if again:
            self.waiters.move_to_end(waiter, last=False)
        return self._rebalance(now)

    @property
    def is_full(self) -> bool:
        """Whether one more caller that waits changes nothing: none is idle, and none more is to be tried."""
        if self.idle or self.closing or self._limit.retry_at != math.inf:
            return False
        return len(self._opening) + len(self._busy) + len(self._being_closed) >= self._limit.allowed

    def queue(self, waiter: Waiter) -> None:
        """Add a caller to the queue, and do nothing else. Where ``is_full``, :meth:`wait` does no more."""
        self._last_waiter += 1
        self.waiters[waiter] = self._last_waiter

    def claim(self, waiter: Waiter) -> PooledConnection[Client]:
        """Hand a waiter the connection that was granted to it, which may have been lost since (``alive``)."""
        return self._granted.pop(waiter)

    def cancel(self, waiter: Waiter, now: float) -> Actions[Client, Waiter]:
        """Remove a waiter, at any time before :meth:`claim`. A connection granted to it goes to the next."""
        pooled = self._granted.pop(waiter, None)
        if pooled is not None:
            return self.release(pooled, KEEP, now)
        self.waiters.pop(waiter, None)
        return NO_ACTIONS

    def pass_on(self, pooled: PooledConnection[Client], waiter: Waiter, now: float) -> bool:
        """Assign a busy connection to a waiter, the first one, as :meth:`release` and :meth:`claim` would.

        :return: whether a message may begin on the connection
        """
        if not pooled.alive or pooled.is_used_up(now):
            return False
        del self.waiters[waiter]
        pooled.last_used = pooled.held_since = now
        pooled.held_from = pooled.messages
        return True

    def should_yield(self, pooled: PooledConnection[Client], now: float) -> bool:
        """Whether the holder of a connection should release it once the messages in flight are done.

        True if the connection is used up or lost, or if others wait and it was held for ``FAIR_MESSAGES``
        or ``FAIR_SECONDS``. At most as many holders are asked to release one as there are waiters. Call this
        after a transaction has begun, so that each assignment serves at least one message.
        """
        if pooled.yielding or not pooled.alive or pooled.is_used_up(now):
            return True
        if pooled.messages - pooled.held_from < FAIR_MESSAGES and now - pooled.held_since < FAIR_SECONDS:
            return False
        if len(self.waiters) <= self._yielding:
            return False
        pooled.yielding = True
        self._yielding += 1
        return True

    def release(
        self, pooled: PooledConnection[Client], condition: Condition, now: float
    ) -> Actions[Client, Waiter]:
        """Take back a connection from the caller that holds it."""
        self._yielding -= pooled.yielding
        pooled.yielding = False
        if pooled.messages > pooled.held_from:
            pooled.last_used = now
        if condition is LOST or not pooled.alive:
            self._unreplaced += 1
            self._move(pooled, GONE)
        elif condition is REPLACE or pooled.is_used_up(now):
            self._unreplaced += 1
            self._move(pooled, CLOSING)
            return self._rebalance(now, close=[pooled])
        else:
            self._move(pooled, IDLE)
            if not self.waiters and not self.closing:
                return NO_ACTIONS
        return self._rebalance(now)

    # -- connections

    def opened(
        self, pooled: PooledConnection[Client], client: Client, now: float, *, mailmax: int | None = None
    ) -> Actions[Client, Waiter]:
        """Add a connection that was opened. One lost before this call is reported by :meth:`open_failed`.

        :param mailmax: the server's limit of transactions in a session, or ``None`` (RFC 9422)
        """
        pooled.client = client
        pooled.created_at = pooled.last_used = now
        pooled.expires_at = now + self._max_age * (1 + JITTER * (2 * self._rand() - 1))
        pooled.limit_messages = min(n for n in (self._max_messages, mailmax, math.inf) if n is not None)
        if self._unreplaced:
            self._unreplaced -= 1
            self._reconnects += 1
        self._limit.succeeded(pooled, now)
        self._move(pooled, IDLE)
        return self._rebalance(now)

    def open_failed(
        self, pooled: PooledConnection[Client], error: Exception, now: float
    ) -> Actions[Client, Waiter]:
        """Remove a connection that could not be opened; without another one, waiters get ``error``."""
        self._move(pooled, GONE)
        self._last_failed = max(self._last_failed, pooled.attempt)
        others = self._count()
        self._limit.failed(pooled, others, now)
        if others:
            return self._rebalance(now)
        failed = [waiter for waiter, number in self.waiters.items() if number <= self._last_failed]
        for waiter in failed:
            del self.waiters[waiter]
        return self._rebalance(now, fail=[(waiter, error) for waiter in failed])

    def lost(self, pooled: PooledConnection[Client], now: float) -> Actions[Client, Waiter]:
        """Note that a connection is closed or unusable (EOF, 421, a reply to no command), at any time.

        Only an idle one is removed: whoever opens, uses or closes it meets the error and reports it.
        """
        pooled.alive = False
        if pooled.state is not IDLE:
            return NO_ACTIONS
        self._unreplaced += 1
        self._move(pooled, GONE)
        return self._rebalance(now)

    def closed(self, pooled: PooledConnection[Client], now: float) -> Actions[Client, Waiter]:
        """Remove a connection that was closed, whether QUIT was answered or not."""
        self._move(pooled, GONE)
        return self._rebalance(now)

    # -- time

    def next_deadline(self) -> float | None:
        """When to call :meth:`expire`, unless another event comes first; ``None`` where it is not needed."""
        deadline = min([pooled.stale_at for pooled in self.idle], default=math.inf)
        if len(self.waiters) > len(self._opening):
            deadline = min(deadline, self._limit.retry_at)
        return None if deadline == math.inf else deadline

    def expire(self, now: float) -> Actions[Client, Waiter]:
        """Close connections that are too old or were idle too long; try one more where that is due."""
        return self._rebalance(now)

    # -- closing

    def close(self, now: float) -> Actions[Client, Waiter]:
        """Take no new callers. Those that wait are served; then each connection is closed."""
        self.closing = True
        return self._rebalance(now)

    def abort(self, error: Exception, now: float) -> Actions[Client, Waiter]:
        """Take no callers at all; ``error`` is raised in those that wait.

        The caller has to end the connections that are busy or opening (:meth:`slots`), and to report each
        as usual.
        """
        self.closing = self._aborted = True
        fail = [(waiter, error) for waiter in self.waiters]
        self.waiters.clear()
        return self._rebalance(now, fail=fail)

    @property
    def opening(self) -> int:
        """The number of connections being opened."""
        return len(self._opening)

    @property
    def is_crowded(self) -> bool:
        """Whether somebody waits for whom no connection is on its way, since no more of them are allowed."""
        return len(self.waiters) > len(self._opening)

    @property
    def can_open(self) -> bool:
        """Whether a connection would be opened for one more waiter."""
        return not self.closing and self._limit.allowed > self._count()

    @property
    def drained(self) -> bool:
        """Whether the pool is closed and no connection is left (nor a waiter: one would open for it)."""
        return self.closing and not any(self._by_state.values())

    def connections(self, *states: State) -> list[PooledConnection[Client]]:
        """The connections in these states, by state in the order given."""
        return [pooled for state in states for pooled in self._by_state[state]]

    def stats(self) -> PoolStats:
        """The numbers at this moment."""
        sets = self.idle, self._busy, self._opening, self._being_closed, self.waiters
        idle, busy, opening, closing, waiting = [len(each) for each in sets]
        results = self.sent, self.refused, self.unknown, self._reconnects, self.bytes
        return PoolStats(idle, busy, opening, closing, waiting, self._limit.allowed, *results)

    def __repr__(self) -> str:
        return f"<PoolState {self.stats()}>"

    # -- the decisions

    def _rebalance(
        self,
        now: float,
        *,
        fail: Sequence[tuple[Waiter, Exception]] = (),
        close: Iterable[PooledConnection[Client]] = (),
    ) -> Actions[Client, Waiter]:
        """Restore the invariant: no caller waits while a connection is idle or one more may be opened.

        ``fail`` and ``close`` (in state CLOSING already) are passed on to the result.
        """
        close = list(close)
        grant = []
        for pooled in [pooled for pooled in self.idle if now >= pooled.stale_at]:
            self._unreplaced += now >= pooled.expires_at
            self._move(pooled, CLOSING)
            close.append(pooled)
        while self.waiters and self.idle:
            waiter, _ = self.waiters.popitem(last=False)
            pooled = next(reversed(self.idle))
            self._assign(pooled, now)
            self._granted[waiter] = pooled
            grant.append((waiter, pooled))
        if self.closing:
            # One is idle only where no caller waits.
            for pooled in list(self.idle):
                self._move(pooled, CLOSING)
                close.append(pooled)
        opened = self._open(now)
        return Actions(grant, fail, opened, close) if grant or fail or opened or close else NO_ACTIONS

    def _open(self, now: float) -> Sequence[PooledConnection[Client]]:
        """Add connections in state OPENING, one for each waiter without one, as far as the limit allows."""
        wanted = len(self.waiters) - len(self._opening)
        if wanted <= 0:
            return ()
        room = self._limit.allowed - self._count()
        trial = room == 0 and self._limit.grow(now)
        opened: list[PooledConnection[Client]] = [
            PooledConnection(self._last_waiter) for _ in range(min(wanted, room + trial))
        ]
        self._opening.update(dict.fromkeys(opened))
        if trial:
            self._limit.trial = opened[0]
        return opened

    def _count(self) -> int:
        return len(self._opening) + len(self.idle) + len(self._busy) + len(self._being_closed)

    def _assign(self, pooled: PooledConnection[Client], now: float) -> None:
        self._move(pooled, BUSY)
        pooled.held_since = now
        pooled.held_from = pooled.messages

    def _move(self, pooled: PooledConnection[Client], state: State) -> None:
        # Nothing else changes a state, and a state that contradicts the sets is a KeyError.
        del self._by_state[pooled.state][pooled]
        pooled.state = state
        if state is not GONE:
            self._by_state[state][pooled] = None
        if state is IDLE:
            unused = pooled.last_used + self._idle_timeout
            pooled.stale_at = unused if unused < pooled.expires_at else pooled.expires_at
