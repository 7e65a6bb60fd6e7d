"""The token bucket: equal distances, whatever is asked, given back and when."""

import asyncio
import functools
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiosmtplib._pool.rate import TokenBucket
from aiosmtplib._pool.turns import Turns


def test_permissions_are_equally_spaced() -> None:
    bucket = TokenBucket(4)
    assert [bucket.reserve(100.0) for _ in range(5)] == [0, 0.25, 0.5, 0.75, 1.0]


def test_a_quiet_time_is_not_made_up_for() -> None:
    bucket = TokenBucket(2)
    assert bucket.reserve(0.0) == 0
    assert [bucket.reserve(1000.0) for _ in range(3)] == [0, 0.5, 1.0]


def test_time_that_passed_counts() -> None:
    bucket = TokenBucket(2)
    bucket.reserve(10.0)
    assert bucket.reserve(10.125) == 0.375
    assert bucket.reserve(10.5) == 0.5
    assert bucket.reserve(11.75) == 0


def test_what_was_given_back_goes_to_the_next_caller() -> None:
    bucket = TokenBucket(1)
    for _ in range(4):
        bucket.reserve(0.0)
    bucket.cancel(2.0)
    bucket.cancel(1.0)
    assert [bucket.reserve(0.5) for _ in range(3)] == [0.5, 1.5, 3.5]


def test_what_was_given_back_too_late_is_lost() -> None:
    bucket = TokenBucket(1)
    for _ in range(3):
        bucket.reserve(0.0)
    bucket.cancel(1.0)
    assert bucket.reserve(1.5) == 1.5


def test_the_last_one_given_back_at_once() -> None:
    bucket = TokenBucket(1)
    assert bucket.reserve(5.0) == 0
    bucket.cancel(5.0)
    assert bucket.reserve(5.0) == 0
    assert bucket.reserve(5.0) == 1


@pytest.mark.parametrize("rate", [0, -1, -0.0, math.nan, math.inf, -math.inf])
def test_impossible_rates(rate: float) -> None:
    with pytest.raises(ValueError, match="rate must be a positive number of messages per second"):
        TokenBucket(rate)


#: Eighths of a second, and rates whose intervals binary floats hold exactly: comparisons need no tolerance.
steps = st.lists(st.tuples(st.integers(0, 20), st.booleans()), max_size=60)


@given(st.sampled_from([0.5, 1, 2, 4]), steps)
def test_never_closer_than_the_interval(rate: float, moves: list[tuple[int, bool]]) -> None:
    bucket = TokenBucket(rate)
    now = 0.0
    held: list[float] = []
    for eighths, give_back in moves:
        now += eighths / 8
        waiting = [due for due in held if due > now]
        if give_back and waiting:
            held.remove(waiting[len(waiting) // 2])
            bucket.cancel(waiting[len(waiting) // 2])
        else:
            delay = bucket.reserve(now)
            assert 0 <= delay <= (len(waiting) + 1) / rate
            held.append(now + delay)
        held.sort()
        assert all(later - sooner >= 1 / rate for sooner, later in pairwise(held))


async def test_a_turn_that_is_given_back_goes_to_another() -> None:
    loop, bucket = asyncio.get_running_loop(), TokenBucket(0.001)
    came: list[str] = []
    first, second = (Turns(loop, bucket, functools.partial(came.append, name)) for name in "ab")
    first.give_back()  # it has none
    assert first.is_due()
    first.due = None
    assert not first.is_due()
    assert not first.is_due()
    due = first.due
    first.give_back()
    assert not second.is_due()
    assert second.due == pytest.approx(due)
    second.give_back()
    assert came == []


class Clock:
    """The time of a loop, which stands still until the next timer fires."""

    def __init__(self) -> None:
        self.now = 100.0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.Handle:
        def fire() -> None:
            self.now = when
            callback()

        return asyncio.get_running_loop().call_soon(fire)


async def test_who_asked_too_early_is_called_when_it_is_its_turn() -> None:
    clock: Any = Clock()
    came = asyncio.Event()
    turns = Turns(clock, TokenBucket(0.1), came.set)
    turns.due = clock.now + 0.01
    assert not turns.is_due()
    assert not came.is_set()
    await came.wait()
    assert turns.is_due()
    turns.give_back()
