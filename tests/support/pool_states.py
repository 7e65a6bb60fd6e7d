"""Pool states to begin with. Waiters and clients are strings: the pool does not look into them."""

from collections.abc import Sequence
from typing import Any

from aiosmtplib._pool.connection import NO_ACTIONS, Actions, PooledConnection
from aiosmtplib._pool.state import PoolState
from aiosmtplib._pool.states import Condition

Pool = PoolState[str, str]


def make(count: int, **options: Any) -> tuple[Pool, list[PooledConnection[str]]]:
    """A pool of ``count`` connections at most, all of which are busy, at the time 0."""
    pool: Pool = PoolState(count, rand=lambda: 0.5, **options)
    slots = []
    for number in range(count):
        (slot,) = pool.wait(f"first {number}", 0.0).open
        assert granted(pool.opened(slot, f"client {number}", 0.0)) == [f"first {number}"]
        slots.append(pool.claim(f"first {number}"))
    return pool, slots


def granted(todo: Actions[str, str]) -> Sequence[str]:
    """The waiters that get a connection, if that is all there is to do."""
    assert not (todo.fail or todo.open or todo.close)
    return [waiter for waiter, _ in todo.grant]


def free(pool: Pool, slots: Sequence[PooledConnection[str]], now: float = 0.0) -> None:
    for slot in slots:
        assert pool.release(slot, Condition.KEEP, now) is NO_ACTIONS
