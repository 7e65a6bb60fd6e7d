"""What the clients of ``compare`` talk to, in processes of their own: smtp-sink, Postfix, and a slow road."""

import contextlib
import os
import select
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from statistics import median

import pytest

from tests.support import mta

from .bench_loopback import ROOT, WORK

__all__ = ("CAFILE", "Missing", "postfix", "relay", "round_trip", "sink", "tls_sink")

#: The certificate of the authority that signs that of :func:`tls_sink`.
CAFILE = WORK / "tls-sink-ca.pem"

#: How long a server may take to start, in seconds.
PATIENCE = 10


class Missing(Exception):
    """What is needed is not here; the text says what, and why."""


@contextlib.contextmanager
def sink() -> Iterator[int]:
    """The port of an smtp-sink, which takes everything and keeps nothing.

    :raises Missing: if it is not installed or does not start
    """
    program = mta.find("smtp-sink")
    if program is None:
        raise Missing("smtp-sink is not installed (Debian and Ubuntu: postfix)")
    (port,) = mta.free_ports(1)
    # As root it asks for a user to become.
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    command = [program, *user, f"127.0.0.1:{port}", "256"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
        try:
            deadline = time.monotonic() + PATIENCE
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
                    break
                except ConnectionRefusedError:
                    if server.poll() is not None or time.monotonic() > deadline:
                        server.kill()
                        raise Missing(
                            f"smtp-sink does not start: {server.communicate()[1].strip()}"
                        ) from None
                    # It says nothing when it is ready, so there is nothing to wait for but this.
                    time.sleep(0.02)
            yield port
        finally:
            server.kill()


def tls_sink() -> contextlib.AbstractContextManager[int]:
    """The port of a sink of our own that speaks TLS from the first byte, which smtp-sink cannot.

    :raises Missing: if it does not start
    """
    WORK.mkdir(exist_ok=True)
    return _sink_of_our_own("benchmarks.compare_tls_sink", str(CAFILE))


def own_sink() -> contextlib.AbstractContextManager[int]:
    """The port of the sink of the demo, for what has to run where there is no Postfix.

    :raises Missing: if it does not start
    """
    return _sink_of_our_own("aiosmtplib._cli.demo_sink")


@contextlib.contextmanager
def _sink_of_our_own(module: str, *arguments: str) -> Iterator[int]:
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.strip():
                raise Missing(f"{module} does not start")
            yield int(line)
        finally:
            process.kill()


@contextlib.contextmanager
def postfix() -> Iterator[int]:
    """The port of a Postfix of our own, which announces CHUNKING and discards what it took.

    :raises Missing: if it is not installed, or we are not allowed to start one
    """
    reason = mta.why_not()
    if reason is not None:
        raise Missing(reason)
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(mta.private_postfix())
        except pytest.fail.Exception as error:
            raise Missing(str(error)) from None
        yield server.port


@contextlib.contextmanager
def relay(port: int, delay: float) -> Iterator[int]:
    """The port of a relay to this port that delays what passes, in each direction, by so many seconds.

    Without a delay there is none: the port itself.

    :raises Missing: if it does not start
    """
    if not delay:
        yield port
        return
    if not (ROOT / "tests/support/delay_relay.py").exists():
        raise Missing("tests/support/delay_relay.py is not there")
    command = [
        sys.executable,
        "-m",
        "tests.support.delay_relay",
        "--listen",
        "0",
        "--to",
        f"127.0.0.1:{port}",
    ]
    command += ["--delay", str(delay)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline() if select.select([process.stdout], [], [], PATIENCE)[0] else ""
            if not line.strip():
                raise Missing("the relay does not start")
            # "127.0.0.1:1234" or the bare number
            yield int(line.split()[-1].rpartition(":")[2])
        finally:
            process.kill()


def round_trip(port: int, *, tls: bool = False) -> float:
    """The time from a NOOP to its reply, in seconds: the relay's timers add a little to its delay."""
    taken = []
    with contextlib.ExitStack() as stack:
        sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            context = ssl.create_default_context(cafile=str(CAFILE))
            sock = stack.enter_context(context.wrap_socket(sock, server_hostname="127.0.0.1"))
        replies = stack.enter_context(sock.makefile("rb"))
        replies.readline()
        for command in [b"EHLO client\r\n", *[b"NOOP\r\n"] * 11, b"QUIT\r\n"]:
            started = time.perf_counter()
            sock.sendall(command)
            while replies.readline()[3:4] == b"-":
                pass
            if command == b"NOOP\r\n":
                taken.append(time.perf_counter() - started)
    return median(taken)
