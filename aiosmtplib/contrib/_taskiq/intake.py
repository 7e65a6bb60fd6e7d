"""What a worker takes: new messages, those that are due again, and what other workers left behind."""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from redis.exceptions import ResponseError

from ..outbox import Entry, PayloadError
from . import scripts
from .messages import from_message
from .queue import GROUP, LOSSES, PAUSE, Queue

__all__ = ("Intake", "Taken")

#: So many messages are read, moved or taken over at once.
BATCH: Final = 128
#: Milliseconds for which Redis waits for a message.
BLOCK: Final = 1000
#: Seconds between two looks at what is due, at most.
TICK: Final = 0.25


class Taken(NamedTuple):
    """A message that a worker has.

    :ivar id: its identifier in the stream
    :ivar entry: what it is
    """

    id: bytes
    entry: Entry


class Intake:
    """What one worker takes from the queue.

    :param queue: the outbox
    :param lease: seconds after which a worker that is silent counts as dead
    :param on_damaged: called with what cannot be read: identifier, data and reason
    :param on_abandoned: called with messages whose content was on its way when their worker died
    """

    def __init__(
        self,
        queue: Queue,
        lease: float,
        on_damaged: Callable[[bytes, bytes, str], object],
        on_abandoned: Callable[[Taken], object],
    ) -> None:
        self.name = ""
        self._queue = queue
        if not lease > 0:
            raise ValueError(f"A lease is a positive number of seconds, not {lease}")
        self._lease = lease
        self._interval = min(TICK, lease / 8)
        self._on_damaged = on_damaged
        self._on_abandoned = on_abandoned
        self._taken: deque[Taken] = deque()
        #: What this worker has, in whatever state.
        self._in_hand: set[bytes] = set()
        #: What got out of its hands while it was asked what is pending.
        self._just_finished: set[bytes] = set()
        self._asking = False
        self._room = asyncio.Event()
        self._filled = asyncio.Event()
        self._stopping = self._closed = False
        self._tick = queue.redis.register_script(scripts.TICK)
        self._reclaim = queue.redis.register_script(scripts.RECLAIM)

    async def join(self) -> None:
        """Begin under a new name, with nothing in hand."""
        self.name = uuid.uuid4().hex
        self._taken.clear()
        self._in_hand.clear()
        self._room.set()
        await self._look(join=True)

    # -- for the sender ------------------------------------------------------------------------------

    async def take(self, most: int) -> list[Taken]:
        """At least one message, as soon as there is one; none after :meth:`stop`."""
        while not self._taken and not self._stopping:
            self._filled.clear()
            await self._filled.wait()
        taken = [] if self._stopping else [self._taken.popleft() for _ in range(min(most, len(self._taken)))]
        if len(self._taken) < BATCH:
            self._room.set()
        return taken

    def put_back(self, taken: list[Taken]) -> None:
        """Messages that were taken too early."""
        self._taken.extendleft(reversed(taken))
        self._filled.set()

    def stop(self) -> None:
        """Hand out no more."""
        self._stopping = True
        self._filled.set()

    def close(self) -> None:
        """Read no more, which goes with cancelling that: redis-py can lose it."""
        self._closed = True
        self.stop()

    def finished(self, identifier: bytes) -> None:
        """A message is out of the hands of this worker."""
        self._in_hand.discard(identifier)
        if self._asking:  # the answer may have been on its way before
            self._just_finished.add(identifier)

    # -- from Redis ----------------------------------------------------------------------------------

    async def read(self) -> None:
        """Read messages from the stream, until :meth:`close`."""
        lost = True
        while not self._closed:
            await self._room.wait()
            try:
                if lost:  # what was read and did not arrive is pending in the name of this worker
                    await self._read_pending()
                    lost = False
                await self._read(">", block=BLOCK)
            except LOSSES:
                lost = True
                await asyncio.sleep(PAUSE)
            except ResponseError as error:
                if not _is_gone(error):
                    raise
                await self._queue.broker.startup()  # Redis has lost its data, or somebody removed them

    async def _read_pending(self) -> None:
        start = b"0"
        self._asking = True
        try:
            while last := await self._read(start):
                start = last
        finally:
            self._asking = False
            self._just_finished.clear()

    async def _read(self, start: bytes | str, **options: Any) -> bytes | None:
        keys, name = self._queue.keys, self.name
        answer = await self._queue.redis.xreadgroup(GROUP, name, {keys.stream: start}, BATCH, **options)
        last = None
        if name != self.name:  # given up meanwhile: what it has just got is for others, too
            await self._queue.redis.zadd(keys.workers, {name: 0})
            return None
        for _, messages in answer:
            for last, content in messages:
                self._put(last, (content or {}).get(b"data"))
        return last

    def _put(self, identifier: bytes, data: bytes | None, *, marked: bool = False) -> None:
        if identifier in self._in_hand or identifier in self._just_finished:
            return
        self._in_hand.add(identifier)
        try:
            entry = from_message(self._queue.broker, data)
        except PayloadError as error:
            self._on_damaged(identifier, data or b"", str(error))
            return
        if marked:
            self._on_abandoned(Taken(identifier, entry))
            return
        self._taken.append(Taken(identifier, entry))
        self._filled.set()
        if len(self._taken) >= BATCH:
            self._room.clear()

    async def keep_alive(self, on_given_up: Callable[[], Awaitable[object]]) -> None:
        """Say that this worker lives, and take what is due and what dead workers had, until :meth:`close`.

        :param on_given_up: called when others have taken what this worker had
        """
        while not self._closed:
            try:
                if not await self._look():
                    await on_given_up()
            except LOSSES:
                pass  # it is tried again
            except ResponseError as error:
                if not _is_gone(error):  # :meth:`read` makes it
                    raise
            await asyncio.sleep(self._interval)

    async def _look(self, *, join: bool = False) -> bool:
        keys = self._queue.keys
        names = [keys.workers, keys.later, keys.waiting, keys.stream, keys.steady]
        moved, gone = await self._tick(keys=names, args=[self.name, self._lease, 2 * BATCH, int(join)])
        for name in gone:
            while await self._take_over(name):
                pass
        return bool(moved >= 0)

    async def _take_over(self, name: bytes) -> int:
        keys = self._queue.keys
        arguments = [GROUP, self.name, name, self._lease, BATCH]
        taken = await self._reclaim(keys=[keys.workers, keys.stream, keys.ledger], args=arguments)
        for identifier, content, marked in taken:
            found = dict(zip(content[::2], content[1::2], strict=True))
            self._put(identifier, found.get(b"data"), marked=bool(marked))
        return len(taken)

    async def leave(self) -> None:
        """Say that others may take at once what this worker still has."""
        await self._queue.redis.zadd(self._queue.keys.workers, {self.name: 0})


def _is_gone(error: ResponseError) -> bool:
    """Whether Redis says that there is no stream, or no group."""
    return str(error).startswith(("NOGROUP", "UNBLOCKED"))
