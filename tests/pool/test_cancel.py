"""Callers of a pool that give up, whenever they can: nothing is left behind, and nothing is sent twice.

Each attempt is cancelled at one suspension more than the one before, until there is none left.
"""

import asyncio
import collections
from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import Any

import pytest

import aiosmtplib
from aiosmtplib import Delivery, SMTPPool
from aiosmtplib._pool.states import Condition

from ..support.actions import hold, in_turn, silence
from ..support.clients import MESSAGE, RECIPIENTS, SENDER, each_cancellation
from ..support.scripted_server import CHUNKING, PATIENCE, PIPELINING, Action, Conversation, Peer
from .test_pool import pool_for, pooled, send, until

ONE_AT_ONCE = "LIMITS RCPTMAX=1"
CONTENT = b"Subject: dots\r\n\r\n.one\r\n..two\r\nthree\r\n"

#: Without a rate, and with one that makes each message wait.
PACES = [{}, {"rate": 500.0}]


def once_for(name: str, action: Action) -> Action:
    """This action for the first RCPT with that name."""
    left = [action]

    async def rcpt(conversation: Conversation) -> str:
        mine = f"<{name}@".encode() in conversation.line
        return await conversation.perform(left.pop() if mine and left else conversation.default())

    return rcpt


def copies(peer: Peer) -> "collections.Counter[str]":
    """How often each recipient has the message, whole."""
    assert {mail.content for mail in peer.accepted} <= {CONTENT}
    return collections.Counter(
        who.decode().partition("@")[0] for mail in peer.accepted for who in mail.recipients
    )


async def assert_nothing_left(pool: SMTPPool, peer: Peer, *, usable: bool = True) -> None:
    """The pool serves others as before, and has forgotten whoever gave up. Leaves it closed."""
    manager = pool._manager
    if usable:
        await until(lambda: not (pool.stats().busy or pool.stats().opening))
        assert pool.stats().waiting == 0
        assert await asyncio.wait_for(send(pool, "last"), PATIENCE) == "2.0.0 Accepted"
        assert copies(peer)["last"] == 1
    await asyncio.wait_for(pool.aclose(), PATIENCE)
    stats = pool.stats()
    assert (stats.idle, stats.busy, stats.opening, stats.closing, stats.waiting) == (0, 0, 0, 0, 0)
    assert not manager._tasks
    assert not manager._making
    assert not manager._sleepers
    assert not manager._turnstile.locked()
    assert manager._in_line == 0
    assert manager._timer is None
    assert manager._abort_timer is None or manager._abort_timer.cancelled()
    assert not manager.state._granted
    await peer.hung_up()


# -- a message ---------------------------------------------------------------------------------------


async def test_an_object() -> None:
    message = EmailMessage()
    message["From"], message["To"] = SENDER, RECIPIENTS[0]

    async def attempt(run: Any) -> None:
        async with Peer(extensions=PIPELINING, strict=True) as peer:
            pool = pool_for(peer, max_connections=1)
            result = await run(pool.send_message(message))
            if result is not None:
                assert len(peer.accepted) == 1
            await asyncio.wait_for(pool.aclose(), PATIENCE)
            assert pool.stats().busy == pool.stats().waiting == 0
            await peer.hung_up()

    assert await each_cancellation(attempt) >= 2


@pytest.mark.parametrize("pace", PACES)
async def test_alone(pace: dict[str, Any]) -> None:
    """Whoever has a connection opened and leaves, leaves the connection to others."""

    async def attempt(run: Any) -> None:
        async with Peer(extensions=PIPELINING, strict=True) as peer:
            pool = pool_for(peer, max_connections=1, **pace)
            text = await run(send(pool, "b"))
            await assert_nothing_left(pool, peer)
            assert copies(peer)["b"] <= 1
            assert text is None or copies(peer)["b"] == 1

    assert await each_cancellation(attempt) >= (4 if pace else 2)  # without, its task waits once


@pytest.mark.parametrize("pace", PACES)
async def test_moved_behind_others(pace: dict[str, Any]) -> None:
    moved = 0

    async def attempt(run: Any) -> None:
        nonlocal moved
        actions = {"RCPT": once_for("b", "421 4.3.2 Later")}
        async with Peer(actions, extensions=PIPELINING, strict=True) as peer:
            pool = pool_for(peer, max_connections=1, **pace)
            others = [asyncio.ensure_future(send(pool, f"other{number}")) for number in range(2)]
            await until(lambda: pool.stats().opening == 1)
            mine = asyncio.ensure_future(run(send(pool, "b")))
            await asyncio.sleep(0)
            late = asyncio.ensure_future(send(pool, "late"))
            text = await mine
            assert await asyncio.gather(*others, late) == ["2.0.0 Accepted"] * 3
            moved += len(peer.conversations) > 1 and text is None
            await assert_nothing_left(pool, peer)
            ledger = copies(peer)
            assert ledger["b"] <= 1
            assert text is None or ledger["b"] == 1
            del ledger["b"]
            assert ledger == dict.fromkeys(["other0", "other1", "late", "last"], 1)

    assert await each_cancellation(attempt) >= (6 if pace else 2)
    assert moved or not pace  # some were cancelled while, or after, they waited for another connection


@pytest.mark.parametrize("pace", PACES)
async def test_divided(pace: dict[str, Any]) -> None:
    async def attempt(run: Any) -> None:
        actions = {"RCPT": once_for("c", "421 4.3.2 Later")}
        async with Peer(actions, extensions=(*PIPELINING, ONE_AT_ONCE), strict=True) as peer:
            pool = pool_for(peer, max_connections=1, **pace)
            result = await run(pool.sendmail(SENDER, RECIPIENTS, MESSAGE))
            await assert_nothing_left(pool, peer)
            ledger = copies(peer)
            assert max(ledger.values()) == 1
            assert ledger["c"] <= ledger["b"]
            assert result is None or ledger == {"b": 1, "c": 1, "last": 1}

    assert await each_cancellation(attempt) >= (8 if pace else 2)


@pytest.mark.parametrize("extensions", [PIPELINING, CHUNKING])
async def test_a_stream(extensions: tuple[str, ...]) -> None:
    """Half a message is none, and its source is not read on."""

    async def attempt(run: Any) -> None:
        ended: list[bool] = []

        async def pieces() -> AsyncIterator[bytes]:
            try:
                for start in range(0, len(MESSAGE), 10):
                    await asyncio.sleep(0)
                    yield MESSAGE[start : start + 10]
                ended.append(True)
            except (asyncio.CancelledError, GeneratorExit):
                ended.append(False)
                raise

        source = pieces()
        async with Peer(extensions=extensions, strict=True) as peer:
            pool = pool_for(peer, max_connections=1)
            result = await run(pool.sendmail(SENDER, "b@example.com", source))
            await assert_nothing_left(pool, peer)
            await source.aclose()  # type: ignore[attr-defined]
            ledger = copies(peer)
            assert ledger["b"] <= (ended == [True])
            assert result is None or ledger["b"] == 1

    assert await each_cancellation(attempt) >= 8


async def test_before_it_began() -> None:
    """A task that is cancelled at once never runs."""
    async with Peer(extensions=PIPELINING) as peer:
        pool = pool_for(peer)
        task = asyncio.ensure_future(send(pool, "b"))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert peer.conversations == []
        await assert_nothing_left(pool, peer)


async def test_all_of_those_who_wait() -> None:
    """A connection that was opened for callers who all left is there for the next."""
    event = asyncio.Event()
    async with Peer({"connect": hold(event, "220 Hello")}, extensions=PIPELINING) as peer:
        pool = pool_for(peer, max_connections=2)
        tasks = [asyncio.ensure_future(send(pool, "b")) for _ in range(5)]
        await until(lambda: len(peer.conversations) == 2)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        event.set()
        await until(lambda: pool.stats().idle == 2)
        await assert_nothing_left(pool, peer)
        assert len(peer.conversations) == 2
        assert copies(peer) == {"last": 1}


# -- the permission ----------------------------------------------------------------------------------


async def test_a_permission_that_was_not_used_goes_to_the_next() -> None:
    async def attempt(run: Any) -> None:
        async with Peer() as peer, pooled(peer, rate=100.0, max_connections=2) as pool:
            manager = pool._manager
            assert manager.rate is not None
            manager.release(await manager.acquire(), Condition.KEEP)
            slot = await run(manager.acquire())
            # Of two permissions given, the one that is left is next: at most one interval away.
            left = 1.1 if slot is None else 2.1
            assert manager.rate.reserve(manager.now()) <= left * manager.rate.interval
            assert not manager._turnstile.locked()
            assert pool.stats().busy == (slot is not None)
            if slot is not None:
                manager.release(slot, Condition.KEEP)

    assert await each_cancellation(attempt) >= 1


async def test_the_line_before_the_permission() -> None:
    async def attempt(run: Any) -> None:
        async with Peer(extensions=PIPELINING) as peer:
            pool = pool_for(peer, rate=200.0, max_connections=2)
            await send(pool, "first")
            ahead = asyncio.ensure_future(send(pool, "ahead"))
            await until(lambda: pool.stats().busy == 1)
            mine = asyncio.ensure_future(run(send(pool, "b")))
            await until(lambda: pool._manager._in_line == 1 or mine.done())
            behind = asyncio.ensure_future(send(pool, "behind"))
            await asyncio.gather(ahead, mine, behind)
            await assert_nothing_left(pool, peer)
            got = [mail.recipients[0].decode().partition("@")[0] for mail in peer.accepted if mail.recipients]
            assert [name for name in got if name != "b"] == ["first", "ahead", "behind", "last"]
            assert got.count("b") <= 1
            if mine.result() is not None:
                assert got.index("b") == 2

    assert await each_cancellation(attempt) >= 4


# -- the end -----------------------------------------------------------------------------------------


def check(results: list[Any], peer: Peer) -> None:
    """Each verdict is true of the ledger."""
    ledger = copies(peer)
    for number, result in enumerate(results):
        count = ledger[f"r{number}"]
        if isinstance(result, BaseException):
            assert isinstance(result, aiosmtplib.SMTPException), result
            assert count <= (result.delivery is Delivery.UNKNOWN)
        else:
            assert count == 1


@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize("timeout", [None, 0, PATIENCE])
async def test_closing(timeout: float | None, pace: dict[str, Any]) -> None:
    """Cancelled, it closes at once: messages are where their verdicts say."""

    async def attempt(run: Any) -> None:
        async with Peer(extensions=PIPELINING) as peer:
            pool = pool_for(peer, max_connections=2, max_messages=2, **pace)
            sending = [asyncio.ensure_future(send(pool, f"r{number}")) for number in range(5)]
            await peer.seen(".")
            await run(pool.aclose(timeout))
            results = await asyncio.wait_for(asyncio.gather(*sending, return_exceptions=True), PATIENCE)
            await assert_nothing_left(pool, peer, usable=False)
            check(results, peer)

    assert await each_cancellation(attempt) >= 2


@pytest.mark.parametrize("place", ["connect", "MAIL", ".", "QUIT"])
async def test_closing_with_a_server_that_hangs(place: str) -> None:
    async def attempt(run: Any) -> None:
        async with Peer({place: silence}, extensions=PIPELINING) as peer:
            pool = pool_for(peer, max_connections=2, max_messages=1)
            sending = [asyncio.ensure_future(send(pool, f"r{number}")) for number in range(3)]
            await until(lambda: bool(peer.conversations))
            if place != "connect":
                await peer.seen(place)
            await run(pool.aclose(0.001))
            results = await asyncio.wait_for(asyncio.gather(*sending, return_exceptions=True), PATIENCE)
            await assert_nothing_left(pool, peer, usable=False)
            check(results, peer)

    assert await each_cancellation(attempt) >= 1


async def test_the_block() -> None:
    async def attempt(run: Any) -> None:
        async with Peer(extensions=PIPELINING) as peer:
            pool = pool_for(peer, max_connections=2)
            background: list[asyncio.Future[str]] = []

            async def work() -> str:
                async with pool:
                    background.append(asyncio.ensure_future(send(pool, "r0")))
                    return await send(pool, "b")

            text = await run(work())
            results = await asyncio.wait_for(asyncio.gather(*background, return_exceptions=True), PATIENCE)
            await assert_nothing_left(pool, peer, usable=False)
            check(results, peer)
            assert copies(peer)["b"] <= 1
            assert text is None or copies(peer)["b"] == 1
            with pytest.raises(aiosmtplib.SMTPServerDisconnected, match="closed"):
                await send(pool)

    assert await each_cancellation(attempt) >= 4


async def test_two_that_close_and_one_that_gives_up() -> None:
    event = asyncio.Event()
    async with Peer({".": in_turn(hold(event, "250 Ok"))}, extensions=PIPELINING) as peer:
        pool = pool_for(peer)
        sending = asyncio.ensure_future(send(pool))
        await peer.seen(".")
        patient, other = asyncio.ensure_future(pool.aclose()), asyncio.ensure_future(pool.aclose())
        await asyncio.sleep(0)
        other.cancel()
        await asyncio.wait([other])
        assert other.cancelled()
        await asyncio.wait_for(patient, PATIENCE)
        event.set()
        with pytest.raises(aiosmtplib.SMTPServerDisconnected) as caught:
            await sending
        assert caught.value.delivery is Delivery.UNKNOWN
        await assert_nothing_left(pool, peer, usable=False)
