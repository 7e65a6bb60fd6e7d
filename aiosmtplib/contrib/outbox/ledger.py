"""The ledger of attempts: what is known of a message when the worker that had it died."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Protocol

__all__ = ("Ledger", "Stage")


@enum.unique
class Stage(enum.Enum):
    """How far an attempt to send a message got, as far as it was written down.

    ``BEGUN``
        A worker has the message. Nothing of its content was written: it can be sent again.
    ``UNDER_WAY``
        Its content may have been written, also as a whole: what became of it is unknown.
    ``RECORDED``
        What became of it is known, and what comes next has been arranged.
    """

    BEGUN = "begun"
    UNDER_WAY = "under way"
    RECORDED = "recorded"


class Ledger(Protocol):
    """Where a worker writes down how far its attempts got, so that it outlives the worker.

    Nothing of the content of a message may be written to a server before :meth:`under_way` has returned.
    """

    async def begun(self, ids: Sequence[str]) -> None:
        """A worker has taken these messages from the queue."""
        ...

    async def under_way(self, ids: Sequence[str]) -> None:
        """The content of these may be on its way from now on."""
        ...

    async def recorded(self, ids: Sequence[str]) -> None:
        """What became of these is known, and what comes next has been arranged."""
        ...

    async def stage(self, identifier: str) -> Stage | None:
        """How far the last attempt got; ``None`` if no worker has had it."""
        ...
