"""What ``aiosmtplib.send`` costs, a connection for each message: beside stock aiosmtplib, by turns.

    python -m benchmarks.send_rows [--messages 200] [--runs 5]

Rows: plain, by an address and by a name; STARTTLS and TLS from the first byte, each without and with a login.
Printed is the CPU of a process that sends one message after the other, in the median of the runs with the
least and the most, and by what stock's is more, in the median of the runs. Then a hundred such sends at once,
over TLS: the time they take, and the most memory of the process.

The server is that of :mod:`aiosmtplib.testing`, in this process, whose CPU does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from aiosmtplib.testing import Server

from .bench_loopback import ROOT, WORK, Contestant, stock
from .compare_table import markdown

__all__ = ("ROWS", "Contestant", "main", "measure")

CLIENT = Path(__file__).with_name("send_rows_client.py")
USERS = {"benchmark": "of no worth"}
AT_ONCE = 100
#: By row: how the server is made, and the options of the client beside its port.
ROWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain, by an address": ({}, {"hostname": "127.0.0.1", "start_tls": False}),
    "plain, by a name": ({}, {"hostname": "localhost", "start_tls": False}),
    "STARTTLS": ({"start_tls": True}, {"hostname": "localhost", "start_tls": True}),
    "TLS": ({"use_tls": True}, {"hostname": "localhost", "use_tls": True}),
    "STARTTLS, with a login": (
        {"start_tls": True, "users": USERS},
        {"hostname": "localhost", "start_tls": True},
    ),
    "TLS, with a login": ({"use_tls": True, "users": USERS}, {"hostname": "localhost", "use_tls": True}),
}


def run(options: dict[str, Any], path: str, messages: int, at_once: int = 1) -> dict[str, float]:
    """The figures of one process: CPU and time of a message in µs, and the most memory in MiB."""
    done = subprocess.run(
        [sys.executable, str(CLIENT), json.dumps(options), str(messages), str(at_once)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def measure(
    paths: dict[str, str], row: str, messages: int, runs: int, at_once: int = 1
) -> dict[str, list[dict[str, float]]]:
    """The figures of each run of a row, for each client by the folder of its package."""
    how, options = ROWS[row]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in paths}
    with Server(**how) as server, tempfile.TemporaryDirectory() as folder:
        given = {**options, "port": server.port}
        if "start_tls" in how or "use_tls" in how:
            given["cert_bundle"] = str(Path(folder, "ca.pem"))
            Path(given["cert_bundle"]).write_bytes(server.ca_pem)
        for username, password in how.get("users", {}).items():
            given |= {"username": username, "password": password}
        for _ in range(runs):
            for name, path in paths.items():
                found[name].append(run(given, path, messages, at_once))
            server.messages.clear()
    return found


def described(figures: list[float], digits: int = 0) -> str:
    """The median of figures, with the least and the most."""
    return f"{median(figures):,.{digits}f} ({min(figures):,.{digits}f}-{max(figures):,.{digits}f})"


def ratio(found: dict[str, list[dict[str, float]]], figure: str) -> str:
    """By what a figure of stock is more, in the median of the runs."""
    if "stock" not in found:
        return "-"
    pairs = zip(found["stock"], found["this"], strict=True)
    return f"{median(theirs[figure] / ours[figure] for theirs, ours in pairs):.1f} x"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=200, help="in each run (200)")
    parser.add_argument("--runs", type=int, default=5, help="of each client (5)")
    options = parser.parse_args(arguments)
    paths = {"this": str(ROOT)}
    WORK.mkdir(exist_ok=True)
    try:
        paths["stock"] = stock().environment["PYTHONPATH"]
    except LookupError as error:
        print(f"without stock aiosmtplib: {error}")
    names = [f"{name}, µs of CPU" for name in paths]
    rows = [("one message a connection", *names, "stock takes")]
    for row in ROWS:
        found = measure(paths, row, options.messages, options.runs)
        each = [described([run["cpu"] for run in runs]) for runs in found.values()]
        rows.append((row, *each, ratio(found, "cpu")))
    print(markdown(rows))
    found = measure(paths, "TLS", AT_ONCE, options.runs, AT_ONCE)
    rows = [(f"{AT_ONCE} over TLS at once", *paths, "stock takes")]
    for figure, unit in (("wall", "µs a message"), ("memory", "MiB at most")):
        each = [described([run[figure] for run in runs]) for runs in found.values()]
        rows.append((unit, *each, ratio(found, figure)))
    print(markdown(rows))


if __name__ == "__main__":
    main()
