"""Limits of whole calls and of messages among many: the option ``deadline``."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from ..errors import (
    SMTPConnectTimeoutError,
    SMTPException,
    SMTPReadTimeoutError,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)
from ..status import Delivery

T = TypeVar("T")

#: More seconds than this are no limit. Not every event loop has timers for them.
_FOREVER: Final = 1e9

#: The errors of a connection that ends before its time. Any other says more than that the limit has passed.
LOSSES: Final = (SMTPServerDisconnected, SMTPTimeoutError)

_ADVICE: Final = {
    Delivery.NOT_SENT: "it has not been sent, and can be sent again",
    Delivery.UNKNOWN: "its end was written, so it may have been delivered, and would be twice if sent again",
}


class Limit(float):
    """The time by which a call has to be over, or a message to be settled: so many seconds from its begin.

    As a ``deadline`` that is passed on to another call it stays the same limit.

    :ivar at: that time, by the clock of the event loop; infinity until it has begun
    :ivar where: the server, as error messages name it
    :ivar passed: whether it has passed before the end
    :ivar end: ends what the call waits for, where its task is not to be cancelled
    """

    __slots__ = ("_expire", "_timer", "at", "end", "passed", "where")

    at: float
    where: str
    passed: bool
    end: Callable[[], object] | None
    _expire: Callable[[], object] | None
    _timer: asyncio.TimerHandle | None

    def __new__(cls, seconds: float, where: str) -> Limit:
        limit = super().__new__(cls, seconds)
        limit.at = math.inf
        limit.where = where
        limit.passed = False
        limit.end = limit._expire = limit._timer = None
        return limit

    def again(self) -> Limit:
        """Another one with as many seconds, whose time does not run yet."""
        return Limit(self, self.where)

    def begin(self) -> None:
        """Let the time run from now on. Does nothing the second time."""
        if self.at == math.inf:
            self.at = asyncio.get_running_loop().time() + self
            self._start_timer()

    @property
    def watched(self) -> bool:
        """Whether a call is ended by it."""
        return self._expire is not None

    def watch(self, expire: Callable[[], object]) -> None:
        """Call ``expire`` when the time has passed."""
        self._expire = expire
        self._start_timer()

    def unwatch(self) -> None:
        self._expire = self.end = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start_timer(self) -> None:
        if self._expire is not None and self.at < math.inf:
            self._timer = asyncio.get_running_loop().call_at(self.at, self._expire)

    def is_over(self) -> bool:
        """Whether the time has passed, or is just about to."""
        return self.passed or asyncio.get_running_loop().time() >= self.at

    def exceeded(self, cause: BaseException, phase: str | None = None) -> SMTPTimeoutError:
        """The error of what it has ended, with the verdict of ``cause``, which that was ended by.

        :param phase: where that was, if ``cause`` does not say so
        """
        self.passed = True
        phase = getattr(cause, "phase", None) or phase
        kind: type[SMTPTimeoutError] = SMTPReadTimeoutError
        if phase is None:  # there may be a connection, and it may be in use by others
            kind = SMTPTimeoutError
        elif phase in ("connect", "greeting"):
            kind = SMTPConnectTimeoutError
        delivery = getattr(cause, "delivery", Delivery.NOT_SENT)
        place = "" if phase is None else f" in the phase {phase!r}"
        error = kind(
            f"The deadline of {self:g} seconds for the message to {self.where} passed{place}: "
            f"{_ADVICE.get(delivery, delivery.value)}"
        )
        error.phase = phase
        error.delivery = delivery
        if isinstance(cause, SMTPException):
            error.replies = cause.replies
            error.transcript = cause.transcript
        error.__cause__ = cause
        return error


def limit_of(deadline: float | None, where: str) -> Limit | None:
    """The limit that a ``deadline`` means. Its time does not run yet.

    :param where: the server, as error messages are to name it
    :raises TypeError: if ``deadline`` is neither a number of seconds nor ``None``
    :raises ValueError: if it is not positive
    """
    if deadline is None or isinstance(deadline, Limit):
        return deadline
    if isinstance(deadline, bool) or not isinstance(deadline, int | float):
        raise TypeError(f"A deadline is a number of seconds or None, not {type(deadline).__name__}")
    if not deadline > 0:
        raise ValueError(f"A deadline is a positive number of seconds, not {deadline}")
    return None if deadline > _FOREVER else Limit(deadline, where)


def running_limit(deadline: float | None, where: str) -> Limit | None:
    """The same, from now on."""
    limit = limit_of(deadline, where)
    if limit is not None:
        limit.begin()
    return limit


async def within(limit: Limit | None, work: Awaitable[T], phase: str | None = None) -> T:
    """Wait for ``work``, a call or a part of one, no longer than its limit allows.

    :param phase: where it is, if it does not say so itself
    :raises SMTPTimeoutError: if the limit has passed, with the verdict
    """
    if limit is None or limit.watched:
        return await work
    task: Any = asyncio.current_task()
    before = _cancellations(task)
    cancelled = False

    def expire() -> None:
        nonlocal cancelled
        limit.passed = True
        if limit.end is not None:
            limit.end()
        else:
            cancelled = True
            task.cancel()

    limit.watch(expire)
    try:
        try:
            return await work
        finally:
            limit.unwatch()
            if cancelled and hasattr(task, "uncancel"):
                task.uncancel()
    except (asyncio.CancelledError, *LOSSES) as error:
        by_others = isinstance(error, asyncio.CancelledError) and not (
            cancelled and _cancellations(task) <= before
        )
        if by_others or not limit.passed:
            raise
        raise limit.exceeded(error, phase) from error


def _cancellations(task: Any) -> int:
    """How often a task was asked to end, which Python 3.10 does not tell."""
    return task.cancelling() if hasattr(task, "cancelling") else 0
