"""The state of the pool under any sequence of events, against a model that keeps its own books.

The model carries out what the pool asks for, in any order and with any result, as the network might.
"""

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aiosmtplib._pool.connection import NO_ACTIONS, Actions, PooledConnection
from aiosmtplib._pool.state import PoolState
from aiosmtplib._pool.states import Condition, State
from aiosmtplib.errors import SMTPServerDisconnected
from aiosmtplib.status import Delivery

LIVE = (State.OPENING, State.IDLE, State.BUSY, State.CLOSING)
picks = st.integers(0, 10**6)


#: The states of a connection that nobody holds.
UNUSED = (State.IDLE, State.OPENING, State.CLOSING)


@dataclass(eq=False)
class Caller:
    """One who wants a connection.

    :ivar tried: whether an attempt to connect that began while it waited has failed
    """

    tried: bool = False


@dataclass
class Books:
    """What the model knows: who waits and in which order, and who has what."""

    waiting: list[Caller] = field(default_factory=list)
    granted: dict[Caller, PooledConnection[str]] = field(default_factory=dict)
    held: list[PooledConnection[str]] = field(default_factory=list)
    opening: dict[PooledConnection[str], list[Caller]] = field(default_factory=dict)
    closing: list[PooledConnection[str]] = field(default_factory=list)
    opened: int = 0
    verdicts: list[Delivery] = field(default_factory=list)
    bytes: int = 0


class PoolMachine(RuleBasedStateMachine):
    """Events in any order."""

    @initialize(
        most=st.integers(1, 4),
        messages=st.none() | st.integers(1, 3),
        age=st.none() | st.just(20.0),
        idle=st.none() | st.just(5.0),
    )
    def start(self, most: int, messages: int | None, age: float | None, idle: float | None) -> None:
        self.most = most
        self.timed = age is not None or idle is not None
        self.pool: PoolState[str, Caller] = PoolState(
            most, max_messages=messages, max_age=age, idle_timeout=idle, rand=lambda: 0.25
        )
        self.now = 1000.0
        self.books = Books()
        self.closed = self.aborted = False

    def do(self, todo: Actions[str, Caller]) -> None:
        books = self.books
        assert (todo is not NO_ACTIONS) == bool(todo.grant or todo.fail or todo.open or todo.close)
        for caller, error in todo.fail:
            books.waiting.remove(caller)
            assert str(error) == "aborted" if self.aborted else caller.tried
        for caller, slot in todo.grant:
            assert caller is books.waiting.pop(0), "first come, first served"
            assert slot.state is State.BUSY and not slot.is_used_up(self.now)
            books.granted[caller] = slot
        for slot in todo.open:
            assert slot.state is State.OPENING
            books.opening[slot] = list(books.waiting)
        assert len(todo.open) <= len(books.waiting)
        books.closing += todo.close

    # -- callers

    @rule()
    def arrive(self) -> None:
        caller = Caller()
        try:
            slot = self.pool.take(self.now)
            if slot is None:
                self.books.waiting.append(caller)
                self.do(self.pool.wait(caller, self.now))
            else:
                assert not self.books.waiting, "nobody is overtaken"
                self.books.held.append(slot)
        except SMTPServerDisconnected:
            assert self.closed

    @precondition(lambda self: self.books.granted)
    @rule(pick=picks)
    def claim(self, pick: int) -> None:
        caller = list(self.books.granted)[pick % len(self.books.granted)]
        slot = self.books.granted.pop(caller)
        assert self.pool.claim(caller) is slot
        self.books.held.append(slot)

    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        callers = [*self.books.waiting, *self.books.granted, Caller()]
        caller = callers[pick % len(callers)]
        if caller in self.books.waiting:
            self.books.waiting.remove(caller)
        self.books.granted.pop(caller, None)
        self.do(self.pool.cancel(caller, self.now))

    @precondition(lambda self: self.books.held)
    @rule(pick=picks, delivery=st.sampled_from(Delivery), size=st.integers(0, 100))
    def send(self, pick: int, delivery: Delivery, size: int) -> None:
        self.books.held[pick % len(self.books.held)].begin()
        self.pool.finished(delivery, size)
        if delivery is not Delivery.NOT_SENT:
            self.books.verdicts.append(delivery)
            self.books.bytes += size

    @precondition(lambda self: self.books.held)
    @rule(pick=picks)
    def ask(self, pick: int) -> None:
        slot = self.books.held[pick % len(self.books.held)]
        before = slot.yielding
        if self.pool.should_yield(slot, self.now):
            assert slot.yielding or not slot.alive or slot.is_used_up(self.now)
            assert self.pool.should_yield(slot, self.now)
        if slot.yielding and not before:
            assert sum(each.yielding for each in self.pool.connections(State.BUSY)) <= len(self.books.waiting)

    @precondition(lambda self: self.books.held)
    @rule(pick=picks, outcome=st.sampled_from(Condition))
    def release(self, pick: int, outcome: Condition) -> None:
        slot = self.books.held.pop(pick % len(self.books.held))
        self.do(self.pool.release(slot, outcome, self.now))

    @precondition(lambda self: self.books.held)
    @rule(pick=picks)
    def move(self, pick: int) -> None:
        """A connection is lost before its message was sent."""
        slot = self.books.held[pick % len(self.books.held)]
        caller = Caller()
        try:
            self.books.waiting.insert(0, caller)
            self.do(self.pool.wait(caller, self.now, again=True))
        except SMTPServerDisconnected:
            assert self.aborted
            self.books.waiting.remove(caller)
        self.books.held.remove(slot)
        self.do(self.pool.release(slot, Condition.LOST, self.now))

    # -- the network

    @precondition(lambda self: self.books.opening)
    @rule(pick=picks, mailmax=st.none() | st.integers(1, 3))
    def open_works(self, pick: int, mailmax: int | None) -> None:
        slot = list(self.books.opening)[pick % len(self.books.opening)]
        del self.books.opening[slot]
        self.books.opened += 1
        self.do(self.pool.opened(slot, "client", self.now, mailmax=mailmax))
        assert slot.client == "client"

    @precondition(lambda self: self.books.opening)
    @rule(pick=picks)
    def open_fails(self, pick: int) -> None:
        slot = list(self.books.opening)[pick % len(self.books.opening)]
        for caller in self.books.opening.pop(slot):
            caller.tried = True
        alone = len(self.pool.connections(*LIVE)) == 1
        limit = self.pool.stats().limit
        todo = self.pool.open_failed(slot, ConnectionRefusedError("no"), self.now)
        assert alone or not todo.fail, "the others serve those who wait"
        assert len(todo.open) <= 1 and (alone or self.pool.stats().limit <= limit), "no herd"
        self.do(todo)

    @rule(pick=picks)
    def lose(self, pick: int) -> None:
        slots = self.pool.connections(*LIVE)
        if slots:
            slot = slots[pick % len(slots)]
            idle = slot.state is State.IDLE
            self.do(self.pool.lost(slot, self.now))
            assert (slot.state is State.GONE) == idle

    @precondition(lambda self: self.books.closing)
    @rule(pick=picks)
    def goodbye(self, pick: int) -> None:
        slot = self.books.closing.pop(pick % len(self.books.closing))
        self.do(self.pool.closed(slot, self.now))

    # -- time, and the end

    @rule(seconds=st.sampled_from([0.5, 3.0, 30.0]))
    def pass_time(self, seconds: float) -> None:
        """With a timer that is late, or on time."""
        self.now += seconds

    @rule()
    def timer(self) -> None:
        deadline = self.pool.next_deadline()
        assert deadline is not None or not (self.timed and self.pool.connections(State.IDLE))
        if deadline is not None:
            self.now = max(self.now, deadline)
            todo = self.pool.expire(self.now)
            assert todo.open or todo.close, "no timer in vain"
            self.do(todo)
        else:
            assert self.pool.expire(self.now) is NO_ACTIONS

    @precondition(lambda self: self.books.opened > 3)
    @rule()
    def close(self) -> None:
        self.closed = True
        self.do(self.pool.close(self.now))

    @precondition(lambda self: self.books.opened > 3)
    @rule()
    def abort(self) -> None:
        self.closed = self.aborted = True
        self.do(self.pool.abort(ConnectionError("aborted"), self.now))
        assert not self.books.waiting

    # -- what holds always

    @invariant()
    def each_is_where_the_books_say(self) -> None:
        busy = [*self.books.held, *self.books.granted.values()]
        assert sorted(map(id, self.pool.connections(State.BUSY))) == sorted(map(id, busy))
        assert set(self.pool.connections(State.OPENING)) == set(self.books.opening)
        assert sorted(map(id, self.pool.connections(State.CLOSING))) == sorted(map(id, self.books.closing))
        assert all(slot.state is state for state in LIVE for slot in self.pool.connections(state))

    @invariant()
    def never_too_many(self) -> None:
        assert len(self.pool.connections(*LIVE)) <= self.pool.stats().limit <= self.most
        assert self.pool.stats().limit >= 1

    @invariant()
    def nobody_waits_in_vain(self) -> None:
        stats = self.pool.stats()
        if self.books.waiting:
            assert not stats.idle
            assert stats.opening + stats.busy + stats.closing
            room = stats.limit - (stats.opening + stats.busy + stats.closing)
            assert not room or stats.opening >= stats.waiting

    @invariant()
    def only_busy_ones_are_asked_to_yield(self) -> None:
        asked = sum(slot.yielding for slot in self.pool.connections(State.BUSY))
        assert asked == self.pool._yielding
        assert not any(
            slot.yielding for slot in self.pool.connections(State.IDLE, State.OPENING, State.CLOSING)
        )

    @invariant()
    def sums_match(self) -> None:
        stats = self.pool.stats()
        assert stats.waiting == len(self.books.waiting)
        verdicts = self.books.verdicts
        assert (stats.sent, stats.refused, stats.unknown) == tuple(
            map(verdicts.count, (Delivery.DELIVERED, Delivery.REJECTED, Delivery.UNKNOWN))
        )
        assert stats.bytes == self.books.bytes
        assert stats.reconnects <= max(0, self.books.opened - 1)
        assert self.pool.drained == (self.closed and not stats.waiting and not self.pool.connections(*LIVE))

    def teardown(self) -> None:
        """With a network that works again, everybody is served and the pool drains."""
        if not hasattr(self, "books"):
            return
        books = self.books
        self.do(self.pool.close(self.now))
        self.closed = True
        for _ in range(10 * (len(books.waiting) + self.most) + 10):
            if books.granted:
                self.claim(0)
            elif books.held:
                self.release(0, Condition.KEEP)
            elif books.closing:
                self.goodbye(0)
            elif books.opening:
                self.open_works(0, None)
        assert not books.waiting and self.pool.drained


PoolMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
test_machine = PoolMachine.TestCase
