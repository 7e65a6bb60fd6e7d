"""What a pool counts: the messages that are over, by verdict."""

from __future__ import annotations

from ..status import Delivery

__all__ = ("MessageCounts",)


class MessageCounts:
    """How many messages there were, by verdict, and the size of their content."""

    def __init__(self) -> None:
        self.sent = self.refused = self.unknown = self.bytes = 0

    def delivered(self, octets: int) -> None:
        """Count a message that was accepted."""
        self.sent += 1
        self.bytes += octets

    def finished(self, delivery: Delivery, octets: int) -> None:
        """Count a message, once, by verdict and size of content. ``NOT_SENT`` is none: it may be retried."""
        self.sent += delivery is Delivery.DELIVERED
        self.refused += delivery is Delivery.REJECTED
        self.unknown += delivery is Delivery.UNKNOWN
        if delivery is not Delivery.NOT_SENT:
            self.bytes += octets
