"""The CPU of a message that is sent from one of ten threads: ``python -m benchmarks.threads``.

``aiosmtplib.blocking`` with one pool for all threads, beside the standard library's ``smtplib`` with a
connection for each. Both talk to the same smtp-sink; each client is a process of its own, and counts its own
CPU. They take turns, and the medians are shown. Exits with 1 if a message object costs more than half.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from .compare_servers import Missing, sink

CLIENT = Path(__file__).with_name("threads_client.py")
ROOT = CLIENT.parents[1]
#: What a message object may cost, as a share of what it costs with smtplib.
SHARE = 0.5


def measure(who: str, what: str, port: int, times: int) -> dict[str, float]:
    """Seconds of CPU, and of time, for a message."""
    command = [sys.executable, str(CLIENT), who, what, str(port), str(times)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def compare(what: str, port: int, rounds: int, times: int) -> float:
    """Print the figures of both clients, and return the share of the CPU."""
    found: dict[str, list[dict[str, float]]] = {"smtplib": [], "pool": []}
    for _ in range(rounds):
        for who, figures in found.items():
            figures.append(measure(who, what, port, times))
    cpu = {who: median(each["cpu"] for each in figures) * 1e6 for who, figures in found.items()}
    wall = {who: median(each["wall"] for each in figures) * 1e6 for who, figures in found.items()}
    share = cpu["pool"] / cpu["smtplib"]
    print(
        f"{what}: {cpu['pool']:.0f} us of CPU beside {cpu['smtplib']:.0f} us with smtplib ({share:.2f}), "
        f"{wall['pool']:.0f} us beside {wall['smtplib']:.0f} us of time"
    )
    return share


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each client is measured")
    parser.add_argument("--times", type=int, default=300, help="messages of each thread")
    options = parser.parse_args()
    try:
        with sink() as port:
            shares = {
                what: compare(what, port, options.rounds, options.times) for what in ("objects", "octets")
            }
    except Missing as reason:
        print(f"Not measured: {reason}")
        return 0
    return int(shares["objects"] > SHARE)


if __name__ == "__main__":
    sys.exit(main())
