"""Moments that no server can be made to hit: two events of the pool within one turn of the event loop."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import SMTP, Delivery, SMTPResponse, SMTPServerDisconnected
from aiosmtplib._pool.states import Condition, State

from ..support.actions import cut, in_turn, silence
from ..support.clients import email_message
from ..support.scripted_server import PIPELINING, Peer
from .test_pool import pool_for, pooled, send, until
from .test_send_many import collect, envelopes, is_quiet


async def test_granted_to_somebody_who_is_just_cancelled() -> None:
    async with Peer() as peer, pooled(peer, max_connections=1) as pool:
        manager = pool._manager
        slot = await manager.acquire()
        given_up, patient = asyncio.ensure_future(send(pool, "b")), asyncio.ensure_future(send(pool, "c"))
        await until(lambda: pool.stats().waiting == 2)
        given_up.cancel()
        manager.release(slot, Condition.KEEP)
        with pytest.raises(asyncio.CancelledError):
            await given_up
        assert await patient == "2.0.0 Accepted"
        assert [mail.recipients for mail in peer.accepted] == [(b"c@example.com",)]


async def test_failed_for_somebody_who_is_just_cancelled() -> None:
    async with Peer() as peer, pooled(peer, max_connections=1) as pool:
        manager = pool._manager
        slot = await manager.acquire()
        given_up = asyncio.ensure_future(send(pool))
        await until(lambda: pool.stats().waiting == 1)
        given_up.cancel()
        manager._abort()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        manager.release(slot, Condition.LOST)


def abort(client: SMTP) -> None:
    assert client.transport is not None
    client.transport.abort()


@pytest.mark.parametrize("lose", [abort, SMTP.close])
async def test_granted_and_lost(lose: Callable[[SMTP], None]) -> None:
    async with Peer(extensions=PIPELINING) as peer, pooled(peer, max_connections=1) as pool:
        slot = await pool._manager.acquire()
        sending = asyncio.ensure_future(collect(pool.send_many(envelopes(3))))
        await until(lambda: pool.stats().waiting == 1)
        pool._manager.release(slot, Condition.KEEP)
        lose(slot.client)
        assert all(result.ok for result in await sending)
        assert len(peer.conversations) == 2


class ClosedAtOnce(SMTP):
    """A client that is closed by the time the pool hears that it is connected."""

    async def connect(self, **options: Any) -> SMTPResponse:
        greeting = await super().connect(**options)
        await self.ehlo()
        asyncio.get_running_loop().call_soon(self.close)
        return greeting


async def test_opened_and_closed() -> None:
    async with Peer() as peer, pooled(peer, client_class=ClosedAtOnce) as pool:
        with pytest.raises(SMTPServerDisconnected, match="Connection lost"):
            await send(pool)
        assert pool.stats().opening == 0


async def test_idle_and_lost() -> None:
    async with Peer(extensions=PIPELINING) as peer, pooled(peer, max_connections=1) as pool:
        slot = await pool._manager.acquire()
        pool._manager.release(slot, Condition.KEEP)
        assert slot.client.transport is not None
        slot.client.transport.abort()
        assert all(result.ok for result in await collect(pool.send_many(envelopes(3))))
        slot = await pool._manager.acquire()
        pool._manager.release(slot, Condition.KEEP)
        assert slot.client.transport is not None
        slot.client.transport.abort()
        assert await send(pool)


async def test_lost_while_it_is_filled() -> None:
    """A source may do anything, such as taking the time in which a connection is lost."""
    async with Peer(extensions=PIPELINING) as peer, pooled(peer, max_connections=1) as pool:

        def source() -> Any:
            items = envelopes(6)
            yield from items[:2]
            for slot in pool._manager.state.connections(State.BUSY):
                assert slot.client.transport is not None
                slot.client.transport.abort()
            yield from items[2:]

        results = await collect(pool.send_many(source()))
        assert {result.delivery for result in results} <= {Delivery.DELIVERED, Delivery.UNKNOWN}
        assert sum(result.ok for result in results) == len(peer.accepted)


async def test_open_and_lost() -> None:
    class Unlucky(aiosmtplib.SMTP):
        left = 1

        async def _ehlo_or_helo_if_needed(self) -> None:
            await super()._ehlo_or_helo_if_needed()
            if Unlucky.left:
                Unlucky.left -= 1
                assert self.transport is not None
                self.transport.abort()

    async with Peer() as peer, pooled(peer, client_class=Unlucky) as pool:
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await send(pool)
        assert await send(pool) == "2.0.0 Accepted"


async def test_closed_at_once_with_a_connection_that_is_gone() -> None:
    async with Peer() as peer:
        pool = pool_for(peer)
        slot = await pool._manager.acquire()
        slot.client.close()
        closing = asyncio.ensure_future(pool.aclose(0))
        for _ in range(5):
            await asyncio.sleep(0)
        assert not closing.done()
        pool._manager.release(slot, Condition.LOST)
        await closing
        await peer.hung_up()


@pytest.mark.parametrize(("window", "more"), [(2, 1), (4, 1), (2, 4)])
async def test_closed_at_once_while_more_connections_are_opened(window: int, more: int) -> None:
    actions: Any = {"connect": in_turn("220 Hello", silence), ".": silence}
    async with Peer(actions, extensions=PIPELINING) as peer:
        pool = pool_for(peer, max_connections=1 + more)
        task = asyncio.ensure_future(collect(pool.send_many(envelopes(9), window=window)))
        await peer.seen(".")
        await until(lambda: len(peer.conversations) >= 2)
        await pool.aclose(0)
        results = await task
        assert [result.index for result in results] == list(range(9))
        assert {result.delivery for result in results} == {Delivery.UNKNOWN, Delivery.NOT_SENT}
        await peer.hung_up()


async def test_closed_while_a_message_waits_for_its_time() -> None:
    async with Peer(extensions=PIPELINING) as peer:
        pool = pool_for(peer, rate=20.0)
        results = pool.send_many(envelopes(3))
        seen = [await anext(results)]
        rest = asyncio.ensure_future(collect(results))
        await until(lambda: is_quiet(pool))
        await pool.aclose()
        seen += await rest
        assert [result.delivery for result in seen] == [
            Delivery.DELIVERED,
            Delivery.NOT_SENT,
            Delivery.NOT_SENT,
        ]
        await peer.hung_up()


async def test_left_while_a_message_waits_for_its_time() -> None:
    async with Peer(extensions=PIPELINING) as peer, pooled(peer, rate=0.01) as pool:
        results = pool.send_many(envelopes(3))
        assert (await anext(results)).ok
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(results), 0.01)
        (unseen,) = await results.aclose()
        assert unseen.delivery is Delivery.NOT_SENT


async def test_an_iterator_that_is_no_generator() -> None:
    class Source:
        def __init__(self) -> None:
            self._items = iter(envelopes(5))

        def __aiter__(self) -> "Source":
            return self

        async def __anext__(self) -> Any:
            for item in self._items:
                return item
            raise StopAsyncIteration

    async with Peer(extensions=PIPELINING) as peer, pooled(peer) as pool:
        assert [result.ok for result in await collect(pool.send_many(Source()))] == [True] * 5


async def test_a_message_object_is_moved() -> None:
    async with Peer({"MAIL": in_turn(cut, "250 Ok")}, extensions=PIPELINING) as peer, pooled(peer) as pool:
        await pool.send_message(email_message())
        assert len(peer.accepted) == 1
