"""The number of connections that a pool may have: ``max_connections``, or fewer if the server allows fewer.

A server that limits the connections of a client greets one too many with 421 (RFC 5321 section 4.2.3), or
does not accept it; it announces the limit nowhere. So an attempt that fails while there are other connections
is taken for that limit, and their number for its value. Such limits are often per minute or shared with other
clients, so one connection more is tried after a pause, which doubles with each attempt that fails.

An attempt that fails without other connections says nothing of a limit. Then one connection at a time is
tried until one is opened, rather than all of them against a server that is down.
"""

from __future__ import annotations

import math

from .connection import Client, PooledConnection

__all__ = ("ConnectionLimit",)

#: The pause in seconds before one connection more is tried: the first, and the longest.
FIRST_PAUSE = 5.0
LAST_PAUSE = 300.0


def check_limits(
    max_connections: int, max_messages: int | None, max_age: float | None, idle_timeout: float | None
) -> None:
    """Check the limits that a pool is given.

    :raises ValueError: if a number is not positive
    """
    for name, number, least in (
        ("max_connections", max_connections, "at least 1"),
        ("max_messages", max_messages, "at least 1, or None"),
        ("max_age", max_age, "more than 0 seconds, or None"),
        ("idle_timeout", idle_timeout, "more than 0 seconds, or None"),
    ):
        if number is not None and not number > 0:  # also where it is NaN
            raise ValueError(f"{name} must be {least}, not {number!r}")


class ConnectionLimit:
    """The number of connections allowed, and the time at which one more may be tried.

    :param most: the maximum, ``max_connections``
    :ivar allowed: how many connections there may be now
    :ivar retry_at: when one more may be tried, in seconds; infinity if none is to be, or one is being tried
    :ivar trial: the connection more that is being tried, or ``None``
    """

    __slots__ = ("_most", "_pause", "_probing", "allowed", "retry_at", "trial")

    def __init__(self, most: int) -> None:
        self._most = most
        self._probing = False
        self._pause = FIRST_PAUSE
        self.allowed = most
        self.retry_at = math.inf
        self.trial: object = None

    def grow(self, now: float) -> bool:
        """Allow one connection more if :attr:`retry_at` is reached.

        :return: whether it was; the caller then opens the connection and assigns it to :attr:`trial`
        """
        if now < self.retry_at:
            return False
        self.allowed += 1
        self.retry_at = math.inf
        return True

    def succeeded(self, pooled: PooledConnection[Client], now: float) -> None:
        """Note that a connection was opened."""
        if self._probing:
            self._probing = False
            self.allowed = self._most
        if pooled is self.trial:
            self.trial = None
            self._pause = FIRST_PAUSE
            if self.allowed < self._most:
                self._wait(now)

    def failed(self, pooled: PooledConnection[Client], others: int, now: float) -> None:
        """Note that a connection could not be opened.

        :param others: how many other connections there are
        """
        if pooled is self.trial:
            self.trial = None
        if others:
            self.allowed = others
            # Of several that fail together only the first sets the pause, or it would double with each.
            if self.trial is None and self.retry_at == math.inf:
                self._wait(now)
        else:
            self._probing = True
            self.allowed = 1
            self._pause = FIRST_PAUSE
            self.retry_at = math.inf

    def _wait(self, now: float) -> None:
        self.retry_at = now + self._pause
        self._pause = min(2 * self._pause, LAST_PAUSE)
