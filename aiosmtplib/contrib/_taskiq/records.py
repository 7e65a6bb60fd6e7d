"""What became of messages, written down many at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from .ledger import Part, RedisLedger
from .queue import LOSSES, PAUSE, Queue

__all__ = ("Record", "Records")

logger = logging.getLogger("aiosmtplib.outbox")

#: So many are written down at once at most: a script takes some thousand arguments.
BATCH: Final = 200
#: Seconds for which others may join the first of a batch.
LINGER: Final = 0.01


class Record(NamedTuple):
    """What became of a message.

    :ivar id: its identifier in the stream
    :ivar parts: what comes next
    :ivar body: the name of its content, if nobody needs that any more
    """

    id: bytes
    parts: Sequence[Part] = ()
    body: str | None = None


class Records:
    """The records that are to be written.

    :param queue: the outbox
    :param on_written: called with the identifier of each message, once that is written down
    """

    def __init__(self, queue: Queue, on_written: Callable[[bytes], object]) -> None:
        self._queue = queue
        self._on_written = on_written
        self._ledger = RedisLedger(queue, "")
        self._waiting: list[Record] = []
        self._changed = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self._closed = False

    def add(self, record: Record) -> None:
        """Have a record written."""
        self._waiting.append(record)
        self._changed.set()
        self._empty.clear()

    async def write(self) -> None:
        """Write what is added, until :meth:`close`, which goes with cancelling it: redis-py can lose that."""
        while not self._closed:
            await self._changed.wait()
            if len(self._waiting) < BATCH:
                await asyncio.sleep(LINGER)
            batch = self._waiting[:BATCH]
            done = [record.id for record in batch if not record.parts]
            others = [(record.id, record.parts) for record in batch if record.parts]
            try:
                await self._ledger.finish(done, others)
            except LOSSES:
                await asyncio.sleep(PAUSE)
                continue
            for record in batch:
                self._on_written(record.id)
                await self._remove(record.body)
            del self._waiting[: len(batch)]
            if not self._waiting:
                self._changed.clear()
                self._empty.set()

    async def _remove(self, body: str | None) -> None:
        bodies = self._queue.bodies
        if body is not None and bodies is not None:
            try:
                await asyncio.to_thread(bodies.remove, body)
            except OSError as error:
                logger.warning("The content %s cannot be removed: %s", body, error)

    def close(self) -> None:
        """Write no more."""
        self._closed = True

    async def written(self) -> None:
        """Wait until all is written."""
        await self._empty.wait()
