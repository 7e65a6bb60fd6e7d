"""Goodbyes: that of a pool takes no longer than ``timeout``, that of a server is no reply to a message."""

import asyncio
import socket
from typing import Any

import pytest

from aiosmtplib import (
    SMTP,
    Delivery,
    Envelope,
    SMTPException,
    SMTPPool,
    SMTPSenderRefused,
    SMTPServerDisconnected,
)
from aiosmtplib._pool import manager

from ..support import certs
from ..support.actions import silence, then
from ..support.clients import MESSAGE, RECIPIENTS, SENDER, client_for, options_for
from ..support.scripted_server import CHUNKING, PIPELINING, Action, Conversation, Peer
from .test_pool import until

EXTENSIONS = pytest.mark.parametrize(
    "extensions", [("8BITMIME",), PIPELINING, CHUNKING], ids=["plain", "groups", "chunks"]
)

#: What is shorter than the package's own limits, as long as they are these.
SOON = 5.0


@pytest.fixture(autouse=True)
def _no_other_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager, "QUIT_TIMEOUT", 10 * SOON)
    monkeypatch.setattr("aiosmtplib._transport.client_protocol._CLOSE_TIMEOUT", 10 * SOON)


# -- of the pool -------------------------------------------------------------------------------------


async def hold_on(conversation: Conversation) -> None:
    """Take no part in the end of TLS, and keep the socket."""
    loop = asyncio.get_running_loop()
    try:
        while await loop.sock_recv(conversation._sock, 4096):
            pass
    except ConnectionResetError:
        pass


GOODBYES: dict[str, tuple[Action, bool]] = {
    "no answer to QUIT": (silence, False),
    "no answer to QUIT over TLS": (silence, True),
    "no end of TLS": (then("221 bye", hold_on), True),
}


def goodbye_peer(how: str) -> Peer:
    action, tls = GOODBYES[how]
    return Peer({"QUIT": action}, tls=certs.server_context() if tls else None, implicit_tls=tls)


def pool_for(peer: Peer, **options: Any) -> SMTPPool:
    if peer.tls:
        options |= {"tls_context": certs.client_context(), "use_tls": True}
    return SMTPPool(**options_for(peer, **options))


@pytest.mark.parametrize("how", GOODBYES)
async def test_closing_a_pool_takes_no_longer_than_the_timeout(how: str) -> None:
    async with goodbye_peer(how) as peer:
        pool = pool_for(peer, max_connections=3)
        await asyncio.gather(*(pool.send(MESSAGE, SENDER, RECIPIENTS) for _ in range(3)))
        await until(lambda: not pool.stats().opening)
        pool_timeout(pool, 0.1)
        await asyncio.wait_for(pool.aclose(), SOON)
        await peer.hung_up()


@pytest.mark.parametrize("how", GOODBYES)
async def test_a_connection_that_was_idle_too_long(how: str) -> None:
    async with goodbye_peer(how) as peer:
        pool = pool_for(peer, idle_timeout=0.01)
        await pool.send(MESSAGE, SENDER, RECIPIENTS)
        pool_timeout(pool, 0.1)
        await peer.seen("QUIT")
        await asyncio.wait_for(until(lambda: not pool.stats().closing), SOON)
        await peer.hung_up()
        await pool.aclose()


@pytest.mark.parametrize("how", GOODBYES)
async def test_without_a_timeout_there_is_a_limit_too(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager, "QUIT_TIMEOUT", 0.1)
    async with goodbye_peer(how) as peer:
        pool = pool_for(peer, timeout=None)
        await pool.send(MESSAGE, SENDER, RECIPIENTS)
        await asyncio.wait_for(pool.aclose(), SOON)
        await peer.hung_up()


def pool_timeout(pool: SMTPPool, seconds: float) -> None:
    """Shorten the timeout of all connections, once they are there: a handshake may take its time."""
    for state in manager.State:
        for pooled in pool._manager.state._by_state.get(state, ()):
            pooled.client.timeout = seconds


# -- of the server -----------------------------------------------------------------------------------


IDLE = ["421 4.4.2 Idle for too long", "451 4.4.2 Timeout - closing connection"]


def say_goodbye(peer: Peer, text: str) -> None:
    """Say it and close, on the last connection, so that it meets what the client says next."""
    sock = peer.conversations[-1]._sock
    sock.send(text.encode() + b"\r\n")
    sock.shutdown(socket.SHUT_WR)


@EXTENSIONS
@pytest.mark.parametrize("text", IDLE)
@pytest.mark.parametrize("chunking", [None, True])
async def test_to_an_idle_connection_of_a_pool(
    extensions: tuple[str, ...], text: str, chunking: bool | None
) -> None:
    """The message that it meets goes over another connection."""
    if "CHUNKING" in extensions and not text.startswith("421"):
        pytest.skip("by BDAT it may be about the message: the next test")
    many = 1 if "CHUNKING" in extensions else 3
    async with Peer(extensions=extensions) as peer:
        async with SMTPPool(**options_for(peer), chunking=chunking) as pool:
            await pool.send(MESSAGE, SENDER, RECIPIENTS)
            say_goodbye(peer, text)
            await pool.send(MESSAGE, SENDER, RECIPIENTS)
            say_goodbye(peer, text)
            async with pool.send_many([Envelope(SENDER, RECIPIENTS, MESSAGE)] * many) as results:
                assert [result.delivery async for result in results] == [Delivery.DELIVERED] * many
        assert len(peer.accepted) == 2 + many


@EXTENSIONS
@pytest.mark.parametrize("chunking", [None, True])
@pytest.mark.parametrize("before", [0, 1])
async def test_to_a_client_that_is_kept(
    extensions: tuple[str, ...], chunking: bool | None, before: int
) -> None:
    """By BDAT the whole message went out, and a 451 may be about it: what the server did is not known."""
    async with Peer(extensions=extensions) as peer:
        for text in IDLE:
            client = client_for(peer, chunking=chunking)
            await client.connect()
            for _ in range(before):
                await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
            say_goodbye(peer, text)
            with pytest.raises(SMTPException) as caught:
                await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
            whole = chunking and "CHUNKING" in extensions and not text.startswith("421")
            assert caught.value.delivery is (Delivery.UNKNOWN if whole else Delivery.NOT_SENT)
            assert text in map(str, caught.value.replies)
            assert isinstance(caught.value, SMTPServerDisconnected) or whole or caught.value.code == 421  # type: ignore[attr-defined]
            assert not client.is_connected
        assert len(peer.accepted) == 2 * before


@EXTENSIONS
async def test_a_refusal_for_now_is_none(extensions: tuple[str, ...]) -> None:
    """Where the connection stays, it was about the message."""
    async with Peer({"MAIL": "451 4.7.1 Greylisted"}, extensions=extensions, strict=True) as peer:
        async with SMTP(**options_for(peer)) as client:
            with pytest.raises(SMTPSenderRefused) as caught:
                await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
            assert caught.value.delivery is Delivery.REJECTED
            assert client.is_connected
        async with SMTPPool(**options_for(peer)) as pool:
            with pytest.raises(SMTPSenderRefused):
                await pool.send(MESSAGE, SENDER, RECIPIENTS)
        assert len(peer.conversations) == 2


async def test_a_refusal_after_which_nothing_more_is_said() -> None:
    """The connection was lost by a timeout of this side, and not by a goodbye."""
    async with Peer({"MAIL": "451 4.7.1 Greylisted", "RSET": silence}, extensions=("8BITMIME",)) as peer:
        client = client_for(peer, timeout=0.3)
        await client.connect()
        with pytest.raises(SMTPSenderRefused):
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        await peer.hung_up()


async def test_a_refusal_for_good_with_the_end_of_the_connection() -> None:
    async with Peer(extensions=("8BITMIME",)) as peer:
        client = client_for(peer)
        await client.connect()
        say_goodbye(peer, "550 5.7.1 Go away")
        with pytest.raises(SMTPSenderRefused):
            await client.sendmail(SENDER, RECIPIENTS, MESSAGE)
        await peer.hung_up()
