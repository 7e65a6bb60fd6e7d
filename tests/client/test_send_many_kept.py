"""A loop over ``send_many`` that was left, with the iterator kept: nothing more is pulled or begun."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import Envelope

from ..support.actions import hold, in_turn
from ..support.clients import MESSAGE, SENDER
from ..support.scripted_server import PIPELINING, Peer
from .test_send_many import ACCEPTED, collect, envelopes
from .test_send_many_iterators import in_time
from .test_send_many_streams import ServerState, both, one, to


async def first_and_keep(results: Any) -> None:
    async for result in results:
        assert result.ok
        break


@both
@pytest.mark.parametrize("kind", ["iterator", "asynchronous", "streams"])
@pytest.mark.parametrize("extensions", [("SIZE",), PIPELINING])
async def test_nothing_is_pulled_or_begun_after_leaving(
    door: ServerState, kind: str, extensions: tuple[str, ...]
) -> None:
    def source() -> Iterator[Envelope]:
        for number in range(40):
            pulled.append(number)
            yield to(number, [MESSAGE] if kind == "streams" else MESSAGE)

    async def later() -> AsyncIterator[Envelope]:
        for item in source():
            yield item

    pulled: list[int] = []
    go = asyncio.Event()
    async with (
        Peer({".": in_turn("250 ok", hold(go, "250 late"), ACCEPTED)}, extensions=extensions) as peer,
        door(peer) as sender,
    ):
        results = sender.send_many(later() if kind == "asynchronous" else source(), window=20)
        await first_and_keep(results)
        at_leaving, begun = len(pulled), peer.verbs.count("MAIL")
        go.set()
        if door is one:
            await in_time(sender.noop())  # others do not wait for what does not begin
        else:
            await in_time(sender.send(MESSAGE, SENDER, ["other@example.com"]))
            begun += 1
        assert len(pulled) == at_leaving
        # What was in the socket already, or in flight on the other connection.
        assert peer.verbs.count("MAIL") <= begun + 2
        rest = await in_time(collect(results))
        assert sorted(result.index for result in rest) == list(range(1, 40))
        assert all(result.ok for result in rest)
        assert len(peer.accepted) == 40 + (door is not one)


async def test_connections_of_a_pool_are_given_back_while_nobody_asks() -> None:
    async with (
        Peer(extensions=("SIZE",)) as peer,
        aiosmtplib.SMTPPool(peer.host, port=peer.port, start_tls=False, max_connections=1) as pool,
    ):
        results = pool.send_many(envelopes(20))
        await first_and_keep(results)
        await in_time(pool.send(MESSAGE, SENDER, ["other@example.com"]))
        assert len(peer.accepted) < 20
        rest = await in_time(collect(results))
        assert all(result.ok for result in rest)
        assert len(peer.accepted) == 21


@both
async def test_a_message_that_comes_after_leaving_waits(door: ServerState) -> None:
    go = asyncio.Event()

    async def source() -> AsyncIterator[Any]:
        yield to(0)
        yield to(1)
        await go.wait()
        yield to(2)
        yield to(3, [MESSAGE])

    async with Peer(extensions=PIPELINING) as peer, door(peer) as sender:
        results = sender.send_many(source())
        await anext(results)
        await anext(results)
        waiting = asyncio.ensure_future(anext(results))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        go.set()
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(peer.accepted) == 2
        assert len(await in_time(collect(results))) == 2
        assert len(peer.accepted) == 4


@pytest.mark.parametrize("streams", [False, True])
async def test_what_did_not_begin_is_handed_back(streams: bool) -> None:
    go = asyncio.Event()
    async with (
        Peer({".": in_turn("250 ok", hold(go, "250 late"), ACCEPTED)}, extensions=("SIZE",)) as peer,
        aiosmtplib.SMTPPool(peer.host, port=peer.port, start_tls=False, max_connections=1) as pool,
    ):
        results = pool.send_many([to(number, [MESSAGE] if streams else MESSAGE) for number in range(9)])
        await first_and_keep(results)
        go.set()
        await in_time(pool.send(MESSAGE, SENDER, ["other@example.com"]))
        rest = await in_time(results.aclose())
        assert len(rest) == len({result.index for result in rest})
        assert sum(result.ok for result in rest) == len(peer.accepted) - 2
        assert not all(result.ok for result in rest)
