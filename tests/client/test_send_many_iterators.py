"""The iterator of ``send_many`` always ends: what sources raise comes out, and one task at a time asks."""

import asyncio
import gc
import io
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import Delivery, Envelope

from ..support.actions import hold, in_turn
from ..support.clients import MESSAGE, SENDER, session
from ..support.scripted_server import PATIENCE, PIPELINING, Peer
from .test_send_many import ACCEPTED, collect, envelopes
from .test_send_many_streams import ServerState, both, one, to

Source = Callable[[], Any]


class BrokenOffError(Exception):
    """What a source raises."""


def broken(error: BaseException, count: int = 2) -> Iterator[Envelope]:
    yield from envelopes(count)
    raise error


async def broken_later(error: BaseException, count: int = 2) -> AsyncIterator[Envelope]:
    for item in broken(error, count):
        await asyncio.sleep(0)
        yield item


async def slowly(items: list[Envelope]) -> AsyncIterator[Envelope]:
    for item in items:
        await asyncio.sleep(0)
        yield item


async def in_time(work: Any) -> Any:
    return await asyncio.wait_for(work, PATIENCE)


# -- what sources raise ------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("source", [broken, broken_later])
@pytest.mark.parametrize("error", [asyncio.CancelledError(), BrokenOffError(), GeneratorExit()])
async def test_what_the_source_raises_comes_out(door: ServerState, source: Any, error: BaseException) -> None:
    seen = []
    async with Peer(extensions=PIPELINING) as peer, door(peer) as sender:
        results = sender.send_many(source(error))
        with pytest.raises(type(error)):
            async for result in results:
                seen.append(result.delivery)
        assert seen == [Delivery.DELIVERED] * 2
        assert await results.aclose() == []
        assert await collect(results) == []


class NoIterator:
    def __aiter__(self) -> Any:
        raise BrokenOffError


@both
async def test_a_source_that_cannot_be_iterated_over(door: ServerState) -> None:
    async with Peer(extensions=PIPELINING) as peer, door(peer) as sender:
        source: Any = NoIterator()
        with pytest.raises(BrokenOffError):
            await in_time(collect(sender.send_many(source)))


class Cancelling(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise asyncio.CancelledError


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 does not tell who cancelled")
@both
async def test_a_file_that_cancels_is_not_sent(door: ServerState) -> None:
    async with Peer(extensions=PIPELINING) as peer, door(peer) as sender:
        (result, other) = await in_time(collect(sender.send_many([to(0, Cancelling()), to(1)], window=1)))
        assert (result.delivery, other.delivery) == (Delivery.NOT_SENT, Delivery.DELIVERED)
        assert isinstance(result.error, aiosmtplib.SMTPException)


async def unclean(endless: bool) -> AsyncIterator[Envelope]:
    try:
        for item in envelopes(100):
            yield item
            if endless:
                await asyncio.get_running_loop().create_future()
    finally:
        raise BrokenOffError


@both
@pytest.mark.parametrize("endless", [False, True])
async def test_a_clean_up_that_raises(door: ServerState, endless: bool) -> None:
    """To whoever closes; nobody hears of it after the results were dropped, not the event loop either."""
    async with Peer(extensions=PIPELINING) as peer, door(peer) as sender:
        results = sender.send_many(unclean(endless), window=3)
        first = await anext(results)
        with pytest.raises(BrokenOffError):
            await in_time(results.aclose())
        rest = await in_time(results.aclose())
        assert sorted(result.index for result in [first, *rest]) == list(range(1 + len(rest)))
        assert await results.aclose() == []
        await anext(sender.send_many(unclean(endless), window=3))
        gc.collect()
        for _ in range(3):
            await asyncio.sleep(0)


class Stubborn:
    """A source that gives a message when it is cancelled."""

    def __init__(self) -> None:
        self.waits = asyncio.Event()
        self.items = envelopes(3)

    def __aiter__(self) -> "Stubborn":
        return self

    async def __anext__(self) -> Envelope:
        if len(self.items) < 3:
            self.waits.set()
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                pass
        return self.items.pop(0)


@both
async def test_a_message_that_comes_when_the_source_is_cancelled(door: ServerState) -> None:
    async with Peer(extensions=PIPELINING) as peer, door(peer) as sender:
        source = Stubborn()
        results = sender.send_many(source)
        await anext(results)
        waiting = asyncio.ensure_future(anext(results))
        await in_time(source.waits.wait())
        (late,) = await in_time(results.aclose())
        with pytest.raises(StopAsyncIteration):
            await waiting
        assert (late.index, late.delivery) == (1, Delivery.NOT_SENT)
        assert len(source.items) == 1
        assert len(peer.accepted) == 1


class Tricky:
    """A message whose attributes cannot be asked for."""

    @property
    def get_all(self) -> Any:
        raise BrokenOffError


@both
async def test_a_message_that_cannot_be_looked_at(door: ServerState) -> None:
    async with Peer(extensions=PIPELINING) as peer, door(peer) as sender:
        items = [to(0, Tricky()), to(1)]
        results = await in_time(collect(sender.send_many(items)))
        found = {result.index: result for result in results}
        assert isinstance(found[0].error, BrokenOffError)
        assert found[1].ok


@pytest.mark.parametrize("source", [broken])
async def test_what_ends_the_program_is_not_kept(source: Any) -> None:
    async with Peer(extensions=PIPELINING) as peer, one(peer) as client:
        with pytest.raises(KeyboardInterrupt):
            await anext(client.send_many(source(KeyboardInterrupt())))


# -- tasks -------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("source", [list, slowly])
async def test_a_second_task_is_told_at_once(door: ServerState, source: Any) -> None:
    go = asyncio.Event()
    async with (
        Peer({".": hold(go, "250 ok")}, extensions=PIPELINING) as peer,
        door(peer) as sender,
    ):
        results = sender.send_many(source(envelopes(5)))
        waiting = asyncio.ensure_future(anext(results))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="Another task"):
            await anext(results)
        await peer.seen(".")
        with pytest.raises(RuntimeError, match="Another task"):
            await anext(results)
        go.set()
        first = await in_time(waiting)
        rest = await in_time(collect(results))
        assert sorted(result.index for result in [first, *rest]) == list(range(5))
        assert len(peer.accepted) == 5


@both
@pytest.mark.parametrize("source", [list, slowly])
async def test_closed_by_another_task(door: ServerState, source: Any) -> None:
    go = asyncio.Event()
    async with (
        Peer({".": in_turn("250 ok", hold(go, "250 ok"), ACCEPTED)}, extensions=PIPELINING) as peer,
        door(peer) as sender,
    ):
        results = sender.send_many(source(envelopes(50)), window=9)
        seen = [await anext(results)]

        async def consume() -> None:
            async for result in results:
                seen.append(result)

        consumer = asyncio.ensure_future(consume())
        await asyncio.sleep(0)
        closing = [asyncio.ensure_future(results.aclose()) for _ in range(3)]
        await in_time(consumer)
        closing[0].cancel()
        await asyncio.wait(closing[:1])
        go.set()
        rest = await in_time(asyncio.gather(*closing[1:]))
        assert [] in rest
        indices = sorted(result.index for result in [*seen, *rest[0], *rest[1]])
        assert indices == list(range(len(indices)))
        assert sum(result.ok for result in [*seen, *rest[0], *rest[1]]) == len(peer.accepted) < 50
        assert await results.aclose() == []


async def test_what_is_left_when_closing_is_cancelled_is_there_still() -> None:
    go = asyncio.Event()
    peer = Peer({".": in_turn("250 ok", "250 ok", hold(go, "250 ok"), ACCEPTED)}, extensions=PIPELINING)
    async with peer, one(peer) as client:
        results = client.send_many(envelopes(9))
        await anext(results)
        closing = asyncio.ensure_future(results.aclose())
        await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait([closing])
        assert closing.cancelled()
        go.set()
        rest = await in_time(results.aclose())
        assert [result.index for result in rest] == list(range(1, 9))


@both
async def test_closed_while_it_is_opened(door: ServerState) -> None:
    go = asyncio.Event()
    async with Peer({"EHLO": hold(go, "250 me")}) as peer, door(peer) as sender:
        results = sender.send_many(envelopes(3))
        waiting = asyncio.ensure_future(anext(results))
        await asyncio.sleep(0)
        first = await in_time(results.aclose())
        go.set()
        with pytest.raises(StopAsyncIteration):
            await in_time(waiting)
        rest = await results.aclose()
        assert {result.delivery for result in [*first, *rest]} <= {Delivery.NOT_SENT}
        assert not peer.accepted


@both
async def test_closed_by_its_own_source(door: ServerState) -> None:
    async def source() -> AsyncIterator[Envelope]:
        for item in envelopes(2):
            yield item
        rest.extend(await results.aclose())
        closed.set()
        yield to(2)

    rest: list[Any] = []
    closed = asyncio.Event()
    async with Peer(extensions=PIPELINING) as peer, door(peer) as sender:
        results = sender.send_many(source())
        seen = await in_time(collect(results))
        await in_time(closed.wait())
        rest += await in_time(results.aclose())
        assert sorted(result.index for result in [*seen, *rest]) == [0, 1, 2]
        assert len(peer.accepted) == sum(result.ok for result in [*seen, *rest])


@both
async def test_closed_by_the_content_of_a_message(door: ServerState) -> None:
    async def content() -> AsyncIterator[bytes]:
        yield MESSAGE
        await results.aclose()

    async with Peer(extensions=PIPELINING) as peer, door(peer) as sender:
        results = sender.send_many([to(0, content())])
        assert await in_time(collect(results)) == []
        (result,) = await in_time(results.aclose())
        assert result.error is not None
        assert isinstance(result.error.__cause__, RuntimeError)
        assert not peer.accepted


# -- messages that interfere -------------------------------------------------------------------------


class ClosingSequence(list[str]):
    """Recipients that close the connection while the message is composed."""

    def __init__(self, close: Callable[[], None]) -> None:
        super().__init__(["r1@example.com"])
        self.close = close

    def __iter__(self) -> Iterator[str]:
        self.close()
        return super().__iter__()


async def test_a_message_that_closes_the_client() -> None:
    async with Peer(extensions=PIPELINING) as peer, session(peer, start_tls=False) as client:
        items = [to(0), Envelope(SENDER, ClosingSequence(client.close), MESSAGE), to(2)]
        results = await in_time(collect(client.send_many(items)))
        assert [result.index for result in results] == [0, 1, 2]
        assert [result.delivery for result in results[1:]] == [Delivery.NOT_SENT] * 2
        assert not isinstance(results[1].error, AssertionError)


async def test_a_message_that_closes_a_connection_of_a_pool() -> None:
    async with (
        Peer(extensions=PIPELINING) as peer,
        aiosmtplib.SMTPPool(peer.host, port=peer.port, start_tls=False, max_connections=1) as pool,
    ):

        def close() -> None:
            for pooled in pool._manager.state.connections:
                pooled.client.close()

        items = [to(0), Envelope(SENDER, ClosingSequence(close), MESSAGE), to(2)]
        results = sorted(await in_time(collect(pool.send_many(items))), key=lambda result: result.index)
        assert [result.index for result in results] == [0, 1, 2]
        assert results[1].delivery is Delivery.NOT_SENT
        assert results[2].ok
