"""What became of messages, written down many at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from ..outbox import Again, Done, Entry, Failed, Held, Outcome
from .ledger import Part, RedisLedger
from .messages import to_message
from .queue import LOSSES, PAUSE, Queue

__all__ = ("Record", "Records", "record_of")

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


def record_of(queue: Queue, identifier: bytes, entry: Entry, outcomes: Sequence[Outcome]) -> Record:
    """The record of an attempt.

    The first of the outcomes that something follows from goes on with the identifier and the content of the
    entry; the others get identifiers and copies of their own.

    :param queue: the outbox
    :param identifier: that of the message in the stream
    :param entry: what was sent
    :param outcomes: what comes next
    """
    parts: list[Part] = []
    for outcome in outcomes:
        if not isinstance(outcome, Done):
            parts.append(_part(queue, entry, outcome, apart=bool(parts)))
    return Record(identifier, parts, None if parts else entry.body)


def _part(queue: Queue, entry: Entry, outcome: Again | Failed | Held, *, apart: bool) -> Part:
    following = entry.for_next(outcome, apart=apart)
    if apart and entry.body is not None and following.body is not None and queue.bodies is not None:
        try:
            queue.bodies.copy(entry.body, following.body)
        except OSError as error:
            logger.warning("The content %s cannot be copied: %s", entry.body, error)
    what, seconds = "dead", 0.0
    if isinstance(outcome, Again):
        what, seconds = "again", outcome.after
    elif isinstance(outcome, Held):
        what = "held"
    return what, following.id, seconds, to_message(queue.broker, following), outcome.reason
