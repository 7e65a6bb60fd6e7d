"""A rate limit in messages per second, for ``SMTPPool(rate=...)``: a token bucket of capacity one.

Providers count messages per second or per minute, and penalize bursts. With a capacity of one, permissions
are at least ``1 / rate`` seconds apart, and time in which none was used is not made up for.

The time is a parameter: seconds of any monotonic clock. Nothing here sleeps.
"""

from __future__ import annotations

import heapq
import math

__all__ = ("TokenBucket",)


class TokenBucket:
    """Permissions to send one message each, at equal intervals.

    :param rate: permissions per second
    :ivar interval: seconds between two permissions
    :raises ValueError: if ``rate`` is not a positive number
    """

    __slots__ = ("_given_back", "_next", "interval")

    def __init__(self, rate: float) -> None:
        if not 0 < rate < math.inf:
            raise ValueError(f"rate must be a positive number of messages per second, not {rate!r}")
        self.interval = 1 / rate
        self._next = -math.inf
        self._given_back: list[float] = []

    def reserve(self, now: float) -> float:
        """Take the next permission, in the order of the calls.

        One that was given back (:meth:`cancel`) goes to the next caller. It may be due earlier than those
        of callers that already wait, and delays none of them.

        :return: seconds from ``now`` until the permission is due
        """
        while self._given_back:
            due = heapq.heappop(self._given_back)
            if due >= now:
                return due - now
        due = max(self._next, now)
        self._next = due + self.interval
        return due - now

    def cancel(self, due: float) -> None:
        """Give back a permission that was not used.

        :param due: when it is due: the ``now`` of :meth:`reserve` plus its result
        """
        heapq.heappush(self._given_back, due)
