"""After the end of an event loop: every method says that there is no connection, and none hangs."""

import asyncio
import gc
import io
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aiosmtplib import SMTP, Delivery, Envelope, SMTPPool, SMTPServerDisconnected
from aiosmtplib.testing import Server

from ..support.clients import HOST, MESSAGE, RECIPIENTS, SENDER, assert_closed, email_message
from ..support.scripted_server import PATIENCE
from ..support.threaded_servers import in_thread

ENVELOPE = Envelope(SENDER, RECIPIENTS, MESSAGE)


@pytest.fixture(autouse=True)
def _unclosed(loop_complaints: list[logging.LogRecord]) -> Iterator[None]:
    """A loop that ends before its transports leaves them to the garbage collector, which says so."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()
    if sys.version_info < (3, 11):  # its TLS transports write when they are collected, and complain
        loop_complaints.clear()


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with in_thread(Server(start_tls=request.param)) as server:
        yield server


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Runs a coroutine in an event loop of its own, which ends with it."""
    new_loop = asyncio.new_event_loop
    if request.param == "uvloop":
        new_loop = pytest.importorskip("uvloop").new_event_loop

    def run(coroutine: Any) -> Any:
        loop = new_loop()
        try:
            return loop.run_until_complete(asyncio.wait_for(coroutine, PATIENCE))
        finally:
            loop.close()

    return run


def options_of(server: Server) -> dict[str, Any]:
    return {**server.connect_options, "local_hostname": HOST, "timeout": None}


async def connected(server: Server, **options: Any) -> SMTP:
    client = SMTP(**options_of(server), **options)
    await client.connect()
    await client.ehlo()
    return client


async def results_of(owner: Any) -> list[Any]:
    return [result async for result in owner.send_many([ENVELOPE])]


METHODS: dict[str, Callable[[SMTP], Any]] = {
    "noop": lambda client: client.noop(),
    "ehlo": lambda client: client.ehlo(),
    "helo": lambda client: client.helo(),
    "help": lambda client: client.help(),
    "rset": lambda client: client.rset(),
    "vrfy": lambda client: client.vrfy("b"),
    "expn": lambda client: client.expn("b"),
    "mail": lambda client: client.mail(SENDER),
    "rcpt": lambda client: client.rcpt(SENDER),
    "data": lambda client: client.data(MESSAGE),
    "quit": lambda client: client.quit(),
    "starttls": lambda client: client.starttls(),
    "login": lambda client: client.login("u", "p"),
    "auth_plain": lambda client: client.auth_plain("u", "p"),
    "execute_command": lambda client: client.execute_command(b"NOOP"),
    "sendmail": lambda client: client.sendmail(SENDER, RECIPIENTS, MESSAGE),
    "stream": lambda client: client.sendmail(SENDER, RECIPIENTS, io.BytesIO(MESSAGE)),
    "send_message": lambda client: client.send_message(email_message()),
    "send_many": results_of,
}


@pytest.mark.parametrize("chunking", [None, True])
@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_that_it_is_not_connected(
    server: Server, run: Callable[..., Any], name: str, chunking: bool | None
) -> None:
    client = run(connected(server, chunking=chunking))
    before = len(server.messages)

    async def use() -> None:
        await METHODS[name](client)

    assert not client.is_connected
    with pytest.raises(SMTPServerDisconnected) as caught:
        run(use())
    assert caught.value.delivery is Delivery.NOT_SENT
    assert len(server.messages) == before
    client.close()
    assert_closed(client)


def test_what_needs_no_loop(server: Server, run: Callable[..., Any]) -> None:
    client = run(connected(server))
    assert client.tls is None
    assert "not connected" in repr(client)
    with pytest.raises(SMTPServerDisconnected, match="the event loop of the connection has ended"):
        client.get_transport_info("peername")
    protocol = client.protocol
    assert protocol is not None
    protocol.close()
    assert not protocol.is_connected
    client.close()
    client.close()
    assert_closed(client)


def test_it_connects_again(server: Server, run: Callable[..., Any]) -> None:
    client = run(connected(server))

    async def use() -> None:
        async with client:
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)

    run(use())
    run(use())
    assert_closed(client)
    assert len(server.messages) == 2


def test_leaving_a_block_in_another_loop(server: Server, run: Callable[..., Any]) -> None:
    client = run(connected(server))
    run(client.__aexit__(None, None, None))
    assert not client.is_connected


@pytest.mark.parametrize("door", ["client", "pool"])
def test_results_of_a_loop_that_has_ended(server: Server, run: Callable[..., Any], door: str) -> None:
    async def begin() -> Any:
        owner = (
            await connected(server) if door == "client" else SMTPPool(**options_of(server), max_connections=1)
        )
        results = owner.send_many([ENVELOPE] * 3, window=2)
        await anext(results)
        return results

    async def go_on(results: Any) -> None:
        with pytest.raises(SMTPServerDisconnected, match="event loop of these messages has ended"):
            await anext(results)
        with pytest.raises(StopAsyncIteration):
            await anext(results)
        assert all(result.delivery is Delivery.DELIVERED for result in await results.aclose())
        async with results:
            pass

    run(go_on(run(begin())))


@pytest.mark.parametrize("rate", [None, 1000.0])
def test_a_pool(server: Server, run: Callable[..., Any], rate: float | None) -> None:
    pool = SMTPPool(**options_of(server), rate=rate, max_connections=1)
    run(pool.send(MESSAGE, SENDER, RECIPIENTS))
    for use in (
        lambda: pool.send(MESSAGE, SENDER, RECIPIENTS),
        lambda: pool.sendmail(SENDER, RECIPIENTS, MESSAGE),
        lambda: pool.sendmail(SENDER, RECIPIENTS, io.BytesIO(MESSAGE)),
        lambda: pool.send_message(email_message()),
        lambda: results_of(pool),
    ):
        with pytest.raises(SMTPServerDisconnected, match="event loop of this pool has ended") as caught:
            run(use())
        assert caught.value.delivery is Delivery.NOT_SENT
    assert len(server.messages) == 1
    run(pool.aclose())
    run(pool.aclose(0))


def test_two_loops_at_once() -> None:
    """That is a fault of the program."""

    async def use() -> None:
        with pytest.raises(RuntimeError, match="belongs to the event loop"):
            await pool.send(MESSAGE, SENDER, RECIPIENTS)

    pool = SMTPPool("127.0.0.1", 1)
    other = asyncio.new_event_loop()
    try:
        other.run_until_complete(asyncio.wait_for(pool.aclose(), PATIENCE))
        asyncio.run(use())
    finally:
        other.close()
