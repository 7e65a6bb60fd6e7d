"""The outbox as people see it: how much is in it, and what is to be done with what waits for them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import AsyncIterator, Iterable
from typing import Any, Literal, NamedTuple, TypeAlias

from redis.exceptions import ResponseError

from ..outbox import Entry, PayloadError
from . import scripts
from .messages import from_message, to_message
from .queue import BATCH, GROUP, Queue

__all__ = ("Outbox", "OutboxStatus", "Place", "Stored")

#: Where an entry may wait: to be sent later, for a person, or for nothing because it has failed.
Place: TypeAlias = Literal["later", "held", "dead"]


class OutboxStatus(NamedTuple):
    """How many messages are where.

    :ivar queued: those that no worker has
    :ivar taken: those that workers have
    :ivar under_way: those among them whose content may be on its way
    :ivar later: those that are to be sent again later
    :ivar held: those that a person has to decide about
    :ivar dead: those that have failed, and what could not be read
    :ivar workers: the seconds since each worker was heard of, by name; ``None`` for one that has left
    """

    queued: int
    taken: int
    under_way: int
    later: int
    held: int
    dead: int
    workers: dict[str, float | None]


class Stored(NamedTuple):
    """An entry that waits.

    :ivar id: its identifier
    :ivar entry: what it is; ``None`` if it cannot be read
    :ivar reason: why it is there
    :ivar seconds: in how many seconds it is to be sent; ``None`` if it is not
    """

    id: str
    entry: Entry | None
    reason: str
    seconds: float | None = None


class Outbox(Queue):
    __doc__ = Queue.__doc__

    async def status(self) -> OutboxStatus:
        """How many messages are where.

        :raises redis.exceptions.RedisError: if Redis cannot be reached
        """
        keys = self.keys
        pipeline = self.redis.pipeline(transaction=True)
        pipeline.xlen(keys.stream)
        pipeline.hlen(keys.ledger)
        pipeline.zcard(keys.later)
        pipeline.hlen(keys.held)
        pipeline.hlen(keys.dead)
        pipeline.zrange(keys.workers, 0, -1, withscores=True)
        pipeline.time()
        length, marked, later, held, dead, workers, time_there = await pipeline.execute()
        now = _seconds(time_there)
        try:
            taken = (await self.redis.xpending(keys.stream, GROUP))["pending"]
        except ResponseError:  # there has been no worker yet
            taken = 0
        heard = {name.decode(): max(now - score, 0.0) if score else None for name, score in workers}
        return OutboxStatus(max(length - taken, 0), taken, marked, later, held, dead, heard)

    async def stored(self, place: Place, ids: Iterable[str] | None = None) -> AsyncIterator[Stored]:
        """The entries that wait in a place.

        :param place: ``"later"``, ``"held"`` or ``"dead"``
        :param ids: the identifiers of those that are asked for; ``None`` for all
        """
        keys = self.keys
        where = keys.waiting if place == "later" else getattr(keys, place)
        if ids is None:
            ids = [name.decode() async for name, _ in self.redis.hscan_iter(where, count=BATCH)]
        names = list(ids)
        for start in range(0, len(names), BATCH):
            some = names[start : start + BATCH]
            pipeline = self.redis.pipeline(transaction=False)
            pipeline.hmget(where, some)
            pipeline.hmget(keys.reasons, some)
            pipeline.zmscore(keys.later, some)
            pipeline.time()
            found, reasons, moments, time_there = await pipeline.execute()
            now = _seconds(time_there)
            for name, data, reason, moment in zip(some, found, reasons, moments, strict=True):
                if data is None:
                    continue
                try:
                    entry = from_message(self.broker, data)
                    text = entry.reason
                except PayloadError as error:
                    entry, text = None, str(error)
                seconds = max(moment - now, 0.0) if place == "later" and moment is not None else None
                yield Stored(name, entry, reason.decode() if reason is not None else text, seconds)

    async def retry(self, ids: Iterable[str] | None = None) -> list[str]:
        """Have sent now what has failed, as if it were new, or was to be sent later.

        What cannot be read stays where it is.

        :param ids: the identifiers of entries; ``None`` for all
        :return: those that are sent again
        """
        names = None if ids is None else list(ids)
        done = await self._put_back("dead", names)
        async for stored in self.stored("later", names):
            if await self.redis.zadd(self.keys.later, {stored.id: 0}, xx=True, ch=True):
                done.append(stored.id)
        return done

    async def release(self, ids: Iterable[str] | None = None) -> list[str]:
        """Have sent again what is held.

        :param ids: the identifiers of entries; ``None`` for all
        :return: those that are sent again
        """
        return await self._put_back("held", ids)

    async def hold(self, ids: Iterable[str] | None = None) -> list[str]:
        """Have what no worker has wait for a person.

        :param ids: the identifiers of entries; ``None`` for all
        :return: those that wait
        """
        names = None if ids is None else set(ids)
        keys, done = self.keys, []
        await self.broker.startup()  # without a group there is no way to know what a worker has
        later = self.redis.register_script(scripts.HOLD_LATER)
        async for stored in self.stored("later", names):
            if await later(keys=[keys.later, keys.waiting, keys.held], args=[stored.id]):
                done.append(stored.id)
        new = self.redis.register_script(scripts.HOLD_NEW)
        start = "-"
        while found := await self.redis.xrange(keys.stream, start, count=BATCH):
            start = f"({found[-1][0].decode()}"
            for identifier, content in found:
                try:
                    entry = from_message(self.broker, content.get(b"data"))
                except PayloadError:
                    continue  # a worker buries it
                if names is None or entry.id in names:
                    arguments = [GROUP, identifier, entry.id, content[b"data"]]
                    if await new(keys=[keys.stream, keys.held], args=arguments):
                        done.append(entry.id)
        return done

    async def discard(self, ids: Iterable[str] | None = None) -> list[str]:
        """Forget what is held or has failed, and remove its content from the store.

        :param ids: the identifiers of entries; ``None`` for all
        :return: those that are gone
        """
        names = None if ids is None else list(ids)
        done = []
        places: tuple[Place, ...] = ("held", "dead")
        for place in places:
            async for stored in self.stored(place, names):
                if await self.redis.hdel(getattr(self.keys, place), stored.id):
                    await self.redis.hdel(self.keys.reasons, stored.id)
                    done.append(stored.id)
                    if stored.entry is not None:
                        await self.remove_bodies([stored.entry])
        return done

    async def _put_back(self, place: Place, ids: Iterable[str] | None) -> list[str]:
        script = self.redis.register_script(scripts.PUT_BACK)
        keys, done = self.keys, []
        async for stored in self.stored(place, ids):
            if stored.entry is None:
                continue
            fresh: dict[str, Any] = {"created": time.time(), "attempts": 0, "unsent": 0}
            data = to_message(self.broker, dataclasses.replace(stored.entry, **fresh))
            arguments = [stored.id, data]
            if await script(keys=[getattr(keys, place), keys.stream, keys.reasons], args=arguments):
                done.append(stored.id)
        return done

    async def __aenter__(self) -> Outbox:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()


def _seconds(time_there: tuple[int, int]) -> float:
    """What TIME returns, as one number."""
    seconds, microseconds = time_there
    return seconds + microseconds / 1e6
