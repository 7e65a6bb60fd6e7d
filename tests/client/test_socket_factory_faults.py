"""``socket_factory`` that raises, takes too long or returns something else: what comes of call and socket."""

import asyncio
import socket
import ssl
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SMTP, SMTPConnectError, SMTPConnectTimeoutError, SMTPPool

from ..support import certs
from ..support.clients import (
    MESSAGE,
    RECIPIENTS,
    SENDER,
    assert_closed,
    assert_usable,
    client_for,
    each_cancellation,
    options_for,
)
from ..support.scripted_server import Peer
from ..support.socket_factories import Factory, options_by

# -- what it returns ---------------------------------------------------------------------------------

Make = Callable[[Peer], Any]


def a_datagram(peer: Peer) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((peer.host, peer.port))
    return sock


def with_tls(peer: Peer) -> socket.socket:
    plain = socket.create_connection((peer.host, peer.port))
    return certs.client_context().wrap_socket(plain, server_hostname="x", do_handshake_on_connect=False)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (lambda peer: None, "NoneType"),
        (lambda peer: (peer.host, peer.port), "tuple"),
        (a_datagram, "socket"),
        (with_tls, "SSLSocket"),
    ],
)
async def test_what_is_no_socket_of_use(value: Make, kind: str) -> None:
    async with Peer() as peer:
        made: list[Any] = []

        async def make() -> Any:
            made.append(value(peer))
            return made[-1]

        client = SMTP(**options_by(make))
        text = f"The socket_factory has to be .* a connected stream socket without TLS, not {kind}$"
        with pytest.raises(TypeError, match=text):
            await client.connect()
        assert_closed(client)
        async with SMTPPool(**options_by(make)) as pool:
            with pytest.raises(TypeError, match=text):
                await pool.sendmail(SENDER, RECIPIENTS, MESSAGE)
        assert [sock.fileno() for sock in made if isinstance(sock, socket.socket)] in ([], [-1, -1])


async def test_a_function_that_is_not_asynchronous() -> None:
    async with Peer() as peer:
        made = [socket.create_connection((peer.host, peer.port))]
        client = SMTP(**options_by(lambda: made[0]))
        with pytest.raises(TypeError, match="not a function that returns socket$"):
            await client.connect()
        assert made[0].fileno() == -1


async def test_a_socket_that_is_not_connected() -> None:
    made: list[socket.socket] = []

    async def make() -> socket.socket:
        made.append(socket.socket())
        return made[-1]

    client = SMTP(**options_by(make))
    with pytest.raises(SMTPConnectError, match=r"^Error connecting to mail.example.com on port 2525: .*not"):
        await client.connect()
    assert_closed(client)
    assert made[0].fileno() == -1


async def test_a_socket_that_is_closed() -> None:
    async def make() -> socket.socket:
        sock = socket.socket()
        sock.close()
        return sock

    with pytest.raises(SMTPConnectError, match="Bad file descriptor"):
        await SMTP(**options_by(make)).connect()


# -- what it raises ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError(113, "No route to host"), r"\[Errno 113\] No route to host"),
        (RuntimeError("the tunnel is down"), "the tunnel is down"),
        (KeyError(), "KeyError"),
        (TypeError("own fault"), "own fault"),
        (ssl.SSLError(1, "no TLS"), "no TLS"),
        (aiosmtplib.SMTPException("own"), "own"),
    ],
)
async def test_what_it_raises_is_the_cause(error: Exception, text: str) -> None:
    async def make() -> socket.socket:
        raise error

    where = "^Error connecting to mail.example.com on port 2525: "
    client = SMTP(**options_by(make))
    with pytest.raises(SMTPConnectError, match=where + text) as caught:
        await client.connect()
    assert caught.value.__cause__ is error
    assert caught.value.phase == "connect"
    assert caught.value.delivery is aiosmtplib.Delivery.NOT_SENT
    assert_closed(client)
    async with SMTPPool(**options_by(make)) as pool:
        with pytest.raises(SMTPConnectError, match=where + text):
            await pool.sendmail(SENDER, RECIPIENTS, MESSAGE)


@pytest.mark.parametrize("kind", [TimeoutError, asyncio.TimeoutError])
async def test_a_timeout_of_its_own_is_one(kind: type[Exception]) -> None:
    async def make() -> socket.socket:
        raise kind

    with pytest.raises(SMTPConnectTimeoutError, match="on port 2525: TimeoutError") as caught:
        await SMTP(**options_by(make)).connect()
    assert isinstance(caught.value.__cause__, kind)


async def test_its_cancellation_is_one() -> None:
    async def make() -> socket.socket:
        raise asyncio.CancelledError

    client = SMTP(**options_by(make))
    with pytest.raises(asyncio.CancelledError):
        await client.connect()
    assert_closed(client)


# -- time --------------------------------------------------------------------------------------------


class Endless:
    """Never returns, and notes that it was ended."""

    ended = 0

    async def __call__(self) -> socket.socket:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.ended += 1
        raise AssertionError


async def test_the_timeout_ends_it() -> None:
    make = Endless()
    client = SMTP(**options_by(make, timeout=0.05))
    with pytest.raises(
        SMTPConnectTimeoutError, match=r"^Timed out connecting to mail\.example\.com on port 2525"
    ):
        await client.connect()
    assert_closed(client)
    with pytest.raises(aiosmtplib.SMTPTimeoutError, match="The deadline of 0.05 seconds"):
        await aiosmtplib.send(MESSAGE, SENDER, RECIPIENTS, **options_by(make), deadline=0.05)
    async with SMTPPool(**options_by(make, timeout=0.05)) as pool:
        with pytest.raises(SMTPConnectTimeoutError):
            await pool.sendmail(SENDER, RECIPIENTS, MESSAGE)
    assert make.ended == 3


async def test_a_cancellation_at_any_moment_leaves_no_socket() -> None:
    async def attempt(run: Callable[[Awaitable[Any]], Awaitable[Any]]) -> None:
        async with Peer() as peer:
            make = Factory(peer)
            client = SMTP(**options_by(make))
            await run(client.connect())
            client.close()
            await peer.hung_up()
            make.assert_closed()

    assert await each_cancellation(attempt) > 0


async def test_a_socket_for_one_who_has_left() -> None:
    """A factory that does not hear the cancellation makes a socket all the same."""
    async with Peer() as peer:
        make = Factory(peer)

        begun = asyncio.Event()

        async def stubborn() -> socket.socket:
            begun.set()
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                pass
            return await make()

        client = client_for(peer, port=None, socket_factory=stubborn)
        task = asyncio.ensure_future(client.connect())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert_closed(client)
        await peer.hung_up()
        make.assert_closed()


async def test_the_traceback_leads_into_it() -> None:
    async def make() -> socket.socket:
        raise RuntimeError("found here")

    with pytest.raises(SMTPConnectError) as caught:
        await SMTP(**options_by(make)).connect()
    assert "in make" in "".join(traceback.format_exception(caught.value))


async def test_options_for_a_peer_are_not_looked_at() -> None:
    """The host is not resolved, nor the port connected to."""
    async with Peer() as peer:
        options = options_for(peer, hostname="nowhere.invalid", port=1, socket_factory=Factory(peer))
        await assert_usable(SMTP(**options), peer)
