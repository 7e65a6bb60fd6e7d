"""``aiosmtplib demo``: send messages to an embedded server with both twins of the codec, and measure.

There are three processes: this one prints, a child is the server, and another child is the client. In the
process of the client, a server would take most of the CPU time that is measured. The twin (implementation) of
the codec is chosen at import, so each twin has a client process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

from .._codec import IMPLEMENTATION
from ..errors import SMTPException
from ..smtp import SMTP
from ..testing import Server
from .console import Console, Exit, UsageError

__all__ = ("add_arguments", "child", "run")

TWINS = {"cython": "compiled (cython)", "python": "pure Python"}

#: The program of a child. It imports from where this process does, whatever the working directory is.
BOOTSTRAP = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from aiosmtplib._cli.demo import child
sys.exit(child(sys.argv[2:], sys.stdin, sys.stdout))
"""

EXAMPLES = """
examples:
  aiosmtplib demo
  aiosmtplib demo --messages 200 --size 100000

The server is aiosmtpd, in a process of its own. It is slower than the client: look at the CPU per message.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Send messages to an embedded server, with both implementations of the codec."
    parser.epilog = EXAMPLES
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--messages", type=_positive, default=1000, metavar="N", help="default: 1000")
    parser.add_argument(
        "--size", type=_positive, default=2048, metavar="BYTES", help="of each; default: 2048"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Run the command: send, and print a table of rates.

    :return: the exit code
    :raises ImportError: if aiosmtpd is not installed
    :raises UsageError: if the embedded server or a client cannot run here
    """
    Server()
    rows = []
    with _process("server") as server:
        port = _read(server)
        for twin in TWINS:
            if (result := _measure(twin, str(port), args, console)) is None:
                console.say(
                    "The compiled extension is not built here. It needs a C compiler at installation."
                )
            else:
                rows.append(
                    [
                        TWINS[twin],
                        f"{result['rate']:,.0f}",
                        f"{result['cpu'] * 1e6:.0f} µs",
                        f"{result['seconds']:.2f} s",
                    ]
                )
        server.stdin.close()  # type: ignore[union-attr]
        received = _read(server)
    console.say()
    console.table(("codec", "messages/s", "client CPU per message", "time"), rows)
    console.say()
    console.say(
        f"One connection, one sendmail after the other, {args.size:,} bytes each. "
        f"The server received {received:,} messages."
    )
    return Exit.OK


def child(argv: Sequence[str], stdin: IO[str], stdout: IO[str]) -> int:
    """The main function of a child process, which writes lines of JSON to ``stdout``.

    :param argv: ``server``, or ``client TWIN PORT MESSAGES SIZE``
    :return: the exit code
    """
    if argv[0] == "server":
        asyncio.run(_serve(stdin, stdout))
        return Exit.OK
    try:
        print(json.dumps(IMPLEMENTATION), file=stdout, flush=True)
        if argv[1] == IMPLEMENTATION:
            port, messages, size = map(int, argv[2:])
            asyncio.run(_send(port, messages, size, stdout))
    except SMTPException as exc:
        Console().complain(str(exc))
        return Exit.CONNECTION
    return Exit.OK


async def _serve(stdin: IO[str], stdout: IO[str]) -> None:
    """Serve until the end of ``stdin``. Write the port, and at the end the number of messages received."""
    async with Server() as server:
        print(server.port, file=stdout, flush=True)
        await asyncio.to_thread(stdin.read)
        print(len(server.messages), file=stdout, flush=True)


async def _send(port: int, messages: int, size: int, stdout: IO[str]) -> None:
    """Send the messages. Write the number sent so far now and then, and at the end the measurements."""
    content = _message(size)
    async with SMTP(hostname="127.0.0.1", port=port, start_tls=False, local_hostname="localhost") as client:
        wall, cpu = time.perf_counter(), time.process_time()
        for done in range(1, messages + 1):
            await client.sendmail("sender@example.com", ["recipient@example.com"], content)
            if not done % max(1, messages // 50):
                print(done, file=stdout, flush=True)
        seconds, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(
        json.dumps({"rate": messages / seconds, "cpu": cpu / messages, "seconds": seconds}),
        file=stdout,
        flush=True,
    )


def _message(size: int) -> bytes:
    head = b"From: sender@example.com\r\nTo: recipient@example.com\r\nSubject: Demo\r\n\r\n"
    line = b"The quick brown fox jumps over the lazy dog, and over this line as well.\r\n"
    return (head + line * (size // len(line) + 1))[: max(size, len(head))]


def _measure(twin: str, port: str, args: argparse.Namespace, console: Console) -> dict[str, float] | None:
    """The measurements of one twin, or ``None`` if it is not installed."""
    with _process("client", twin, port, str(args.messages), str(args.size), twin=twin) as client:
        if _read(client) != twin:
            return None
        with console.progress(TWINS[twin], args.messages) as advance:
            while not isinstance(report := _read(client), dict):
                advance(report)
            return report


@contextmanager
def _process(*args: str, twin: str | None = None) -> Iterator[subprocess.Popen[str]]:
    unwanted = ("AIOSMTPLIB_NO_EXTENSIONS", "AIOSMTPLIB_REQUIRE_EXTENSIONS")
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}
    if twin == "python":
        environment["AIOSMTPLIB_NO_EXTENSIONS"] = "1"
    with subprocess.Popen(  # noqa: S603 - this interpreter, and numbers
        [sys.executable, "-c", BOOTSTRAP, json.dumps(sys.path), *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
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
