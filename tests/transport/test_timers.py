"""The deadline and the coalescing event, against a clock that moves when told: when they fire.

And waiting in time, on real event loops, where no cancellation may go unheard.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import Any, cast

import pytest

from aiosmtplib._transport.timers import Deadline, in_time, in_time_here
from aiosmtplib._transport.wakeup import CoalescingEvent


class Timer:
    def __init__(self, when: float, call: Callable[[], None]) -> None:
        self.when = when
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """As much of an event loop as a deadline and a coalescing event need."""

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


def start(deadline: Deadline, clock: Clock, seconds: float) -> None:
    deadline.move(cast(asyncio.AbstractEventLoop, clock), clock.now + seconds)


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
        deadline.at = clock.now + 5
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
    deadline.at = None
    clock.advance(100)
    assert expired == []
    assert clock.pending == []
    start(deadline, clock, 1)
    clock.advance(1)
    assert expired == [201.0]


def test_holds_on_to_nothing_after_the_end(deadline: Deadline, clock: Clock, expired: list[float]) -> None:
    deadline.stop()
    start(deadline, clock, 1)
    deadline.stop()
    assert clock.pending == []
    clock.advance(100)
    assert expired == []


# -- the coalescing event ----------------------------------------------------------------------------


async def waiting(event: CoalescingEvent, many: int) -> "asyncio.Task[None]":
    task = asyncio.ensure_future(event.wait(many))
    await asyncio.sleep(0)
    return task


@pytest.fixture
def event(clock: Clock) -> CoalescingEvent:
    return CoalescingEvent(cast(asyncio.AbstractEventLoop, clock))


@pytest.mark.parametrize(("many", "enough"), [(0, 1), (1, 1), (3, 3), (1000, 32)])
async def test_enough_results_ring_at_once(event: CoalescingEvent, many: int, enough: int) -> None:
    task = await waiting(event, many)
    for _ in range(enough - 1):
        event.set_soon()
        await asyncio.sleep(0)
        assert not task.done()
    event.set_soon()
    await asyncio.sleep(0)
    assert task.done()


async def test_one_result_does_not_lie_there_for_long(event: CoalescingEvent, clock: Clock) -> None:
    task = await waiting(event, 1000)
    event.set_soon()
    event.set_soon()
    assert clock.pending == [pytest.approx(100.005)]
    clock.advance(0.005)
    await task


async def test_nobody_hears_it_later(event: CoalescingEvent, clock: Clock) -> None:
    event.set()
    event.set_soon()
    task = await waiting(event, 5)
    event.set_soon()
    event.set()
    for _ in range(6):  # before the task had its turn
        event.set_soon()
    await task
    assert clock.pending == []  # else it would ring for the next one


async def test_one_that_waits_again_hears_of_the_next(event: CoalescingEvent, clock: Clock) -> None:
    """Also before all those that were woken with it have gone."""

    async def twice() -> None:
        await event.wait(5)
        await event.wait(5)

    task = asyncio.ensure_future(twice())
    other = await waiting(event, 5)
    event.set_soon()
    clock.advance(0.005)
    await other
    event.set_soon()
    clock.advance(0.005)
    await asyncio.wait_for(task, 5)


# -- in time -----------------------------------------------------------------------------------------


async def stubborn(result: Any) -> Any:
    """Ends when it is cancelled, and by no CancelledError."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        if isinstance(result, Exception):
            raise result from None
    return result


@pytest.mark.parametrize("seconds", [None, 1000.0])
async def test_what_comes_in_time(seconds: float | None) -> None:
    assert await in_time(asyncio.sleep(0, "yes"), seconds) == "yes"
    with pytest.raises(ValueError, match="no"):
        await in_time(asyncio.gather(asyncio.sleep(0), raising()), seconds)


async def raising() -> None:
    raise ValueError("no")


@pytest.mark.parametrize("seconds", [-1, 0, 0.001])
async def test_what_does_not(seconds: float) -> None:
    with pytest.raises(asyncio.TimeoutError):
        await in_time(asyncio.Event().wait(), seconds)


async def test_what_is_done_when_it_is_cancelled_is_taken() -> None:
    assert await in_time(stubborn("yes"), 0.001) == "yes"
    with pytest.raises(ValueError, match="no"):
        await in_time(stubborn(ValueError("no")), 0.001)


async def test_what_is_done_needs_no_time() -> None:
    done = asyncio.get_running_loop().create_future()
    done.set_result("yes")
    assert await in_time(done, 0) == "yes"


@pytest.mark.parametrize("outcome", ["yes", ValueError("no")])
@pytest.mark.parametrize("done", [False, True])
async def test_a_cancellation_is_always_heard(done: bool, outcome: Any) -> None:
    """Also in the moment when the work is done, and nobody hears what came of that."""
    work = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(in_time(work if done else stubborn(outcome), 1000))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    if done and isinstance(outcome, Exception):
        work.set_exception(outcome)
    elif done:
        work.set_result(outcome)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_work_that_was_cancelled_is_over_before_its_caller_goes_on() -> None:
    over = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            over.append(True)

    task = asyncio.ensure_future(in_time(work(), None))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert over


# -- in time, and without a task ---------------------------------------------------------------------


async def current() -> Any:
    return asyncio.current_task()


async def test_work_of_our_own_has_no_task() -> None:
    assert (await in_time_here(current(), 1000) is asyncio.current_task()) is (sys.version_info >= (3, 11))
    assert await in_time_here(asyncio.sleep(0, "yes"), None) == "yes"


@pytest.mark.parametrize("seconds", [-1, 0, 0.001])
async def test_work_of_our_own_that_takes_too_long(seconds: float) -> None:
    begun = []

    async def work() -> None:
        begun.append(True)
        await asyncio.Event().wait()

    with pytest.raises(asyncio.TimeoutError):
        await in_time_here(work(), seconds)
    assert bool(begun) is (seconds > 0)


async def test_work_of_our_own_that_is_cancelled() -> None:
    task = asyncio.ensure_future(in_time_here(asyncio.Event().wait(), 1000))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
