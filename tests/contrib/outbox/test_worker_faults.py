"""What a worker leaves behind that died, and what it does while Redis is away, or has lost something."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import AuthenticationError, ResponseError

from aiosmtplib import SMTPPool
from aiosmtplib.contrib._taskiq.intake import Intake
from aiosmtplib.contrib._taskiq.records import Record, Records
from aiosmtplib.contrib.outbox import Policy
from aiosmtplib.contrib.taskiq import Outbox, RedisLedger, Worker

from ...support.actions import at_nth, hold
from ...support.clients import options_for
from ...support.mta import free_ports
from ...support.redis_server import RedisServer, redis_server
from ...support.scripted_server import PIPELINING, Peer
from .working import letter, until, working


def everything_is_done(status: Any) -> bool:
    return not any(status[:6])


async def test_of_a_dead_worker_what_had_not_begun_is_sent_and_the_rest_is_unknown(outbox: Outbox) -> None:
    await outbox.broker.startup()
    await outbox.enqueue_many([letter(0), letter(1), letter(2)])
    await outbox.redis.xadd(outbox.keys.stream, {"data": b"nothing"})
    answer = await outbox.redis.xreadgroup("aiosmtplib", "dead", {outbox.keys.stream: ">"})
    identifiers = [identifier for identifier, _ in answer[0][1]]
    await outbox.redis.zadd(outbox.keys.workers, {"dead": 1, "silent": 2})
    await outbox.redis.hset(outbox.keys.ledger, identifiers[0], "dead")
    async with Peer(extensions=PIPELINING) as peer:
        async with working(outbox, peer, lease=0.3, policy=Policy(unknown="hold")) as (_, seen):
            status = await until(outbox, lambda status: len(status.workers) == 1 and status.dead)
            await seen.until(3)
        assert sorted(seen.kinds()) == ["Done", "Done", "Held"]
        assert len(peer.accepted) == 2
    assert status.dead == 1
    assert [entry.envelope.message for entry, result, _ in seen.outcomes if result is None] != []
    assert await outbox.redis.hlen(outbox.keys.ledger) == 0


async def test_a_worker_that_was_given_up_begins_again_as_another(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    event = asyncio.Event()
    async with Peer({".": at_nth(1, hold(event, "250 Ok"))}, extensions=PIPELINING) as peer:
        await outbox.enqueue(letter())
        async with working(outbox, peer, policy=Policy(unknown="hold")) as (_, seen):
            await peer.seen(".")
            ((name, _),) = await outbox.redis.zrange(outbox.keys.workers, 0, -1, withscores=True)
            await outbox.redis.zadd(outbox.keys.workers, {name: 0})
            await outbox.enqueue_many([letter(), letter()])
            await until(outbox, lambda status: status.held)
            event.set()
            await seen.until(4)
            await until(outbox, lambda status: not status.taken)
        assert len(peer.accepted) == 3
    status = await outbox.status()
    assert (status.held, status.later) == (1, 0)
    assert name.decode() not in status.workers


async def test_redis_is_away_for_a_while(tmp_path: Path) -> None:
    with redis_server(tmp_path) as server:
        async with Outbox(server.url) as outbox, Peer(extensions=PIPELINING) as peer:
            async with working(outbox, peer) as (_, seen):
                await outbox.enqueue(letter())
                await seen.until(1)
                server.stop()
                await asyncio.sleep(0.3)
                server.start()
                await outbox.enqueue_many([letter(number) for number in range(20)])
                await seen.until(21)
                await until(outbox, everything_is_done)
            assert len(peer.accepted) == 21


async def test_redis_goes_while_messages_are_on_their_way(tmp_path: Path) -> None:
    event = asyncio.Event()
    with redis_server(tmp_path) as server:
        async with Outbox(server.url) as outbox:
            async with Peer({".": at_nth(1, hold(event, "250 Ok"))}, extensions=PIPELINING) as peer:
                await outbox.enqueue(letter())
                async with working(outbox, peer) as (_, seen):
                    await peer.seen(".")
                    server.stop()
                    event.set()
                    await seen.until(1)
                    await asyncio.sleep(0.3)
                    server.start()
                    await until(outbox, everything_is_done)
                assert len(peer.accepted) == 1


async def test_a_stream_that_somebody_removed_is_made_again(outbox: Outbox) -> None:
    async with Peer(extensions=PIPELINING) as peer, working(outbox, peer) as (_, seen):
        await outbox.enqueue(letter())
        await seen.until(1)
        await until(outbox, everything_is_done)
        await outbox.redis.delete(outbox.keys.stream, outbox.keys.workers)
        await outbox.enqueue(letter())
        await seen.until(2)


async def test_what_the_hook_raises_is_logged(outbox: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    def hook(*_: object) -> None:
        raise ZeroDivisionError

    async with Peer(extensions=PIPELINING) as peer, working(outbox, peer, on_outcome=hook):
        await outbox.enqueue(letter())
        await until(outbox, lambda status: peer.accepted and everything_is_done(status))
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_a_worker_ends_with_what_redis_refuses(outbox: Outbox) -> None:
    async with Peer(extensions=PIPELINING) as peer, SMTPPool(**options_for(peer)) as pool:
        running = asyncio.ensure_future(Worker(outbox, pool).run())
        await until(outbox, lambda status: status.workers)
        await outbox.redis.set(outbox.keys.later, "no sorted set")
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            await running


async def test_more_results_than_are_written_down_at_once(outbox: Outbox) -> None:
    await outbox.broker.startup()
    records = Records(outbox, lambda _: None)
    for number in range(450):
        records.add(Record(b"1-%d" % number))
    writing = asyncio.ensure_future(records.write())
    await records.written()
    records.close()
    writing.cancel()
    await asyncio.wait([writing])


async def test_redis_goes_when_messages_are_to_be_marked(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    under_way = RedisLedger.under_way
    calls = 0

    async def lost(self: RedisLedger, ids: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ConnectionResetError
        await under_way(self, ids)

    monkeypatch.setattr(RedisLedger, "under_way", lost)
    await outbox.enqueue_many([letter(), letter()])
    async with Peer(extensions=PIPELINING) as peer, working(outbox, peer) as (_, seen):
        await seen.until(2)
    assert len(peer.accepted) == 2


async def test_what_was_finished_while_it_was_asked_for_is_not_taken_again(outbox: Outbox) -> None:
    await outbox.broker.startup()
    first, _ = await outbox.enqueue_many([letter(), letter()])
    intake = Intake(outbox, 30, lambda *_: None, lambda _: None)
    await intake.join()
    real = outbox.redis.xreadgroup
    answers = []

    async def read(*arguments: Any, **options: Any) -> Any:
        answer = await real(*arguments, **options)
        if answers:  # that of what is pending: the first message is finished before it arrives
            intake.finished(answers[0][0][1][0][0])
        answers.append(answer)
        return answer

    outbox.redis.xreadgroup = read
    answers.append(await real("aiosmtplib", intake.name, {outbox.keys.stream: ">"}))
    reading = asyncio.ensure_future(intake.read())
    (other,) = await intake.take(10)
    intake.close()
    reading.cancel()
    await asyncio.wait([reading])
    assert other.entry.id != first


async def test_a_worker_waits_for_a_redis_that_is_not_there_yet(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with redis_server(tmp_path) as server:
        server.stop()
        async with Outbox(server.url) as outbox, Peer(extensions=PIPELINING) as peer:
            async with working(outbox, peer) as (_, seen):
                while "cannot be reached" not in caplog.text:  # noqa: ASYNC110  # it tells nobody else
                    await asyncio.sleep(0.01)
                server.start()
                await outbox.enqueue(letter())
                await seen.until(1)


async def test_a_worker_that_may_not_log_in_ends(redis_of_all: RedisServer) -> None:
    url = redis_of_all.url.replace("redis://", "redis://user:secret@")
    async with Peer() as peer, SMTPPool(**options_for(peer)) as pool:
        async with Outbox(url) as outbox:
            with pytest.raises(AuthenticationError):
                await Worker(outbox, pool).run()


async def test_redis_refuses_what_is_read(outbox: Outbox) -> None:
    async with Peer() as peer, SMTPPool(**options_for(peer)) as pool:
        running = asyncio.ensure_future(Worker(outbox, pool).run())
        await until(outbox, lambda status: status.workers)
        await outbox.redis.set(outbox.keys.stream, "no stream")
        with pytest.raises(ResponseError, match="WRONGTYPE"):
            await running


async def test_a_worker_without_messages_that_was_given_up_begins_again(outbox: Outbox) -> None:
    async with Peer() as peer, working(outbox, peer):
        ((name, _),) = (await until(outbox, lambda status: status.workers)).workers.items()
        await outbox.redis.zadd(outbox.keys.workers, {name: 0})
        await until(outbox, lambda status: status.workers and name not in status.workers)


async def test_what_goes_on_for_ever_ends_once_it_is_closed(outbox: Outbox) -> None:
    """Also where redis-py has lost that it was cancelled."""
    intake = Intake(outbox, 30, lambda *_: None, lambda _: None)
    records = Records(outbox, lambda _: None)
    intake.close()
    records.close()
    await intake.read()
    await intake.keep_alive(intake.join)
    await records.write()


async def test_a_worker_that_is_stopped_before_it_begins(tmp_path: Path) -> None:
    async with Peer() as peer, SMTPPool(**options_for(peer)) as pool:
        (port,) = free_ports(1)
        async with Outbox(f"redis://127.0.0.1:{port}") as outbox:
            worker = Worker(outbox, pool)
            worker.stop()
            await worker.run()


async def test_a_group_that_is_gone_is_looked_for_again(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Intake._look
    calls = 0

    async def gone(self: Intake, **options: Any) -> bool:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ResponseError("NOGROUP No such key")
        return await look(self, **options)

    monkeypatch.setattr(Intake, "_look", gone)
    async with Peer() as peer, working(outbox, peer):
        await until(outbox, lambda _: calls > 2)


async def test_a_worker_that_was_silent_and_is_heard_again_keeps_what_it_has(outbox: Outbox) -> None:
    one, other = (Intake(outbox, 30, lambda *_: None, lambda _: None) for _ in range(2))
    await outbox.broker.startup()
    await one.join()
    await other.join()
    await outbox.enqueue(letter())
    await one._read(">")
    assert await other._take_over(one.name.encode()) == 0
    await one.leave()
    assert await other._take_over(one.name.encode()) == 1
