"""Many workers of an outbox beside relays with limits, simulated: what 1, 10 and 100 of them get done.

``python -m benchmarks.outbox_simulation`` prints a table; ``check`` runs real workers beside it, with a Redis
and a relay of its own. The events are discrete and no time passes, so hours take seconds. What comes next for
a message is asked of the real :class:`~aiosmtplib.contrib.outbox.Policy`. The same seed gives the same table.
"""

import argparse
import heapq
import itertools
import random
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from aiosmtplib import Delivery, Envelope, SendResult, SMTPConnectError, SMTPResponse, SMTPServerDisconnected
from aiosmtplib.contrib.outbox import Again, Done, Entry, Failed, Held, Policy

__all__ = ("Counts", "World", "fate", "main", "simulate")

#: So many messages are taken from the queue at once, and so many may be in the hands of a worker.
BATCH, WINDOW = 64, 128
#: Seconds that a worker waits if it cannot reach the relay: at first, and at most.
COOL, COLDEST = 0.1, 5.0
#: Seconds after which a pool tries one connection more than the relay allowed: at first, and at most.
FIRST_PAUSE, LAST_PAUSE = 5.0, 300.0

GREYLISTED = SMTPResponse(451, "4.7.1 Greylisted")
LATER = SMTPResponse(451, "4.3.2 Later")
NEVER = SMTPResponse(550, "5.1.1 Nobody here")


@dataclass(frozen=True, kw_only=True)
class World:
    """What is simulated. All times are in seconds.

    :ivar messages: how many are enqueued at the start
    :ivar workers: how many send them
    :ivar connections: how many each of them opens at most
    :ivar policy: what comes next for a message
    :ivar rate: messages a second, over all workers
    :ivar relay_connections: how many the relay allows, over all workers
    :ivar service: for which the relay works on a message that it accepts
    :ivar connecting: for which a connection is opened
    :ivar greylisted: the part of the messages that are refused at first
    :ivar greylisting: for how long
    :ivar temporary: the part that is refused for now, two times each
    :ivar permanent: the part that is refused for ever
    :ivar outages: when the relay is away, as pairs of start and length
    :ivar starting: between the starts of two workers
    :ivar worker_seconds: CPU time of a worker for a message
    :ivar redis_seconds: time of Redis for a message
    """

    messages: int = 50_000
    workers: int = 1
    connections: int = 10
    policy: Policy = field(default_factory=Policy)
    rate: float | None = None
    relay_connections: int = 200
    service: float = 0.05
    connecting: float = 0.01
    greylisted: float = 0.0
    greylisting: float = 60.0
    temporary: float = 0.0
    permanent: float = 0.0
    outages: Sequence[tuple[float, float]] = ()
    starting: float = 0.1
    worker_seconds: float = 0.0005
    redis_seconds: float = 0.000045
    seed: int = 1


@dataclass
class Counts:
    """What happened.

    :ivar answered: attempts that the relay answered
    :ivar not_sent: attempts that came to no connection
    :ivar unknown: attempts that were cut off
    :ivar opened: connections that were opened
    :ivar turned_away: connections that the relay did not allow, or that came while it was away
    :ivar most: connections at once, at most
    :ivar times: when each message was accepted
    :ivar seconds: until the last message was settled
    """

    delivered: int = 0
    failed: int = 0
    held: int = 0
    answered: int = 0
    not_sent: int = 0
    unknown: int = 0
    opened: int = 0
    turned_away: int = 0
    most: int = 0
    times: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def until(self, part: float) -> float:
        """When this part of the messages that were delivered had been."""
        return self.times[max(round(part * len(self.times)) - 1, 0)] if self.times else 0.0


def fate(world: World, number: int) -> str:
    """What the relay makes of a message of this number: the same in the simulation and in a real relay."""
    place = random.Random(f"{world.seed} {number}").random()
    for name in ("greylisted", "temporary", "permanent"):
        place -= getattr(world, name)
        if place < 0:
            return name
    return "accepted"


class Judge:
    """The relay's opinion of messages."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen: dict[int, float] = {}
        self._refused: dict[int, int] = {}

    def reply(self, number: int, now: float) -> SMTPResponse | None:
        """The refusal of a recipient of this number, if it is refused."""
        what = fate(self._world, number)
        if what == "greylisted":
            since = self._seen.setdefault(number, now)
            return GREYLISTED if now - since < self._world.greylisting else None
        if what == "temporary":
            times = self._refused[number] = self._refused.get(number, 0) + 1
            return LATER if times <= 2 else None
        return NEVER if what == "permanent" else None


class SimulatedWorker:
    """A worker, and its pool."""

    def __init__(self, world: World) -> None:
        self.hand: deque[Entry] = deque()
        self.connections = 0
        self.opening = 0
        self.allowed = world.connections
        self.pause = FIRST_PAUSE
        self.cool = self.cool_until = 0.0
        self.free_at = 0.0
        #: What is on its way, each on a connection of its own.
        self.busy: dict[int, Entry] = {}


class Simulation:
    """A world, from the first message to the last."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.counts = Counts()
        self.now = 0.0
        self._dice = random.Random(world.seed)
        self._judge = Judge(world)
        self._numbers = itertools.count()
        self._events: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._queue = deque(self._entry(number) for number in range(world.messages))
        self._workers = deque(SimulatedWorker(world) for _ in range(world.workers))
        self._up = True
        self._connections = 0
        self._redis_free = self._next_slot = 0.0

    def run(self) -> Counts:
        """Have everything happen."""
        for start, length in self.world.outages:
            self._at(start, self._go_down)
            self._at(start + length, self._come_up)
        for place, worker in enumerate(self._workers):
            self._at(place * self.world.starting, self._work, worker)
        while self._events:
            self.now, _, event, arguments = heapq.heappop(self._events)
            event(*arguments)
        self.counts.times.sort()
        return self.counts

    def _at(self, moment: float, event: Callable[..., None], *arguments: Any) -> None:
        heapq.heappush(self._events, (moment, next(self._numbers), event, arguments))

    def _entry(self, number: int) -> Entry:
        envelope = Envelope("me@example.com", (f"{number}@example.com",), b"")
        return Entry(str(number), envelope, "", 0.0, 0)

    # -- the relay -----------------------------------------------------------------------------------

    def _go_down(self) -> None:
        self._up = False
        self._connections = 0
        for worker in self._workers:
            worker.connections = 0
            cut = list(worker.busy.values())
            worker.busy.clear()
            for entry in cut:  # the content was sent, and is being worked on
                self.counts.unknown += 1
                self._settle(entry, Delivery.UNKNOWN, error=SMTPServerDisconnected("Connection lost"))
            self._at(self.now, self._work, worker)

    def _come_up(self) -> None:
        self._up = True

    # -- a worker ------------------------------------------------------------------------------------

    def _work(self, worker: SimulatedWorker) -> None:
        if worker.cool_until > self.now:
            return
        if len(worker.hand) + len(worker.busy) <= WINDOW - BATCH:
            for _ in range(min(BATCH, len(self._queue))):
                worker.hand.append(self._queue.popleft())
        while worker.hand and len(worker.busy) < worker.connections:
            self._begin(worker, worker.hand.popleft())
        if worker.hand:
            # While none is open, one at a time is tried.
            room = 1 if worker.connections == 0 else worker.allowed - worker.connections
            while worker.opening < min(room, len(worker.hand)):
                worker.opening += 1
                self._at(self.now + self.world.connecting, self._connected, worker)

    def _connected(self, worker: SimulatedWorker) -> None:
        worker.opening -= 1
        if self._up and self._connections < self.world.relay_connections:
            self._connections += 1
            worker.connections += 1
            worker.cool = 0.0
            self.counts.opened += 1
            self.counts.most = max(self.counts.most, self._connections)
        else:
            self.counts.turned_away += 1
            if worker.connections:
                worker.allowed = worker.connections
                self._at(self.now + worker.pause, self._grow, worker)
                worker.pause = min(2 * worker.pause, LAST_PAUSE)
            else:
                self._give_up(worker)
        self._work(worker)

    def _grow(self, worker: SimulatedWorker) -> None:
        worker.allowed = min(max(worker.allowed, worker.connections + 1), self.world.connections)
        self._work(worker)

    def _give_up(self, worker: SimulatedWorker) -> None:
        """There is no connection: what the worker has is not sent, and it begins nothing for a while."""
        entries = list(worker.hand)
        worker.hand.clear()
        for entry in entries:
            self.counts.not_sent += 1
            self._settle(entry, Delivery.NOT_SENT, error=SMTPConnectError("Connection refused"))
        worker.cool = min(max(2 * worker.cool, COOL), COLDEST)
        worker.cool_until = self.now + worker.cool
        self._at(worker.cool_until, self._work, worker)

    def _begin(self, worker: SimulatedWorker, entry: Entry) -> None:
        # Redis, the CPU of the worker and the shared rate serve one message after the other.
        world = self.world
        self._redis_free = max(self._redis_free, self.now) + world.redis_seconds
        worker.free_at = max(worker.free_at, self.now) + world.worker_seconds
        moment = max(self._redis_free, worker.free_at)
        if world.rate is not None:
            moment = max(moment, self._next_slot)
            self._next_slot = moment + 1 / world.rate
        token = next(self._numbers)
        worker.busy[token] = entry
        self._at(moment, self._arrive, worker, token)

    def _arrive(self, worker: SimulatedWorker, token: int) -> None:
        entry = worker.busy.get(token)
        if entry is None:
            return  # the connection was lost
        reply = self._judge.reply(int(entry.id), self.now)
        seconds = self.world.service if reply is None else 0.0
        self._at(self.now + seconds, self._end, worker, token, reply)

    def _end(self, worker: SimulatedWorker, token: int, reply: SMTPResponse | None) -> None:
        entry = worker.busy.pop(token, None)
        if entry is None:
            return
        self.counts.answered += 1
        if reply is None:
            self.counts.times.append(self.now)
            self._settle(entry, Delivery.DELIVERED)
        else:
            self._settle(entry, Delivery.REJECTED, refused=dict.fromkeys(entry.recipients, reply))
        self._work(worker)

    def _settle(
        self,
        entry: Entry,
        delivery: Delivery,
        refused: dict[str, SMTPResponse] | None = None,
        error: Exception | None = None,
    ) -> None:
        result: SendResult[Any] = SendResult(0, entry.envelope, delivery, None, refused or {}, error)
        for outcome in self.world.policy.after(entry, result, now=self.now, chance=self._dice.random):
            self.counts.delivered += isinstance(outcome, Done)
            self.counts.failed += isinstance(outcome, Failed)
            self.counts.held += isinstance(outcome, Held)
            if isinstance(outcome, Again):
                self._at(self.now + outcome.after, self._due, entry.for_next(outcome))
            else:
                self.counts.seconds = self.now

    def _due(self, entry: Entry) -> None:
        self._queue.append(entry)
        for _ in range(len(self._workers)):  # in turns, as Redis serves those that wait for a message
            self._workers.rotate(-1)
            worker = self._workers[0]
            if not worker.hand and worker.cool_until <= self.now:
                self._work(worker)
                break


def simulate(world: World) -> Counts:
    """What happens in a world."""
    return Simulation(world).run()


#: The relay of a provider: it is greylisting, it refuses some, and it is away once for ten seconds.
PROVIDER = World(greylisted=0.05, temporary=0.02, permanent=0.01, outages=((30, 10),), starting=0.01)
#: Limits of the relay, how many workers there are, and what else differs.
SCENES: tuple[tuple[str, int, dict[str, Any]], ...] = (
    ("no limit", 1, {"relay_connections": 10_000}),
    ("no limit", 10, {"relay_connections": 10_000}),
    ("no limit", 100, {"relay_connections": 10_000}),
    ("200 connections", 10, {}),
    ("200 connections", 100, {}),
    ("200 connections, `max_connections=2`", 100, {"connections": 2}),
    ("20 connections", 10, {"relay_connections": 20}),
    ("20 connections, `max_connections=2`", 10, {"relay_connections": 20, "connections": 2}),
    ("`rate=200`", 1, {"rate": 200}),
    ("`rate=200`", 10, {"rate": 200}),
    ("`rate=200`, `max_connections=2`", 100, {"rate": 200, "connections": 2}),
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.outbox_simulation", description=__doc__)
    parser.add_argument("what", nargs="?", choices=("table", "check"), default="table")
    parser.add_argument("--messages", type=int, help="20,000, or 300 for check")
    parser.add_argument("--workers", type=int, nargs="+", help="only these; 1 2 3 4 for check")
    parser.add_argument("--seed", type=int, default=1, help="of all dice that are thrown")
    args = parser.parse_args(arguments)
    if args.what == "check":
        from . import outbox_simulation_check

        return outbox_simulation_check.check(args.messages or 300, args.workers or [1, 2, 3, 4], args.seed)
    print(
        "| workers | limit | messages a second | 99 % after | connections | turned away | attempts not sent |"
    )
    print("|--:|---|--:|--:|--:|--:|--:|")
    for name, workers, changes in SCENES:
        if args.workers and workers not in args.workers:
            continue
        counts = simulate(
            replace(PROVIDER, messages=args.messages or 20_000, workers=workers, seed=args.seed, **changes)
        )
        rate = len(counts.times) / 2 / counts.until(0.5)
        print(
            f"| {workers} | {name} | {rate:,.0f} | {counts.until(0.99):,.0f} s "
            f"| {counts.opened:,} | {counts.turned_away:,} | {counts.not_sent:,} |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
