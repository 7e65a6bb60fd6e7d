"""What a pool counts: the messages that are over, by verdict."""

from __future__ import annotations

from typing import Final

from ..status import Delivery

__all__ = ("MessageCounts",)


# To find a member by its name in the class takes long.
_SENT: Final = Delivery.DELIVERED
_REFUSED: Final = Delivery.REJECTED
_UNKNOWN: Final = Delivery.UNKNOWN
_NONE: Final = Delivery.NOT_SENT


class MessageCounts:
    """How many messages there were, by verdict, and the size of their content."""

    def __init__(self) -> None:
        self.sent = self.refused = self.unknown = self.bytes = 0

    def finished(self, delivery: Delivery, octets: int) -> None:
        """Count a message, once, by verdict and size of content. ``NOT_SENT`` is none: it may be retried."""
        self.sent += delivery is _SENT
        self.refused += delivery is _REFUSED
        self.unknown += delivery is _UNKNOWN
        if delivery is not _NONE:
            self.bytes += octets
