"""One message object, sent by many at once: each sends what one alone would, and it stays as it is."""

import asyncio
import re
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib._message import flatten as flattening
from aiosmtplib.testing import Server

from .. import corpus
from ..conftest import EXPECT_EXTENSIONS, NO_EXTENSIONS
from ..support.differential import twins
from ..support.oracle import snapshot
from ..support.serializing import Tally, flatten_counted
from ..support.threaded_servers import Serve, serve_embedded

__all__ = ("serve_embedded",)

TWINS = twins(compiled=EXPECT_EXTENSIONS and not NO_EXTENSIONS)
THREADS = 6
NAMES = ("newsletter", "text, HTML and 30 KB", "delivery report", "Russian", "forwarded")


def without_boundaries(content: bytes) -> bytes:
    """Boundaries that are generated are others each time, of the same length."""
    return re.sub(rb"={15}\d{19}==", b"(boundary)", content)


def messages() -> list[Message]:
    built = [corpus.LETTERS[name]() for name in NAMES]
    parsed = [dict(corpus.realistic())[f"{name}, parsed, compat32"]() for name in NAMES]
    return [*built, *parsed]


@pytest.fixture(name="threads")
def _threads() -> Iterator[ThreadPoolExecutor]:
    """Threads that take turns as often as the interpreter can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    with ThreadPoolExecutor(THREADS) as threads:
        yield threads
    sys.setswitchinterval(interval)


def at_once(threads: ThreadPoolExecutor, function: Any) -> list[Any]:
    """Call a function in all threads, none before the others are ready."""
    barrier = threading.Barrier(THREADS)

    def call(number: int) -> Any:
        barrier.wait(30)
        return function(number)

    return list(threads.map(call, range(THREADS)))


def check_threads(threads: ThreadPoolExecutor) -> None:
    for message in messages():
        alone = without_boundaries(flattening.flatten(message, False, "8bit"))
        before = snapshot(message)

        def flatten(_: int, message: Message = message) -> set[bytes]:
            return {without_boundaries(flattening.flatten(message, False, "8bit")) for _ in range(8)}

        assert at_once(threads, flatten) == [{alone}] * THREADS
        assert snapshot(message) == before


@pytest.mark.parametrize("twin", TWINS)
def test_threads(twin: str, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flattening, "serialize_message", TWINS[twin])
    check_threads(threads)


@pytest.mark.skipif(
    getattr(sys, "_is_gil_enabled", lambda: True)(), reason="this interpreter has a global lock"
)
@pytest.mark.parametrize("twin", TWINS)
def test_threads_at_the_same_time(
    twin: str, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flattening, "serialize_message", TWINS[twin])
    for _ in range(20):
        check_threads(threads)


def test_the_generator_in_threads(threads: ThreadPoolExecutor) -> None:
    """What the codec does not recognise is written by the standard library, and that changes messages."""
    message = corpus.LETTERS["signed"]()
    message.get_payload()[0].set_payload("From é", "utf-8")
    message.preamble = "--=\n"
    tally = Tally()
    alone = without_boundaries(flatten_counted(message, False, "7bit", tally))
    assert tally.generated == 1
    before = snapshot(message)

    def flatten(_: int) -> set[bytes]:
        return {without_boundaries(flattening.flatten(message, False, "7bit")) for _ in range(5)}

    assert at_once(threads, flatten) == [{alone}] * THREADS
    assert snapshot(message) == before


def received(server: Server) -> set[bytes]:
    return {without_boundaries(one.content) for one in server.messages}


def on_the_wire(message: Message) -> bytes:
    content = without_boundaries(flattening.flatten(message, False, "8bit"))
    return re.sub(rb"\r\n|\r|\n", b"\r\n", content)


async def send(server: Server, message: Message, times: int) -> None:
    async with aiosmtplib.SMTP(server.host, server.port, local_hostname="me", start_tls=False) as client:
        for _ in range(times):
            refused, _ = await client.send_message(message)
            assert refused == {}


async def test_tasks() -> None:
    async with Server() as server:
        for message in messages()[::3]:
            server.messages.clear()
            before = snapshot(message)
            await asyncio.gather(*(send(server, message, 2) for _ in range(4)))
            assert received(server) == {on_the_wire(message)}
            assert len(server.messages) == 8
            assert snapshot(message) == before


def test_a_loop_in_each_thread(serve: Serve, threads: ThreadPoolExecutor) -> None:
    server = serve()
    for message in messages()[::3]:
        server.messages.clear()
        before = snapshot(message)
        at_once(threads, lambda _, message=message: asyncio.run(send(server, message, 2)))
        assert received(server) == {on_the_wire(message)}
        assert len(server.messages) == 2 * THREADS
        assert snapshot(message) == before
