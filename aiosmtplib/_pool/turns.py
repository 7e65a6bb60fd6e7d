"""When the next message of a ``send_many`` may go, where the rate of the pool is limited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .rate import TokenBucket

__all__ = ("Turns",)


class Turns:
    """The turns of one ``send_many``, of which one at a time is reserved.

    :param rate: what gives them; ``None`` where nobody has to ask
    :param come_back: called when it is its turn, if it was not when it asked
    :ivar due: when the next turn is, or ``None`` if none is reserved: who uses it says so
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, rate: TokenBucket | None, come_back: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._rate = rate
        self._come_back = come_back
        self.due: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def is_due(self) -> bool:
        """Whether the next message may go now."""
        rate = self._rate
        assert rate is not None
        now = self._loop.time()
        if self.due is None or now - self.due > rate.interval:  # what was not used is not made up for
            self.due = now + rate.reserve(now)
        if self.due <= now:
            return True
        if self._timer is None:
            self._timer = self._loop.call_at(self.due, self._on_due)
        return False

    def give_back(self) -> None:
        """No message goes any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.due is not None:
            assert self._rate is not None
            self._rate.cancel(self.due)
            self.due = None

    def _on_due(self) -> None:
        self._timer = None
        self._come_back()
