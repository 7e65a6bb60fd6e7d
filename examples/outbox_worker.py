"""A worker of an outbox on Redis. Start as many as it takes, on as many machines as there are."""

import asyncio
import os
import signal

from aiosmtplib import SMTPPool
from aiosmtplib.contrib.outbox import DirectoryStore, Policy
from aiosmtplib.contrib.taskiq import Outbox, Worker

PORT = int(os.environ.get("SMTP_PORT", "1025"))


def open_outbox() -> Outbox:
    """The outbox, for those who put messages into it: ``await outbox.enqueue(envelope)``."""
    url = os.environ.get("REDIS_URL", "redis://localhost:6379")
    return Outbox(url, bodies=DirectoryStore("outbox"), max_size=20_000_000)


async def main() -> None:
    async with open_outbox() as outbox, SMTPPool("localhost", port=PORT, max_connections=4) as pool:
        worker = Worker(
            outbox, pool, policy=Policy(unknown="hold"), rate=200, domain_rates={"slow.example": 5}
        )
        # Finish what has begun, and leave the rest to others.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
        await worker.run()


if __name__ == "__main__":
    asyncio.run(main())
