"""A worker sends each message once as long as it lives, and writes down what comes next in the same step."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from aiosmtplib import Envelope
from aiosmtplib.contrib.outbox import DirectoryStore, Policy
from aiosmtplib.contrib.taskiq import Outbox

from ...support.actions import at_nth, cut, hold
from ...support.scripted_server import PIPELINING, Conversation, Peer
from .working import letter, until, working

LARGE = Envelope("a@example.com", "b@example.com", b"Subject: x\r\n\r\n" + b"x" * 300_000)


def everything_is_done(status: Any) -> bool:
    return not any(status[:6])


async def test_messages_are_sent_and_nothing_is_left(outbox: Outbox, tmp_path: Path) -> None:
    outbox.bodies = store = DirectoryStore(tmp_path)
    async with Peer(extensions=PIPELINING) as peer:
        await outbox.enqueue_many([letter(number) for number in range(300)])
        async with working(outbox, peer) as (_, seen):
            await seen.until(300)
            await outbox.enqueue(LARGE)
            await seen.until(301)
        assert len(peer.accepted) == 301
        assert max(len(each.content) for each in peer.accepted) > 300_000
    assert {*seen.kinds()} == {"Done"}
    status = await outbox.status()
    assert everything_is_done(status)
    assert [*status.workers.values()] == [None]
    assert store.names() == []


async def test_who_was_refused_for_now_is_tried_alone(outbox: Outbox, tmp_path: Path) -> None:
    outbox.bodies = store = DirectoryStore(tmp_path)
    content = b"Subject: x\r\n\r\n" + b"x" * 300_000
    times = 0

    async def rcpt(conversation: Conversation) -> str | None:
        nonlocal times
        times += b"later@" in conversation.line
        if b"never@" in conversation.line:
            return await conversation.perform("550 Who?")
        later = b"later@" in conversation.line and times < 3
        return await conversation.perform("450 Later" if later else "250 Ok")

    async with Peer({"RCPT": rcpt}, extensions=PIPELINING, strict=True) as peer:
        everyone = ["you@example.com", "later@example.com", "never@example.com"]
        identifier = await outbox.enqueue(Envelope("me@example.com", everyone, content))
        async with working(outbox, peer) as (_, seen):
            await seen.until(3)
        assert [each.recipients for each in peer.accepted] == [(b"you@example.com",), (b"later@example.com",)]
        assert len({each.content for each in peer.accepted}) == 1
    assert seen.kinds() == ["Done", "Again", "Failed", "Again", "Done"]
    (dead,) = [each async for each in outbox.stored("dead")]
    assert dead.entry is not None
    assert (dead.reason, [*dead.entry.recipients]) == ("550 Who?", ["never@example.com"])
    assert dead.id != identifier
    assert store.names() == [dead.entry.body]


async def test_what_has_failed_waits_with_its_reason(outbox: Outbox) -> None:
    async with Peer({"MAIL": at_nth(1, "554 No")}, extensions=PIPELINING) as peer:
        identifier = await outbox.enqueue(letter())
        async with working(outbox, peer) as (_, seen):
            await seen.until(1)
            await until(outbox, lambda status: status.dead)
            assert await outbox.retry() == [identifier]
            await seen.until(2)
        assert len(peer.accepted) == 1


async def test_what_is_unknown_is_held_for_a_person(outbox: Outbox) -> None:
    async with Peer({".": at_nth(1, cut)}, extensions=PIPELINING) as peer:
        identifier = await outbox.enqueue(letter())
        async with working(outbox, peer, policy=Policy(unknown="hold")) as (_, seen):
            await seen.until(1)
            await until(outbox, lambda status: status.held)
            assert await outbox.release([identifier]) == [identifier]
            await seen.until(2)
    assert seen.kinds() == ["Held", "Done"]


def damaged(outbox: Outbox, data: bytes, **changes: Any) -> bytes:
    from taskiq.message import TaskiqMessage

    message = outbox.broker.formatter.loads(data)
    return outbox.broker.formatter.dumps(
        TaskiqMessage(**{**message.model_dump(), "args": message.args, **changes})
    ).message


async def test_what_cannot_be_read_is_put_aside_and_stops_nobody(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    await outbox.enqueue(letter())
    ((first, content),) = await outbox.redis.xrange(outbox.keys.stream)
    data = content[b"data"]
    payload = outbox.broker.formatter.loads(data).args[0]
    bad = [
        b"\xff\x00",
        b"{}",
        damaged(outbox, data, task_name="other"),
        damaged(outbox, data, args=[]),
        damaged(outbox, data, args=[{**payload, "version": 99}]),
        damaged(outbox, data, args=[{**payload, "content": "AAAA"}]),
    ]
    await outbox.redis.xdel(outbox.keys.stream, first)
    for each in bad:
        await outbox.redis.xadd(outbox.keys.stream, {"data": each})
    await outbox.redis.xadd(outbox.keys.stream, {"other": b"x"})
    await outbox.enqueue(letter())
    async with Peer(extensions=PIPELINING) as peer, working(outbox, peer) as (_, seen):
        await seen.until(1)
        await until(outbox, lambda status: status.dead == len(bad) + 1)
    reasons = sorted([each.reason async for each in outbox.stored("dead")])
    assert reasons == [
        "It has no payload",
        "It is no message of taskiq: UnicodeDecodeError",
        "It is no message of taskiq: ValidationError",
        "It is of another task: 'other'",
        "The payload has version 99, and only 1 is known here",
        "The payload is damaged: the content is not as long as it was",
        "There is no message in it",
    ]
    assert caplog.text.count("cannot be read") == len(bad) + 1


async def test_a_content_that_is_gone_is_no_reason_to_stop(outbox: Outbox, tmp_path: Path) -> None:
    outbox.bodies = store = DirectoryStore(tmp_path)
    await outbox.enqueue_many([LARGE, letter()])
    store.remove(store.names()[0])
    async with Peer(extensions=PIPELINING) as peer, working(outbox, peer) as (_, seen):
        await seen.until(2)
        await until(outbox, lambda status: status.dead)
        assert len(peer.accepted) == 1
    (dead,) = [each async for each in outbox.stored("dead")]
    assert "not in the store" in dead.reason


class Broken(DirectoryStore):
    """A store that cannot be reached."""

    def _refuse(self, *_: object) -> Any:
        raise PermissionError("away")

    copy = remove = _refuse


class Shut(Broken):
    """One that cannot be read either."""

    open = Broken._refuse


async def test_a_store_that_cannot_be_reached(
    outbox: Outbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.bodies = Broken(tmp_path)
    everyone = ["you@example.com", "later@example.com", "never@example.com"]
    await outbox.enqueue(Envelope("me@example.com", everyone, LARGE.message))

    async def rcpt(conversation: Conversation) -> str | None:
        reply = "550 Who?" if b"never@" in conversation.line else "250 Ok"
        if b"later@" in conversation.line and not seen.outcomes:
            reply = "450 Later"
        return await conversation.perform(reply)

    async with Peer({"RCPT": rcpt}, extensions=PIPELINING) as peer, working(outbox, peer) as (_, seen):
        await seen.until(2)
    assert "cannot be copied: away" in caplog.text
    assert "cannot be removed: away" in caplog.text
    outbox.bodies = Shut(tmp_path)
    await outbox.enqueue(LARGE)
    async with Peer() as peer, working(outbox, peer) as (_, seen):
        await seen.until(2)
        outbox.bodies = Broken(tmp_path)
        await until(outbox, lambda status: not status.later and not status.taken)
    assert seen.kinds()[:2] == ["Again", "Again"]


async def test_a_relay_that_cannot_be_reached_is_left_alone_for_a_while(outbox: Outbox) -> None:
    async with Peer({"connect": at_nth(1, cut)}, extensions=PIPELINING) as peer:
        await outbox.enqueue_many([letter(), letter()])
        async with working(outbox, peer, pool={"max_connections": 1}) as (_, seen):
            await until(outbox, lambda status: everything_is_done(status) and len(seen.outcomes) > 2)
    assert sorted({*seen.kinds()}) == ["Again", "Done"]
    assert all(entry.attempts == 0 for entry, _, _ in seen.outcomes)


async def test_a_worker_that_is_stopped_finishes_what_it_has_begun(outbox: Outbox) -> None:
    event = asyncio.Event()
    async with Peer({".": hold(event, "250 Ok")}, extensions=PIPELINING) as peer:
        await outbox.enqueue_many([letter(number) for number in range(200)])
        options = {"window": 1, "pool": {"max_connections": 1}}
        async with working(outbox, peer, **options) as (worker, seen):
            await peer.seen(".")
            worker.stop()
            event.set()
        begun = len(peer.accepted)
        assert 0 < begun <= 65
        assert len(seen.outcomes) == begun
        status = await outbox.status()
        assert (status.queued + status.taken, status.under_way) == (200 - begun, 0)
        async with working(outbox, peer) as (_, others):  # and another one has the rest at once
            await others.until(200 - begun)
        assert len(peer.accepted) == 200


async def test_a_worker_that_is_cancelled_leaves_what_is_unknown(outbox: Outbox) -> None:
    async with Peer({".": at_nth(1, hold(asyncio.Event(), "250 Ok"))}, extensions=PIPELINING) as peer:
        await outbox.enqueue(letter())
        async with working(outbox, peer, stop=False):
            await peer.seen(".")
        async with working(outbox, peer) as (_, seen):
            await seen.until(2)
    assert [result is None for _, result, _ in seen.outcomes] == [True, False]
    assert seen.kinds() == ["Again", "Done"]


async def test_nobody_has_to_be_told(outbox: Outbox) -> None:
    async with Peer(extensions=PIPELINING) as peer, working(outbox, peer, on_outcome=None):
        await outbox.enqueue(letter())
        await until(outbox, lambda status: peer.accepted and everything_is_done(status))
