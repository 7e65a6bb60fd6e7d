"""``SMTPPool.verify``: a connection, a login and a NOOP, without a message."""

import asyncio
import ssl
from typing import Any

import pytest

from aiosmtplib import (
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPPool,
    SMTPResponseException,
    SMTPServerDisconnected,
)
from aiosmtplib.pool import PoolVerification

from ..support import certs
from ..support.actions import cut, in_turn, silence
from ..support.clients import MESSAGE, RECIPIENTS, SENDER, options_for
from ..support.scripted_server import PIPELINING, Conversation, Peer


def pool_for(peer: Peer, **options: Any) -> SMTPPool:
    return SMTPPool(**options_for(peer, **{"start_tls": False, **options}))


async def test_what_is_reported() -> None:
    async with Peer({"AUTH": "235 Welcome"}, extensions=[*PIPELINING, "SIZE 1000", "AUTH PLAIN"]) as peer:
        async with pool_for(peer, username=b"me", password="secret") as pool:
            found = await pool.verify()
            assert found == PoolVerification(peer.host, peer.port, "me", None, found.extensions)
            assert (found.extensions["size"], found.extensions["auth"]) == ("1000", "PLAIN")
            assert str(found) == f"{peer.host} on port {peer.port}, not encrypted, logged in as me"
            assert "secret" not in repr(found)
            with pytest.raises(AttributeError):
                found.port = 1  # type: ignore[misc]
            # The connection is there for the first message.
            await pool.sendmail(SENDER, RECIPIENTS, MESSAGE)
            assert (pool.stats().sent, pool.stats().idle) == (1, 1)
        await peer.hung_up()
        assert peer.verbs == ["EHLO", "AUTH", "NOOP", "MAIL", "RCPT", "RCPT", "DATA", "QUIT"]


async def test_encrypted(trusting: ssl.SSLContext) -> None:
    async with Peer(tls=certs.server_context()) as peer:
        async with pool_for(peer, start_tls=True, tls_context=trusting) as pool:
            found = await pool.verify()
            assert found.tls is not None
            assert str(found) == f"localhost on port {peer.port}, {found.tls.version}, not logged in"
        await peer.hung_up()


async def test_over_a_unix_socket(tmp_path: Any) -> None:
    path = str(tmp_path / "socket")
    async with Peer(path=path) as peer:
        async with SMTPPool(socket_path=path, local_hostname="me", start_tls=False) as pool:
            found = await pool.verify()
            assert (found.host, found.port) == (path, None)
            assert str(found) == f"{path}, not encrypted, not logged in"
        await peer.hung_up()


async def test_it_takes_no_permission_from_the_messages() -> None:
    async with Peer() as peer:
        async with pool_for(peer, rate=0.001) as pool:
            await pool.verify()
            await pool.verify()
            await pool.sendmail(SENDER, RECIPIENTS, MESSAGE)
        await peer.hung_up()


async def test_why_it_cannot_be_sent() -> None:
    async with Peer({"AUTH": "535 5.7.8 No"}, extensions=["AUTH PLAIN"]) as peer:
        async with pool_for(peer, username="me", password="secret") as pool:
            with pytest.raises(SMTPAuthenticationError):
                await pool.verify()
        await peer.hung_up()
    async with Peer({"NOOP": "500 What?"}) as peer:
        async with pool_for(peer) as pool:
            with pytest.raises(SMTPResponseException, match="What"):
                await pool.verify()
            assert pool.stats().idle == 1
        await peer.hung_up()
    async with Peer({"NOOP": cut}) as peer:
        async with pool_for(peer) as pool:
            with pytest.raises(SMTPServerDisconnected):
                await pool.verify()
        await peer.hung_up()
    with pytest.raises(SMTPConnectError, match=str(peer.port)):
        await pool_for(peer).verify()
    pool = pool_for(peer)
    await pool.aclose()
    with pytest.raises(SMTPServerDisconnected, match="closed"):
        await pool.verify()


async def test_an_idle_connection_that_is_dead_says_nothing_about_the_server() -> None:
    async with Peer({"NOOP": in_turn("250 Ok", cut, "250 Ok")}) as peer:
        async with pool_for(peer) as pool:
            await pool.verify()
            await pool.verify()
            assert len(peer.conversations) == 2
        await peer.hung_up()


async def test_cancelled() -> None:
    asked = asyncio.Event()

    async def never(conversation: Conversation) -> None:
        asked.set()
        await silence(conversation)

    async with Peer({"NOOP": never}) as peer:
        async with pool_for(peer) as pool:
            task = asyncio.create_task(pool.verify())
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (pool.stats().busy, pool.stats().idle) == (0, 0)
        await peer.hung_up()
