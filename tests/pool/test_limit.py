"""Connections that cannot be opened: who gets an error, and how the pool shrinks and grows."""

from aiosmtplib._pool.connection import NO_ACTIONS, PooledConnection
from aiosmtplib._pool.limit import FIRST_PAUSE, LAST_PAUSE
from aiosmtplib._pool.state import PoolState
from aiosmtplib._pool.states import Condition, State
from aiosmtplib.errors import SMTPConnectResponseError

from ..support.pool_states import Pool

BUSY = SMTPConnectResponseError(421, "Too many connections")


def opening(pool: Pool, waiters: str) -> list[PooledConnection[str]]:
    return [slot for waiter in waiters for slot in pool.wait(waiter, 0.0).open]


def shrunk(most: int = 4) -> Pool:
    """A pool whose server allows two connections, both of them busy; "x", "y" and "z" wait."""
    pool: Pool = PoolState(most)
    slots = opening(pool, "abxyz")
    for slot, waiter in zip(slots[:2], "ab", strict=True):
        pool.opened(slot, "client", 0.0)
        pool.claim(waiter)
    for slot in slots[2:]:
        assert pool.open_failed(slot, BUSY, 0.0) is NO_ACTIONS
    return pool


def test_alone_everybody_who_was_waiting_gets_the_error() -> None:
    pool: Pool = PoolState(1)
    (slot,) = opening(pool, "a")
    pool.wait("b", 1.0)
    todo = pool.open_failed(slot, BUSY, 2.0)
    assert todo.fail == [("a", BUSY)]
    # "b" came when the attempt had begun: there is one for it.
    (second,) = todo.open
    assert pool.open_failed(second, BUSY, 3.0).fail == [("b", BUSY)]
    assert not pool.connections(State.OPENING)


def test_the_last_failure_speaks_for_all() -> None:
    pool: Pool = PoolState(3)
    slots = opening(pool, "abcde")
    assert pool.open_failed(slots[1], BUSY, 1.0) is NO_ACTIONS
    assert pool.open_failed(slots[2], BUSY, 1.0) is NO_ACTIONS
    # This one began with "a" alone, yet those for "b" and "c" have failed too.
    todo = pool.open_failed(slots[0], BUSY, 2.0)
    assert todo.fail == [("a", BUSY), ("b", BUSY), ("c", BUSY)]
    assert len(todo.open) == 1


def test_one_attempt_answers_a_thousand() -> None:
    pool: Pool = PoolState(2)
    slots = opening(pool, "ab")
    for number in range(1000):
        assert pool.wait(f"{number}", 0.0) is NO_ACTIONS
    pool.open_failed(slots[0], BUSY, 1.0)
    (probe,) = pool.open_failed(slots[1], BUSY, 1.0).open
    todo = pool.open_failed(probe, BUSY, 2.0)
    assert len(todo.fail) == 1000 and not todo.open


def test_a_server_that_is_down_is_tried_with_one_connection() -> None:
    pool: Pool = PoolState(3)
    slots = opening(pool, "abc")
    for slot in slots:
        todo = pool.open_failed(slot, BUSY, 1.0)
    assert len(todo.fail) == 3
    (probe,) = opening(pool, "xyz")
    assert pool.stats().limit == 1
    assert pool.next_deadline() is None
    todo = pool.opened(probe, "client", 2.0)
    assert todo.grant == [("x", probe)]
    assert len(todo.open) == 2
    assert pool.stats().limit == 3


def test_others_keep_the_waiters_from_the_error() -> None:
    pool = shrunk()
    assert pool.stats().limit == 2
    assert pool.stats().waiting == 3
    a, _ = pool.connections(State.BUSY)
    assert pool.release(a, Condition.KEEP, 1.0).grant == [("x", a)]


def test_a_lost_connection_is_replaced_within_the_limit() -> None:
    pool = shrunk()
    (slot,) = pool.release(pool.connections(State.BUSY)[0], Condition.LOST, 1.0).open
    assert pool.open_failed(slot, BUSY, 1.0) is NO_ACTIONS
    assert pool.stats().limit == 1
    # Several failures in one pause do not make it longer.
    assert pool.next_deadline() == FIRST_PAUSE


def test_a_connection_that_says_goodbye_counts_as_another() -> None:
    """The server may refuse one because it still counts the other."""
    pool: Pool = PoolState(2)
    (slot,) = opening(pool, "a")
    pool.opened(slot, "client", 0.0)
    assert pool.release(pool.claim("a"), Condition.REPLACE, 1.0).close == [slot]
    (early,) = pool.wait("b", 1.0).open
    assert pool.open_failed(early, BUSY, 2.0) is NO_ACTIONS
    (second,) = pool.closed(slot, 3.0).open
    assert pool.opened(second, "client", 4.0).grant == [("b", second)]


def test_one_more_is_tried_after_pauses_that_double() -> None:
    pool = shrunk()
    pause = FIRST_PAUSE
    now = 0.0
    for _ in range(10):
        assert pool.next_deadline() == now + pause
        assert pool.expire(now + pause - 0.1) is NO_ACTIONS
        now += pause
        (trial,) = pool.expire(now).open
        assert pool.stats().limit == 3
        assert pool.next_deadline() is None
        assert pool.expire(now + 1000) is NO_ACTIONS
        now += 0.5
        assert pool.open_failed(trial, BUSY, now) is NO_ACTIONS
        assert pool.stats().limit == 2
        pause = min(2 * pause, LAST_PAUSE)
    assert pause == LAST_PAUSE


def test_a_try_that_succeeds_is_followed_by_another() -> None:
    pool = shrunk(most=4)
    pool.open_failed(*pool.expire(5.0).open, BUSY, 5.0)
    (trial,) = pool.expire(15.0).open
    assert pool.opened(trial, "client", 16.0).grant == [("x", trial)]
    assert pool.next_deadline() == 16.0 + FIRST_PAUSE
    (trial,) = pool.expire(21.0).open
    assert pool.opened(trial, "client", 22.0).grant == [("y", trial)]
    assert pool.stats().limit == 4
    assert pool.next_deadline() is None


def test_after_a_success_the_pauses_begin_anew() -> None:
    pool = shrunk(most=4)
    pool.opened(*pool.expire(5.0).open, "client", 6.0)
    pool.open_failed(*pool.expire(11.0).open, BUSY, 11.0)
    assert pool.next_deadline() == 11.0 + 2 * FIRST_PAUSE


def test_without_demand_nothing_is_tried() -> None:
    pool = shrunk()
    for waiter in "xyz":
        pool.cancel(waiter, 1.0)
    assert pool.next_deadline() is None
    assert pool.expire(100.0) is NO_ACTIONS
    # But then at once.
    assert len(pool.wait("late", 100.0).open) == 1
    assert not pool.wait("later", 100.0).open


def test_another_failure_while_one_more_is_tried() -> None:
    pool = shrunk()
    (trial,) = pool.expire(5.0).open
    (other,) = pool.release(pool.connections(State.BUSY)[0], Condition.LOST, 6.0).open
    assert pool.open_failed(other, BUSY, 6.0) is NO_ACTIONS
    # The next pause begins when the try has ended.
    assert pool.next_deadline() is None
    assert pool.open_failed(trial, BUSY, 7.0) is NO_ACTIONS
    assert pool.next_deadline() == 7.0 + 2 * FIRST_PAUSE
    assert pool.stats().limit == 1


def test_another_success_while_one_more_is_tried() -> None:
    pool = shrunk()
    (trial,) = pool.expire(5.0).open
    (other,) = pool.release(pool.connections(State.BUSY)[0], Condition.LOST, 6.0).open
    pool.opened(other, "client", 6.0)
    pool.open_failed(trial, BUSY, 7.0)
    assert pool.next_deadline() == 7.0 + 2 * FIRST_PAUSE


def test_when_all_is_lost_the_limit_is_forgotten() -> None:
    pool = shrunk()
    for slot in pool.connections(State.BUSY):
        todo = pool.release(slot, Condition.LOST, 1.0)
    slots = pool.connections(State.OPENING)
    assert len(slots) == 2 and len(todo.open) == 1
    pool.open_failed(slots[0], BUSY, 2.0)
    todo = pool.open_failed(slots[1], BUSY, 2.0)
    assert [waiter for waiter, _ in todo.fail] == ["x", "y", "z"]
    (probe,) = pool.wait("late", 3.0).open
    pool.opened(probe, "client", 3.0)
    assert pool.stats().limit == 4


def test_below_the_limit_nothing_more_is_allowed() -> None:
    pool = shrunk()
    for waiter in "xyz":
        pool.cancel(waiter, 1.0)
    pool.release(pool.connections(State.BUSY)[0], Condition.LOST, 1.0)
    assert len(pool.wait("late", 100.0).open) == 1
    assert pool.stats().limit == 2


def test_after_a_try_that_succeeded_the_pool_can_shrink_again() -> None:
    pool = shrunk(most=3)
    pool.opened(*pool.expire(5.0).open, "client", 5.0)
    assert pool.stats().limit == 3
    (slot,) = pool.release(pool.connections(State.BUSY)[0], Condition.LOST, 6.0).open
    pool.open_failed(slot, BUSY, 6.0)
    assert pool.stats().limit == 2
    assert pool.next_deadline() == 6.0 + FIRST_PAUSE


def test_after_the_server_was_down_all_begins_anew() -> None:
    pool = shrunk()
    pool.open_failed(*pool.expire(5.0).open, BUSY, 5.0)
    for slot in pool.connections(State.BUSY):
        pool.release(slot, Condition.LOST, 6.0)
    for slot in pool.connections(State.OPENING):
        pool.open_failed(slot, BUSY, 7.0)
    (probe,) = opening(pool, "abcd")
    _, second, third = pool.opened(probe, "client", 8.0).open
    pool.open_failed(second, BUSY, 9.0)
    assert pool.stats().limit == 3
    pool.opened(third, "client", 9.0)
    assert pool.stats().limit == 3
    assert pool.next_deadline() == 9.0 + FIRST_PAUSE
