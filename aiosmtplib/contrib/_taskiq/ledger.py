"""The ledger in Redis: the pending entries of the consumer group, and marks for content on its way."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..outbox import Stage
from . import scripts
from .queue import GROUP, Queue

__all__ = ("RedisLedger",)

#: What comes next for a part of a message: ``"again"``, ``"off"`` (put off before it was sent), ``"held"`` or
#: ``"dead"``; the identifier of the entry, seconds, the message, and the reason (of ``"off"``, the worker).
Part = tuple[str, str, float, bytes, str]


class RedisLedger:
    """A :class:`~aiosmtplib.contrib.outbox.Ledger` in Redis, by the identifiers of messages in the stream.

    :param queue: the outbox
    :param name: the name of the worker
    """

    def __init__(self, queue: Queue, name: str) -> None:
        self.name = name
        self._queue = queue
        self._redis = queue.redis
        self._under_way = self._redis.register_script(scripts.UNDER_WAY)
        self._finish = self._redis.register_script(scripts.FINISH)

    async def begun(self, ids: Sequence[str | bytes]) -> None:
        """Nothing has to be written: what a worker reads is pending in its name."""

    async def under_way(self, ids: Sequence[str | bytes]) -> None:
        """The content of these may be on its way from now on.

        :raises LookupError: if the worker was given up, and others have what it had
        """
        keys = self._queue.keys
        if not await self._under_way(keys=[keys.workers, keys.ledger], args=[self.name, *ids]):
            raise LookupError("This worker was silent for too long: others have its messages")

    async def recorded(self, ids: Sequence[str | bytes]) -> None:
        """These are done."""
        await self.finish(ids, [])

    async def finish(
        self, done: Sequence[str | bytes], others: Iterable[tuple[str | bytes, Sequence[Part]]]
    ) -> None:
        """Write down what became of messages, and what comes next. It does not matter if that is repeated.

        :param done: those of which nothing is left
        :param others: the others, with what comes next for them
        """
        keys = self._queue.keys
        arguments: list[Any] = [GROUP, len(done), *done]
        for identifier, parts in others:
            arguments += [identifier, len(parts)]
            for part in parts:
                arguments += part
        places = [keys.later, keys.waiting, keys.held, keys.dead, keys.reasons]
        await self._finish(keys=[keys.stream, keys.ledger, *places, keys.workers], args=arguments)

    async def stage(self, identifier: str | bytes) -> Stage | None:
        """How far the last attempt got; ``None`` if no worker has had it."""
        keys = self._queue.keys
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hexists(keys.ledger, identifier)
        pipeline.xpending_range(keys.stream, GROUP, identifier, identifier, 1)
        pipeline.xrange(keys.stream, identifier, identifier)
        marked, pending, there = await pipeline.execute()
        if pending:
            return Stage.UNDER_WAY if marked else Stage.BEGUN
        return None if there else Stage.RECORDED
