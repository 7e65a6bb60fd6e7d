"""Servers in a thread, for the command line: it brings its own event loop, so theirs has to be elsewhere.

And ``aiosmtplib send`` as a fixture, for the tests that look at it from several sides.
"""

import asyncio
import io
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from typing import TypeVar

import pytest

from aiosmtplib.cli import main
from aiosmtplib.testing import Server

from .scripted_server import PATIENCE, Peer

T = TypeVar("T")

__all__ = ("EML", "PASSWORD", "TEXT", "Run", "Serve", "at", "in_thread", "run_send", "serve_embedded")

EML = b"""\
From: Anna <a@example.com>
To: b@example.com, Carl <c@example.com>
Bcc: d@example.com,
 e@example.com
Subject:   odd   spacing
Content-Type: text/plain; charset="utf-8"

Hello
.
"""
PASSWORD = "correct horse battery"

Run = Callable[..., tuple[int, str, str]]
Serve = Callable[..., Server]


@pytest.fixture(name="serve")
def serve_embedded() -> Iterator[Serve]:
    """Start a ``Server`` with these options."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(in_thread(Server(**options)))


@pytest.fixture(name="run")
def run_send(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``aiosmtplib send`` in this process: exit code, standard output, standard error."""
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"AIOSMTPLIB_{name}", raising=False)

    def run(*args: object, stdin: bytes = b"", **environment: str) -> tuple[int, str, str]:
        for name, value in environment.items():
            monkeypatch.setenv(f"AIOSMTPLIB_{name}", value)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main(["send", *map(str, args)])
        out, err = capsys.readouterr()
        assert "Traceback" not in out + err
        return code, out, err

    return run


def at(server: Server | Peer) -> list[object]:
    return ["--host", server.host, "--port", server.port, "--local-hostname", "me"]


TEXT = ["--from", "a@example.com", "--to", "b@example.com"]


@contextmanager
def in_thread(server: AbstractAsyncContextManager[T]) -> Iterator[T]:
    """Run an ``async with`` server while the block runs."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        running = asyncio.run_coroutine_threadsafe(server.__aenter__(), loop).result(PATIENCE)
        try:
            yield running
        finally:
            asyncio.run_coroutine_threadsafe(server.__aexit__(None, None, None), loop).result(PATIENCE)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()
