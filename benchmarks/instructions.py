"""Instructions that the client executes for a message, as callgrind counts them: noise changes them little.

    python -m benchmarks.instructions                what each way of sending takes, beside what it may
    python -m benchmarks.instructions --any          without an error where it takes more

It needs valgrind and the compiled extension. A client sends some messages, and another one more of them: the
difference is what a message takes, without start, connecting and goodbye. Ceilings are somewhat above what
was reached; to lower one is progress.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from aiosmtplib._codec import IMPLEMENTATION

from .bench_loopback import ROOT
from .compare_servers import own_sink
from .compare_table import markdown

__all__ = ("CEILINGS", "per_message")

CLIENT = Path(__file__).with_name("instructions_client.py")
#: By door: connections, and how many instructions a message of 2 KiB may take.
CEILINGS = {"send_many": (10, 76_000), "sendmail": (10, 99_000), "pool": (10, 103_000)}
FEW, MORE = 500, 1500


def count(door: str, connections: int, messages: int) -> int:
    """The instructions of one process."""
    valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    with own_sink() as port:
        done = subprocess.run(
            [*valgrind, sys.executable, str(CLIENT), door, str(port), str(connections), str(messages)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
        )
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or found is None:
        sys.exit(done.stderr)
    return int(found[1])


def per_message(door: str, connections: int) -> float:
    """The instructions that one message more takes."""
    return (count(door, connections, MORE) - count(door, connections, FEW)) / (MORE - FEW)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--any", action="store_true", help="only print")
    options = parser.parse_args()
    if shutil.which("valgrind") is None or IMPLEMENTATION != "cython":
        sys.exit("It needs valgrind, and the compiled extension.")
    rows, over = [("a message by", "instructions", "ceiling")], []
    for door, (connections, ceiling) in CEILINGS.items():
        taken = per_message(door, connections)
        rows.append((door, f"{taken:,.0f}", f"{ceiling:,}"))
        over += [door] if taken > ceiling else []
    print(markdown(rows))
    if over and not options.any:
        sys.exit(f"more than they may take: {', '.join(over)}")


if __name__ == "__main__":
    main()
