"""A shop that is interrupted: a process of the campaign in :mod:`benchmarks.outbox_postgres`.

``python outbox_postgres_shop.py FIRST COUNT SEED`` takes orders, each in a process of its own, and prints for
each of them its number, how it was meant to end, and whether its mail was enqueued before it did. ``refused``
fails when it is committed; ``killed`` ends at any time, with no code that could notice. It imports nothing of
the tests, because it runs where procrastinate is installed.
"""

import asyncio
import contextlib
import os
import random
import signal
import sys
import time

import psycopg
from outbox_procrastinate import take_order
from procrastinate.jobs import JobDeferrer

KINDS = ("taken", "refused", "killed", "killed soon")
#: Seconds after the enqueueing, within which its process is killed: before the commit, in it, or after it.
SOON = 0.0005


def kill_me(seconds: float) -> None:
    """Have the kernel end this process then, as it stands: nobody handles the signal."""
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))


def child(number: int, kind: str, dice: random.Random, usual: float, report: int) -> None:
    """Take one order. A customer who has one already is refused by a constraint, at the commit."""
    defer_async = JobDeferrer.defer_async

    async def enqueue(self: JobDeferrer, **payload: object) -> int:
        job = await defer_async(self, **payload)
        os.write(report, b"e")
        if kind == "killed":
            kill_me(dice.uniform(0, SOON))
        return job

    JobDeferrer.defer_async = enqueue  # type: ignore[method-assign]
    if kind == "killed soon":
        kill_me(dice.uniform(0, usual))
    if kind == "refused":
        with contextlib.suppress(psycopg.errors.UniqueViolation):
            asyncio.run(take_order("known@example.com", f"no. {number}."))
            os._exit(1)
    else:
        asyncio.run(take_order(f"{number}@example.com", f"no. {number}."))
    os._exit(0)


def attempt(number: int, kind: str, dice: random.Random, usual: float) -> tuple[bool, float]:
    """Take one order in a process of its own: whether its mail was enqueued, and how many seconds it took."""
    receive, send = os.pipe()
    began = time.perf_counter()
    dice = random.Random(dice.random())
    process = os.fork()
    if process == 0:
        try:
            child(number, kind, dice, usual, send)
        finally:
            os._exit(1)
    os.close(send)
    _, status = os.waitpid(process, 0)
    assert status == 0 or (kind.startswith("killed") and status == signal.SIGALRM), (kind, status)
    enqueued = bool(os.read(receive, 1))
    os.close(receive)
    return enqueued, time.perf_counter() - began


def main(first: int, count: int, seed: int) -> None:
    dice = random.Random(seed)
    usual = 0.05
    for number in range(first, first + count):
        kind = dice.choice(KINDS)
        enqueued, seconds = attempt(number, kind, dice, usual)
        if kind == "taken":
            usual = seconds
        print(number, kind.split()[0], int(enqueued), flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
