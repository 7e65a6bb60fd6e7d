"""The outbox under faults: workers are killed, Redis and the relay are started again, and nothing is lost.

``make outbox`` runs all of it; ``make outbox ARGS="faults --messages 2000"`` only a part. It prints what was
counted beside what is asked for, and fails if one is missed.
"""

import argparse
import asyncio
import collections
import contextlib
import multiprocessing
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from aiosmtplib import Envelope, SMTPPool
from aiosmtplib.contrib.taskiq import Outbox, Worker
from tests.support.mta import free_ports
from tests.support.redis_server import RedisServer, why_no_redis

from . import outbox_worker
from .compare_servers import Missing, sink
from .soak import BODY, RECIPIENT, SENDER, Check, tell

__all__ = ("main",)

LEASE = 2.0


def letters(count: int) -> Iterator[Envelope]:
    for number in range(count):
        yield Envelope(SENDER, RECIPIENT, b"X-Number: %d\r\n" % number + BODY)


class Stage:
    """Redis, the relay and the workers of a campaign, with all that they write down in a folder."""

    def __init__(self, folder: Path, args: argparse.Namespace, *, moody: bool, **options: Any) -> None:
        self.redis = RedisServer(folder, fsync="always" if args.kill_redis else "everysec")
        self.ledger, self.log = folder / "taken", folder / "unknown"
        self.ledger.touch()
        self.log.touch()
        (self.port,) = free_ports(1)
        self.workers: list[Any] = []
        self._args = args
        self._mood = "moody" if moody else "kind"
        self._options = {"lease": LEASE, "rate": None, "unknown": args.unknown, **options}
        self._relays = 0
        self._relay: subprocess.Popen[bytes] | None = None

    def open_relay(self) -> None:
        self._relays += 1
        words = [str(self.port), str(self._args.seed + self._relays), str(self.ledger), self._mood]
        self._relay = subprocess.Popen([sys.executable, "-m", "benchmarks.outbox_relay", *words])

    def close_relay(self) -> None:
        if self._relay is not None:
            self._relay.kill()
            self._relay.wait()

    def add_worker(self) -> None:
        # From a process that has imported everything: on a busy machine that takes longer than they live.
        start = multiprocessing.get_context("forkserver")
        start.set_forkserver_preload(["benchmarks.outbox_worker"])
        words = (self.redis.url, self.port, str(self.log), self._options)
        worker = start.Process(target=outbox_worker.main, args=words)
        worker.start()
        self.workers.append(worker)

    def kill_worker(self, place: int) -> None:
        worker = self.workers.pop(place)
        worker.kill()
        worker.join()

    def count(self) -> int:
        """How many messages were taken."""
        return self.ledger.read_bytes().count(b"\n")

    def __enter__(self) -> "Stage":
        self.redis.start()
        self.open_relay()
        return self

    def __exit__(self, *exception: object) -> None:
        while self.workers:
            self.kill_worker(0)
        self.close_relay()
        self.redis.stop()


@contextlib.contextmanager
def stage(args: argparse.Namespace, **options: Any) -> Iterator[Stage]:
    reason = why_no_redis()
    if reason is not None:
        raise Missing(reason)
    with (
        tempfile.TemporaryDirectory(prefix="outbox-") as folder,
        Stage(Path(folder), args, **options) as made,
    ):
        yield made


async def patiently(outbox: Outbox) -> Any:
    """The status of an outbox whose Redis may be away."""
    while True:
        try:
            return await outbox.status()
        except Exception:
            await asyncio.sleep(0.1)


async def faults(args: argparse.Namespace) -> list[Check]:
    """Everything that can break does, while messages are sent."""
    dice = random.Random(args.seed)
    killed = 0
    with stage(args, moody=True) as scene:
        async with Outbox(scene.redis.url) as outbox:
            await outbox.enqueue_many(letters(args.messages))
            began = time.monotonic()
            for _ in range(args.workers):
                scene.add_worker()
            restarts = [(scene.redis, each) for each in range(1, args.redis_restarts + 1)]
            # Spread over the time that it will take, as far as that is known: by what was taken.
            redis_at = [args.messages * each // (args.redis_restarts + 1) for _, each in restarts]
            relay_at = [
                args.messages * each // (args.relay_restarts + 1) + 1
                for each in range(1, args.relay_restarts + 1)
            ]
            redis_done = relay_done = 0
            while True:
                await asyncio.sleep(1)
                taken = scene.count()
                if redis_at and taken >= redis_at[0]:
                    del redis_at[0]
                    redis_done += 1
                    scene.redis.stop(signal.SIGKILL if args.kill_redis else signal.SIGTERM)
                    await asyncio.sleep(dice.uniform(0, 1))
                    scene.redis.start()
                if relay_at and taken >= relay_at[0]:
                    del relay_at[0]
                    relay_done += 1
                    scene.close_relay()
                    await asyncio.sleep(dice.uniform(0, 1))
                    scene.open_relay()
                status = await patiently(outbox)
                print(f"faults: {taken} taken, {status}"[:150], file=sys.stderr, flush=True)
                if not (status.queued or status.taken or status.later):
                    break
                scene.kill_worker(dice.randrange(len(scene.workers)))
                scene.add_worker()
                killed += 1
            seconds = time.monotonic() - began
            dead = {number_of(each) async for each in outbox.stored("dead")}
            held = {number_of(each) async for each in outbox.stored("held")}
            reasons = collections.Counter([each.reason[:3] async for each in outbox.stored("dead")])
        lines = scene.ledger.read_text().splitlines()
        copies = collections.Counter(int(line.split()[0]) for line in lines)
        doubtful = collections.Counter(int(line.split()[0]) for line in scene.log.read_text().splitlines())
        ways = collections.Counter(line.split()[1] for line in scene.log.read_text().splitlines())
    lost = set(range(args.messages)) - copies.keys() - dead - held
    extra = {number: count - 1 for number, count in copies.items() if count > 1}
    unexplained = sum(count for number, count in extra.items() if count > doubtful[number])
    name = f"faults, {args.unknown}"
    return [
        Check(name, "messages, workers killed", f"{args.messages:,}, {killed}", "", True),
        Check(
            name,
            "Redis and relay started again",
            f"{redis_done}, {relay_done}",
            f"{args.redis_restarts}, {args.relay_restarts}",
            (redis_done, relay_done) == (args.redis_restarts, args.relay_restarts),
        ),
        Check(name, "lost", str(len(lost)), "0", not lost),
        Check(
            name,
            "duplicates",
            str(sum(extra.values())),
            "" if args.unknown == "again" else "0",
            args.unknown == "again" or not extra,
        ),
        Check(name, "of these without a doubt in the log", str(unexplained), "0", not unexplained),
        Check(name, "doubts: no reply, a dead worker", f"{ways['unknown']}, {ways['dead']}", "", True),
        Check(name, "refused for ever, held", f"{len(dead)}, {len(held)}", "", True),
        Check(
            name,
            "refusals that are not 55x",
            str(sum(reasons.values()) - reasons["550"] - reasons["552"]),
            "0",
            not set(reasons) - {"550", "552"},
        ),
        Check(name, "seconds", f"{seconds:.0f}", "", True),
    ]


def number_of(stored: Any) -> int:
    content: bytes = stored.entry.envelope.message
    return int(content.split(b"X-Number: ", 1)[1].split(b"\r", 1)[0])


async def calls(outbox: Outbox) -> int:
    """The commands that Redis has run, also in scripts, since it was asked last."""
    stats = await outbox.redis.info("commandstats")
    await outbox.redis.config_resetstat()
    return sum(each["calls"] for name, each in stats.items() if "config" not in name and "info" not in name)


async def work(outbox: Outbox, pool: SMTPPool, count: int) -> float:
    """Send so many messages with a worker: messages a second."""
    left = count

    def note(*_: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            worker.stop()

    worker = Worker(outbox, pool, on_outcome=note)
    began = time.perf_counter()
    await worker.run()
    return count / (time.perf_counter() - began)


async def speed(args: argparse.Namespace) -> list[Check]:
    """One worker beside the pool alone, in turns, and the commands of Redis that a message takes."""
    ratios, rates = [], []
    count, singles = args.speed_messages, 200
    together = alone = 0.0
    with sink() as port, stage(args, moody=False) as scene:
        options: dict[str, Any] = {"start_tls": False, "local_hostname": "me.example"}
        for _ in range(args.rounds):
            async with SMTPPool("127.0.0.1", port, **options) as pool:
                began = time.perf_counter()
                async for result in pool.send_many(letters(count)):
                    result.raise_for_status()
                rate = count / (time.perf_counter() - began)
            async with Outbox(scene.redis.url) as outbox, SMTPPool("127.0.0.1", port, **options) as pool:
                await calls(outbox)
                await outbox.enqueue_many(letters(count))
                rates.append((rate, await work(outbox, pool, count)))
                together = await calls(outbox) / count
                for envelope in letters(singles):
                    await outbox.enqueue(envelope)
                await work(outbox, pool, singles)
                alone = await calls(outbox) / singles
        ratios = [worker / rate for rate, worker in rates]
    best = ratios.index(max(ratios))
    return [
        Check("speed", "the pool alone, one worker", "{:,.0f}/s, {:,.0f}/s".format(*rates[best]), "", True),
        Check(
            "speed",
            "of the pool's rate, each time",
            ", ".join(f"{each:.2f}" for each in ratios),
            "≥ 0.5",
            ratios[best] >= 0.5,
        ),
        Check("speed", "commands of Redis a message", f"{together:.2f}", "≤ 8", together <= 8),
        Check("speed", "the same, each enqueued alone", f"{alone:.2f}", "≤ 8", alone <= 8),
    ]


async def rate(args: argparse.Namespace) -> list[Check]:
    """A rate that several workers share."""
    wanted, seconds = 200, args.rate_seconds
    with stage(args, moody=False, rate=wanted) as scene:
        async with Outbox(scene.redis.url) as outbox:
            await outbox.enqueue_many(letters(wanted * (seconds + 8)))
            for _ in range(args.workers):
                scene.add_worker()
            while scene.count() < wanted * (seconds + 4):  # noqa: ASYNC110  # another process writes it
                await asyncio.sleep(0.5)
        times = sorted(float(line.split()[1]) for line in scene.ledger.read_text().splitlines())
    # All of them are there after this.
    start = times[0] + 3
    bins = collections.Counter(int(each - start) for each in times if 0 <= each - start < seconds)
    tens = [sum(bins[second] for second in range(at, at + 10)) / 10 for at in range(0, seconds - 9, 10)]
    worst = max(abs(each / wanted - 1) for each in tens)
    most = max(bins.values())
    return [
        Check(
            "rate",
            "in 10 s, at least and at most",
            f"{min(tens):.1f}/s, {max(tens):.1f}/s",
            "200/s ± 5 %",
            worst <= 0.05,
        ),
        Check("rate", "in any second at most", f"{most}", "≤ 240", most <= 1.2 * wanted),
    ]


SCENARIOS: dict[str, Callable[[argparse.Namespace], Coroutine[Any, Any, list[Check]]]] = {
    "faults": faults,
    "speed": speed,
    "rate": rate,
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.outbox", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="scenario", help=", ".join(SCENARIOS), default=[])
    parser.add_argument("--messages", type=int, default=100_000, help="for faults")
    parser.add_argument("--workers", type=int, default=4, help="processes")
    parser.add_argument("--unknown", choices=("again", "hold"), default="again", help="for faults")
    parser.add_argument("--redis-restarts", type=int, default=3, help="for faults")
    parser.add_argument("--relay-restarts", type=int, default=5, help="for faults")
    parser.add_argument("--kill-redis", action="store_true", help="by SIGKILL, with appendfsync always")
    parser.add_argument("--speed-messages", type=int, default=20_000, help="for speed")
    parser.add_argument("--rounds", type=int, default=3, help="of speed, of which the best counts")
    parser.add_argument("--rate-seconds", type=int, default=30, help="for rate")
    parser.add_argument("--seed", type=int, default=1, help="of all dice that are thrown")
    args = parser.parse_args(arguments)
    failed = 0
    try:
        for name in args.scenarios or list(SCENARIOS):
            failed += tell(asyncio.run(SCENARIOS[name](args)), 16, 38, 24, 14)
    except Missing as reason:
        print(f"not run: {reason}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
