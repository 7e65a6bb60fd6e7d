"""A million messages through pools, to a server that refuses, delays and hangs up at random.

Each message has a number. The client keeps the verdict on each, the server counts how often it took each, and
in the end one is held against the other: nothing may be lost, and nothing be there that must not be.
"""

import argparse
import asyncio
import contextlib
import json
import select
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import aiosmtplib
from aiosmtplib import Delivery, Envelope, SMTPPool

from .compare_servers import PATIENCE, Missing
from .soak_server import HEADER, TIMEOUT

__all__ = ("judge", "run")

ROOT = Path(__file__).parent.parent
SENDER, RECIPIENT = "a@example.com", "b@example.com"
BODY = b"\r\nSubject: soak\r\n\r\n" + (b"." + b"x" * 73 + b"\r\n") * 5
#: How many tasks send one message at a time, in the last part.
TASKS = 50

Report = tuple[str, str, str, bool]
#: Verdicts as they are kept; 0 is none.
ORDER = (None, Delivery.DELIVERED, Delivery.REJECTED, Delivery.NOT_SENT, Delivery.UNKNOWN)


@contextlib.contextmanager
def moody_server(
    total: int, seed: int
) -> Iterator[tuple[list[int], Callable[[], tuple[dict[str, int], bytes]]]]:
    """A server process: its ports, and a function that ends it and returns its moods and counts."""
    command = [sys.executable, "-m", "benchmarks.soak_server", str(total), str(seed)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        out: IO[bytes] | None = process.stdout
        assert out is not None and process.stdin is not None
        stdin = process.stdin

        def report() -> tuple[dict[str, int], bytes]:
            stdin.write(b"report\n")
            stdin.flush()
            assert out is not None
            moods: dict[str, int] = json.loads(out.readline())
            return moods, out.read()

        try:
            line = out.readline() if select.select([out], [], [], PATIENCE)[0] else b""
            if not line:
                raise Missing("the moody server does not start")
            yield [int(port) for port in line.split()], report
        finally:
            process.kill()


def letter(number: int) -> Envelope:
    return Envelope(SENDER, RECIPIENT, HEADER + b"%d" % number + BODY)


def judge(verdicts: bytes, counts: bytes) -> dict[str, int]:
    """How many messages there are of each verdict and count, and how many are not as they should be."""
    pairs = Counter(zip(verdicts, counts, strict=True))
    found: dict[str, int] = {"lost": 0, "doubled": 0, "without a verdict": 0}
    for (verdict, count), number in sorted(pairs.items()):
        delivery = ORDER[verdict]
        if delivery is None:
            found["without a verdict"] += number
            continue
        found[f"{delivery.value}, taken {count}"] = number
        if delivery is Delivery.DELIVERED and count == 0:
            found["lost"] += number
        elif count > (delivery in (Delivery.DELIVERED, Delivery.UNKNOWN)):
            found["doubled"] += number
    return found


async def run(args: argparse.Namespace, watch: Any, say: Callable[[str], None]) -> list[Report]:
    """Send ``args.messages``: two fifths by ``send_many``, two by ``send_many`` with BDAT, one by tasks.

    :param watch: counts messages, and looks at memory
    :param say: is told how far it is
    """
    total = args.messages
    verdicts = bytearray(total)
    began = time.perf_counter()
    step = max(total // 20, 1)

    def note(number: int, delivery: Delivery) -> None:
        assert not verdicts[number]
        verdicts[number] = ORDER.index(delivery)
        watch.count()
        if watch.done % step == 0:
            say(f"{watch.done:,} of {total:,} after {time.perf_counter() - began:.0f} s")

    async def many(pool: SMTPPool, numbers: range) -> None:
        async for result in pool.send_many(map(letter, numbers)):
            note(numbers[result.index], result.delivery)

    async def some(pool: SMTPPool, numbers: Iterator[int]) -> None:
        for number in numbers:
            try:
                await pool.sendmail(SENDER, RECIPIENT, HEADER + b"%d" % number + BODY)
            except aiosmtplib.SMTPException as error:
                note(number, error.delivery)
            else:
                note(number, Delivery.DELIVERED)

    with moody_server(total, args.seed) as (ports, report):
        for port, start, end in (
            (ports[0], 0, total * 2 // 5),
            (ports[1], total * 2 // 5, total * 4 // 5),
            (ports[0], total * 4 // 5, total),
        ):
            async with SMTPPool(
                "127.0.0.1",
                port,
                start_tls=False,
                local_hostname="me.example",
                timeout=TIMEOUT,
                max_messages=5000,
            ) as pool:
                numbers = range(start, end)
                if end < total:
                    await many(pool, numbers)
                else:
                    left = iter(numbers)
                    await asyncio.gather(*(some(pool, left) for _ in range(TASKS)))
        moods, counts = report()
    for name, number in moods.items():
        say(f"{number:>9,} times {name}")
    found = judge(verdicts, counts)
    reports = []
    for name, number in found.items():
        wrong = name in ("lost", "doubled", "without a verdict")
        reports.append((name, f"{number:,}", "0" if wrong else "", not (wrong and number)))
    return reports
