"""What one call costs: the functions for messages and addresses of the aiosmtplib that ``PYTHONPATH`` names.

It runs by its path, as the other clients here do, and is imported by ``messages``, so that all is measured by
the same stopwatch. The messages come pickled on standard input.
"""

import json
import pickle
import sys
import time
from collections.abc import Callable
from typing import Any

__all__ = ("ADDRESSES", "measure", "seconds")

ADDRESSES = {"bare": "someone@example.com", "named": "Some One <someone@example.com>"}


def seconds(
    function: Callable[..., object], *arguments: Any, shortest: float = 0.004, again: int = 7
) -> float:
    """The CPU of one call: the least of several runs.

    :param shortest: how long a run takes at least, in seconds
    :param again: how many runs follow the first that took so long
    """
    clock = time.thread_time
    number, took = 1, 0.0
    while took < shortest:
        number *= 2
        started = clock()
        for _ in range(number):
            function(*arguments)
        took = clock() - started
    best = took / number
    for _ in range(again):
        started = clock()
        for _ in range(number):
            function(*arguments)
        best = min(best, (clock() - started) / number)
    return best


def measure(module: Any, messages: dict[str, Any]) -> dict[str, float]:
    """By what is measured: the CPU in seconds."""
    found = {
        f"flatten_message, {name}": seconds(module.flatten_message, one) for name, one in messages.items()
    }
    for door in ("parse_address", "quote_address"):
        for name, address in ADDRESSES.items():
            found[f"{door}, {name}"] = seconds(getattr(module, door), address)
    for door in ("extract_sender", "extract_recipients"):
        for name, message in messages.items():
            found[f"{door}, {name}"] = seconds(getattr(module, door), message)
    return found


def main() -> None:
    import aiosmtplib.email

    json.dump(measure(aiosmtplib.email, pickle.load(sys.stdin.buffer)), sys.stdout)


if __name__ == "__main__":
    main()
