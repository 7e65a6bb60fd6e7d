"""The queue of an outbox on Redis: messages are put into it here."""

from __future__ import annotations

import asyncio
import dataclasses
import tempfile
import uuid
from collections.abc import AsyncIterable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from taskiq_redis import RedisStreamBroker

from ..._client.results import Envelope
from ..outbox import INLINE_LIMIT, BodyStore, Entry, prepare
from . import scripts
from .messages import to_message
from .scripts import Keys

if TYPE_CHECKING:
    import email.message

__all__ = ("GROUP", "LOSSES", "Queue")

#: The consumer group of the workers.
GROUP = "aiosmtplib"
#: What means that the server cannot be reached now, or is loading its data.
LOSSES = (RedisConnectionError, RedisTimeoutError, OSError)
#: So many messages go to the server at once, or so many octets of content, unless one alone is larger.
BATCH, MAX_BYTES = 200, 1 << 20
#: Redis remembers a call for twice as long, in seconds.
MOST_PATIENCE = 300
#: Seconds before it is tried again to reach the server.
PAUSE = 0.2


class Queue:
    """The queue of an outbox on Redis Streams, through the broker of taskiq.

    :param url: where Redis is, as redis-py takes it
    :param name: the name of the outbox, with which all keys in Redis begin
    :param bodies: where contents of more than 256 KiB are kept; workers have to reach the same
    :param max_size: how many octets a message may have
    :param patience: seconds for which enqueueing tries again while Redis cannot be reached, up to 300
    :param options: more options of :class:`taskiq_redis.RedisStreamBroker`, and of connections of redis-py
    :raises ValueError: if ``patience`` is out of its range, or the URL is none of Redis
    """

    def __init__(
        self,
        url: str = "redis://localhost:6379",
        *,
        name: str = "aiosmtplib",
        bodies: BodyStore | None = None,
        max_size: int | None = None,
        patience: float = 30,
        **options: Any,
    ) -> None:
        if not 0 <= patience <= MOST_PATIENCE:
            raise ValueError(f"patience is a number of seconds from 0 to {MOST_PATIENCE}, not {patience}")
        self.name = name
        self.bodies = bodies
        self.keys = Keys.of(name)
        self.broker = RedisStreamBroker(
            url,
            **{
                # A command that was lost may have run: those are repeated for which that does not matter.
                "retry": Retry(NoBackoff(), 0),
                **options,
                "queue_name": self.keys.stream,
                "consumer_group_name": GROUP,
                "consumer_id": "0",
            },
        )
        self.redis: Any = Redis(connection_pool=self.broker.connection_pool)
        self._max_size = max_size
        self._patience = patience
        self._enqueue = self.redis.register_script(scripts.ENQUEUE)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    async def enqueue(self, envelope: Envelope | email.message.EmailMessage | email.message.Message) -> str:
        """Check a message and put it into the queue.

        :param envelope: an envelope, also with an asynchronous stream, or a message object
        :return: the identifier of its entry
        :raises ValueError: if it cannot be sent as it is
        :raises TypeError: if something is of the wrong type
        :raises redis.exceptions.RedisError: if Redis cannot be reached; the message may be in the queue
        """
        (identifier,) = await self.enqueue_many([envelope])
        return identifier

    async def enqueue_many(
        self, envelopes: Iterable[Envelope | email.message.EmailMessage | email.message.Message]
    ) -> list[str]:
        """Check messages, and put them into the queue many at a time.

        If one of them cannot be sent, none is put there.

        :param envelopes: envelopes or message objects
        :return: the identifiers of their entries, in the same order
        :raises ValueError: if one cannot be sent as it is
        :raises TypeError: if something is of the wrong type
        :raises redis.exceptions.RedisError: if Redis cannot be reached; some may be in the queue
        """
        entries: list[Entry] = []
        try:
            for envelope in envelopes:
                entries.append(await self._prepared(envelope))
        except BaseException:
            await self.remove_bodies(entries)
            raise
        for batch in _batches(entries):
            await self._put(batch)
        return [entry.id for entry in entries]

    async def remove_bodies(self, entries: Sequence[Entry]) -> None:
        """Remove the contents of entries from the store."""
        for entry in entries:
            if entry.body is not None and self.bodies is not None:
                await asyncio.to_thread(self.bodies.remove, entry.body)

    async def _prepared(self, envelope: Any) -> Entry:
        message: Any = envelope.message if isinstance(envelope, Envelope) else envelope
        options: dict[str, Any] = {"bodies": self.bodies, "max_size": self._max_size}
        if isinstance(message, AsyncIterable):
            with tempfile.SpooledTemporaryFile(INLINE_LIMIT) as file:
                async for piece in message:
                    file.write(piece)
                file.seek(0)
                read = dataclasses.replace(envelope, message=file)
                return await asyncio.to_thread(prepare, read, **options)
        if self.bodies is None or (isinstance(message, str | bytes) and len(message) < INLINE_LIMIT):
            return prepare(envelope, **options)
        return await asyncio.to_thread(prepare, envelope, **options)

    async def _put(self, entries: Sequence[Entry]) -> None:
        call = f"{self.keys.call}:{uuid.uuid4().hex}"
        messages = [to_message(self.broker, entry) for entry in entries]
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience
        while True:
            try:
                await self._enqueue(keys=[call, self.keys.stream], args=messages)
                return
            except LOSSES as error:
                if loop.time() >= until or isinstance(error, AuthenticationError):
                    raise
            await asyncio.sleep(PAUSE)

    async def aclose(self) -> None:
        """Close the connections to Redis."""
        await self.broker.shutdown()


def _batches(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Entries that go to the server together."""
    batch: list[Entry] = []
    octets = 0
    for entry in entries:
        size = 0 if entry.body is not None else entry.size
        if batch and (len(batch) >= BATCH or octets + size > MAX_BYTES):
            yield batch
            batch, octets = [], 0
        batch.append(entry)
        octets += size
    if batch:
        yield batch
