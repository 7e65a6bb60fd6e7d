"""So many messages per second, evenly: what ``SMTPPool(rate=...)`` asks before each message.

Providers count per second or per minute, and punish bursts. So the bucket holds one token: permissions are at
least ``1 / rate`` seconds apart, and what was not used in a quiet hour is not made up for.

The time is a parameter, in seconds of any clock that does not go back. Nothing here sleeps.
"""

import heapq
import math

__all__ = ("TokenBucket",)


class TokenBucket:
    """Permissions to send, at equal distances.

    :param rate: permissions per second
    :ivar interval: seconds between two of them
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
        """Take the next permission.

        They are given in the order of the calls. One that was given back goes to the next caller, which may
        then come before others that wait, but makes none of them wait longer.

        :return: seconds from ``now`` until the permission holds
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

        :param due: when it would have held: the ``now`` of :meth:`reserve` plus its result
        """
        heapq.heappush(self._given_back, due)
