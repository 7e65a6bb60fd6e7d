"""Whole messages that cannot be sent on the connection that they have: of whatever kind, the pool goes on."""

import asyncio
import email.message
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import Delivery
from aiosmtplib._pool.state import MAX_MOVES
from aiosmtplib._pool.states import State

from ..support.clients import RECIPIENTS, SENDER
from ..support.scripted_server import PIPELINING, Peer
from .test_messages import accepted, begin
from .test_pool import pooled, send


async def test_thousands_that_this_server_does_not_take() -> None:
    async with Peer(extensions=(*PIPELINING, "SIZE 100")) as peer, pooled(peer, max_connections=1) as pool:
        many = [pool.sendmail(SENDER, RECIPIENTS, b"x" * 200) for _ in range(2000)]
        results = await asyncio.gather(*many, return_exceptions=True)
        assert {type(result) for result in results} == {aiosmtplib.SMTPSenderRefused}
        assert "MAIL" not in peer.verbs
        await send(pool)
        assert len(peer.conversations) == 1


class Odd(email.message.EmailMessage):
    """One that does something when it is written."""

    def __init__(self, deed: Any) -> None:
        super().__init__()
        self["From"], self["To"] = SENDER, "odd@example.com"
        self.set_content("odd\n")
        self.deed = deed

    def get_content_subtype(self) -> str:
        self.deed()
        return super().get_content_subtype()


async def test_an_object_that_cannot_be_written() -> None:
    def fail() -> None:
        raise ZeroDivisionError("mine")

    async with Peer(extensions=PIPELINING) as peer, pooled(peer, max_connections=1) as pool:
        with pytest.raises(ZeroDivisionError):
            await pool.send_message(Odd(fail))
        sending = list(begin(pool, "a", "b"))
        with pytest.raises(ZeroDivisionError):
            await pool.send_message(Odd(fail))
        await asyncio.gather(*sending)
        assert accepted(peer) == ["a", "b"]


async def test_an_object_that_ends_the_program() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    async with Peer(extensions=PIPELINING) as peer, pooled(peer, max_connections=1) as pool:
        await send(pool, "a")
        with pytest.raises(KeyboardInterrupt):
            pool.send_message(Odd(interrupt)).send(None)
        assert pool.stats().idle == 1
        await send(pool, "b")
        assert len(peer.conversations) == 1


async def test_an_object_that_closes_its_connection() -> None:
    def lose() -> None:
        for each in pool._manager.state.connections(State.BUSY):
            each.client.close()

    async with Peer(extensions=PIPELINING) as peer, pooled(peer, max_connections=1) as pool:
        with pytest.raises(aiosmtplib.SMTPServerDisconnected) as caught:
            await pool.send_message(Odd(lose))
        assert caught.value.delivery is Delivery.NOT_SENT
        assert len(peer.conversations) == 1 + MAX_MOVES
        await send(pool)
        assert len(peer.accepted) == 1


async def test_a_connection_that_was_lost_just_now() -> None:
    """The transport knows, and the pool has not been told."""
    async with Peer(extensions=PIPELINING) as peer, pooled(peer, max_connections=1) as pool:
        await send(pool, "a")
        (idle,) = pool._manager.state.connections(State.IDLE)
        idle.client.transport.abort()
        assert await send(pool, "b") == "2.0.0 Accepted"
        assert len(peer.conversations) == 2
