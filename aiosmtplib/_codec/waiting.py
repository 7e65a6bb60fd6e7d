"""The exchanges that wait for their turn on a connection, in order."""

from __future__ import annotations

from collections import deque
from typing import Any


class WaitingExchanges(deque[Any]):
    """The queue of a connection: exchanges that have not begun.

    A pipeline may be paused. Its exchanges keep their places, and those of others pass them.
    """

    def next(self) -> Any:
        """The exchange whose turn it is, or ``None`` if there is none that may begin at all."""
        for exchange in self:
            if not is_paused(exchange):
                return exchange
        return None

    def of(self, pipeline: object) -> list[Any]:
        """Those that share this pipeline."""
        return [exchange for exchange in self if exchange.pipeline is pipeline]


def is_paused(exchange: Any) -> bool:
    """Whether the pipeline of an exchange is paused. If so, it sees to it that the exchange begins later."""
    is_paused = getattr(exchange.pipeline, "is_paused", None)
    return is_paused is not None and is_paused()
