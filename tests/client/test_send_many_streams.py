"""Streamed messages among many others, over one connection and over a pool."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias

import pytest

import aiosmtplib
from aiosmtplib import Delivery, Envelope, SendResult
from aiosmtplib._client.pipeline import MAX_BYTES

from ..pool.test_pool import pooled
from ..support.actions import cut, hold, in_turn
from ..support.clients import MESSAGE, SENDER, session
from ..support.scripted_server import CHUNKING, PATIENCE, PIPELINING, Conversation, Limits, Peer
from .test_streaming import NORMAL

Sender: TypeAlias = aiosmtplib.SMTP | aiosmtplib.SMTPPool
ServerState: TypeAlias = Callable[[Peer], AbstractAsyncContextManager[Any]]


def one(peer: Peer) -> AbstractAsyncContextManager[Any]:
    return session(peer, start_tls=False)


def pool(peer: Peer) -> AbstractAsyncContextManager[Any]:
    return pooled(peer, max_connections=2)


both = pytest.mark.parametrize("door", [one, pool])


async def pieces(content: bytes = MESSAGE) -> AsyncIterator[bytes]:
    for start in range(0, len(content), 5):
        await asyncio.sleep(0)
        yield content[start : start + 5]


def to(number: int, content: Any = MESSAGE) -> Envelope:
    return Envelope(SENDER, f"r{number}@example.com", content)


async def collect(results: AsyncIterator[SendResult[Any]]) -> list[SendResult[Any]]:
    async def everything() -> list[SendResult[Any]]:
        return [result async for result in results]

    return sorted(await asyncio.wait_for(everything(), PATIENCE), key=lambda result: result.index)


@both
@pytest.mark.parametrize("extensions", [("SIZE",), PIPELINING, CHUNKING])
async def test_each_arrives_once(door: ServerState, extensions: tuple[str, ...]) -> None:
    async with Peer(extensions=extensions, strict=True) as peer, door(peer) as sender:
        kinds = [lambda: MESSAGE, pieces, lambda: io.BytesIO(MESSAGE), lambda: [MESSAGE[:3], MESSAGE[3:]]]
        items = [to(number, kinds[number % 4]()) for number in range(40)]
        results = await collect(sender.send_many(items, window=9))
        assert [result.item for result in results] == items
        assert [result.delivery for result in results] == [Delivery.DELIVERED] * 40
        assert {result.response for result in results} == {(250, "2.0.0 Accepted")}
        assert sorted(mail.recipients for mail in peer.accepted) == sorted(
            (f"r{number}@example.com".encode(),) for number in range(40)
        )
        assert {mail.content for mail in peer.accepted} == {NORMAL}


async def test_results_of_one_connection_come_in_order() -> None:
    async with Peer(extensions=PIPELINING) as peer, one(peer) as client:
        items = [to(number, pieces() if number % 3 == 1 else MESSAGE) for number in range(12)]
        indices = [result.index async for result in client.send_many(items)]
        assert indices == list(range(12))


@both
async def test_large_ones_make_room_for_others_from_an_asynchronous_source(door: ServerState) -> None:
    async def source() -> AsyncIterator[Envelope]:
        for number in range(4):
            yield to(number, large)

    large = b"Subject: x\r\n\r\n" + (b"x" * 70 + b"\r\n") * (MAX_BYTES * 2 // 3 // 72)
    async with Peer(extensions=PIPELINING) as peer, door(peer) as sender:
        results = await collect(sender.send_many(source()))
        assert all(result.ok for result in results)
        assert [mail.content for mail in peer.accepted] == [large] * 4


@both
async def test_one_that_cannot_be_sent_fails_alone(door: ServerState) -> None:
    refused = in_turn("250 ok", "550 no", "250 ok")
    async with Peer({"RCPT": refused}, extensions=PIPELINING) as peer, door(peer) as sender:
        (first,) = await collect(sender.send_many([to(0, pieces())]))
        assert first.ok
        items = [to(1, pieces()), Envelope(None, "r@example.com", pieces()), to(3, pieces())]
        results = await collect(sender.send_many(items, window=1))
        assert [type(result.error) for result in results] == [
            aiosmtplib.SMTPRecipientsRefused,
            ValueError,
            type(None),
        ]
        assert [result.delivery for result in results] == [
            Delivery.REJECTED,
            Delivery.NOT_SENT,
            Delivery.DELIVERED,
        ]
        assert results[0].refused == {"r1@example.com": (550, "no")}


@both
@pytest.mark.parametrize("extensions", [PIPELINING, CHUNKING])
async def test_a_source_that_raises(door: ServerState, extensions: tuple[str, ...]) -> None:
    def broken() -> Iterator[bytes]:
        yield b"Subject: x\r\n"
        raise OSError("disk on fire")

    async with Peer(extensions=extensions) as peer, door(peer) as sender:
        (result,) = await collect(sender.send_many([to(0, broken())]))
        assert isinstance(result.error, aiosmtplib.SMTPException)
        assert isinstance(result.error.__cause__, OSError)
        assert result.delivery is Delivery.NOT_SENT
        assert not peer.accepted


@both
async def test_whoever_leaves_early_sends_only_what_had_begun(door: ServerState) -> None:
    go = asyncio.Event()
    async with (
        Peer({"DATA": hold(go, "354 go")}, extensions=PIPELINING) as peer,
        door(peer) as sender,
    ):
        results = sender.send_many([to(number, pieces()) for number in range(6)])
        waiting = asyncio.ensure_future(anext(results))
        await peer.seen("DATA")
        waiting.cancel()
        await asyncio.wait([waiting])
        closing = asyncio.ensure_future(results.aclose())
        await asyncio.sleep(0)
        go.set()
        unseen = await asyncio.wait_for(closing, PATIENCE)
        verdicts = [result.delivery for result in sorted(unseen, key=lambda result: result.index)]
        begun = verdicts.count(Delivery.DELIVERED)
        assert 1 <= begun <= 2
        assert verdicts == [Delivery.DELIVERED] * begun + [Delivery.NOT_SENT] * (6 - begun)
        assert len(peer.accepted) == begun


async def test_withdrawn_while_the_file_is_measured() -> None:
    class Slow(io.BytesIO):
        """It is read for the first time after everyone has left."""

        def read(self, size: int | None = -1) -> bytes:
            asyncio.run_coroutine_threadsafe(left.wait(), loop).result(PATIENCE)
            return super().read(size)

    loop = asyncio.get_running_loop()
    left = asyncio.Event()
    async with Peer(extensions=PIPELINING) as peer, one(peer) as client:
        results = client.send_many([to(0, Slow(MESSAGE))])
        waiting = asyncio.ensure_future(anext(results))
        await asyncio.sleep(0)
        await client.noop()
        closing = asyncio.ensure_future(results.aclose())
        await asyncio.sleep(0)
        left.set()
        (unseen,) = await asyncio.wait_for(closing, PATIENCE)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert unseen.delivery is Delivery.NOT_SENT
        assert "MAIL" not in peer.verbs


async def test_a_pool_moves_what_can_be_read_again() -> None:
    async def leave(conversation: Conversation) -> str:
        await conversation.reply("421 bye")
        return await cut(conversation)

    async with (
        Peer({"MAIL": in_turn(leave, "250 ok")}, extensions=PIPELINING) as peer,
        pool(peer) as sender,
    ):
        (result,) = await collect(sender.send_many([to(0, io.BytesIO(MESSAGE))]))
        assert result.ok
        assert [mail.content for mail in peer.accepted] == [NORMAL]


async def test_a_pool_divides_what_can_be_read_again() -> None:
    extensions = (*PIPELINING, "LIMITS RCPTMAX=2")
    async with Peer(extensions=extensions, limits=Limits(rcptmax=2)) as peer, pool(peer) as sender:
        everyone = [f"r{number}@example.com" for number in range(5)]
        (result,) = await collect(sender.send_many([Envelope(SENDER, everyone, io.BytesIO(MESSAGE))]))
        assert result.ok
        assert sum(len(mail.recipients) for mail in peer.accepted) == 5
        (result,) = await collect(sender.send_many([Envelope(SENDER, everyone, pieces())]))
        assert isinstance(result.error, aiosmtplib.SMTPNotSupported)


async def test_a_task_that_is_cancelled_from_outside_leaves_it_open_what_became_of_it() -> None:
    hang = hold(asyncio.Event(), "250 never")
    async with Peer({".": hang}, extensions=PIPELINING) as peer:
        sender = aiosmtplib.SMTPPool("127.0.0.1", peer.port, start_tls=False)
        waiting = asyncio.ensure_future(anext(sender.send_many([to(0, pieces())])))
        await peer.seen(".")
        for task in asyncio.all_tasks():
            if getattr(task.get_coro(), "__name__", "") == "deliver":
                task.cancel()
        result = await asyncio.wait_for(waiting, PATIENCE)
        assert result.delivery is Delivery.UNKNOWN
        await sender.aclose(0)


async def test_a_closed_pool_takes_none() -> None:
    async with Peer(extensions=PIPELINING) as peer:
        async with pool(peer) as sender:
            await sender.send_many([]).aclose()
        (result,) = await collect(sender.send_many([to(0, pieces())]))
        assert isinstance(result.error, aiosmtplib.SMTPServerDisconnected)
        assert result.delivery is Delivery.NOT_SENT
