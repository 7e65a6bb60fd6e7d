"""What is enqueued is checked, and there once; whoever looks at the queue can decide what becomes of it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from aiosmtplib import Envelope
from aiosmtplib.contrib.outbox import DirectoryStore, Failed, Held, Stage
from aiosmtplib.contrib.taskiq import Outbox, RedisLedger

from ...support.clients import email_message
from ...support.redis_server import RedisServer, redis_server
from .working import letter

LARGE = Envelope("a@example.com", "b@example.com", b"Subject: x\r\n\r\n" + b"x" * 300_000)


async def put_away(outbox: Outbox, place: str, number: int = 1, **options: Any) -> list[str]:
    """Put entries where a worker would have put them."""
    ids = await outbox.enqueue_many([letter(each, **options) for each in range(number)])
    ledger = RedisLedger(outbox, "w")
    await outbox.broker.startup()
    answer = await outbox.redis.xreadgroup("aiosmtplib", "w", {outbox.keys.stream: ">"})
    for identifier, content in answer[0][1]:
        from aiosmtplib.contrib._taskiq.messages import from_message, to_message

        entry = from_message(outbox.broker, content[b"data"])
        entry = entry.for_next(Held(("you@example.com",), "no reply"))
        data = to_message(outbox.broker, entry)
        await ledger.finish([], [(identifier, [(place, entry.id, 100, data, "no reply")])])
    return ids


async def test_status_of_an_outbox_that_nobody_has_used(outbox: Outbox) -> None:
    assert await outbox.status() == (0, 0, 0, 0, 0, 0, {})
    assert repr(outbox) == f"<Outbox {outbox.name!r}>"


async def test_one_that_cannot_be_sent_keeps_all_out(outbox: Outbox, tmp_path: Path) -> None:
    outbox.bodies = DirectoryStore(tmp_path)
    with pytest.raises(ValueError, match="empty"):
        await outbox.enqueue_many([LARGE, email_message(), letter(0, "")])
    with pytest.raises(ValueError, match="300000"):
        async with Outbox(max_size=300_000, bodies=outbox.bodies) as small:
            await small.enqueue(LARGE)
    assert outbox.bodies.names() == []
    assert (await outbox.status()).queued == 0


async def pieces(number: int) -> AsyncIterator[bytes]:
    for _ in range(number):
        yield b"x" * 76 + b"\r\n"


@pytest.mark.parametrize("number", [10, 5000])
async def test_an_asynchronous_stream_is_read_when_it_is_enqueued(
    outbox: Outbox, tmp_path: Path, number: int
) -> None:
    outbox.bodies = store = DirectoryStore(tmp_path)
    await outbox.enqueue(Envelope("a@example.com", "b@example.com", pieces(number)))
    assert len(store.names()) == (number == 5000)
    assert (await outbox.status()).queued == 1


async def test_a_call_that_is_repeated_adds_nothing(outbox: Outbox) -> None:
    for _ in range(2):
        await outbox._enqueue(keys=[f"{outbox.keys.call}:1", outbox.keys.stream], args=[b"one", b"two"])
    assert (await outbox.status()).queued == 2


async def test_enqueueing_waits_for_a_redis_that_is_away(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with Outbox(server.url) as outbox, Outbox(server.url, patience=0) as hasty:
            await outbox.enqueue(letter())
            server.stop()
            with pytest.raises(RedisConnectionError):
                await hasty.enqueue(letter())
            waiting = asyncio.ensure_future(outbox.enqueue(letter()))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            server.start()
            await waiting
            assert (await outbox.status()).queued == 2


async def test_what_is_later_is_sent_now_or_held(outbox: Outbox) -> None:
    ids = await put_away(outbox, "again", 3)
    later = {each.id: each async for each in outbox.stored("later")}
    assert sorted(later) == sorted(ids)
    assert {each.reason for each in later.values()} == {"no reply"}
    assert all(90 < (each.seconds or 0) <= 100 for each in later.values())
    assert await outbox.retry(ids[:1]) == ids[:1]
    assert await outbox.retry(ids[:1]) == []
    assert await outbox.hold(ids[1:2]) == ids[1:2]
    assert await outbox.hold(["nothing"]) == []
    waiting = await outbox.redis.hget(outbox.keys.waiting, ids[2])
    await outbox.redis.hset(outbox.keys.waiting, "left over", waiting)
    assert await outbox.hold(["left over"]) == []
    status = await outbox.status()
    assert (status.later, status.held) == (2, 1)
    soon = [each.seconds async for each in outbox.stored("later", ids)]
    assert sorted(each or 0 for each in soon)[0] == 0


async def test_what_is_new_can_be_held_unless_a_worker_has_it(outbox: Outbox) -> None:
    await outbox.broker.startup()
    first, second, third = await outbox.enqueue_many([letter(), letter(), letter()])
    await outbox.redis.xadd(outbox.keys.stream, {"data": b"nothing"})
    await outbox.redis.xreadgroup("aiosmtplib", "w", {outbox.keys.stream: ">"}, count=1)
    assert await outbox.hold([first]) == []
    assert await outbox.hold([second]) == [second]
    assert await outbox.hold() == [third]
    assert (await outbox.status())[:6] == (1, 1, 0, 0, 2, 0)
    assert await outbox.release([second, second, third]) == [second, third]
    assert (await outbox.status())[:6] == (3, 1, 0, 0, 0, 0)


async def test_what_has_failed_is_sent_as_if_it_were_new(outbox: Outbox) -> None:
    (identifier,) = await put_away(outbox, "dead", tag="order 17")
    (dead,) = [each async for each in outbox.stored("dead")]
    assert dead.entry is not None
    assert (dead.id, dead.reason, dead.entry.attempts, dead.seconds) == (identifier, "no reply", 1, None)
    assert await outbox.release() == []
    assert await outbox.retry() == [identifier]
    assert await outbox.retry() == []
    ((_, content),) = await outbox.redis.xrange(outbox.keys.stream)
    from aiosmtplib.contrib._taskiq.messages import from_message

    entry = from_message(outbox.broker, content[b"data"])
    assert (entry.attempts, entry.envelope.tag) == (0, "order 17")
    assert entry.created > dead.entry.created
    assert await outbox.redis.hlen(outbox.keys.reasons) == 0


async def test_what_cannot_be_read_stays_until_it_is_discarded(outbox: Outbox) -> None:
    await outbox.redis.hset(outbox.keys.dead, "1-0", b"nothing")
    await outbox.redis.hset(outbox.keys.reasons, "1-0", b"It is none")
    await outbox.redis.hset(outbox.keys.held, "2-0", b"nothing")
    assert [tuple(each) async for each in outbox.stored("dead")] == [("1-0", None, "It is none", None)]
    (held,) = [each async for each in outbox.stored("held", ["2-0", "3-0"])]
    assert held.reason == "It is no message of taskiq: JSONDecodeError"
    assert await outbox.retry() == []
    assert await outbox.discard(["2-0", "2-0"]) == ["2-0"]
    assert await outbox.discard() == ["1-0"]
    assert await outbox.redis.hlen(outbox.keys.reasons) == 0


async def test_what_is_discarded_takes_its_content_along(outbox: Outbox, tmp_path: Path) -> None:
    outbox.bodies = store = DirectoryStore(tmp_path)
    await outbox.enqueue(LARGE)
    await outbox.broker.startup()
    (identifier,) = await outbox.hold()
    assert len(store.names()) == 1
    assert await outbox.discard([identifier]) == [identifier]
    assert store.names() == []


async def test_the_ledger_knows_how_far_an_attempt_got(outbox: Outbox) -> None:
    ledger = RedisLedger(outbox, "w")
    await outbox.broker.startup()
    await outbox.enqueue(letter())
    ((identifier, _),) = await outbox.redis.xrange(outbox.keys.stream)
    assert await ledger.stage(identifier) is None
    await outbox.redis.xreadgroup("aiosmtplib", "w", {outbox.keys.stream: ">"})
    await ledger.begun([identifier])
    assert await ledger.stage(identifier) is Stage.BEGUN
    with pytest.raises(LookupError):
        await ledger.under_way([identifier])
    await outbox.redis.zadd(outbox.keys.workers, {"w": 1})
    await ledger.under_way([identifier])
    assert await ledger.stage(identifier) is Stage.UNDER_WAY
    await ledger.recorded([identifier])
    assert await ledger.stage(identifier) is Stage.RECORDED


async def test_redis_says_what_it_does_not_like(outbox: Outbox, redis_of_all: RedisServer) -> None:
    async with Outbox(redis_of_all.url.replace("redis://", "redis://user:secret@")) as refused:
        with pytest.raises(RedisConnectionError) as caught:
            await refused.enqueue(letter())
        assert "secret" not in str(caught.value) + repr(refused)


def test_an_outcome_without_an_attempt_counts_as_one() -> None:
    assert Failed(("a@b.c",), "x").counts
    assert Held(("a@b.c",), "x").counts


@pytest.mark.parametrize("patience", [-1, 301, float("nan")])
def test_patience_has_a_range(patience: float) -> None:
    with pytest.raises(ValueError, match="patience"):
        Outbox(patience=patience)


async def test_large_messages_go_to_redis_in_several_calls(outbox: Outbox) -> None:
    large = Envelope("a@example.com", "b@example.com", b"Subject: x\r\n\r\n" + b"x" * 200_000)
    ids = await outbox.enqueue_many([large] * 11)
    assert len({*ids}) == 11
    assert (await outbox.status()).queued == 11
    assert await outbox.enqueue_many([]) == []


async def test_what_comes_next_is_written_down_once(outbox: Outbox) -> None:
    ledger = RedisLedger(outbox, "w")
    await outbox.broker.startup()
    await outbox.enqueue(letter())
    ((_, ((identifier, content),)),) = await outbox.redis.xreadgroup(
        "aiosmtplib", "w", {outbox.keys.stream: ">"}
    )
    for _ in range(2):  # as a worker does that lost the connection
        await ledger.finish([], [(identifier, [("again", "1", 100, content[b"data"], "x")])])
        await outbox.hold(["1"])
    assert (await outbox.status())[:6] == (0, 0, 0, 0, 1, 0)


async def test_a_worker_that_was_given_up_puts_nothing_off(outbox: Outbox) -> None:
    ledger = RedisLedger(outbox, "w")
    await outbox.broker.startup()
    await outbox.enqueue(letter())
    ((_, ((identifier, content),)),) = await outbox.redis.xreadgroup(
        "aiosmtplib", "w", {outbox.keys.stream: ">"}
    )
    off = [(identifier, [("off", "1", 100, content[b"data"], "w")])]
    await ledger.finish([], off)  # others have it
    assert (await outbox.status())[:6] == (0, 1, 0, 0, 0, 0)
    await outbox.redis.zadd(outbox.keys.workers, {"w": 1})
    await ledger.finish([], off)
    assert (await outbox.status())[:6] == (0, 0, 0, 1, 0, 0)
