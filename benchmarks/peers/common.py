"""What the clients in Python share: their options, and the one JSON object that each of them prints.

The clients run by their path, with nothing else of this repository on theirs, so that ``PYTHONPATH`` alone
chooses the aiosmtplib that is measured.
"""

import argparse
import json
import sys
import time
from email.message import EmailMessage
from pathlib import Path

SENDER = "sender@example.com"


def options(description: str | None) -> argparse.ArgumentParser:
    """The options that every client takes, whatever it is written in."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--message", type=Path, required=True, help="a file with the message, with CRLF line ends"
    )
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--recipients", type=int, required=True)
    parser.add_argument("--times", type=int, required=True, help="messages on each connection that count")
    parser.add_argument("--warm-up", type=int, required=True, help="messages on each connection before them")
    parser.add_argument("--cafile", help="speak TLS from the first byte, and trust these certificates")
    return parser


def recipients(number: int) -> list[str]:
    return [f"recipient{i}@example.org" for i in range(number)]


def built(text: bytes, to: list[str], number: int) -> EmailMessage:
    """A message object, with the fields that every one has, about as long as this text."""
    message = EmailMessage()
    message["From"] = f"Sender <{SENDER}>"
    message["To"] = ", ".join(to)
    message["Subject"] = f"Benchmark {number}"
    message["Date"] = "Thu, 26 Nov 2026 09:00:00 +0000"
    message["Message-ID"] = f"<{number}.benchmark@example.com>"
    body = text.partition(b"\r\n\r\n")[2].decode("ascii").replace("\r\n", "\n")
    message.set_content(body[: max(len(body) - 300, 0)] + "\n")
    return message


class Stopwatch:
    """The time that passes, and the CPU (user and system, all threads) that this process uses meanwhile."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def report(self, messages: int, version: str, **facts: str) -> None:
        """Print what was measured since the start."""
        cpu, wall = time.process_time() - self._cpu, time.perf_counter() - self._wall
        json.dump({"cpu": cpu / messages, "rate": messages / wall, "version": version} | facts, sys.stdout)
