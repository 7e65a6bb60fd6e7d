"""Metrics of a pool for Prometheus; a program that runs on calls ``prometheus_client.start_http_server``."""

import asyncio
import os

from prometheus_client import CollectorRegistry, generate_latest

import aiosmtplib
from aiosmtplib.contrib.prometheus import CommandMetrics, PoolCollector

PORT = int(os.environ.get("SMTP_PORT", "1025"))


async def main() -> None:
    registry = CollectorRegistry()
    collector = PoolCollector(registry)
    async with aiosmtplib.SMTPPool("localhost", PORT, on_command=CommandMetrics(registry)) as pool:
        collector.add("news", pool)
        await pool.sendmail("me@example.com", "you@example.com", "Subject: Hello\n\nHello!\n")
        for line in generate_latest(registry).decode().splitlines():
            if line.startswith(("smtp_pool_messages_total", "smtp_command_seconds_count")):
                print(line.replace(f":{PORT}", ""))


if __name__ == "__main__":
    asyncio.run(main())
