"""The client whose sends are measured: so many messages, each over a connection of its own.

``send_rows`` starts this file by its path, with ``PYTHONPATH`` naming the aiosmtplib to measure. One JSON
object on stdout: the CPU and the time of a message in µs, and the most memory of the process in MiB.
"""

import asyncio
import json
import re
import resource
import sys
import time
from pathlib import Path
from typing import Any

import aiosmtplib

TEXT = b"Subject: benchmark\r\n\r\n" + (b"x" * 74 + b"\r\n") * 26


async def some(options: dict[str, Any], count: int) -> None:
    for _ in range(count):
        await aiosmtplib.send(TEXT, sender="s@example.com", recipients=["r@example.org"], **options)


def most_memory() -> float:
    """The most memory that this process has had at once, in MiB."""
    try:
        # What getrusage says has that of the process that started this one.
        found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:  # elsewhere than on Linux
        found = None
    return int(found[1] if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / 1024


async def main(options: dict[str, Any], messages: int, at_once: int) -> None:
    if at_once == 1:
        await some(options, 5)  # whatever is made once, has been
    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(some(options, messages // at_once) for _ in range(at_once)))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    figures = {
        "cpu": cpu / messages * 1e6,
        "wall": wall / messages * 1e6,
        "memory": most_memory(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
