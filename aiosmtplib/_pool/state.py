"""What ``SMTPPool`` decides, without doing any of it: who gets which connection, and how many there are.

Every event is one synchronous call. It changes the state and returns what is to be done (``Actions``), so
that no await lies between a decision and its record, and all of it can be tested without loop, server or
clock. The time is a parameter, in seconds of any clock that does not go back.

A connection is a :class:`PooledConnection`, and it is in one of these states::

    OPENING ──opened──▶ IDLE ──take, or granted to a waiter──▶ BUSY
       │                 │ ▲                                    │ │
       │                 │ └──────────release KEEP──────────────┘ │
       │             expire, close                         release REPLACE
       │                 └───────────────▶ CLOSING ◀──────────────┘
    open_failed         lost               closed        release LOST
       └─────────────────┴─────▶ GONE ◀──────┴────────────────────┘

All but those gone count, also while they say goodbye: the server counts them too. The pool opens for waiters
only, never ahead of them.

**When opening fails.** While there are other connections, nobody gets an error: the others serve those who
wait, and their number is taken for the server's limit (``ConnectionLimit``). With no other left, all who were
waiting when an attempt began get its error: one attempt is enough for all of them. For those who came later
there is another.
"""

import math
import random
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Generic

from ..errors import SMTPServerDisconnected
from ..status import Delivery
from .connection import NO_ACTIONS, Actions, Client, Condition, PooledConnection, PoolStats, State, Waiter
from .limit import ConnectionLimit

__all__ = ("MAX_MOVES", "PoolState")

#: How often a message that was not sent is moved to another connection before its error is reported.
MAX_MOVES = 3

#: ``max_age`` differs by up to this part from connection to connection, so that those opened together do not
#: all end together.
JITTER = 0.1

#: Who sends many keeps the connection for so many messages or seconds, though others wait: filling the
#: pipeline anew costs a round trip.
TURN_MESSAGES = 16
TURN_SECONDS = 1.0


class PoolState(Generic[Client, Waiter]):
    """The connections of a pool and who waits for them.

    A waiter is any hashable object that stands for one caller. Waiters are served in the order in which they
    came, with the connection used last: it is the likeliest to be alive, and the others can grow old and go.

    :param max_connections: how many connections there may be at most
    :param max_messages: transactions per connection; the server's MAILMAX may ask for fewer
    :param max_age: seconds after which a connection is not used again, give or take a tenth
    :param idle_timeout: seconds after which an unused connection is closed
    :param rand: numbers from 0 to 1, for the tenth
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
        for name, number, least in (
            ("max_connections", max_connections, "at least 1"),
            ("max_messages", max_messages, "at least 1, or None"),
            ("max_age", max_age, "more than 0 seconds, or None"),
            ("idle_timeout", idle_timeout, "more than 0 seconds, or None"),
        ):
            # Written so that NaN is refused.
            if number is not None and not number > 0:
                raise ValueError(f"{name} must be {least}, not {number!r}")
        self._max_messages = max_messages
        self._max_age = math.inf if max_age is None else max_age
        self._idle_timeout = math.inf if idle_timeout is None else idle_timeout
        self._rand = rand

        self._opening: dict[PooledConnection[Client], None] = {}
        #: From the coldest to the warmest.
        self._idle: dict[PooledConnection[Client], None] = {}
        self._busy: dict[PooledConnection[Client], None] = {}
        self._leaving: dict[PooledConnection[Client], None] = {}
        self._homes = {
            State.OPENING: self._opening,
            State.IDLE: self._idle,
            State.BUSY: self._busy,
            State.CLOSING: self._leaving,
        }

        #: Who waits, with a number that tells which attempts to connect began while it did.
        self._waiters: OrderedDict[Waiter, int] = OrderedDict()
        self._granted: dict[Waiter, PooledConnection[Client]] = {}
        self._came = 0
        self._yielding = 0

        self.max_connections = max_connections
        self._limit = ConnectionLimit(max_connections)
        #: The number of the last waiter for whom an attempt failed.
        self._attempted = 0

        self.closing = False
        self._aborted = False

        #: Connections that ended and were not yet replaced.
        self._missing = 0
        self._reconnects = 0
        self._verdicts = dict.fromkeys(Delivery, 0)
        self._bytes = 0

    # -- those who want a connection

    def take(self, now: float) -> PooledConnection[Client] | None:
        """A connection for a caller that need not wait, or ``None``: then :meth:`wait`.

        :raises SMTPServerDisconnected: if the pool is closed
        """
        if self.closing:
            raise SMTPServerDisconnected("The pool is closed")
        # Nobody is overtaken: where somebody waits, none is idle.
        for slot in reversed(self._idle):
            if now < self.stale_at(slot):
                self._give(slot, now)
                return slot
        return None

    def wait(self, waiter: Waiter, now: float, *, again: bool = False) -> Actions[Client, Waiter]:
        """Put a caller in the queue.

        :param again: its connection was lost before the message was sent: it goes to the head of the queue,
            also when the pool is being closed. To be called before the lost connection is released, lest the
            pool count as drained in between.
        :raises SMTPServerDisconnected: if the pool is closed
        """
        if self._aborted or (self.closing and not again):
            raise SMTPServerDisconnected("The pool is closed")
        self._came += 1
        self._waiters[waiter] = self._came
        if again:
            self._waiters.move_to_end(waiter, last=False)
        return self._settle(now)

    def claim(self, waiter: Waiter) -> PooledConnection[Client]:
        """Note that a waiter has taken the connection that was granted to it. It may have been lost since."""
        return self._granted.pop(waiter)

    def cancel(self, waiter: Waiter, now: float) -> Actions[Client, Waiter]:
        """A caller gave up, at any time before :meth:`claim`. What was granted to it goes to the next one."""
        slot = self._granted.pop(waiter, None)
        if slot is not None:
            return self.release(slot, Condition.KEEP, now)
        self._waiters.pop(waiter, None)
        return NO_ACTIONS

    def should_yield(self, slot: PooledConnection[Client], now: float) -> bool:
        """Whether somebody who sends many on a connection should release it after the messages in flight.

        True if it is used up or lost, or if others wait and it had its turn. Only as many connections are
        asked for as there are waiters. To be asked after a message has begun, not before the first: so each
        connection serves one at least.
        """
        if slot.yielding or not slot.alive or slot.used_up(now):
            return True
        if slot.messages - slot.turn_from < TURN_MESSAGES and now - slot.turn_at < TURN_SECONDS:
            return False
        if len(self._waiters) <= self._yielding:
            return False
        slot.yielding = True
        self._yielding += 1
        return True

    def release(
        self, slot: PooledConnection[Client], condition: Condition, now: float
    ) -> Actions[Client, Waiter]:
        """A caller is done with a connection."""
        self._yielding -= slot.yielding
        slot.yielding = False
        if slot.messages > slot.turn_from:
            slot.last_used = now
        if condition is Condition.LOST or not slot.alive:
            self._missing += 1
            self._move(slot, State.GONE)
        elif condition is Condition.REPLACE or slot.used_up(now):
            self._missing += 1
            self._move(slot, State.CLOSING)
            return self._settle(now, close=[slot])
        else:
            self._move(slot, State.IDLE)
            if not self._waiters and not self.closing:
                return NO_ACTIONS
        return self._settle(now)

    def finished(self, delivery: Delivery, octets: int) -> None:
        """Count the verdict on a message, once, and the size of its content. ``NOT_SENT`` is none yet."""
        if delivery is not Delivery.NOT_SENT:
            self._verdicts[delivery] += 1
            self._bytes += octets

    # -- what happens to connections

    def opened(
        self, slot: PooledConnection[Client], client: Client, now: float, *, mailmax: int | None = None
    ) -> Actions[Client, Waiter]:
        """A connection is there. The caller has made sure that it still is: see :meth:`lost`.

        :param mailmax: the server's limit of transactions in a session (RFC 9422)
        """
        slot.client = client
        slot.created_at = slot.last_used = now
        slot.expires_at = now + self._max_age * (1 + JITTER * (2 * self._rand() - 1))
        slot.limit_messages = min((n for n in (self._max_messages, mailmax) if n is not None), default=None)
        if self._missing:
            self._missing -= 1
            self._reconnects += 1
        self._limit.succeeded(slot, now)
        self._move(slot, State.IDLE)
        return self._settle(now)

    def open_failed(
        self, slot: PooledConnection[Client], error: Exception, now: float
    ) -> Actions[Client, Waiter]:
        """A connection could not be opened."""
        self._move(slot, State.GONE)
        self._attempted = max(self._attempted, slot.attempt)
        others = self._count()
        self._limit.failed(slot, others, now)
        if others:
            return self._settle(now)
        failed = [waiter for waiter, number in self._waiters.items() if number <= self._attempted]
        for waiter in failed:
            del self._waiters[waiter]
        return self._settle(now, fail=[(waiter, error) for waiter in failed])

    def lost(self, slot: PooledConnection[Client], now: float) -> Actions[Client, Waiter]:
        """The connection is closed, or has become unusable (EOF, 421, a reply nobody asked for), at any time.

        Whoever uses, opens or closes it meets the same, and reports it.
        """
        slot.alive = False
        if slot.state is not State.IDLE:
            return NO_ACTIONS
        self._missing += 1
        self._move(slot, State.GONE)
        return self._settle(now)

    def closed(self, slot: PooledConnection[Client], now: float) -> Actions[Client, Waiter]:
        """A connection has said goodbye, or tried to."""
        self._move(slot, State.GONE)
        return self._settle(now)

    # -- time

    def next_deadline(self) -> float | None:
        """When :meth:`expire` has something to do, unless something else happens before."""
        deadline = min(map(self.stale_at, self._idle), default=math.inf)
        if len(self._waiters) > len(self._opening):
            deadline = min(deadline, self._limit.retry_at)
        return None if deadline == math.inf else deadline

    def expire(self, now: float) -> Actions[Client, Waiter]:
        """Close what was idle too long or is too old; try one connection more, if it is time to."""
        return self._settle(now)

    # -- the end

    def close(self, now: float) -> Actions[Client, Waiter]:
        """Take no new callers. Those who wait are served still; then each connection is closed."""
        self.closing = True
        return self._settle(now)

    def abort(self, error: Exception, now: float) -> Actions[Client, Waiter]:
        """Take no callers at all; those who wait get ``error``.

        What is busy or opening is for the caller to end (:meth:`slots`), and to report as usual.
        """
        self.closing = self._aborted = True
        fail = [(waiter, error) for waiter in self._waiters]
        self._waiters.clear()
        return self._settle(now, fail=fail)

    @property
    def opening(self) -> int:
        """How many connections are being made."""
        return len(self._opening)

    @property
    def can_open(self) -> bool:
        """Whether one more waiter would have a connection opened."""
        return not self.closing and self._limit.allowed > self._count()

    @property
    def drained(self) -> bool:
        """Whether the pool is closed and no connection is left. Then nobody waits: one would be opened."""
        return self.closing and not any(self._homes.values())

    def slots(self, *states: State) -> list[PooledConnection[Client]]:
        """The connections in these states."""
        return [slot for state in states for slot in self._homes[state]]

    def stats(self) -> PoolStats:
        """The numbers of this moment."""
        return PoolStats(
            idle=len(self._idle),
            busy=len(self._busy),
            opening=len(self._opening),
            closing=len(self._leaving),
            waiting=len(self._waiters),
            limit=self._limit.allowed,
            sent=self._verdicts[Delivery.DELIVERED],
            refused=self._verdicts[Delivery.REJECTED],
            unknown=self._verdicts[Delivery.UNKNOWN],
            reconnects=self._reconnects,
            bytes=self._bytes,
        )

    def __repr__(self) -> str:
        return f"<PoolState {self.stats()}>"

    # -- the decisions

    def _settle(
        self,
        now: float,
        *,
        fail: Sequence[tuple[Waiter, Exception]] = (),
        close: Iterable[PooledConnection[Client]] = (),
    ) -> Actions[Client, Waiter]:
        """Restore what always holds: nobody waits beside an idle connection, or with room to open one."""
        close = list(close)
        grant = []
        for slot in [slot for slot in self._idle if now >= self.stale_at(slot)]:
            self._missing += now >= slot.expires_at
            self._move(slot, State.CLOSING)
            close.append(slot)
        while self._waiters and self._idle:
            waiter, _ = self._waiters.popitem(last=False)
            slot = next(reversed(self._idle))
            self._give(slot, now)
            self._granted[waiter] = slot
            grant.append((waiter, slot))
        if self.closing:
            # Idle ones are left only where nobody waits.
            for slot in list(self._idle):
                self._move(slot, State.CLOSING)
                close.append(slot)
        opened = self._open(now)
        return Actions(grant, fail, opened, close) if grant or fail or opened or close else NO_ACTIONS

    def _open(self, now: float) -> Sequence[PooledConnection[Client]]:
        wanted = len(self._waiters) - len(self._opening)
        if wanted <= 0:
            return ()
        room = self._limit.allowed - self._count()
        trial = room == 0 and self._limit.grow(now)
        if not room and not trial:
            return ()
        slots: list[PooledConnection[Client]] = [
            PooledConnection(self._came) for _ in range(min(wanted, room + trial))
        ]
        self._opening.update(dict.fromkeys(slots))
        if trial:
            self._limit.trial = slots[0]
        return slots

    def _count(self) -> int:
        return len(self._opening) + len(self._idle) + len(self._busy) + len(self._leaving)

    def stale_at(self, slot: PooledConnection[Client]) -> float:
        """When an idle connection is to be closed."""
        return min(slot.expires_at, slot.last_used + self._idle_timeout)

    def _give(self, slot: PooledConnection[Client], now: float) -> None:
        self._move(slot, State.BUSY)
        slot.turn_at = now
        slot.turn_from = slot.messages

    def _move(self, slot: PooledConnection[Client], state: State) -> None:
        """The one place where a state changes. A slot that is not where it says it is raises ``KeyError``."""
        del self._homes[slot.state][slot]
        slot.state = state
        if state is not State.GONE:
            self._homes[state][slot] = None
