"""A worker of the outbox's campaign, in a process of its own, that may be killed at any time.

It writes a line into its log for each message of which it is not known whether it was taken, before that is
sent again or held.
"""

import asyncio
import os
import signal
from collections.abc import Sequence
from typing import Any

from aiosmtplib import Delivery, SendResult, SMTPPool
from aiosmtplib.contrib.outbox import Entry, Outcome, Policy
from aiosmtplib.contrib.taskiq import Outbox, Worker

from .outbox_relay import NUMBER

__all__ = ("main",)


async def run(url: str, port: int, log: str, options: dict[str, Any]) -> None:
    """Send until SIGTERM."""
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(entry: Entry, result: SendResult[Any] | None, outcomes: Sequence[Outcome]) -> None:
        if result is None or result.delivery is Delivery.UNKNOWN:
            content: Any = entry.envelope.message
            number = NUMBER.search(content)
            assert number is not None
            os.write(file, b"%b %s\n" % (number[1], b"dead" if result is None else b"unknown"))

    policy = Policy(
        delays=(0.5, 1, 2), soon=(0.3, 1), greylisted_after=0.5, unknown=options["unknown"], jitter=0.2
    )
    async with (
        Outbox(url) as outbox,
        SMTPPool("127.0.0.1", port, start_tls=False, local_hostname="me.example", timeout=10) as pool,
    ):
        worker = Worker(
            outbox, pool, policy=policy, rate=options["rate"], lease=options["lease"], on_outcome=note
        )
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
        await worker.run()


def main(url: str, port: int, log: str, options: dict[str, Any]) -> None:
    """Send until SIGTERM, in a process of its own."""
    asyncio.run(run(url, port, log, options))
