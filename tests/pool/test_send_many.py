"""Many messages over a pool: what is pulled, where it goes, and what happens when somebody leaves early."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import Delivery, Envelope, SendResult, SMTPPool
from aiosmtplib._client.pipeline import MAX_BYTES

from ..support.actions import at_nth, cut, hold, in_turn, silence
from ..support.clients import MESSAGE, SENDER, each_cancellation, email_message, options_for
from ..support.scripted_server import CHUNKING, PATIENCE, PIPELINING, Conversation, Limits, Peer
from .test_pool import connections, pool_for, pooled, send, until


def envelopes(count: int, content: bytes = MESSAGE) -> list[Envelope]:
    return [Envelope(SENDER, f"r{number}@example.com", content) for number in range(count)]


async def slowly(items: Any) -> AsyncIterator[Any]:
    for item in items:
        await asyncio.sleep(0)
        yield item


async def collect(results: AsyncIterator[SendResult[Any]]) -> list[SendResult[Any]]:
    return sorted([result async for result in results], key=lambda result: result.index)


def is_quiet(pool: SMTPPool) -> bool:
    stats = pool.stats()
    return not (stats.busy or stats.opening or stats.waiting)


# -- sending -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("extensions", [(), PIPELINING, CHUNKING])
@pytest.mark.parametrize("source", [list, iter, slowly])
async def test_every_message_has_its_result(extensions: tuple[str, ...], source: Any) -> None:
    async with Peer(extensions=extensions, strict=True) as peer, pooled(peer, max_connections=3) as pool:
        items = envelopes(200)
        results = await collect(pool.send_many(source(items)))
        assert [result.index for result in results] == list(range(200))
        assert [result.item for result in results] == items
        assert all(result.ok for result in results)
        assert sorted(mail.recipients[0] for mail in peer.accepted) == sorted(
            b"r%d@example.com" % number for number in range(200)
        )
        assert len(peer.conversations) == 3
        assert min(connections(peer)) > 0 or extensions == CHUNKING
        await until(lambda: is_quiet(pool))
        assert pool.stats().sent == 200


async def test_one_line() -> None:
    async with Peer(extensions=PIPELINING) as peer:
        results = await collect(
            aiosmtplib.send_many([email_message(), *envelopes(9)], **options_for(peer, max_connections=2))
        )
        assert all(result.ok for result in results)
        assert len(peer.accepted) == 10
        await peer.hung_up()


async def test_one_line_left_early() -> None:
    async with Peer(extensions=PIPELINING) as peer:
        results = aiosmtplib.send_many(iter(envelopes(100)), window=4, **options_for(peer))
        assert (await anext(results)).ok
        await results.aclose()
        assert len(peer.accepted) <= 5
        await peer.hung_up()
    with pytest.raises(TypeError):
        aiosmtplib.send_many(MESSAGE)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="max_connections"):
        aiosmtplib.send_many([], max_connections=0)


async def test_messages_fail_alone() -> None:
    refusal = aiosmtplib.SMTPRecipientsRefused
    items: list[Any] = [
        *envelopes(2),
        Envelope(SENDER, "no address\r\n", MESSAGE),
        Envelope(SENDER, "refused@example.com", MESSAGE),
        42,
        Envelope(SENDER, [], MESSAGE),
        *envelopes(2),
    ]

    async def rcpt(conversation: Conversation) -> str | None:
        refused = b"refused" in conversation.line
        return await conversation.perform("550 5.1.1 No" if refused else "250 Ok")

    async with Peer({"RCPT": rcpt}, extensions=PIPELINING) as peer, pooled(peer) as pool:
        results = await collect(pool.send_many(items))
        assert [result.ok for result in results] == [True, True, False, False, False, False, True, True]
        for result, error in zip(results[2:6], [ValueError, refusal, TypeError, refusal], strict=True):
            with pytest.raises(error):
                result.raise_for_status()
        assert pool.stats().refused == 2
        await until(lambda: is_quiet(pool))
        assert all(not result.ok for result in await collect(pool.send_many(items[2:6] * 30)))


async def test_messages_are_pulled_as_they_are_needed() -> None:
    pulled = 0

    def source() -> Iterator[Envelope]:
        nonlocal pulled
        for item in envelopes(100):
            pulled += 1
            yield item

    async with Peer(extensions=PIPELINING) as peer, pooled(peer, max_connections=2) as pool:
        handed = 0
        async for _ in pool.send_many(source(), window=5):
            handed += 1
            assert pulled <= handed + 4
        assert handed == 100


async def test_large_messages_are_not_pulled_far_ahead() -> None:
    large = b"x" * MAX_BYTES
    event = asyncio.Event()
    pulled = 0

    def source() -> Iterator[Envelope]:
        nonlocal pulled
        for _ in range(6):
            pulled += 1
            yield Envelope(SENDER, "b@example.com", large)

    async with (
        Peer({".": hold(event, "250 Ok")}, extensions=PIPELINING) as peer,
        pooled(peer, max_connections=1) as pool,
    ):
        task = asyncio.ensure_future(collect(pool.send_many(source())))
        await peer.seen(".")
        assert pulled == 1
        event.set()
        assert [result.ok for result in await task] == [True] * 6


async def test_a_few_recipients_at_a_time() -> None:
    extensions = (*PIPELINING, "LIMITS RCPTMAX=2 MAILMAX=5")
    message = email_message("b@example.com, c@example.com, d@example.com")
    five = [f"r{number}@example.com" for number in range(5)]
    items = [message, Envelope(SENDER, five, MESSAGE), Envelope(SENDER, five[:2], MESSAGE), *envelopes(20)]
    async with (
        Peer(extensions=extensions, limits=Limits(5, 2), strict=True) as peer,
        pooled(peer, max_connections=2) as pool,
    ):
        results = await collect(pool.send_many(items))
        assert all(result.ok for result in results)
        assert [result.item for result in results] == items
        assert max(len(mail.recipients) for mail in peer.accepted) == 2
        assert sum(len(mail.recipients) for mail in peer.accepted) == 3 + 5 + 2 + 20
        assert pool.stats().sent == 23


async def test_a_rate() -> None:
    loop = asyncio.get_running_loop()
    times: list[float] = []

    async def note(conversation: Conversation) -> str | None:
        times.append(loop.time())
        return await conversation.perform("250 Ok")

    async with Peer({"MAIL": note}, extensions=PIPELINING) as peer, pooled(peer, rate=100.0) as pool:
        began = loop.time()
        results = await collect(pool.send_many(envelopes(8)))
        assert all(result.ok for result in results)
        assert [time - began >= number / 100 - 0.001 for number, time in enumerate(times)] == [True] * 8


# -- losses ------------------------------------------------------------------------------------------


async def test_what_was_not_sent_is_moved() -> None:
    async with (
        Peer({"RCPT": at_nth(5, cut)}, extensions=PIPELINING) as peer,
        pooled(peer, max_connections=1) as pool,
    ):
        results = await collect(pool.send_many(envelopes(20)))
        unknown = [result.index for result in results if result.delivery is Delivery.UNKNOWN]
        assert len(unknown) <= 1  # the one whose content went out with the command that was cut
        assert sorted(mail.recipients[0] for mail in peer.accepted) == sorted(
            b"r%d@example.com" % result.index for result in results if result.ok
        )
        assert len(results) == 20
        assert pool.stats().reconnects == 1


async def test_moves_are_bounded() -> None:
    async with Peer({"MAIL": cut}, extensions=PIPELINING) as peer, pooled(peer, max_connections=2) as pool:
        results = await collect(pool.send_many(envelopes(5)))
        assert {result.delivery for result in results} == {Delivery.NOT_SENT}
        await until(lambda: is_quiet(pool))


async def test_too_many_messages() -> None:
    async def mail(conversation: Conversation) -> str | None:
        many = conversation.commands.count(b"DATA") > 3
        return await conversation.perform("452 4.5.3 Too many messages" if many else "250 Ok")

    async with (
        Peer({"MAIL": mail}, extensions=PIPELINING, strict=True) as peer,
        pooled(peer, max_connections=2) as pool,
    ):
        # Few in flight: what is moved thus has room on the next connection, and no message moves too often.
        results = await collect(pool.send_many(envelopes(30), window=4))
        assert all(result.ok for result in results)
        assert len(peer.accepted) == 30
        assert pool.stats().refused == 0
        assert len(peer.conversations) > 2


async def test_a_server_that_is_down() -> None:
    async with Peer({"connect": "554 Closed"}) as peer, pooled(peer, max_connections=3) as pool:
        results = await collect(pool.send_many(envelopes(7)))
        assert [type(result.error) for result in results] == [aiosmtplib.SMTPConnectResponseError] * 7
        assert {result.delivery for result in results} == {Delivery.NOT_SENT}


async def test_a_server_that_takes_few_connections() -> None:
    async def two_at_most(conversation: Conversation) -> str | None:
        few = len(conversation.peer.conversations) <= 2
        return await conversation.perform("220 Hello" if few else "421 4.7.0 Too many connections")

    async with (
        Peer({"connect": two_at_most}, extensions=PIPELINING) as peer,
        pooled(peer, max_connections=5) as pool,
    ):
        others = asyncio.gather(*(send(pool) for _ in range(20)))
        results = await collect(pool.send_many(envelopes(100)))
        assert all(result.ok for result in results)
        assert await others == ["2.0.0 Accepted"] * 20
        await until(lambda: is_quiet(pool))


async def test_two_that_share() -> None:
    async with Peer(extensions=CHUNKING) as peer, pooled(peer, max_connections=1) as pool:
        first = asyncio.ensure_future(collect(pool.send_many(envelopes(100))))
        second = asyncio.ensure_future(collect(pool.send_many(slowly(envelopes(100)))))
        alone = asyncio.ensure_future(send(pool))
        await asyncio.wait([first, second, alone], return_when=asyncio.FIRST_COMPLETED)
        assert alone.done()  # it did not have to wait for two hundred messages
        assert all(result.ok for result in [*await first, *await second])


# -- leaving -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [iter, slowly])
async def test_leaving_early(source: Any) -> None:
    async with Peer(extensions=PIPELINING) as peer, pooled(peer, max_connections=2) as pool:
        async with pool.send_many(source(envelopes(50)), window=8) as results:
            first = await anext(results)
        assert first.ok
        with pytest.raises(StopAsyncIteration):
            await anext(results)
        assert await results.aclose() == []
        assert len(peer.accepted) <= 9
        await until(lambda: is_quiet(pool))  # a connection may be on its way still
        assert await send(pool)


@pytest.mark.parametrize("source", [iter, slowly])
async def test_going_away(source: Any) -> None:
    async with Peer(extensions=PIPELINING) as peer, pooled(peer, max_connections=2) as pool:
        results = pool.send_many(source(envelopes(50)), window=8)
        await anext(results)
        del results
        await until(lambda: is_quiet(pool))
        assert len(peer.accepted) <= 9
        assert await send(pool)


async def test_what_was_not_seen_is_returned() -> None:
    event = asyncio.Event()
    final = in_turn("250 Ok", hold(event, "250 Ok"))
    async with Peer({".": final}, extensions=PIPELINING) as peer, pooled(peer, max_connections=1) as pool:
        results = pool.send_many(envelopes(5), window=5)
        seen = [await anext(results)]
        closing = asyncio.ensure_future(results.aclose())
        await asyncio.sleep(0)
        event.set()
        seen += await closing
        assert sorted(result.index for result in seen) == list(range(5))
        delivered = sum(result.ok for result in seen)
        assert len(peer.accepted) == delivered < 5
        assert {result.delivery for result in seen if not result.ok} == {Delivery.NOT_SENT}


@pytest.mark.parametrize("wrap", [lambda items: items, slowly])
async def test_a_source_that_raises(wrap: Any) -> None:
    def source() -> Iterator[Envelope]:
        yield from envelopes(3)
        raise ZeroDivisionError("mine")

    async with Peer(extensions=PIPELINING) as peer, pooled(peer) as pool:
        seen = []
        with pytest.raises(ZeroDivisionError, match="mine"):
            async for result in pool.send_many(wrap(source())):
                seen.append(result)
        assert [result.ok for result in seen] == [True] * 3
        assert len(peer.accepted) == 3
        await until(lambda: is_quiet(pool))


async def test_never_begun() -> None:
    pool = SMTPPool()
    results = pool.send_many([])
    assert await results.aclose() == []
    async for _ in pool.send_many([]):
        pass
    for window in (0, -1):
        with pytest.raises(ValueError, match="window"):
            pool.send_many([], window=window)
    with pytest.raises(TypeError, match="window"):
        pool.send_many([], window=1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("extensions", [PIPELINING, CHUNKING])
async def test_cancelled_anywhere(extensions: tuple[str, ...]) -> None:
    async def consume(pool: SMTPPool) -> None:
        async with pool.send_many(slowly(envelopes(6)), window=3) as results:
            async for _ in results:
                pass

    async def attempt(run: Any) -> None:
        mail = in_turn("250 Ok", "421 Later", "250 Ok")
        async with Peer({"MAIL": mail}, extensions=extensions, strict=True) as peer:
            pool = pool_for(peer, max_connections=2)
            await run(consume(pool))
            await asyncio.wait_for(until(lambda: is_quiet(pool)), PATIENCE)
            assert await send(pool, "last") == "2.0.0 Accepted"
            await asyncio.wait_for(pool.aclose(), PATIENCE)
            got = [mail.recipients[0] for mail in peer.accepted]
            assert len(set(got)) == len(got)
            await peer.hung_up()

    assert await each_cancellation(attempt) > 5


# -- the end of the pool -----------------------------------------------------------------------------


@pytest.mark.parametrize("source", [iter, slowly])
async def test_the_pool_is_closed_meanwhile(source: Any) -> None:
    async with Peer(extensions=PIPELINING) as peer:
        pool = pool_for(peer, max_connections=2)
        results = pool.send_many(source(envelopes(40)), window=4)
        seen = [await anext(results)]
        closing = asyncio.ensure_future(pool.aclose())
        seen += [result async for result in results]
        await closing
        assert sorted(result.index for result in seen) == list(range(40))
        assert {result.delivery for result in seen} == {Delivery.DELIVERED, Delivery.NOT_SENT}
        assert len(peer.accepted) == sum(result.ok for result in seen)
        assert "pool is closed" in str([result for result in seen if not result.ok][-1].error)
        await peer.hung_up()


async def test_the_pool_is_closed_at_once() -> None:
    async with Peer({"MAIL": in_turn("250 Ok", silence)}, extensions=PIPELINING) as peer:
        pool = pool_for(peer, max_connections=1)
        results = pool.send_many(envelopes(6), window=6)
        seen = [await anext(results)]
        await pool.aclose(0)
        seen += [result async for result in results]
        assert [result.delivery for result in seen][1:] == [Delivery.NOT_SENT] * 5
        await until(lambda: is_quiet(pool))
        await peer.hung_up()


@pytest.mark.parametrize("mailmax", [1, 2, 5, 13])
async def test_a_limit_that_is_not_announced_fails_no_message(mailmax: int) -> None:
    async with (
        Peer(extensions=PIPELINING, limits=Limits(mailmax=mailmax)) as peer,
        pooled(peer, max_connections=2) as pool,
    ):
        results = await collect(pool.send_many(envelopes(100), window=60))
        assert [result.delivery for result in results] == [Delivery.DELIVERED] * 100
        assert len({mail.recipients for mail in peer.accepted}) == len(peer.accepted) == 100
