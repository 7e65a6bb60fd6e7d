"""The deadline, against a clock that moves when told: when it fires, when it sleeps on, and what it holds."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from aiosmtplib._waiting import Bell, Deadline


class Timer:
    def __init__(self, when: float, call: Callable[[], None]) -> None:
        self.when = when
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """As much of an event loop as a deadline needs."""

    def __init__(self) -> None:
        self.now = 100.0
        self.made: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[..., None], *args: Any) -> Timer:
        timer = Timer(when, lambda: call(*args))
        self.made.append(timer)
        return timer

    @property
    def pending(self) -> list[float]:
        return [timer.when for timer in self.made if not timer.cancelled]

    def advance(self, seconds: float) -> None:
        self.now += seconds
        for timer in list(self.made):
            if not timer.cancelled and timer.when <= self.now:
                timer.cancelled = True
                timer.call()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def expired() -> list[float]:
    return []


@pytest.fixture
def deadline(clock: Clock, expired: list[float]) -> Deadline:
    return Deadline(lambda: expired.append(clock.now))


def start(deadline: Deadline, clock: Clock, seconds: float | None) -> None:
    deadline.start(cast(asyncio.AbstractEventLoop, clock), seconds)


def test_fires_when_the_time_is_up(deadline: Deadline, clock: Clock, expired: list[float]) -> None:
    start(deadline, clock, 5)
    clock.advance(4.9)
    assert expired == []
    clock.advance(0.1)
    assert expired == [105.0]
    assert clock.pending == []


def test_replies_move_the_deadline_and_no_timer(
    deadline: Deadline, clock: Clock, expired: list[float]
) -> None:
    start(deadline, clock, 5)
    for _ in range(4):
        clock.advance(1)
        deadline.restart()
    assert len(clock.made) == 1
    clock.advance(1)  # the timer wakes, finds that there is time left, and sleeps on
    assert expired == []
    assert clock.pending == [109.0]
    clock.advance(4)
    assert expired == [109.0]


def test_a_sooner_deadline_replaces_the_timer(deadline: Deadline, clock: Clock, expired: list[float]) -> None:
    start(deadline, clock, 60)
    start(deadline, clock, 1)
    assert clock.pending == [101.0]
    clock.advance(1)
    assert expired == [101.0]


def test_a_later_deadline_keeps_the_timer(deadline: Deadline, clock: Clock, expired: list[float]) -> None:
    start(deadline, clock, 1)
    start(deadline, clock, 60)
    assert clock.pending == [101.0]
    clock.advance(1)
    assert clock.pending == [160.0]
    assert expired == []


def test_nothing_is_expected_while_paused(deadline: Deadline, clock: Clock, expired: list[float]) -> None:
    start(deadline, clock, 1)
    deadline.pause()
    clock.advance(100)
    assert expired == []
    assert clock.pending == []
    deadline.restart()
    clock.advance(1)
    assert expired == [201.0]


def test_no_limit(deadline: Deadline, clock: Clock, expired: list[float]) -> None:
    deadline.restart()  # before it was ever started: there is nothing to restart
    start(deadline, clock, 1)
    start(deadline, clock, None)
    clock.advance(100)
    assert expired == []
    assert clock.pending == []


def test_holds_on_to_nothing_after_the_end(deadline: Deadline, clock: Clock, expired: list[float]) -> None:
    deadline.stop()
    start(deadline, clock, 1)
    deadline.stop()
    assert clock.pending == []
    clock.advance(100)
    assert expired == []


# -- the bell ----------------------------------------------------------------------------------------


async def waiting(bell: Bell, many: int) -> "asyncio.Task[None]":
    task = asyncio.ensure_future(bell.wait(many))
    await asyncio.sleep(0)
    return task


async def test_enough_results_ring_at_once() -> None:
    bell = Bell(asyncio.get_running_loop())
    task = await waiting(bell, 3)
    for _ in range(2):
        bell.ring_soon()
        await asyncio.sleep(0)
        assert not task.done()
    bell.ring_soon()
    bell.ring_soon()
    await asyncio.sleep(0)
    assert task.done()


async def test_the_first_rings_where_few_are_enough() -> None:
    bell = Bell(asyncio.get_running_loop())
    task = await waiting(bell, 0)
    bell.ring_soon()
    await asyncio.sleep(0)
    assert task.done()


async def test_one_result_does_not_lie_there_for_long() -> None:
    bell = Bell(asyncio.get_running_loop())
    task = await waiting(bell, 1000)
    bell.ring_soon()
    await asyncio.wait_for(task, 10)


async def test_more_than_a_few_need_not_be_there() -> None:
    bell = Bell(asyncio.get_running_loop())
    task = await waiting(bell, 1000)
    for _ in range(32):
        assert not task.done()
        bell.ring_soon()
    await asyncio.sleep(0)
    assert task.done()


async def test_nobody_hears_it_later() -> None:
    bell = Bell(asyncio.get_running_loop())
    bell.ring()
    bell.ring_soon()
    task = await waiting(bell, 5)
    bell.ring_soon()
    bell.ring()
    await task
    assert bell._timer is None  # else it would ring for the next one
