"""How many connections the pool may have: what it was told, or fewer where the server allows fewer.

A server that has enough connections of a client greets the next one with 421 (RFC 5321 section 4.2.3), or
does not take it; nothing says beforehand how many are enough. So an attempt that fails beside others
is taken for that limit. Such limits are often per minute, or shared with others: one connection more is tried
after a pause, which doubles with each try in vain.

An attempt that fails with nothing beside it says nothing of a limit. Then one at a time is tried until one
succeeds, rather than all of them against a server that is down.
"""

import math

from .connection import Client, PooledConnection

__all__ = ("ConnectionLimit",)

#: Seconds before one connection more is tried: at first, and at most.
FIRST_PAUSE = 5.0
LAST_PAUSE = 300.0


class ConnectionLimit:
    """The number, and when it may grow.

    :ivar allowed: how many connections there may be now
    :ivar retry_at: when one more may be tried; infinity while nothing asks for that, or one is being tried
    :ivar trial: the one more that is being tried
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
        """Allow one more, if it is time to. The caller then opens it, and sets :attr:`trial`."""
        if now < self.retry_at:
            return False
        self.allowed += 1
        self.retry_at = math.inf
        return True

    def succeeded(self, slot: PooledConnection[Client], now: float) -> None:
        """A connection was opened."""
        if self._probing:
            self._probing = False
            self.allowed = self._most
        if slot is self.trial:
            self.trial = None
            self._pause = FIRST_PAUSE
            if self.allowed < self._most:
                self._wait(now)

    def failed(self, slot: PooledConnection[Client], others: int, now: float) -> None:
        """A connection could not be opened, beside ``others``."""
        if slot is self.trial:
            self.trial = None
        if others:
            self.allowed = others
            # Several that fail together are one sign, not several.
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
