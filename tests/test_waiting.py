"""The deadline and the bell, against a clock that moves when told: when they fire, and what they hold."""

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
    """As much of an event loop as a deadline and a bell need."""

    def __init__(self) -> None:
        self.now = 100.0
        self.made: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, call: Callable[..., None], *args: Any) -> Timer:
        timer = Timer(when, lambda: call(*args))
        self.made.append(timer)
        return timer

    def call_later(self, delay: float, call: Callable[..., None], *args: Any) -> Timer:
        return self.call_at(self.now + delay, call, *args)

    def create_future(self) -> "asyncio.Future[None]":
        return asyncio.get_running_loop().create_future()

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


@pytest.fixture
def bell(clock: Clock) -> Bell:
    return Bell(cast(asyncio.AbstractEventLoop, clock))


@pytest.mark.parametrize(("many", "enough"), [(0, 1), (1, 1), (3, 3), (1000, 32)])
async def test_enough_results_ring_at_once(bell: Bell, many: int, enough: int) -> None:
    task = await waiting(bell, many)
    for _ in range(enough - 1):
        bell.ring_soon()
        await asyncio.sleep(0)
        assert not task.done()
    bell.ring_soon()
    await asyncio.sleep(0)
    assert task.done()


async def test_one_result_does_not_lie_there_for_long(bell: Bell, clock: Clock) -> None:
    task = await waiting(bell, 1000)
    bell.ring_soon()
    bell.ring_soon()
    assert clock.pending == [pytest.approx(100.005)]
    clock.advance(0.005)
    await task


async def test_nobody_hears_it_later(bell: Bell, clock: Clock) -> None:
    bell.ring()
    bell.ring_soon()
    task = await waiting(bell, 5)
    bell.ring_soon()
    bell.ring()
    for _ in range(6):  # before the task had its turn
        bell.ring_soon()
    await task
    assert clock.pending == []  # else it would ring for the next one
