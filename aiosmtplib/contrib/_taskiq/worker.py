"""The worker: sends what is in the queue over one pool of connections.

It reads the stream itself, many messages at a time: the receiver of taskiq makes a task of each message. That
took 530 µs of CPU, several times what sending it takes. What is in the stream are messages of taskiq.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, Final

from redis.exceptions import AuthenticationError

from ..._client.results import Envelope, SendResult
from ...errors import SMTPException
from ...pool import SMTPPool, server_of
from ...status import Delivery
from ..outbox import Entry, Outcome, Policy
from .intake import Intake, Taken
from .ledger import RedisLedger
from .messages import to_message
from .queue import LOSSES, PAUSE, Queue
from .rates import AHEAD, SharedRates
from .records import Record, Records, record_of

__all__ = ("Worker",)

logger = logging.getLogger("aiosmtplib.outbox")

#: So many messages are marked in the ledger at once.
MARKED: Final = 64
#: Seconds to wait where the relay cannot be reached: at first, and at most.
COOL, COLDEST = 0.1, 5.0

#: Called with an entry, the result of its attempt (``None`` if its worker died), and what comes next.
OnOutcome = Callable[[Entry, SendResult[Any] | None, Sequence[Outcome]], object]


class Worker:
    """Sends the messages of an outbox over one pool. Any number of processes may each have one.

    >>> async with Outbox("redis://localhost") as outbox, SMTPPool("relay.example.com") as pool:
    ...     await Worker(outbox, pool, rate=200).run()

    :param outbox: the queue
    :param pool: the connections to the relay
    :param policy: what comes next for a message
    :param rate: messages a second to the relay, over all workers; ``None`` for no limit
    :param domain_rates: messages a second by domain of recipients, over all workers; ``"*"`` for each of the
        domains that are not named
    :param window: at most so many messages are on their way at once; of those that a dead worker had, so many
        count as ``UNKNOWN``
    :param lease: seconds after which a worker that is silent counts as dead, and others take what it had
    :param on_outcome: called before it is written down what comes next for a message, and so perhaps again by
        another worker: with its entry, the result, and the outcomes. The result is ``None`` if the worker
        that had it died. What it raises is logged.
    """

    def __init__(
        self,
        outbox: Queue,
        pool: SMTPPool,
        *,
        policy: Policy | None = None,
        rate: float | None = None,
        domain_rates: Mapping[str, float] | None = None,
        window: int = 128,
        lease: float = 30,
        on_outcome: OnOutcome | None = None,
    ) -> None:
        self.policy = policy or Policy()
        self._outbox = outbox
        self._pool = pool
        self._window = window
        self._on_outcome = on_outcome
        host, port = server_of(pool)
        self._rates = SharedRates(outbox, f"{host}:{port}", rate, domain_rates or {})
        self._intake = Intake(outbox, lease, self._bury, self._abandon)
        self._ledger = RedisLedger(outbox, "")
        self._records = Records(outbox, self._intake.finished)
        self._stopping = asyncio.Event()
        self._cool = self._cool_until = 0.0

    async def run(self) -> None:
        """Send messages until :meth:`stop` is called, and finish those that have begun.

        It waits for a Redis that cannot be reached, also at the start. If it is cancelled, what is on its way
        counts as ``UNKNOWN``, as if the process had died.

        :raises redis.exceptions.RedisError: if Redis refuses a command, or the login
        """
        while not await self._has_begun():
            if self._stopping.is_set():
                return
        work = self._send(), self._intake.read(), self._intake.keep_alive(self._join), self._records.write()
        tasks = [asyncio.ensure_future(each) for each in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._stopping.set()
            self._intake.close()
            self._records.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with contextlib.suppress(*LOSSES):
                await self._intake.leave()

    def stop(self) -> None:
        """Begin no more messages; :meth:`run` returns when those that have begun are finished."""
        self._stopping.set()
        self._intake.stop()

    async def _has_begun(self) -> bool:
        try:
            await self._outbox.broker.startup()
            await self._join()
        except AuthenticationError:
            raise
        except LOSSES as error:
            logger.warning("Redis cannot be reached: %s", error)
            await self._pause(1)
            return False
        return True

    async def _join(self) -> None:
        await self._intake.join()
        self._ledger = RedisLedger(self._outbox, self._intake.name)

    # -- sending -------------------------------------------------------------------------------------

    async def _send(self) -> None:
        async with self._pool.send_many(self._envelopes(), window=self._window) as results:
            async for result in results:
                self._settle(result)
        await self._records.written()

    async def _envelopes(self) -> AsyncIterator[Envelope]:
        now = asyncio.get_running_loop().time
        while not self._stopping.is_set():
            if self._cool_until > now():
                await self._pause(self._cool_until - now())
                continue
            for taken, moment in await self._ready():
                if moment > now():
                    await asyncio.sleep(moment - now())
                envelope = self._opened(taken)
                if envelope is not None:
                    yield envelope

    async def _ready(self) -> list[tuple[Taken, float]]:
        """Messages to send, each with its moment, once the ledger says that they are on their way."""
        taken = await self._intake.take(MARKED)
        timed = await self._timed(taken)
        if not timed:
            return []
        try:
            await self._ledger.under_way([each.id for each, _ in timed])
        except LookupError as error:
            logger.warning("%s", error)
            with contextlib.suppress(*LOSSES):
                await self._join()
            return []
        except LOSSES:
            self._intake.put_back([each for each, _ in timed])
            await self._pause(PAUSE)
            return []
        return timed

    async def _timed(self, taken: list[Taken]) -> list[tuple[Taken, float]]:
        """Those of the messages that may be sent soon, each with its moment. The others go back."""
        if not taken or not self._rates.limited:
            return [(each, 0.0) for each in taken]
        try:
            moments = await self._rates.moments([each.entry.recipients for each in taken])
        except LOSSES:
            self._intake.put_back(taken)
            await self._pause(PAUSE)
            return []
        now = asyncio.get_running_loop().time()
        self._intake.put_back(taken[len(moments) :])
        timed = []
        for each, moment in zip(taken, moments, strict=False):
            if moment < 0:
                data = to_message(self._outbox.broker, each.entry)
                part = ("off", each.entry.id, -moment, data, self._intake.name)
                self._records.add(Record(each.id, [part]))
            else:
                timed.append((each, now + moment))
        if not moments:
            await self._pause(AHEAD / 2)
        return sorted(timed, key=_moment)

    def _opened(self, taken: Taken) -> Envelope | None:
        """The envelope to send; ``None`` if its content cannot be read, which is settled then."""
        try:
            return taken.entry.to_send(self._outbox.bodies, tag=taken)
        except (OSError, ValueError) as error:
            missing = isinstance(error, FileNotFoundError | ValueError)
            failure: Exception = ValueError(f"Its content is not in the store: {error}") if missing else error
            envelope = Envelope("", (), b"", tag=taken)
            self._settle(SendResult(0, envelope, Delivery.NOT_SENT, None, {}, failure))
            return None

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    # -- what became of it ---------------------------------------------------------------------------

    def _settle(self, result: SendResult[Envelope]) -> None:
        taken: Taken = result.tag
        message: Any = result.item.message
        if hasattr(message, "close"):
            message.close()
        self._keep_cool(result)
        self._record(taken, result, self.policy.after(taken.entry, result))

    def _keep_cool(self, result: SendResult[Any]) -> None:
        """Begin no messages for a while if the relay cannot be reached."""
        now = asyncio.get_running_loop().time()
        if result.delivery is not Delivery.NOT_SENT:
            self._cool = self._cool_until = 0.0
        elif isinstance(result.error, SMTPException) and now >= self._cool_until:
            self._cool = min(max(2 * self._cool, COOL), COLDEST)
            self._cool_until = now + self._cool

    def _abandon(self, taken: Taken) -> None:
        """A worker died that had this message, whose content was on its way."""
        self._record(taken, None, self.policy.abandoned(taken.entry))

    def _bury(self, identifier: bytes, data: bytes, reason: str) -> None:
        """This cannot be read."""
        logger.warning("A message in the outbox cannot be read: %s", reason)
        self._records.add(Record(identifier, [("dead", identifier.decode(), 0, data, reason)]))

    def _record(self, taken: Taken, result: SendResult[Any] | None, outcomes: Sequence[Outcome]) -> None:
        entry = taken.entry
        if self._on_outcome is not None:
            try:
                self._on_outcome(entry, result, outcomes)
            except Exception:
                logger.exception("on_outcome")
        self._records.add(record_of(self._outbox, taken.id, entry, outcomes))


def _moment(timed: tuple[Taken, float]) -> float:
    return timed[1]
