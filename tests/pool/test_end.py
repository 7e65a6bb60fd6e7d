"""How a pool ends, and the numbers it shows."""

import math
from typing import Any

import pytest

from aiosmtplib._pool.connection import NO_ACTIONS, PoolStats
from aiosmtplib._pool.state import PoolState
from aiosmtplib._pool.states import Condition, State
from aiosmtplib.errors import SMTPServerDisconnected
from aiosmtplib.status import Delivery

from ..support.pool_states import Pool, free, granted, make

# -- the end


def test_closing_an_unused_pool() -> None:
    pool: Pool = PoolState(1)
    assert not pool.drained
    assert pool.close(0.0) is NO_ACTIONS
    assert pool.drained


def test_a_pool_that_closes_serves_who_waits_and_no_others() -> None:
    pool, (a, b) = make(2)
    pool.wait("x", 1.0)
    idle_now = pool.close(2.0)
    assert idle_now is NO_ACTIONS
    with pytest.raises(SMTPServerDisconnected, match="The pool is closed"):
        pool.take(2.0)
    with pytest.raises(SMTPServerDisconnected, match="The pool is closed") as caught:
        pool.wait("y", 2.0)
    assert caught.value.delivery is Delivery.NOT_SENT
    assert granted(pool.release(a, Condition.KEEP, 3.0)) == ["x"]
    assert pool.release(b, Condition.KEEP, 3.0).close == [b]
    assert pool.release(pool.claim("x"), Condition.KEEP, 4.0).close == [a]
    pool.closed(a, 5.0)
    assert not pool.drained
    pool.closed(b, 5.0)
    assert pool.drained


def test_idle_connections_are_closed_at_once_when_the_pool_closes() -> None:
    pool, (a, b) = make(2)
    free(pool, [a, b])
    assert set(pool.close(1.0).close) == {a, b}


def test_a_message_is_moved_also_while_the_pool_closes() -> None:
    pool, (slot,) = make(1)
    pool.close(1.0)
    assert pool.wait("moved", 1.0, again=True) is NO_ACTIONS
    (fresh,) = pool.release(slot, Condition.LOST, 1.0).open
    assert not pool.drained
    assert granted(pool.opened(fresh, "client", 2.0)) == ["moved"]


def test_a_connection_that_opens_when_nobody_wants_it_any_more() -> None:
    pool: Pool = PoolState(1)
    (slot,) = pool.wait("a", 0.0).open
    pool.cancel("a", 1.0)
    assert pool.close(1.0) is NO_ACTIONS
    assert not pool.drained
    assert pool.opened(slot, "client", 2.0).close == [slot]


def test_aborting() -> None:
    pool, (a, b) = make(2)
    pool.wait("x", 1.0)
    pool.wait("y", 1.0)
    pool.release(a, Condition.KEEP, 2.0)
    error = SMTPServerDisconnected("aborted")
    actions = pool.abort(error, 3.0)
    assert (actions.grant, actions.fail, actions.open, actions.close) == ([], [("y", error)], (), [])
    with pytest.raises(SMTPServerDisconnected):
        pool.wait("z", 3.0, again=True)
    assert pool.connections(State.BUSY) == [b, a]
    assert not pool.cancel("x", 3.0).grant
    assert pool.release(b, Condition.LOST, 3.0) is NO_ACTIONS
    pool.closed(a, 4.0)
    assert pool.drained


# -- numbers


def test_stats() -> None:
    pool, (a, b, c) = make(3)
    pool.release(a, Condition.LOST, 1.0)
    pool.release(b, Condition.REPLACE, 1.0)
    (fresh,) = pool.wait("x", 1.0).open
    pool.opened(fresh, "client", 1.0)
    pool.wait("y", 1.0)
    pool.release(c, Condition.KEEP, 1.0)
    pool.release(pool.claim("x"), Condition.KEEP, 1.0)
    for delivery in (*Delivery, Delivery.DELIVERED):
        pool.finished(delivery, 100)
    stats = pool.stats()
    assert stats == PoolStats(
        idle=1,
        busy=1,
        opening=0,
        closing=1,
        waiting=0,
        limit=3,
        sent=2,
        refused=1,
        unknown=1,
        reconnects=1,
        bytes=400,
    )
    text = "1 idle, 1 busy, 2 sent, 1 refused, 1 unknown, 1 reconnects, 400 bytes"
    assert str(stats) == text
    assert repr(pool) == f"<PoolState {text}>"
    assert repr(c) == "<PooledConnection busy, 0 messages>"


def test_what_was_idle_too_long_is_not_missed() -> None:
    pool, (slot,) = make(1, idle_timeout=1.0)
    pool.release(slot, Condition.KEEP, 0.0)
    pool.closed(*pool.expire(1.0).close, 1.0)
    pool.opened(*pool.wait("a", 2.0).open, "client", 2.0)
    assert pool.stats().reconnects == 0


@pytest.mark.parametrize("how", ["lost idle", "old idle", "lost", "replaced"])
def test_reconnects(how: str) -> None:
    pool, (slot, other) = make(2, max_age=10.0)
    if how.endswith("idle"):
        pool.release(slot, Condition.KEEP, 0.0)
    if how == "lost idle":
        pool.lost(slot, 1.0)
    elif how == "old idle":
        pool.closed(*pool.expire(10.0).close, 10.0)
    elif how == "lost":
        pool.release(slot, Condition.LOST, 1.0)
    else:
        pool.closed(*pool.release(slot, Condition.REPLACE, 1.0).close, 1.0)
    pool.opened(*pool.wait("a", 11.0).open, "client", 11.0)
    assert pool.stats().reconnects == 1
    assert (slot.state, other.state) == (State.GONE, State.BUSY)


def test_each_connection_is_replaced_once() -> None:
    pool, (slot, _) = make(2, idle_timeout=1.0)
    pool.release(slot, Condition.LOST, 0.0)
    for now in (10.0, 20.0):
        (fresh,) = pool.wait("a", now).open
        pool.opened(fresh, "client", now)
        pool.release(pool.claim("a"), Condition.KEEP, now)
        pool.closed(*pool.expire(now + 1).close, now + 1)
    assert pool.stats().reconnects == 1


@pytest.mark.parametrize("number", [0, -1, math.nan])
@pytest.mark.parametrize("name", ["max_connections", "max_messages", "max_age", "idle_timeout"])
def test_impossible_numbers(name: str, number: float) -> None:
    options: dict[str, Any] = {"max_connections": 1, name: number}
    with pytest.raises(ValueError, match=f"{name} must be .*, not "):
        PoolState(**options)
