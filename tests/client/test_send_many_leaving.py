"""What happens when somebody leaves early: the consumer of ``send_many``, or who cancels it."""

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from aiosmtplib import Delivery, Envelope, SendResult

from ..support.actions import hold, in_turn
from ..support.clients import assert_usable, client_for, each_cancellation, session
from .test_send_many import ACCEPTED, collect, envelopes, peer_with


async def test_closed_early_what_is_in_flight_gets_a_verdict() -> None:
    go = asyncio.Event()
    async with (
        peer_with({".": in_turn("250 ok", hold(go, "250 late"), ACCEPTED)}) as peer,
        session(peer, start_tls=False) as client,
    ):
        async with client.send_many(envelopes(50), window=10) as results:
            assert (await anext(results)).index == 0
            closing = asyncio.ensure_future(results.aclose())
            await asyncio.sleep(0)
            assert not closing.done()
            go.set()
            unseen = await closing
        assert [result.index for result in unseen] == list(range(1, 1 + len(unseen)))
        delivered = [result for result in unseen if result.ok]
        assert len(delivered) == len(peer.accepted) - 1 < 9
        assert {result.delivery for result in unseen if not result.ok} == {Delivery.NOT_SENT}
        await assert_usable(client, peer)


async def test_an_asynchronous_source_is_closed_with_the_iterator() -> None:
    closed = []

    async def source() -> AsyncIterator[Envelope]:
        try:
            yield envelopes(1)[0]
            await asyncio.get_running_loop().create_future()
        finally:
            closed.append(True)

    async with peer_with() as peer, session(peer, start_tls=False) as client:
        results = client.send_many(source())
        await anext(results)
        assert await results.aclose() == []
        assert closed == [True]
        assert await results.aclose() == []
        await assert_usable(client, peer)


async def test_an_iterator_that_is_dropped_sends_nothing_more() -> None:
    go = asyncio.Event()
    async with (
        peer_with({".": in_turn("250 ok", hold(go, "250 late"), ACCEPTED)}) as peer,
        session(peer, start_tls=False) as client,
    ):
        async for result in client.send_many(envelopes(50), window=20):
            assert result.ok
            break
        gc.collect()
        go.set()
        await client.noop()
        assert len(peer.accepted) <= 3
        await assert_usable(client, peer)


async def test_a_dropped_iterator_stops_its_asynchronous_source() -> None:
    async def source() -> AsyncIterator[Envelope]:
        while True:
            yield envelopes(1)[0]

    async with peer_with() as peer, session(peer, start_tls=False) as client:
        async for result in client.send_many(source(), window=2):
            assert result.ok
            break
        gc.collect()
        await client.noop()
        assert len(peer.accepted) <= 4


async def test_closed_before_it_began() -> None:
    async with peer_with() as peer, session(peer, start_tls=False) as client:
        results = client.send_many(envelopes(3))
        assert await results.aclose() == []
        assert await collect(results) == []
        assert await collect(client.send_many([])) == []
        assert "MAIL" not in peer.verbs


async def test_a_consumer_that_is_cancelled_may_come_back() -> None:
    go = asyncio.Event()
    async with (
        peer_with({".": in_turn(hold(go, "250 late"), "250 ok")}) as peer,
        session(peer, start_tls=False) as client,
    ):
        results = client.send_many(envelopes(3))
        task = asyncio.ensure_future(anext(results))
        await peer.seen(".")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go.set()
        assert [result.index for result in await collect(results)] == [0, 1, 2]
        assert len(peer.accepted) == 3


@pytest.mark.parametrize("asynchronous", [True, False])
async def test_cancelled_anywhere(asynchronous: bool) -> None:
    async def source() -> AsyncIterator[Envelope]:
        for item in envelopes(3):
            await asyncio.sleep(0)
            yield item

    async def attempt(run: Any) -> None:
        async with peer_with() as peer:
            client = client_for(peer, start_tls=False)
            await client.connect()
            results = client.send_many(source() if asynchronous else envelopes(3), window=2)
            seen: list[SendResult[Any]] = []

            async def consume() -> None:
                async for result in results:
                    seen.append(result)

            await run(consume())
            seen += await results.aclose()
            assert [result.index for result in seen] == list(range(len(seen)))
            assert sum(result.ok for result in seen) == len(peer.accepted)
            await assert_usable(client, peer)
            await peer.hung_up()

    assert await each_cancellation(attempt) > 5


async def test_aclose_cancelled_anywhere() -> None:
    async def attempt(run: Any) -> None:
        async with peer_with() as peer:
            client = client_for(peer, start_tls=False)
            await client.connect()
            results = client.send_many(envelopes(9), window=5)
            await anext(results)
            await run(results.aclose())
            await results.aclose()
            await assert_usable(client, peer)
            await peer.hung_up()

    assert await each_cancellation(attempt) > 0


def test_an_iterator_outlives_its_event_loop() -> None:
    kept = []

    async def leave() -> None:
        async with peer_with() as peer, session(peer, start_tls=False) as client:
            kept.append(client.send_many(envelopes(9), window=2))
            await anext(kept[0])

    asyncio.run(leave())
    kept.clear()
