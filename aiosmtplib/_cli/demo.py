"""``aiosmtplib demo``: how much CPU it takes to send a message, by smtplib and by this package.

The server is a process of its own, and so is each client: smtplib, both twins of this package, which are
chosen at import, and an aiosmtplib of before where there is one. The clients take turns for some rounds, and
the best round counts, so that whatever else the computer does changes little.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from .console import Console, Exit, UsageError

__all__ = ("add_arguments", "run")

FOLDER = Path(__file__).parent
ROUNDS = 20
BAR = 30

EXAMPLES = """
examples:
  aiosmtplib demo
  aiosmtplib demo --messages 5000 --size 100000

Needs nothing but this package. CPU is that of the client alone, user and system, the best of twenty rounds.
"""


class Client(NamedTuple):
    """A process that sends as it is told.

    :ivar name: what the table calls it
    :ivar doors: the ways in which it can send
    """

    name: str
    doors: Sequence[str]
    process: subprocess.Popen[str]


class Row(NamedTuple):
    """A row of the table: CPU time and time for a message, in seconds."""

    client: str
    door: str
    cpu: float
    wall: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Send messages to a server in another process, and show how much CPU each takes."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--messages", type=_positive, default=2000, metavar="N", help="for each row; default: 2000"
    )
    parser.add_argument(
        "--size", type=_positive, default=2048, metavar="BYTES", help="of each; default: 2048"
    )
    parser.add_argument("--stock", metavar="DIR", help="a directory with another aiosmtplib, to compare with")


def run(args: argparse.Namespace, console: Console) -> int:
    """Run the command: send, and print a table.

    :return: the exit code
    :raises UsageError: if the server or a client cannot run here
    """
    with ExitStack() as stack:
        server = stack.enter_context(_process("demo_sink"))
        port = _read(server)
        clients = _clients(stack, port, args, console)
        rows = _measure(clients, max(1, args.messages // ROUNDS), console)
        server.stdin.close()  # type: ignore[union-attr]
        received = _read(server)
    most = max(row.cpu for row in rows)
    console.say()
    console.table(
        ("client", "by", "CPU per message", "", "messages/s"),
        [
            [
                row.client,
                row.door,
                f"{row.cpu * 1e6:,.0f} µs",
                _bar(row.cpu / most),
                f"{1 / row.wall:,.0f}",
            ]
            for row in rows
        ],
    )
    console.say()
    console.say(f"{received:,} messages of {args.size:,} bytes were received.")
    console.say(_summary(rows))
    return Exit.OK


def _clients(stack: ExitStack, port: int, args: argparse.Namespace, console: Console) -> list[Client]:
    """Start the clients that can be had here."""
    kinds = [
        ("smtplib", sys.path, {}),
        ("aiosmtplib", sys.path, {"AIOSMTPLIB_NO_EXTENSIONS": "1"}),
        ("aiosmtplib", sys.path, {}),
    ]
    if args.stock:
        if not (Path(args.stock) / "aiosmtplib").is_dir():
            raise UsageError(f"There is no aiosmtplib in {args.stock}.")
        kinds.insert(1, ("aiosmtplib", [str(Path(args.stock).resolve()), *sys.path], {}))
    found: list[Client] = []
    for kind, path, environment in kinds:
        words = (json.dumps([str(Path(each).resolve()) for each in path]), kind, str(port), str(args.size))
        process = stack.enter_context(_process("demo_client", *words, environment=environment))
        what = _read(process)
        name = f"{kind} {what['version']}"
        if what["twin"] is not None:
            name = {"cython": "compiled (cython)", "python": "pure Python"}[what["twin"]]
        if name in [client.name for client in found]:
            console.say("The compiled extension is not built here. It needs a C compiler at installation.")
        else:
            found.append(Client(name, what["doors"], process))
    return found


def _measure(clients: Sequence[Client], messages: int, console: Console) -> list[Row]:
    """Let the clients take turns, and keep the best round of each way to send."""
    best: dict[tuple[str, str], tuple[float, float]] = {}
    turns = [(client, door) for client in clients for door in client.doors]
    with console.progress("Sending", ROUNDS * len(turns)) as advance:
        done = 0
        for _ in range(ROUNDS):
            for client, door in turns:
                print(json.dumps([door, messages]), file=client.process.stdin, flush=True)
                cpu, wall = _read(client.process)
                before = best.get((client.name, door), (cpu, wall))
                best[client.name, door] = (min(cpu, before[0]), min(wall, before[1]))
                done += 1
                advance(done)
    return [Row(*key, *value) for key, value in best.items()]


def _summary(rows: Sequence[Row]) -> str:
    """The claim, and by how much it holds here."""
    ours = [row for row in rows if row.door == "send_many"][-1]
    others = [row for row in rows if row.door == "sendmail" and row.client[0] in "as"]
    claims = [f"{row.cpu / ours.cpu:.0f} times less CPU than {row.client}" for row in others]
    return f"send_many takes {' and '.join(claims)} ({ours.client})."


def _bar(share: float) -> str:
    """A bar, of a character that standard output has."""
    block = "█"
    try:
        block.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        block = "#"
    return block * max(1, round(BAR * share))


@contextmanager
def _process(
    program: str, *args: str, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    unwanted = ("AIOSMTPLIB_NO_EXTENSIONS", "AIOSMTPLIB_REQUIRE_EXTENSIONS")
    inherited = {name: value for name, value in os.environ.items() if name not in unwanted}
    with subprocess.Popen(  # noqa: S603 - this interpreter, and a file of this folder
        [sys.executable, str(FOLDER / f"{program}.py"), *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=inherited | (environment or {}),
        start_new_session=True,  # Ctrl-C interrupts this process alone, which then kills the child
    ) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


def _read(process: subprocess.Popen[str]) -> Any:
    line = process.stdout.readline()  # type: ignore[union-attr]
    if not line:
        raise UsageError(f"A process of the demo ended early (exit code {process.wait()}).")
    return json.loads(line)


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)
