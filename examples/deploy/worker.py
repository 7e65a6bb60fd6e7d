"""A worker of an outbox on Redis, which is told by its environment where everything is."""

import asyncio
import os
import signal
from pathlib import Path

from aiosmtplib import SMTPPool
from aiosmtplib.contrib.outbox import DirectoryStore, Policy
from aiosmtplib.contrib.taskiq import Outbox, Worker


def secret(name: str) -> str | None:
    """A credential that systemd has handed over, which is in no environment and on no command line."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder or "", name)
    return path.read_text(encoding="utf-8").strip() if folder and path.exists() else None


async def main() -> None:
    environ = os.environ
    bodies = DirectoryStore(environ.get("OUTBOX_BODIES", "/var/lib/aiosmtplib-outbox"))
    pool = SMTPPool(
        environ.get("SMTP_HOST", "localhost"),
        port=int(environ.get("SMTP_PORT", "1025")),
        username=environ.get("SMTP_USERNAME"),
        password=secret("smtp-password"),
        max_connections=int(environ.get("SMTP_CONNECTIONS", "4")),
    )
    url = secret("redis-url") or environ.get("REDIS_URL", "redis://localhost:6379")
    async with Outbox(url, bodies=bodies) as outbox, pool:
        worker = Worker(outbox, pool, policy=Policy(unknown="hold"))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, worker.stop)
        await worker.run()


if __name__ == "__main__":
    asyncio.run(main())
