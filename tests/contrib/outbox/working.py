"""How the tests of the queue have a worker send, and know when it is done."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError

from aiosmtplib import Envelope, SendResult, SMTPPool
from aiosmtplib.contrib.outbox import Entry, Outcome, Policy
from aiosmtplib.contrib.taskiq import Outbox, Worker

from ...support.clients import options_for
from ...support.scripted_server import PATIENCE, Peer

__all__ = ("QUICK", "Seen", "letter", "until", "working")

#: A policy with delays that a test can wait for.
QUICK = Policy(delays=(0.01,), soon=(0.01,), greylisted_after=0.01, jitter=0)


def letter(number: int = 0, *recipients: str, **options: Any) -> Envelope:
    everyone = recipients or ("you@example.com",)
    return Envelope("me@example.com", everyone, b"X-Number: %d\r\nDate: x\r\n\r\nHi\r\n" % number, **options)


class Seen:
    """What a worker told of its messages."""

    def __init__(self) -> None:
        self.outcomes: list[tuple[Entry, SendResult[Any] | None, Sequence[Outcome]]] = []
        self._changed = asyncio.Event()

    def __call__(self, entry: Entry, result: SendResult[Any] | None, outcomes: Sequence[Outcome]) -> None:
        self.outcomes.append((entry, result, outcomes))
        self._changed.set()

    def kinds(self) -> list[str]:
        return [type(each).__name__ for _, _, outcomes in self.outcomes for each in outcomes]

    async def until(self, number: int) -> None:
        """Wait until there are so many."""
        while len(self.outcomes) < number:
            self._changed.clear()
            await asyncio.wait_for(self._changed.wait(), PATIENCE)


async def until(outbox: Outbox, condition: Callable[[Any], bool]) -> Any:
    """The status of an outbox, as soon as it is as wanted: Redis tells nobody when that is."""
    for _ in range(int(PATIENCE / 0.02)):
        with contextlib.suppress(RedisConnectionError):  # where a test has it start again
            status = await outbox.status()
            if condition(status):
                return status
        await asyncio.sleep(0.02)
    raise AssertionError(await outbox.status())


@asynccontextmanager
async def working(
    outbox: Outbox, peer: Peer, *, stop: bool = True, pool: Any = None, **options: Any
) -> AsyncIterator[tuple[Worker, Seen]]:
    """A worker that sends while the block runs, and is stopped after it.

    :param stop: whether it is stopped, or else cancelled
    """
    seen = Seen()
    given = {"policy": QUICK, "on_outcome": seen, **options}
    async with SMTPPool(**options_for(peer, **(pool or {}))) as connections:
        worker = Worker(outbox, connections, **given)
        task = asyncio.ensure_future(worker.run())
        try:
            yield worker, seen
        finally:
            if stop:
                worker.stop()
            else:
                task.cancel()
                await connections.aclose(0)
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()
