"""The decisions of the pool, one by one: who gets which connection, and when one is opened or closed.

``test_pool_machine.py`` holds the same against any sequence of events.
"""

import math
from typing import Any

import pytest

from aiosmtplib._pool.connection import NO_ACTIONS
from aiosmtplib._pool.state import FAIR_MESSAGES, FAIR_SECONDS, MAX_MOVES, PoolState
from aiosmtplib._pool.states import Condition, State

from ..support.pool_states import Pool, free, granted, make

# -- taking and waiting


def test_the_first_caller_opens_a_connection() -> None:
    pool: Pool = PoolState(3)
    assert pool.take(1.0) is None
    (slot,) = pool.wait("a", 1.0).open
    assert slot.state is State.OPENING
    assert pool.opened(slot, "client", 2.0).grant == [("a", slot)]
    assert pool.claim("a") is slot
    assert (slot.state, slot.client, slot.created_at, slot.messages) == (State.BUSY, "client", 2.0, 0)


def test_nothing_is_opened_without_need() -> None:
    pool, (slot, _) = make(2)
    pool.release(slot, Condition.KEEP, 1.0)
    assert pool.take(1.0) is slot
    assert pool.take(1.0) is None


def test_one_is_opened_for_each_that_waits_up_to_the_limit() -> None:
    pool: Pool = PoolState(2)
    assert [len(pool.wait(waiter, 0.0).open) for waiter in "abc"] == [1, 1, 0]


def test_a_connection_that_comes_too_late_stays_idle() -> None:
    pool: Pool = PoolState(2)
    (first,) = pool.wait("a", 0.0).open
    (second,) = pool.wait("b", 0.0).open
    assert pool.opened(first, "client", 0.0).grant == [("a", first)]
    assert pool.release(pool.claim("a"), Condition.KEEP, 1.0).grant == [("b", first)]
    assert pool.opened(second, "client", 2.0) is NO_ACTIONS
    assert second.state is State.IDLE


def test_a_freed_connection_goes_to_who_came_first() -> None:
    pool, (slot,) = make(1)
    for waiter in "abc":
        assert pool.wait(waiter, 1.0) is NO_ACTIONS
    order = []
    for _ in range(3):
        order += granted(pool.release(slot, Condition.KEEP, 2.0))
        assert pool.claim(order[-1]) is slot
    assert order == ["a", "b", "c"]


def test_the_warmest_connection_first() -> None:
    pool, (a, b, c) = make(3)
    free(pool, [b, c, a])
    assert [pool.take(1.0) for _ in range(4)] == [a, c, b, None]


def test_nobody_is_overtaken() -> None:
    pool, (slot,) = make(1, idle_timeout=5.0)
    pool.wait("a", 1.0)
    # "a" has been granted it and has not taken it yet.
    assert granted(pool.release(slot, Condition.KEEP, 2.0)) == ["a"]
    pool.wait("b", 2.0)
    assert pool.take(2.0) is None


def test_one_who_waits_again_goes_first() -> None:
    pool, (slot,) = make(1)
    pool.wait("a", 1.0)
    assert pool.wait("moved", 2.0, again=True) is NO_ACTIONS
    (fresh,) = pool.release(slot, Condition.LOST, 2.0).open
    assert granted(pool.opened(fresh, "client", 3.0)) == ["moved"]
    assert MAX_MOVES == 3


def test_one_who_waits_again_gets_the_warmest() -> None:
    pool, (a, b, c) = make(3)
    free(pool, [c, b])
    assert pool.wait("moved", 1.0, again=True).grant == [("moved", b)]
    assert pool.release(a, Condition.LOST, 1.0) is NO_ACTIONS


# -- giving up


def test_one_who_gave_up_is_passed_over() -> None:
    pool, (slot,) = make(1)
    pool.wait("a", 1.0)
    pool.wait("b", 1.0)
    assert pool.cancel("a", 2.0) is NO_ACTIONS
    assert granted(pool.release(slot, Condition.KEEP, 3.0)) == ["b"]


def test_what_was_granted_and_not_taken_goes_to_the_next() -> None:
    pool, (slot,) = make(1)
    pool.wait("a", 1.0)
    pool.wait("b", 1.0)
    assert granted(pool.release(slot, Condition.KEEP, 2.0)) == ["a"]
    assert granted(pool.cancel("a", 3.0)) == ["b"]
    assert pool.cancel("b", 3.0) is NO_ACTIONS
    assert slot.state is State.IDLE
    assert pool.cancel("b", 4.0) is NO_ACTIONS


def test_what_was_taken_is_given_back_by_release_alone() -> None:
    pool, (slot,) = make(1)
    pool.wait("a", 1.0)
    assert pool.cancel("first 0", 2.0) is NO_ACTIONS
    assert slot.state is State.BUSY


def test_what_was_granted_lost_and_not_taken_is_replaced() -> None:
    pool, (slot,) = make(1)
    pool.wait("a", 1.0)
    pool.wait("b", 1.0)
    pool.release(slot, Condition.KEEP, 2.0)
    assert pool.lost(slot, 2.0) is NO_ACTIONS
    todo = pool.cancel("a", 3.0)
    assert len(todo.open) == 1 and not todo.grant
    assert slot.state is State.GONE


def test_waiting_is_no_use() -> None:
    """A connection that was granted, given back and never used does not get warmer by that."""
    pool, (slot,) = make(1, idle_timeout=10.0)
    pool.release(slot, Condition.KEEP, 0.0)
    assert pool.take(9.0) is slot
    pool.release(slot, Condition.KEEP, 9.5)
    assert pool.next_deadline() == 10.0


# -- giving back


def test_a_lost_connection_is_replaced_when_somebody_waits() -> None:
    pool, (a, b) = make(2)
    assert pool.release(a, Condition.LOST, 1.0) is NO_ACTIONS
    pool.wait("x", 1.0)
    pool.wait("y", 1.0)
    todo = pool.release(b, Condition.LOST, 2.0)
    assert len(todo.open) == 1
    assert len(pool.connections(State.OPENING)) == 2


@pytest.mark.parametrize(
    "options",
    [{"max_messages": 2}, {"max_messages": 5}, {"max_age": 10.0}, {}],
    ids=["max", "limits", "age", "421"],
)
def test_a_connection_that_is_used_up_says_goodbye_first(options: dict[str, Any]) -> None:
    pool: Pool = PoolState(1, rand=lambda: 0.5, **options)
    (slot,) = pool.wait("a", 0.0).open
    pool.opened(slot, "client", 0.0, mailmax={5: 2, 2: 5}.get(options.get("max_messages", 0)))
    pool.claim("a")
    slot.begin()
    assert pool.release(slot, Condition.KEEP, 9.0) is NO_ACTIONS
    assert pool.take(9.0) is slot
    slot.begin()
    pool.wait("b", 9.0)
    outcome = Condition.KEEP if options else Condition.REPLACE
    todo = pool.release(slot, outcome, 10.0)
    assert todo.close == [slot] and not todo.open and not todo.grant
    # The server counts it until it is closed.
    assert len(pool.closed(slot, 11.0).open) == 1


def test_the_server_limit_alone() -> None:
    pool: Pool = PoolState(1)
    (slot,) = pool.wait("a", 0.0).open
    pool.opened(slot, "client", 0.0, mailmax=7)
    assert slot.limit_messages == 7


def test_without_a_limit() -> None:
    _, (slot,) = make(1)
    assert (slot.limit_messages, slot.expires_at) == (math.inf, math.inf)


@pytest.mark.parametrize(("rand", "expires"), [(0.0, 190.0), (0.5, 200.0), (1.0, 210.0)])
def test_the_age_differs_by_a_tenth(rand: float, expires: float) -> None:
    pool: Pool = PoolState(1, max_age=100.0, rand=lambda: rand)
    (slot,) = pool.wait("a", 90.0).open
    pool.opened(slot, "client", 100.0)
    assert slot.expires_at == pytest.approx(expires)


# -- loss that is seen and not asked about


def test_an_idle_connection_that_is_lost_goes_without_a_word() -> None:
    pool, (a, b) = make(2)
    free(pool, [a, b])
    assert pool.lost(b, 1.0) is NO_ACTIONS
    assert pool.take(1.0) is a
    assert b.state is State.GONE
    assert pool.lost(b, 1.0) is NO_ACTIONS


def test_a_busy_connection_that_is_lost_is_not_used_again() -> None:
    pool, (slot,) = make(1)
    assert pool.lost(slot, 1.0) is NO_ACTIONS
    assert slot.state is State.BUSY
    assert pool.should_yield(slot, 1.0)
    pool.wait("a", 1.0)
    assert len(pool.release(slot, Condition.KEEP, 2.0).open) == 1


# -- sharing


def test_a_holder_releases_when_somebody_waits() -> None:
    pool, (slot,) = make(1)
    for _ in range(FAIR_MESSAGES):
        slot.begin()
    assert not pool.should_yield(slot, 0.5)
    pool.wait("a", 0.5)
    assert pool.should_yield(slot, 0.5)
    assert granted(pool.release(slot, Condition.KEEP, 0.6)) == ["a"]
    pool.wait("b", 0.6)
    # "a" holds it now, and "b" gets it next.
    assert not pool.should_yield(pool.claim("a"), 0.6)
    assert pool.should_yield(slot, 0.5 + 2 * FAIR_SECONDS)


def test_a_holder_keeps_it_for_some_messages() -> None:
    pool, (slot,) = make(1)
    pool.wait("a", 0.0)
    for _ in range(FAIR_MESSAGES - 1):
        slot.begin()
        assert not pool.should_yield(slot, FAIR_SECONDS / 2)
    slot.begin()
    assert pool.should_yield(slot, FAIR_SECONDS / 2)


def test_a_holder_keeps_it_for_some_time() -> None:
    pool, (slot,) = make(1)
    pool.wait("a", 0.0)
    assert not pool.should_yield(slot, FAIR_SECONDS - 0.1)
    assert pool.should_yield(slot, FAIR_SECONDS)


def test_as_many_yield_as_wait() -> None:
    pool, slots = make(3)
    pool.wait("a", 1.0)
    assert [pool.should_yield(slot, 2.0) for slot in slots] == [True, False, False]
    assert pool.should_yield(slots[0], 2.0)
    pool.wait("b", 2.0)
    assert [pool.should_yield(slot, 2.0) for slot in slots] == [True, True, False]
    pool.release(slots[0], Condition.KEEP, 2.0)
    assert not pool.should_yield(slots[2], 2.0)


def test_a_connection_that_is_too_old_is_to_be_released() -> None:
    pool, (slot,) = make(1, max_age=10.0)
    assert not pool.should_yield(slot, 9.9)
    assert pool.should_yield(slot, 10.0)


def test_a_connection_that_is_used_up_is_to_be_released() -> None:
    pool, (slot,) = make(1, max_messages=2)
    slot.begin()
    assert not pool.should_yield(slot, 0.0)
    slot.begin()
    assert pool.should_yield(slot, 0.0)


# -- time


def test_idle_connections_are_closed() -> None:
    pool, (a, b) = make(2, idle_timeout=10.0)
    assert pool.next_deadline() is None
    a.begin()
    b.begin()
    pool.release(a, Condition.KEEP, 3.0)
    pool.release(b, Condition.KEEP, 5.0)
    assert pool.next_deadline() == 13.0
    assert pool.expire(12.9) is NO_ACTIONS
    assert pool.expire(13.0).close == [a]
    assert pool.next_deadline() == 15.0
    assert pool.closed(a, 14.0) is NO_ACTIONS


def test_old_idle_connections_are_closed() -> None:
    pool, (slot,) = make(1, max_age=10.0, idle_timeout=100.0)
    pool.release(slot, Condition.KEEP, 3.0)
    assert pool.next_deadline() == 10.0
    assert pool.expire(10.0).close == [slot]


def test_a_late_timer_hands_out_no_cold_connection() -> None:
    pool, (slot,) = make(1, idle_timeout=10.0)
    pool.release(slot, Condition.KEEP, 0.0)
    assert pool.take(10.0) is None
    todo = pool.wait("a", 10.0)
    assert todo.close == [slot] and not todo.grant and not todo.open
    assert len(pool.closed(slot, 10.1).open) == 1
